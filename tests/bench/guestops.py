# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: guests through one open libvirt connection, each operation between marks (opcount.c).

usage: guestops.py KERNEL ITERATIONS
"""

import sys
import time

import libvirt

import marks

XML = """<domain type='xen'><name>bench%d</name><memory unit='KiB'>32768</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='xenpv'>linux</type><kernel>%s</kernel></os>
<devices><console type='pty'/></devices></domain>"""


def main():
    kernel, iterations = sys.argv[1], int(sys.argv[2])
    conn = libvirt.open("xen:///system")
    start, destroy, info, listing = marks.Row("start"), marks.Row("destroy"), marks.Row("info"), marks.Row("list-of-10")
    for warm in (True, False):
        for n in range(2 if warm else iterations):
            create = lambda n=n: conn.createXML(XML % (n, kernel), libvirt.VIR_DOMAIN_START_PAUSED)  # noqa: E731
            if warm:
                create().destroy()
                time.sleep(1)  # as between the others: both hypervisors clear freed memory when they are idle
                continue
            dom = start.run(create)
            info.run(dom.info)
            destroy.run(dom.destroy)
            time.sleep(0.5)
    guests = [conn.createXML(XML % (n, kernel), libvirt.VIR_DOMAIN_START_PAUSED) for n in range(10)]
    conn.listAllDomains()
    for _ in range(iterations):
        listing.run(conn.listAllDomains)
    for dom in guests:
        dom.destroy()
    marks.report()


main()
