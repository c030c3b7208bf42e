#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Walks libvirt's schema of the domain XML: each element and attribute in it is carried out, without meaning and documented, or
refused by name.

usage: schema.py [--update]

$LIBVIRT_SCHEMAS is libvirt's folder of .rng files, of release $LIBVIRT_RELEASE; elementstest in the current folder asks the driver
for each path on its standard input; $srcdir has the golden files, $DRIVER_DOCS is driver.md.  What the walk finds is compared with schema-RELEASE.list, so that an element which a later schema brings is
noticed; below a refused element nothing is listed.  What is carried out must occur in a golden file that is accepted, what has no
meaning besides in the documentation.
"""

import glob
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

RNG = "{http://relaxng.org/ns/structure/1.0}"


class Schema:
    """The grammar of domain.rng with all that it includes."""

    def __init__(self, folder):
        self.defines = {}
        self.folder = folder
        self.loaded = set()
        self.start = None
        self.load("domain.rng")

    def load(self, name):
        if name in self.loaded:
            return
        self.loaded.add(name)
        for node in ET.parse(os.path.join(self.folder, name)).getroot():
            if node.tag == RNG + "include":
                self.load(node.get("href"))
            elif node.tag == RNG + "define":
                self.defines.setdefault(node.get("name"), []).append(node)
            elif node.tag == RNG + "start" and name == "domain.rng":
                self.start = node


def names(node):
    """Names that an <element> or <attribute> of the grammar may have; none where any name may stand."""
    if node.get("name"):
        return [node.get("name")]
    first = list(node)[0]
    if first.tag == RNG + "name":
        return [first.text.strip()]
    if first.tag == RNG + "choice":
        return [n.text.strip() for n in first if n.tag == RNG + "name"]
    return []


def walk(schema, wanted):
    """Set of paths; wanted(path) tells whether to look into an element."""
    found = set()
    todo = [(schema.start, None)]
    seen = set()
    while todo:
        node, path = todo.pop()
        for child in node:
            if child.tag == RNG + "ref":
                name = child.get("name")
                if (name, path) not in seen:
                    seen.add((name, path))
                    todo += [(d, path) for d in schema.defines[name]]
            elif child.tag == RNG + "attribute":
                found.update("%s@%s" % (path, n) for n in names(child) if ":" not in n)
            elif child.tag == RNG + "element":
                for n in names(child):
                    below = "" if path is None else path + "/" + n if path else n
                    found.add(below)
                    if wanted(below):
                        todo.append((child, below))
            elif child.tag.startswith(RNG):
                todo.append((child, path))
    return found


def ask(program, paths):
    """path -> (class, what a refusal says); without paths those that the driver lists."""
    argv = [program] if paths else [program, "--list"]
    done = subprocess.run(argv, input="".join(p + "\n" for p in paths), stdout=subprocess.PIPE, universal_newlines=True, check=True)
    answers = {}
    for line in done.stdout.splitlines():
        path, kind, said = (line + "\t\t").split("\t")[:3]
        answers[path] = (kind, said)
    return answers


def golden_paths(srcdir):
    """Paths that occur in golden files which are accepted."""
    found = set()
    accepted = [conf[:-5] + ".xml" for conf in glob.glob(os.path.join(srcdir, "*.conf"))]
    # What only a start could resolve.
    for path in accepted + glob.glob(os.path.join(srcdir, "resolve-*.xml")):
        todo = [(ET.parse(path).getroot(), "")]
        while todo:
            node, path = todo.pop()
            found.add(path)
            found.update("%s@%s" % (path, a) for a in node.attrib)
            if path != "metadata":
                todo += [(c, path + "/" + c.tag if path else c.tag) for c in node]
    return found


def documented(path, text):
    """The element, and its attribute, stand in the documentation."""
    element, _, attribute = path.partition("@")
    element = element.split("/")[-1] or "domain"
    return "<" + element in text and (not attribute or re.search(r"\b%s\b" % attribute, text))


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, wrong, name):
        self.count += 1
        self.failed += bool(wrong)
        for line in wrong[:40]:
            print("# " + line)
        print("%s %d - %s" % ("not ok" if wrong else "ok", self.count, name), flush=True)


def main():
    program, srcdir = "./elementstest", os.environ.get("srcdir", ".")
    known = ask(program, [])
    schema = Schema(os.environ["LIBVIRT_SCHEMAS"])
    passed = {p for p, (kind, _) in known.items() if kind != "refused"}
    found = walk(schema, lambda path: path in passed and path != "metadata")
    answers = ask(program, sorted(found))
    release = os.environ["LIBVIRT_RELEASE"]
    listed = "".join("%s %s\n" % (answers[p][0], p or "domain") for p in sorted(found))
    path = os.path.join(srcdir, "schema-%s.list" % release)
    if "--update" in sys.argv:
        with open(path, "w") as f:
            f.write(listed)
    tap = Tap()
    counts = {k: sum(1 for a in answers.values() if a[0] == k) for k in ("carried", "idle", "refused")}
    if os.path.exists(path):
        with open(path) as f:
            expected = f.read()
        tap.ok(sorted(set(listed.splitlines()) ^ set(expected.splitlines())),
               "the schema of libvirt %s is the one that was looked at (%d carried out, %d without meaning, %d refused)" %
               (release, counts["carried"], counts["idle"], counts["refused"]))
    wrong = []
    for p, (kind, said) in answers.items():
        word = re.split("[/@]", p)[-1]
        if kind == "refused" and not re.search(r"[<:\s]%s\b" % re.escape(word), said):
            wrong.append("%s: %s" % (p, said))
        if kind != "refused" and said:
            wrong.append("%s is refused: %s" % (p, said))
    tap.ok(wrong, "what is refused is refused by its name, all else is not")
    tap.ok(sorted(p for p in passed if p and p not in found), "no path in the driver's list is unknown to the schema")
    golden = golden_paths(srcdir)
    tap.ok(sorted(p for p in passed if p not in golden), "each path that is accepted occurs in a golden file")
    with open(os.environ["DRIVER_DOCS"]) as f:
        text = f.read()
    tap.ok(sorted(p for p in passed if known[p][0] == "idle" and not documented(p, text)), "what has no meaning is documented")
    print("1..%d" % tap.count)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
