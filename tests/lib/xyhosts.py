# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts on a network of their own, and a guest that moves between them with something to lose.

The hosts' bridges are one network, on which the guest keeps its address. It carries a file of random bytes in its memory,
counts, and watches that no clock of its goes back; what it has afterwards is compared.
"""

import collections
import tempfile
import time

import xylemvm
from xytest import Failure, address, equal, expect, expect_quiet, in_guest, wait_for, wait_in

NAME, NUMBER = "moved", 60
WHERE = address(NUMBER)
# Its uptime is looked at five times a second, its date at each number.
PREPARE = ("dd if=/dev/urandom of=/tmp/r bs=1M count=8 2>/dev/null; : >/tmp/back; "
           "(n=0 was=0; while :; do n=$((n+1)) now=$(date +%s); echo $n >/tmp/n; mv /tmp/n /tmp/c; "
           "[ $now -ge $was ] || echo date $was, $now >>/tmp/back; was=$now; sleep 1; done) >/dev/null 2>&1 & "
           "(was=0; while read up idle </proc/uptime; do now=${up%.*}${up#*.}; "
           "[ $now -ge $was ] || echo uptime $was, $now >>/tmp/back; was=$now; sleep 0.2; done) >/dev/null 2>&1 & "
           "sleep 2; md5sum /tmp/r")
# Seconds by which its clock may differ from before: that of a host counts from its board's clock, which has whole seconds.
CLOCKS_S = 3
LIBVIRTD = "libvirtd -d -l >/var/log/libvirt/start.log 2>&1"


def wire(way, port, number):
    """QEMU's arguments for the end of a wire: "listen" or "connect" on a loopback port."""
    return ["-netdev", "socket,id=wire%d,%s=127.0.0.1:%d" % (number, way, port),
            "-device", "virtio-net-pci,netdev=wire%d,romfile=,mac=52:54:00:77:%02x:%02x" % (number, port & 255, number)]


def join(host, number, nics=("eth1",)):
    """A host that has booted is hostN on the network, by these interfaces."""
    host.number = number
    host.ssh("hostname host%d; ip addr flush dev xenbr0; ip addr add 10.77.255.%d/16 dev xenbr0; "
             "printf '10.77.255.1 host0\\n10.77.255.2 host1\\n10.77.255.3 host2\\n' >>/etc/hosts" % (number, number + 1))
    for nic in nics:
        host.ssh("ip link set %s master xenbr0; ip link set %s up" % (nic, nic))


def listen(host):
    """Its libvirtd takes connections of the other host's."""
    host.ssh("printf 'listen_tls = 0\\nlisten_tcp = 1\\nauth_tcp = \"none\"\\n' >>/etc/libvirt/libvirtd.conf; "
             "/etc/xylem/toolstack libvirtd stop; " + LIBVIRTD)


def uri(host):
    return "xen+tcp://host%d/system" % host.number


DISK_MIB = 64


class Hosts:
    """Two hosts on one network, with a disk that is the same; where one host is meant it is the first."""

    nic = "virtio"

    def __init__(self, suite, name, combos):
        port = xylemvm.free_port()
        self.disk = tempfile.NamedTemporaryFile(prefix="hosts-", suffix=".img")
        self.disk.truncate(DISK_MIB << 20)
        shared = ["-drive", "file=%s,format=raw,if=none,id=both,cache=writeback,file.locking=off" % self.disk.name,
                  "-device", "virtio-blk-pci,drive=both,serial=both,share-rw=on"]
        self.hosts = []
        for n, (way, (hv, toolstack)) in enumerate(zip(("listen", "connect"), combos)):
            self.hosts.append(suite.vm("%s-%d" % (name, n), hv, toolstack, mem=1024, dom0_mem=512,
                                       qemu_args=wire(way, port, n) + shared))
        self.a, self.b = self.hosts

    def start(self):
        for host in self.hosts:
            host.start()

    def wait_ready(self, timeout):
        for n, host in enumerate(self.hosts):
            host.wait_ready(timeout)
            join(host, n)
            listen(host)
        for host in self.hosts:
            wait_in(host, "virsh list && virsh -c %s list" % uri(host), 120)
        wait_in(self.a, "ping -c 1 -W 2 10.77.255.2", 60)

    def stop(self):
        for host in self.hosts:
            host.stop()

    def console(self):
        return self.a.console() + self.b.console()

    def running(self):
        return self.a.running() and self.b.running()

    def ssh(self, command, **kwargs):
        """For what is shown of a failure: of both."""
        done = self.a.ssh(command, **kwargs)
        done.stdout += "\n" + self.b.ssh(command, **kwargs).stdout
        return done


def answer(host, script):
    """What the script prints in the guest, which is something: where it is nothing, what the guest looks like is told."""
    told = in_guest(host, WHERE, script, timeout=120)
    if not told:
        more = in_guest(host, WHERE, "ls -l /tmp; netstat -tan; ps; dmesg | tail -n 20", timeout=120)
        raise Failure("%r printed nothing; then:\n%s\nonce more it prints %r" % (script, more, in_guest(host, WHERE, script, timeout=120)))
    return told


Count = collections.namedtuple("Count", "number date asked told")


def count(host):
    """How far the guest has come and what its clock shows, and between which moments that was."""
    asked = time.monotonic()
    told = answer(host, "cat /tmp/c; date +%s").split()
    expect(len(told) == 2 and told[0].isdigit(), "its counter and clock are %r" % told)
    return Count(int(told[0]), int(told[1]), asked, time.monotonic())


def state(host):
    done = host.ssh("virsh domstate %s --reason" % NAME, check=False)
    return done.stdout.strip() if done.returncode == 0 else "none"


def goes_on(host, digest, before):
    """It runs here as it was, its network works, and its kernel has nothing to complain of. before: what count() gave."""
    wait_in(host, "ping -c 1 -W 2 " + WHERE, 240)
    equal(answer(host, "md5sum /tmp/r"), digest, "its memory")
    after = count(host)
    passed = after.told - before.asked
    expect(before.number <= after.number <= before.number + passed + 60,
           "it counted to %d, and goes on at %d after %d s" % (before.number, after.number, passed))
    expect(after.asked - before.told - CLOCKS_S <= after.date - before.date <= passed + 1 + CLOCKS_S,
           "its clock went on by %d s in %.1f to %.1f" % (after.date - before.date, after.asked - before.told, passed))
    equal(answer(host, "echo back; cat /tmp/back"), "back", "clocks that went back")
    wait_for(lambda: count(host).number > after.number, 60, "it counts")
    told = answer(host, "nproc; dmesg")
    expect(told.startswith("2\n"), "its vcpus: " + told[:100])
    expect_quiet(told, NAME)
