# SPDX-License-Identifier: GPL-2.0-or-later
"""PV test guests under Bochs, which checks what QEMU's TCG forgives: started by GRUB Legacy from a disk image.

One image holds a hypervisor and all guests, with one menu entry each; a run works on a copy of its own in which the
menu's default is another. Bochs wants a terminal and, where it has its debugger in it, the word "c" to begin.
"""
import fcntl
import glob
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import xyimages  # noqa: E402

BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGABIOS = "/usr/share/bochs/VGABIOS-lgpl-latest"

CONFIG = """display_library: term
cpu: model=%(cpu)s, count=%(cpus)d, ips=100000000, reset_on_triple_fault=0
memory: guest=%(mem)d, host=%(mem)d
romimage: file=%(bios)s
vgaromimage: file=%(vgabios)s
ata0-master: type=disk, path=%(dir)s/disk.img, mode=flat, cylinders=0
boot: disk
com1: enabled=1, mode=file, dev=%(dir)s/com1.txt
log: %(dir)s/bochs.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
clock: sync=none
"""


def disk(target, hypervisor, options, entries):
    """Writes a disk image to boot from. entries: list of (name, command line, [modules]), in the order of the menu."""
    files = {"hypervisor": hypervisor}
    menu = []
    for _, line, modules in entries:
        lines = ["kernel /boot/hypervisor " + options]
        for n, path in enumerate(modules):
            files[os.path.basename(path)] = path
            lines.append("module /boot/%s %s" % (os.path.basename(path), line if not n else ""))
        menu.append(("test", lines))
    xyimages.grub_disk(target, menu, files, default="000")


def choose(image, number):
    """Makes a menu entry the default of an image that disk() wrote."""
    with open(image, "r+b") as f:
        data = f.read()
        at = data.find(b"timeout 0\ndefault 000\n")
        if at < 0 or data.find(b"timeout 0\ndefault 000\n", at + 1) >= 0:
            raise xyimages.ImageError("no default entry in " + image)
        f.seek(at + len(b"timeout 0\ndefault "))
        f.write(b"%03d" % number)


class Machine:
    """A Bochs that runs: its serial output line by line, until it ends or is stopped."""

    def __init__(self, folder, image, number, cpu, cpus=1, mem=256):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        own = os.path.join(folder, "disk.img")
        subprocess.run(["cp", "--sparse=always", image, own], check=True)
        choose(own, number)
        with open(os.path.join(folder, "bochsrc"), "w") as f:
            f.write(CONFIG % {"cpu": cpu, "cpus": cpus, "mem": mem, "dir": folder, "bios": BIOS, "vgabios": VGABIOS})
        with open(os.path.join(folder, "rc"), "w") as f:
            f.write("c\n")
        os.mkfifo(os.path.join(folder, "com1.txt"))
        # Both ends: opening does not wait for Bochs then, and its end is seen by wait(), not by end of file.
        self.serial = os.open(os.path.join(folder, "com1.txt"), os.O_RDWR | os.O_NONBLOCK)
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
        self.process = subprocess.Popen(["bochs", "-q", "-f", os.path.join(folder, "bochsrc"), "-rc", os.path.join(folder, "rc")],
                                        stdin=slave, stdout=slave, stderr=slave, cwd=folder, start_new_session=True,
                                        env=dict(os.environ, TERM="xterm"))
        os.close(slave)
        self.screens = [threading.Thread(target=self._drain, args=(master,), daemon=True),
                        threading.Thread(target=self._drain_own, daemon=True)]
        for screen in self.screens:
            screen.start()

    @staticmethod
    def _drain(master):
        """The screen's output, which nobody reads."""
        while True:
            try:
                if not os.read(master, 65536):
                    break
            except OSError:
                break
        os.close(master)

    def _drain_own(self):
        """Bochs with its debugger draws on a terminal that it opens itself, and stops when nobody reads it for long."""
        while self.process.poll() is None:
            for fd in glob.glob("/proc/%d/fdinfo/*" % self.process.pid):
                try:
                    with open(fd) as f:
                        index = re.search(r"^tty-index:\s*(\d+)", f.read(), re.M)
                    if index:
                        self._drain(os.open("/dev/pts/" + index.group(1), os.O_RDONLY | os.O_NOCTTY))
                        return
                except OSError:
                    pass  # just closed, or not unlocked yet
            time.sleep(0.2)

    def lines(self):
        """Serial output; ends with Bochs."""
        import select
        rest = b""
        while True:
            ready, _, _ = select.select([self.serial], [], [], 0.5)
            if ready:
                rest += os.read(self.serial, 65536)
                *whole, rest = rest.split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace").rstrip("\r")
            elif self.process.poll() is not None:
                yield rest.decode(errors="replace")
                with open(os.path.join(self.folder, "bochs.log"), errors="replace") as f:
                    for line in f.read().split("\n")[-60:]:
                        if re.search(r"PANIC|triple fault|>>", line):
                            yield "bochs: " + line
                return

    def kill(self):
        self.process.kill()

    def end(self):
        """Stops it and removes what it wrote."""
        self.process.kill()
        self.process.wait()
        os.close(self.serial)
        for screen in self.screens:
            screen.join()
        os.unlink(os.path.join(self.folder, "disk.img"))
