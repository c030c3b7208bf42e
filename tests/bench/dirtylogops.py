# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: switches the log of a guest's dirty pages between the passes of its kernel benchmark (microbench.c).

usage: dirtylogops.py DOMID CONSOLE-LOG MS. During the pass "log" the log is read and cleared each MS milliseconds, as the
rounds of a migration would. Prints how many pages each round had, and "bench-done".
"""

import ctypes
import ctypes.util
import os
import subprocess
import sys
import termios
import time
import tty

OFF, ENABLE_LOGDIRTY, CLEAN = 0, 2, 11


class Stats(ctypes.Structure):
    _fields_ = [("faults", ctypes.c_uint32), ("dirty", ctypes.c_uint32)]


xc = ctypes.CDLL("libxenctrl.so.4.17", use_errno=True)
xc.xc_interface_open.restype = ctypes.c_void_p
xc.xc_logdirty_control.restype = ctypes.c_longlong
handle = ctypes.c_void_p(xc.xc_interface_open(None, None, 0))


def check(rc, what):
    if rc < 0:
        sys.exit("%s: %s" % (what, os.strerror(ctypes.get_errno())))


def log(domid, op):
    check(xc.xc_shadow_control(handle, domid, op, None, 0), "shadow_op %d" % op)


def clean(domid, pages):
    stats = Stats()
    check(xc.xc_logdirty_control(handle, domid, CLEAN, None, ctypes.c_ulong(pages), 0, ctypes.byref(stats)), "clean")
    return stats


def open_console(domid):
    path = subprocess.check_output(["xenstore-read", "/local/domain/%d/console/tty" % domid], text=True).strip()
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd, termios.TCSANOW)
    return fd


def main():
    domid, path, period = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) / 1e3
    console = open_console(domid)
    pages, rounds = (512 << 20) // 4096, []

    def wait(what, each):
        while what not in open(path, errors="replace").read():
            each()

    def round_of_log():
        time.sleep(period)
        stats = clean(domid, pages)
        rounds.append((stats.dirty, stats.faults))

    for name, before, each in (("direct", None, lambda: time.sleep(0.2)),
                               ("log", lambda: log(domid, ENABLE_LOGDIRTY), lambda: time.sleep(0.2)),
                               ("after", lambda: log(domid, OFF), round_of_log),
                               ("done", None, lambda: time.sleep(0.2))):
        wait("bench: done" if name == "done" else "bench: pass " + name, each)
        if before:
            before()
        if name != "done":
            os.write(console, b"\n")
    print("rounds: %d, of %s pages, %s faults" % (len(rounds), sum(r[0] for r in rounds) // max(1, len(rounds)),
                                                   sum(r[1] for r in rounds) // max(1, len(rounds))))
    print("bench-done", flush=True)


main()
