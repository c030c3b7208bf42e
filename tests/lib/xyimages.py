# SPDX-License-Identifier: GPL-2.0-or-later
"""Images for whole-system tests, made without root rights and without touching the machine.

Everything lives in a cache folder ($XYLEM_CACHE, else $XDG_CACHE_HOME/xylem): packages that are
downloaded and unpacked but never installed (kernel, GRUB Legacy, stock Xen), a Debian root file
system for dom0, initial RAM disks and boot disks.  An artefact's file name holds a digest of its
inputs: what is there is right, and what changed is made anew.  Files appear by rename, so that an
interrupted run leaves nothing half made under a final name.

Where packages come from is read from the machine's own apt configuration.  $XYLEM_DEBIAN (tests/run
--debian) names the Debian that all this is of; where the machine's is another one, the same mirrors are
asked for that, with lists of its own in the cache folder.
"""

import contextlib
import errno
import fcntl
import gzip
import hashlib
import json
import lzma
import os
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = os.path.join(os.path.dirname(HERE), "images")

DOM0_PACKAGES = [
    "bash", "busybox-static", "ca-certificates", "e2fsprogs", "ebtables", "iproute2", "iptables", "iputils-ping", "kmod",
    "libglib2.0-0", "libjson-glib-1.0-0", "liblzma5", "liblzo2-2", "libnl-3-200", "libnl-route-3-200", "libseccomp2", "libvirt-clients",
    "libvirt-daemon", "libvirt-daemon-config-nwfilter", "libvirt-daemon-driver-xen", "libxml2", "libzstd1", "lvm2", "mount", "netcat-openbsd",
    "openssh-server", "procps", "python3-libvirt", "qemu-system-xen", "strace", "util-linux", "xen-utils-4.17",
    "xenstore-utils", "zlib1g",
]

# The Debians that there are images of, the first by default.
SUITES = {"12": "bookworm", "13": "trixie"}
DEBIAN = os.environ.get("XYLEM_DEBIAN") or "12"
XEN = {"12": "4.17", "13": "4.20"}[DEBIAN]

# What Debian 13 calls otherwise, or has split.
RENAMED = {}
if DEBIAN == "13":
    RENAMED = {"libglib2.0-0": ["libglib2.0-0t64"], "xen-utils-4.17": ["xen-utils-4.20"], "iptables": ["iptables", "nftables"],
               "libvirt-daemon": ["libvirt-daemon", "libvirt-daemon-driver-interface", "libvirt-daemon-driver-network",
                                  "libvirt-daemon-driver-nodedev", "libvirt-daemon-driver-nwfilter", "libvirt-daemon-driver-qemu",
                                  "libvirt-daemon-driver-secret", "libvirt-daemon-driver-storage", "libvirt-daemon-lock"]}
    DOM0_PACKAGES = sum((RENAMED.get(p, [p]) for p in DOM0_PACKAGES), []) + ["liblz4-1"]  # in 12 others bring it

# What builds Xylem in a root of another Debian than the machine's; configure is made outside. Unpacked, not configured.
BUILD_PACKAGES = [
    "base-files", "bash", "binutils", "bsdutils", "bzip2", "coreutils", "dash", "debianutils", "diffutils", "file", "findutils",
    "gcc", "grep", "gzip", "hostname", "libbz2-dev", "libc-bin", "libc6-dev", "libglib2.0-dev", "liblz4-dev", "liblzma-dev",
    "libjson-glib-dev", "liblzo2-dev", "libnl-3-dev", "libnl-route-3-dev", "libseccomp-dev", "libvirt-dev", "libxen-dev", "libxml2-dev",
    "libzstd-dev", "lz4", "lzop", "make", "mawk", "perl", "pkgconf", "procps", "python3", "python3-minimal", "sed", "tar",
    "util-linux", "xz-utils", "zlib1g-dev",
]

# What dom0 needs before its root is mounted.
INITRD_MODULES = [
    "virtio_pci", "virtio_blk", "virtio_scsi", "ahci", "ata_piix", "sd_mod", "ext4", "crc32c_generic",
]
# What dom0 may load later; the dependencies are found by themselves.
DOM0_MODULES = INITRD_MODULES + [
    "virtio_net", "virtio_rng", "virtio_console", "e1000", "e1000e", "8139cp", "9p", "9pnet_virtio", "loop",
    "bridge", "stp", "llc", "tun", "dm-mod", "dm-snapshot", "dm-thin-pool", "br_netfilter",
    "xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xen-netback", "xen-blkback",
    "xen-netfront", "xen-blkfront", "xen-acpi-processor", "hwmon", "msr", "cpuid", "vfat", "nls_ascii",
    "nls_cp437", "iptable_filter", "ip_tables",
    # What libvirt limits and filters interfaces with.
    "sch_htb", "sch_sfq", "sch_ingress", "cls_u32", "cls_fw", "act_police", "nf_tables", "nft_compat", "nft_meta_bridge",
    "nft_chain_nat", "ebtables", "ebtable_filter", "ebtable_nat", "ebt_ip", "ebt_arp", "ebt_mark", "ebt_mark_m", "ip6_tables",
    "ip6table_filter", "xt_physdev",
]

# What roots of dom0 have besides: packages and modules of each kind that a test may ask for.
ALSO = {
    "": ([], []),
    "cluster": (["corosync", "pacemaker", "pacemaker-cli-utils", "resource-agents", "nbd-client", "nbd-server", "nfs-common", "nfs-kernel-server"],
                ["nbd", "nfs", "nfsv4", "nfsd"]),
}
GUEST_MODULES = ["xen-blkfront", "xen-netfront", "ext4", "crc32c_generic"]

APPLETS = """[ ash awk base64 basename cat chmod chown clear cmp cp cut date dd df dmesg du echo egrep env expr
false fdisk fgrep find findfs free getty grep gunzip gzip halt head hexdump hostname httpd ifconfig init
insmod ip kill killall ln ls lsmod md5sum mkdir mkfifo mknod modprobe more mount mv nc netstat nproc od
pidof ping poweroff printf ps pwd readlink reboot rm rmdir rmmod route sed seq setsid sh sha256sum sleep
sort stty su switch_root sync sysctl tail tar tee telnet test time timeout top touch tr true tty umount
uname uniq uptime usleep vi watch wc wget which xargs yes zcat""".split()


class ImageError(Exception):
    """A step failed; the message says which, and where its log is."""


def cache_dir():
    path = os.environ.get("XYLEM_CACHE")
    if not path:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        path = os.path.join(base, "xylem")
    os.makedirs(path, exist_ok=True)
    return os.path.abspath(path)


def say(text):
    print("images: " + text, file=sys.stderr, flush=True)


def run(argv, what, cwd=None, **kwargs):
    """Runs argv to its end with its output in a log; raises ImageError that names step and log."""
    logs = os.path.join(cache_dir(), "log")
    os.makedirs(logs, exist_ok=True)
    log = os.path.join(logs, "".join(c if c.isalnum() else "-" for c in what) + ".log")
    env = dict(os.environ, LC_ALL="C", PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
    with open(log, "wb") as out:
        done = subprocess.run(argv, cwd=cwd, stdin=kwargs.pop("stdin", subprocess.DEVNULL), stdout=out,
                              stderr=subprocess.STDOUT, env=env, check=False, **kwargs)
    if done.returncode:
        raise ImageError("%s failed (exit %d), see %s" % (what, done.returncode, log))


def output(argv):
    env = dict(os.environ, LC_ALL="C", PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env, check=True,
                          universal_newlines=True).stdout


def digest(*parts):
    """Short digest of strings, and of the contents and modes of existing paths (files or folders)."""
    h = hashlib.sha256()
    for part in parts:
        if os.path.isabs(part) and os.path.exists(part):
            names = [part]
            if os.path.isdir(part):
                names = sorted(os.path.join(d, f) for d, _, fs in os.walk(part) for f in fs)
            for name in names:
                h.update(("%s %o " % (os.path.relpath(name, part), os.stat(name).st_mode)).encode())
                with open(name, "rb") as f:
                    for block in iter(lambda f=f: f.read(1 << 20), b""):
                        h.update(block)
        else:
            h.update(part.encode() + b"\0")
    return h.hexdigest()[:12]


@contextlib.contextmanager
def cache_lock():
    with open(os.path.join(cache_dir(), "lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def made(path, make):
    """Returns path, calling make(temporary path) first where it does not exist yet."""
    if os.path.exists(path):
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tmp = "%s.tmp%d" % (path, os.getpid())
    shutil.rmtree(tmp, ignore_errors=True)
    try:
        make(tmp)
        os.rename(tmp, path)
    finally:
        if os.path.isdir(tmp):
            shutil.rmtree(tmp, ignore_errors=True)
        elif os.path.exists(tmp):
            os.unlink(tmp)
    return path


# Packages

def machine_suite():
    """The name of the machine's own Debian."""
    with open("/etc/os-release", encoding="utf-8") as f:
        for line in f:
            if line.startswith("VERSION_CODENAME="):
                return line.split("=")[1].strip().strip('"')
    return SUITES["12"]


def apt_foreign():
    """Whether packages are of another Debian than the machine's."""
    return machine_suite() != SUITES[DEBIAN]


def apt_lists():
    return os.path.join(cache_dir(), "apt-" + DEBIAN, "lists") if apt_foreign() else "/var/lib/apt/lists"


def apt_options():
    """What apt's programs are told so that they know the packages of $XYLEM_DEBIAN; reads its lists where there are none."""
    if not apt_foreign():
        return []
    lists = apt_lists()
    sources = os.path.join(os.path.dirname(lists), "sources.list")
    options = ["-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=/nonexistent", "-o",
               "Dir::State::lists=" + lists, "-o", "Dir::Cache::srcpkgcache=", "-o", "Dir::Cache::pkgcache="]

    def make(tmp):
        say("reading the package lists of Debian " + DEBIAN)
        os.makedirs(os.path.join(tmp, "partial"))
        with open(sources, "w") as f:
            f.write("\n".join(apt_lines()) + "\n")
        user = ["-o", "APT::Sandbox::User=root"] if os.getuid() == 0 else []
        told = [o.replace(lists, tmp) for o in options]
        run(["apt-get"] + user + told + ["-o", "Acquire::Retries=3", "update"], "read the lists of Debian " + DEBIAN)

    made(lists, make)
    return options


def apt_lines(kind="deb"):
    """The Debian sources that the machine's apt uses, as one-line entries of the given kind."""
    rows = output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                   "Identifier: Packages", "Origin: Debian"]).split("\n")
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    option = "[signed-by=%s] " % keyring if os.path.exists(keyring) else ""
    lines = []
    for row in rows:
        line = "%s %s%s" % (kind, option, row.replace(machine_suite(), SUITES[DEBIAN]))
        if row and line not in lines:
            lines.append(line)
    if not lines:
        raise ImageError("apt knows no Debian source; run apt-get update")
    return lines


_answers = {}


def apt_answer(key, ask):
    """An answer of apt's, kept as long as the machine's package lists are the same: asking takes a second each."""
    lists = apt_lists()
    stamp = "%d" % os.stat(lists).st_mtime_ns if os.path.isdir(lists) else ""
    path = os.path.join(cache_dir(), "apt-answers%s.json" % ("-" + DEBIAN if apt_foreign() else ""))
    if not _answers:
        try:
            with open(path) as f:
                kept = json.load(f)
            if kept.get("stamp") == stamp:
                _answers.update(kept)
        except (OSError, ValueError):
            pass
    if key not in _answers:
        _answers["stamp"] = stamp
        _answers[key] = ask()
        tmp = "%s.%d" % (path, os.getpid())
        with open(tmp, "w") as f:
            json.dump(_answers, f)
        os.rename(tmp, path)
    return _answers[key]


def candidate(package):
    """The version of a package that apt would take, without asking the network."""
    def ask():
        for line in output(["apt-cache"] + apt_options() + ["policy", package]).split("\n"):
            if line.strip().startswith("Candidate:") and "(none)" not in line:
                return line.split()[1]
        raise ImageError("apt knows no package %s; run apt-get update" % package)

    return apt_answer("candidate " + package, ask)


def unpacked(package):
    """Downloads a package and unpacks it into the cache; returns the folder. Installs nothing."""
    version = candidate(package)
    path = os.path.join(cache_dir(), "unpacked", "%s_%s" % (package, version.replace(":", "%3a")))

    def make(tmp):
        say("downloading %s %s" % (package, version))
        down = tmp + ".deb"
        os.makedirs(down)
        try:
            options = ["-o", "APT::Sandbox::User=root"] if os.getuid() == 0 else []
            run(["apt-get"] + apt_options() + options + ["download", "%s=%s" % (package, version)], "download " + package,
                cwd=down)
            os.makedirs(tmp)
            run(["dpkg", "-x", os.path.join(down, os.listdir(down)[0]), tmp], "unpack " + package)
            # All of Debian 13 lies in /usr.
            for name in ("bin", "lib", "sbin") if DEBIAN == "13" else ():
                if os.path.isdir(os.path.join(tmp, "usr", name)) and not os.path.exists(os.path.join(tmp, name)):
                    os.symlink(os.path.join("usr", name), os.path.join(tmp, name))
        finally:
            shutil.rmtree(down, ignore_errors=True)

    return made(path, make)


def kernel_package(meta="linux-image-amd64"):
    """Name of the kernel package behind one that only depends on it."""
    def ask():
        for line in output(["apt-cache"] + apt_options() + ["show", "--no-all-versions", meta]).split("\n"):
            if line.startswith("Depends:"):
                return line.split()[1]
        raise ImageError(meta + " has no dependency")

    return apt_answer("kernel" if meta == "linux-image-amd64" else "kernel " + meta, ask)


def depmod(tree, release):
    """Indexes the modules under tree by kmod's own program, which need not be installed."""
    if apt_foreign():
        argv = [os.path.join(unpacked("kmod"), "usr", "sbin", "depmod"), "-b", tree, release]
        run(run_in(build_root(), "/", [cache_dir()], argv), "depmod")
    else:
        run(["depmod", "-b", tree, release], "depmod", executable=os.path.join(unpacked("kmod"), "bin", "kmod"))


class Kernel:
    """The unpacked stock kernel: .release, .vmlinuz, .modules (folder with modules.dep)."""

    def __init__(self, meta="linux-image-amd64"):
        tree = unpacked(kernel_package(meta))
        self.release = sorted(os.listdir(os.path.join(tree, "lib", "modules")))[0]
        self.vmlinuz = os.path.join(tree, "boot", "vmlinuz-" + self.release)
        self.modules = os.path.join(tree, "lib", "modules", self.release)
        if not os.path.exists(os.path.join(self.modules, "modules.dep")):
            depmod(tree, self.release)
        self.dep = {}
        with open(os.path.join(self.modules, "modules.dep")) as f:
            for line in f:
                name, deps = line.split(":")
                name = name.replace("/lib/modules/%s/" % self.release, "")
                deps = [d.replace("/lib/modules/%s/" % self.release, "") for d in deps.split()]
                self.dep[self._key(name)] = (name, deps)

    @staticmethod
    def _key(path):
        return os.path.basename(path).split(".")[0].replace("-", "_")

    def closure(self, names):
        """Paths of the named modules and all they need, each after what it needs."""
        done = []

        def add(path):
            if path in done:
                return
            for dep in reversed(self.dep[self._key(path)][1]):
                add(dep)
            done.append(path)

        for name in names:
            if self._key(name) in self.dep:
                add(self.dep[self._key(name)][0])
        return done

    def vmlinux(self):
        """The ELF image out of the bzImage's payload, which is packed by xz or zstd."""
        with open(self.vmlinuz, "rb") as f:
            data = f.read()
        setup = (data[0x1f1] or 4) * 512 + 512
        offset = setup + int.from_bytes(data[0x248:0x24c], "little")
        size = int.from_bytes(data[0x24c:0x250], "little")

        def make(tmp):
            with open(tmp, "wb") as out:
                packed = data[offset:offset + size - 4]
                if packed.startswith(b"\x28\xb5\x2f\xfd"):
                    subprocess.run(["zstd", "-dcq"], input=packed, stdout=out, check=True)
                else:
                    out.write(lzma.LZMADecompressor().decompress(packed))

        return made(os.path.join(cache_dir(), "vmlinux-" + self.release), make)


def stock_xen():
    """Path of the stock hypervisor, gunzipped (as qemu -kernel and GRUB both take it)."""
    tree = unpacked("xen-hypervisor-%s-amd64" % XEN)
    source = os.path.join(tree, "boot", "xen-%s-amd64.gz" % XEN)
    return gunzipped(source)


def gunzipped(path):
    """Path of an uncompressed copy; qemu -kernel does not unpack by itself, GRUB Legacy does."""
    path = os.path.abspath(path)  # digest() takes another one for a string
    with open(path, "rb") as f:
        if f.read(2) != b"\x1f\x8b":
            return path
    target = os.path.join(cache_dir(), "hv", "%s-%s" % (os.path.basename(path).replace(".gz", ""), digest(path)))

    def make(tmp):
        with gzip.open(path, "rb") as src, open(tmp, "wb") as out:
            shutil.copyfileobj(src, out)

    return made(target, make)


# Initial RAM disks

class Cpio:
    """Writes a newc archive with root as owner, device nodes included, without needing root."""

    def __init__(self, out):
        self.out = out
        self.ino = 0
        self.dirs = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.ino += 1
        raw = name.encode() + b"\0"
        fields = [self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0]
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self.out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def folder(self, name):
        parent = os.path.dirname(name)
        if parent and parent not in self.dirs:
            self.folder(parent)
        if name not in self.dirs:
            self.dirs.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        if os.path.dirname(name):
            self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFREG | mode, data)

    def copy(self, name, path, mode=0o644):
        with open(path, "rb") as f:
            self.file(name, f.read(), mode)

    def link(self, name, target):
        if os.path.dirname(name):
            self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, major, minor):
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def end(self):
        self._entry("TRAILER!!!", 0)


def busybox():
    path = "/bin/busybox"
    return path if os.path.exists(path) else os.path.join(unpacked("busybox-static"), "bin", "busybox")


def _module(path):
    """Name and bytes of a module; what is packed by xz is unpacked, for busybox's insmod does not."""
    with open(path, "rb") as f:
        data = f.read()
    name = os.path.basename(path)
    return (name[:-3], lzma.decompress(data)) if name.endswith(".xz") else (name, data)


def _ramdisk(name, init, modules, extra=(), kernel=None):
    kernel = kernel or Kernel()
    files = kernel.closure(modules)
    key = digest(kernel.release, init, busybox(), " ".join(APPLETS), " ".join(files),
                 *[p for _, p in extra])
    target = os.path.join(cache_dir(), "%s-%s.cpio.gz" % (name, key))

    def make(tmp):
        with gzip.GzipFile(tmp, "wb", compresslevel=6, mtime=0) as out:
            cpio = Cpio(out)
            for d in ("bin", "sbin", "dev", "proc", "sys", "run", "tmp", "etc", "root", "mnt", "lib"):
                cpio.folder(d)
            cpio.node("dev/console", 5, 1)
            cpio.node("dev/null", 1, 3)
            cpio.copy("bin/busybox", busybox(), 0o755)
            for applet in APPLETS:
                cpio.link("bin/" + applet, "busybox")
            for applet in ("init", "poweroff", "halt", "reboot", "modprobe"):
                cpio.link("sbin/" + applet, "../bin/busybox")
            order = ""
            for path in files:
                module, data = _module(os.path.join(kernel.modules, path))
                cpio.file("lib/modules/" + module, data)
                order += "/lib/modules/%s\n" % module
            cpio.file("lib/modules/order", order.encode())
            cpio.copy("init", init, 0o755)
            for inside, path in extra:
                cpio.copy(inside, path, 0o755 if os.access(path, os.X_OK) else 0o644)
            cpio.end()

    return made(target, make)


def dom0_initrd(kernel=None):
    """The RAM disk that finds and mounts dom0's root; for another kernel than the root's, with all modules that dom0 loads."""
    return _ramdisk("dom0-initrd", os.path.join(IMAGES, "dom0", "initrd-init"), DOM0_MODULES if kernel else INITRD_MODULES,
                    kernel=kernel)


def guest_initrd(kernel=None):
    """The whole user space of the small test guest, with its drivers of that kernel; tests/README.md tells its command line."""
    guest = os.path.join(IMAGES, "guest")
    return _ramdisk("guest-initrd", os.path.join(guest, "init"), GUEST_MODULES,
                    [("etc/inittab", os.path.join(guest, "inittab")), ("etc/rc", os.path.join(guest, "rc"))], kernel)


def mke2fs(tree, image, size_mib, label, fakeroot_setup=""):
    """Makes a file system image from a folder, with root as the owner of all that it holds.

    fakeroot_setup: shell commands that run first, in the same fakeroot session, with $1 = tree.
    """
    script = ("set -e; tree=$1; image=$2; %s\n"
              "mke2fs -q -F -t ext4 -O ^has_journal,^metadata_csum -m 0 -L %s -d \"$tree\" \"$image\" %dM"
              % (fakeroot_setup, label, size_mib))
    argv = ["sh", "-c", script, "mke2fs", tree, image]
    if os.getuid() != 0:
        argv = ["fakeroot"] + argv
    run(argv, "make file system " + label)


def _guest_tree(tree):
    """The small test guest's user space, on disk instead of in a RAM disk."""
    guest = os.path.join(IMAGES, "guest")
    for d in ("bin", "sbin", "dev", "proc", "sys", "run", "tmp", "etc", "root", "mnt"):
        os.makedirs(os.path.join(tree, d), exist_ok=True)
    shutil.copy(busybox(), os.path.join(tree, "bin", "busybox"))
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(tree, "bin", applet))
    for applet in ("poweroff", "halt", "reboot", "modprobe"):
        os.symlink("../bin/busybox", os.path.join(tree, "sbin", applet))
    os.symlink("../bin/busybox", os.path.join(tree, "sbin", "init"))
    shutil.copy(os.path.join(guest, "inittab"), os.path.join(tree, "etc", "inittab"))
    shutil.copy(os.path.join(guest, "rc"), os.path.join(tree, "etc", "rc"))


def guest_root():
    """A 24 MiB file system with the small test guest's user space, for a root on disk."""
    target = os.path.join(cache_dir(), "guest-root-%s.img" % digest(os.path.join(IMAGES, "guest"), busybox(), Kernel().release, "1"))

    def make(tmp):
        with tempfile.TemporaryDirectory(dir=cache_dir()) as tree:
            _guest_tree(tree)
            mke2fs(tree, tmp, 24, "guest-root", 'chown -R 0:0 "$tree"')

    return made(target, make)


def grub_root(command_line):
    """The same on 96 MiB, with its kernel and RAM disk for PV GRUB (pv_grub()) to find."""
    kernel, initrd = Kernel().vmlinuz, guest_initrd()
    key = digest(os.path.join(IMAGES, "guest"), busybox(), Kernel().release, os.path.basename(initrd), command_line)
    target = os.path.join(cache_dir(), "grub-root-%s.img" % key)

    def make(tmp):
        with tempfile.TemporaryDirectory(dir=cache_dir()) as tree:
            _guest_tree(tree)
            os.makedirs(os.path.join(tree, "boot", "grub"))
            shutil.copy(kernel, os.path.join(tree, "boot", "vmlinuz"))
            shutil.copy(initrd, os.path.join(tree, "boot", "initrd.gz"))
            with open(os.path.join(tree, "boot", "grub", "grub.cfg"), "w") as f:
                f.write("set timeout=1\nmenuentry Linux {\n\tlinux /boot/vmlinuz %s\n\tinitrd /boot/initrd.gz\n}\n" % command_line)
            mke2fs(tree, tmp, 96, "grub-root", 'chown -R 0:0 "$tree"')

    return made(target, make)


def pv_grub():
    """Path of Debian's GRUB that runs as a PV guest and boots the guest's own disk."""
    return os.path.join(unpacked("grub-xen-host"), "usr", "lib", "grub-xen", "grub-x86_64-xen.bin")


# stress-ng and what it is linked with; libegl1's own dependencies, which it asks for only when a display is there, are 200 MB.
STRESS_PACKAGES = ["stress-ng", "libapparmor1", "libbsd0", "libmd0", "libc6", "libcrypt1", "libdrm2", "libegl1", "libexpat1", "libffi8",
                   "libgbm1", "libgcc-s1", "libgles2", "libglvnd0", "libipsec-mb1", "libjpeg62-turbo", "libjudydebian1", "libkmod2",
                   "liblzma5", "libsctp1", "libssl3", "libwayland-server0", "libxxhash0", "libzstd1", "zlib1g"]


def stress_root():
    """The same on 1 GiB, with stress-ng."""
    packages = [unpacked(p) for p in STRESS_PACKAGES]
    key = digest(os.path.join(IMAGES, "guest"), busybox(), " ".join(os.path.basename(p) for p in packages))
    target = os.path.join(cache_dir(), "stress-root-%s.img" % key)

    def make(tmp):
        with tempfile.TemporaryDirectory(dir=cache_dir()) as tree:
            for package in packages:
                run(["cp", "-a", "--no-preserve=ownership", package + "/.", tree], "copy " + package)
            _guest_tree(tree)
            mke2fs(tree, tmp, 1024, "stress-root", 'chown -R 0:0 "$tree"; rm -rf "$tree/usr/share/doc"')

    return made(target, make)


# A root to build in

def build_root():
    """A folder with a Debian that has what building takes, for run_in(); unpacked and not configured, nobody's but the user's."""
    key = digest(" ".join(BUILD_PACKAGES), candidate("libvirt-daemon"), candidate("libxen-dev"), candidate("gcc"))
    target = os.path.join(cache_dir(), "build-root-%s-%s" % (DEBIAN, key))

    def make(tmp):
        say("making a Debian %s to build in (about two minutes, about 120 MB to download)" % DEBIAN)
        os.makedirs(tmp)
        tar = tmp + ".tar"
        try:
            mmdebstrap("extract", BUILD_PACKAGES, tar)
            run(["tar", "-C", tmp, "-xf", tar, "--no-same-owner", "--exclude=./dev/*"], "unpack the root to build in")
        finally:
            if os.path.exists(tar):
                os.unlink(tar)
        for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
            with open(os.path.join(tmp, "etc", name), "w") as f:
                f.write(text)
        for name, target_name in (("awk", "mawk"), ("cc", "gcc")):  # what configuring packages would make
            os.symlink(target_name, os.path.join(tmp, "usr", "bin", name))

    return made(target, make)


IN_ROOT = """root=$1; shift
mount -t tmpfs tmp "$root/tmp" # before the folders, which may lie in it
while [ "$1" != -- ]; do
	mkdir -p "$root$1"
	mount --rbind "$1" "$root$1"
	shift
done
shift
exec chroot "$root" env LC_ALL=C.UTF-8 HOME=/tmp sh -ec 'cd "$1"; shift; exec "$@"' sh "$@"
"""


def run_in(root, folder, binds, argv):
    """The arguments of a program that runs argv in folder of a root, with the machine's folders binds in their places."""
    user = [] if os.getuid() == 0 else ["--map-root-user"]
    return (["unshare"] + user + ["--mount", "--propagation", "private", "sh", "-ec", IN_ROOT, "sh", root, "/proc", "/sys", "/dev"] +
            list(binds) + ["--", folder] + list(argv))


# dom0's root file system

def ssh_key():
    """Path of the private key of the tests' own ssh; the public half is at .pub, hosts beside it."""
    path = os.path.join(cache_dir(), "ssh", "id")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "xylem-test", "-f", path], "make ssh key")
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "xylem-dom0", "-f", path + "-host"],
            "make ssh host key")
    return path


def mmdebstrap(variant, packages, target):
    """A tar of Debian with these packages from the machine's own mirrors; nothing in it asks questions."""
    options = []
    for line in output(["apt-config", "dump"]).split("\n"):
        if line.startswith("Acquire::") and "proxy" in line.lower():
            options.append("--aptopt=" + line)
    run(["mmdebstrap", "--variant=" + variant, "--format=tar", "--include=" + ",".join(packages),
         "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
         "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/qemu/*",
         "--dpkgopt=path-include=/usr/share/qemu/keymaps/*",
         "--aptopt=APT::Install-Recommends false", "--aptopt=Acquire::Retries 3"] + options +
        [SUITES[DEBIAN], target] + apt_lines(), "mmdebstrap " + variant)


def dom0_base(also=""):
    """A tar of Debian with the stock tool stack; made by mmdebstrap from the machine's own sources. also: a key of ALSO."""
    packages = DOM0_PACKAGES + ALSO[also][0]
    versions = [candidate(p) for p in ["libvirt-daemon", "xen-utils-" + XEN, "libc6"] + ALSO[also][0]]
    key = digest(" ".join(packages), " ".join(versions))
    target = os.path.join(cache_dir(), "dom0-base-%s.tar" % key)

    def make(tmp):
        say("making dom0's Debian (about a minute, about 150 MB to download)")
        mmdebstrap("essential", packages, tmp)

    return made(target, make)


def dom0_root(also=""):
    """Path of dom0's root file system (ext4, label xylem-root). Never booted itself: use an overlay. also: a key of ALSO."""
    base = dom0_base(also)
    kernel = Kernel()
    files = os.path.join(IMAGES, "dom0")
    key_pub = ssh_key() + ".pub"
    modules = kernel.closure(DOM0_MODULES + ALSO[also][1])
    guest = [kernel.vmlinuz, kernel.vmlinux(), guest_initrd(), guest_root()]
    key = digest(os.path.basename(base), files, key_pub, kernel.release, " ".join(modules), *guest[2:])
    target = os.path.join(cache_dir(), "dom0-root-%s.img" % key)

    def make(tmp):
        say("making dom0's root file system")
        with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
            extra = os.path.join(work, "extra")
            moddir = os.path.join(extra, "lib", "modules", kernel.release)
            for path in modules:
                os.makedirs(os.path.dirname(os.path.join(moddir, path)), exist_ok=True)
                shutil.copy(os.path.join(kernel.modules, path), os.path.join(moddir, path))
            for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
                if os.path.exists(os.path.join(kernel.modules, name)):
                    shutil.copy(os.path.join(kernel.modules, name), moddir)
            depmod(extra, kernel.release)
            shutil.copytree(files, os.path.join(extra, "etc", "xylem"))
            srv = os.path.join(extra, "srv", "guests")
            os.makedirs(srv)
            for path, name in zip(guest, ("vmlinuz", "vmlinux", "initrd.gz", "root.img")):
                shutil.copy(path, os.path.join(srv, name))
            ssh = os.path.join(extra, "root", ".ssh")
            os.makedirs(ssh, mode=0o700)
            shutil.copy(key_pub, os.path.join(ssh, "authorized_keys"))
            etc = os.path.join(extra, "etc", "ssh")
            os.makedirs(etc)
            shutil.copy(ssh_key() + "-host", os.path.join(etc, "ssh_host_ed25519_key"))
            shutil.copy(ssh_key() + "-host.pub", os.path.join(etc, "ssh_host_ed25519_key.pub"))
            setup = ("mkdir %(w)s/root; tar -C %(w)s/root -xpf %(b)s --exclude=./dev/*; "
                     "(cd %(w)s/extra && tar --owner=0 --group=0 -cf - lib etc srv root) | "
                     "tar -C %(w)s/root --keep-directory-symlink -xf -; "
                     "rm -f %(w)s/root/etc/ssh/ssh_host_[er][cs]*; "
                     "sh %(w)s/extra/etc/xylem/prepare %(w)s/root; tree=%(w)s/root"
                     % {"w": work, "b": base})
            # Removed inside the same session: a fake root's files may be unreadable outside it.
            mke2fs(work, tmp, 2048, "xylem-root", setup)

    return made(target, make)


# Boot disks

def install_grub(disk, folder, work):
    """Puts GRUB Legacy's first stage into the MBR of a disk image whose first partition holds folder with the stages."""
    script = os.path.join(work, "setup")
    with open(script, "w") as f:
        f.write("device (hd0) %s\nroot (hd0,0)\nsetup --prefix=%s (hd0)\nquit\n" % (disk, folder))
    shell = os.path.join(unpacked("grub-legacy"), "usr", "sbin", "grub")
    if not os.path.exists(shell):
        shell = os.path.join(unpacked("grub-legacy"), "sbin", "grub")
    argv = [shell, "--batch", "--device-map=/dev/null", "--no-floppy"]
    try:
        with open(script) as f:
            run(argv, "install GRUB Legacy", stdin=f)
    except OSError as e:
        if e.errno != errno.ENOEXEC:
            raise
        # The shell is a 32-bit program, which not every kernel runs.
        with open(script) as f:
            run(["qemu-i386"] + argv, "install GRUB Legacy", stdin=f)


def grub_disk(target, entries, files, default=0):
    """Makes a bootable raw disk image with GRUB Legacy in its MBR and one ext2 partition.

    target: file to write.  entries: list of (title, [lines]) for menu.lst.  files: dict of
    name under /boot -> path on this machine.
    """
    grub = unpacked("grub-legacy")
    stages = os.path.join(grub, "usr", "lib", "grub", "x86_64-pc")
    with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
        boot = os.path.join(work, "tree", "boot")
        os.makedirs(os.path.join(boot, "grub"))
        for stage in ("stage1", "stage2", "e2fs_stage1_5"):
            shutil.copy(os.path.join(stages, stage), os.path.join(boot, "grub"))
        menu = "serial --unit=0 --speed=115200\nterminal --timeout=0 serial\ntimeout 0\ndefault %s\n" % default
        for title, lines in entries:
            menu += "\ntitle %s\nroot (hd0,0)\n%s\n" % (title, "\n".join(lines))
        with open(os.path.join(boot, "grub", "menu.lst"), "w") as f:
            f.write(menu)
        total = 4 << 20
        for name, path in files.items():
            shutil.copy(path, os.path.join(boot, name))
            total += os.path.getsize(path)
        size = (total * 9 // 8 >> 20) + 6
        disk = os.path.join(work, "disk.img")
        with open(disk, "wb") as f:
            f.truncate((size + 1) << 20)
        table = os.path.join(work, "table")
        with open(table, "w") as f:
            f.write("2048,,L,*\n")
        with open(table) as f:
            run(["sfdisk", "-q", disk], "partition boot disk", stdin=f)
        run(["mke2fs", "-q", "-F", "-t", "ext2", "-I", "128", "-O", "^resize_inode,^dir_index,^ext_attr", "-d",
             os.path.join(work, "tree"), "-E", "offset=1048576", disk, "%dM" % size], "make boot file system")
        install_grub(disk, "/boot/grub", work)
        shutil.move(disk, target)


# A whole host, as users have it

HOST_PACKAGES = [
    "apparmor", "bridge-utils", "dbus", "e2fsprogs", "ifupdown", "initramfs-tools", "iproute2", "isc-dhcp-client", "kmod",
    "libglib2.0-0", "libjson-glib-1.0-0", "liblzo2-2", "libnl-3-200", "libnl-route-3-200", "libseccomp2", "libvirt-clients", "libvirt-daemon-driver-xen",
    "libvirt-daemon-system", "libzstd1", "linux-image-amd64", "lvm2", "openssh-server", "procps", "systemd-sysv", "udev",
]
HOST_BOOT_MIB, HOST_ROOT_MIB, HOST_LVM_MIB = 192, 1536, 512


def host_disk():
    """Path of a raw disk: Debian with systemd, AppArmor, its own kernel and libvirt, started by GRUB Legacy; nothing of
    Xylem's. Partitions: /boot (ext2), / (ext4, label host-root), and an empty one for LVM. Use a copy or an overlay."""
    grub = unpacked("grub-legacy")
    key = ssh_key()
    packages = digest(" ".join(HOST_PACKAGES), candidate("linux-image-amd64"), candidate("libvirt-daemon"))
    setup = """mkdir "$work/root" "$work/boot"; tar -C "$work/root" -xpf "$base" --exclude='./dev/*'
cd "$work/root"; mkdir -p root/.ssh boot/grub; chmod 700 root/.ssh; cp "$key.pub" root/.ssh/authorized_keys
rm -f etc/ssh/ssh_host_*; cp "$key-host" etc/ssh/ssh_host_ed25519_key; cp "$key-host.pub" etc/ssh/ssh_host_ed25519_key.pub
cp "$grub"/stage1 "$grub"/stage2 "$grub"/e2fs_stage1_5 boot/grub
echo host >etc/hostname; echo '127.0.0.1 localhost host' >etc/hosts
printf 'LABEL=host-root / ext4 defaults 0 1\nLABEL=host-boot /boot ext2 defaults 0 2\n' >etc/fstab
printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >etc/network/interfaces
version=$(ls lib/modules)
cat >boot/grub/menu.lst <<END
serial --unit=0 --speed=115200
terminal --timeout=0 serial
default 0
timeout 1

title Debian
root (hd0,0)
kernel /vmlinuz-$version root=LABEL=host-root ro console=ttyS0 net.ifnames=0
initrd /initrd.img-$version
END
mv boot/* "$work/boot"
mke2fs -q -F -t ext2 -I 128 -O ^resize_inode,^dir_index,^ext_attr -L host-boot -d "$work/boot" "$work/boot.img" "$boot_mib"M
mke2fs -q -F -t ext4 -O ^metadata_csum -m 0 -L host-root -d "$work/root" "$work/root.img" "$root_mib"M
cd /; rm -rf "$work/root" "$work/boot"
"""

    def make_base(tmp):
        say("making a whole Debian host (some minutes, about 250 MB to download)")
        mmdebstrap("important", HOST_PACKAGES, tmp)

    base = made(os.path.join(cache_dir(), "host-base-%s.tar" % packages), make_base)
    target = os.path.join(cache_dir(), "host-%s.img" % digest(packages, grub, key + ".pub", setup))

    def make(tmp):
        with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
            variables = ["work=" + work, "key=" + key, "base=" + base, "grub=" + os.path.join(grub, "usr", "lib", "grub", "x86_64-pc"),
                         "boot_mib=%d" % HOST_BOOT_MIB, "root_mib=%d" % HOST_ROOT_MIB]
            run(["fakeroot", "env"] + variables + ["sh", "-ec", setup], "make the host's file systems")
            disk = os.path.join(work, "disk.img")
            sizes = [HOST_BOOT_MIB, HOST_ROOT_MIB, HOST_LVM_MIB]
            with open(disk, "wb") as f:
                f.truncate((sum(sizes) + 1) << 20)
            with open(os.path.join(work, "table"), "w") as f:
                f.write("2048,%dM,L,*\n,%dM,L\n,,8e\n" % (HOST_BOOT_MIB, HOST_ROOT_MIB))
            with open(os.path.join(work, "table")) as f:
                run(["sfdisk", "-q", disk], "partition the host's disk", stdin=f)
            for name, at in (("boot.img", 1), ("root.img", 1 + HOST_BOOT_MIB)):
                run(["dd", "if=" + os.path.join(work, name), "of=" + disk, "bs=1M", "seek=%d" % at, "conv=notrunc,sparse"],
                    "write the host's disk")
            install_grub(disk, "/grub", work)
            shutil.move(disk, tmp)

    return made(target, make)


# libvirt's source tree, for the driver's headers

def libvirt_source():
    """Unpacks the source of the libvirt release that apt would install; returns the folder."""
    version = candidate("libvirt-daemon")
    path = os.path.join(cache_dir(), "libvirt-source-" + version.replace(":", "%3a"))

    def make(tmp):
        say("downloading libvirt's source %s" % version)
        os.makedirs(tmp)
        sources = os.path.join(tmp, "sources.list")
        with open(sources, "w") as f:
            f.write("\n".join(apt_lines("deb-src")) + "\n")
        lists = os.path.join(tmp, "lists")
        os.makedirs(os.path.join(lists, "partial"))
        options = ["-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=/nonexistent", "-o",
                   "Dir::State::lists=" + lists, "-o", "Dir::Cache::srcpkgcache=", "-o", "Dir::Cache::pkgcache=",
                   "-o", "Acquire::Retries=3"]
        if os.getuid() == 0:
            options += ["-o", "APT::Sandbox::User=root"]
        run(["apt-get"] + options + ["update"], "read the source lists")
        # Some mirrors have no .dsc and no signatures; apt checks what it loads by the list of sources.
        for part in ("--tar-only", "--diff-only"):
            run(["apt-get"] + options + ["source", "--download-only", part, "libvirt=" + version], "download libvirt", cwd=tmp)
        run(["sh", "-ec", "mkdir tree; tar -xf libvirt_*.orig.tar.xz -C tree --strip-components=1; tar -xf *.debian.tar.xz -C tree; "
             "cd tree; grep -v '^#' debian/patches/series | while read -r p _; do patch -s -p1 <debian/patches/$p; done"],
            "unpack libvirt", cwd=tmp)
        shutil.rmtree(lists)

    return os.path.join(made(path, make), "tree")
