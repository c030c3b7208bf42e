/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hypervisor in a test's own process, in place of libxenctrl's handle.c and foreign.c: some frames of memory, which are
 * mapped for real, and domains that own them. It knows the calls that save, restore and dump make, and the
 * one that asks for a domain's nodes; others end the test.
 */
#ifndef XYLEM_TEST_FAKEHV_H
#define XYLEM_TEST_FAKEHV_H

#include "libxenctrl/src/private.h"

#define FAKE_FRAMES  512u
#define FAKE_BASE    0x12345u /* the first mfn */
#define FAKE_DOMAINS 3u
#define FAKE_VCPUS   2u
#define FAKE_NOBODY  UINT32_MAX
#define FAKE_PFNS    2048u /* that a log of dirty pages has */

struct fake_blob {
	uint8_t data[256];
	uint32_t bytes;
};

struct fake_domain {
	bool there;
	bool shutdown;
	int reason;
	uint64_t page_count;
	uint64_t max_pages;
	uint64_t map_kib;
	uint32_t shared_index; /* of the frame */
	vcpu_guest_context_t contexts[FAKE_VCPUS];
	bool online[FAKE_VCPUS];
	struct xen_domctl_ext_vcpucontext extended[FAKE_VCPUS];
	struct fake_blob xsave[FAKE_VCPUS], msrs[FAKE_VCPUS];
	struct xen_domctl_tsc_info tsc;
	xen_cpuid_leaf_t leaves[3];
	xen_msr_entry_t entries[1];
	uint32_t leaf_count, entry_count;
	uint64_t grants[2]; /* console and store */
	bool logging;       /* which pages are dirty */
	uint64_t dirty[FAKE_PFNS / 64];
	uint32_t dirty_count; /* as Xen has it, of a former log too */
	uint64_t cpu_ns;
	uint8_t nodes[2]; /* of its affinity, a bitmap */
};

extern struct fake_domain fake_domains[FAKE_DOMAINS];
extern unsigned fake_mapped;        /* mappings of frames that are there */
extern unsigned fake_frames_mapped; /* all that ever were, or were copied */
extern unsigned fake_allocated;     /* pieces of hypercall memory */
extern bool fake_copies;            /* it copies contents of frames, as Xylem does and Xen does not */
extern bool fake_old_copies;        /* as the first Xylem did */
extern bool fake_away;              /* memory that is not the hypercalls' own is never there */
extern bool fake_run_failed;        /* it was one that asked for more frames than one in a piece */
extern unsigned fake_fail_at; /* this call of the hypervisor, counted from 1, fails with ENOMEM; 0: none */
extern unsigned fake_calls;
extern const char *fake_extraversion;
extern xen_cpuid_leaf_t fake_lacks; /* features that this host has not: they are left out of policies */
extern unsigned fake_log_stays;     /* so many times a log cannot be switched off: ENOMEM */
extern uint32_t fake_unseen;        /* pages that Xylem takes for dirty at each look */
extern int fake_log_error;          /* with which a log is refused; 0: it is not */
extern void (*fake_between)(
        void);         /* called before each call of the hypervisor: what the guest does meanwhile */
extern bool fake_bare; /* when no frame is left, a domain is given some that cannot be mapped */

/* Forgets all domains, and makes domain domid anew: with its shared info, paused. */
void fake_reset(void);
void fake_create(uint32_t domid);
/* A frame for the domain; its mfn. */
uint64_t fake_give(uint32_t domid);
/* The domain has it no more. */
void fake_take(uint32_t domid, uint64_t mfn);
/* The domain has written to a page. */
void fake_dirty(uint32_t domid, uint64_t pfn);
uint8_t *fake_page(uint64_t mfn);
uint32_t fake_owner(uint64_t mfn);
/* XEN_DOMCTL_PFINFO_* >> 28 of the frame. */
uint8_t *fake_type(uint64_t mfn);

#endif
