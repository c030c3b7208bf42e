# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: opens a console command on a pseudo terminal, types a line into it and waits for an answer.

usage: type-console.py ANSWER LINE COMMAND...  The line is typed again every few seconds, since what is typed before the
console is connected is lost. Ends with Ctrl-] and exit 0 when the answer came, with exit 1 when it did not.
"""

import os
import pty
import select
import sys
import time

answer, line, command = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
text, typed, end = b"", 0.0, time.monotonic() + 300
try:
    while answer not in text and time.monotonic() < end:
        if time.monotonic() - typed > 10 and (typed or text):
            os.write(fd, b"\r" + line + b"\r")
            typed = time.monotonic()
        if select.select([fd], [], [], 1)[0]:
            text += os.read(fd, 4096)
    os.write(fd, b"\x1d")
except OSError:
    pass
sys.stdout.buffer.write(text[-1500:])
sys.exit(0 if answer in text else 1)
