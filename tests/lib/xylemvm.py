# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines for whole-system tests: boots a dom0 under QEMU and talks to it.

A VM is a folder $XYLEM_CACHE/vm/NAME with its state (vm.json), serial log (console.log) and
throw-away scratch disk; the cached images are never written.  The serial port is logged and can be
written to; dom0 is reached by ssh on a free loopback port with the cache's own key.  Nothing here
depends on the machine's speed: every wait is for an event, with a time-out that is
several times what a quiet machine needs; XYLEM_TIMEOUT_SCALE (3) multiplies them all.
"""

import atexit
import gzip
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time

import xyimages

SCALE = float(os.environ.get("XYLEM_TIMEOUT_SCALE", "3"))
# On the first one guests have XPTI; on the second they have not, and SYSCALL takes the fast path. Without SMAP: QEMU
# 7.2's IRET reads ring 3's stack as if it were ring 0's, and no PV Linux gets past its first one, on stock Xen neither.
DEFAULT_CPU = "qemu64,vendor=GenuineIntel,-svm"
AMD_CPU = "qemu64,vendor=AuthenticAMD,-svm,+smep"
QEMU = os.environ.get("XYLEM_QEMU", "qemu-system-x86_64")
HANG = r"Kernel panic - not syncing|\*\*\*\*\*\*\*\*\*\*\*\*\*\*\*\*|xylem-initrd: no root"


class VMError(Exception):
    """Something did not happen in time or ended badly; says where the log is."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def emulator_faults():
    """How often QEMU itself has died of a fault on this machine, as the kernel's log tells; 0 where that cannot be read."""
    done = subprocess.run(["dmesg"], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return len(re.findall(rb"qemu-system-x86\[\d+\]: segfault", done.stdout))


class VM:
    """One virtual machine.

    hv: "xen" (stock 4.17), "xylem" (hv_image) or "bare" (the kernel alone).  via: "kernel" lets QEMU
    load hypervisor, kernel and RAM disk; "grub" boots a GRUB Legacy disk as users do.  mem is MiB.
    shares: {tag: host folder}, mounted at /mnt/TAG in dom0 (tag "install" is copied over dom0's root
    at its start: a DESTDIR).  toolstack: "stock", "ours" or "none".  disk: virtio, ahci or ide; nic:
    virtio, e1000 or none.  initrd: False leaves it out, True takes dom0's, or a path; kernel: a path
    other than Debian's, which then is started without dom0's root disk.  scratch_mib: size of the
    empty second disk for guests' volumes.  whole_disk: a disk with its own system and boot loader, instead of all that;
    what is written to it is gone when QEMU ends.  also: which packages dom0's root has besides (xyimages.ALSO).
    """

    def __init__(self, name, hv="xen", via="kernel", hv_image=None, cpus=2, mem=1024, machine="pc", cpu=DEFAULT_CPU,
                 hv_args="", dom0_args="", dom0_mem=None, shares=None, toolstack="stock", libvirtd=True, disk="virtio",
                 nic="virtio", initrd=True, kernel=None, dom0_kernel=None, scratch_mib=4096, whole_disk=None, no_reboot=True,
                 accel=None, qemu_args=(), also=""):
        self.name = name
        self.dir = os.path.join(xyimages.cache_dir(), "vm", name)
        self.console_log = os.path.join(self.dir, "console.log")
        self.seen = 0
        self.port = None
        self.pid = None
        self.hv = hv
        self.via = via
        self.hv_image = hv_image
        self.cpus = cpus
        self.mem = mem
        self.machine = machine
        self.cpu = cpu
        self.hv_args = hv_args
        self.dom0_args = dom0_args
        self.dom0_mem = dom0_mem or max(256, min(mem // 2, mem - 384))
        self.shares = dict(shares or {})
        self.toolstack = toolstack
        self.libvirtd = libvirtd
        self.disk = disk
        self.nic = nic
        self.initrd = initrd
        self.kernel = kernel
        self.dom0_kernel = dom0_kernel
        self.scratch_mib = scratch_mib
        self.whole_disk = whole_disk
        self.no_reboot = no_reboot
        # TCG is what every machine has.
        self.accel = accel or os.environ.get("XYLEM_ACCEL", "tcg")
        self.qemu_args = list(qemu_args)
        self.also = also

    # Start

    def hv_line(self):
        """The hypervisor's options, as they stand in menu.lst."""
        if self.hv == "xen":
            base = "com1=115200,8n1 console=com1 loglvl=info guest_loglvl=info"
        else:
            base = "com1=115200,8n1 console=com1 loglvl=info"
        return ("dom0_mem=%dM,max:%dM %s %s" % (self.dom0_mem, self.dom0_mem, base, self.hv_args)).strip()

    def dom0_line(self):
        """The dom0 kernel's command line."""
        console = "console=ttyS0" if self.hv == "bare" else "console=hvc0 earlyprintk=xen"
        words = [console, "root=LABEL=xylem-root", "xylem.toolstack=" + self.toolstack]
        if self.shares:
            words.append("xylem.share=" + ",".join(self.shares))
        if not self.libvirtd:
            words.append("xylem.libvirtd=0")
        return (" ".join(words) + " " + self.dom0_args).strip()

    def _drive(self, path, index, snapshot):
        ident = "disk%d" % index
        drive = ["-drive", "file=%s,format=raw,if=none,id=%s,cache=unsafe,snapshot=%s"
                 % (path.replace(",", ",,"), ident, "on" if snapshot else "off")]
        if self.disk == "virtio":
            dev = "virtio-blk-pci,drive=" + ident
        elif self.disk == "ahci":
            bus = "ide.%d" % index if self.machine == "q35" else "ahci0.%d" % index
            dev = "ide-hd,drive=%s,bus=%s" % (ident, bus)
        else:
            dev = "ide-hd,drive=%s,bus=ide.%d,unit=%d" % (ident, index // 2, index % 2)
        return drive + ["-device", dev + (",bootindex=%d" % index if self.via == "grub" else "")]

    def _boot_args(self, drives):
        kernel = self.kernel or (self.dom0_kernel or xyimages.Kernel()).vmlinuz
        initrd = None
        if self.initrd:
            initrd = self.initrd if isinstance(self.initrd, str) else xyimages.dom0_initrd(self.dom0_kernel)
        hv = None
        if self.hv == "xen":
            hv = self.hv_image or xyimages.stock_xen()
        elif self.hv == "xylem":
            if not self.hv_image:
                raise VMError("no hypervisor image given for --hv xylem")
            hv = xyimages.gunzipped(os.path.abspath(self.hv_image))
        if self.via == "grub":
            files = {"vmlinuz": kernel}
            if hv:
                files["hypervisor.gz"] = self._gzipped(hv)
                lines = ["kernel /boot/hypervisor.gz " + self.hv_line(), "module /boot/vmlinuz " + self.dom0_line()]
                if initrd:
                    files["initrd.gz"] = initrd
                    lines.append("module /boot/initrd.gz")
            else:
                lines = ["kernel /boot/vmlinuz " + self.dom0_line()]
                if initrd:
                    files["initrd.gz"] = initrd
                    lines.append("initrd /boot/initrd.gz")
            boot = os.path.join(self.dir, "boot.img")
            xyimages.grub_disk(boot, [("Xylem test", lines)], files)
            drives.insert(0, (boot, False))
            return []
        if not hv:
            return ["-kernel", kernel, "-append", self.dom0_line()] + (["-initrd", initrd] if initrd else [])
        modules = "%s %s" % (kernel, self.dom0_line().replace(",", ",,"))
        if initrd:
            modules += "," + initrd
        return ["-kernel", hv, "-append", self.hv_line(), "-initrd", modules]

    def _gzipped(self, path):
        target = os.path.join(self.dir, "hypervisor.gz")
        with open(path, "rb") as src, gzip.open(target, "wb", 6) as out:
            shutil.copyfileobj(src, out)
        return target

    def start(self):
        """Starts QEMU and returns at once; wait_ready() or wait_console() tell how far it is."""
        if self.running():
            raise VMError("VM %s runs already" % self.name)
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.seen = 0
        drives = []
        with xyimages.cache_lock():
            if self.whole_disk:
                drives.append((self.whole_disk, True))
            elif not self.kernel:
                drives.append((xyimages.dom0_root(self.also), True))
                if self.scratch_mib:
                    scratch = os.path.join(self.dir, "scratch.img")
                    with open(scratch, "wb") as f:
                        f.truncate(self.scratch_mib << 20)
                    drives.append((scratch, False))
            boot = [] if self.whole_disk else self._boot_args(drives)
        self.port = free_port()
        argv = [QEMU, "-accel", self.accel, "-M", self.machine, "-cpu", self.cpu, "-smp", str(self.cpus), "-m", str(self.mem),
                "-display", "none", "-nodefaults", "-daemonize", "-pidfile", os.path.join(self.dir, "pid"),
                "-chardev", "socket,id=ser0,path=%s,server=on,wait=off,logfile=%s"
                % (self._short("serial.sock"), self.console_log), "-serial", "chardev:ser0",
                "-qmp", "unix:%s,server=on,wait=off" % self._short("qmp.sock"), "-device", "virtio-rng-pci"]
        if self.no_reboot:
            argv.append("-no-reboot")
        if self.disk == "ahci" and self.machine != "q35":
            argv += ["-device", "ahci,id=ahci0"]
        for index, (path, snapshot) in enumerate(drives):
            argv += self._drive(path, index, snapshot)
        if self.nic != "none":
            model = "virtio-net-pci" if self.nic == "virtio" else self.nic
            argv += ["-netdev", "user,id=net0,hostfwd=tcp:127.0.0.1:%d-:22" % self.port,
                     "-device", "%s,netdev=net0,romfile=" % model]
        for tag, path in self.shares.items():
            argv += ["-fsdev", "local,id=fs-%s,path=%s,security_model=none" % (tag, os.path.abspath(path)),
                     "-device", "virtio-9p-pci,fsdev=fs-%s,mount_tag=%s" % (tag, tag)]
        argv += boot + self.qemu_args
        with open(os.path.join(self.dir, "qemu.log"), "wb") as log:
            log.write((" ".join(shlex.quote(a) for a in argv) + "\n").encode())
            log.flush()
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
                                  env=dict(os.environ, TMPDIR=self.dir))
        if done.returncode:
            raise VMError("QEMU did not start, see %s/qemu.log" % self.dir)
        with open(os.path.join(self.dir, "pid")) as f:
            self.pid = int(f.read())
        with open(os.path.join(self.dir, "vm.json"), "w") as f:
            json.dump({"port": self.port, "pid": self.pid, "hv": self.hv}, f)
        with open(os.path.join(self.dir, "known_hosts"), "w") as f:
            with open(xyimages.ssh_key() + "-host.pub") as key:
                f.write("[127.0.0.1]:%d %s" % (self.port, key.read()))
        wrapper = os.path.join(self.dir, "ssh")
        with open(wrapper, "w") as f:
            f.write("#!/bin/sh\nexec ssh %s \"$@\"\n" % " ".join(shlex.quote(o) for o in self.ssh_options()))
        os.chmod(wrapper, 0o755)
        return self

    def _short(self, name):
        """A socket's path; AF_UNIX paths hold 107 bytes, so a deep cache folder gets a link in /tmp."""
        path = os.path.join(self.dir, name)
        if len(path) < 100:
            return path
        link = os.path.join("/tmp", "xylem-%s" % xyimages.digest(self.dir))
        if os.path.islink(link):
            os.unlink(link)
        os.symlink(self.dir, link)
        return os.path.join(link, name)

    @classmethod
    def attach(cls, name):
        """A handle on a VM that another process started."""
        vm = cls(name)
        try:
            with open(os.path.join(vm.dir, "vm.json")) as f:
                state = json.load(f)
        except OSError:
            raise VMError("no VM %s" % name) from None
        vm.port, vm.pid, vm.hv = state["port"], state["pid"], state["hv"]
        return vm

    def __enter__(self):
        atexit.register(self.stop)
        return self.start()

    def __exit__(self, *exc):
        self.stop()
        atexit.unregister(self.stop)

    # State and console

    def running(self):
        if self.pid is None:
            try:
                with open(os.path.join(self.dir, "pid")) as f:
                    self.pid = int(f.read())
            except (OSError, ValueError):
                return False
        try:
            with open("/proc/%d/cmdline" % self.pid) as f:
                return self.dir in f.read() or "qemu" in open("/proc/%d/comm" % self.pid).read()
        except OSError:
            return False

    def console(self):
        """All serial output so far."""
        try:
            with open(self.console_log, "rb") as f:
                return f.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def tail(self, lines=25):
        return "\n".join(self.console().split("\n")[-lines:])

    def wait_console(self, pattern, timeout=180, fail=HANG):
        """Waits for new serial output that matches pattern; returns the match.

        Output counts as new after the previous match.  Ends early with VMError when QEMU ends or when
        the output matches fail.
        """
        end = time.monotonic() + timeout * SCALE
        regex = re.compile(pattern, re.M)
        while True:
            alive = self.running()
            text = self.console()[self.seen:]
            match = regex.search(text)
            if match:
                self.seen += match.end()
                return match
            bad = re.search(fail, text) if fail else None
            if bad or not alive or time.monotonic() > end:
                why = "the console says: " + bad.group(0) if bad else "time-out" if alive else "QEMU has ended"
                raise VMError("VM %s: waited for /%s/, but %s (log %s)\n%s"
                              % (self.name, pattern, why, self.console_log, self.tail()))
            time.sleep(0.2)

    def send_console(self, text):
        """Types text on the serial port."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self._short("serial.sock"))
            s.sendall(text.encode())

    def wait_ready(self, timeout=300):
        """Waits until dom0's start script is done and ssh answers."""
        self.wait_console(r"^xylem-dom0: ready", timeout)
        return self.wait_ssh(60)

    def wait_ssh(self, timeout):
        """Waits until dom0 runs commands."""
        end = time.monotonic() + timeout * SCALE
        while self.ssh("true", check=False, timeout=60).returncode:
            if time.monotonic() > end or not self.running():
                raise VMError("VM %s: ssh does not answer (log %s)" % (self.name, self.console_log))
            time.sleep(0.5)
        return self

    def wait_end(self, timeout=120):
        """Waits until QEMU has ended by itself."""
        end = time.monotonic() + timeout * SCALE
        while self.running():
            if time.monotonic() > end:
                raise VMError("VM %s did not end (log %s)\n%s" % (self.name, self.console_log, self.tail()))
            time.sleep(0.2)

    # Commands in dom0

    def ssh_options(self):
        return ["-o", "UserKnownHostsFile=%s/known_hosts" % self.dir, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
                "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=30", "-o", "LogLevel=ERROR",
                "-i", xyimages.ssh_key(), "-F", "/dev/null"]

    def ssh_argv(self, command):
        # One connection for all commands: a key exchange takes a second under TCG.
        master = ["-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-o", "ControlPath=" + self._short("ssh.sock")]
        return (["ssh"] + self.ssh_options() + master +
                ["-p", str(self.port), "root@127.0.0.1"] + ([command] if command else []))

    def ssh(self, command, timeout=120, check=True, stdin=None):
        """Runs a shell command in dom0; returns the CompletedProcess with text output (stderr in it)."""
        if not isinstance(command, str):
            command = " ".join(shlex.quote(c) for c in command)
        try:
            done = subprocess.run(self.ssh_argv(command), input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout * SCALE,
                                  universal_newlines=True, errors="replace", check=False)
        except subprocess.TimeoutExpired as e:
            raise VMError("in %s: %s: no end after %d s\n%s"
                          % (self.name, command, timeout * SCALE, (e.output or b"")[-2000:])) from None
        if check and done.returncode:
            raise VMError("in %s: %s: exit %d\n%s" % (self.name, command, done.returncode, done.stdout))
        return done

    def out(self, command, timeout=120):
        """Output of a command that must succeed, stripped."""
        return self.ssh(command, timeout).stdout.strip()

    def uri(self):
        """libvirt's URI for virsh, virt-manager and the bindings on this machine."""
        return "xen+ssh://root@127.0.0.1:%d/?command=%s/ssh&no_tty=1" % (self.port, self.dir)

    def put(self, local, remote):
        """Copies a file or a folder into dom0 (by tar, keeping modes)."""
        base, name = os.path.split(os.path.abspath(local))
        with subprocess.Popen(["tar", "-C", base, "-cf", "-", name], stdout=subprocess.PIPE) as tar:
            done = subprocess.run(self.ssh_argv("mkdir -p %s && tar -C %s --no-same-owner -xf -" % (remote, remote)),
                                  stdin=tar.stdout, timeout=300 * SCALE, check=False)
        if done.returncode or tar.returncode:
            raise VMError("cannot copy %s into %s" % (local, self.name))

    def fetch(self, remote, local):
        """Copies a file out of dom0."""
        with open(local, "wb") as out:
            done = subprocess.run(self.ssh_argv("cat " + shlex.quote(remote)), stdin=subprocess.DEVNULL, stdout=out,
                                  timeout=300 * SCALE, check=False)
        if done.returncode:
            raise VMError("cannot copy %s out of %s" % (remote, self.name))

    def write(self, remote, text):
        """Writes a text file in dom0."""
        self.ssh("cat >" + shlex.quote(remote), stdin=text or "\n")

    # End

    def qmp(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30 * SCALE)
            s.connect(self._short("qmp.sock"))
            f = s.makefile("rw")
            f.readline()
            for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                f.write(json.dumps(request) + "\n")
                f.flush()
                reply = json.loads(f.readline())
                while "event" in reply:
                    reply = json.loads(f.readline())
            return reply

    def poweroff(self, timeout=120):
        """Asks dom0 to power off and waits for QEMU's end."""
        self.ssh("poweroff", check=False)
        self.wait_end(timeout)

    def stop(self):
        """Ends QEMU at once, whatever it does; its folder with the logs stays."""
        if self.running():
            subprocess.run(["ssh", "-o", "ControlPath=" + self._short("ssh.sock"), "-O", "exit", "x"], check=False,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for sig in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.kill(self.pid, sig)
                except ProcessLookupError:
                    break
                end = time.monotonic() + 10 * SCALE
                while self.running() and time.monotonic() < end:
                    time.sleep(0.1)
        for name in ("scratch.img", "boot.img", "hypervisor.gz"):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                os.unlink(path)
