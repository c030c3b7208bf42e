# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages that building and testing take: which of .ci/packages are missing, and their installation."""

import os
import shutil
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))
# Unpacked by the images, never installed; apt must know them.
UNPACKED = ("xen-hypervisor-4.17-amd64", "linux-image-amd64", "grub-legacy")


def wanted(without=()):
    """Names in .ci/packages; without: words of the headings of parts that are left out."""
    names, take = [], True
    with open(os.path.join(ROOT, ".ci", "packages"), encoding="ascii") as f:
        for line in f:
            if line.startswith("#"):
                take = not any(word in line for word in without)
            elif take and line.split("#")[0].strip():
                names.append(line.split("#")[0].strip())
    return names


def missing(names):
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"] + names, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    present = {line.split()[0] for line in shown.stdout.split("\n") if line.endswith(" installed")}
    return [n for n in names if n not in present]


def unknown():
    """Whether apt does not know what the images are made of: its lists are empty or old."""
    return any(subprocess.run(["apt-cache", "show", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode for name in UNPACKED)


def somebody():
    """Whether somebody sits at a terminal; standard input may be closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def agreed(names, yes):
    """Says what would be installed; asks, unless yes or nobody is there to answer."""
    if not names:
        return True
    print("These Debian packages are missing and will be installed with apt:\n  " + " ".join(names), flush=True)
    if yes or not somebody():
        return True
    return input("Go on? [Y/n] ").strip().lower() in ("", "y", "yes")


def commands(names):
    """The commands that install them, as (title, arguments); the lists of apt are renewed first."""
    sudo = [] if os.getuid() == 0 else ["sudo"]
    if sudo and (names or unknown()) and not shutil.which("sudo"):
        sys.exit("As root, or with sudo, which is not here: apt-get update; apt-get install --no-install-recommends %s" % " ".join(names))
    plan = []
    if names or unknown():
        plan.append(("apt-get update", sudo + ["apt-get", "-q", "update"]))
    if names:
        plan.append(("apt-get install", sudo + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y",
                                                "--no-install-recommends", "install"] + names))
    return plan
