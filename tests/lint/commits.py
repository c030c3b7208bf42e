#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules for commit messages (CONTRIBUTING.md), for the last commits; skipped where there is no git checkout.

usage: commits.py [COUNT]     [20]
"""

import re
import subprocess
import sys

import checkout

SUBJECT = 72
BODY = 125
# The commits up to this one are older than the rules.
OLD = "dbc7eba"


def faults(message):
    lines = message.rstrip("\n").split("\n")
    if len(lines[0]) > SUBJECT:
        yield "the subject has %d characters, more than %d" % (len(lines[0]), SUBJECT)
    if lines[0].endswith("."):
        yield "the subject ends with a full stop"
    if re.match(r"(fixup|squash|amend)!|Merge |WIP\b", lines[0]):
        yield "a subject for work that is not finished"
    if len(lines) > 1 and lines[1]:
        yield "no empty line behind the subject"
    for line in lines[1:]:
        if len(line) > BODY:
            yield "a line of %d characters, more than %d" % (len(line), BODY)
        if re.match(r"<<<<<<<|>>>>>>>", line):
            yield "a conflict mark"


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    if not checkout.is_one():
        print("1..0 # SKIP no git checkout")
        return 0
    since = ["^" + OLD] if not subprocess.run(checkout.command("cat-file", "-e", OLD), stderr=subprocess.DEVNULL,
                                              check=False).returncode else []
    shown = checkout.output("log", "-n", str(count), "--no-merges", "--format=%h%x00%B%x01", "HEAD", *since)
    print("1..2")
    own = [list(faults(m)) for m in ("x" * 73, "A subject.", "fixup! it", "One\ntwo", "One\n\n" + "x" * 126)]
    right = all(len(f) == 1 for f in own) and not list(faults("A subject\n\nand why"))
    print("%s 1 - the rules find what they are for" % ("ok" if right else "not ok"))
    failed = not right
    bad = False
    for item in filter(str.strip, shown.split("\x01")):
        commit, message = item.strip().split("\0")
        for fault in faults(message):
            print("# %s: %s" % (commit, fault))
            bad = True
    print("%s 2 - the last commits keep them" % ("not ok" if bad else "ok"))
    return 1 if failed or bad else 0


sys.exit(main())
