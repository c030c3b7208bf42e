#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The hypervisor's layers by the symbols of its objects, one TAP line each:

 - an object refers to symbols of its own layer or of lower ones; the exceptions stand in LAYER/upward.h, which lists no
   symbol that its layer does not take from above (what a lower layer lists is everybody's);
 - a symbol that no other object refers to is static, is called by a host test, or is one of UNREFERENCED.

usage: layers.py [--build DIR]     DIR: a built build folder ($ANALYSE_BUILD, else the current one)
"""

import argparse
import collections
import os
import re
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))
LAYERS = ["lib", "hw", "mm", "dom", "pv", "hypercall", "boot"]
# Referred to by something else than our objects, with the reason.
UNREFERENCED = {
    "multiboot_entry": "the linker script's entry",
    "trampoline_entry": "jumped to by address in the copy below 1 MiB",
    "malloc": "the unpacking libraries'", "calloc": "the unpacking libraries'", "free": "the unpacking libraries'",
    "__stack_chk_fail": "the unpacking libraries'",
    "ZSTD_trace_decompress_begin": "libzstd's", "ZSTD_trace_decompress_end": "libzstd's",
    "hc_multicall": "dispatch.c's own table, declared with all handlers",
    "pv_iret": "declared with the other crossings of bounce.c",
    "wrmsr_safe": "the counterpart of rdmsr_safe",
    "sched_cpus": "declared for all files of the scheduler",
}


def symbols(build):
    """(layer, object) -> names that it defines, and names that it refers to."""
    defined, wanted = collections.defaultdict(set), collections.defaultdict(set)
    for layer in LAYERS:
        folder = os.path.join(build, "hypervisor", layer)
        # What is left of a source that is gone does not count.
        objects = sorted(f for f in os.listdir(folder) if re.match(r"libhypervisor_a-.*\.o$", f) and any(
            os.path.exists(os.path.join(ROOT, "hypervisor", layer, f[:-2].split("-", 1)[-1] + end)) for end in (".c", ".S"))) \
            if os.path.isdir(folder) else []
        if not objects:
            continue
        shown = subprocess.run(["nm", "-P", "-A", "-g"] + objects, cwd=folder, stdout=subprocess.PIPE, check=True,
                               universal_newlines=True).stdout
        for line in shown.splitlines():
            name, symbol, kind = re.match(r"(\S+): (\S+) (\w)", line).groups()
            if not symbol.startswith("__x86_indirect_thunk_"):  # the compiler's, register by register
                (wanted if kind == "U" else defined)[layer, name].add(symbol)
    return defined, wanted


def listed(layer):
    """Names that LAYER/upward.h declares."""
    path = os.path.join(ROOT, "hypervisor", layer, "upward.h")
    if not os.path.exists(path):
        return set()
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    names = set(re.findall(r"(\w+)\([^;]*\)[^;()]*;", text))
    for names_of_data in re.findall(r"extern (?:struct )?\w+ ([^;]*);", text):
        names |= {re.sub(r"\[.*", "", n).strip() for n in names_of_data.split(",")}
    return names


def upward(defined, wanted):
    where = {s: layer for (layer, _), names in defined.items() for s in names}
    for layer in LAYERS:
        taken = collections.defaultdict(set)
        for (own, name), refers in wanted.items():
            for symbol in refers if own == layer else ():
                if symbol in where and LAYERS.index(where[symbol]) > LAYERS.index(layer):
                    taken[symbol].add(name)
        allowed = listed(layer)
        below = set().union(*(listed(lower) for lower in LAYERS[:LAYERS.index(layer)]))
        for symbol in sorted(set(taken) - allowed - below):
            yield "%s: refers to %s of %s/, which %s/upward.h does not list" % (
                ", ".join(sorted(taken[symbol])), symbol, where[symbol], layer)
        for symbol in sorted(allowed - set(taken)):
            yield "%s/upward.h lists %s, which nothing in %s/ takes from above" % (layer, symbol, layer)


def unreferenced(defined, wanted):
    referred = set().union(*wanted.values())
    for folder, _, names in os.walk(os.path.join(ROOT, "tests", "unit")):
        for name in names:
            if name.endswith((".c", ".h")):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    referred |= set(re.findall(r"\b[a-z_0-9]{4,}\b", f.read()))
    for (layer, name), names in sorted(defined.items()):
        for symbol in sorted(names - referred - set(UNREFERENCED)):
            yield "%s/%s: %s is referred to by no other object: make it static, or remove it" % (layer, name, symbol)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.environ.get("ANALYSE_BUILD", os.getcwd()))
    args = parser.parse_args()
    if not os.path.exists(os.path.join(args.build, "hypervisor", "libhypervisor.a")):
        print("1..0 # SKIP the hypervisor is not built in %s" % args.build)
        return 0
    print("1..3")
    defined, wanted = symbols(args.build)
    enough = {layer for layer, _ in defined} == set(LAYERS) and sum(map(len, wanted.values())) > 500
    print("%s 1 - objects of all layers are found" % ("ok" if enough else "not ok"))
    failed = not enough
    for number, (title, check) in enumerate((("layers refer to lower ones, or to what they list", upward),
                                             ("no symbol is global in vain", unreferenced)), 2):
        faults = list(check(defined, wanted))
        for fault in faults:
            print("# " + fault)
        print("%s %d - %s" % ("not ok" if faults else "ok", number, title))
        failed = failed or bool(faults)
    return 1 if failed else 0


sys.exit(main())
