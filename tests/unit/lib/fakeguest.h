/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small PV guest on the fake hypervisor: domain 1, with pages at pfns 0 to LOW - 1 and HIGH to HIGH + 3, page tables, two
 * vcpus, and its table of frames told in both ways. It has shut down for suspend.
 */
#ifndef XYLEM_TEST_FAKEGUEST_H
#define XYLEM_TEST_FAKEGUEST_H

#include <string.h>

#include "fakehv.h"

enum {
	START_INFO,
	STORE,
	CONSOLE,
	LEAF, /* three pages of its table of frames */
	GDT = LEAF + 3,
	ROOT, /* L4 of its kernel */
	USER, /* L4 of its programs */
	L3,
	L2,
	L1,
	LISTS, /* the tree: root, lists */
	LIST,
	DATA,
	ZEROS = 18, /* three pages of zeros */
	ZEROS_LAST = 20,
	LOW = 24,
	HIGH = 1024,
	PFNS = 1100,
	P2M_VA = 0x200000, /* what entry 1 of L2 maps */
};

static uint64_t guest_frames[PFNS]; /* 0: none */

static uint64_t *guest_words(unsigned pfn)
{
	return (uint64_t *)(void *)fake_page(guest_frames[pfn]);
}

static uint64_t guest_entry(unsigned pfn)
{
	return guest_frames[pfn] << 12 | 0x63;
}

static struct shared_info *guest_shared(uint32_t domid)
{
	return (struct shared_info *)(void *)fake_page(FAKE_BASE + fake_domains[domid].shared_index);
}

static void guest_tables(void)
{
	static const struct {
		unsigned pfn;
		uint8_t type;
	} types[] = { { ROOT, 8 | 4 }, { USER, 8 | 4 }, { L3, 3 }, { L2, 2 }, { L1, 8 | 1 } };

	for (unsigned i = ROOT; i <= L1; i++)
		memset(guest_words(i), 0, XYL_PAGE_BYTES);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		*fake_type(guest_frames[types[i].pfn]) = types[i].type;
	guest_words(ROOT)[0] = guest_words(USER)[0] = guest_entry(L3);
	guest_words(ROOT)[256] = UINT64_C(0xdead000) | 1; /* the hypervisor's */
	guest_words(L3)[0] = guest_entry(L2);
	guest_words(L2)[1] = guest_entry(L1);
	for (unsigned i = 0; i < 3; i++)
		guest_words(L1)[i] = guest_entry(LEAF + i);
	for (unsigned i = 0; i < LOW; i++)
		guest_words(L1)[100 + i] = guest_entry(i);
	guest_words(L1)[200] = UINT64_C(0x8000000123456000); /* not present: whatever it is, it stays */
}

static void guest_p2m(void)
{
	struct shared_info *s = guest_shared(1);

	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = 0; j < 512; j++) {
			unsigned pfn = 512 * i + j;
			uint64_t frame = pfn < PFNS ? guest_frames[pfn] : 0;

			guest_words(LEAF + i)[j] = frame ? frame : UINT64_MAX - (j & 1);
		}
	memset(guest_words(LISTS), 0, XYL_PAGE_BYTES);
	memset(guest_words(LIST), 0, XYL_PAGE_BYTES);
	guest_words(LISTS)[0] = guest_frames[LIST];
	for (unsigned i = 0; i < 3; i++)
		guest_words(LIST)[i] = guest_frames[LEAF + i];
	s->arch.max_pfn = PFNS;
	s->arch.pfn_to_mfn_frame_list_list = guest_frames[LISTS];
	s->arch.p2m_cr3 = guest_frames[ROOT] << 12;
	s->arch.p2m_vaddr = P2M_VA;
}

static void guest_vcpus(struct fake_domain *d)
{
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		vcpu_guest_context_t *c = &d->contexts[i];

		memset(c, (int)(0x11 * (i + 1)), sizeof(*c));
		c->user_regs.rdx = i ? 0x1234 : guest_frames[START_INFO];
		c->gdt_ents = 16;
		c->gdt_frames[0] = guest_frames[GDT];
		c->ctrlreg[3] = guest_frames[ROOT] << 12;
		c->ctrlreg[1] = i ? 0 : guest_frames[USER] << 12;
		c->flags = VGCF_online;
		d->online[i] = true;
		d->extended[i] = (struct xen_domctl_ext_vcpucontext){ .vcpu = i,
			                                              .size = 64,
			                                              .sysenter_callback_eip = 77 };
		memset(d->xsave[i].data, (int)(0x30 + i), 100);
		d->xsave[i].bytes = 100;
		memset(d->msrs[i].data, 0x40, i ? 0 : 32);
		d->msrs[i].bytes = i ? 0 : 32;
	}
}

/* Makes it, in domain 1. */
static void guest_make(void)
{
	struct fake_domain *d = &fake_domains[1];
	struct start_info *start;

	fake_reset();
	fake_create(1);
	memset(guest_frames, 0, sizeof(guest_frames));
	/* neighbours change places, so that order in pfns is not order in frames */
	for (unsigned i = 0; i < LOW + 4; i++) {
		unsigned n = i ^ 1;

		guest_frames[n < LOW ? n : HIGH + n - LOW] = fake_give(1);
	}
	for (unsigned i = 0; i < PFNS; i++)
		if (guest_frames[i])
			memset(fake_page(guest_frames[i]), i < ZEROS || i > ZEROS_LAST ? (int)(i & 0xff) : 0,
			       XYL_PAGE_BYTES);
	guest_tables();
	guest_p2m();
	guest_vcpus(d);
	start = (struct start_info *)(void *)guest_words(START_INFO);
	start->store_mfn = STORE; /* as a guest leaves it before it suspends: pfns */
	start->console.domU.mfn = CONSOLE;
	guest_shared(1)->vcpu_info[1].evtchn_upcall_mask = 1;
	guest_shared(1)->vcpu_info[1].evtchn_pending_sel = 5;
	guest_shared(1)->evtchn_pending[0] = 6;
	d->tsc = (struct xen_domctl_tsc_info){
		.tsc_mode = 2, .gtsc_khz = 2400000, .incarnation = 3, .elapsed_nsec = 99
	};
	d->leaf_count = 2;
	d->entry_count = 1;
	memset(d->leaves, 0x51, sizeof(d->leaves));
	d->leaves[0] = (xen_cpuid_leaf_t){ 1, XEN_CPUID_NO_SUBLEAF, 0, 0, UINT32_MAX, UINT32_MAX };
	memset(d->entries, 0x52, sizeof(d->entries));
	d->shutdown = true;
	d->reason = XYL_SHUTDOWN_SUSPEND;
}

#endif
