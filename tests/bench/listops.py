# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: many guests are listed, and asked for their statistics, each operation between marks (opcount.c); and as many of
libvirt's own test driver, by the same libvirtd.

usage: listops.py KERNEL ITERATIONS
"""

import sys

import libvirt

import marks

MANY = (40, 200)
XML = """<domain type='%s'><name>bench%d</name><memory unit='KiB'>%d</memory><vcpu>1</vcpu>
<os><type arch='x86_64'%s>%s</type><kernel>%s</kernel></os>
<devices>%s</devices></domain>"""
KIB = 4096
TEST = "/root/test-%d.xml"


def write_test_nodes(kernel):
    for many in MANY:
        guests = "".join(XML % ("test", n, KIB, "", "hvm", kernel, "") for n in range(many))
        with open(TEST % many, "w") as f:
            f.write("<node>%s</node>" % guests)


def measure(conn, name, many, iterations):
    """Both calls, as virsh list and virsh domstats make them; the first of each warms up."""
    for what, call in (("list", conn.listAllDomains),
                       ("state", lambda: conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)),
                       ("domstats", conn.getAllDomainStats)):
        found = call()
        if len(found) != many:
            sys.exit("%s of %s: %d guests, not %d" % (what, name, len(found), many))
        row = marks.Row("%s-%d-%s" % (what, many, name))
        for _ in range(iterations):
            row.run(call)


def main():
    kernel, iterations = sys.argv[1], int(sys.argv[2])
    write_test_nodes(kernel)
    conn = libvirt.open("xen:///system")
    guests = []
    host = [dom.ID() for dom in conn.listAllDomains()]  # dom0, where it is one
    for many in MANY:
        guests += [conn.createXML(XML % ("xen", n, KIB, " machine='xenpv'", "linux", kernel, "<console type='pty'/>"),
                                  libvirt.VIR_DOMAIN_START_PAUSED) for n in range(len(guests), many - len(host))]
        measure(conn, "guests", many, iterations)
        test = libvirt.open("test+unix://" + TEST % many)
        measure(test, "floor", many, iterations)
        test.close()
    for dom in guests:
        dom.destroy()
    marks.report()


main()
