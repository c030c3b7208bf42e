# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in dom0: brings a guest into one state, holds it there, and makes each call of libvirt's on it.

state_calls.py STATE SECONDS [CALL,...] prints a line for each call, "ok" or "not ok", with what the call said, after how long, and what
the hypervisor and the store say. A call that waits for the guest's state to end is let go by ending it.

state_calls.py image SECONDS makes the file that the call "restore" restores: the same guest, with a Linux that can suspend. The others
have kernels of one page that cannot, so that "save", "managedsave" and "migrate" are refused; what tests/xml/statetest.c plays can.
"""

import ctypes
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time

import libvirt

NAME, UUID = "state", "5f2b7e10-0000-4000-8000-00000000aaaa"
XML = """<domain type='xen'><name>%s</name><uuid>%s</uuid><memory unit='KiB'>32768</memory><vcpu current='1'>2</vcpu>
<os><type>linux</type><kernel>/root/tiny-now</kernel></os><on_poweroff>preserve</on_poweroff><on_crash>preserve</on_crash>
<devices><disk type='file'><source file='/root/tiny-crash'/><target dev='xvda' bus='xen'/><readonly/></disk></devices></domain>
""" % (NAME, UUID)
DEFINITION = "/etc/libvirt/libxl/%s.xml"
DISK = "<disk type='file'><source file='/root/tiny-yield'/><target dev='xvdb' bus='xen'/><readonly/></disk>"
IMAGE, SAVED, CORE = "/root/state.image", "/root/state.save", "/root/state.core"
LINUX = """<domain type='xen'><name>%s</name><uuid>%s</uuid><memory unit='KiB'>98304</memory><vcpu>1</vcpu>
<os><type>linux</type><kernel>/srv/guests/vmlinuz</kernel><initrd>/srv/guests/initrd.gz</initrd><cmdline>console=hvc0 name=%s</cmdline></os>
<devices><console type='pty'><target type='xen'/></console></devices></domain>""" % (NAME, UUID, NAME)
DEADLINE_S = float(sys.argv[2])
AT_ONCE_S = DEADLINE_S / 20


def out(*argv):
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True,
                              timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def kernel(action):
    out("ln", "-f", "/root/tiny-" + action, "/root/tiny-now")


XC = ctypes.CDLL("libxenctrl.so.4.17")
XC.xc_interface_open.restype = ctypes.c_void_p
HANDLE = ctypes.c_void_p(XC.xc_interface_open(None, None, 0))
HANDLE_AT = 76  # in struct xen_domctl_getdomaininfo


def domains():
    """{domid: flags as xl's} of the domains with the guest's UUID, as the hypervisor has them."""
    found, first, info = {}, 1, ctypes.create_string_buffer(512)
    while XC.xc_domain_getinfolist(HANDLE, first, 1, info) == 1:
        number, flags = struct.unpack_from("<HxxI", info.raw)
        if info.raw[HANDLE_AT:HANDLE_AT + 16].hex() == UUID.replace("-", ""):
            crashed = flags >> 16 & 255 == 3
            found[number] = "%s%s%s%s" % ("d" * (flags & 1), "s" * (flags >> 2 & 1 and not crashed),
                                          "c" * (flags >> 2 & 1 and crashed), "p" * (flags >> 3 & 1))
        first = number + 1
    return found


def store(path):
    ids = domains()
    return out("xenstore-read", path % max(ids)) if ids else None


def alive(flag=None):
    """A domain that is neither dying nor shut down, and has the flag."""
    return any("d" not in f and "s" not in f and "c" not in f and (flag is None or flag in f) for f in domains().values())


def worker():
    return int(out("sh", "-c", "pgrep -f -- '--kernel-worke[r]' | head -1") or 0)


def daemon():
    return int(out("sh", "-c", "pgrep -x xylemd | head -1") or 0)


def wait(what, condition, seconds=DEADLINE_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("not ok - the test itself: waited for " + what)
        time.sleep(0.2)


def mapped():
    """A page of the guest, mapped here: its console's ring."""
    lib = ctypes.CDLL("libxenforeignmemory.so.1")
    lib.xenforeignmemory_open.restype = lib.xenforeignmemory_map.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(lib.xenforeignmemory_open(None, 0))
    frame, error = ctypes.c_ulong(int(store("/local/domain/%d/console/ring-ref"))), ctypes.c_int()
    page = lib.xenforeignmemory_map(handle, max(domains()), 1, ctypes.c_size_t(1), ctypes.byref(frame), ctypes.byref(error))
    if not page or error.value:
        raise SystemExit("not ok - the test itself: the guest's page cannot be mapped")
    return lambda: lib.xenforeignmemory_unmap(handle, ctypes.c_void_p(page), ctypes.c_size_t(1))


def restart_xylemd():
    if not daemon():
        subprocess.Popen(["sh", "-c", "/usr/libexec/xylem/xylemd >>/var/log/xen/xylemd.log 2>&1 </dev/null &"])
    wait("xylemd", lambda: out("xenctl", "list") is not None)


class State:
    """How the guest gets into it (dom is defined and off) and how it is let go."""

    def __init__(self, conn):
        self.conn = conn
        self.held = None
        self.thread = None

    def reach(self, state):
        self.held = None
        dom = self.conn.defineXML(XML)
        kernel({"poweroff": "poweroff", "crashed": "crash", "between": "reboot"}.get(state, "yield"))
        if state == "off":
            return dom
        if state == "building":
            # A worker is there after a build.
            dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            dom.destroy()
            pid = worker()
            os.kill(pid, signal.SIGSTOP)
            self.held = lambda: os.kill(pid, signal.SIGCONT)
            self.thread = threading.Thread(target=quiet, args=(libvirt.open("xen:///system").lookupByName(NAME).create,))
            self.thread.start()
            wait("the build", lambda: "building" in (out("xenctl", "list") or ""))
            return dom
        dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if state in ("paused", "between") else 0)
        if state == "poweroff":
            wait("its shutdown", lambda: any("s" in f for f in domains().values()))
        elif state == "crashed":
            wait("its crash", lambda: any("c" in f for f in domains().values()))
        elif state == "between":
            pid = worker()
            os.kill(pid, signal.SIGSTOP)
            self.held = lambda: os.kill(pid, signal.SIGCONT)
            # It stops at once; its next life waits for the worker.
            self.thread = threading.Thread(target=quiet, args=(dom.resume,))
            self.thread.start()
            wait("its death", lambda: not domains())
            kernel("yield")
        elif state == "dying":
            unmap = mapped()
            self.held = unmap
            out("xl", "destroy", NAME)
            wait("its death", lambda: any("d" in f for f in domains().values()))
        elif state == "away":
            os.kill(daemon(), signal.SIGKILL)
            wait("xylemd's end", lambda: not daemon())
            self.held = restart_xylemd
        elif state == "hung":
            pid = daemon()
            os.kill(pid, signal.SIGSTOP)
            self.held = lambda: os.kill(pid, signal.SIGCONT)
        return dom

    def leave(self):
        if self.held:
            self.held()
            self.held = None
        if self.thread:
            self.thread.join()
            self.thread = None

    def clear(self, dom):
        """The guest is gone, and defined as before."""
        self.leave()
        restart_xylemd()
        quiet(dom.destroy)
        if os.path.exists(DEFINITION % "other"):
            dom.rename(NAME)
        wait("the guest's end", lambda: not domains() and "\n%s " % NAME not in "\n" + (out("xenctl", "list") or "\nstate "))


def quiet(function):
    try:
        function()
    except libvirt.libvirtError:
        pass


def weight():
    sched = (ctypes.c_uint16 * 8)()
    ids = domains()
    return sched[0] if ids and XC.xc_sched_credit2_domain_get(HANDLE, max(ids), sched) == 0 else None


def pinned():
    for line in (out("xl", "vcpu-list", NAME) or "").split("\n"):
        words = line.split()
        if words and words[0] == NAME and words[2] == "0":
            return words[-3] == "1"
    return False


def asked(mode):
    return lambda: store("/local/domain/%d/control/shutdown") == mode


def told(state):
    """What libvirt may say of the domains that there are."""
    flags = list(domains().values())
    if state == libvirt.VIR_DOMAIN_RUNNING:
        return not flags or alive() and not alive("p")
    if state == libvirt.VIR_DOMAIN_PAUSED:
        return alive("p")
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        return not alive()
    if state == libvirt.VIR_DOMAIN_CRASHED:
        return any("c" in f for f in flags)
    return any("s" in f or "d" in f for f in flags)


def gone():
    """No domain lives, and none comes."""
    for _ in range(6):
        if alive():
            return False
        time.sleep(0.5)
    return "\n%s " % NAME not in "\n" + (out("xenctl", "list") or "")


LAST = {"domid": 0}  # the guest's domain before a call


# What ends a build that waits.
GIVEN_UP = {"building": ("destroy", "domjobabort"), "between": ("destroy",)}


def has_been_reset():
    flags = domains().get(LAST["domid"], "s")
    return "s" in flags or "c" in flags or "d" in flags


def has_policy(action):
    """As xylemd has it, which is asked by nobody about it."""
    try:
        with open("/run/xylem/guests/" + UUID, "rb") as f:
            return action.encode() in f.read()
    except FileNotFoundError:
        return False


def is_counted():
    """What it changes is being counted, or has been. Of a hypervisor that cannot xylemd is told, and no client."""
    with open("/sys/hypervisor/version/extra", encoding="utf-8") as f:
        if "-xylem" not in f.read():
            return True
    return re.search("calc_status=[12]", out("virsh", "domstats", NAME, "--dirtyrate") or "") is not None


def is_in(path):
    """The guest is in the file, and nowhere else."""
    return os.path.exists(path) and not alive()


# name, call, whether it is so, the states in which it must succeed
LIVE = ("running", "paused")
CALLS = [
    ("state", lambda d: d.state()[0], None, None),
    ("info", lambda d: d.info()[0], None, None),
    # The binding reads the live settings first, which a guest that is being built has none of.
    ("schedinfo", lambda d: d.setSchedulerParametersFlags({"weight": 1000}, libvirt.VIR_DOMAIN_AFFECT_LIVE), lambda: weight() == 1000,
     LIVE + ("between",)),
    ("vcpupin", lambda d: d.pinVcpu(0, (False, True)), pinned, LIVE + ("building", "between")),
    ("setvcpus", lambda d: d.setVcpusFlags(2, libvirt.VIR_DOMAIN_AFFECT_LIVE),
     lambda: store("/local/domain/%d/cpu/1/availability") == "online", LIVE + ("building", "between")),
    ("setmem", lambda d: d.setMemoryFlags(16384, libvirt.VIR_DOMAIN_AFFECT_LIVE),
     lambda: store("/local/domain/%d/memory/target") == "16384", LIVE + ("building", "between")),
    ("attach", lambda d: d.attachDeviceFlags(DISK, libvirt.VIR_DOMAIN_AFFECT_LIVE),
     lambda: store("/local/domain/0/backend/vbd/%d/51728/state") is not None, LIVE + ("building", "between")),
    ("detach", lambda d: d.detachDeviceFlags(DISK, libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE),
     lambda: store("/local/domain/0/backend/vbd/%d/51728/state") is None, None),
    ("suspend", lambda d: d.suspend(), lambda: alive("p"), LIVE + ("building", "between")),
    ("resume", lambda d: d.resume(), lambda: (not domains() or alive()) and not alive("p"), LIVE),
    ("shutdown", lambda d: d.shutdown(), asked("poweroff"), LIVE),
    ("reboot", lambda d: d.reboot(), asked("reboot"), LIVE),
    ("set-lifecycle-action", lambda d: d.setLifecycleAction(libvirt.VIR_DOMAIN_LIFECYCLE_CRASH,
     libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART, libvirt.VIR_DOMAIN_AFFECT_LIVE), lambda: has_policy("coredump-restart"),
     LIVE + ("building", "between")),
    # The kernels have no table of frames, without which there is no core file.
    ("domdirtyrate-calc", lambda d: d.startDirtyRateCalc(1), is_counted, LIVE + ("building", "between")),
    ("dump", lambda d: d.coreDump(CORE), lambda: os.path.exists(CORE) and os.path.getsize(CORE) > 0, None),
    ("save", lambda d: d.save(SAVED), lambda: is_in(SAVED), None),
    ("managedsave", lambda d: d.managedSave(), lambda: is_in("/var/lib/libvirt/libxl/save/%s.save" % NAME), None),
    ("migrate", lambda d: d.migrateToURI3("xen+tcp://127.0.0.1:1/system", {}, libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_UNSAFE),
     gone, None),
    # The kernels have no handler for it, and go on.
    ("inject-nmi", lambda d: d.injectNMI(), alive, LIVE + ("away", "hung")),
    ("reset", lambda d: d.reset(), has_been_reset, LIVE + ("away", "hung")),
    ("start", lambda d: d.create(), alive, ("off",)),
    ("restore", lambda d: d.connect().restore(IMAGE), alive, ("off",)),
    ("rename", lambda d: d.rename("other"), lambda: os.path.exists(DEFINITION % "other"), ("off",)),
    ("domjobabort", lambda d: d.abortJob(), gone, ("building",)),
    ("undefine", lambda d: d.undefine(), lambda: not os.path.exists(DEFINITION % NAME), None),
    ("destroy", lambda d: d.destroy(), gone, LIVE + ("poweroff", "crashed", "between", "building", "away", "hung")),
]
# After these the guest is another one, or none.
ENDS = ("start", "restore", "reset", "rename", "domjobabort", "undefine", "destroy", "shutdown", "reboot")


def one_call(dom, call):
    answer = {}

    def run():
        try:
            answer["value"] = call(dom)
        except libvirt.libvirtError as e:
            answer["error"] = str(e)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, answer


def is_up():
    with open("/var/log/xen/console/guest-%s.log" % NAME, errors="replace", encoding="utf-8") as f:
        return "xylem-guest: up" in f.read()


def make_image(conn):
    dom = conn.createXML(LINUX)
    # Linux says early that it can, and may not come to its end where it is asked while it boots.
    wait("a Linux that can suspend", lambda: store("/local/domain/%d/control/feature-suspend") == "1" and is_up())
    dom.save(IMAGE)


def main():
    state = sys.argv[1]
    libvirt.registerErrorHandler(lambda context, error: None, None)
    conn = libvirt.open("xen:///system")
    if state == "image":
        make_image(conn)
        return
    play = State(conn)
    dom = play.reach(state)
    wanted = sys.argv[3].split(",") if len(sys.argv) > 3 else [name for name, *_ in CALLS]
    for name, call, so, must in CALLS:
        if name not in wanted:
            continue
        for path in (SAVED, CORE):
            if os.path.exists(path):
                os.unlink(path)
        LAST["domid"] = max(domains(), default=0)
        before = so() if so else None
        begin = time.monotonic()
        thread, answer = one_call(dom, call)
        # Nothing ends the wait for a daemon that hangs: destroy kills all the same.
        thread.join(DEADLINE_S if (state, name) == ("hung", "destroy") else AT_ONCE_S)
        waited = thread.is_alive()
        if waited:
            play.leave()
            thread.join(DEADLINE_S)
        took = time.monotonic() - begin
        good = "error" not in answer and not thread.is_alive()
        # It has answered at once. Now what the build waits for comes, and no guest.
        if name in GIVEN_UP.get(state, ()):
            play.leave()
        if thread.is_alive():
            verdict, so_now = False, None
        elif so is None:
            so_now = good and told(answer["value"])
            verdict = good and so_now and not waited
        else:
            so_now = so()
            # Whoever says that it runs already says nothing that has not happened.
            verdict = so_now if good else (not so_now or before or name in ("start", "restore"))
        if must and state in must and not good:
            verdict = False
        print("%s %s: %s after %.1f s%s; it is %sso" % ("ok" if verdict else "not ok", name,
              "no answer" if thread.is_alive() else "done" if good else "refused (%s)" % answer["error"], took,
              ", when the state had ended" if waited else "", "" if so_now else "not "), flush=True)
        if not verdict:
            print("# domains: %s, xenctl: %s" % (domains(), out("xenctl", "list")), flush=True)
        if waited or name in ENDS:
            play.clear(dom)
            dom = play.reach(state)
    play.clear(dom)
    dom.undefine()


main()
