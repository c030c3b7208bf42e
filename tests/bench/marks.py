# SPDX-License-Identifier: GPL-2.0-or-later
"""In dom0: the marks between which opcount.c counts, and rows of stretches between them (counted.py reads what is printed)."""

import ctypes
import mmap
import time

page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def mark(value):
    """A callable that executes the mark and returns."""
    offset = value * 16
    page[offset:offset + 8] = b"\x0f\x1f\x80" + (0x4d410000 + value).to_bytes(4, "little") + b"\xc3"
    return ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page, offset)))


BEGIN, END = mark(1), mark(2)
ORDER = []
ROWS = []


class Row:
    """Sums wall time over iterations, and notes each in the order of the marks."""

    def __init__(self, name):
        self.name = name
        self.count = self.ns = 0
        ROWS.append(self)

    def add(self, ns):
        """A stretch that was marked elsewhere."""
        self.ns += ns
        self.count += 1
        ORDER.append(self.name)

    def run(self, function):
        started = time.monotonic_ns()
        BEGIN()
        result = function()
        END()
        self.add(time.monotonic_ns() - started)
        return result


def report():
    """"bench-order: NAME" for each stretch, in the order of the counter's lines; then "bench: NAME ITERATIONS NS" for each row."""
    for name in ORDER:
        print("bench-order:", name)
    for row in ROWS:
        print("bench: %s %d %d" % (row.name, row.count, row.ns))
    print("bench-done", flush=True)
