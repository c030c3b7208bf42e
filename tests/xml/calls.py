#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each call of libvirt's hypervisor driver table is served, or stands in docs/calls.md with a reason; none does both.

A heading there that ends in "(libvirt X.Y.Z)" is of what that release has and those before have not.
$LIBVIRT_RELEASE is libvirt's, $LIBVIRT_SCHEMAS libvirt's src/conf/schemas, $DRIVER_DOCS is docs/driver.md, $srcdir this folder.
"""

import os
import re
import sys


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


def release(text):
    return [int(number) for number in text.split(".")]


def of_release(text):
    """The sections of docs/calls.md that are about $LIBVIRT_RELEASE."""
    for section in re.split(r"\n(?=## )", text)[1:]:
        since = re.search(r"\(libvirt ([\d.]+)\)$", section.split("\n")[0])
        if not since or release(since.group(1)) <= release(os.environ["LIBVIRT_RELEASE"]):
            yield section


def main():
    top = os.path.join(os.environ["LIBVIRT_SCHEMAS"], "..", "..")
    table = re.search(r"^struct _virHypervisorDriver \{$(.*?)^\};", read(top, "driver-hypervisor.h"), re.M | re.S).group(1)
    slots = set(re.findall(r"^\s+virDrv\w+ (\w+);", table, re.M))
    driver = read(os.environ["srcdir"], "..", "..", "libvirt-driver", "driver.c")
    served = set(re.findall(r"^\t\.(\w+) = ", re.search(r"virHypervisorDriver \w+ = \{(.*?)^\};", driver, re.M | re.S).group(1), re.M))
    text = read(os.path.dirname(os.environ["DRIVER_DOCS"]), "calls.md")
    listed = re.findall(r"`(\w+)`", "\n".join(of_release(text)))
    failed = 0
    for number, (name, wrong) in enumerate((
            ("libvirt's table is read: %d calls, %d of them served" % (len(slots), len(served & slots)),
             [] if len(slots) > 200 and served else ["%d slots" % len(slots)]),
            ("what is not served stands in docs/calls.md", sorted(slots - served - set(listed) - {"name"})),
            ("what is served does not", sorted(served & set(listed))),
            ("nothing stands there twice, or is unknown to libvirt",
             sorted({n for n in listed if listed.count(n) > 1} | (set(listed) - slots))))):
        for line in wrong:
            print("# " + line)
        print("%s %d - %s" % ("not ok" if wrong else "ok", number + 1, name))
        failed += bool(wrong)
    print("1..4")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
