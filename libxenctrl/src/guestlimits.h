/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest may have: the same for xylemd, which carries it out, and for libvirt's driver, which refuses it earlier. */
#ifndef XYLEM_GUESTLIMITS_H
#define XYLEM_GUESTLIMITS_H

#define GUEST_VCPUS_MAX      128
#define GUEST_DISKS_MAX      64
#define GUEST_NICS_MAX       32
#define GUEST_SCREENS_MAX    1
#define GUEST_CONSOLES_MAX   9 /* besides number 0; Linux knows one by the last digit of its number */
#define GUEST_MEMORY_MIN_KIB 4096ULL
#define GUEST_MEMORY_MAX_KIB (16ULL << 30) /* 16 TiB: what a 64-bit PV guest can map */
#define GUEST_CMDLINE_MAX    1023          /* bytes */
#define GUEST_CLOCK_MAX_S    (100LL * 366 * 86400)
#define GUEST_WEIGHT_MAX     65535
#define GUEST_MTU_MIN        68
#define GUEST_MTU_MAX        65535
#define GUEST_VNC_PORT_MIN   5900 /* QEMU counts displays from there */
#define GUEST_VNC_PORT_MAX   65535
#define GUEST_SOCKET_MAX     107 /* bytes of a UNIX socket's path */
#define GUEST_KEYS_MAX       16  /* pressed at once */
#define GUEST_HOLD_MAX_MS    10000
#define GUEST_OPAQUE_MAX     (256 * 1024) /* bytes */

#endif
