#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel operations on the bare kernel, on stock Xen and on ours, in one run: a table of instructions and costly operations.

usage: tests/bench/run.py [--build DIR] [--options "spec-ctrl=no"] [--out DIR] [--json FILE]

Instructions are exact (-icount, one CPU); wall time is the guest's clock, which under -icount is instructions again, so it
is measured in a second run without it and without the plugin. That of the boot is this machine's clock, from QEMU's start.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import xyimages  # noqa: E402

TIMEOUT_S = 1800
COSTLY = ("cr3", "cr4", "invlpg", "wrmsr", "iret", "sysret")
COUNTERS = ("user", "kernel", "hypervisor") + COSTLY


def build(out):
    """The plugin, and an initramfs of the benchmark and a busybox."""
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", out + "/opcount.so", HERE + "/opcount.c"], check=True)
    subprocess.run(["gcc", "-O2", "-static", "-o", out + "/init", HERE + "/microbench.c"], check=True)
    with open(out + "/bench.cpio", "wb") as f:
        cpio = xyimages.Cpio(f)
        cpio.copy("init", out + "/init", 0o755)
        cpio.copy("bin/busybox", xyimages.busybox(), 0o755)
        for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("console", 5, 1)):
            cpio.node("dev/" + name, major, minor)
        cpio.end()


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
    started, booted, text = time.monotonic(), None, ""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
        limit = threading.Timer(TIMEOUT_S, qemu.kill)
        limit.start()
        for line in qemu.stdout:
            text += line.decode(errors="replace")
            if booted is None and "bench: boot" in text:
                booted = time.monotonic() - started
        limit.cancel()
    with open("%s/%s%s.log" % (out, kind, "" if counted else ".wall"), "w") as f:
        f.write(text)
    rows = [(name, n, booted * 1e6 if name == "boot" else wall)
            for name, n, wall in re.findall(r"bench: (\S+) (\d+) ([\d.]+)", text)]
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
    print("| operation | on | instructions | of these hypervisor | %s | wall time, us |" % " / ".join(COSTLY))
    print("| --- | --- | --- | --- | --- | --- |")
    for name in results[kinds[0]]:
        for kind in kinds:
            r = results[kind][name]
            print("| %s | %s | %.0f | %.0f | %s | %.1f |" % (
                name, kind, r["total"], r["hypervisor"], " / ".join("%.1f" % r[c] for c in COSTLY), r["wall_us"]))
        if "xen" in kinds and "xylem" in kinds:
            print("| %s | ours / Xen | %.2f | | | |" % (name, results["xylem"][name]["total"] / results["xen"][name]["total"]))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("XYLEM_BUILD", "."), help="build folder, for xylem.gz")
    p.add_argument("--kernel", help="another kernel than Debian's")
    p.add_argument("--xen", help="another hypervisor than Debian's Xen")
    p.add_argument("--xylem", help="another image than the build folder's")
    p.add_argument("--cpu", default="qemu64,vendor=GenuineIntel,-svm")
    p.add_argument("--options", default="spec-ctrl=no")
    p.add_argument("--no-bare", action="store_true")
    p.add_argument("--out")
    p.add_argument("--json")
    args = p.parse_args()
    out = args.out or tempfile.mkdtemp(prefix="xylem-bench-")
    os.makedirs(out, exist_ok=True)
    args.kernel = args.kernel or xyimages.Kernel().vmlinuz
    args.xen = xyimages.gunzipped(args.xen) if args.xen else xyimages.stock_xen()
    args.xylem = xyimages.gunzipped(args.xylem or os.path.join(args.build, "hypervisor", "xylem.gz"))
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
