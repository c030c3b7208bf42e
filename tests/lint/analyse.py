#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""clang-tidy and cppcheck over all C of the tree, with the flags that make would compile it with; clang-format over all
that .clang-format covers. One TAP line per tool; findings come as comments before it.

usage: analyse.py [--build DIR] [--jobs N] [--only tidy|cppcheck|format]... [FILE...]

DIR is a built build folder ($ANALYSE_BUILD, else the current folder). A tool that is not installed is skipped. Without
files it looks at everything; with files at these alone. make check leaves clang-tidy out ($ANALYSE_ONLY), which takes
minutes; tests/run --full has it.
"""

import argparse
import concurrent.futures
import os
import re
import shlex
import shutil
import subprocess
import sys

import checkout

ROOT = checkout.ROOT
# clang's analyser loses itself in some files.
FILE_SECONDS = 300
# Of a compiler's arguments, those that decide what the code means, and that clang understands.
MEANING = re.compile(r"-[IDU].*|-std=.*|-ffreestanding|-fshort.*|-mno-red-zone|-pthread|-include|-isystem")


def sources(under=("libxenctrl", "libvirt-driver", "hypervisor", "tests", "examples")):
    if not checkout.is_one():
        return []
    return [f for f in checkout.files(*under) if f.endswith((".c", ".h"))]


def commands_in(folder, files):
    """{file relative to ROOT: compiler's arguments} of one build folder, from a dry run in which all files are new."""
    source_dir = os.path.join(ROOT, os.path.relpath(folder, BUILD))
    marks = []
    for f in files:
        path = os.path.join(ROOT, f)
        relative = os.path.relpath(path, source_dir)
        prefix = os.path.relpath(source_dir, folder)
        marks += ["-W", relative, "-W", os.path.join(prefix, relative), "-W", os.path.relpath(path, folder)]
    run = subprocess.run(["make", "-n", "-k", "V=1", "TESTS="] + marks + ["all", "all-am", "check"] + check_programs(folder), cwd=folder,
                         check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    found = {}
    inside = [folder]
    for line in run.stdout.split("\n"):
        moved = re.match(r"make\[\d+\]: (Entering|Leaving) directory '(.*)'", line)
        if moved and moved.group(1) == "Entering":
            inside.append(moved.group(2))
        elif moved:
            inside.pop()
        here = inside[-1]
        # A source is named as `test -f 'x.c' || echo 'DIR/'`x.c where it may be a generated one.
        match = re.search(r"(?:^|\s)(?:gcc|cc|clang)\S*\s([^|;>&]*-[cS]\s[^`]*)(?:`[^`]*`)?(\S*)", line)
        if not match or "--mode=link" in line:
            continue
        words = [w for w in shlex.split(match.group(1) + " " + match.group(2)) if w]
        args = args_in(here, words)
        for word in words:
            path = word.endswith(".c") and find(word, (here, os.path.join(ROOT, os.path.relpath(here, BUILD))))
            if path:
                found.setdefault(path, args)
    return found


def find(name, bases):
    for base in bases:
        path = os.path.realpath(os.path.join(base, name))
        if os.path.isfile(path) and path.startswith(ROOT + os.sep):
            return os.path.relpath(path, ROOT)
    return None


def check_programs(folder):
    """Automake makes these in a make of its own, which does not know that all files are new."""
    with open(os.path.join(folder, "Makefile"), encoding="utf-8") as f:
        match = re.search(r"^check_PROGRAMS = ((?:.*\\\n)*.*)$", f.read(), re.M)
    return match.group(1).replace("$(EXEEXT)", "").replace("\\\n", " ").split() if match else []


def args_in(folder, args):
    """Include paths made absolute, so that the tool can run anywhere."""
    out, take = [], None
    for a in args:
        if take:
            out += [take, os.path.normpath(os.path.join(folder, a))]
            take = None
        elif not MEANING.fullmatch(a):
            continue
        elif a in ("-include", "-isystem"):
            take = a
        elif a.startswith("-I"):
            path = os.path.normpath(os.path.join(folder, a[2:]))
            out += ["-I" + path] if path.startswith((ROOT, BUILD)) else ["-isystem", path]
        else:
            out.append(a)
    return out


def all_commands(files):
    found = {}
    wanted = [f for f in files if f.endswith(".c")]
    for folder, dirs, names in os.walk(BUILD):
        dirs[:] = [d for d in dirs if not d.startswith(".") and d not in ("autom4te.cache", "install")]
        if "Makefile" not in names or not os.path.isdir(os.path.join(ROOT, os.path.relpath(folder, BUILD))):
            continue
        own = os.path.relpath(folder, BUILD)
        # A folder's own files; tests compile those of other folders again, with other flags.
        mine = [f for f in wanted if f.startswith(own + "/")] if not own.startswith("libxenctrl") else \
            [f for f in wanted if f.startswith((own + "/", "tests/unit/x", "tests/fuzz/", "libxenctrl/common/"))]
        if mine:
            for f, args in commands_in(folder, mine).items():
                found.setdefault(f, args)
    return {f: found[f] for f in wanted if f in found}


def parallel(jobs, calls):
    """Runs the commands, yields (key, output) as they end."""
    def one(item):
        key, argv = item
        try:
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, universal_newlines=True,
                                  timeout=FILE_SECONDS)
        except subprocess.TimeoutExpired:
            print("# %s: %s gave up after %d s" % (key, argv[0], FILE_SECONDS), flush=True)
            return key, ""
        return key, done.stdout
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, calls)


def accepted():
    """(path, check) pairs of tidy.txt."""
    with open(os.path.join(ROOT, "tests", "lint", "tidy.txt"), encoding="utf-8") as f:
        return {tuple(line.split()[:2]) for line in f if line.strip() and not line.startswith("#")}


def tidy(files, jobs):
    commands = all_commands(files)
    print("# clang-tidy: %d files" % len(commands))
    if not commands:
        yield "nothing to look at: has %s been configured and made?" % BUILD
    seen, known = set(), accepted()
    calls = [(f, ["clang-tidy", "--quiet", "--header-filter=" + re.escape(ROOT) + "/.*", os.path.join(ROOT, f), "--"]
              + args + ["-Wno-everything"]) for f, args in sorted(commands.items())]
    for _, text in parallel(jobs, calls):
        for line in text.split("\n"):
            match = re.match(r"(\S+?):\d+:\d+: (?:warning|error): .*\[([^]]*)\]$", line)
            if match and line not in seen and (os.path.relpath(match.group(1), ROOT), match.group(2)) not in known:
                seen.add(line)
                yield line.replace(ROOT + "/", "")


def cppcheck(files, jobs):
    commands = all_commands(files)
    print("# cppcheck: %d files" % len(commands))
    if not commands:
        yield "nothing to look at: has %s been configured and made?" % BUILD
    seen = set()
    calls = []
    for f, args in sorted(commands.items()):
        keep = [a for a in args if a.startswith(("-I" + ROOT, "-I" + BUILD, "-D", "-U"))]
        calls.append((f, ["cppcheck", "--quiet", "--std=c11", "--enable=warning,portability,performance", "--inline-suppr",
                          "--suppressions-list=" + os.path.join(ROOT, "tests", "lint", "cppcheck.txt"),
                          "-DXEN_GUEST_HANDLE(x)=void *", "-DXEN_GUEST_HANDLE_64(x)=void *",
                          "-DG_DEFINE_AUTOPTR_CLEANUP_FUNC(type, free)=",
                          "--template={file}:{line}: {id}: {message}"] + keep + [os.path.join(ROOT, f)]))
    for _, text in parallel(jobs, calls):
        for line in text.split("\n"):
            if line.strip() and line not in seen:
                seen.add(line)
                yield line.replace(ROOT + "/", "")


def formatted(files, jobs):
    calls = [(f, ["clang-format", "--dry-run", "--ferror-limit=1", "--style=file", os.path.join(ROOT, f)]) for f in files]
    for _, text in parallel(jobs, calls):
        for line in text.split("\n"):
            if ": warning: " in line or ": error: " in line:
                yield line.replace(ROOT + "/", "")


TOOLS = [("format", "clang-format", formatted), ("cppcheck", "cppcheck", cppcheck), ("tidy", "clang-tidy", tidy)]


def main():
    global BUILD
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.environ.get("ANALYSE_BUILD", os.getcwd()))
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("ANALYSE_JOBS", "2")))
    parser.add_argument("--only", action="append", choices=[t[0] for t in TOOLS])
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    BUILD = os.path.realpath(args.build)
    only = args.only or os.environ.get("ANALYSE_ONLY", "").split()
    files = [os.path.relpath(os.path.realpath(f), ROOT) for f in args.files] or sources()
    tools = [t for t in TOOLS if not only or t[0] in only]
    failed = False
    print("1..%d" % len(tools))
    for number, (_, program, check) in enumerate(tools, 1):
        if not shutil.which(program) or not files:
            print("ok %d - %s # SKIP %s" % (number, program, "not installed" if files else "no git checkout"))
            continue
        faults = list(check(files, args.jobs))
        for fault in faults:
            print("# " + fault)
        print("%s %d - %s finds nothing" % ("not ok" if faults else "ok", number, program), flush=True)
        failed = failed or bool(faults)
    return 1 if failed else 0


BUILD = ""
if __name__ == "__main__":
    sys.exit(main())
