# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: a guest's network, disk and ping, each transfer between marks (opcount.c).

usage: ioops.py GUEST-ADDRESS ITERATIONS MIB. Prints "bench: NAME UNITS NS" for each row (units: MiB, or packets) and
before that "bench-order: NAME UNITS" for each stretch, in the order of the counter's lines.
"""

import ctypes
import mmap
import socket
import subprocess
import sys
import time
import urllib.request

page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
BLOCK = 65536
PINGS = 50


def mark(value):
    """A callable that executes the mark and returns."""
    offset = value * 16
    page[offset:offset + 8] = b"\x0f\x1f\x80" + (0x4d410000 + value).to_bytes(4, "little") + b"\xc3"
    return ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page, offset)))


BEGIN, END = mark(1), mark(2)


def guest(address, script):
    """Runs a shell script in the guest and returns its output."""
    with urllib.request.urlopen("http://%s/cgi-bin/sh" % address, script.encode(), timeout=600) as reply:
        return reply.read().decode()


def connect(address, port):
    """Connects as soon as the guest listens."""
    end = time.monotonic() + 300
    while True:
        try:
            return socket.create_connection((address, port), timeout=600)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def receive(address, port, mib):
    """From the guest: it sends zeroes in blocks of 64 KiB."""
    guest(address, "(dd if=/dev/zero bs=%d count=%d 2>/dev/null | nc -l -p %d) >/dev/null 2>&1 </dev/null &"
          % (BLOCK, (mib << 20) // BLOCK, port))
    with connect(address, port) as s:
        BEGIN()
        got = 0
        while got < mib << 20:
            data = s.recv(BLOCK)
            if not data:
                raise OSError("the guest sent only %d bytes" % got)
            got += len(data)
        END()


def send(address, port, mib):
    """To the guest; ends when the guest has read all and closed."""
    guest(address, "nc -l -p %d >/dev/null 2>&1 </dev/null &" % port)
    block = bytes(BLOCK)
    with connect(address, port) as s:
        BEGIN()
        for _ in range((mib << 20) // BLOCK):
            s.sendall(block)
        s.shutdown(socket.SHUT_WR)
        while s.recv(BLOCK):
            pass
        END()


def disk(address, words, mib):
    BEGIN()
    out = guest(address, "dd %s bs=64k count=%d 2>&1; echo status=$?" % (words, mib * 16))
    END()
    if "status=0" not in out:
        raise OSError("dd in the guest: " + out)


def ping(address):
    BEGIN()
    subprocess.run(["ping", "-q", "-c", str(PINGS), "-i", "0.01", address], check=True, stdout=subprocess.DEVNULL)
    END()


def main():
    address, iterations, mib = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    port = 6000
    rows = {}
    for n in range(iterations + 1):  # the first round warms up, and is not reported
        for name, units, run in (("net-from-guest", mib, lambda: receive(address, port, mib)),
                                 ("net-to-guest", mib, lambda: send(address, port, mib)),
                                 ("disk-read", mib, lambda: disk(address, "if=/dev/xvda of=/dev/null iflag=direct", mib)),
                                 ("disk-write", mib, lambda: disk(address, "if=/dev/zero of=/dev/xvdb oflag=direct", mib)),
                                 ("ping-50", 1, lambda: ping(address))):
            port += 1
            started = time.monotonic_ns()
            run()
            spent = time.monotonic_ns() - started
            print("bench-order:", name if n else "warm", units)
            if n:
                row = rows.setdefault(name, [0, 0])
                row[0] += units
                row[1] += spent
    for name, (units, spent) in rows.items():
        print("bench: %s %d %d" % (name, units, spent))
    print("bench-done", flush=True)


main()
