/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hypercalls: dispatch.c finds the handler by number and hands it the arguments. A handler copies its
 * parameters in once, decodes, calls lower layers, copies results out.
 *
 * A handler that ran out of its slice stores its progress in a->arg[] and returns -ERESTART_HV: the guest
 * executes the same hypercall again with these arguments (in a multicall, the entry is rewritten). They are
 * guest input again then, and validated again.
 */
#ifndef HYPERCALL_HYPERCALL_H
#define HYPERCALL_HYPERCALL_H

#include "lib/types.h"
#include "lib/errno.h"
#include "hw/uaccess.h"
#include "dom/domain.h"

struct hc_args {
	uint64_t arg[6];
};

typedef int64_t hc_fn(struct hc_args *a);

/* mmu.c, memory.c */
hc_fn hc_mmu_update, hc_mmuext_op, hc_update_va_mapping, hc_update_va_mapping_otherdomain, hc_memory_op;
/* evtchn.c, grant.c, sched.c, vcpu.c, physdev.c */
hc_fn hc_event_channel_op, hc_event_channel_op_compat, hc_grant_table_op, hc_sched_op, hc_sched_op_compat;
hc_fn hc_set_timer_op, hc_vcpu_op, hc_physdev_op, hc_physdev_op_compat;
/* traps.c, descriptor.c, version.c, console.c, dispatch.c (multicall), domctl.c, sysctl.c, platform.c */
hc_fn hc_set_trap_table, hc_set_gdt, hc_update_descriptor, hc_stack_switch, hc_set_callbacks, hc_callback_op;
hc_fn hc_fpu_taskswitch, hc_set_debugreg, hc_get_debugreg, hc_set_segment_base;
hc_fn hc_xen_version, hc_console_io, hc_vm_assist, hc_multicall, hc_domctl, hc_sysctl, hc_platform_op;
hc_fn hc_hypfs_op, hc_mca, hc_hvm_op, hc_dm_op;

/* target.c: FOREIGNDOM and domid arguments: the caller itself, or a domain that the caller controls (dom0 any).
 * 0 with a reference in *d, -ESRCH or -EPERM. */
int hc_target_domain(uint16_t domid, struct domain **d) __must_check;

#endif
