# SPDX-License-Identifier: GPL-2.0-or-later
"""The frame of guests.py, lists.py and saves.py: operations in dom0, on stock Xen with libxl and our tool stack on both hypervisors.

Each combination boots twice: under -icount on one CPU, where opcount.c counts what the whole machine executes between the
marks that a script in dom0 makes (marks.py); and without, for the wall time.
"""

import argparse
import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import xyimages  # noqa: E402
import xylemvm  # noqa: E402

COSTLY = ("cr3", "cr4", "invlpg", "wrmsr", "iret", "sysret")


def arguments(description, combos, iterations):
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("XYLEM_BUILD", "."), help="build folder")
    p.add_argument("--install", default=os.environ.get("XYLEM_INSTALL"), help="DESTDIR of make install")
    p.add_argument("--image", help="the hypervisor [DESTDIR/boot/xylem.gz]")
    p.add_argument("--only", action="append", choices=combos)
    p.add_argument("--iterations", type=int, default=iterations)
    p.add_argument("--no-time", dest="time", action="store_false")
    p.add_argument("--json")
    return p


def prepare(args):
    """Fills in what was not given, and builds the counter."""
    args.install = os.path.abspath(args.install or os.path.join(args.build, "install"))
    args.image = args.image or os.path.join(args.install, "boot", "xylem.gz")
    args.work = os.path.abspath(os.path.join(args.build, "bench"))
    os.makedirs(args.work, exist_ok=True)
    compile_c(args, "opcount.so", "opcount.c", "-shared", "-fPIC", "-fvisibility=hidden")


def compile_c(args, out, source, *flags):
    out = os.path.join(args.work, out)
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", out, os.path.join(HERE, source), *flags], check=True)
    return out


def measure(args, combo, put, command, counted, mib=1280):
    """Boots one combination with so much memory, puts files into /root and runs the command there; returns its output and the counter's lines."""
    hv, toolstack = combo.split("+")
    counts = os.path.join(args.work, "counts-" + combo)
    extra = {}
    if counted:
        extra = {"accel": "tcg,thread=single", "qemu_args": ["-icount", "shift=0,sleep=off", "-plugin",
                                                             "%s,out=%s" % (os.path.join(args.work, "opcount.so"), counts)]}
    vm = xylemvm.VM("bench-%s-%d" % (combo, os.getpid()), hv=hv, cpus=1, mem=mib, dom0_mem=512, toolstack=toolstack,
                    hv_args="spec-ctrl=no", shares={"install": args.install} if toolstack == "ours" else {},
                    hv_image=args.image if hv == "xylem" else None, **extra)
    with vm:
        vm.wait_ready(3600)
        for path in (os.path.join(HERE, "marks.py"), *put):
            vm.put(path, "/root")
        done = vm.ssh(command, timeout=7200)
    if "bench-done" not in done.stdout:
        raise xylemvm.VMError("the operations did not end: " + done.stdout[-500:])
    lines = []
    if counted:
        with open(counts) as f:
            for line in f:
                fields = [part.split("=", 1) for part in line.split() if "=" in part]
                lines.append({name: int(value) for name, value in fields if value.isdigit()})
    return done.stdout.split("\n"), lines


def table(args, combo, put, command, mib=1280):
    """Per operation: instructions, costly ones, and milliseconds of wall time; and what the script said of itself."""
    out, counts = measure(args, combo, put, command, True, mib)
    order = [line.split()[1] for line in out if line.startswith("bench-order:")]
    if len(counts) != len(order):
        raise xylemvm.VMError("%d stretches were counted, %d were run" % (len(counts), len(order)))
    rows = {}
    for name, count in zip(order, counts):
        row = rows.setdefault(name, dict.fromkeys(("n", "instructions", "user", "kernel", "hypervisor", "gap", *COSTLY), 0))
        row["n"] += 1
        row["instructions"] += count["user"] + count["kernel"] + count["hypervisor"]
        for cost in ("user", "kernel", "hypervisor", "gap", *COSTLY):
            row[cost] += count[cost]
    if args.time:
        for line in measure(args, combo, put, command, False, mib)[0]:
            words = line.split()
            if line.startswith("bench: ") and words[1] in rows:
                rows[words[1]]["ms"] = int(words[3]) / int(words[2]) / 1e6
    notes = [line[len("bench-note: "):] for line in out if line.startswith("bench-note: ")]
    return {name: {k: v if k == "ms" else v / row["n"] for k, v in row.items() if k != "n"} for name, row in rows.items()}, notes


def show(tables):
    print("| operation | stack | M instructions | user/kernel/hypervisor | %s | ms |" % "/".join(COSTLY))
    print("| --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(name for rows in tables.values() for name in rows):
        for combo, rows in tables.items():
            if name not in rows:
                continue
            row = rows[name]
            print("| %s | %s | %.2f | %s | %s | %s |" % (
                name, combo, row["instructions"] / 1e6,
                "/".join("%.2f" % (row[who] / 1e6) for who in ("user", "kernel", "hypervisor")),
                "/".join("%.0f" % row[c] for c in COSTLY), "%.1f" % row["ms"] if "ms" in row else "-"))


def main(args, combos, measure_all):
    """measure_all(combo): rows and notes of a combination; returns the tables, or None after an error was told."""
    # Told to end, it ends its VM too.
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: sys.exit(1))
    tables = {}
    try:
        prepare(args)
        for combo in args.only or combos:
            tables[combo], notes = measure_all(combo)
            for note in notes:
                print("%s: %s" % (combo, note), file=sys.stderr)
    except (xylemvm.VMError, xyimages.ImageError, subprocess.CalledProcessError) as e:
        print("bench: %s" % e, file=sys.stderr)
        return None
    if args.json:
        with open(args.json, "w") as f:
            json.dump(tables, f, indent=1)
    return tables
