#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that a newcomer starts first, where nobody answers them or they are ended. Nothing is built and no VM runs."""

import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))
sys.dont_write_bytecode = True


def closed(program, folder):
    """The program's output, with its standard input closed and all packages missing; apt installs none."""
    for name in ("dpkg-query", "apt-get", "apt-cache", "sudo"):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 1\n")
        os.chmod(path, 0o755)
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, os.path.join(ROOT, *program),
                           "--build", os.path.join(folder, "build")], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=300,
                          env=dict(os.environ, PATH=folder + ":" + os.environ["PATH"], PYTHONDONTWRITEBYTECODE="1"))
    return done.returncode, done.stdout


class FakeHost:
    """The quick start's host, which runs from boot() to stop()."""
    runs = False

    def stop(self):
        FakeHost.runs = False


def ended(folder, number, before):
    """Whether the host is gone after a signal comes while it boots, and the exit status."""
    loader = importlib.machinery.SourceFileLoader("quickstart", os.path.join(ROOT, "examples", "quickstart"))
    q = importlib.util.module_from_spec(importlib.util.spec_from_loader("quickstart", loader))
    loader.exec_module(q)
    FakeHost.runs = before

    def boot(progress, args):
        del progress, args
        FakeHost.runs = True
        os.kill(os.getpid(), number)
        return FakeHost()
    q.shutil.which = lambda name: name
    q.missing_packages = lambda: []
    q.introduce = q.install_packages = q.images = q.build = lambda *args: None
    q.host = lambda: FakeHost() if FakeHost.runs else None
    q.boot = boot
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["quickstart", "--build", folder]
    status = None
    try:
        q.main()
    except SystemExit as e:
        status = e.code
    except KeyboardInterrupt:
        status = "interrupt"
    return status, FakeHost.runs


SESSION = """
import os, signal, sys
sys.path.insert(0, %r)
from xytest import Suite
class VM:
    def start(self): os.kill(os.getpid(), %d)
    def stop(self): print("stopped")
Suite([("xylem", "ours")], "").session("s", VM, [("case", print)])
"""


def session(number):
    """What a system test prints that gets the signal while its VM starts."""
    done = subprocess.run([sys.executable, "-c", SESSION % (os.path.join(ROOT, "tests", "lib"), number)], check=False,
                          stdout=subprocess.PIPE, universal_newlines=True, timeout=300,
                          preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    return done.stdout


FLAKY = """#!%s
import os, sys
sys.path.insert(0, %r)
from xytest import Suite
log = os.path.join(%r, "dmesg.txt")
suite = Suite([], "")
suite.report(%s, "it works")
with open(log, "a") as f:
    f.write(%r)
suite.end()
"""
DEATH = "[1.0] qemu-system-x86[77]: segfault at a0 ip 0 sp 0 error 4\n"


def rerun(good, says):
    """How tests/run counts a system test during which the kernel's log gets this line, and how often it runs it."""
    loader = importlib.machinery.SourceFileLoader("run", os.path.join(ROOT, "tests", "run"))
    run = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
    loader.exec_module(run)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("dmesg", "#!/bin/sh\nexec cat %s/dmesg.txt\n" % folder),
                           ("test-flaky", FLAKY % (sys.executable, os.path.join(ROOT, "tests", "lib"), folder, good, says))):
            with open(os.path.join(folder, name), "w", encoding="ascii") as f:
                f.write(text)
            os.chmod(os.path.join(folder, name), 0o755)
        total = run.Sum()
        with contextlib.redirect_stdout(io.StringIO()) as said:
            run.tap("flaky", [os.path.join(folder, "test-flaky")], folder, argparse.Namespace(build=folder), total,
                    dict(os.environ, PATH=folder + ":" + os.environ["PATH"], PYTHONDONTWRITEBYTECODE="1"))
        with open(os.path.join(folder, "dmesg.txt"), encoding="ascii") as f:
            runs = len(f.readlines())
    return total.passed, total.failed, runs, "QEMU itself died: it is run once more" in said.getvalue()


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        code, text = closed(("examples", "quickstart"), folder)
        results.append(("the quick start with a closed input says that nobody is there to answer",
                        code == 1 and "nobody is there to answer it: --yes" in text and "Traceback" not in text, text))
        code, text = closed(("tests", "run"), folder)
        results.append(("tests/run with a closed input installs", code == 2 and "not ok - apt-get update" in text, text))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            got = ended(folder, number, False)
            want = ("interrupt" if number == signal.SIGINT else 128 + number, False)
            results.append(("%s ends the quick start and the host that it boots" % number.name, got == want, str(got)))
        got = ended(folder, signal.SIGTERM, True)
        results.append(("a host that ran before it runs on", got == (128 + signal.SIGTERM, True), str(got)))
    for number in (signal.SIGTERM, signal.SIGHUP):
        got = session(number)
        results.append(("%s ends a system test and the VM that it starts" % number.name, got == "stopped\n", got))
    for name, good, says, want in (("where QEMU dies, a test that passes then", "os.path.exists(log)", DEATH, (1, 0, 2, True)),
                                   ("where QEMU dies each time, a test that fails", "False", DEATH, (0, 1, 2, True)),
                                   ("where another program dies, a test that fails", "False", "init[1]: segfault\n", (0, 1, 1, False)),
                                   ("where QEMU dies, a test that passes", "True", DEATH, (1, 0, 1, False))):
        got = rerun(good, says)
        results.append(("tests/run: " + name, got == want, str(got)))
    for number, (name, good, text) in enumerate(results, 1):
        if not good:
            print("# " + text.replace("\n", "\n# "))
        print("%s %d - %s" % ("ok" if good else "not ok", number, name))
    print("1..%d" % len(results))
    return 0 if all(good for _, good, _ in results) else 1


sys.exit(main())
