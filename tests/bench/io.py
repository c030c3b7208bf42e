#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's network, disk and ping on stock Xen and on ours, beside each other: Debian's tool stack (xl) on both.

usage: tests/bench/io.py [--build DIR] [--only xen|xylem]... [--hv-args "..."] [--json FILE]

Counts by opcount.c under -icount on one CPU: millions of instructions of the whole machine per MiB (per 50 packets for
ping), so dom0, guest and hypervisor together; the first round of each is not counted. Fails when a row costs more on ours.
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
from xytest import wait_guest  # noqa: E402

COSTLY = ("cr3", "cr4", "invlpg", "wrmsr", "iret", "sysret")
ADDRESS = "10.77.0.2"
CONFIG = """name = "io"
kernel = "/srv/guests/vmlinux"
ramdisk = "/srv/guests/initrd.gz"
memory = 128
vcpus = 1
extra = "console=hvc0 name=io addr=%s/24"
vif = [ "bridge=xenbr0,mac=00:16:3e:00:00:02" ]
disk = [ "phy:/dev/vdb,xvda,w", "phy:/dev/loop7,xvdb,w" ]
""" % ADDRESS


def measure(args, hv):
    """Boots one hypervisor with the guest; returns {row: {counter: per unit}}."""
    counts = os.path.join(args.work, "io-counts-" + hv)
    vm = xylemvm.VM("bench-io-" + hv, hv=hv, cpus=1, mem=1024, dom0_mem=512, toolstack="stock", hv_args=args.hv_args,
                    hv_image=args.image if hv == "xylem" else None, libvirtd=False, accel="tcg,thread=single",
                    qemu_args=["-icount", "shift=0,sleep=off", "-plugin",
                               "%s,out=%s" % (os.path.join(args.work, "opcount.so"), counts)])
    with vm:
        vm.wait_ready(3600)
        vm.put(os.path.join(HERE, "ioops.py"), "/root")
        vm.write("/root/io.cfg", CONFIG)
        vm.ssh("truncate -s 256M /tmp/scratch && losetup /dev/loop7 /tmp/scratch && xl create -q /root/io.cfg", timeout=1200)
        wait_guest(vm, "io")
        done = vm.ssh("python3 /root/ioops.py %s %d %d" % (ADDRESS, args.iterations, args.mib), timeout=7200)
    if "bench-done" not in done.stdout:
        raise xylemvm.VMError("transfers did not end: " + done.stdout[-500:])
    order = [line.split()[1:] for line in done.stdout.split("\n") if line.startswith("bench-order:")]
    with open(counts) as f:
        lines = [dict((k, int(v)) for k, v in (p.split("=", 1) for p in line.split() if "=" in p) if v.isdigit()) for line in f]
    if len(lines) != len(order):
        raise xylemvm.VMError("%d stretches were counted, %d were run" % (len(lines), len(order)))
    rows = {}
    for (name, units), count in zip(order, lines):
        if name == "warm":
            continue
        row = rows.setdefault(name, dict.fromkeys(("units", "total", "hypervisor", *COSTLY), 0))
        row["units"] += int(units)
        row["total"] += count["user"] + count["kernel"] + count["hypervisor"]
        for key in ("hypervisor", *COSTLY):
            row[key] += count[key]
    return {name: {k: v / row["units"] for k, v in row.items() if k != "units"} for name, row in rows.items()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("XYLEM_BUILD", "."), help="build folder")
    p.add_argument("--image", help="the hypervisor [BUILD/hypervisor/xylem.gz]")
    p.add_argument("--only", action="append", choices=("xen", "xylem"))
    p.add_argument("--hv-args", default="spec-ctrl=no")
    p.add_argument("--iterations", type=int, default=3)
    p.add_argument("--mib", type=int, default=16)
    p.add_argument("--json")
    args = p.parse_args()
    args.image = os.path.abspath(args.image or os.path.join(args.build, "hypervisor", "xylem.gz"))
    args.work = os.path.abspath(os.path.join(args.build, "bench"))
    os.makedirs(args.work, exist_ok=True)
    tables = {}
    try:
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", os.path.join(args.work, "opcount.so"),
                        os.path.join(HERE, "opcount.c")], check=True)
        for hv in args.only or ("xen", "xylem"):
            tables[hv] = measure(args, hv)
    except (xylemvm.VMError, xyimages.ImageError) as e:
        print("bench: %s" % e, file=sys.stderr)
        return 1
    print("| transfer | on | M instructions | of these hypervisor | %s |" % "/".join(COSTLY))
    print("| --- | --- | --- | --- | --- |")
    for name in next(iter(tables.values())):
        for hv, rows in tables.items():
            row = rows[name]
            print("| %s | %s | %.2f | %.2f | %s |" % (name, hv, row["total"] / 1e6, row["hypervisor"] / 1e6,
                                                   "/".join("%.0f" % row[c] for c in COSTLY)))
    if args.json:
        with open(args.json, "w") as f:
            json.dump(tables, f, indent=1)
    worse = [name for name, row in tables.get("xylem", {}).items() if "xen" in tables and row["total"] > tables["xen"][name]["total"]]
    if worse:
        print("costs more than on stock Xen: " + ", ".join(worse))
    return 1 if worse else 0


sys.exit(main())
