/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command-line options, parsed once by boot/cmdline.c and immutable afterwards. Names and meanings are Xen's. */
#ifndef HW_OPTIONS_H
#define HW_OPTIONS_H

#include "hw/upward.h"
#include "lib/types.h"

struct options {
	char command_line[1024]; /* as the boot loader gave it, without the image's name */
	/* dom0_mem=[min:]SIZE,max:SIZE: bytes; 0 where not given */
	uint64_t dom0_mem, dom0_mem_min, dom0_mem_max;
	int64_t dom0_mem_negative; /* dom0_mem=-SIZE: all but that much; 0 where not given */
	unsigned dom0_max_vcpus_min, dom0_max_vcpus; /* 0: one per CPU */
	bool dom0_vcpus_pin;
	unsigned max_cstate; /* ~0u: no limit */
	bool msi;
	unsigned maxcpus; /* 0: all */
	uint64_t mem;     /* bytes; ~0: all */
	char console[32], com1[64];
	bool console_vga; /* console= names vga */
	int loglvl_print, loglvl_rate, guest_loglvl_print,
	        guest_loglvl_rate; /* lines below are printed: 0 none .. 4 all */
	uint32_t conring_bytes;
	bool noreboot;
	char reboot[8]; /* t k a p e n or empty: triple, keyboard, acpi, pci, efi, none */
	char clocksource[8];
	char sched[16];
	unsigned sched_ratelimit_us;             /* 0: none */
	unsigned sched_slice_ms;                 /* sched_credit_tslice_ms= */
	unsigned tbuf_pages;                     /* tbuf_size=: of each CPU's trace buffer; 0: none */
	uint32_t tevt_mask;                      /* 0: all events */
	bool spec_ctrl;                          /* spec-ctrl=no switches all mitigations off */
	int spec_ibrs, spec_ibpb, spec_md_clear; /* -1: by CPU; 0, 1 */
	int xpti_dom0, xpti_domu;                /* -1: by CPU; 0, 1 */
	int l1tf_dom0, l1tf_domu;                /* pv-l1tf=; likewise */
};

#endif
