#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A quiet 128 MiB Linux guest saved, restored and migrated live: libxl on stock Xen, libxl on ours, our tool stack on both.

usage: tests/bench/saves.py [--build DIR] [--only xen+stock|xen+ours|xylem+stock|xylem+ours]... [--json FILE]

Counts by opcount.c under -icount on one CPU: millions of instructions of the whole machine. save and restore: from call to
reply through one open libvirt connection in dom0. migrate: live, to the same host, so that both ends are counted: by migrate.c,
which asks xylemd for what libvirt's driver asks two of them for, and by Debian's "xl migrate" (Debian's Xen cannot migrate a PV
guest live). send: the source's part of that alone, into a connection whose other end throws away what comes. downtime: from the last time
that a process of the guest, which wakes each millisecond (beat.c), ran at the source to the first at the destination; of xl, where
nobody can tell the moment, the longest that it did not run: so long as another domain's slice of time, 30 million, it does not run at
times, too.
Then wall time in a second run. Fails when ours is above one of its limits.

Under -icount idle time passes at once: while the host's disk is slow the machine leaps from timer to timer, and what polls in dom0
is counted more often than on a quiet host. Compare runs of one load.
"""

import gzip
import os
import subprocess
import sys

import counted
import xyimages

COMBOS = ("xen+stock", "xen+ours", "xylem+stock", "xylem+ours")
# Millions of instructions of ours on ours; and of a migration, as a ratio: of the source's part to a save, of both to a save and
# a restore.
LIMITS = {"save": 100, "restore": 100, "downtime": 20}
MIGRATE_RATIO = 1.3


def beat_ramdisk(args):
    """What is put behind the test guest's RAM disk: the beating process, and an inittab that starts it."""
    beat = counted.compile_c(args, "beat", "beat.c", "-static")
    path = os.path.join(args.work, "beat.cpio.gz")
    with open(os.path.join(xyimages.IMAGES, "guest", "inittab"), "rb") as f:
        inittab = f.read()
    with gzip.GzipFile(path, "wb", mtime=0) as out:
        cpio = xyimages.Cpio(out)
        cpio.copy("bin/beat", beat, 0o755)
        cpio.file("etc/inittab", inittab + b"::respawn:/bin/beat\n")
        cpio.end()
    return path


def measure(args, combo):
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "gio-unix-2.0"], stdout=subprocess.PIPE, check=True,
                           universal_newlines=True).stdout.split()
    put = (os.path.join(counted.HERE, "saveops.py"), beat_ramdisk(args), counted.compile_c(args, "migrate", "migrate.c", *flags))
    rows, notes = counted.table(args, combo, put, "python3 /root/saveops.py %s %d" % (combo.replace("+", " "), args.iterations))
    rows.pop("warm", None)
    if "migrate" in rows:
        rows["downtime"] = dict.fromkeys(rows["migrate"], 0)
        rows["downtime"].pop("ms", None)
        rows["downtime"]["instructions"] = rows["migrate"]["gap"]
    return rows, notes


def ratios(rows):
    """Of what to what, and the ratio; as far as all was measured."""
    for part, whole in (("send", ("save",)), ("migrate", ("save", "restore"))):
        if {part, *whole} <= set(rows):
            yield part, " and a ".join(whole), rows[part]["instructions"] / sum(rows[name]["instructions"] for name in whole)


def above_limits(rows):
    """What is too much, in words."""
    for name, limit in LIMITS.items():
        if name in rows and rows[name]["instructions"] > limit * 1e6:
            yield "%s: %.1f million instructions, at most %d are allowed" % (name, rows[name]["instructions"] / 1e6, limit)
    for part, whole, ratio in ratios(rows):
        if ratio > MIGRATE_RATIO:
            yield "%s: %.2f times a %s, at most %.1f are allowed" % (part, ratio, whole, MIGRATE_RATIO)


def main():
    args = counted.arguments(__doc__, COMBOS, 3).parse_args()
    tables = counted.main(args, COMBOS, lambda combo: measure(args, combo))
    if tables is None:
        return 1
    counted.show(tables)
    for combo, rows in tables.items():
        for part, whole, ratio in ratios(rows):
            print("%s: %s is %.2f times a %s" % (combo, part, ratio, whole))
    worse = list(above_limits(tables.get("xylem+ours", {})))
    for line in worse:
        print(line)
    return 1 if worse else 0


sys.exit(main())
