#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""xenctl beside an xylemd that hangs: each command that asks it ends, and says why. $XENCTL is the program."""

import os
import socket
import subprocess
import sys
import tempfile

COMMANDS = ["list", "get web", "create guest", "destroy web", "shutdown web", "console web", "pin web 0 0", "sched web 300 0",
            "attach web nic bridge=br0"]


def says_why(path, command):
    """Whether it ends by itself, fails, and says who does not answer."""
    env = dict(os.environ, XENCTL_ANSWER_SECONDS="1", LC_ALL="C")
    try:
        done = subprocess.run([os.environ["XENCTL"], "--socket=" + path] + command.split(), env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 1 and not done.stdout and done.stderr.startswith("xenctl: xylemd does not answer")


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as hung:
        path = os.path.join(folder, "socket")
        hung.bind(path)
        hung.listen(16)  # connections are made, and nobody reads
        with open(os.path.join(folder, "guest"), "w", encoding="ascii") as f:
            f.write("name = web\nkernel = /boot/vmlinuz\nmemory_kib = 65536\n")
        os.chdir(folder)
        for n, command in enumerate(COMMANDS, 1):
            good = says_why(path, command)
            failed += not good
            print("%sok %d - xenctl %s" % ("" if good else "not ", n, command.split()[0]), flush=True)
    print("1..%d" % len(COMMANDS))
    return 1 if failed else 0


sys.exit(main())
