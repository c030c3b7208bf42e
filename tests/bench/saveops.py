# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: a quiet Linux guest to a file and back, and live to the same host, each operation between marks (opcount.c).

usage: saveops.py HYPERVISOR TOOLSTACK ITERATIONS

Save and restore go through one open libvirt connection. Migrations go as the tool stack has them: xl's, or migrate.c's,
which asks xylemd for what libvirt's driver asks two of them for. The guest that is migrated beats (beat.c) once a millisecond.
"""

import os
import subprocess
import sys
import time

import libvirt

import marks

KIB = 131072
KERNEL, RAMDISK, BEATING = "/srv/guests/vmlinux", "/srv/guests/initrd.gz", "/root/beating.gz"
SAVED = "/root/bench.save"
LOG = "/var/log/xen/console/guest-%s.log"
UUID = "5a5a0000-0000-4000-8000-%012d"
XML = """<domain type='xen'><name>saved</name><memory unit='KiB'>%d</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='xenpv'>linux</type><kernel>%s</kernel><initrd>%s</initrd><cmdline>console=hvc0</cmdline></os>
<devices><console type='pty'/></devices></domain>""" % (KIB, KERNEL, RAMDISK)
XL = """name = "moved"
kernel = "%s"
ramdisk = "%s"
memory = %d
vcpus = 1
extra = "console=hvc0"
""" % (KERNEL, BEATING, KIB // 1024)
OURS = """name = moved
uuid = %s
memory_kib = %d
kernel = %s
ramdisk = %s
cmdline = console=hvc0
""" % (UUID % 0, KIB, KERNEL, BEATING)


def wait_up(name):
    """Until its user space is up, and has become quiet."""
    while True:
        try:
            with open(LOG % name, "rb") as f:
                if b"xylem-guest: up" in f.read():
                    break
        except FileNotFoundError:
            pass
        time.sleep(0.5)
    time.sleep(10)


def save_and_restore(iterations):
    conn = libvirt.open("xen:///system")
    dom = conn.createXML(XML)
    wait_up("saved")
    rows = marks.Row("save"), marks.Row("restore")
    for n in range(iterations + 1):  # the first one warms up
        save, restore = rows if n else (marks.Row("warm"), marks.Row("warm"))
        save.run(lambda: dom.save(SAVED))
        time.sleep(2)
        if n == iterations:
            st = os.stat(SAVED)
            print("bench-note: the saved guest has %d bytes, on disk %d" % (st.st_size, st.st_blocks * 512))
        restore.run(lambda: conn.restore(SAVED))
        os.unlink(SAVED)
        dom = conn.lookupByName("saved")
        time.sleep(5)
    dom.destroy()


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def xl_migrate(row):
    started = time.monotonic_ns()
    marks.BEGIN()
    done = subprocess.run(["xl", "migrate", "-s", "", "moved", "xl migrate-receive"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, check=False)
    marks.END()
    row.add(time.monotonic_ns() - started)
    if done.returncode:
        why = [line for line in done.stdout.split("\n") if "error:" in line]
        print("bench-note: xl cannot migrate it: " + " | ".join(why[:2]))
        sys.stdout.flush()
    return done.returncode == 0


def with_xl(hypervisor, iterations):
    write("/root/moved.cfg", XL)
    subprocess.run(["xl", "create", "-q", "/root/moved.cfg"], check=True)
    wait_up("moved")
    for n in range(iterations + 1):
        if not xl_migrate(marks.Row("migrate" if n else "warm")) or hypervisor == "xen":
            break
        time.sleep(5)
    subprocess.run(["xl", "destroy", "moved"], check=False)


def with_xylemd(iterations):
    write("/root/moved.guest", OURS)
    subprocess.run(["xenctl", "create", "/root/moved.guest"], check=True)
    wait_up("moved")
    row = marks.Row("migrate")
    for n in range(iterations + 1):
        done = subprocess.run(["/root/migrate", UUID % n, "moved%d" % (n + 1), UUID % (n + 1)], stdout=subprocess.PIPE,
                              universal_newlines=True, check=True)
        (row if n else marks.Row("warm")).add(int(done.stdout))
        time.sleep(5)
    subprocess.run(["xenctl", "destroy", UUID % (iterations + 1)], check=True)
    row = marks.Row("send")
    for n in range(iterations):
        write("/root/sent.guest", OURS.replace("name = moved", "name = sent%d" % n).replace(UUID % 0, UUID % (100 + n)))
        subprocess.run(["xenctl", "create", "/root/sent.guest"], check=True)
        wait_up("sent%d" % n)
        done = subprocess.run(["/root/migrate", UUID % (100 + n)], stdout=subprocess.PIPE, universal_newlines=True, check=True)
        row.add(int(done.stdout))


def main():
    hypervisor, toolstack, iterations = sys.argv[1], sys.argv[2], int(sys.argv[3])
    subprocess.run("cat %s /root/beat.cpio.gz >%s" % (RAMDISK, BEATING), shell=True, check=True)
    if hypervisor + toolstack != "xylemstock":
        save_and_restore(iterations)
    if toolstack == "stock":
        with_xl(hypervisor, iterations)
    elif hypervisor == "xylem":
        with_xylemd(iterations)
    marks.report()


main()
