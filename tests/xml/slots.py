#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes what accesstest.c walks: a call of each slot of libvirt's hypervisor driver table, and the permissions that libvirt's protocol
asks for it.

usage: slots.py LIBVIRT-SOURCE >slots.h

Read are src/driver-hypervisor.h and src/remote/remote_protocol.x. Arguments are the connection, the domain, text and zeros.
"""

import re
import sys

OBJECTS = {"virConnectPtr": "conn", "virDomainPtr": "dom", "virDomainSnapshotPtr": "snapshot", "virDomainCheckpointPtr": "checkpoint"}

# Without which some look no further.
VALUES = {"id": "PLAYED_DOMID", "uuid": "uuid", "seconds": "1", "downtime": "1", "nkeycodes": "1"}


def read(*path):
    with open("/".join(path), encoding="utf-8") as f:
        return f.read()


def argument(parameter):
    words = re.findall(r"\w+|\*", parameter)
    if words[0] in OBJECTS and "*" not in words:
        return OBJECTS[words[0]]
    if words[:3] == ["const", "char", "*"] and words.count("*") == 1 and not parameter.endswith("]"):
        return "XML" if "xml" in words[-1].lower() else "TEXT"
    if words[-1] in VALUES and (words[-1] == "uuid" or "*" not in words):
        return VALUES[words[-1]]
    if "*" in words or "[" in parameter or words[0].endswith("Ptr"):
        return "(void *)zeros"
    return "0" if not re.search(r"Callback\w*$", words[0]) else "NULL"


# The protocol lets everybody who may read a domain set them; with its successor, which takes flags, it does not.
BETTER = {"domainSetSchedulerParameters": "domain:write"}


def squeeze(name):
    return name.replace("_", "").lower()


def main():
    header = read(sys.argv[1], "src", "driver-hypervisor.h")
    types = {}
    for result, name, parameters in re.findall(r"typedef (.*?)\s*\(\*(virDrv\w+)\)\((.*?)\);", header, re.S):
        types[name] = (" ".join(result.split()), [" ".join(p.split()) for p in parameters.split(",")])
    table = re.search(r"^struct _virHypervisorDriver \{$(.*?)^\};", header, re.M | re.S).group(1)
    protocol = read(sys.argv[1], "src", "remote", "remote_protocol.x")
    needs = {}
    for comment, name in re.findall(r"/\*\*((?:(?!\*/).)*)\*/\s*REMOTE_PROC_(\w+) = \d+", protocol, re.S):
        needs[squeeze(name)] = re.findall(r"@acl: (\w+:\w+|none)", comment)
    print("/* Made by slots.py. */")
    for type_name, slot in re.findall(r"^\s+(virDrv\w+) (\w+);", table, re.M):
        result, parameters = types[type_name]
        failed = "< 0"
        if result.endswith(("*", "Ptr")) or result.startswith("unsigned"):
            failed = "== 0"
        print("SLOT(%s, %s, \"%s\", (%s))" % (slot, failed, BETTER.get(slot, " ".join(needs.get(squeeze(slot), []))),
                                          ", ".join(argument(p) for p in parameters if p != "void")))


main()
