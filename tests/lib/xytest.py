# SPDX-License-Identifier: GPL-2.0-or-later
"""TAP for the system tests, and the verbs they share: guests, their XML, waiting in dom0.

A test program makes a Suite, and for each combination of hypervisor and tool stack one session:
a booted VM and cases on it.  A case is a function that raises on failure; what it says stands in
the TAP diagnostics.  A VM that does not boot fails all of its cases by name.
"""

import argparse
import atexit
import os
import random
import re
import shlex
import signal
import struct
import subprocess
import sys
import time
import traceback

import xyimages
import xylemvm

GUEST_KIB = 98304
# What Linux's log must not hold, on dom0 or in a guest.
KERNEL_FAULTS = r"Oops|BUG:|WARNING:|soft lockup|rcu.*stall|blocked for more than|Bad page|PANIC"
FILE_DRIVER = "phy"
# A program's exit status: something failed, and meanwhile Debian 12's QEMU died of a fault of its own (twice in fifteen hours,
# both times at one place in its code). tests/run runs it once more then.
EMULATOR_DIED = 75


class Failure(Exception):
    """An expectation that did not hold."""


class Skip(Exception):
    """The case cannot run in this combination; says why."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def equal(got, want, what):
    if got != want:
        raise Failure("%s: got %r, want %r" % (what, got, want))


class Suite:
    """Arguments, numbering and result of one test program.

    combos: the (hypervisor, tool stack) pairs that it runs on; also: those that --full adds.
    """

    def __init__(self, combos, description, also=()):
        p = argparse.ArgumentParser(description=description)
        p.add_argument("--full", action="store_true", help="the long cases as well")
        p.add_argument("--hv", choices=("xen", "xylem"), help="only this hypervisor")
        p.add_argument("--toolstack", choices=("stock", "ours", "none"), help="only this tool stack")
        p.add_argument("--case", action="append", help="only cases whose name contains this")
        p.add_argument("--cpus", type=int, help="another number of CPUs for the VMs, for a busy machine")
        p.add_argument("--cpu", help="another CPU model for the VMs (QEMU's -cpu)")
        p.add_argument("--keep", action="store_true", help="leave the last VM running")
        p.add_argument("--build", default=os.environ.get("XYLEM_BUILD", "."), help="build folder")
        p.add_argument("--install", default=os.environ.get("XYLEM_INSTALL"), help="DESTDIR of make install")
        p.add_argument("--image", help="another image of our hypervisor: of a debug build, say")
        self.args = p.parse_args()
        # Told to end, or without its terminal, it ends its VMs too.
        for each in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(each) == signal.SIG_DFL:
                signal.signal(each, lambda *_: sys.exit(1))
        self.full = self.args.full
        self.number = 0
        self.failed = 0
        self.faults = xylemvm.emulator_faults()
        a = self.args
        if a.hv and a.toolstack:
            self.combos = [(a.hv, a.toolstack)]
        else:
            combos = list(combos) + (list(also) if self.full or a.hv or a.toolstack else [])
            self.combos = [c for c in combos if a.hv in (None, c[0]) and a.toolstack in (None, c[1])]
        self.install = a.install or os.path.join(a.build, "install")

    def hv_image(self):
        if self.args.image:
            return self.args.image
        for path in (os.path.join(self.install, "boot", "xylem.gz"),
                     os.path.join(self.args.build, "hypervisor", "xylem.gz")):
            if os.path.exists(path):
                return path
        raise xylemvm.VMError("no xylem.gz in %s or %s/hypervisor" % (self.install, self.args.build))

    def vm(self, name, hv, toolstack, **kwargs):
        if hv == "xylem":
            kwargs["hv_image"] = self.hv_image()
        if toolstack == "ours":
            kwargs.setdefault("shares", {})["install"] = self.install
            if not os.path.exists(os.path.join(self.install, "usr", "libexec", "xylem", "xylemd")):
                raise xylemvm.VMError("no xylemd under %s" % self.install)
        if self.args.cpus:
            kwargs["cpus"] = self.args.cpus
        if self.args.cpu:
            kwargs["cpu"] = self.args.cpu
        # Test runs that share a cache must not share VMs.
        return xylemvm.VM("%s-%d" % (name, os.getpid()), hv=hv, toolstack=toolstack, **kwargs)

    def wanted(self, name):
        return not self.args.case or any(c in name for c in self.args.case)

    def report(self, good, name, diagnostics="", skip=None):
        self.number += 1
        for line in str(diagnostics).strip().split("\n"):
            if line:
                print("# " + line)
        print("%s %d - %s%s" % ("ok" if good else "not ok", self.number, name, " # SKIP " + skip if skip else ""),
              flush=True)
        self.failed += not good

    def case(self, name, function, *args):
        """Runs one case; True when it passed."""
        if not self.wanted(name):
            return True
        started = time.monotonic()
        try:
            function(*args)
        except Skip as e:
            self.report(True, name, skip=str(e))
            return True
        except (Failure, xylemvm.VMError, xyimages.ImageError) as e:
            self.report(False, name, e)
            return False
        except Exception:  # a fault of the test itself fails the case and no other
            self.report(False, name, traceback.format_exc())
            return False
        print("# %.1f s" % (time.monotonic() - started))
        self.report(True, name)
        return True

    def session(self, label, make_vm, cases, ready=True):
        """Boots make_vm() and runs cases, a list of (name, function of the vm)."""
        chosen = [(n, f) for n, f in cases if self.wanted("%s: %s" % (label, n))]
        if not chosen:
            return
        vm = None
        try:
            vm = make_vm()
            atexit.register(vm.stop)  # also when this is told to end while it boots
            vm.start()
            if ready:
                vm.wait_ready(420)
        except (xylemvm.VMError, xyimages.ImageError) as e:
            for name, _ in chosen:
                self.report(False, "%s: %s" % (label, name), "no VM: %s" % e)
                e = "as above"
            if vm:
                vm.stop()
                atexit.unregister(vm.stop)
            return
        try:
            for name, function in chosen:
                if not self.case("%s: %s" % (label, name), function, vm):
                    keep_log(vm)
        finally:
            if not self.args.keep:
                vm.stop()
            atexit.unregister(vm.stop)

    def end(self):
        if self.args.case and not self.number:
            self.report(False, "there is no case whose name contains " + " or ".join(repr(c) for c in self.args.case))
        print("1..%d" % self.number)
        if self.failed and xylemvm.emulator_faults() > self.faults:
            print("# QEMU itself died meanwhile, as the kernel's log says: this tells nothing of what is tested")
            sys.exit(EMULATOR_DIED)
        sys.exit(1 if self.failed else 0)


def keep_log(vm):
    """Shows what the serial log, the daemons' logs and the guests' consoles hold since the last failure."""
    text = vm.console()
    new = text[getattr(vm, "shown", 0):].split("\n")[-12:]
    vm.shown = len(text)
    if vm.running() and vm.nic != "none":
        try:
            new += vm.ssh("cd /var/log; for f in xen/*.log libvirt/libvirtd.log xen/console/*.log; do "
                          "[ $f -nt /run/shown -o ! -e /run/shown ] && [ -s $f ] && echo == $f && tail -n 4 $f; done; touch /run/shown",
                          check=False, timeout=30).stdout.split("\n")
        except xylemvm.VMError:
            new.append("(ssh does not answer)")
    for line in new:
        if line.strip():
            print("#   " + line.rstrip())


# Waiting in dom0

def wait_in(vm, command, timeout=120, what=None):
    """Runs a shell condition in dom0 until it succeeds."""
    count = int(timeout * xylemvm.SCALE)
    # A poll must cost little: each fork takes milliseconds from a guest that shares dom0's CPU under TCG.
    loop = "SECONDS=0; until { %2$s; } >/dev/null 2>&1; do [ $SECONDS -lt %1$d ] || exit 99; sleep 1; done"
    loop = loop.replace("%1$d", str(count)).replace("%2$s", command)
    done = vm.ssh(loop, check=False, timeout=timeout + 60)
    if done.returncode:
        state = vm.ssh("virsh list --all 2>&1; xenstore-ls /local/domain 2>/dev/null | head -5", check=False).stdout
        raise Failure("waited %d s for: %s\n%s" % (timeout, what or command, state))


def guest_log(name):
    return "/var/log/xen/console/guest-%s.log" % name


def wait_guest(vm, name, pattern="xylem-guest: up", count=1, timeout=600):
    """Waits until the guest's console log holds pattern in at least count lines."""
    log = guest_log(name)
    try:
        wait_in(vm, "[ $(grep -a -c %s %s) -ge %d ]" % (shlex.quote(pattern), log, count), timeout,
                "%s in the console of %s" % (pattern, name))
    except Failure as e:
        raise Failure("%s\n%s" % (e, vm.ssh("tail -n 15 " + log, check=False).stdout)) from None


def wait_state(vm, name, state, timeout=300):
    wait_in(vm, "[ \"$(virsh domstate %s | head -1)\" = %s ]" % (name, shlex.quote(state)), timeout,
            "%s is %s" % (name, state))


def wait_for(condition, timeout, what):
    """Looks until condition() is true."""
    end = time.monotonic() + timeout * xylemvm.SCALE
    while not condition():
        expect(time.monotonic() < end, "waited %d s for: %s" % (timeout * xylemvm.SCALE, what))
        time.sleep(1)


def in_guest(vm, where, script, timeout=60):
    """Runs a shell script in the test guest at address where; returns its output, stripped."""
    request = "POST /cgi-bin/sh HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(script), script)
    end = time.monotonic() + timeout * xylemvm.SCALE
    while True:
        done = vm.ssh("nc -w %d %s 80" % (timeout * xylemvm.SCALE, where), timeout + 30, check=False, stdin=request)
        # Its network is up before its server is: refused, nothing has run.
        if done.stdout or done.returncode != 1 or time.monotonic() > end:
            break
        time.sleep(0.5)
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    if " 200 " not in head:
        raise Failure("the guest at %s does not run scripts: exit %d, %r" % (where, done.returncode, done.stdout[-300:]))
    return body.strip()


def ask_store(vm, where, requests):
    """Sends requests, (type, payload), from the test guest to the store; returns (type, payload) of each reply."""
    script = ["exec 3<>/dev/xen/xenbus"]
    for kind, payload in requests:
        octal = "".join("\\%03o" % b for b in struct.pack("<IIII", kind, 1, 0, len(payload)) + payload)
        script.append("printf '%s' >&3; dd bs=4096 count=1 <&3 2>/dev/null | hexdump -v -e '1/1 \"%%02x\"'; echo" % octal)
    replies = []
    for line in in_guest(vm, where, "\n".join(script)).split("\n"):
        raw = bytes.fromhex(line)
        got, _, _, length = struct.unpack("<IIII", raw[:16])
        replies.append((got, raw[16:16 + length]))
    return replies


TYPE_CONSOLE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "type-console.py")


def type_console(vm, command):
    """Opens a console command in dom0 and checks that the guest's shell answers on it."""
    with open(TYPE_CONSOLE) as f:
        vm.write("/root/type-console.py", f.read())
    done = vm.ssh("python3 /root/type-console.py con42sole 'echo con$((6*7))sole' " + command, timeout=420, check=False)
    expect(done.returncode == 0, "the guest's shell answers on %s:\n%s" % (command, done.stdout[-1500:]))


def type_console_outside(vm, name):
    """The same by this machine's virsh, for a dom0 without Python."""
    command = ["virsh", "-c", vm.uri(), "console", name]
    done = subprocess.run([sys.executable, TYPE_CONSOLE, "con42sole", "echo con$((6*7))sole"] + command, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                          timeout=420 * xylemvm.SCALE)
    expect(done.returncode == 0, "the guest's shell answers on %s:\n%s" % (" ".join(command), done.stdout[-1500:]))


# Guests

def mac(number):
    return "00:16:3e:77:%02x:%02x" % (number >> 8, number & 255)


def address(number):
    return "10.77.%d.%d" % (number >> 8, number & 255)


def interface_xml(number):
    return "<interface type='bridge'><source bridge='xenbr0'/><mac address='%s'/></interface>" % mac(number)


def disk_xml(source, target, readonly=False, shareable=False):
    if source.startswith("/dev/"):
        head = "<disk type='block' device='disk'><driver name='phy'/><source dev='%s'/>" % source
    else:
        # libxl would want a QEMU in dom0 for the driver that virt-install names; ours uses a loop device for both.
        head = "<disk type='file' device='disk'><driver name='%s'/><source file='%s'/>" % (FILE_DRIVER, source)
    return (head + "<target dev='%s' bus='xen'/>" % target + ("<readonly/>" if readonly else "")
            + ("<shareable/>" if shareable else "") + "</disk>")


def domain_xml(name, number=2, vcpus=1, cmdline="", devices="", kib=GUEST_KIB, kernel="/srv/guests/vmlinux",
               initrd="/srv/guests/initrd.gz", nic=True, extra="", events="", uuid=None):
    """Domain XML that both the stock driver and ours accept."""
    line = "console=hvc0 name=%s addr=%s/16 gw=10.77.0.1 %s" % (name, address(number), cmdline)
    if not nic:
        line = "console=hvc0 name=%s %s" % (name, cmdline)
        nic_xml = ""
    else:
        nic_xml = interface_xml(number)
    boot = ""  # from its disk
    if kernel:
        boot = "<kernel>%s</kernel>%s<cmdline>%s</cmdline>" % (kernel, "<initrd>%s</initrd>" % initrd if initrd else "",
                                                               line.strip())
    return """<domain type='xen'><name>%s</name>%s<memory unit='KiB'>%d</memory><vcpu>%d</vcpu>
<os><type arch='x86_64' machine='xenpv'>linux</type>%s</os>
%s%s<devices>%s%s<console type='pty'><target type='xen' port='0'/></console></devices></domain>
""" % (name, "<uuid>%s</uuid>" % uuid if uuid else "", kib, vcpus, boot, events, extra, devices, nic_xml)


def define(vm, name, **kwargs):
    path = "/root/%s.xml" % name
    vm.write(path, domain_xml(name, **kwargs))
    vm.ssh("virsh define %s" % path)
    vm.ssh("rm -f %s" % guest_log(name))


def undefine(vm, name):
    vm.ssh("virsh destroy %s >/dev/null 2>&1; virsh undefine %s" % (name, name), check=False)


def start_up(vm, name, **kwargs):
    """Defines and starts a guest and waits until its user space is up."""
    define(vm, name, **kwargs)
    vm.ssh("virsh start " + name, timeout=180)
    wait_guest(vm, name)


def expect_quiet(log, whose):
    """No fault in a kernel's log."""
    found = [line for line in log.split("\n") if re.search(KERNEL_FAULTS, line)]
    expect(not found, "%s's kernel: %s" % (whose, "; ".join(found[:5])))


def leftovers(vm):
    """What guests left in dom0: a dict of the places that must look as they did before any guest."""
    return {
        "store domains": vm.out("xenstore-list /local/domain | tr '\\n' ' '"),
        "store backends": vm.out("xenstore-ls /local/domain/0/backend 2>/dev/null | grep -c frontend-id || true"),
        "loop devices": vm.out("losetup -a | wc -l"),
        "bridge ports": vm.out("ls /sys/class/net/xenbr0/brif | wc -l"),
        "vifs": vm.out("ls /sys/class/net | grep -c ^vif || true"),
    }


def free_memory_kib(vm):
    """The hypervisor's free memory as libvirt tells it."""
    return int(vm.out("virsh freecell 2>/dev/null | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+$/) { print $i; exit } }'"))


def random_bytes(count):
    return random.Random(count).randbytes(count)
