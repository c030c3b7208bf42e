# SPDX-License-Identifier: GPL-2.0-or-later
"""The git checkout that the tree is, where it is one: a release's tarball is none."""

import os
import subprocess

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))


def is_one():
    return os.path.exists(os.path.join(ROOT, ".git"))


def command(*args):
    """git's arguments; the checkout may be another user's than the one that runs the tests (git-config(1), safe.directory)."""
    return ["git", "-c", "safe.directory=" + ROOT, "-C", ROOT] + list(args)


def output(*args):
    return subprocess.run(command(*args), stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout


def files(*under):
    """Paths relative to ROOT. A new file counts before it is committed; one that is deleted but not yet committed does not."""
    listed = output("ls-files", "-co", "--exclude-standard", "--", *under).split("\n")
    return sorted({f for f in listed if f and os.path.isfile(os.path.join(ROOT, f))})
