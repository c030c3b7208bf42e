#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""xylem-grub on other people's menus: one TAP line for each menu in menus/ and each thing that must hold.

What a menu means is decided here by a reader of its own, character by character as GRUB Legacy's stage 2 reads it
(0.97: carriage returns dropped, tabs are blanks, a backslash joins lines, in comments too; "saved" only without
anything behind it; a number ends at what is no digit; a default beyond the last entry is 0).

usage: menus.py [NAME]...    the tests whose name contains NAME; all without
"""

import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
TOOL = os.path.join(HERE, "..", "..", "tools", "xylem-grub")
UUID = "0a1b2c3d-1111-2222-3333-444455556666"
FILES = ("xylem.gz", "xen.gz", "xen-4.17-amd64.gz", "vmlinuz", "initrd", "vmlinuz.old", "vmlinuz-6.1.0-10-amd64",
         "initrd.img-6.1.0-10-amd64", "vmlinuz-6.1.0-9-amd64", "initrd.img-6.1.0-9-amd64", "kernel-2.6.36-gentoo-r5",
         "vmlinuz-2.6.18-8.el5", "vmlinuz-2.6.18-8.el5xen", "xen.gz-2.6.18-8.el5", "loader", "memtest86+.bin")
ASK = None

# Menu: (partition that its entry must name or ASK, entry that is booted by default, saved number or None, environment)
MENUS = {
    "debian-update-grub": ("(hd0,1)", 0, None, {}),
    "debian-uuid": (UUID, 1, 1, {"XYLEM_GRUB_UUID": UUID}),
    "debian-xen-and-windows": ("(hd0,4)", 2, None, {}),
    "xen-handmade-no-root": ("(hd0,2)", 1, None, {}),
    "xen-mem-options": ("(hd0,0)", 1, None, {}),
    "suse-yast": ("(hd0,1)", 0, None, {}),
    "suse-device-in-path": ("(hd0,5)", 1, None, {}),
    "redhat-grub-conf": ("(hd0,0)", 0, None, {"XYLEM_GRUB_SEPARATE": "yes"}),
    "redhat-fallback-saved": ("(hd0,0)", 1, 1, {"XYLEM_GRUB_SEPARATE": "yes"}),
    "gentoo-handbook": ("(hd0,0)", 0, None, {}),
    "no-final-newline": ("(hd1,0)", 0, None, {}),
    "crlf": ("(hd0,3)", 1, None, {}),
    "crlf-mixed": ("(hd0,3)", 1, None, {}),
    "backslashes": ("(hd0,6)", 1, None, {}),
    "ends-in-backslash": ("(hd0,0)", 0, None, {}),
    "ends-in-comment-backslash": ("(hd0,0)", 0, None, {}),
    "tabs": ("(hd0,0)", 1, None, {}),
    "default-after-titles": ("(hd0,0)", 0, None, {}),
    "default-twice": ("(hd0,0)", 1, None, {}),
    "default-too-large": ("(hd0,0)", 0, None, {}),
    "default-words": ("(hd0,0)", 0, None, {}),
    "default-saved-blank": ("(hd0,0)", 0, 1, {}),
    "default-hex": ("(hd0,0)", 1, None, {}),
    "two-partitions": ("(hd0,1)", 0, None, {}),
    "two-partitions-same-name": (ASK, 1, None, {}),
    "only-others": (ASK, 0, None, {}),
    "root-of-grub": ("none", 1, None, {}),
    "no-entries": (ASK, None, None, {}),
    "comments-everywhere": ("(hd0,0)", 1, None, {}),
    "savedefault-numbers": ("(hd0,0)", 2, 2, {}),
    "bsd-and-serial": ("(hd0,1)", 2, None, {"XYLEM_GRUB_PARTITION": "1"}),
    "password-and-lock": ("(hd0,0)", 1, None, {}),
    "blank-lines": ("(hd0,0)", 1, None, {}),
    "disk-without-partition": ("(hd1)", 0, None, {}),
    # The same menus with more to go by, or less.
    "two-partitions-same-name ": ("(hd0,1)", 1, None, {"XYLEM_GRUB_PARTITION": "1"}),
    "bsd-and-serial ": (ASK, 2, None, {}),
    "debian-uuid ": (ASK, 0, 0, {"XYLEM_GRUB_UUID": "0a1b2c3d-9999-2222-3333-444455556666"}),
    "savedefault-numbers ": ("(hd0,0)", 0, 3, {}),
    "suse-yast ": (ASK, 0, None, {"XYLEM_GRUB_PARTITION": "4"}),
}


class Menu:
    """What GRUB takes from a menu."""

    def __init__(self, data, saved):
        self.entries = []  # (title, [commands])
        self.default = 0
        self.fallback = []
        for line in self.lines(data):
            self.command(line, saved)
        if self.default >= len(self.entries):
            self.default = 0
        self.fallback = [f for f in self.fallback if f < len(self.entries)]

    @staticmethod
    def lines(data):
        line, literal, comment = "", False, False
        for c in data.decode("latin-1") + "\n":
            if c == "\r":
                continue
            c = " " if c == "\t" else c
            if literal:
                if c == "\n":
                    c = " "
                    line = line[:-1]
                literal = False
            if c == "\\":
                literal = True
            if comment:
                comment = c != "\n"
            elif not line:
                if c == "#":
                    comment = True
                elif c not in " \n":
                    line = c
            elif c == "\n":
                yield line
                line = ""
            else:
                line += c
        if line:
            yield line

    @staticmethod
    def number(text):
        digits, base = text, 10
        if text[:2].lower() == "0x":
            digits, base = text[2:], 16
        value, any_digit = 0, False
        for c in digits.lower():
            if c not in "0123456789abcdef"[:base]:
                break
            value, any_digit = value * base + int(c, 16), True
        return value if any_digit else None

    def command(self, line, saved):
        end = min([line.find(c) for c in " =" if c in line] or [len(line)])
        name, arg = line[:end], line[end:].lstrip(" =")
        if name == "title":
            self.entries.append((arg, []))
        elif self.entries:
            self.entries[-1][1].append((name, arg))
        elif name == "default":
            value = saved or 0 if arg == "saved" else self.number(arg)
            self.default = self.default if value is None else value
        elif name == "fallback":
            self.fallback = [self.number(w) for w in arg.split()]

    def boots(self):
        return self.entries[self.default][0] if self.entries else None

    def falls_back_to(self):
        return [self.entries[f][0] for f in self.fallback]

    def ours(self):
        found = [e for e in self.entries if e[0].startswith("Xylem, ")]
        return found[0] if len(found) == 1 else None

    def others(self):
        return [e for e in self.entries if not e[0].startswith("Xylem, ")]


class Host:
    """A /boot with one menu in it, and a folder beside it."""

    def __init__(self, folder, name, saved, env):
        self.boot = os.path.join(folder, "boot")
        self.outside = os.path.join(folder, "outside")
        for made in (self.boot, self.outside):
            shutil.rmtree(made, ignore_errors=True)
        os.makedirs(os.path.join(self.boot, "grub"))
        os.makedirs(self.outside)
        for file in FILES:
            open(os.path.join(self.boot, file), "w", encoding="ascii").close()
        self.path = os.path.join(self.boot, "grub", "menu.lst")
        self.saved_path = os.path.join(self.boot, "grub", "default")
        with open(os.path.join(HERE, "menus", name + ".lst"), "rb") as f:
            self.before = f.read()
        self.put(self.before)
        if saved is not None:
            self.save(saved)
        self.saved_before = self.saved_bytes()
        with open(os.path.join(folder, "cmdline"), "w", encoding="ascii") as f:
            f.write("BOOT_IMAGE=/boot/vmlinuz root=/dev/vda2 ro quiet\n")
        self.env = dict(os.environ, XYLEM_GRUB_BOOT=self.boot, XYLEM_GRUB_SYNC="true",
                        XYLEM_GRUB_CMDLINE=os.path.join(folder, "cmdline"), **env)

    def put(self, data):
        with open(self.path, "wb") as f:
            f.write(data)

    def save(self, number):
        with open(self.saved_path, "w", encoding="ascii") as f:
            f.write("%d\n%s# the saved default\n" % (number, "#\n" * 10))

    def saved_bytes(self):
        try:
            with open(self.saved_path, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def saved(self):
        data = self.saved_bytes()
        return Menu.number(data.decode()) if data else None

    def data(self):
        with open(self.path, "rb") as f:
            return f.read()

    def menu(self):
        return Menu(self.data(), self.saved())

    def run(self, *args):
        done = subprocess.run(["sh", TOOL] + list(args), env=self.env, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        return done.returncode, done.stdout

    def must(self, *args):
        code, text = self.run(*args)
        if code:
            raise AssertionError("%s: exit status %d: %s" % (" ".join(args), code, text))
        return text

    def start(self):
        """The title that GRUB boots, with what its savedefault does."""
        menu = self.menu()
        title, commands = menu.entries[menu.default]
        for name, arg in commands:
            if name == "savedefault" and self.saved() is not None:
                number = Menu.number(arg)
                self.save(menu.default if number is None else number)
        return title


def equal(got, want, what):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what, got, want))


def root_of(entry):
    words = [arg for name, arg in entry[1] if name in ("root", "uuid")]
    return words[0] if words else "none"


def try_menu(host, groot, default):
    before = host.menu()
    equal(before.default if before.entries else None, default, "default by this test's reader")
    extra = []
    if groot is ASK:
        code, text = host.run("write")
        equal((code, host.data()), (1, host.before), "a partition that cannot be told")
        if "--groot" not in text:
            raise AssertionError("the refusal does not say what to do: " + text)
        groot, extra = "(hd7,6)", ["--groot", "(hd7,6)"]

    host.must("write", *extra)
    after = host.menu()
    if before.entries:
        equal(after.boots(), before.boots(), "what is booted after write")
    equal(after.falls_back_to(), before.falls_back_to(), "fallback after write")
    equal(after.others(), before.others(), "the other entries")
    equal(root_of(after.ours()), groot, "partition")
    kernel = dict(after.ours()[1])["kernel"].split()
    equal(os.path.exists(os.path.join(host.boot, os.path.basename(kernel[0]))), True, "the hypervisor's file")
    written = host.data()
    host.must("write")
    equal(host.data(), written, "written again")
    host.must("remove")
    equal(host.data(), host.before, "removed")

    host.must("write", "--default", *extra)
    after = host.menu()
    equal(after.boots(), after.ours()[0], "what is booted after write --default")
    if before.entries:
        equal(after.falls_back_to(), [before.boots()], "fallback after write --default")
    equal(after.others(), before.others(), "the other entries after write --default")
    host.must("hook", "6.1.0-10-amd64")
    equal(host.menu().boots(), after.ours()[0], "what is booted after a kernel hook")
    host.must("remove")
    equal(host.data(), host.before, "removed after write --default")
    equal(host.saved_bytes(), host.saved_before, "the saved default after write --default")

    host.must("write", *extra)
    host.must("once")
    host.must("once")
    equal("at the next start only" in host.run("show")[1], bool(before.entries), "show says that it is for once")
    equal(host.start(), after.ours()[0], "the first start after once")
    equal("by default" in host.run("show")[1], True, "show says what is booted from then on")
    for turn in ("second",):
        if before.entries:
            equal(host.start(), before.boots(), "the %s start after once" % turn)
    host.must("remove")
    equal(host.data(), host.before, "removed after once")
    equal(host.saved_bytes() is None, host.saved_before is None, "whether there is a saved default after once")
    host.must("write", *extra)
    host.must("once")
    host.must("remove")
    equal(host.data(), host.before, "removed without a start after once")
    equal(host.menu().boots(), Menu(host.before, host.saved()).boots(), "what is booted in the end")


def links(host):
    """menu.lst is a link to grub.conf, which only root may read: it stays one."""
    target = os.path.join(host.boot, "grub", "grub.conf")
    os.rename(host.path, target)
    os.symlink("./grub.conf", host.path)
    os.chmod(target, 0o600)
    host.must("write")
    equal(os.readlink(host.path), "./grub.conf", "the link")
    equal(os.stat(target).st_mode & 0o777, 0o600, "permissions")
    equal(os.stat(target + ".xylem-old").st_mode & 0o777, 0o600, "permissions of the former version")
    host.must("remove")
    equal(host.data(), host.before, "removed")


def grown(host):
    """An entry that somebody adds behind ours keeps its number when ours is written anew."""
    host.must("write")
    host.put(host.data() + b"title later\nroot (hd0,0)\nkernel /boot/vmlinuz\n")
    now = host.menu().entries
    host.must("write", "--options", "dom0_mem=2048M")
    equal([e[0] for e in host.menu().entries], [e[0] for e in now], "order of the entries")
    host.must("remove")
    equal(host.data(), host.before + b"title later\nroot (hd0,0)\nkernel /boot/vmlinuz\n", "removed")


def more_kernels(host):
    """update-grub puts another entry in front of ours between two kernel hooks: ours stays the default."""
    host.must("write", "--default")
    end = b"### END DEBIAN AUTOMAGIC KERNELS LIST"
    host.put(host.data().replace(end, b"title new\nroot (hd0,1)\nkernel /boot/vmlinuz\n\n" + end))
    host.must("hook", "6.1.0-10-amd64")
    menu = host.menu()
    equal(menu.boots(), menu.ours()[0], "what is booted")


def chosen(host):
    """Who makes our entry the default by hand keeps it through a kernel hook."""
    host.must("write")
    host.put(host.data().replace(b"default 1", b"default 2"))
    host.must("hook", "6.1.0-10-amd64")
    equal(host.menu().boots(), host.menu().ours()[0], "what is booted")


def links_followed(host):
    """A link to a kernel, as Debian's /vmlinuz: what it leads to is written, with its RAM disk, and without it if told so."""
    link = os.path.join(host.outside, "vmlinuz")
    os.symlink("../boot/vmlinuz-6.1.0-10-amd64", link)
    for boot in (host.boot, os.path.join(host.outside, "boot")):
        if not os.path.exists(boot):
            os.symlink(host.boot, boot)
        host.env["XYLEM_GRUB_BOOT"] = boot
        text = host.must("write", "--kernel", link)
        modules = [arg.split()[0] for name, arg in host.menu().ours()[1] if name == "module"]
        equal(modules, ["/boot/vmlinuz-6.1.0-10-amd64", "/boot/initrd.img-6.1.0-10-amd64"], "kernel and RAM disk")
        equal("/boot/initrd.img-6.1.0-10-amd64" in text, True, "the RAM disk is told")
        text = host.must("write", "--kernel", os.path.join(boot, "kernel-2.6.36-gentoo-r5"))
        equal("without a RAM disk" in text, True, "that there is none is told")
        host.must("remove")


def out_of_reach(host):
    """What GRUB cannot load is refused by its name: a file that is not below /boot, a folder, a name with a blank."""
    outside, blank = os.path.join(host.outside, "image"), os.path.join(host.boot, "a b")
    link = os.path.join(host.boot, "leads-out")
    os.symlink("../outside/image", link)
    for file in (outside, blank):
        open(file, "w", encoding="ascii").close()
    for option in ("--kernel", "--xen", "--initrd"):
        for file, why in ((outside, "is not below " + host.boot), (link, "is not below " + host.boot), (blank, "blank"),
                          (os.path.join(host.boot, "grub"), "is no file")):
            code, text = host.run("write", option, file)
            equal((code, file in text, why in text, host.data() == host.before), (1, True, True, True),
                  option + " " + file + ": " + text)


def wrong_words(host):
    """A word that is not understood is named."""
    for args in (("write", "--defualt"), ("write", "extra"), ("--quiet", "show"), ("shwo",), ("show", "all")):
        code, text = host.run(*args)
        equal((code, '"%s"' % args[-1] in text or '"%s"' % args[0] in text, host.data() == host.before), (2, True, True),
              " ".join(args) + ": " + text)


OTHERS = [(links, "redhat-grub-conf", {"XYLEM_GRUB_SEPARATE": "yes"}), (grown, "tabs", {}),
          (more_kernels, "debian-update-grub", {}), (chosen, "password-and-lock", {}), (links_followed, "debian-update-grub", {}),
          (out_of_reach, "debian-update-grub", {}), (wrong_words, "debian-update-grub", {})]


def main():
    tests = [(key, lambda h, k=key: try_menu(h, MENUS[k][0], MENUS[k][1]), key.strip(), MENUS[key][2], MENUS[key][3])
             for key in MENUS]
    tests += [(f.__doc__.split(":", maxsplit=1)[0], f, menu, None, env) for f, menu, env in OTHERS]
    tests = [t for t in tests if not sys.argv[1:] or any(name in t[0] for name in sys.argv[1:])]
    there = {f[:-4] for f in os.listdir(os.path.join(HERE, "menus"))}
    print("1..%d" % (len(tests) + 1))
    failed = there != {key.strip() for key in MENUS}
    print("%s 1 - each menu in menus/ is tried" % ("not ok" if failed else "ok"))
    with tempfile.TemporaryDirectory() as folder:
        for number, (key, function, menu, saved, env) in enumerate(tests, 2):
            try:
                function(Host(folder, menu, saved, env))
                print("ok %d - %s" % (number, key), flush=True)
            except (AssertionError, KeyError, TypeError, IndexError) as e:
                failed = True
                print("# %s: %s" % (type(e).__name__, str(e).replace("\n", "\n# ")))
                print("not ok %d - %s" % (number, key))
    return 1 if failed else 0


sys.exit(main())
