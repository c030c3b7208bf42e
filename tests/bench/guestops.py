# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: guests through one open libvirt connection, each operation between marks (opcount.c).

usage: guestops.py KERNEL ITERATIONS.  Prints "bench: NAME ITERATIONS NS" for each row, and before that
"bench-order: NAME" for each stretch, in the order of the counter's lines.
"""

import ctypes
import mmap
import sys
import time

import libvirt

XML = """<domain type='xen'><name>bench%d</name><memory unit='KiB'>32768</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='xenpv'>linux</type><kernel>%s</kernel></os>
<devices><console type='pty'/></devices></domain>"""

page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def mark(value):
    """A callable that executes the mark and returns."""
    offset = value * 16
    page[offset:offset + 8] = b"\x0f\x1f\x80" + (0x4d410000 + value).to_bytes(4, "little") + b"\xc3"
    return ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page, offset)))


BEGIN, END = mark(1), mark(2)
ORDER = []


class Row:
    """Sums wall time over iterations, and notes each in the order of the marks."""

    def __init__(self, name):
        self.name = name
        self.count = self.ns = 0

    def run(self, function):
        started = time.monotonic_ns()
        BEGIN()
        result = function()
        END()
        self.ns += time.monotonic_ns() - started
        self.count += 1
        ORDER.append(self.name)
        return result


def main():
    kernel, iterations = sys.argv[1], int(sys.argv[2])
    conn = libvirt.open("xen:///system")
    start, destroy, info, listing = Row("start"), Row("destroy"), Row("info"), Row("list-of-10")
    for warm in (True, False):
        for n in range(2 if warm else iterations):
            create = lambda n=n: conn.createXML(XML % (n, kernel), libvirt.VIR_DOMAIN_START_PAUSED)  # noqa: E731
            if warm:
                create().destroy()
                time.sleep(1)  # as between the others: both hypervisors clear freed memory when they are idle
                continue
            dom = start.run(create)
            info.run(dom.info)
            destroy.run(dom.destroy)
            time.sleep(0.5)
    guests = [conn.createXML(XML % (n, kernel), libvirt.VIR_DOMAIN_START_PAUSED) for n in range(10)]
    conn.listAllDomains()
    for _ in range(iterations):
        listing.run(conn.listAllDomains)
    for dom in guests:
        dom.destroy()
    for name in ORDER:
        print("bench-order:", name)
    for row in (start, destroy, info, listing):
        print("bench: %s %d %d" % (row.name, row.count, row.ns))
    print("bench-done", flush=True)


main()
