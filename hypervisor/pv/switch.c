/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vcpu leaves this CPU, or enters it: registers move between cpu_info and struct vcpu; extended state, segments,
 * debug registers and the address space follow. Nothing is left lazily in the CPU.
 */
#include "pv/switch.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "hw/desc.h"
#include "hw/fpu.h"
#include "hw/segment.h"
#include "hw/spec.h"
#include "hw/tlb.h"
#include "hw/uaccess.h"
#include "lib/errno.h"
#include "pv/address.h"
#include "pv/debugreg.h"

#define MSR_SPEC_CTRL 0x48
#define MSR_FS_BASE   0xc0000100
#define MSR_GS_BASE   0xc0000101
#define MSR_KERNEL_GS 0xc0000102
#define MSR_TSC_AUX   0xc0000103
#define CR4_DE        (1ull << 3)

static uint64_t cr4_base; /* the hypervisor's, as bring-up set it */

void pv_load_cr4(const struct vcpu *v)
{
	uint64_t now = cr4_read(), want;

	if (!cr4_base)
		cr4_base = now & ~(CR4_TSD | CR4_DE);
	want = cr4_base | (v->pv.cr4 & (CR4_TSD | CR4_DE));
	if (v->domain->vtsc.emulated)
		want |= CR4_TSD;
	if (now != want)
		cr4_write(want);
}

static void segments_save(struct vcpu *v)
{
	uint64_t gs = rdmsr(MSR_GS_BASE), shadow = rdmsr(MSR_KERNEL_GS);

	v->pv.ds = segment_ds();
	v->pv.es = segment_es();
	v->pv.fs = segment_fs();
	v->pv.gs = segment_gs();
	v->pv.fs_base = rdmsr(MSR_FS_BASE);
	v->pv.gs_base_kernel = v->pv.kernel_mode ? gs : shadow;
	v->pv.gs_base_user = v->pv.kernel_mode ? shadow : gs;
}

static void segments_load(struct vcpu *v)
{
	bool ok = segment_ds_load(v->pv.ds);

	ok = segment_es_load(v->pv.es) && ok;
	ok = segment_fs_load(v->pv.fs) && ok;
	ok = segment_gs_load(v->pv.gs) && ok;
	wrmsr(MSR_FS_BASE, v->pv.fs_base);
	wrmsr(MSR_GS_BASE, v->pv.kernel_mode ? v->pv.gs_base_kernel : v->pv.gs_base_user);
	wrmsr(MSR_KERNEL_GS, v->pv.kernel_mode ? v->pv.gs_base_user : v->pv.gs_base_kernel);
	if (!ok)
		v->pv.failsafe_pending = true;
}

void pv_leave(struct vcpu *v)
{
	v->regs = cpu_info()->regs;
	fpu_save(v->fpu_area, v->pv.xcr0);
	segments_save(v);
	if (v->pv.dr[7] & 0xff)
		pv_debugregs_off();
}

/* VCPUOP_register_runstate_memory_area: the guest's copy, with the update flag where it asked for it. */
static void runstate_publish(struct vcpu *v)
{
	struct vcpu_runstate_info now;
	uint64_t flagged;
	gva_t area = handle_gva(v->runstate_area), last_byte;

	if (handle_is_null(v->runstate_area))
		return;
	vcpu_runstate_get(v, &now);
	if (!(v->domain->vm_assist & 1u << VMASST_TYPE_runstate_update_flag)) {
		if (guest_copy_out(area, &now, sizeof(now)))
			return;
		return;
	}
	flagged = now.state_entry_time | XEN_RUNSTATE_UPDATE;
	last_byte = GVA(area.v + offsetof(struct vcpu_runstate_info, state_entry_time) + 7);
	if (guest_copy_out(last_byte, (char *)&flagged + 7, 1))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	now.state_entry_time = flagged;
	if (guest_copy_out(area, &now, sizeof(now)))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	now.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
	if (guest_copy_out(last_byte, (char *)&now.state_entry_time + 7, 1))
		return;
}

/* The vcpu's SPEC_CTRL: by the exit path where each entry sets the hypervisor's own, else now and until another vcpu's. */
static void spec_ctrl_load(uint32_t value)
{
	struct cpu_info *info = cpu_info();

	if (!(info->spec_flags & SPEC_ENTRY_IBRS) && info->guest_spec_ctrl != value)
		wrmsr(MSR_SPEC_CTRL, value);
	info->guest_spec_ctrl = value;
}

void pv_enter(struct vcpu *v)
{
	bool kernel_mode = v->pv.kernel_mode;

	cpu_info()->regs = v->regs;
	spec_ctrl_load((uint32_t)v->pv.spec_ctrl);
	/* Of the vcpu before; pv_load_address_space() sets them anew where this one runs on copies. */
	cpu_info()->hv_cr3 = cpu_info()->guest_cr3 = 0;
	/* The areas that the guest registered lie in its kernel's address space. */
	v->pv.kernel_mode = true;
	pv_load_address_space(v);
	v->pv.areas_missed = false;
	vcpu_time_update(v, true);
	runstate_publish(v);
	v->pv.kernel_mode = kernel_mode;
	if (!kernel_mode)
		pv_load_address_space(v);
	pv_fastpath_tables(v);
	pv_load_descriptors(v);
	segments_load(v);
	pv_load_cr4(v);
	fpu_restore(v->fpu_area, v->pv.xcr0);
	fpu_stts(v->pv.cr0_ts_em);
	if (cpu_features.rdtscp)
		wrmsr(MSR_TSC_AUX, v->pv.tsc_aux);
	if (v->pv.dr[7] & 0xff)
		pv_debugregs_load(v);
}

void pv_publish_again(struct vcpu *v)
{
	bool kernel_mode = v->pv.kernel_mode;

	v->pv.areas_missed = false;
	if (!kernel_mode)
		pv_toggle_mode(v);
	vcpu_time_update(v, true);
	runstate_publish(v);
	if (!kernel_mode)
		pv_toggle_mode(v);
}

void pv_stay(struct vcpu *v)
{
	bool kernel_mode = v->pv.kernel_mode;

	if (!vcpu_time_stale(v))
		return;
	v->pv.kernel_mode = true;
	if (!kernel_mode)
		pv_load_address_space(v);
	vcpu_time_update(v, false);
	v->pv.kernel_mode = kernel_mode;
	if (!kernel_mode)
		pv_load_address_space(v);
}
