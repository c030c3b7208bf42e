/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The complete register context of a vcpu, as toolstacks and VCPUOP_initialise hand it over (struct
 * vcpu_guest_context). */
#include "pv/vcpu.h"
#include "hw/layout.h"
#include "mm/perdomain.h"
#include "pv/address.h"
#include "pv/cpuid.h"
#include "hw/fpu.h"
#include "hw/rflags.h"
#include "hw/spec.h"
#include "hw/uaccess.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "pv/debugreg.h"
#include "pv/switch.h"

bool pv_address_ok(uint64_t address)
{
	return (int64_t)(address << 16) >> 16 == (int64_t)address;
}

uint16_t pv_code_selector(uint16_t selector)
{
	return selector & ~3 ? selector | 3 : SEL_RING3_CS64;
}

static uint16_t stack_selector(uint16_t selector)
{
	return selector & ~3 ? selector | 3 : SEL_RING3_DS;
}

static int check(const struct vcpu *v, const struct vcpu_guest_context *c)
{
	if (v->resetting)
		return -EBUSY;
	if (!pv_address_ok(c->user_regs.rip) || !pv_address_ok(c->event_callback_eip) ||
	    !pv_address_ok(c->failsafe_callback_eip) || !pv_address_ok(c->syscall_callback_eip) ||
	    !pv_address_ok(c->fs_base) || !pv_address_ok(c->gs_base_kernel) ||
	    !pv_address_ok(c->gs_base_user))
		return -EINVAL;
	for (unsigned i = 0; i < 256; i++)
		if (!pv_address_ok(c->trap_ctxt[i].address))
			return -EINVAL;
	if (c->ldt_ents > 8192 || c->gdt_ents > FIRST_RESERVED_GDT_ENTRY)
		return -EINVAL;
	return 0;
}

/* Whether the context names the tables and descriptors that the vcpu has: those are not exchanged while it has some. */
static bool same_tables(const struct vcpu *v, const struct vcpu_guest_context *c)
{
	uint64_t user = mfn_eq(v->l4_user, INVALID_MFN) ? 0 : mfn_to_maddr(v->l4_user).a;

	for (unsigned i = 0; i * 512 < v->pv.gdt_entries; i++)
		if (c->gdt_frames[i] != v->pv.gdt_frames[i].m)
			return false;
	return c->ctrlreg[3] == mfn_to_maddr(v->l4_kernel).a && (c->ctrlreg[1] & ~1ull) == user &&
	       c->gdt_ents == v->pv.gdt_entries && c->ldt_ents == v->pv.ldt_entries &&
	       (!c->ldt_ents || c->ldt_base == v->pv.ldt_base.v);
}

/* Whether x87 and SSE are as they were: then what a context cannot hold of the extended state stays, too. */
static bool same_fpu(const struct vcpu *v, const struct vcpu_guest_context *c)
{
	uint8_t now[sizeof(c->fpu_ctxt)];

	if (!v->initialised)
		return false;
	fpu_legacy_get(v->fpu_area, now);
	return !memcmp(now, &c->fpu_ctxt, sizeof(now));
}

static int take_tables(struct vcpu *v, const struct vcpu_guest_context *c)
{
	struct domain_mm *mm = &v->domain->mm;
	mfn_t kernel = maddr_to_mfn(MADDR(c->ctrlreg[3])), user = maddr_to_mfn(MADDR(c->ctrlreg[1] & ~1ull));
	int err;

	if (mfn_eq(v->l4_kernel, INVALID_MFN)) {
		err = pt_get(mm, kernel, PTYPE_L4, true);
		if (err)
			return err;
		pt_show_m2p(mm, kernel, true);
		v->l4_kernel = kernel;
	}
	if (user.m && mfn_eq(v->l4_user, INVALID_MFN)) {
		err = pt_get(mm, user, PTYPE_L4, true);
		if (err)
			return err;
		pt_show_m2p(mm, user, mfn_eq(user, v->l4_kernel));
		v->l4_user = user;
	}
	return 0;
}

static void drop_tables(struct vcpu *v)
{
	struct domain_mm *mm = &v->domain->mm;

	/* What a slice does not get to is left to whoever next changes tables of this domain. */
	if (!mfn_eq(v->l4_user, INVALID_MFN) && !pt_put(mm, v->l4_user, true))
		v->l4_user = INVALID_MFN;
	if (!mfn_eq(v->l4_kernel, INVALID_MFN) && !pt_put(mm, v->l4_kernel, true))
		v->l4_kernel = INVALID_MFN;
}

static int take_all_tables(struct vcpu *v, const struct vcpu_guest_context *c)
{
	uint64_t gdt[16];
	int err = take_tables(v, c);

	if (err == -ERESTART_HV)
		return err;
	memcpy(gdt, c->gdt_frames, sizeof(gdt));
	if (!err)
		err = pv_set_gdt(v, gdt, (unsigned)c->gdt_ents);
	if (!err && c->ldt_ents)
		err = pv_set_ldt(v, GVA(c->ldt_base), (unsigned)c->ldt_ents);
	if (err) {
		pv_release_descriptors(v);
		drop_tables(v);
	}
	return err;
}

static void set_registers(struct vcpu *v, const struct vcpu_guest_context *c)
{
	v->regs = c->user_regs;
	v->regs.cs = pv_code_selector(c->user_regs.cs);
	v->regs.ss = stack_selector(c->user_regs.ss);
	v->regs.rflags =
	        (c->user_regs.rflags & RFLAGS_GUEST & ~(uint64_t)RFLAGS_IOPL) | RFLAGS_IF | RFLAGS_ONE;
	v->pv.iopl = (unsigned)(c->user_regs.rflags >> 12) & 3;
	v->regs.entry_vector = 0;
	v->pv.ds = c->user_regs.ds;
	v->pv.es = c->user_regs.es;
	v->pv.fs = c->user_regs.fs;
	v->pv.gs = c->user_regs.gs;
	v->pv.fs_base = c->fs_base;
	v->pv.gs_base_kernel = c->gs_base_kernel;
	v->pv.gs_base_user = c->gs_base_user;
	v->pv.kernel_sp = c->kernel_sp;
	v->pv.kernel_ss = c->kernel_ss | 3;
	v->pv.kernel_mode = c->flags & VGCF_in_kernel;
	if (!(c->user_regs.cs & 3) || mfn_eq(v->l4_user, INVALID_MFN))
		v->pv.kernel_mode = true;
	v->pv.cr4 = c->ctrlreg[4] & pv_cr4_allowed(v->domain);
	v->pv.cr0_ts_em = c->ctrlreg[0] & (1ull << 3);
}

static void set_callbacks(struct vcpu *v, const struct vcpu_guest_context *c)
{
	for (unsigned i = 0; i < 256; i++) {
		const struct trap_info *t = &c->trap_ctxt[i];

		v->pv.traps[i] = (struct trap_gate){
			.address = t->address, .cs = t->cs, .dpl = TI_GET_DPL(t), .mask_events = TI_GET_IF(t)
		};
	}
	v->pv.event_callback = c->event_callback_eip;
	v->pv.failsafe_callback = c->failsafe_callback_eip;
	v->pv.failsafe_masks_events = c->flags & VGCF_failsafe_disables_events;
	v->pv.syscall_callback = c->syscall_callback_eip;
	v->pv.syscall_masks_events = c->flags & VGCF_syscall_disables_events;
}

/* ---- what the fast path goes by ---- */

#define SYSCALL_FRAME_BYTES 56 /* rcx, r11, rip, cs, rflags, rsp, ss */

void pv_fastpath_update(struct vcpu *v)
{
	uint64_t frame = (v->pv.kernel_sp & ~15ull) - SYSCALL_FRAME_BYTES;

	/* SYSRET needs a canonical address, which also those of the hypervisor's range are not to be. */
	if (!v->pv.syscall_masks_events || v->pv.syscall_callback < HV_VIRT_END || frame < HV_VIRT_END)
		frame = 0;
	v->pv.syscall_frame = frame;
}

/* Nothing else of a vcpu that may be running is written: its own stack_switch could be undone by it. */
void pv_assist_update(struct domain *d)
{
	bool iopl = READ_ONCE(d->vm_assist) & 1u << VMASST_TYPE_architectural_iopl;

	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (READ_ONCE(d->vcpus[i]))
			WRITE_ONCE(d->vcpus[i]->pv.iopl_in_frames, iopl);
}

int pv_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
	int err = check(v, c);

	if (err)
		return err;
	err = v->initialised ? same_tables(v, c) ? 0 : -EOPNOTSUPP : take_all_tables(v, c);
	if (err)
		return err;
	set_registers(v, c);
	set_callbacks(v, c);
	for (unsigned i = 0; i < 8; i++)
		v->pv.dr[i] = 0;
	for (unsigned i = 0; i < 8; i++)
		if (i != 4 && i != 5 && c->debugreg[i] && pv_debugreg_set(v, i, c->debugreg[i]))
			log_guest(LOG_WARN, v->domain->domid, "vcpu %u: debug register %u = %#lx ignored",
			          v->id, i, c->debugreg[i]);
	if (!(c->flags & VGCF_I387_VALID))
		fpu_init_area(v->fpu_area);
	else if (!same_fpu(v, c) && !fpu_legacy_set(v->fpu_area, &c->fpu_ctxt))
		log_guest(LOG_WARN, v->domain->domid, "vcpu %u: FPU state with unknown MXCSR bits ignored",
		          v->id);
	if (v->id == 0)
		v->domain->vm_assist =
		        c->vm_assist &
		        ((1ull << VMASST_TYPE_4gb_segments) | (1ull << VMASST_TYPE_writable_pagetables) |
		         (1ull << VMASST_TYPE_architectural_iopl) |
		         (1ull << VMASST_TYPE_runstate_update_flag) | (1ull << VMASST_TYPE_m2p_strict));
	pv_assist_update(v->domain);
	pv_fastpath_update(v);
	v->initialised = true;
	if (c->flags & VGCF_online)
		bit_clear(&v->pause_flags, PAUSE_DOWN);
	return 0;
}

void pv_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
	memset(c, 0, sizeof(*c));
	fpu_legacy_get(v->fpu_area, &c->fpu_ctxt);
	c->flags = VGCF_I387_VALID | (v->pv.kernel_mode ? VGCF_in_kernel : 0) |
	           (v->pv.failsafe_masks_events ? VGCF_failsafe_disables_events : 0) |
	           (v->pv.syscall_masks_events ? VGCF_syscall_disables_events : 0) |
	           (bit_test(&v->pause_flags, PAUSE_DOWN) ? 0 : VGCF_online);
	c->user_regs = v->regs;
	c->user_regs.rflags |= v->pv.iopl << 12;
	c->user_regs.ds = v->pv.ds;
	c->user_regs.es = v->pv.es;
	c->user_regs.fs = v->pv.fs;
	c->user_regs.gs = v->pv.gs;
	c->user_regs.entry_vector = c->user_regs.error_code = 0;
	c->user_regs.saved_upcall_mask = v->info->evtchn_upcall_mask;
	for (unsigned i = 0; i < 256; i++) {
		const struct trap_gate *g = &v->pv.traps[i];

		c->trap_ctxt[i] = (struct trap_info){ .vector = (uint8_t)i,
			                              .flags = (uint8_t)(g->dpl | g->mask_events << 2),
			                              .cs = g->cs,
			                              .address = g->address };
	}
	c->ldt_base = v->pv.ldt_base.v;
	c->ldt_ents = v->pv.ldt_entries;
	for (unsigned i = 0; i < GDT_PAGES_MAX; i++)
		c->gdt_frames[i] =
		        i < (v->pv.gdt_entries * 8 + PAGE_SIZE - 1) / PAGE_SIZE ? v->pv.gdt_frames[i].m : 0;
	c->gdt_ents = v->pv.gdt_entries;
	c->kernel_ss = v->pv.kernel_ss;
	c->kernel_sp = v->pv.kernel_sp;
	c->ctrlreg[0] = 0x80050033 | v->pv.cr0_ts_em;
	c->ctrlreg[1] = mfn_eq(v->l4_user, INVALID_MFN) ? 0 : mfn_to_maddr(v->l4_user).a;
	c->ctrlreg[3] = mfn_eq(v->l4_kernel, INVALID_MFN) ? 0 : mfn_to_maddr(v->l4_kernel).a;
	c->ctrlreg[4] = v->pv.cr4;
	for (unsigned i = 0; i < 8; i++)
		c->debugreg[i] = v->pv.dr[i];
	c->event_callback_eip = v->pv.event_callback;
	c->failsafe_callback_eip = v->pv.failsafe_callback;
	c->syscall_callback_eip = v->pv.syscall_callback;
	c->vm_assist = v->domain->vm_assist;
	c->fs_base = v->pv.fs_base;
	c->gs_base_kernel = v->pv.gs_base_kernel;
	c->gs_base_user = v->pv.gs_base_user;
}

static void destroy(struct vcpu *v)
{
	hv_free(v->fpu_area);
	v->fpu_area = NULL;
}

static int create(struct vcpu *v)
{
	int err = 0;

	v->l4_kernel = v->l4_user = INVALID_MFN;
	for (unsigned i = 0; i < 16; i++)
		v->pv.gdt_frames[i] = v->pv.ldt_frames[i] = INVALID_MFN;
	v->fpu_area = hv_alloc_aligned(cpu_features.xsave_size, 64);
	if (!v->fpu_area)
		return -ENOMEM;
	fpu_init_area(v->fpu_area);
	v->pv.xcr0 = 1;
	v->pv.kernel_mode = true;
	v->pv.cr4 = 0x20; /* PAE */
	v->pv.dr[6] = 0xffff0ff0;
	v->pv.dr[7] = 0x400;
	/* Map and unmap once: from here on the window has its tables and changes in it cannot fail. */
	for (unsigned page = 0; page < PERDOMAIN_VCPU_PAGES && !err; page++)
		err = perdomain_map(&v->domain->mm, v->id, page, INVALID_MFN, false);
	if (!err)
		err = pv_set_gdt(v, NULL, 0);
	return err;
}

static int relinquish(struct vcpu *v)
{
	struct domain_mm *mm = &v->domain->mm;
	int err;

	pv_release_descriptors(v);
	if (!mfn_eq(v->l4_user, INVALID_MFN)) {
		err = pt_put(mm, v->l4_user, true);
		if (err)
			return err;
		v->l4_user = INVALID_MFN;
	}
	if (!mfn_eq(v->l4_kernel, INVALID_MFN)) {
		err = pt_put(mm, v->l4_kernel, true);
		if (err)
			return err;
		v->l4_kernel = INVALID_MFN;
	}
	return 0;
}

int pv_vcpu_reset(struct vcpu *v)
{
	int err;

	v->resetting = true; /* until all tables are gone, it gets no others */
	v->initialised = false;
	err = relinquish(v);
	if (err)
		return err;
	fpu_init_area(v->fpu_area);
	v->pv.xcr0 = 1;
	v->resetting = false;
	return 0;
}

static int domain_create_pv(struct domain *d)
{
	d->cpu_policy = hv_alloc(sizeof(*d->cpu_policy));
	if (!d->cpu_policy)
		return -ENOMEM;
	*d->cpu_policy = policy_pv_default;
	d->xpti = d->mm.l4_copied = d->privileged ? spec_policy.xpti_dom0 : spec_policy.xpti_domu;
	return 0;
}

static void domain_destroy_pv(struct domain *d)
{
	hv_free(d->cpu_policy);
	d->cpu_policy = NULL;
}

const struct guest_kind pv_guest = {
	.domain_create = domain_create_pv,
	.domain_destroy = domain_destroy_pv,
	.vcpu_create = create,
	.vcpu_destroy = destroy,
	.vcpu_relinquish = relinquish,
	.leave = pv_leave,
	.enter = pv_enter,
	.stay = pv_stay,
};
