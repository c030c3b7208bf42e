#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the transcripts that test guests printed on stock Xen and on ours (transcript.h), line by line; prints TAP.

usage: compare.py [--differences FILE] [--only GUEST] STOCK-LOGS OUR-LOGS

Each is a folder of logs by run.py. A difference is allowed where FILE names the line, on both sides alike; docs/abi.md gives
the reason. A line of FILE is "GUEST: PATTERN", the pattern being a shell's. One that excuses nothing is an error too.
"""
import argparse
import fnmatch
import glob
import os
import re
import sys


def transcript(path):
    lines, count = {}, None
    with open(path, errors="replace") as f:
        for line in f:
            found = re.search(r"args: (.*?): (-?\d+|positive)(.*)", line)
            if found:
                name = found[1]
                while name in lines:
                    name += "'"
                lines[name] = found[2] + found[3].rstrip()
            found = re.search(r"args-count: (\d+)", line)
            if found:
                count = int(found[1])
    return lines, count


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--differences")
    p.add_argument("--only", default="*", help="guests of this name (a shell's pattern)")
    p.add_argument("stock")
    p.add_argument("ours")
    args = p.parse_args()
    known = []
    if args.differences:
        with open(args.differences) as f:
            known = [l.strip() for l in f if l.strip() and not l.startswith("#")]
        known = [k for k in known if fnmatch.fnmatchcase(k.split(":")[0], args.only)]
    used, bad, n = set(), False, 1
    for path in sorted(glob.glob(os.path.join(args.ours, "args-*.log"))):
        guest = os.path.basename(path)[:-4]
        if not fnmatch.fnmatchcase(guest, args.only):
            continue
        ours, our_count = transcript(path)
        stock, stock_count = transcript(os.path.join(args.stock, guest + ".log"))
        wrong, excused = [], 0
        for name in list(stock) + [m for m in ours if m not in stock]:
            if stock.get(name) == ours.get(name):
                continue
            fits = [k for k in known if fnmatch.fnmatchcase(guest + ": " + name, k)]
            used.update(fits)
            if fits:
                excused += 1
            else:
                wrong.append("%s\n#   stock: %s\n#   ours:  %s" % (name, stock.get(name), ours.get(name)))
        if our_count != len(ours) or stock_count != len(stock) or not ours:
            wrong.append("a transcript is not whole: %s of %s lines here, %s of %s there" %
                         (len(ours), our_count, len(stock), stock_count))
        print("%sok %d - %s: %d calls leave the same memory on stock Xen and here, %d documented differences" %
              ("not " if wrong else "", n, guest, len(ours) - excused, excused))
        for w in wrong:
            print("# " + w)
        bad |= bool(wrong)
        n += 1
    stale = [k for k in known if k not in used]
    print("%sok %d - each documented difference is one" % ("not " if stale else "", n))
    for k in stale:
        print("# no difference: " + k)
    return bad or bool(stale)


if __name__ == "__main__":
    sys.exit(main())
