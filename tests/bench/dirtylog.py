#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the log of dirty pages costs a guest: its kernel's operations in direct mode, with the log on, and after it.

usage: tests/bench/dirtylog.py [--build DIR] [--ms MS] [--round MS] [--json FILE]

The guest is microbench.c on Debian's kernel; a program in dom0 switches the log (dirtylogops.py) and clears it each --round
milliseconds. Counts by opcount.c under -icount on one CPU: instructions of the whole machine per operation, each of which
lasts --ms. Fails when the geometric mean with the log is above 1.5 of direct mode, or after it is not direct mode's again.
"""

import argparse
import json
import math
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import xyimages  # noqa: E402
import xylemvm  # noqa: E402
from run import COUNTERS, build  # noqa: E402

PASSES = ("direct", "log", "after")
MEAN_MAX = 1.5
SAME = 0.02  # what dom0's own work makes of difference between two passes
CONFIG = """name = "bench"
kernel = "/srv/guests/vmlinux"
ramdisk = "/root/bench.cpio"
memory = 160
vcpus = 1
extra = "console=hvc0 quiet panic=-1 nokaslr bench_passes=%s bench_ms=%d"
on_poweroff = "destroy"
"""
LOG = "/var/log/xen/console/guest-bench.log"


def machine(args):
    """Runs the guest's passes; returns its console's text, the counter's lines and what dom0's program said."""
    counts = os.path.join(args.work, "dirtylog-counts")
    vm = xylemvm.VM("bench-dirtylog", hv="xylem", cpus=1, mem=1024, dom0_mem=512, toolstack="stock", hv_args=args.hv_args,
                    hv_image=args.image, libvirtd=False, accel="tcg,thread=single",
                    qemu_args=["-icount", "shift=0,sleep=off", "-plugin",
                               "%s,out=%s" % (os.path.join(args.work, "opcount.so"), counts)])
    with vm:
        vm.wait_ready(3600)
        for name in (os.path.join(HERE, "dirtylogops.py"), os.path.join(args.work, "bench.cpio")):
            vm.put(name, "/root")
        vm.write("/root/bench.cfg", CONFIG % (",".join(PASSES), args.ms))
        vm.ssh("xl create -q /root/bench.cfg", timeout=1200)
        done = vm.ssh("python3 /root/dirtylogops.py $(xl domid bench) %s %d" % (LOG, args.round), timeout=14400)
        text = vm.ssh("cat " + LOG, timeout=1200).stdout
    if "bench-done" not in done.stdout or "bench: failed" in text:
        raise xylemvm.VMError("the passes did not end: %s %s" % (done.stdout[-500:], text[-500:]))
    with open(counts) as f:
        lines = [dict((k, int(v)) for k, v in (p.split("=") for p in line.split())) for line in f]
    return text, lines, done.stdout.split("\n")[0]


def rows_of(text, counts):
    """{pass: {operation: {counter: per iteration}}}"""
    rows, current = {}, None
    words = [line.split()[1:] for line in text.replace("\r", "").split("\n") if line.startswith("bench: ")]
    stretches = [w for w in words if w[0] not in ("pass", "done")]
    if len(stretches) != len(counts):
        raise xylemvm.VMError("%d stretches were counted, %d were run" % (len(counts), len(stretches)))
    lines = iter(counts)
    for w in words:
        if w[0] == "pass":
            current = rows.setdefault(w[1], {})
        elif w[0] == "boot":
            next(lines)
        elif w[0] != "done":
            row = current.setdefault(w[0], dict.fromkeys(("n", *COUNTERS), 0))
            count = next(lines)
            row["n"] += int(w[1])
            for k in COUNTERS:
                row[k] += count[k]
    for row in (r for p in rows.values() for r in p.values()):
        n = row.pop("n")
        for k in COUNTERS:
            row[k] /= n
        row["total"] = row["user"] + row["kernel"] + row["hypervisor"]
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("XYLEM_BUILD", "."), help="build folder")
    p.add_argument("--image", help="the hypervisor [BUILD/hypervisor/xylem.gz]")
    p.add_argument("--hv-args", default="spec-ctrl=no")
    p.add_argument("--ms", type=int, default=300, help="of the guest's time, for each operation")
    p.add_argument("--round", type=int, default=100, help="milliseconds between two looks at the log")
    p.add_argument("--json")
    args = p.parse_args()
    args.image = os.path.abspath(args.image or os.path.join(args.build, "hypervisor", "xylem.gz"))
    args.work = os.path.abspath(os.path.join(args.build, "bench"))
    os.makedirs(args.work, exist_ok=True)
    try:
        build(args.work)
        text, counts, rounds = machine(args)
        rows = rows_of(text, counts)
    except (xylemvm.VMError, xyimages.ImageError, subprocess.CalledProcessError) as e:
        print("bench: %s" % e, file=sys.stderr)
        return 1
    print("| operation | direct | log | log / direct | after / direct | hypervisor: direct | log | CR3 loads: direct | log |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    means = {}
    for name, direct in rows["direct"].items():
        on, after = rows["log"][name], rows["after"][name]
        print("| %s | %.0f | %.0f | %.2f | %.3f | %.0f | %.0f | %.1f | %.1f |" % (
            name, direct["total"], on["total"], on["total"] / direct["total"], after["total"] / direct["total"],
            direct["hypervisor"], on["hypervisor"], direct["cr3"], on["cr3"]))
    for which in ("log", "after"):
        ratios = [math.log(rows[which][n]["total"] / r["total"]) for n, r in rows["direct"].items()]
        means[which] = math.exp(sum(ratios) / len(ratios))
    print("geometric mean: log %.3f, after %.3f of direct mode; %s" % (means["log"], means["after"], rounds))
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=1)
    return 1 if means["log"] > MEAN_MAX or abs(means["after"] - 1) > SAME else 0


if __name__ == "__main__":
    sys.exit(main())
