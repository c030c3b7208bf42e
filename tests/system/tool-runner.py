# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0, for test-tools: each command of a JSON list, with ioctls.so preloaded; one JSON object per command comes back.

{"status": exit status, "timeout" or "stuck" (not even SIGKILL ends it), "seconds": how long it took,
"errors": what the hypervisor and Linux's Xen drivers refused, as "device EXXX" in the order of first appearance,
"output": what the command wrote, without its middle if it is long}
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time

DEVICES = {"P": "privcmd", "E": "evtchn", "G": "gntdev"}
# Said while something is awaited, or of what is no device of ours.
PASSING = ("EAGAIN", "EINTR", "ENOTTY")


def refused(path):
    """The ioctls that failed, each once."""
    found = []
    if not os.path.exists(path):
        return found
    with open(path) as f:
        for line in f:
            device, number = line.split()
            name = errno.errorcode.get(int(number), number)
            text = "%s %s" % (DEVICES[device], name)
            if name not in PASSING and text not in found:
                found.append(text)
    return found


def finish(child, seconds):
    """Waits for the command; its exit status, "timeout" or "stuck"."""
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
    try:
        child.wait(20)
        return "timeout"
    except subprocess.TimeoutExpired:
        return "stuck"


def run(command, seconds, number):
    failures, written = "/tmp/tool-ioctls.%d" % number, "/tmp/tool-output.%d" % number
    started = time.monotonic()
    with open(written, "wb") as out:
        # pylint: disable=consider-using-with
        child = subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                 start_new_session=True,
                                 env=dict(os.environ, LD_PRELOAD="/root/ioctls.so", XYLEM_IOCTLS=failures))
        status = finish(child, seconds)
    with open(written, "rb") as f:
        output = f.read().decode("utf-8", "replace")
    os.unlink(written)
    if len(output) >= 6000:
        output = output[:3000] + "\n...\n" + output[-3000:]
    return {"status": status, "seconds": round(time.monotonic() - started, 1), "errors": refused(failures), "output": output}


def main():
    with open(sys.argv[1]) as f:
        for number, (command, seconds) in enumerate(json.load(f)):
            print(json.dumps(run(command, seconds, number)), flush=True)


main()
