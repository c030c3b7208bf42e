/* SPDX-License-Identifier: GPL-2.0-or-later */
/* set_gdt, update_descriptor, set_segment_base, fpu_taskswitch, set_debugreg, get_debugreg. */
#include "hypercall/hypercall.h"
#include "hw/fpu.h"
#include "hw/segment.h"
#include "mm/dirtylog.h"
#include "mm/frame.h"
#include "mm/ptype.h"
#include "mm/validate.h"
#include "pv/address.h"
#include "pv/debugreg.h"
#include "pv/vcpu.h"

#define MSR_FS_BASE   0xc0000100
#define MSR_GS_BASE   0xc0000101
#define MSR_KERNEL_GS 0xc0000102

/* set_gdt(frames, entries): entries of 8 bytes, at most FIRST_RESERVED_GDT_ENTRY; frames is a list of MFNs. */
int64_t hc_set_gdt(struct hc_args *a)
{
	uint64_t frames[GDT_PAGES_MAX];
	unsigned entries = (unsigned)a->arg[1], pages;

	if (entries > FIRST_RESERVED_GDT_ENTRY)
		return -EINVAL;
	pages = (entries * 8 + PAGE_SIZE - 1) / PAGE_SIZE;
	if (guest_copy_in(frames, GVA(a->arg[0]), pages * sizeof(frames[0])))
		return -EFAULT;
	return pv_set_gdt(current_vcpu(), frames, entries);
}

/* update_descriptor(machine address, descriptor): in a frame of descriptors that is in use, or in any that may be written. */
int64_t hc_update_descriptor(struct hc_args *a)
{
	struct domain_mm *mm = &current_domain()->mm;
	mfn_t mfn = maddr_to_mfn(MADDR(a->arg[0]));
	uint64_t descriptor = a->arg[1], *table;

	if (a->arg[0] & 7)
		return -EINVAL;
	if (descriptor_check(&descriptor))
		return -EINVAL;
	/* In this order: what is no table of descriptors yet does not become one, with rings raised in what are data. */
	if (frame_get_type(mfn, mm, PTYPE_WRITABLE) && frame_get_type(mfn, mm, PTYPE_SEGDESC))
		return -EINVAL;
	table = frame_map_to_write(mfn);
	__atomic_store_n(&table[(a->arg[0] & (PAGE_SIZE - 1)) / 8], descriptor, __ATOMIC_SEQ_CST);
	frame_written(mfn);
	frame_put_type(mfn);
	return 0;
}

/* set_segment_base(which, base): SEGBASE_* of xen/arch-x86/xen-x86_64.h. */
int64_t hc_set_segment_base(struct hc_args *a)
{
	uint32_t which = (uint32_t)a->arg[0];
	uint64_t flags;

	if (which != SEGBASE_GS_USER_SEL && !pv_address_ok(a->arg[1]))
		return -EINVAL;
	switch (which) {
	case SEGBASE_FS:
		wrmsr(MSR_FS_BASE, a->arg[1]);
		return 0;
	case SEGBASE_GS_USER:
		wrmsr(MSR_KERNEL_GS, a->arg[1]);
		return 0;
	case SEGBASE_GS_KERNEL:
		wrmsr(MSR_GS_BASE, a->arg[1]);
		return 0;
	case SEGBASE_GS_USER_SEL:
		flags = irq_save();
		segment_user_gs_load((uint16_t)a->arg[1]);
		irq_restore(flags);
		return 0;
	}
	return -EINVAL;
}

/* fpu_taskswitch(set): CR0.TS. */
int64_t hc_fpu_taskswitch(struct hc_args *a)
{
	uint32_t set = (uint32_t)a->arg[0];

	current_vcpu()->pv.cr0_ts_em = set ? 1u << 3 : 0;
	fpu_stts(set);
	return 0;
}

/* set_debugreg(n, value), get_debugreg(n). */
int64_t hc_set_debugreg(struct hc_args *a)
{
	uint32_t n = (uint32_t)a->arg[0];

	return n < 8 ? pv_debugreg_set(current_vcpu(), n, a->arg[1]) : -ENODEV;
}

int64_t hc_get_debugreg(struct hc_args *a)
{
	uint32_t n = (uint32_t)a->arg[0];

	return n < 8 ? (int64_t)pv_debugreg_get(current_vcpu(), n) : -ENODEV;
}
