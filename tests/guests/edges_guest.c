/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See edges_guest.h. */
#include "edges_guest.h"
#include <xen/sysctl.h>

#define CONSOLE_MAX 0x10000 /* bytes */

static bool inside(const struct edges_env *e, uint64_t at, unsigned bytes)
{
	return at >= e->base && at - e->base <= e->size - bytes;
}

static bool reboots(const struct edges_env *e, const struct xen_sysctl *op)
{
	uint64_t keys = (uint64_t)op->u.debug_keys.keys.p;

	for (uint32_t i = 0; op->cmd == XEN_SYSCTL_debug_keys && i < op->u.debug_keys.nr_keys; i++)
		if (inside(e, keys + i, 1) && *(const char *)(keys + i) == 'R')
			return true;
	return false;
}

bool edges_lethal(const struct edges_env *e, uint32_t number, const uint64_t *arg)
{
	uint32_t cmd = (uint32_t)arg[0];
	bool changes = false, waits = false;

	switch (number) {
	case __HYPERVISOR_sched_op:
		return cmd == SCHEDOP_shutdown || cmd == SCHEDOP_shutdown_code ||
		       cmd == SCHEDOP_remote_shutdown || cmd == SCHEDOP_watchdog;
	case __HYPERVISOR_sched_op_compat:
		return cmd == SCHEDOP_shutdown;
	case __HYPERVISOR_vcpu_op:
		return cmd == VCPUOP_down;
	case __HYPERVISOR_iret:
		return true;
	case __HYPERVISOR_console_io:
		return cmd == CONSOLEIO_write && (uint32_t)arg[1] > CONSOLE_MAX;
	case __HYPERVISOR_platform_op:
		return inside(e, arg[0], sizeof(struct xen_platform_op)) &&
		       ((struct xen_platform_op *)arg[0])->cmd == XENPF_enter_acpi_sleep;
	case __HYPERVISOR_sysctl:
		return inside(e, arg[0], sizeof(struct xen_sysctl)) && reboots(e, (const void *)arg[0]);
	case __HYPERVISOR_multicall:
		for (uint64_t i = 0, at = arg[0];
		     i < (uint32_t)arg[1] && inside(e, at, sizeof(struct multicall_entry));
		     i++, at += sizeof(struct multicall_entry)) {
			const struct multicall_entry *m = (const void *)at;

			/* A list in a list is refused. */
			if (m->op != __HYPERVISOR_multicall &&
			    edges_lethal(e, (uint32_t)m->op, (const uint64_t *)m->args))
				return true;
			changes |= m->op == __HYPERVISOR_set_trap_table;
			waits |= m->op == __HYPERVISOR_sched_op || m->op == __HYPERVISOR_sched_op_compat;
		}
		return changes && waits;
	default:
		return false;
	}
}

bool edges_sends_keys(const struct edges_env *e, uint32_t number, const uint64_t *arg)
{
	if (number == __HYPERVISOR_sysctl)
		return inside(e, arg[0], sizeof(struct xen_sysctl)) &&
		       ((const struct xen_sysctl *)arg[0])->cmd == XEN_SYSCTL_debug_keys;
	for (uint64_t i = 0, at = arg[0]; number == __HYPERVISOR_multicall && i < (uint32_t)arg[1] &&
	                                  inside(e, at, sizeof(struct multicall_entry));
	     i++, at += sizeof(struct multicall_entry)) {
		const struct multicall_entry *m = (const void *)at;

		if (m->op == __HYPERVISOR_sysctl &&
		    edges_sends_keys(e, (uint32_t)m->op, (const uint64_t *)m->args))
			return true;
	}
	return false;
}

bool edges_with_events(const struct edges_env *e, const struct edges_call *c)
{
	if (c->number == __HYPERVISOR_sched_op || c->number == __HYPERVISOR_sched_op_compat)
		return true;
	if (c->number != __HYPERVISOR_multicall)
		return false;
	for (uint64_t i = 0, at = c->arg[0];
	     i < (uint32_t)c->arg[1] && inside(e, at, sizeof(struct multicall_entry));
	     i++, at += sizeof(struct multicall_entry))
		if (((const struct multicall_entry *)at)->op == __HYPERVISOR_set_trap_table)
			return false;
	return true;
}
