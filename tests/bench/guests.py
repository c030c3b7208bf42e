#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest start, destroy, info and list through libvirt: stock Xen with libxl, and our tool stack on both hypervisors.

usage: tests/bench/guests.py [--build DIR] [--only xen+stock|xen+ours|xylem+ours]... [--json FILE]

Counts by opcount.c under -icount on one CPU: millions of instructions of the whole machine from call to reply, through one
open libvirt connection in dom0; then wall time in a second run without it. The guest is a 32 MiB test guest, left paused.
"""

import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import xyimages  # noqa: E402
import xylemvm  # noqa: E402

COSTLY = ("cr3", "cr4", "invlpg", "wrmsr", "iret", "sysret")


def measure(args, combo, counted):
    """Boots one combination; returns guestops.py's output and the counter's lines as dicts."""
    hv, toolstack = combo.split("+")
    counts = os.path.join(args.work, "counts-" + combo)
    extra = {}
    if counted:
        extra = {"accel": "tcg,thread=single", "qemu_args": ["-icount", "shift=0,sleep=off", "-plugin",
                                                             "%s,out=%s" % (os.path.join(args.work, "opcount.so"), counts)]}
    vm = xylemvm.VM("bench-" + combo, hv=hv, cpus=1, mem=1280, dom0_mem=512, toolstack=toolstack, hv_args="spec-ctrl=no",
                    shares={"install": args.install} if toolstack == "ours" else {},
                    hv_image=args.image if hv == "xylem" else None, **extra)
    with vm:
        vm.wait_ready(3600)
        vm.put(os.path.join(HERE, "guestops.py"), "/root")
        vm.put(args.guest, "/root")
        done = vm.ssh("python3 /root/guestops.py /root/%s %d" % (os.path.basename(args.guest), args.iterations), timeout=3600)
    if "bench-done" not in done.stdout:
        raise xylemvm.VMError("guest operations did not end: " + done.stdout[-500:])
    lines = []
    if counted:
        with open(counts) as f:
            for line in f:
                fields = [part.split("=", 1) for part in line.split() if "=" in part]
                lines.append({name: int(value) for name, value in fields if value.isdigit()})
    return done.stdout.split("\n"), lines


def table(args, combo):
    """Per operation: millions of instructions, costly ones, and milliseconds of wall time."""
    out, counts = measure(args, combo, True)
    order = [line.split()[1] for line in out if line.startswith("bench-order:")]
    if len(counts) != len(order):
        raise xylemvm.VMError("%d stretches were counted, %d were run" % (len(counts), len(order)))
    rows = {}
    for name, count in zip(order, counts):
        row = rows.setdefault(name, dict.fromkeys(("n", "instructions", "hypervisor", *COSTLY), 0))
        row["n"] += 1
        row["instructions"] += count["user"] + count["kernel"] + count["hypervisor"]
        for cost in ("hypervisor", *COSTLY):
            row[cost] += count[cost]
    if args.time:
        for line in measure(args, combo, False)[0]:
            words = line.split()
            if line.startswith("bench: ") and words[1] in rows:
                rows[words[1]]["ms"] = int(words[3]) / int(words[2]) / 1e6
    return {name: {k: v if k == "ms" else v / row["n"] for k, v in row.items() if k != "n"} for name, row in rows.items()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("XYLEM_BUILD", "."), help="build folder")
    p.add_argument("--install", default=os.environ.get("XYLEM_INSTALL"), help="DESTDIR of make install")
    p.add_argument("--image", help="the hypervisor [DESTDIR/boot/xylem.gz]")
    p.add_argument("--guest", help="kernel of the small guest [a test guest of the build folder]")
    p.add_argument("--only", action="append", choices=("xen+stock", "xen+ours", "xylem+ours"))
    p.add_argument("--iterations", type=int, default=10)
    p.add_argument("--no-time", dest="time", action="store_false")
    p.add_argument("--json")
    args = p.parse_args()
    args.install = os.path.abspath(args.install or os.path.join(args.build, "install"))
    args.image = args.image or os.path.join(args.install, "boot", "xylem.gz")
    args.guest = os.path.abspath(args.guest or os.path.join(args.build, "tests", "guests", "start-of-day.elf"))
    args.work = os.path.abspath(os.path.join(args.build, "bench"))
    os.makedirs(args.work, exist_ok=True)
    tables = {}
    try:
        if not os.path.exists(args.guest):
            subprocess.run(["make", "-s", "-C", os.path.dirname(args.guest), os.path.basename(args.guest)], check=True)
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", os.path.join(args.work, "opcount.so"),
                        os.path.join(HERE, "opcount.c")], check=True)
        for combo in args.only or ("xen+stock", "xen+ours", "xylem+ours"):
            tables[combo] = table(args, combo)
    except (xylemvm.VMError, xyimages.ImageError) as e:
        print("bench: %s" % e, file=sys.stderr)
        return 1
    print("| operation | stack | M instructions | of these hypervisor | %s | ms |" % "/".join(COSTLY))
    print("| --- | --- | --- | --- | --- | --- |")
    for name in next(iter(tables.values())):
        for combo, rows in tables.items():
            row = rows[name]
            print("| %s | %s | %.2f | %.2f | %s | %s |" % (
                name, combo, row["instructions"] / 1e6, row["hypervisor"] / 1e6, "/".join("%.0f" % row[c] for c in COSTLY),
                "%.1f" % row["ms"] if "ms" in row else "-"))
    if args.json:
        with open(args.json, "w") as f:
            json.dump(tables, f, indent=1)
    return 0


sys.exit(main())
