#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules that the tree keeps, one TAP line each: licences, layers, sizes, and readability of scripts.

A rule that finds no file to look at fails: a moved folder must not switch it off.
"""

import fnmatch
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
                                                   "hypfs.c", "mca.c", "platform.c", "pm.c", "settings.h", "sysctl.c", "sysctl.h", "tbuf.c")] + \
            ["hypervisor/dom/cpupool.c"]
LGPL = ("libxenctrl/src/", "libxenctrl/include/", "libvirt-driver/", "tools/xylem-import.c")
EITHER = ("hypervisor/lib/pv", "hypervisor/lib/framecopy", "hypervisor/lib/elf", "hypervisor/lib/bzimage", "hypervisor/lib/decompress", "tests/xml/", "tests/xl/",
          "examples/", "docs/", "tests/unit/", "tests/fuzz/", "libvirt-driver/Makefile.am", "libxenctrl/src/Makefile.am")
# Headers of modules that lie in several files, where the header's name is not the beginning of theirs; with the reason.
FAMILIES = {
    "upward.h": ("*", "what a layer takes from higher ones; layers.py looks at it"),
    "hypervisor/lib/log.h": (("log.c", "panic.c"), "the words of HACKING.md's rules, for all layers; hw/ has them"),
    "hypervisor/lib/string.h": (("printf.c",), "stands for the C library's, which host tests have instead"),
    "hypervisor/lib/pvbuild.h": (("pvimage.c", "pvlayout.c"), "three steps of one interface, which the library shares"),
    "hypervisor/lib/pvregion.h": (("pvlayout.c",), "what pvbuild.c and pvlayout.c share of it"),
    "hypervisor/dom/sched_private.h": (("sched.c", "sched_account.c", "sched_parameters.c"), "what the scheduler's files share"),
    "hypervisor/pv/emulate.h": (("privileged.c", "table_write.c", "io.c"), "what trap.c tries, one after the other"),
    "hypervisor/hypercall/hypercall.h": ("*", "the handlers in dispatch.c's table, one or two of each file"),
    "hypervisor/hypercall/sysctl.h": (("cpupool.c", "debugkeys.c", "pm.c", "tbuf.c"), "sysctl.c's operations, one or two of each file"),
    "hypervisor/boot/boot.h": (("cmdline.c", "dom0.c", "e820.c", "main.c", "multiboot.c"), "the steps of boot, one or two of each file"),
    "libxenctrl/src/private.h": (("error.c", "handle.c", "memory.c"), "the handle, and how a call fails"),
    "libxenctrl/src/saver.h": (("save.c", "savelive.c", "savememory.c"), "one save"),
    "libxenctrl/src/store_conn.h": (("store_conn.c", "store_request.c", "store_watch.c"), "one connection to the store"),
    "libxenctrl/xenctl/xenctl.h": (("console.c", "guestcmd.c", "hostcmd.c", "main.c", "savecmd.c"), "main.c's table of commands"),
}
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
    """code that guests reach stays below 16,200 lines, includes and include guards apart"""
    total = sum(len(re.findall(r"^(?!\s*#\s*include\b|#ifndef \w+_H$|#define \w+_H$|#endif$).*\n", read(p), re.M)) for p in paths
                if p.startswith(tuple("hypervisor/%s/" % f for f in GUEST_REACHABLE)) and p not in DOM0_ONLY)
    if total > 16200:
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


def outermost(text):
    """C without comments, literals, directives, attributes and what stands in braces."""
    text = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', " ", text, flags=re.S)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*|__attribute__\s*\(\(.*?\)\)|__aligned_to\([^)]*\)|^[A-Z_]+\([^;{}\n]*\)$", "", text,
                  flags=re.M)
    kept, depth = [], 0
    for part in re.split(r"([{}])", text):
        depth += {"{": 1, "}": -1}.get(part, 0)
        if depth == 0 or (part == "{" and depth == 1):
            kept.append(part)
    return "".join(kept)


def functions(text, ends):
    """Names of the functions that are declared (ends ";") or defined (ends "{") for other files."""
    for part in re.findall(r"[^;{}]*[;{}]", outermost(text)):
        words = part.split()
        if part[-1] != ends or "(" not in part or "=" in part or {"static", "typedef", "_Static_assert"} & set(words):
            # One line may declare several handlers: hc_fn a, b;
            if ends == ";" and part[-1] == ";" and re.match(r"\s*\w+_fn [\w\s,]+;$", part):
                yield from re.findall(r"\w+", part)[1:]
            continue
        name = re.search(r"(\w+)\s*\(", part).group(1)
        if not re.search(r"\(\s*\*\s*\w+\)\s*\(", part) or name not in ("void", "int", "bool"):
            yield name


def strays(texts):
    """(header, function, where it is defined) for what stands in another header than that of its own file."""
    files_of = {}
    for path, text in texts.items():
        if path.endswith(".c"):
            names = set(functions(text, "{"))
        elif path.endswith(".S"):
            names = set(re.findall(r"^(\w+):", text, re.M))
        else:
            continue
        for name in names:
            files_of.setdefault(name, []).append(path)
    for header in sorted(p for p in texts if p.endswith(".h")):
        folder, stem = os.path.dirname(header), header[:-2]
        family = FAMILIES.get(header, FAMILIES.get(os.path.basename(header), ((), "")))[0]
        for name in functions(texts[header], ";"):
            known = files_of.get(name, [])
            own = [p for p in known if os.path.dirname(p) == folder] or [p for p in known if p.startswith(header.split("/")[0] + "/")]
            # What macros define is not found by its name.
            if own and not any(p[:-2] == stem or os.path.basename(p) in family or "*" in family or
                               (p.startswith(stem) and p[:-2] + ".h" not in texts) for p in own):
                yield header, name, own[0]


def rule_declarations(paths):
    """a header declares what the .c file of its name defines, or the files of its module"""
    sample = {"hypervisor/x/a.c": "int a_one(void)\n{\n\treturn b_two(1);\n}\nstatic int own(void)\n{\n}\n",
              "hypervisor/x/a_more.c": "void a_three(void)\n{\n}\n", "hypervisor/x/b.c": "long\nb_two(int n) __must_check\n{\n}\n",
              "hypervisor/x/e.S": "entered:\n\tret\n", "hypervisor/x/b.h": "",
              "hypervisor/x/a.h": "/* b_two(); */\n#define F(x) b_two(x);\nint a_one(void) __must_check;\nlong b_two(int n); /* no */\n"
                                  "static inline int own(void)\n{\n\treturn b_two(2);\n}\nvoid a_three(void);\nx_fn entered, a_one;\n"
                                  "extern int (*pointer)(int b_two(void));\nstruct s { int (*b_two)(void); };\ntypedef int b_two(void);\n"}
    found = [(name, where) for _, name, where in strays(sample)]
    if found != [("b_two", "hypervisor/x/b.c"), ("entered", "hypervisor/x/e.S")]:
        yield "tests/lint/lint.py", "the rule finds %r in its sample" % found
    texts = {p: read(p) for p in paths if p.startswith(("hypervisor/", "libxenctrl/", "libvirt-driver/")) and p.endswith((".c", ".h", ".S"))
             and not p.startswith(("hypervisor/include/", "libxenctrl/include/"))}
    for header, name, where in strays(texts):
        yield header, "declares %s(), which %s defines" % (name, where)
    for header, (names, _) in FAMILIES.items():
        if "/" in header and header not in texts or not set(names) <= {"*"} | {os.path.basename(p) for p in texts}:
            yield "tests/lint/lint.py", "FAMILIES names files that are not there, for " + header
    listed = {os.path.normpath(os.path.join(os.path.dirname(p), word)) for p in paths if p.endswith("Makefile.am")
              for word in re.findall(r"[\w./-]+\.h\b", read(p))}
    for header in sorted(p for p in texts if p.endswith(".h") and p not in listed):
        yield header, "stands in no Makefile.am: make dist leaves it out"


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


# What Automake packs unasked, and what git alone needs.
PACKED_UNASKED = re.compile(r"\.gitignore|configure\.ac|(.*/)?(Makefile\.am|README\.md|[^/]*\.in)")


def rule_tarball(paths):
    """a file of the tree is in the tarball: a Makefile.am names it, or its folder, or what it matches"""
    if not checkout.is_one():
        return
    makefiles = [(os.path.dirname(path), re.split(r"[\s=,\\]+", read(path))) for path in paths if os.path.basename(path) == "Makefile.am"]
    names = [os.path.basename(word) for _, words in makefiles for word in words if "/" in word]
    folders = {folder for folder, _ in makefiles}
    for path in paths:
        inside = [(os.path.relpath(path, folder or "."), words) for folder, words in makefiles
                  if path.startswith(folder + "/") or not folder]
        if PACKED_UNASKED.fullmatch(path):
            continue
        if not any(fnmatch.fnmatch(os.path.basename(path), name) for name in names) and not any(
                word == at or at.startswith(word + "/") and path[:-len(at)] + word not in folders
                for at, words in inside for word in words if word):
            yield path, "no Makefile.am has it in EXTRA_DIST"


RULES = [rule_layout, rule_words, rule_spdx, rule_layers, rule_length, rule_guest_reachable, rule_leftovers, rule_readmes, rule_scripts,
         rule_headers, rule_declarations, rule_verdicts, rule_tarball]


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
