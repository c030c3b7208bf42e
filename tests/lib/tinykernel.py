# SPDX-License-Identifier: GPL-2.0-or-later
"""A PV kernel of one page, for tests that need a guest but nothing in it.

It does one sched_op hypercall (by its own syscall, as Linux does): "yield" goes on for ever, the others shut
the domain down with that reason.
"""

import struct

VIRT_BASE = 0xFFFFFFFF80000000
TEXT = 0x100000
SHUTDOWN = {"poweroff": 0, "reboot": 1, "suspend": 2, "crash": 3}
HYPERVISOR_SCHED_OP = 29
SCHEDOP_YIELD, SCHEDOP_SHUTDOWN = 0, 2


def code(action):
    if action in SHUTDOWN:
        # struct sched_shutdown stands behind the code; push it, and call again if that returns
        body = (b"\x6a" + bytes([SHUTDOWN[action]])            # push reason
                + b"\x48\x89\xe6"                              # mov rsi, rsp
                + b"\xbf" + struct.pack("<I", SCHEDOP_SHUTDOWN)  # mov edi, SCHEDOP_shutdown
                + b"\xb8" + struct.pack("<I", HYPERVISOR_SCHED_OP)
                + b"\x0f\x05")                                 # syscall
    else:
        body = (b"\x31\xf6\xbf" + struct.pack("<I", SCHEDOP_YIELD)
                + b"\xb8" + struct.pack("<I", HYPERVISOR_SCHED_OP) + b"\x0f\x05")
    return body + b"\xeb" + struct.pack("<b", -(len(body) + 2))  # jmp to the start


def note(kind, data):
    return struct.pack("<III", 4, len(data), kind) + b"Xen\0" + data + b"\0" * (-len(data) % 4)


def kernel(action="yield"):
    """The ELF file's bytes."""
    notes = (note(3, struct.pack("<Q", VIRT_BASE)) + note(1, struct.pack("<Q", VIRT_BASE + TEXT))
             + note(4, struct.pack("<Q", 0)) + note(5, b"xen-3.0\0") + note(6, b"tiny\0") + note(9, b"yes\0") + note(8, b"generic\0"))
    text = code(action)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, VIRT_BASE + TEXT, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, VIRT_BASE + TEXT, TEXT, len(text), 4096, 4096)
    data = struct.pack("<IIQQQQQQ", 4, 4, 0x200, 0, 0, len(notes), len(notes), 4)
    image = bytearray(0x1000)
    image[:64] = head
    image[64:64 + 56] = load
    image[120:120 + 56] = data
    image[0x200:0x200 + len(notes)] = notes
    return bytes(image) + text
