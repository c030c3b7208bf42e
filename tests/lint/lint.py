#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules that the tree keeps, one TAP line each: licences, layers, sizes, and readability of scripts.

A rule that finds no file to look at fails: a moved folder must not switch it off.
"""

import os
import re
import subprocess
import sys

import checkout

ROOT = checkout.ROOT
SKIP_DIRS = {".git", "autom4te.cache", "build-aux", "m4", "__pycache__", ".deps", ".libs", "LICENSES", "corpus", "gen"}
GENERATED = {"aclocal.m4", "configure", "config.h", "config.h.in", "config.status", "config.log", "libtool", "stamp-h1",
             "Makefile.in", "Makefile"}
LAYERS = ["lib", "hw", "mm", "dom", "pv", "hypercall", "boot"]
GUEST_REACHABLE = ["mm", "dom", "pv", "hypercall"]
# Calls that refuse everybody but dom0 before they read an argument: no guest gets further into these files.
DOM0_ONLY = ["hypervisor/hypercall/" + f for f in ("cpupool.c", "debugdump.c", "debugdump.h", "debugkeys.c", "domctl.c", "domctl.h",
                                                   "domctl_access.c", "domctl_frames.c", "domctl_shadow.c", "domctl_vcpu.c", "domctl_vcpustate.c",
                                                   "hypfs.c", "mca.c", "platform.c", "pm.c", "settings.h", "sysctl.c", "tbuf.c")] + \
            ["hypervisor/dom/cpupool.c"]
LGPL = ("libxenctrl/src/", "libxenctrl/include/", "libvirt-driver/", "tools/xylem-import.c")
EITHER = ("hypervisor/lib/pv", "hypervisor/lib/framecopy", "hypervisor/lib/elf", "hypervisor/lib/bzimage", "hypervisor/lib/decompress", "tests/xml/", "tests/xl/",
          "examples/", "docs/", "tests/unit/", "tests/fuzz/", "libvirt-driver/Makefile.am", "libxenctrl/src/Makefile.am")
SPDX_SUFFIX = (".c", ".h", ".S", ".py", ".sh", ".am", ".ac", ".lds", ".pml", ".in")


def files():
    """Paths relative to the root of all that is source, without what a build leaves in the tree."""
    if checkout.is_one():
        return checkout.files()
    found = []
    for folder, dirs, names in os.walk(ROOT):
        dirs[:] = [d for d in dirs if d not in SKIP_DIRS and not d.startswith(("build", "xylem-", "_"))
                   and not os.path.exists(os.path.join(folder, d, "config.status"))]
        for name in names:
            if name not in GENERATED and not name.endswith((".o", ".lo", ".la", ".log", ".trs", "~")):
                found.append(os.path.relpath(os.path.join(folder, name), ROOT))
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def is_source(path):
    if os.path.basename(path) in GENERATED:
        return False
    return path.endswith(SPDX_SUFFIX) or (os.access(os.path.join(ROOT, path), os.X_OK) and read(path).startswith("#!"))


def rule_spdx(paths):
    """each source file names its licence, and the right one"""
    for path in filter(is_source, paths):
        match = re.search(r"SPDX-License-Identifier: (\S+)", "\n".join(read(path).split("\n")[:5]))
        if not match:
            yield path, "no SPDX line among the first five"
            continue
        licence = match.group(1)
        if licence not in ("GPL-2.0-or-later", "LGPL-2.1-or-later"):
            yield path, "licence " + licence
        elif not path.startswith(EITHER):
            want = "LGPL-2.1-or-later" if path.startswith(LGPL) else "GPL-2.0-or-later"
            if licence != want:
                yield path, "is %s, its folder is %s" % (licence, want)


def rule_layers(paths):
    """a hypervisor file includes only its own layer and lower ones"""
    for path in paths:
        parts = path.split("/")
        if parts[0] != "hypervisor" or len(parts) < 3 or parts[1] not in LAYERS or not path.endswith((".c", ".h", ".S")):
            continue
        own = LAYERS.index(parts[1])
        for number, line in enumerate(read(path).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            name = match.group(1).split("/")
            if len(name) > 1 and name[0] in LAYERS and LAYERS.index(name[0]) > own:
                yield "%s:%d" % (path, number), "%s includes %s, a higher layer" % (parts[1], match.group(1))
            elif ".." in name:
                yield "%s:%d" % (path, number), "include by a relative path hides the layer"


def rule_length(paths):
    """no C file beyond 1,200 lines, no line beyond 140 columns (tables in tests may be wider)"""
    for path in paths:
        if not path.endswith((".c", ".h", ".S")):
            continue
        lines = read(path).split("\n")
        if len(lines) > 1200:
            yield path, "%d lines" % len(lines)
        for number, line in enumerate(lines, 1):
            if len(line.expandtabs(8)) > 140 and not path.startswith("tests/"):
                yield "%s:%d" % (path, number), "%d columns" % len(line.expandtabs(8))


def rule_guest_reachable(paths):
    """code that guests reach stays below 16,500 lines"""
    total = sum(read(p).count("\n") for p in paths
                if p.startswith(tuple("hypervisor/%s/" % f for f in GUEST_REACHABLE)) and p not in DOM0_ONLY)
    if total > 16500:
        yield "hypervisor", "%d lines in %s" % (total, ", ".join(GUEST_REACHABLE))


def rule_leftovers(paths):
    """no tags for later, no trailing blanks, no conflict marks"""
    tags = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b(?!ING)")
    for path in paths:
        if not (is_source(path) or path.endswith(".md")):
            continue
        for number, line in enumerate(read(path).split("\n"), 1):
            where = "%s:%d" % (path, number)
            if tags.search(line):
                yield where, "tag " + tags.search(line).group(0)
            if line != line.rstrip() and not path.endswith(".md"):
                yield where, "trailing blank"
            if re.match(r"(<<<<<<<|>>>>>>>) ", line):
                yield where, "conflict mark"


def rule_readmes(paths):
    """each top folder has a README.md of at most a page"""
    for folder in ("hypervisor", "libxenctrl", "libvirt-driver", "examples", "tests", "docs"):
        readme = folder + "/README.md"
        if readme not in paths:
            yield readme, "missing"
        elif read(readme).count("\n") > 80:
            yield readme, "%d lines" % read(readme).count("\n")


def rule_scripts(paths):
    """scripts parse: sh -n, and Python's own compiler"""
    for path in paths:
        if not os.access(os.path.join(ROOT, path), os.X_OK) and not path.endswith(".py"):
            continue
        text = read(path)
        if text.startswith("#!/usr/bin/env python3") or path.endswith(".py"):
            try:
                compile(text, path, "exec")
            except SyntaxError as e:
                yield path, str(e)
        elif re.match(r"#!/bin/(sh|bash|busybox sh)\b", text):
            shell = "bash" if "bash" in text.split("\n", 1)[0] else "sh"
            done = subprocess.run([shell, "-n", os.path.join(ROOT, path)], stderr=subprocess.PIPE, check=False,
                                  universal_newlines=True)
            if done.returncode:
                yield path, done.stderr.strip()


def rule_headers(paths):
    """each header guards itself against a second inclusion"""
    for path in paths:
        if path.endswith(".h") and not path.startswith("hypervisor/include/"):
            text = read(path)
            if "#pragma once" not in text and not re.search(r"#ifndef (\w+)\n#define \1\b", text):
                yield path, "no include guard"


def rule_words(paths):
    """what tests/guests/run.py waits for is printed by the hypervisor"""
    code = "".join(read(p) for p in paths if p.startswith("hypervisor/") and p.endswith(".c"))
    match = re.search(r'^PANIC = ("[^"]*")\nENDS = \(([^)]*)\)', read("tests/guests/run.py"), re.M)
    words = re.findall(r'"([^"]*)"', match.group(0)) if match else []
    for word in words or [None]:
        if word is None or (word not in code and not word.startswith("Hardware")):
            yield "tests/guests/run.py", "waits for %r, which is printed nowhere" % word


def rule_layout(paths):
    """no damage by a formatter: comment ends on lines of their own, keywords as names, an & that lost a blank"""
    faults = ((r"/\* [^\n]*\n(?:\s*\* [^\n]*\n)*\s*\*/\n", "the comment begins in its first line and ends on a line of its own"),
              (r"enum class\b", "class is taken for a keyword"),
              (r"[\w)] &\(?[A-Z_]{2,}\b", "a binary & without a blank behind it"),
              (r"[\w)] &&\w", "an && without a blank behind it"),
              (r"\n \*[^\s*/\n][^\n]*\n", "text of a comment sticks to its asterisk"))
    for path in paths:
        if path.endswith((".c", ".h")):
            text = read(path)
            for pattern, why in faults:
                for match in re.finditer(pattern, text):
                    yield "%s:%d" % (path, text.count("\n", 0, match.start()) + 1), why


def rule_verdicts(paths):
    """no test's verdict is true whatever happened"""
    for path in paths:
        if path.startswith("tests/") and path.endswith((".c", ".h")):
            for number, line in enumerate(read(path).split("\n"), 1):
                if re.search(r"\b(?:tap_)?ok\((?:true|1),", line):
                    yield "%s:%d" % (path, number), "a verdict that cannot fail: assert what it says"


RULES = [rule_layout, rule_words, rule_spdx, rule_layers, rule_length, rule_guest_reachable, rule_leftovers, rule_readmes, rule_scripts,
         rule_headers, rule_verdicts]


def main():
    paths = files()
    print("1..%d" % (len(RULES) + 1))
    enough = sum(p.startswith("hypervisor/") for p in paths) > 20 and "configure.ac" in paths
    print("%s 1 - the tree is found" % ("ok" if enough else "not ok"))
    failed = not enough
    for number, rule in enumerate(RULES, 2):
        faults = list(rule(paths))
        for where, why in faults[:40]:
            print("# %s: %s" % (where, why))
        print("%s %d - %s" % ("not ok" if faults else "ok", number, rule.__doc__))
        failed = failed or bool(faults)
    return 1 if failed else 0


sys.exit(main())
