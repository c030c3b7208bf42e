#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the PV test guests in dom0's place under QEMU and prints TAP.

usage: run.py --hypervisor IMAGE [--cpu MODEL] [--cpus N] [--options "..."] [--jobs N] [--log DIR] GUEST.elf ...

IMAGE is an uncompressed Multiboot image (xylem.bin or stock Xen's, gunzipped). A guest passes when it prints its verdict;
the machine may then do what it likes. The time-out is generous and only ends what hangs.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import threading

TIMEOUT_S = 240


def run(args, guest):
    name = os.path.basename(guest)[:-4]
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", args.cpu, "-smp", str(args.cpus), "-m", "256", "-nographic",
               "-no-reboot", "-net", "none", "-kernel", args.hypervisor, "-initrd", guest, "-append",
               "console=com1 com1=115200 dom0_mem=64M loglvl=warning guest_loglvl=all " + args.options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(TIMEOUT_S, process.kill)
    timer.start()
    verdict, log = None, []
    for line in process.stdout:
        line = line.decode(errors="replace").rstrip()
        log.append(line)
        found = re.search(r"guest-test: (pass|fail) (.*)", line)
        if found:
            verdict = found
            break
        if "Xylem: panic" in line or "Panic on CPU" in line:
            log += [l.decode(errors="replace").rstrip() for _, l in zip(range(40), process.stdout)]
            break
        if "Hardware Dom0" in line or "dom0 crashed" in line:
            break
    timer.cancel()
    process.kill()
    process.wait()
    if args.log:
        with open(os.path.join(args.log, name + ".log"), "w") as f:
            f.write("\n".join(log) + "\n")
    if verdict and verdict[1] == "pass" and verdict[2].strip() == name:
        return name, True, ""
    return name, False, verdict[2] if verdict else "no verdict; the last lines:\n# " + "\n# ".join(log[-25:])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--hypervisor", required=True)
    p.add_argument("--cpu", default="qemu64,vendor=GenuineIntel,-svm")
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--options", default="")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--log")
    p.add_argument("guests", nargs="+")
    args = p.parse_args()
    if args.log:
        os.makedirs(args.log, exist_ok=True)
    print("1..%d" % len(args.guests), flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for n, (name, ok, why) in enumerate(pool.map(lambda g: run(args, g), args.guests), 1):
            failed += not ok
            print("%sok %d - %s" % ("" if ok else "not ", n, name), flush=True)
            if not ok:
                print("# " + why, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
