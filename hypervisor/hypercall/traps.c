/* SPDX-License-Identifier: GPL-2.0-or-later */
/* set_trap_table, set_callbacks, callback_op, stack_switch: how a guest's kernel is entered and left. */
#include "hypercall/hypercall.h"
#include "hw/rflags.h"
#include "hw/smp.h"
#include "pv/vcpu.h"
#include <xen/callback.h>

/* set_trap_table(list): entries up to one with address 0; a null list clears all. Restarts after 64 entries. */
int64_t hc_set_trap_table(struct hc_args *a)
{
	struct pv_vcpu *pv = &current_vcpu()->pv;
	struct trap_info t;

	if (!a->arg[0]) {
		for (unsigned i = 0; i < 256; i++)
			pv->traps[i] = (struct trap_gate){ 0 };
		return 0;
	}
	for (unsigned n = 1;; n++) {
		if (guest_copy_in(&t, GVA(a->arg[0]), sizeof(t)))
			return -EFAULT;
		if (!t.address)
			return 0;
		if (!pv_address_ok(t.address))
			return -EINVAL;
		pv->traps[t.vector] = (struct trap_gate){
			.address = t.address, .cs = t.cs, .dpl = TI_GET_DPL(&t), .mask_events = TI_GET_IF(&t)
		};
		a->arg[0] += sizeof(t);
		if (n % 64 == 0 && work_pending())
			return -ERESTART_HV;
	}
}

/* set_callbacks(event, failsafe, syscall): addresses. */
int64_t hc_set_callbacks(struct hc_args *a)
{
	struct pv_vcpu *pv = &current_vcpu()->pv;

	if (!pv_address_ok(a->arg[0]) || !pv_address_ok(a->arg[1]) || !pv_address_ok(a->arg[2]))
		return -EINVAL;
	pv->event_callback = a->arg[0];
	pv->failsafe_callback = a->arg[1];
	pv->syscall_callback = a->arg[2];
	pv_fastpath_update(current_vcpu());
	return 0;
}

static int callback_set(struct pv_vcpu *pv, uint16_t type, uint64_t address, bool mask)
{
	switch (type) {
	case CALLBACKTYPE_event:
		pv->event_callback = address;
		return 0;
	case CALLBACKTYPE_failsafe:
		pv->failsafe_callback = address;
		pv->failsafe_masks_events = mask;
		return 0;
	case CALLBACKTYPE_syscall:
		pv->syscall_callback = address;
		pv->syscall_masks_events = mask;
		pv_fastpath_update(current_vcpu());
		return 0;
	case CALLBACKTYPE_syscall32:
		pv->syscall32_callback = address;
		pv->syscall32_masks_events = mask;
		return 0;
	case CALLBACKTYPE_sysenter:
		pv->sysenter_callback = address;
		pv->sysenter_masks_events = mask;
		return 0;
	case CALLBACKTYPE_nmi:
		pv->traps[TRAP_NMI].address = address;
		return 0;
	}
	return -ENOSYS;
}

/* callback_op(command, argument): xen/callback.h. Event and failsafe callbacks are never unregistered. */
int64_t hc_callback_op(struct hc_args *a)
{
	struct pv_vcpu *pv = &current_vcpu()->pv;
	struct callback_register r;
	struct callback_unregister u;

	switch ((uint32_t)a->arg[0]) {
	case CALLBACKOP_register:
		if (guest_copy_in(&r, GVA(a->arg[1]), sizeof(r)))
			return -EFAULT;
		if (!pv_address_ok(r.address))
			return -EINVAL;
		return callback_set(pv, r.type, r.address, r.flags & CALLBACKF_mask_events);
	case CALLBACKOP_unregister:
		if (guest_copy_in(&u, GVA(a->arg[1]), sizeof(u)))
			return -EFAULT;
		if (u.type == CALLBACKTYPE_event || u.type == CALLBACKTYPE_failsafe ||
		    u.type == CALLBACKTYPE_syscall)
			return -EINVAL;
		return callback_set(pv, u.type, 0, false);
	}
	return -ENOSYS;
}

/* stack_switch(ss, sp): the kernel's stack for entries from user mode. */
int64_t hc_stack_switch(struct hc_args *a)
{
	struct pv_vcpu *pv = &current_vcpu()->pv;

	pv->kernel_ss = (uint16_t)(a->arg[0] | 3);
	pv->kernel_sp = a->arg[1];
	pv_fastpath_update(current_vcpu());
	return 0;
}
