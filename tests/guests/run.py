#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the PV test guests in dom0's place and prints TAP.

usage: run.py --hypervisor IMAGE [--bochs] [--cpu MODEL] [--cpus N] [--options "..."]
              [--guest-options "..."] [--jobs N] [--log DIR] GUEST.elf ...

IMAGE is an uncompressed Multiboot image (xylem.bin or stock Xen's, gunzipped), started by QEMU's loader, or with --bochs
under Bochs by GRUB Legacy from a disk image; MODEL is one of "qemu-system-x86_64 -cpu help" or of "bochs --help cpu". A guest
passes when it prints its verdict; the machine may then do what it likes. The time-out is generous and only ends what hangs.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import threading

import bochs

# What the hypervisors say when there will be no verdict; tests/lint/lint.py looks for ours in their source.
PANIC = "Panic on CPU"
ENDS = ("Hardware Dom0", "dom0 has crashed", "dom0 has powered off", "dom0's watchdog expired")
# One vcpu of hypercall-edges looks whether the debug keys that it is about to send have an R among them, and the other one's call
# writes one there meanwhile.
REBOOTS = "the machine reboots, since key R was sent"
TIMEOUT_S = 240 * float(os.environ.get("XYLEM_TIMEOUT_SCALE", "1"))
HYPERVISOR_OPTIONS = "console=com1 com1=115200 dom0_mem=64M loglvl=warning guest_loglvl=all "


def modules(guest):
    """A test of two domains gets itself as its RAM disk: dom0's side starts the others from it."""
    return [guest, guest] if os.path.basename(guest).startswith("pair-") else [guest]


def options(guest):
    """hypercall-edges has the two vcpus that make its calls: another one would come up with what a call has made its context."""
    return " dom0_max_vcpus=2" if os.path.basename(guest) == "hypercall-edges.elf" else ""


class Qemu:
    """A QEMU that runs: its serial output line by line."""

    def __init__(self, args, guest):
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", args.cpu, "-smp", str(args.cpus), "-m", "256", "-nographic",
                   "-no-reboot", "-net", "none", "-kernel", args.hypervisor, "-initrd",
                   ",".join(("%s %s" % (m, args.guest_options)).strip() for m in modules(guest)), "-append",
                   HYPERVISOR_OPTIONS + args.options + options(guest)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def lines(self):
        for line in self.process.stdout:
            yield line.decode(errors="replace").rstrip()

    def kill(self):
        self.process.kill()

    def end(self):
        self.process.kill()
        self.process.wait()


def prepare(args, folder):
    """What all runs of these arguments share."""
    if args.bochs:
        bochs.disk(os.path.join(folder, "disk.img"), args.hypervisor, HYPERVISOR_OPTIONS + args.options,
                   [(guest, args.guest_options, modules(guest)) for guest in args.guests])


def start(args, guest, folder):
    if args.bochs:
        return bochs.Machine(os.path.join(folder, os.path.basename(guest)), os.path.join(folder, "disk.img"),
                             args.guests.index(guest), args.cpu, args.cpus)
    return Qemu(args, guest)


def run(args, guest, folder):
    """A guest's verdict. What two vcpus that race have asked for by chance (REBOOTS) is no verdict: again, at most three times."""
    for _ in range(3):
        name, passed, why, log = once(args, guest, folder)
        if passed or args.cpus < 2 or name != "hypercall-edges" or not any(REBOOTS in line for line in log):
            break
    return name, passed, why


def once(args, guest, folder):
    name = os.path.basename(guest)[:-4]
    machine = start(args, guest, folder)
    asked = re.search(r"seconds=(\d+)", args.guest_options)
    timer = threading.Timer(TIMEOUT_S + 10 * int(asked[1] if asked else 0), machine.kill)
    timer.start()
    verdict, log = None, []
    lines = machine.lines()
    for line in lines:
        log.append(line)
        found = re.search(r"guest-test: (pass|fail) (.*)", line)
        if found:
            verdict = found
            break
        if PANIC in line:
            log += [text for _, text in zip(range(40), lines)]
            break
        if any(word in line for word in ENDS):
            break
    timer.cancel()
    machine.end()
    if args.log:
        with open(os.path.join(args.log, name + ".log"), "w") as f:
            f.write("\n".join(log) + "\n")
    if verdict and verdict[1] == "pass" and verdict[2].strip() == name:
        return name, True, "", log
    return name, False, verdict[2] if verdict else "no verdict; the last lines:\n# " + "\n# ".join(log[-25:]), log


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--hypervisor", required=True)
    p.add_argument("--bochs", action="store_true")
    p.add_argument("--cpu")
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--options", default="")
    p.add_argument("--guest-options", default="", help="the guest's command line")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--log")
    p.add_argument("guests", nargs="+")
    args = p.parse_args()
    args.cpu = args.cpu or ("corei7_skylake_x" if args.bochs else "qemu64,vendor=GenuineIntel,-svm")
    if args.log:
        os.makedirs(args.log, exist_ok=True)
    print("1..%d" % len(args.guests), flush=True)
    failed = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        prepare(args, folder)
        for n, (name, ok, why) in enumerate(pool.map(lambda g: run(args, g, folder), args.guests), 1):
            failed += not ok
            print("%sok %d - %s" % ("" if ok else "not ", n, name), flush=True)
            if not ok:
                print("# " + why, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
