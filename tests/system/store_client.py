#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: speaks the store's protocol over its socket.  store_client.py MODE prints what it found.

  ops N            N requests of all kinds, each reply checked; microseconds for each kind
  clients N        N connections whose transactions add to one counter, which must not lose a step
  flood DOMID N    N changes below a domain's home
"""

import os
import select
import socket
import struct
import sys
import time

DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, START, END = 1, 2, 3, 4, 5, 6, 7
WRITE, MKDIR, RM, SET_PERMS, EVENT, ERROR = 11, 12, 13, 14, 15, 16


class Store:
    def __init__(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/xenstored/socket")
        self.events = []

    def receive(self):
        kind, _, _, length = struct.unpack("<IIII", self.sock.recv(16, socket.MSG_WAITALL))
        return kind, self.sock.recv(length, socket.MSG_WAITALL) if length else b""

    def send(self, kind, payload, tx=0):
        self.sock.sendall(struct.pack("<IIII", kind, 1, tx, len(payload)) + payload)

    def call(self, kind, payload, tx=0):
        self.send(kind, payload, tx)
        while True:
            got, data = self.receive()
            if got != EVENT:
                return data if got == kind else b"!" + data
            self.events.append(data)

    def must(self, kind, payload, want, tx=0):
        got = self.call(kind, payload, tx)
        if got != want:
            sys.exit("request %d %r: got %r, want %r" % (kind, payload, got, want))


def ops(count):
    s = Store()
    spent = {}

    def timed(name, kind, payload, want):
        start = time.perf_counter()
        s.must(kind, payload, want)
        spent[name] = spent.get(name, 0) + time.perf_counter() - start

    each = count // 8
    for i in range(each):
        node = b"/test-ops/%d/%d" % (i % 100, i)
        timed("write", WRITE, node + b"\0value", b"OK\0")
        timed("read", READ, node + b"\0", b"value")
        timed("directory", DIRECTORY, node + b"\0", b"")
        timed("set_perms", SET_PERMS, node + b"\0n0\0", b"OK\0")
        timed("get_perms", GET_PERMS, node + b"\0", b"n0\0")
        timed("watch", WATCH, node + b"\0t\0", b"OK\0")
        timed("unwatch", UNWATCH, node + b"\0t\0", b"OK\0")
        timed("rm", RM, node + b"\0", b"OK\0")
    s.must(RM, b"/test-ops\0", b"OK\0")
    print("did %d" % (each * 8), " ".join("%s=%dus" % (k, v / each * 1e6) for k, v in spent.items()))


def clients(count):
    stores = [Store() for _ in range(count)]
    steps = 25
    stores[0].must(WRITE, b"/test-counter\0" + b"0", b"OK\0")
    todo = {s.sock.fileno(): [s, steps] for s in stores}
    again = 0
    while any(left for _, left in todo.values()):
        for entry in todo.values():
            s, left = entry
            if not left:
                continue
            tx = int(s.call(START, b"\0").rstrip(b"\0"))
            value = int(s.call(READ, b"/test-counter\0", tx))
            s.must(WRITE, b"/test-counter\0%d" % (value + 1), b"OK\0", tx)
            entry.append(tx)
        for entry in todo.values():
            if len(entry) == 3:
                tx = entry.pop()
                got = entry[0].call(END, b"T\0", tx)
                if got == b"OK\0":
                    entry[1] -= 1
                elif got == b"!EAGAIN\0":
                    again += 1
                else:
                    sys.exit("end: %r" % got)
    final = int(stores[0].call(READ, b"/test-counter\0"))
    stores[0].must(RM, b"/test-counter\0", b"OK\0")
    if final != count * steps:
        sys.exit("the counter is %d, not %d" % (final, count * steps))
    print("counted %d, %d conflicts" % (final, again))


def flood(domid, count):
    s = Store()
    home = b"/local/domain/%d/data/flood" % domid
    for i in range(count):
        s.must(WRITE, home + b"/%d\0%d" % (i % 500, i), b"OK\0")
    s.must(RM, home + b"\0", b"OK\0")
    print("wrote %d" % count)


def main():
    mode = sys.argv[1]
    numbers = [int(a) for a in sys.argv[2:]]
    {"ops": ops, "clients": clients, "flood": flood}[mode](*numbers)


if __name__ == "__main__":
    main()
