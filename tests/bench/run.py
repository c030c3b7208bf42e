#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel operations on the bare kernel, on stock Xen and on ours, in one run: a table of instructions and costly operations.

usage: run.py --kernel VMLINUZ [--xen IMAGE] [--xylem IMAGE] [--options "spec-ctrl=no"] [--out DIR] [--json FILE]

Instructions are exact (-icount, one CPU); wall time is the guest's clock, which under -icount is instructions again, so it
is measured in a second run without it and without the plugin. Images are uncompressed.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 1800
COUNTERS = ("user", "kernel", "hypervisor", "cr3", "invlpg", "wrmsr", "iret", "sysret")


def build(out):
    """The plugin, and an initramfs of the benchmark and a busybox."""
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", out + "/opcount.so", HERE + "/opcount.c"], check=True)
    root = out + "/root"
    os.makedirs(root + "/bin", exist_ok=True)
    os.makedirs(root + "/dev", exist_ok=True)
    subprocess.run(["gcc", "-O2", "-static", "-o", root + "/init", HERE + "/microbench.c"], check=True)
    subprocess.run(["cp", "/bin/busybox", root + "/bin/busybox"], check=True)
    for name, minor in (("null", 3), ("zero", 5)):
        if not os.path.exists(root + "/dev/" + name):
            os.mknod(root + "/dev/" + name, 0o20666, os.makedev(1, minor))
    if not os.path.exists(root + "/dev/console"):
        os.mknod(root + "/dev/console", 0o20600, os.makedev(5, 1))
    with open(out + "/bench.cpio", "wb") as f:
        names = subprocess.run(["find", "."], cwd=root, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names, stdout=f, check=True)


def machine(args, kind, image, out, counted):
    linux = "console=hvc0" if image else "console=ttyS0"
    linux += " quiet panic=-1 nokaslr"
    command = ["qemu-system-x86_64", "-cpu", args.cpu, "-m", "1024", "-nographic", "-no-reboot", "-net", "none"]
    if counted:
        command += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-plugin", out + "/opcount.so,out=" + out + "/" + kind + ".counts"]
    else:
        command += ["-accel", "tcg"]
    if image:
        command += ["-kernel", image, "-append", "console=com1 com1=115200 dom0_mem=512M " + args.options, "-initrd", "%s %s,%s/bench.cpio" % (args.kernel, linux.replace(",", ",,"), out)]
    else:
        command += ["-kernel", args.kernel, "-append", linux, "-initrd", out + "/bench.cpio"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S)
    text = done.stdout.decode(errors="replace")
    with open("%s/%s%s.log" % (out, kind, "" if counted else ".wall"), "w") as f:
        f.write(text)
    rows = re.findall(r"bench: (\S+) (\d+) ([\d.]+)", text)
    if "bench: done" not in text:
        sys.exit("bench: %s did not finish; see %s/%s.log" % (kind, out, kind))
    return rows


def measure(args, kind, image, out):
    result = {}
    rows = machine(args, kind, image, out, True)
    with open(out + "/" + kind + ".counts") as f:
        counts = [dict((k, int(v)) for k, v in (p.split("=") for p in line.split())) for line in f]
    if len(counts) != len(rows):
        sys.exit("bench: %s: %d counted stretches, %d operations" % (kind, len(counts), len(rows)))
    for (name, n, _), c in zip(rows, counts):
        result[name] = {k: c[k] / int(n) for k in COUNTERS}
        result[name]["total"] = sum(result[name][k] for k in ("user", "kernel", "hypervisor"))
    for name, n, wall in machine(args, kind, image, out, False):
        result[name]["wall_us"] = float(wall)
    return result


def table(results):
    kinds = list(results)
    print("instructions per operation (of them the hypervisor's), CR3 loads / INVLPG / WRMSR / IRET / SYSRET, wall time")
    for name in results[kinds[0]]:
        for kind in kinds:
            r = results[kind][name]
            print("%-17s %-6s %14.0f %12.0f   %5.1f /%5.1f /%5.1f /%5.1f /%5.1f   %s" % (
                name, kind, r["total"], r["hypervisor"], r["cr3"], r["invlpg"], r["wrmsr"], r["iret"], r["sysret"],
                "%.1f us" % r["wall_us"] if name != "boot" else ""))
        if "xen" in kinds and "xylem" in kinds:
            print("%-17s ours / Xen %10.2f" % (name, results["xylem"][name]["total"] / results["xen"][name]["total"]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--kernel", required=True)
    p.add_argument("--xen")
    p.add_argument("--xylem")
    p.add_argument("--cpu", default="qemu64,vendor=GenuineIntel,-svm")
    p.add_argument("--options", default="spec-ctrl=no")
    p.add_argument("--no-bare", action="store_true")
    p.add_argument("--out")
    p.add_argument("--json")
    args = p.parse_args()
    out = args.out or tempfile.mkdtemp(prefix="xylem-bench-")
    os.makedirs(out, exist_ok=True)
    build(out)
    results = {}
    for kind, image in (("bare", None), ("xen", args.xen), ("xylem", args.xylem)):
        if image or (kind == "bare" and not args.no_bare):
            results[kind] = measure(args, kind, image, out)
    table(results)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)
    slower = [n for n in results.get("xylem", {}) if "xen" in results and results["xylem"][n]["total"] > results["xen"][n]["total"]]
    if slower:
        print("slower than stock Xen: " + ", ".join(slower))
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
