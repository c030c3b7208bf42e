#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""40 and 200 domains listed, and asked for their statistics: what a tool that watches a host costs.

usage: tests/bench/lists.py [--build DIR] [--only xen+stock|xen+ours|xylem+ours]... [--json FILE]

Counts by opcount.c under -icount on one CPU: millions of instructions of the whole machine from call to reply, through one open
libvirt connection in dom0. list: virConnectListAllDomains(); state: the statistics of the domains' states alone; domstats: all of
them. The rows "floor" are those of as many domains of libvirt's own test driver, which has them in memory, by the same libvirtd.
That driver does not ask whether the client may see each domain, which every other one does, for some 600 instructions. Fails when
ours is above one of its limits: 1.02 times what libvirt 9.0.0 was measured to need for a list.
"""

import os
import subprocess
import sys

import counted

COMBOS = ("xen+stock", "xen+ours", "xylem+ours")
LIMITS = {"list-40-guests": 0.92 * 1.02, "list-200-guests": 4.1 * 1.02}  # million instructions, of ours
MIB = 3072


def main():
    p = counted.arguments(__doc__, COMBOS, 5)
    args = p.parse_args()
    guest = os.path.abspath(os.path.join(args.build, "tests", "guests", "start-of-day.elf"))
    if not os.path.exists(guest):
        subprocess.run(["make", "-s", "-C", os.path.dirname(guest), os.path.basename(guest)], check=True)
    command = "python3 /root/listops.py /root/%s %d" % (os.path.basename(guest), args.iterations)
    tables = counted.main(args, COMBOS, lambda combo: counted.table(
        args, combo, (os.path.join(counted.HERE, "listops.py"), guest), command, MIB))
    if tables is None:
        return 1
    counted.show(tables)
    status = 0
    for combo, rows in tables.items():
        for what in ("list", "state", "domstats"):
            for many in (40, 200):
                cost, floor = (rows["%s-%d-%s" % (what, many, name)]["instructions"] for name in ("guests", "floor"))
                print("%s: %s of %d: %.3f times the floor" % (combo, what, many, cost / floor), file=sys.stderr)
        for name, limit in LIMITS.items():
            if combo.endswith("ours") and rows[name]["instructions"] > limit * 1e6:
                print("%s: %s: %.3f million instructions, at most %.3f are allowed" % (
                    combo, name, rows[name]["instructions"] / 1e6, limit), file=sys.stderr)
                status = 1
    return status


sys.exit(main())
