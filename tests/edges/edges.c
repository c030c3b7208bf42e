/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See edges.h. An operation has a template: a kind for each of its arguments, and kinds for the fields of the structure
 * that one of them points to. Each kind has values that make sense; with one chance in six an edge is taken instead, which
 * fits every kind: no value is left out anywhere.
 */
#include "edges.h"
#include "../../hypervisor/lib/framecopy.h"
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/hypfs.h>
#include <xen/arch-x86/xen-mca.h>
#include <xen/hvm/hvm_op.h>

void *memcpy(void *, const void *, size_t);

enum kind {
	NONE,
	EDGE,  /* an edge, always */
	SMALL, /* 0 .. 7 */
	ZERO,
	CMD, /* the operation's command */
	DOMID,
	DOMCTL_DOMID, /* rather another's than one's own */
	FRAME,        /* anybody's */
	OWN,          /* a page of the caller's */
	ROOT,         /* an L4 to live on */
	MADDR,        /* of an entry, with mmu_update's command in the low bits */
	PTE,
	CR3,
	VA,
	PORT,
	VCPU,
	VIRQ,
	GREF,
	HANDLE,
	MAPFLAGS,
	COPYFLAGS,
	ORDER,
	OFFSET, /* in a page */
	UVMF,
	COUNT, /* of the structures that PTR points to */
	PTR,   /* to the structures */
	TIME,
	ADDRESS, /* of code */
	DESCRIPTOR,
	P_FRAMES, /* pointers to lists */
	P_PORTS,
	P_BYTES,
	P_PATH, /* of hypfs; COUNT is its length from here on */
	P_TEXT, /* what is written there, likewise */
	P_CONTEXT,
	P_TRAPS,
	P_CALLS,
	VERSION_D,
	VERSION_S,
	VERSION_P,
	VERSION_M,
	PM,        /* a command or a type about idle states, or frequencies */
	BITS,      /* a bitmap's length */
	FEW,       /* 1 .. 4 */
	COPY_WHAT, /* FRAMECOPY_* */
	SHADOW,    /* an operation of shadow_op */
};

struct field {
	uint16_t at;
	uint8_t size, kind;
};

#define FIELDS 14
struct op {
	const char *name;
	uint64_t cmd;
	uint8_t number;
	uint8_t arg[5];
	uint16_t bytes; /* of one structure */
	struct field field[FIELDS];
};

#define F(type, member, kind)                                                                      \
	{                                                                                          \
		(uint16_t) offsetof(type, member), (uint8_t)sizeof(((type *)NULL)->member), (kind) \
	}
/* The word behind a member, which has other names in other releases. */
#define BEHIND(type, member, kind)                                                             \
	{                                                                                      \
		(uint16_t)(offsetof(type, member) + sizeof(((type *)NULL)->member)), 4, (kind) \
	}
#define SIMPLE(call, ...)                                                             \
	{                                                                             \
		.name = #call, .number = __HYPERVISOR_##call, .arg = { __VA_ARGS__ }, \
	}
/* A call whose first argument is a command and the second a structure, or nothing. */
#define COMMAND(call, c, type, ...)                                                                   \
	{                                                                                             \
		.name = #call " " #c, .cmd = (c), .number = __HYPERVISOR_##call, .arg = { CMD, PTR }, \
		.bytes = sizeof(type), .field = { __VA_ARGS__ },                                      \
	}
#define PLAIN(call, c, ...)                                                      \
	{                                                                        \
		.name = #call " " #c, .cmd = (c), .number = __HYPERVISOR_##call, \
		.arg = { CMD, __VA_ARGS__ },                                     \
	}
#define EVTCHN(c, type, ...) COMMAND(event_channel_op, EVTCHNOP_##c, type, __VA_ARGS__)
#define GRANT(c, type, ...)                                                                               \
	{                                                                                                 \
		.name = "grant_table_op " #c, .cmd = GNTTABOP_##c, .number = __HYPERVISOR_grant_table_op, \
		.arg = { CMD, PTR, COUNT }, .bytes = sizeof(struct type), .field = { __VA_ARGS__ },       \
	}
#define VCPU_OP(c, type, ...)                                                                      \
	{                                                                                          \
		.name = "vcpu_op " #c, .cmd = VCPUOP_##c, .number = __HYPERVISOR_vcpu_op,          \
		.arg = { CMD, VCPU, PTR }, .bytes = sizeof(struct type), .field = { __VA_ARGS__ }, \
	}
#define PHYSDEV(c, type, ...) COMMAND(physdev_op, PHYSDEVOP_##c, struct type, __VA_ARGS__)
/* The old forms: the command lies before the operation. */
#define PHYSDEV_OLD(c, type, ...)                                         \
	{                                                                 \
		.name = "physdev_op_compat " #c, .cmd = PHYSDEVOP_##c,    \
		.number = __HYPERVISOR_physdev_op_compat, .arg = { PTR }, \
		.bytes = sizeof(struct physdev_op),                       \
		.field = { F(struct physdev_op, cmd, CMD), __VA_ARGS__ }, \
	}
#define EVTCHN_OLD(c, ...)                                                                                  \
	{                                                                                                   \
		.name = "event_channel_op_compat " #c, .cmd = EVTCHNOP_##c,                                 \
		.number = __HYPERVISOR_event_channel_op_compat, .arg = { PTR },                             \
		.bytes = sizeof(struct evtchn_op), .field = { F(struct evtchn_op, cmd, CMD), __VA_ARGS__ }, \
	}
#define DOMCTL(c, ...)                                                                                      \
	{                                                                                                   \
		.name = "domctl " #c, .cmd = XEN_DOMCTL_##c, .number = __HYPERVISOR_domctl, .arg = { PTR }, \
		.bytes = sizeof(struct xen_domctl),                                                         \
		.field = { F(struct xen_domctl, cmd, CMD),                                                  \
			   F(struct xen_domctl, interface_version, VERSION_D),                              \
			   F(struct xen_domctl, domain, DOMCTL_DOMID), __VA_ARGS__ },                       \
	}
#define D(member, kind) F(struct xen_domctl, u.member, kind)
/* Of a call of our own, which has its structure in the place of Xen's. */
#define COPY(member, kind)                                                                               \
	{                                                                                                \
		(uint16_t)(offsetof(struct xen_domctl, u) + offsetof(struct xylem_copy_frames, member)), \
		        (uint8_t)sizeof(((struct xylem_copy_frames *)NULL)->member), (kind)              \
	}
#define SYSCTL(c, ...)                                                                                      \
	{                                                                                                   \
		.name = "sysctl " #c, .cmd = XEN_SYSCTL_##c, .number = __HYPERVISOR_sysctl, .arg = { PTR }, \
		.bytes = sizeof(struct xen_sysctl),                                                         \
		.field = { F(struct xen_sysctl, cmd, CMD),                                                  \
			   F(struct xen_sysctl, interface_version, VERSION_S), __VA_ARGS__ },               \
	}
#define S(member, kind) F(struct xen_sysctl, u.member, kind)
#define PLATFORM(c, ...)                                                                           \
	{                                                                                          \
		.name = "platform_op " #c, .cmd = XENPF_##c, .number = __HYPERVISOR_platform_op,   \
		.arg = { PTR }, .bytes = sizeof(struct xen_platform_op),                           \
		.field = { F(struct xen_platform_op, cmd, CMD),                                    \
			   F(struct xen_platform_op, interface_version, VERSION_P), __VA_ARGS__ }, \
	}
#define PF(member, kind) F(struct xen_platform_op, u.member, kind)
#define MCA(c, ...)                                                                                    \
	{                                                                                              \
		.name = "mca " #c, .cmd = XEN_MC_##c, .number = __HYPERVISOR_mca, .arg = { PTR },      \
		.bytes = sizeof(struct xen_mc),                                                        \
		.field = { F(struct xen_mc, cmd, CMD), F(struct xen_mc, interface_version, VERSION_M), \
			   __VA_ARGS__ },                                                              \
	}
#define MC(member, kind) F(struct xen_mc, u.member, kind)
#define MMUEXT(c, kind1, kind2)                                                               \
	{                                                                                     \
		.name = "mmuext_op " #c, .cmd = MMUEXT_##c, .number = __HYPERVISOR_mmuext_op, \
		.arg = { PTR, COUNT, P_BYTES, DOMID }, .bytes = sizeof(struct mmuext_op),     \
		.field = { F(struct mmuext_op, cmd, CMD),                                     \
			   F(struct mmuext_op, arg1.mfn, kind1),                              \
			   { offsetof(struct mmuext_op, arg2), 8, kind2 } },                  \
	}
#define RESERVATION(c)                                                    \
	COMMAND(memory_op, XENMEM_##c, struct xen_memory_reservation,     \
	        F(struct xen_memory_reservation, extent_start, P_FRAMES), \
	        F(struct xen_memory_reservation, nr_extents, FEW),        \
	        F(struct xen_memory_reservation, extent_order, ORDER),    \
	        F(struct xen_memory_reservation, mem_flags, ZERO),        \
	        F(struct xen_memory_reservation, domid, DOMID))
#define MEMORY(c, type, ...) COMMAND(memory_op, XENMEM_##c, struct type, __VA_ARGS__)

static const struct op ops[] = {
	/* page tables */
	{ .name = "mmu_update",
	  .number = __HYPERVISOR_mmu_update,
	  .arg = { PTR, COUNT, P_BYTES, DOMID },
	  .bytes = sizeof(struct mmu_update),
	  .field = { F(struct mmu_update, ptr, MADDR), F(struct mmu_update, val, PTE) } },
	SIMPLE(update_va_mapping, VA, PTE, UVMF),
	SIMPLE(update_va_mapping_otherdomain, VA, PTE, UVMF, DOMID),
	MMUEXT(PIN_L1_TABLE, FRAME, EDGE),
	MMUEXT(PIN_L2_TABLE, FRAME, EDGE),
	MMUEXT(PIN_L3_TABLE, FRAME, EDGE),
	MMUEXT(PIN_L4_TABLE, FRAME, EDGE),
	MMUEXT(UNPIN_TABLE, FRAME, EDGE),
	MMUEXT(NEW_BASEPTR, ROOT, EDGE),
	MMUEXT(NEW_USER_BASEPTR, ROOT, EDGE),
	MMUEXT(TLB_FLUSH_LOCAL, EDGE, EDGE),
	MMUEXT(INVLPG_LOCAL, VA, EDGE),
	MMUEXT(TLB_FLUSH_MULTI, EDGE, P_BYTES),
	MMUEXT(INVLPG_MULTI, VA, P_BYTES),
	MMUEXT(TLB_FLUSH_ALL, EDGE, EDGE),
	MMUEXT(INVLPG_ALL, VA, EDGE),
	MMUEXT(FLUSH_CACHE, EDGE, EDGE),
	MMUEXT(SET_LDT, VA, SMALL),
	MMUEXT(CLEAR_PAGE, OWN, EDGE),
	MMUEXT(COPY_PAGE, OWN, FRAME),
	MMUEXT(FLUSH_CACHE_GLOBAL, EDGE, EDGE),
	MMUEXT(MARK_SUPER, FRAME, EDGE),
	MMUEXT(UNMARK_SUPER, FRAME, EDGE),
	/* descriptors, traps, the FPU */
	SIMPLE(set_gdt, P_FRAMES, SMALL),
	SIMPLE(update_descriptor, MADDR, DESCRIPTOR),
	SIMPLE(set_segment_base, SMALL, ADDRESS),
	SIMPLE(fpu_taskswitch, SMALL),
	SIMPLE(set_debugreg, SMALL, VA),
	SIMPLE(get_debugreg, SMALL),
	SIMPLE(set_trap_table, P_TRAPS),
	SIMPLE(set_callbacks, ADDRESS, ADDRESS, ADDRESS),
	SIMPLE(stack_switch, EDGE, EDGE),
	COMMAND(callback_op, CALLBACKOP_register, struct callback_register,
	        F(struct callback_register, type, SMALL), F(struct callback_register, flags, SMALL),
	        F(struct callback_register, address, ADDRESS)),
	COMMAND(callback_op, CALLBACKOP_unregister, struct callback_unregister,
	        F(struct callback_unregister, type, SMALL)),
	/* version, console, multicall */
	PLAIN(xen_version, XENVER_version, P_BYTES),
	PLAIN(xen_version, XENVER_extraversion, P_BYTES),
	PLAIN(xen_version, XENVER_compile_info, P_BYTES),
	PLAIN(xen_version, XENVER_capabilities, P_BYTES),
	PLAIN(xen_version, XENVER_changeset, P_BYTES),
	PLAIN(xen_version, XENVER_platform_parameters, P_BYTES),
	COMMAND(xen_version, XENVER_get_features, struct xen_feature_info,
	        F(struct xen_feature_info, submap_idx, SMALL)),
	PLAIN(xen_version, XENVER_pagesize, ZERO),
	PLAIN(xen_version, XENVER_guest_handle, P_BYTES),
	PLAIN(xen_version, XENVER_commandline, P_BYTES),
	PLAIN(xen_version, XENVER_build_id, P_BYTES),
	/* Texts of any length, which Xen has from 4.18 on: extraversion, capabilities, changeset, command line. */
	PLAIN(xen_version, 11, P_BYTES),
	PLAIN(xen_version, 12, P_BYTES),
	PLAIN(xen_version, 13, P_BYTES),
	PLAIN(xen_version, 14, P_BYTES),
	PLAIN(console_io, CONSOLEIO_write, SMALL, P_BYTES),
	PLAIN(console_io, CONSOLEIO_read, SMALL, P_BYTES),
	PLAIN(dm_op, 0, SMALL, P_BYTES),
	PLAIN(vm_assist, VMASST_CMD_enable, SMALL),
	PLAIN(vm_assist, VMASST_CMD_disable, SMALL),
	PLAIN(vm_assist, VMASST_CMD_enable, BITS),
	{ .name = "multicall", .number = __HYPERVISOR_multicall, .arg = { P_CALLS, FEW } },
	/* memory */
	RESERVATION(increase_reservation),
	RESERVATION(decrease_reservation),
	RESERVATION(populate_physmap),
	RESERVATION(claim_pages),
	MEMORY(exchange, xen_memory_exchange, F(struct xen_memory_exchange, in.extent_start, P_FRAMES),
	       F(struct xen_memory_exchange, in.nr_extents, FEW),
	       F(struct xen_memory_exchange, in.extent_order, ORDER),
	       F(struct xen_memory_exchange, in.mem_flags, ZERO),
	       F(struct xen_memory_exchange, in.domid, DOMID),
	       F(struct xen_memory_exchange, out.extent_start, P_FRAMES),
	       F(struct xen_memory_exchange, out.nr_extents, FEW),
	       F(struct xen_memory_exchange, out.extent_order, ORDER),
	       F(struct xen_memory_exchange, out.mem_flags, ZERO),
	       F(struct xen_memory_exchange, out.domid, DOMID),
	       F(struct xen_memory_exchange, nr_exchanged, ZERO)),
	PLAIN(memory_op, XENMEM_maximum_ram_page, EDGE),
	MEMORY(current_reservation, xen_memory_domain, F(struct xen_memory_domain, domid, DOMID)),
	MEMORY(maximum_reservation, xen_memory_domain, F(struct xen_memory_domain, domid, DOMID)),
	MEMORY(maximum_gpfn, xen_memory_domain, F(struct xen_memory_domain, domid, DOMID)),
	MEMORY(machphys_mfn_list, xen_machphys_mfn_list, F(struct xen_machphys_mfn_list, max_extents, FEW),
	       F(struct xen_machphys_mfn_list, extent_start, P_FRAMES)),
	PLAIN(memory_op, XENMEM_machphys_mapping, P_BYTES),
	MEMORY(memory_map, xen_memory_map, F(struct xen_memory_map, nr_entries, BITS),
	       F(struct xen_memory_map, buffer, P_BYTES)),
	MEMORY(machine_memory_map, xen_memory_map, F(struct xen_memory_map, nr_entries, BITS),
	       F(struct xen_memory_map, buffer, P_BYTES)),
	MEMORY(set_memory_map, xen_foreign_memory_map, F(struct xen_foreign_memory_map, domid, DOMID),
	       F(struct xen_foreign_memory_map, map.nr_entries, FEW),
	       F(struct xen_foreign_memory_map, map.buffer, P_BYTES)),
	MEMORY(acquire_resource, xen_mem_acquire_resource, F(struct xen_mem_acquire_resource, domid, DOMID),
	       F(struct xen_mem_acquire_resource, type, SMALL), F(struct xen_mem_acquire_resource, id, ZERO),
	       F(struct xen_mem_acquire_resource, nr_frames, FEW),
	       F(struct xen_mem_acquire_resource, pad, ZERO),
	       F(struct xen_mem_acquire_resource, frame, SMALL),
	       F(struct xen_mem_acquire_resource, frame_list, P_FRAMES)),
	MEMORY(add_to_physmap, xen_add_to_physmap, F(struct xen_add_to_physmap, domid, DOMID),
	       F(struct xen_add_to_physmap, space, SMALL), F(struct xen_add_to_physmap, idx, FRAME),
	       F(struct xen_add_to_physmap, gpfn, FRAME)),
	MEMORY(add_to_physmap_batch, xen_add_to_physmap_batch,
	       F(struct xen_add_to_physmap_batch, domid, DOMID)),
	MEMORY(remove_from_physmap, xen_remove_from_physmap, F(struct xen_remove_from_physmap, domid, DOMID),
	       F(struct xen_remove_from_physmap, gpfn, FRAME)),
	MEMORY(set_pod_target, xen_pod_target, F(struct xen_pod_target, domid, DOMID)),
	MEMORY(get_pod_target, xen_pod_target, F(struct xen_pod_target, domid, DOMID)),
	MEMORY(get_vnumainfo, xen_vnuma_topology_info, F(struct xen_vnuma_topology_info, domid, DOMID),
	       F(struct xen_vnuma_topology_info, pad, ZERO)),
	PLAIN(memory_op, XENMEM_get_sharing_freed_pages, EDGE),
	PLAIN(memory_op, XENMEM_get_sharing_shared_pages, EDGE),
	/* event channels */
	EVTCHN(alloc_unbound, struct evtchn_alloc_unbound, F(struct evtchn_alloc_unbound, dom, DOMID),
	       F(struct evtchn_alloc_unbound, remote_dom, DOMID)),
	EVTCHN(bind_interdomain, struct evtchn_bind_interdomain,
	       F(struct evtchn_bind_interdomain, remote_dom, DOMID),
	       F(struct evtchn_bind_interdomain, remote_port, PORT)),
	EVTCHN(bind_virq, struct evtchn_bind_virq, F(struct evtchn_bind_virq, virq, VIRQ),
	       F(struct evtchn_bind_virq, vcpu, VCPU)),
	EVTCHN(bind_pirq, struct evtchn_bind_pirq, F(struct evtchn_bind_pirq, pirq, BITS),
	       F(struct evtchn_bind_pirq, flags, SMALL)),
	EVTCHN(bind_ipi, struct evtchn_bind_ipi, F(struct evtchn_bind_ipi, vcpu, VCPU)),
	EVTCHN(close, struct evtchn_close, F(struct evtchn_close, port, PORT)),
	EVTCHN(send, struct evtchn_send, F(struct evtchn_send, port, PORT)),
	EVTCHN(status, struct evtchn_status, F(struct evtchn_status, dom, DOMID),
	       F(struct evtchn_status, port, PORT)),
	EVTCHN(bind_vcpu, struct evtchn_bind_vcpu, F(struct evtchn_bind_vcpu, port, PORT),
	       F(struct evtchn_bind_vcpu, vcpu, VCPU)),
	EVTCHN(unmask, struct evtchn_unmask, F(struct evtchn_unmask, port, PORT)),
	EVTCHN(reset, struct evtchn_reset, F(struct evtchn_reset, dom, DOMID)),
	EVTCHN(init_control, struct evtchn_init_control, F(struct evtchn_init_control, control_gfn, FRAME),
	       F(struct evtchn_init_control, offset, OFFSET), F(struct evtchn_init_control, vcpu, VCPU)),
	EVTCHN(expand_array, struct evtchn_expand_array, F(struct evtchn_expand_array, array_gfn, FRAME)),
	EVTCHN(set_priority, struct evtchn_set_priority, F(struct evtchn_set_priority, port, PORT)),
	EVTCHN_OLD(alloc_unbound, F(struct evtchn_op, u.alloc_unbound.dom, DOMID)),
	EVTCHN_OLD(send, F(struct evtchn_op, u.send.port, PORT)),
	EVTCHN_OLD(close, F(struct evtchn_op, u.close.port, PORT)),
	/* grants */
	GRANT(map_grant_ref, gnttab_map_grant_ref, F(struct gnttab_map_grant_ref, host_addr, VA),
	      F(struct gnttab_map_grant_ref, flags, MAPFLAGS), F(struct gnttab_map_grant_ref, ref, GREF),
	      F(struct gnttab_map_grant_ref, dom, DOMID)),
	GRANT(unmap_grant_ref, gnttab_unmap_grant_ref, F(struct gnttab_unmap_grant_ref, host_addr, VA),
	      F(struct gnttab_unmap_grant_ref, dev_bus_addr, ZERO),
	      F(struct gnttab_unmap_grant_ref, handle, HANDLE)),
	GRANT(unmap_and_replace, gnttab_unmap_and_replace, F(struct gnttab_unmap_and_replace, host_addr, VA),
	      F(struct gnttab_unmap_and_replace, new_addr, VA),
	      F(struct gnttab_unmap_and_replace, handle, HANDLE)),
	GRANT(copy, gnttab_copy, F(struct gnttab_copy, source.u.ref, GREF),
	      F(struct gnttab_copy, source.domid, DOMID), F(struct gnttab_copy, source.offset, OFFSET),
	      { offsetof(struct gnttab_copy, dest.u), 8, FRAME }, F(struct gnttab_copy, dest.domid, DOMID),
	      F(struct gnttab_copy, dest.offset, OFFSET), F(struct gnttab_copy, len, OFFSET),
	      F(struct gnttab_copy, flags, COPYFLAGS)),
	GRANT(copy, gnttab_copy, { offsetof(struct gnttab_copy, source.u), 8, OWN },
	      F(struct gnttab_copy, source.domid, DOMID), F(struct gnttab_copy, source.offset, SMALL),
	      F(struct gnttab_copy, dest.u.ref, GREF), F(struct gnttab_copy, dest.domid, DOMID),
	      F(struct gnttab_copy, dest.offset, SMALL), F(struct gnttab_copy, len, SMALL),
	      F(struct gnttab_copy, flags, COPYFLAGS)),
	GRANT(transfer, gnttab_transfer, F(struct gnttab_transfer, mfn, OWN),
	      F(struct gnttab_transfer, domid, DOMID), F(struct gnttab_transfer, ref, GREF)),
	GRANT(swap_grant_ref, gnttab_swap_grant_ref, F(struct gnttab_swap_grant_ref, ref_a, GREF),
	      F(struct gnttab_swap_grant_ref, ref_b, GREF)),
	GRANT(setup_table, gnttab_setup_table, F(struct gnttab_setup_table, dom, DOMID),
	      F(struct gnttab_setup_table, nr_frames, FEW),
	      F(struct gnttab_setup_table, frame_list, P_FRAMES)),
	GRANT(query_size, gnttab_query_size, F(struct gnttab_query_size, dom, DOMID)),
	GRANT(get_version, gnttab_get_version, F(struct gnttab_get_version, dom, DOMID)),
	GRANT(set_version, gnttab_set_version, F(struct gnttab_set_version, version, FEW)),
	GRANT(get_status_frames, gnttab_get_status_frames, F(struct gnttab_get_status_frames, dom, DOMID),
	      F(struct gnttab_get_status_frames, frame_list, P_FRAMES)),
	GRANT(cache_flush, gnttab_cache_flush, F(struct gnttab_cache_flush, a.ref, GREF),
	      F(struct gnttab_cache_flush, op, SMALL)),
	GRANT(dump_table, gnttab_dump_table, F(struct gnttab_dump_table, dom, DOMID)),
	/* scheduling and vcpus */
	PLAIN(sched_op, SCHEDOP_yield, EDGE),
	PLAIN(sched_op, SCHEDOP_block, EDGE),
	COMMAND(sched_op, SCHEDOP_poll, struct sched_poll, F(struct sched_poll, ports, P_PORTS),
	        F(struct sched_poll, nr_ports, FEW), F(struct sched_poll, timeout, TIME)),
	COMMAND(sched_op, SCHEDOP_shutdown, struct sched_shutdown, F(struct sched_shutdown, reason, SMALL)),
	COMMAND(sched_op, SCHEDOP_shutdown_code, struct sched_shutdown,
	        F(struct sched_shutdown, reason, SMALL)),
	COMMAND(sched_op, SCHEDOP_remote_shutdown, struct sched_remote_shutdown,
	        F(struct sched_remote_shutdown, domain_id, DOMCTL_DOMID),
	        F(struct sched_remote_shutdown, reason, SMALL)),
	COMMAND(sched_op, SCHEDOP_watchdog, struct sched_watchdog, F(struct sched_watchdog, id, SMALL),
	        F(struct sched_watchdog, timeout, BITS)),
	COMMAND(sched_op, SCHEDOP_pin_override, struct sched_pin_override,
	        F(struct sched_pin_override, pcpu, SMALL)),
	PLAIN(sched_op_compat, SCHEDOP_yield, EDGE),
	PLAIN(sched_op_compat, SCHEDOP_block, EDGE),
	PLAIN(sched_op_compat, SCHEDOP_shutdown, SMALL),
	SIMPLE(set_timer_op, TIME),
	VCPU_OP(initialise, vcpu_guest_context, F(struct vcpu_guest_context, flags, SMALL)),
	{ .name = "vcpu_op initialise",
	  .cmd = VCPUOP_initialise,
	  .number = __HYPERVISOR_vcpu_op,
	  .arg = { CMD, VCPU, P_CONTEXT } },
	PLAIN(vcpu_op, VCPUOP_up, VCPU),
	PLAIN(vcpu_op, VCPUOP_down, VCPU),
	PLAIN(vcpu_op, VCPUOP_is_up, VCPU),
	PLAIN(vcpu_op, VCPUOP_get_runstate_info, VCPU, P_BYTES),
	VCPU_OP(register_runstate_memory_area, vcpu_register_runstate_memory_area,
	        F(struct vcpu_register_runstate_memory_area, addr, P_BYTES)),
	VCPU_OP(register_vcpu_time_memory_area, vcpu_register_time_memory_area,
	        F(struct vcpu_register_time_memory_area, addr, P_BYTES)),
	VCPU_OP(register_vcpu_info, vcpu_register_vcpu_info, F(struct vcpu_register_vcpu_info, mfn, OWN),
	        F(struct vcpu_register_vcpu_info, offset, OFFSET),
	        F(struct vcpu_register_vcpu_info, rsvd, ZERO)),
	VCPU_OP(set_periodic_timer, vcpu_set_periodic_timer,
	        F(struct vcpu_set_periodic_timer, period_ns, TIME)),
	PLAIN(vcpu_op, VCPUOP_stop_periodic_timer, VCPU),
	VCPU_OP(set_singleshot_timer, vcpu_set_singleshot_timer,
	        F(struct vcpu_set_singleshot_timer, timeout_abs_ns, TIME),
	        F(struct vcpu_set_singleshot_timer, flags, SMALL)),
	PLAIN(vcpu_op, VCPUOP_stop_singleshot_timer, VCPU),
	PLAIN(vcpu_op, VCPUOP_send_nmi, VCPU),
	PLAIN(vcpu_op, VCPUOP_get_physid, VCPU, P_BYTES),
	/* devices */
	PHYSDEV(eoi, physdev_eoi, F(struct physdev_eoi, irq, BITS)),
	PHYSDEV(pirq_eoi_gmfn_v1, physdev_pirq_eoi_gmfn, F(struct physdev_pirq_eoi_gmfn, gmfn, OWN)),
	PHYSDEV(pirq_eoi_gmfn_v2, physdev_pirq_eoi_gmfn, F(struct physdev_pirq_eoi_gmfn, gmfn, OWN)),
	PHYSDEV(irq_status_query, physdev_irq_status_query, F(struct physdev_irq_status_query, irq, BITS)),
	PHYSDEV(map_pirq, physdev_map_pirq, F(struct physdev_map_pirq, domid, DOMID),
	        F(struct physdev_map_pirq, type, SMALL), F(struct physdev_map_pirq, index, BITS),
	        F(struct physdev_map_pirq, pirq, BITS), F(struct physdev_map_pirq, bus, ZERO),
	        F(struct physdev_map_pirq, devfn, BITS), F(struct physdev_map_pirq, entry_nr, FEW),
	        F(struct physdev_map_pirq, table_base, EDGE)),
	PHYSDEV(unmap_pirq, physdev_unmap_pirq, F(struct physdev_unmap_pirq, domid, DOMID),
	        F(struct physdev_unmap_pirq, pirq, BITS)),
	PHYSDEV(get_free_pirq, physdev_get_free_pirq, F(struct physdev_get_free_pirq, type, SMALL)),
	PHYSDEV(set_iopl, physdev_set_iopl, F(struct physdev_set_iopl, iopl, SMALL)),
	PHYSDEV(set_iobitmap, physdev_set_iobitmap, F(struct physdev_set_iobitmap, bitmap, P_BYTES),
	        F(struct physdev_set_iobitmap, nr_ports, BITS)),
	PHYSDEV(apic_read, physdev_apic, F(struct physdev_apic, apic_physbase, EDGE),
	        F(struct physdev_apic, reg, BITS)),
	PHYSDEV(apic_write, physdev_apic, F(struct physdev_apic, reg, BITS)),
	PHYSDEV(alloc_irq_vector, physdev_irq, F(struct physdev_irq, irq, BITS)),
	PHYSDEV(free_irq_vector, physdev_irq, F(struct physdev_irq, irq, BITS)),
	PHYSDEV(setup_gsi, physdev_setup_gsi, F(struct physdev_setup_gsi, gsi, BITS),
	        F(struct physdev_setup_gsi, triggering, SMALL), F(struct physdev_setup_gsi, polarity, SMALL)),
	PHYSDEV(restore_msi, physdev_restore_msi, F(struct physdev_restore_msi, bus, SMALL),
	        F(struct physdev_restore_msi, devfn, BITS)),
	PHYSDEV(restore_msi_ext, physdev_pci_device, F(struct physdev_pci_device, seg, ZERO),
	        F(struct physdev_pci_device, bus, SMALL)),
	PHYSDEV(manage_pci_add, physdev_manage_pci, F(struct physdev_manage_pci, bus, SMALL)),
	PHYSDEV(manage_pci_add_ext, physdev_manage_pci_ext, F(struct physdev_manage_pci_ext, bus, SMALL)),
	PHYSDEV(manage_pci_remove, physdev_manage_pci, F(struct physdev_manage_pci, bus, SMALL)),
	PHYSDEV(pci_device_add, physdev_pci_device_add, F(struct physdev_pci_device_add, bus, SMALL)),
	PHYSDEV(pci_device_remove, physdev_pci_device, F(struct physdev_pci_device, bus, SMALL)),
	PHYSDEV(pci_mmcfg_reserved, physdev_pci_mmcfg_reserved,
	        F(struct physdev_pci_mmcfg_reserved, address, EDGE)),
	PHYSDEV(prepare_msix, physdev_pci_device, F(struct physdev_pci_device, bus, SMALL)),
	PHYSDEV(release_msix, physdev_pci_device, F(struct physdev_pci_device, bus, SMALL)),
	PHYSDEV(dbgp_op, physdev_dbgp_op, F(struct physdev_dbgp_op, op, SMALL)),
	PHYSDEV(IRQ_UNMASK_NOTIFY, physdev_irq, F(struct physdev_irq, irq, BITS)),
	PHYSDEV_OLD(irq_status_query, F(struct physdev_op, u.irq_status_query.irq, BITS)),
	PHYSDEV_OLD(set_iopl, F(struct physdev_op, u.set_iopl.iopl, SMALL)),
	PHYSDEV_OLD(set_iobitmap, F(struct physdev_op, u.set_iobitmap.bitmap, P_BYTES),
	            F(struct physdev_op, u.set_iobitmap.nr_ports, BITS)),
	PHYSDEV_OLD(apic_read, F(struct physdev_op, u.apic_op.reg, BITS)),
	PHYSDEV_OLD(apic_write, F(struct physdev_op, u.apic_op.reg, BITS)),
	PHYSDEV_OLD(alloc_irq_vector, F(struct physdev_op, u.irq_op.irq, BITS)),
	PHYSDEV_OLD(IRQ_UNMASK_NOTIFY, F(struct physdev_op, u.irq_op.irq, BITS)),
	/* the machine */
	PLATFORM(settime32, PF(settime32.secs, EDGE), PF(settime32.nsecs, BITS),
	         PF(settime32.system_time, TIME)),
	PLATFORM(settime64, PF(settime64.secs, EDGE), PF(settime64.nsecs, BITS), PF(settime64.mbz, ZERO),
	         PF(settime64.system_time, TIME)),
	PLATFORM(enter_acpi_sleep, PF(enter_acpi_sleep.val_a, EDGE), PF(enter_acpi_sleep.val_b, EDGE),
	         PF(enter_acpi_sleep.sleep_state, SMALL), PF(enter_acpi_sleep.flags, ZERO)),
	PLATFORM(firmware_info, PF(firmware_info.type, SMALL), PF(firmware_info.index, ZERO)),
	PLATFORM(get_cpuinfo, PF(pcpu_info.xen_cpuid, SMALL)),
	PLATFORM(get_cpu_version, PF(pcpu_version.xen_cpuid, SMALL)),
	PLATFORM(getidletime, PF(getidletime.cpumap_bitmap, P_BYTES), PF(getidletime.cpumap_nr_cpus, BITS),
	         PF(getidletime.idletime, P_BYTES)),
	PLATFORM(cpu_online, PF(cpu_ol.cpuid, SMALL)),
	PLATFORM(cpu_offline, PF(cpu_ol.cpuid, SMALL)),
	PLATFORM(set_processor_pminfo, PF(set_pminfo.id, SMALL)),
	PLATFORM(cpu_hotadd, PF(cpu_add.apic_id, SMALL)),
	PLATFORM(mem_hotadd, PF(mem_add.spfn, FRAME), PF(mem_add.epfn, FRAME)),
	PLATFORM(microcode_update, PF(microcode.data, P_BYTES), PF(microcode.length, BITS)),
	PLATFORM(core_parking, PF(core_parking.type, SMALL)),
	PLATFORM(resource_op, PF(resource_op.nr_entries, FEW), PF(resource_op.entries, P_BYTES)),
	PLAIN(hypfs_op, XEN_HYPFS_OP_get_version, ZERO, ZERO, ZERO, ZERO),
	PLAIN(hypfs_op, XEN_HYPFS_OP_read, P_PATH, COUNT, P_BYTES, BITS),
	PLAIN(hypfs_op, XEN_HYPFS_OP_write_contents, P_PATH, COUNT, P_TEXT, COUNT),
	MCA(fetch, MC(mc_fetch.flags, SMALL), MC(mc_fetch.fetch_id, SMALL), MC(mc_fetch.data, P_BYTES)),
	MCA(notifydomain, MC(mc_notifydomain.mc_domid, DOMID)),
	MCA(physcpuinfo, MC(mc_physcpuinfo.ncpus, FEW), MC(mc_physcpuinfo.info, P_BYTES)),
	MCA(msrinject, MC(mc_msrinject.mcinj_cpunr, SMALL), MC(mc_msrinject.mcinj_flags, SMALL),
	    MC(mc_msrinject.mcinj_count, FEW), MC(mc_msrinject.mcinj_msr[0].reg, EDGE)),
	MCA(mceinject, MC(mc_mceinject.mceinj_cpunr, SMALL)),
	MCA(inject_v2, MC(mc_inject_v2.flags, SMALL), MC(mc_inject_v2.cpumap.bitmap, P_BYTES),
	    MC(mc_inject_v2.cpumap.nr_bits, BITS)),
	COMMAND(hvm_op, HVMOP_get_param, struct xen_hvm_param, F(struct xen_hvm_param, domid, DOMID),
	        F(struct xen_hvm_param, index, SMALL)),
	COMMAND(hvm_op, HVMOP_set_param, struct xen_hvm_param, F(struct xen_hvm_param, domid, DOMID),
	        F(struct xen_hvm_param, index, SMALL)),
	/* the toolstack's: one domain */
	DOMCTL(createdomain, D(createdomain.ssidref, ZERO), D(createdomain.flags, ZERO),
	       D(createdomain.iommu_opts, ZERO), D(createdomain.max_vcpus, FEW),
	       D(createdomain.max_evtchn_port, EDGE), D(createdomain.max_grant_frames, SMALL),
	       D(createdomain.max_maptrack_frames, SMALL), D(createdomain.grant_opts, FEW),
	       D(createdomain.cpupool_id, ZERO), D(createdomain.arch.emulation_flags, ZERO)),
	DOMCTL(destroydomain),
	DOMCTL(pausedomain),
	DOMCTL(unpausedomain),
	DOMCTL(resumedomain),
	DOMCTL(getdomaininfo),
	DOMCTL(max_vcpus, D(max_vcpus.max, FEW)),
	DOMCTL(max_mem, D(max_mem.max_memkb, EDGE)),
	DOMCTL(setdomainhandle, D(setdomainhandle.handle, ZERO)),
	DOMCTL(setdebugging, D(setdebugging.enable, SMALL)),
	DOMCTL(settimeoffset, D(settimeoffset.time_offset_seconds, EDGE)),
	DOMCTL(set_virq_handler, D(set_virq_handler.virq, VIRQ)),
	DOMCTL(hypercall_init, D(hypercall_init.gmfn, FRAME)),
	DOMCTL(set_address_size, D(address_size.size, BITS)),
	DOMCTL(get_address_size),
	DOMCTL(getpageframeinfo3, D(getpageframeinfo3.num, FEW), D(getpageframeinfo3.array, P_FRAMES)),
	{ .name = "domctl copy_frames",
	  .cmd = XYLEM_DOMCTL_copy_frames,
	  .number = __HYPERVISOR_domctl,
	  .arg = { PTR },
	  .bytes = sizeof(struct xen_domctl),
	  .field = { F(struct xen_domctl, cmd, CMD), F(struct xen_domctl, interface_version, VERSION_D),
	             F(struct xen_domctl, domain, DOMCTL_DOMID), COPY(num, FEW), COPY(what, COPY_WHAT),
	             COPY(frames, P_FRAMES), COPY(buffer, P_BYTES) } },
	DOMCTL(setnodeaffinity, D(nodeaffinity.nodemap.bitmap, P_BYTES),
	       D(nodeaffinity.nodemap.nr_bits, BITS)),
	DOMCTL(getnodeaffinity, D(nodeaffinity.nodemap.bitmap, P_BYTES),
	       D(nodeaffinity.nodemap.nr_bits, BITS)),
	DOMCTL(scheduler_op, D(scheduler_op.sched_id, SMALL), D(scheduler_op.cmd, SMALL),
	       D(scheduler_op.u.credit.weight, EDGE), D(scheduler_op.u.credit.cap, EDGE)),
	DOMCTL(setvcpucontext, D(vcpucontext.vcpu, VCPU), D(vcpucontext.ctxt, P_CONTEXT)),
	DOMCTL(getvcpucontext, D(vcpucontext.vcpu, VCPU), D(vcpucontext.ctxt, P_BYTES)),
	DOMCTL(getvcpuinfo, D(getvcpuinfo.vcpu, VCPU)),
	DOMCTL(setvcpuaffinity, D(vcpuaffinity.vcpu, VCPU), D(vcpuaffinity.flags, SMALL),
	       D(vcpuaffinity.cpumap_hard.bitmap, P_BYTES), D(vcpuaffinity.cpumap_hard.nr_bits, BITS),
	       D(vcpuaffinity.cpumap_soft.bitmap, P_BYTES), D(vcpuaffinity.cpumap_soft.nr_bits, BITS)),
	DOMCTL(getvcpuaffinity, D(vcpuaffinity.vcpu, VCPU), D(vcpuaffinity.flags, SMALL),
	       D(vcpuaffinity.cpumap_hard.bitmap, P_BYTES), D(vcpuaffinity.cpumap_hard.nr_bits, BITS),
	       D(vcpuaffinity.cpumap_soft.bitmap, P_BYTES), D(vcpuaffinity.cpumap_soft.nr_bits, BITS)),
	DOMCTL(sendtrigger, D(sendtrigger.trigger, SMALL), D(sendtrigger.vcpu, VCPU)),
	DOMCTL(irq_permission, D(irq_permission.pirq, BITS), D(irq_permission.allow_access, SMALL)),
	DOMCTL(iomem_permission, D(iomem_permission.first_mfn, FRAME), D(iomem_permission.nr_mfns, FEW),
	       D(iomem_permission.allow_access, SMALL)),
	DOMCTL(memory_mapping, D(memory_mapping.first_gfn, FRAME), D(memory_mapping.first_mfn, FRAME),
	       D(memory_mapping.nr_mfns, FEW)),
	DOMCTL(ioport_permission, D(ioport_permission.first_port, BITS), D(ioport_permission.nr_ports, BITS),
	       D(ioport_permission.allow_access, SMALL)),
	DOMCTL(settscinfo, D(tsc_info.tsc_mode, SMALL)),
	DOMCTL(gettscinfo),
	DOMCTL(get_cpu_policy, D(cpu_policy.nr_leaves, BITS), D(cpu_policy.nr_msrs, BITS),
	       D(cpu_policy.leaves, P_BYTES), D(cpu_policy.msrs, P_BYTES)),
	DOMCTL(set_cpu_policy, D(cpu_policy.nr_leaves, FEW), D(cpu_policy.nr_msrs, FEW),
	       D(cpu_policy.leaves, P_BYTES), D(cpu_policy.msrs, P_BYTES)),
	DOMCTL(shadow_op, D(shadow_op.op, SHADOW), D(shadow_op.mode, SMALL), D(shadow_op.mb, FEW),
	       D(shadow_op.pages, BITS), D(shadow_op.dirty_bitmap, P_BYTES)),
	DOMCTL(getvcpuextstate, D(vcpuextstate.vcpu, VCPU), D(vcpuextstate.size, BITS),
	       D(vcpuextstate.xfeature_mask, SMALL), D(vcpuextstate.buffer, P_BYTES)),
	DOMCTL(setvcpuextstate, D(vcpuextstate.vcpu, VCPU), D(vcpuextstate.size, BITS),
	       D(vcpuextstate.xfeature_mask, SMALL), D(vcpuextstate.buffer, P_BYTES)),
	DOMCTL(get_ext_vcpucontext, D(ext_vcpucontext.vcpu, VCPU)),
	DOMCTL(set_ext_vcpucontext, D(ext_vcpucontext.vcpu, VCPU), D(ext_vcpucontext.size, BITS),
	       D(ext_vcpucontext.syscall32_callback_eip, VA), D(ext_vcpucontext.sysenter_callback_eip, VA),
	       D(ext_vcpucontext.vmce.caps, EDGE)),
	DOMCTL(get_vcpu_msrs, D(vcpu_msrs.vcpu, VCPU), D(vcpu_msrs.msr_count, BITS),
	       D(vcpu_msrs.msrs, P_BYTES)),
	DOMCTL(set_vcpu_msrs, D(vcpu_msrs.vcpu, VCPU), D(vcpu_msrs.msr_count, BITS),
	       D(vcpu_msrs.msrs, P_BYTES)),
	DOMCTL(gdbsx_guestmemio, D(gdbsx_guest_memio.gva, VA), D(gdbsx_guest_memio.len, BITS)),
	DOMCTL(vm_event_op, D(vm_event_op.op, SMALL), D(vm_event_op.mode, SMALL)),
	DOMCTL(monitor_op, D(monitor_op.op, SMALL), D(monitor_op.event, BITS)),
	DOMCTL(sethvmcontext, D(hvmcontext.size, BITS), D(hvmcontext.buffer, P_BYTES)),
	DOMCTL(gethvmcontext, D(hvmcontext.size, BITS), D(hvmcontext.buffer, P_BYTES)),
	DOMCTL(gethvmcontext_partial),
	DOMCTL(bind_pt_irq),
	DOMCTL(unbind_pt_irq),
	DOMCTL(set_broken_page_p2m),
	DOMCTL(debug_op, D(debug_op.op, SMALL), D(debug_op.vcpu, VCPU)),
	DOMCTL(vmtrace_op, D(vmtrace_op.cmd, SMALL), D(vmtrace_op.vcpu, VCPU)),
	DOMCTL(soft_reset),
#ifdef XEN_DOMCTL_soft_reset_cont /* within a hypervisor alone */
	DOMCTL(soft_reset_cont),
#endif
	DOMCTL(ioport_mapping, D(ioport_mapping.first_gport, BITS), D(ioport_mapping.nr_ports, BITS)),
	DOMCTL(get_paging_mempool_size),
	DOMCTL(set_paging_mempool_size, D(paging_mempool.size, EDGE)),
	DOMCTL(psr_cmt_op, D(psr_cmt_op.cmd, SMALL)),
	DOMCTL(psr_alloc, D(psr_alloc.cmd, SMALL)),
	DOMCTL(assign_device, D(assign_device.dev, SMALL)),
	DOMCTL(deassign_device, D(assign_device.dev, SMALL)),
	DOMCTL(test_assign_device, D(assign_device.dev, SMALL)),
	DOMCTL(get_device_group),
	DOMCTL(set_target, D(set_target.target, DOMID)),
	DOMCTL(subscribe, D(subscribe.port, PORT)),
	DOMCTL(set_access_required, D(access_required.access_required, SMALL)),
	DOMCTL(setvnumainfo, D(vnuma.nr_vnodes, FEW), D(vnuma.nr_vcpus, FEW)),
	DOMCTL(gdbsx_pausevcpu, D(gdbsx_pauseunp_vcpu.vcpu, VCPU)),
	DOMCTL(gdbsx_unpausevcpu, D(gdbsx_pauseunp_vcpu.vcpu, VCPU)),
	DOMCTL(gdbsx_domstatus),
	/* and the whole machine */
	SYSCTL(readconsole, S(readconsole.clear, ZERO), S(readconsole.incremental, SMALL),
	       S(readconsole.index, EDGE), S(readconsole.buffer, P_BYTES), S(readconsole.count, BITS)),
	SYSCTL(debug_keys, S(debug_keys.keys, P_BYTES), S(debug_keys.nr_keys, FEW)),
	SYSCTL(physinfo),
	SYSCTL(sched_id),
	SYSCTL(getdomaininfolist, S(getdomaininfolist.first_domain, DOMID),
	       S(getdomaininfolist.max_domains, FEW), S(getdomaininfolist.buffer, P_BYTES)),
	SYSCTL(getcpuinfo, S(getcpuinfo.max_cpus, FEW), S(getcpuinfo.info, P_BYTES)),
	SYSCTL(availheap, S(availheap.min_bitwidth, ZERO), S(availheap.max_bitwidth, ZERO),
	       S(availheap.node, ZERO)),
	SYSCTL(cputopoinfo, S(cputopoinfo.num_cpus, FEW), S(cputopoinfo.cputopo, P_BYTES)),
	SYSCTL(numainfo, S(numainfo.num_nodes, FEW), S(numainfo.meminfo, P_BYTES),
	       S(numainfo.distance, P_BYTES)),
	SYSCTL(pcitopoinfo, S(pcitopoinfo.num_devs, FEW), S(pcitopoinfo.devs, P_BYTES),
	       S(pcitopoinfo.nodes, P_BYTES)),
	SYSCTL(cpupool_op, S(cpupool_op.op, SMALL), S(cpupool_op.cpupool_id, SMALL),
	       S(cpupool_op.sched_id, SMALL), S(cpupool_op.domid, DOMID), S(cpupool_op.cpu, SMALL),
	       S(cpupool_op.cpumap.bitmap, P_BYTES), S(cpupool_op.cpumap.nr_bits, BITS)),
	SYSCTL(scheduler_op, S(scheduler_op.cpupool_id, ZERO), S(scheduler_op.sched_id, SMALL),
	       S(scheduler_op.cmd, SMALL), S(scheduler_op.u.sched_credit.tslice_ms, EDGE),
	       S(scheduler_op.u.sched_credit.ratelimit_us, EDGE)),
	SYSCTL(get_cpu_levelling_caps),
	SYSCTL(get_cpu_featureset, S(cpu_featureset.index, SMALL), S(cpu_featureset.nr_features, BITS),
	       S(cpu_featureset.features, P_BYTES)),
	SYSCTL(get_cpu_policy, S(cpu_policy.index, SMALL), S(cpu_policy.nr_leaves, BITS),
	       S(cpu_policy.nr_msrs, BITS), S(cpu_policy._rsvd, ZERO), S(cpu_policy.leaves, P_BYTES),
	       S(cpu_policy.msrs, P_BYTES)),
	SYSCTL(tbuf_op, S(tbuf_op.cmd, SMALL), S(tbuf_op.size, SMALL), S(tbuf_op.evt_mask, EDGE),
	       S(tbuf_op.cpu_mask.nr_bits, BITS), S(tbuf_op.cpu_mask.bitmap, P_BYTES)),
	SYSCTL(perfc_op, S(perfc_op.cmd, SMALL)),
	SYSCTL(cpu_hotplug, S(cpu_hotplug.cpu, SMALL), S(cpu_hotplug.op, SMALL)),
	SYSCTL(livepatch_op, S(livepatch.cmd, SMALL), BEHIND(struct xen_sysctl, u.livepatch.cmd, ZERO),
	       S(livepatch.u.list.nr, BITS), S(livepatch.u.list.pad, ZERO)),
	SYSCTL(page_offline_op, S(page_offline.cmd, SMALL), S(page_offline.start, FRAME),
	       S(page_offline.end, FRAME), S(page_offline.status, P_BYTES)),
	SYSCTL(psr_cmt_op, S(psr_cmt_op.cmd, SMALL)),
	SYSCTL(psr_alloc, S(psr_alloc.cmd, SMALL)),
	SYSCTL(coverage_op, S(coverage_op.cmd, SMALL)),
	SYSCTL(get_pmstat, S(get_pmstat.type, PM), S(get_pmstat.cpuid, SMALL), S(get_pmstat.u.getcx.nr, FEW),
	       S(get_pmstat.u.getcx.triggers, P_BYTES), S(get_pmstat.u.getcx.residencies, P_BYTES)),
	SYSCTL(pm_op, S(pm_op.cmd, PM), S(pm_op.cpuid, SMALL), S(pm_op.u.set_max_cstate, SMALL)),
};

#define OPS (sizeof(ops) / sizeof(ops[0]))

unsigned edges_op_count(void)
{
	return OPS;
}

const char *edges_op_name(unsigned op)
{
	return ops[op].name;
}

uint32_t edges_random(struct edges_env *e, uint32_t n)
{
	e->seed ^= e->seed << 13;
	e->seed ^= e->seed >> 7;
	e->seed ^= e->seed << 17;
	return n ? (uint32_t)(e->seed >> 24) % n : 0;
}

static const uint64_t edges[] = {
	/* small ones, signs, widths */
	0,
	1,
	2,
	0x7f,
	0x80,
	0xff,
	0x100,
	0x7fff,
	0x8000,
	0xffff,
	0x10000,
	0x7fffffff,
	0x80000000,
	0xffffffff,
	0x100000000,
	~0ull >> 1,
	1ull << 63,
	~0ull,
	~0ull - 1,
	/* pages and tables */
	7,
	8,
	63,
	64,
	511,
	512,
	0xfff,
	0x1000,
	0x1001,
	0x1fffff,
	0x200000,
	1ull << 30,
	1ull << 39,
	/* counts that end here and there: ports, vcpus, grants, PIRQs, bits of continuations */
	127,
	128,
	255,
	256,
	1023,
	1024,
	4095,
	4096,
	8191,
	8192,
	1u << 26,
	0x4000000 - 1,
	0xffff0000,
	/* domains that are none; frames that are none, at each width that one is kept in */
	DOMID_FIRST_RESERVED - 1,
	DOMID_SELF,
	DOMID_IO,
	DOMID_XEN,
	0x7ff3,
	0x7ff4,
	0x7ff8,
	(1ull << 40) - 1,
	1ull << 40,
	(1ull << 52) - 1,
	1ull << 52,
	0x000ffffffffff000,
	0xfffffffffffff000,
	0x5555555555555555,
	/* the ends of the guest's and the hypervisor's addresses */
	0x00007ffffffff000,
	0x00007fffffffffff,
	0x0000800000000000,
	0xffff7fffffffffff,
	0xffff800000000000,
	0xffff807fffffffff,
	0xffff820000000000,
	0xffff830000000000,
	0xffff87ffffffffff,
	0xffff880000000000,
	0xffffffff80000000,
	0xfffffffffffff001,
};

uint64_t edges_value(struct edges_env *e)
{
	uint64_t v = edges[edges_random(e, sizeof(edges) / sizeof(edges[0]))];

	switch (edges_random(e, 8)) {
	case 0:
		return v + 1;
	case 1:
		return v - 1;
	default:
		return v;
	}
}

bool edges_name_frame(uint64_t mfn)
{
	for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		for (uint64_t v = edges[i] - 1; v != edges[i] + 2; v++)
			if (v == mfn || (uint32_t)v == mfn || (v & 0x000ffffffffff000) >> 12 == mfn)
				return true;
	return false;
}

/* ---- memory of the call ---- */

/* Room for n bytes: an offset; now and then the bytes end with the memory, or one too late. */
static uint32_t room(struct edges_env *e, uint32_t n)
{
	uint32_t at;

	switch (edges_random(e, 64)) {
	case 0:
		return e->size - n;
	case 1:
		return e->size - n / 2;
	default:
		n = (n + 15) & ~15u;
		if (e->used + n > e->size)
			e->used = 64;
		at = e->used;
		e->used += n;
		return at;
	}
}

static void store(struct edges_env *e, uint32_t at, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size && at + i < e->size; i++)
		e->mem[at + i] = i < 8 ? (uint8_t)(value >> (8 * i)) : 0;
}

/* ---- values ---- */

static uint64_t one_of(struct edges_env *e, const uint64_t *list)
{
	return list[edges_random(e, EDGES_FRAMES)];
}

static uint64_t frame(struct edges_env *e)
{
	switch (edges_random(e, 5)) {
	case 0:
		return one_of(e, e->foreign);
	case 1:
	case 2:
		return one_of(e, e->tables);
	default:
		return one_of(e, e->pages);
	}
}

static uint64_t domid(struct edges_env *e)
{
	return edges_random(e, 2) ? DOMID_SELF : e->domids[edges_random(e, 4)];
}

static uint64_t pte(struct edges_env *e)
{
	static const uint64_t flags[] = {
		0, 1, 3, 5, 7, 0x27, 0x67, 0x107, 0xe7, 0x18, 1ull << 63, 0x1e0, ~0xfffffffffffffull
	};
	uint64_t v = frame(e) << 12;

	for (unsigned i = 0; i < 2; i++)
		v |= edges_random(e, 3) ? 7 : flags[edges_random(e, sizeof(flags) / sizeof(flags[0]))];
	return edges_random(e, 6) ? v : v & 0xfff;
}

static uint64_t words(struct edges_env *e, enum kind kind, unsigned size, unsigned n)
{
	uint32_t at = room(e, size * n);

	for (unsigned i = 0; i < n; i++) {
		uint64_t v = kind == FRAME ? one_of(e, edges_random(e, 3) ? e->pages : e->foreign)
		                           : edges_random(e, 16);

		store(e, at + size * i, edges_random(e, 12) ? v : edges_value(e), size);
	}
	return e->base + at;
}

static const char *const paths[] = {
	"/",
	"/buildinfo/version/major",
	"/buildinfo/config",
	"/cpupool",
	"/cpupool/0/sched-gran",
	"/cpupool/1/sched-gran",
	"/params",
	"/params/gnttab_max_frames",
	"/params/loglvl",
	"/params/loglvl/x",
	"//",
	"none",
};
/* Nothing that would make the hypervisor silent: who waits for its lines would miss them. */
static const char *const texts[] = { "",     "all", "info/all", "64", "0", "-1", "18446744073709551616",
	                             "core", "loud" };

/* One of the texts with its end; *length is what it takes. */
static uint64_t text(struct edges_env *e, const char *const *list, unsigned n, unsigned *length)
{
	const char *s = list[edges_random(e, n)];
	uint32_t at = room(e, 32);
	unsigned len = 0;

	while (s[len])
		len++;
	*length = len + 1;
	for (unsigned i = 0; i <= len; i++)
		store(e, at + i, (uint8_t)s[i], 1);
	return e->base + at;
}

static uint64_t context(struct edges_env *e)
{
	uint32_t at = room(e, sizeof(struct vcpu_guest_context));
	const struct {
		uint16_t at;
		uint64_t value;
	} set[] = {
		{ offsetof(struct vcpu_guest_context, flags),
		  VGCF_in_kernel | VGCF_I387_VALID | edges_random(e, 64) },
		{ offsetof(struct vcpu_guest_context, ctrlreg[3]), e->root << 12 },
		{ offsetof(struct vcpu_guest_context, ctrlreg[1]), edges_random(e, 2) ? e->root << 12 : 0 },
		{ offsetof(struct vcpu_guest_context, gdt_ents), edges_random(e, 3) * 512 },
		{ offsetof(struct vcpu_guest_context, gdt_frames[0]), one_of(e, e->pages) },
		{ offsetof(struct vcpu_guest_context, gdt_frames[1]), one_of(e, e->pages) },
		{ offsetof(struct vcpu_guest_context, ldt_ents), edges_random(e, 3) * 100 },
		{ offsetof(struct vcpu_guest_context, ldt_base), one_of(e, e->va) },
		{ offsetof(struct vcpu_guest_context, user_regs.rip), one_of(e, e->code) },
		{ offsetof(struct vcpu_guest_context, user_regs.cs),
		  edges_random(e, 2) ? 0xe033 : edges_value(e) },
		{ offsetof(struct vcpu_guest_context, event_callback_eip), one_of(e, e->code) },
		{ offsetof(struct vcpu_guest_context, debugreg[7]), edges_value(e) },
		{ offsetof(struct vcpu_guest_context, user_regs.rflags), edges_value(e) },
	};

	for (unsigned i = 0; i < sizeof(struct vcpu_guest_context) && at + i < e->size; i++)
		e->mem[at + i] = 0;
	for (unsigned i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		store(e, at + set[i].at, edges_random(e, 16) ? set[i].value : edges_value(e), 8);
	for (unsigned n = edges_random(e, 3); n--;)
		store(e, at + 8 * edges_random(e, sizeof(struct vcpu_guest_context) / 8), edges_value(e), 8);
	return e->base + at;
}

static uint64_t traps(struct edges_env *e)
{
	unsigned n = edges_random(e, 6) + (edges_random(e, 20) ? 0 : 100);
	uint32_t at = room(e, (n + 1) * (uint32_t)sizeof(struct trap_info));

	for (unsigned i = 0; i < n; i++) {
		struct trap_info t = { .vector = (uint8_t)edges_value(e),
			               .flags = (uint8_t)edges_value(e),
			               .cs = (uint16_t)edges_value(e),
			               .address = edges_random(e, 4) ? one_of(e, e->code) : edges_value(e) };

		if (at + (i + 1) * sizeof(t) <= e->size)
			memcpy(e->mem + at + i * sizeof(t), &t, sizeof(t));
	}
	for (unsigned i = 0; i < sizeof(struct trap_info); i += 8)
		store(e, at + n * (uint32_t)sizeof(struct trap_info) + i, 0, 8);
	return e->base + at;
}

static void make(struct edges_env *e, uint32_t op, struct edges_call *c, bool inner);

/* A multicall's list; a list within it is made from nothing. */
static uint64_t calls(struct edges_env *e, bool inner)
{
	unsigned n = inner ? 1 : 4;
	uint32_t at = room(e, n * (uint32_t)sizeof(struct multicall_entry));

	for (unsigned i = 0; i < n; i++) {
		struct multicall_entry m = { .op = edges_value(e) };
		struct edges_call c;

		if (!inner && edges_random(e, 8)) {
			make(e, ~0u, &c, true);
			m.op = c.number;
			for (unsigned k = 0; k < 6; k++)
				m.args[k] = c.arg[k];
		}
		if (at + (i + 1) * sizeof(m) <= e->size)
			memcpy(e->mem + at + i * sizeof(m), &m, sizeof(m));
	}
	return e->base + at;
}

static uint64_t value(struct edges_env *e, const struct op *op, enum kind kind, unsigned *count, bool inner);

static uint64_t structures(struct edges_env *e, const struct op *op, unsigned *count)
{
	uint32_t at;

	*count = edges_random(e, 3) ? 1 : 1 + edges_random(e, 4);
	at = room(e, op->bytes * *count);
	for (unsigned n = 0; n < *count; n++)
		for (unsigned i = 0; i < FIELDS && op->field[i].kind; i++) {
			const struct field *f = &op->field[i];
			unsigned unused;

			store(e, at + n * op->bytes + f->at, value(e, op, f->kind, &unused, true), f->size);
		}
	return e->base + at;
}

static const uint8_t shadow_ops[] = {
	XEN_DOMCTL_SHADOW_OP_OFF,
	XEN_DOMCTL_SHADOW_OP_ENABLE_TEST,
	XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY,
	XEN_DOMCTL_SHADOW_OP_CLEAN,
	XEN_DOMCTL_SHADOW_OP_PEEK,
	XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION,
	XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION,
	XEN_DOMCTL_SHADOW_OP_ENABLE,
};

static uint64_t plain_value(struct edges_env *e, const struct op *op, enum kind kind)
{
	switch (kind) {
	case SMALL:
		return edges_random(e, 8);
	case FEW:
		return 1 + edges_random(e, 4);
	case COPY_WHAT:
		return edges_random(e, FRAMECOPY_WHOLE + 1);
	case ZERO:
		return 0;
	case CMD:
		return op->cmd;
	case DOMID:
		return domid(e);
	case DOMCTL_DOMID:
		return e->domids[edges_random(e, 4)];
	case FRAME:
		return frame(e);
	case OWN:
		return one_of(e, e->pages);
	case ROOT:
		return edges_random(e, 4) ? e->root : one_of(e, e->foreign);
	case MADDR:
		return one_of(e, edges_random(e, 8) ? e->tables : e->pages) << 12 |
		       (edges_value(e) & 511) * 8 | edges_random(e, 5);
	case PTE:
		return pte(e);
	case VA:
		return one_of(e, e->va);
	case ADDRESS:
		return one_of(e, e->code);
	case PORT:
		return edges_random(e, 12);
	case VCPU:
		return edges_random(e, e->vcpus + 1);
	case VIRQ:
		return edges_random(e, 26);
	case GREF:
		return edges_random(e, 12);
	case HANDLE:
		return edges_random(e, 8);
	case MAPFLAGS:
		return edges_random(e, 4) ? GNTMAP_host_map | (edges_random(e, 2) ? GNTMAP_readonly : 0)
		                          : edges_random(e, 64);
	case COPYFLAGS:
		return edges_random(e, 4);
	case ORDER:
		return edges_random(e, 4) ? 0 : edges_random(e, 10);
	case OFFSET:
		return edges_random(e, 2) ? edges_random(e, 64) * 64 : edges_random(e, 4096);
	case UVMF:
		return edges_random(e, 3) | (edges_random(e, 2) ? UVMF_LOCAL : UVMF_ALL);
	case TIME:
		return edges_random(e, 2) ? e->now_ns + edges_random(e, 100000000)
		                          : 1000000 + edges_random(e, 20000000);
	case DESCRIPTOR:
		return edges_random(e, 2) ? 0x00cffa000000ffff ^ 1ull << edges_random(e, 64) : edges_value(e);
	case BITS:
		return edges_random(e, 130);
	case VERSION_D:
		return XEN_DOMCTL_INTERFACE_VERSION;
	case VERSION_S:
		return XEN_SYSCTL_INTERFACE_VERSION;
	case VERSION_P:
		return XENPF_INTERFACE_VERSION;
	case VERSION_M:
		return XEN_MCA_INTERFACE_VERSION;
	case SHADOW:
		return shadow_ops[edges_random(e, sizeof(shadow_ops))];
	case PM:
		return (edges_random(e, 8) ? PMSTAT_CX : PMSTAT_PX) + edges_random(e, 8);
	default:
		return edges_value(e);
	}
}

static uint64_t value(struct edges_env *e, const struct op *op, enum kind kind, unsigned *count, bool inner)
{
	bool pointer = kind == PTR || (kind >= P_FRAMES && kind <= P_CALLS);

	/* An edge; a command and a version rarely, or nothing else would be tried. */
	if (!edges_random(e, kind == CMD || kind >= VERSION_D || pointer ? 40 : 6))
		return edges_value(e);
	switch (kind) {
	case PTR:
		return op->bytes ? structures(e, op, count) : edges_value(e);
	case COUNT:
		return *count;
	case P_FRAMES:
		return words(e, FRAME, 8, 8);
	case P_PORTS:
		return words(e, PORT, 4, 8);
	case P_BYTES:
		return words(e, SMALL, 8, 8);
	case P_PATH:
		return text(e, paths, sizeof(paths) / sizeof(paths[0]), count);
	case P_TEXT:
		return text(e, texts, sizeof(texts) / sizeof(texts[0]), count);
	case P_CONTEXT:
		return context(e);
	case P_TRAPS:
		return traps(e);
	case P_CALLS:
		return calls(e, inner);
	default:
		return plain_value(e, op, kind);
	}
}

static void make(struct edges_env *e, uint32_t which, struct edges_call *c, bool inner)
{
	const struct op *op;
	unsigned count = 1;

	if (which >= OPS)
		which = edges_random(e, OPS);
	op = &ops[which];
	c->op = which;
	c->name = op->name;
	/* Numbers that nobody has are tried too. */
	c->number = edges_random(e, 200) ? op->number : (uint32_t)edges_value(e);
	for (unsigned i = 0; i < 6; i++)
		c->arg[i] = i < 5 && op->arg[i] ? value(e, op, op->arg[i], &count, inner) : edges_value(e);
}

void edges_make(struct edges_env *e, uint32_t op, struct edges_call *c)
{
	e->used = 64;
	make(e, op, c, false);
}
