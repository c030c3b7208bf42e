#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel operations on the bare kernel, on stock Xen and on ours, in one run: a table of instructions and costly operations.

usage: tests/bench/run.py [--build DIR] [--options "spec-ctrl=no"] [--trace] [--out DIR] [--json FILE]

Instructions are exact (-icount, one CPU); wall time is the guest's clock, which under -icount is instructions again, so it
is measured in a second run without it and without the plugin. That of the boot is this machine's clock, from QEMU's start.
--trace makes each operation on both hypervisors a second time while all their trace events are recorded (tracing.c), and
fails when records were lost.
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
TRACED = "-traced"
COUNTERS = ("user", "kernel", "hypervisor") + COSTLY


def build(out, privcmd=None):
    """The plugin, and an initramfs of the benchmark, a busybox, and the kernel's module for hypercalls by processes."""
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", out + "/opcount.so", HERE + "/opcount.c"], check=True)
    subprocess.run(["gcc", "-O2", "-static", "-o", out + "/init", HERE + "/microbench.c", HERE + "/tracing.c"], check=True)
    with open(out + "/bench.cpio", "wb") as f:
        cpio = xyimages.Cpio(f)
        cpio.copy("init", out + "/init", 0o755)
        cpio.copy("bin/busybox", xyimages.busybox(), 0o755)
        if privcmd:
            cpio.copy("xen-privcmd.ko", privcmd, 0o644)
        for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("console", 5, 1)):
            cpio.node("dev/" + name, major, minor)
        cpio.end()


def machine(args, kind, image, out, counted):
    linux = "console=hvc0" if image else "console=ttyS0"
    linux += " quiet panic=-1 nokaslr"
    if kind.endswith(TRACED):
        linux += " bench_trace=1"
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
    records = {name: float(n) for name, n in re.findall(r"bench: records (\S+) ([\d.]+)", text)}
    return [row + (records.get(row[0]),) for row in rows]


def measure(args, kind, image, out):
    result = {}
    rows = machine(args, kind, image, out, True)
    with open(out + "/" + kind + ".counts") as f:
        counts = [dict((k, int(v)) for k, v in (p.split("=") for p in line.split())) for line in f]
    if len(counts) != len(rows):
        sys.exit("bench: %s: %d counted stretches, %d operations" % (kind, len(counts), len(rows)))
    for (name, n, _, records), c in zip(rows, counts):
        result[name] = {k: c[k] / int(n) for k in COUNTERS}
        result[name]["total"] = sum(result[name][k] for k in ("user", "kernel", "hypervisor"))
        result[name]["record_bytes"] = records
    for name, _, wall, _ in machine(args, kind, image, out, False):
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


def trace_table(results):
    """What recording costs, by operation. The boot is over when it begins."""
    print("\n| operation | Xen | traced | times | bytes | ours | traced | times | bytes | traced, ours / Xen |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in results["xen"]:
        if name == "boot":
            continue
        cells = []
        for kind in ("xen", "xylem"):
            off, on = results[kind][name], results[kind + TRACED][name]
            cells += ["%.0f" % off["total"], "%.0f" % on["total"], "%.2f" % (on["total"] / off["total"]), "%.0f" % on["record_bytes"]]
        ratio = results["xylem" + TRACED][name]["total"] / results["xen" + TRACED][name]["total"]
        print("| %s | %s | %.2f |" % (name, " | ".join(cells), ratio))


def slower_rows(results):
    """Names of the rows, traced ones too, in which ours needs more instructions than stock Xen."""
    return [name + mode for mode in ("", TRACED) if "xen" + mode in results for name, ours in results["xylem" + mode].items()
            if ours["total"] > results["xen" + mode][name]["total"]]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("XYLEM_BUILD", "."), help="build folder, for xylem.gz")
    p.add_argument("--kernel", help="another kernel than Debian's")
    p.add_argument("--xen", help="another hypervisor than Debian's Xen")
    p.add_argument("--xylem", help="another image than the build folder's")
    p.add_argument("--cpu", default="qemu64,vendor=GenuineIntel,-svm")
    p.add_argument("--options", default="spec-ctrl=no")
    p.add_argument("--no-bare", action="store_true")
    p.add_argument("--trace", action="store_true", help="each operation with all trace events recorded, too")
    p.add_argument("--out")
    p.add_argument("--json")
    args = p.parse_args()
    out = args.out or tempfile.mkdtemp(prefix="xylem-bench-")
    os.makedirs(out, exist_ok=True)
    privcmd = None
    if args.trace:
        if args.kernel:
            sys.exit("bench: --trace takes Debian's kernel, whose module it loads")
        kernel = xyimages.Kernel()
        privcmd = os.path.join(kernel.modules, kernel.closure(["xen-privcmd"])[-1])
    args.kernel = args.kernel or xyimages.Kernel().vmlinuz
    args.xen = xyimages.gunzipped(args.xen) if args.xen else xyimages.stock_xen()
    args.xylem = xyimages.gunzipped(args.xylem or os.path.join(args.build, "hypervisor", "xylem.gz"))
    build(out, privcmd)
    kinds = [("xen", args.xen), ("xylem", args.xylem)]
    if args.trace:
        kinds += [(kind + TRACED, image) for kind, image in kinds]
    if not args.no_bare:
        kinds.insert(0, ("bare", None))
    results = {kind: measure(args, kind, image, out) for kind, image in kinds if image or kind == "bare"}
    table({kind: rows for kind, rows in results.items() if not kind.endswith(TRACED)})
    if args.trace:
        trace_table(results)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)
    slower = slower_rows(results)
    if slower:
        print("slower than stock Xen: " + ", ".join(slower))
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
