#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""xenctl beside an xylemd that hangs, or does not run: each command that asks it ends, and says why. $XENCTL is the program."""

import os
import socket
import subprocess
import sys
import tempfile

COMMANDS = ["list", "get web", "create guest", "destroy web", "shutdown web", "console web", "pin web 0 0", "sched web 300 0",
            "attach web nic bridge=br0"]


def says_why(path, command, words):
    """Whether it ends by itself, fails, and says so."""
    env = dict(os.environ, XENCTL_ANSWER_SECONDS="1", LC_ALL="C")
    try:
        done = subprocess.run([os.environ["XENCTL"], "--socket=" + path] + command.split(), env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 1 and not done.stdout and done.stderr.startswith("xenctl: xylemd " + words)


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as hung:
        path = os.path.join(folder, "socket")
        hung.bind(path)
        hung.listen(16)  # connections are made, and nobody reads
        with open(os.path.join(folder, "guest"), "w", encoding="ascii") as f:
            f.write("name = web\nkernel = /boot/vmlinuz\nmemory_kib = 65536\n")
        os.chdir(folder)
        absent = os.path.join(folder, "absent")
        cases = [(path, "does not answer", command) for command in COMMANDS]
        cases += [(absent, "cannot be reached at %s (does it run?): " % absent, command) for command in COMMANDS]
        for n, (where, words, command) in enumerate(cases, 1):
            good = says_why(where, command, words)
            failed += not good
            what = "xenctl %s: xylemd %s" % (command.split()[0], words.split(" at ")[0])
            print("%sok %d - %s" % ("" if good else "not ", n, what), flush=True)
    print("1..%d" % len(cases))
    return 1 if failed else 0


sys.exit(main())
