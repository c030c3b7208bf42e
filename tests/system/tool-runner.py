# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0, for compare-tools: each command of a JSON list under strace; one JSON object per command comes back.

{"status": exit status or "timeout", "errors": what the hypervisor and Linux's Xen drivers refused, as
"call EXXX" in the order of first appearance, "output": the end of what the command wrote}
"""

import json
import os
import re
import signal
import subprocess
import sys

FAILED = re.compile(r"ioctl\(\d+, (.*?), .*\) = -1 (E\w+)")
# Magic numbers of the ioctls of /dev/xen/privcmd, evtchn and gntdev.
DEVICES = {"0x50": "privcmd", "0x45": "evtchn", "0x47": "gntdev"}
# Said while something is awaited, or of what is no device of ours.
PASSING = ("EAGAIN", "EINTR", "ENOTTY")


def refused(trace):
    """The refused ioctls in a trace, each once."""
    found = []
    with open(trace, errors="replace") as f:
        for line in f:
            match = FAILED.search(line)
            number = match and re.search(r"_IOC\([^,]*, (0x\w+), (0x\w+|0)", match.group(1))
            if not number or number.group(1) not in DEVICES or match.group(2) in PASSING:
                continue
            text = "%s %s" % (DEVICES[number.group(1)], match.group(2))
            if text not in found:
                found.append(text)
    return found


def run(command, seconds):
    trace = "/tmp/tool-trace"
    argv = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=ioctl", "-e", "signal=none", "-o", trace, "sh", "-c", command]
    with open("/tmp/tool-output", "wb") as out, \
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True) as child:
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            status = "timeout"
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    with open("/tmp/tool-output", "rb") as f:
        output = f.read().decode("utf-8", "replace")
    return {"status": status, "errors": refused(trace), "output": output[:6000] if len(output) < 6000 else output[:3000] + "\n...\n" + output[-3000:]}


def main():
    with open(sys.argv[1]) as f:
        for command, seconds in json.load(f):
            print(json.dumps(run(command, seconds)), flush=True)


main()
