#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest start, destroy, info and list through libvirt: stock Xen with libxl, and our tool stack on both hypervisors.

usage: tests/bench/guests.py [--build DIR] [--only xen+stock|xen+ours|xylem+ours]... [--json FILE]

Counts by opcount.c under -icount on one CPU: millions of instructions of the whole machine from call to reply, through one
open libvirt connection in dom0; then wall time in a second run without it. The guest is a 32 MiB test guest, left paused.
"""

import os
import subprocess
import sys

import counted

COMBOS = ("xen+stock", "xen+ours", "xylem+ours")


def main():
    p = counted.arguments(__doc__, COMBOS, 10)
    p.add_argument("--guest", help="kernel of the small guest [a test guest of the build folder]")
    args = p.parse_args()
    args.guest = os.path.abspath(args.guest or os.path.join(args.build, "tests", "guests", "start-of-day.elf"))
    if not os.path.exists(args.guest):
        subprocess.run(["make", "-s", "-C", os.path.dirname(args.guest), os.path.basename(args.guest)], check=True)
    command = "python3 /root/guestops.py /root/%s %d" % (os.path.basename(args.guest), args.iterations)
    tables = counted.main(args, COMBOS, lambda combo: counted.table(
        args, combo, (os.path.join(counted.HERE, "guestops.py"), args.guest), command))
    if tables is None:
        return 1
    counted.show(tables)
    return 0


sys.exit(main())
