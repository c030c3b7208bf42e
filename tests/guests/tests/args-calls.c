/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What event_channel_op, sched_op, vcpu_op, xen_version, physdev_op, platform_op and the small calls write and answer */
#include "../transcript.h"

const char test_name[] = "args-calls";

static void fill_self(char *arg)
{
	*(domid_t *)arg = DOMID_SELF;
}

static void fill_status(char *arg)
{
	*(struct evtchn_status *)arg = (struct evtchn_status){ .dom = DOMID_SELF, .port = 1 };
}

static void fill_status_far(char *arg)
{
	*(struct evtchn_status *)arg = (struct evtchn_status){ .dom = DOMID_SELF, .port = 0x7fffffff };
}

static void fill_status_free(char *arg)
{
	*(struct evtchn_status *)arg = (struct evtchn_status){ .dom = DOMID_SELF, .port = 100 };
}

static void fill_bind(char *arg)
{
	*(struct evtchn_bind_interdomain *)arg =
	        (struct evtchn_bind_interdomain){ .remote_dom = DOMID_SELF, .remote_port = 1 };
}

static void fill_bind_none(char *arg)
{
	*(struct evtchn_bind_interdomain *)arg =
	        (struct evtchn_bind_interdomain){ .remote_dom = DOMID_SELF, .remote_port = 0xffffffff };
}

static void fill_alloc(char *arg)
{
	*(struct evtchn_alloc_unbound *)arg =
	        (struct evtchn_alloc_unbound){ .dom = DOMID_SELF, .remote_dom = 7 };
}

static void fill_virq(char *arg)
{
	((struct evtchn_bind_virq *)arg)->virq = VIRQ_DEBUG;
}

static void fill_virq_bad(char *arg)
{
	((struct evtchn_bind_virq *)arg)->virq = 24;
}

static void fill_virq_vcpu(char *arg)
{
	*(struct evtchn_bind_virq *)arg = (struct evtchn_bind_virq){ .virq = VIRQ_TIMER, .vcpu = 9 };
}

static void fill_virq_global(char *arg)
{
	*(struct evtchn_bind_virq *)arg = (struct evtchn_bind_virq){ .virq = VIRQ_CONSOLE, .vcpu = 1 };
}

static void fill_pirq(char *arg)
{
	((struct evtchn_bind_pirq *)arg)->pirq = 0x7fffffff;
}

static void fill_ipi(char *arg)
{
	((struct evtchn_bind_ipi *)arg)->vcpu = 9;
}

static void fill_port(char *arg)
{
	*(uint32_t *)arg = 90;
}

static void fill_port_far(char *arg)
{
	*(uint32_t *)arg = 0xfffffff0;
}

static void fill_bind_vcpu(char *arg)
{
	*(struct evtchn_bind_vcpu *)arg = (struct evtchn_bind_vcpu){ .port = 90, .vcpu = 0 };
}

static void fill_bind_vcpu_bad(char *arg)
{
	*(struct evtchn_bind_vcpu *)arg = (struct evtchn_bind_vcpu){ .port = 1, .vcpu = 9 };
}

#define EVT(title, command, type, domid_offset, ...)                                                      \
	{                                                                                                 \
		.name = (title), .nr = __HYPERVISOR_event_channel_op, .cmd = (command), .shape = CMD_ARG, \
		.size = sizeof(type), .domid_at = (domid_offset), .fill = __VA_ARGS__                     \
	}
static const struct tr_op events[] = {
	EVT("alloc_unbound", EVTCHNOP_alloc_unbound, struct evtchn_alloc_unbound, 0, fill_alloc),
	EVT("alloc_unbound for", EVTCHNOP_alloc_unbound, struct evtchn_alloc_unbound, 2, fill_alloc),
	EVT("bind_interdomain", EVTCHNOP_bind_interdomain, struct evtchn_bind_interdomain, 0, fill_bind),
	EVT("bind_interdomain, no port", EVTCHNOP_bind_interdomain, struct evtchn_bind_interdomain, 0,
	    fill_bind_none),
	EVT("bind_virq", EVTCHNOP_bind_virq, struct evtchn_bind_virq, -1, fill_virq),
	EVT("bind_virq, none", EVTCHNOP_bind_virq, struct evtchn_bind_virq, -1, fill_virq_bad),
	EVT("bind_virq, no vcpu", EVTCHNOP_bind_virq, struct evtchn_bind_virq, -1, fill_virq_vcpu),
	EVT("bind_virq, global", EVTCHNOP_bind_virq, struct evtchn_bind_virq, -1, fill_virq_global),
	EVT("bind_pirq", EVTCHNOP_bind_pirq, struct evtchn_bind_pirq, -1, fill_pirq),
	EVT("bind_ipi", EVTCHNOP_bind_ipi, struct evtchn_bind_ipi, -1, NULL),
	EVT("bind_ipi, no vcpu", EVTCHNOP_bind_ipi, struct evtchn_bind_ipi, -1, fill_ipi),
	EVT("status", EVTCHNOP_status, struct evtchn_status, 0, fill_status),
	EVT("status, free", EVTCHNOP_status, struct evtchn_status, 0, fill_status_free),
	EVT("status, far", EVTCHNOP_status, struct evtchn_status, 0, fill_status_far),
	EVT("send, free", EVTCHNOP_send, struct evtchn_send, -1, fill_port),
	EVT("send, far", EVTCHNOP_send, struct evtchn_send, -1, fill_port_far),
	EVT("send, 0", EVTCHNOP_send, struct evtchn_send, -1, NULL),
	EVT("unmask, free", EVTCHNOP_unmask, struct evtchn_unmask, -1, fill_port),
	EVT("unmask, far", EVTCHNOP_unmask, struct evtchn_unmask, -1, fill_port_far),
	EVT("bind_vcpu, free", EVTCHNOP_bind_vcpu, struct evtchn_bind_vcpu, -1, fill_bind_vcpu),
	EVT("bind_vcpu, no vcpu", EVTCHNOP_bind_vcpu, struct evtchn_bind_vcpu, -1, fill_bind_vcpu_bad),
	EVT("close, free", EVTCHNOP_close, struct evtchn_close, -1, fill_port),
	EVT("close, far", EVTCHNOP_close, struct evtchn_close, -1, fill_port_far),
	EVT("close, 0", EVTCHNOP_close, struct evtchn_close, -1, NULL),
	EVT("reset", EVTCHNOP_reset, struct evtchn_reset, 0, fill_self),
};

/* ---- scheduling and vcpus ---- */

static void fill_poll(char *arg)
{
	struct sched_poll *p = (struct sched_poll *)arg;

	p->nr_ports = 1;
	set_xen_guest_handle(p->ports, (evtchn_port_t *)(tr_page[PAGE_B] + 16));
	*(evtchn_port_t *)(tr_page[PAGE_B] + 16) = 0xfffffff0;
}

static void fill_poll_many(char *arg)
{
	fill_poll(arg);
	((struct sched_poll *)arg)->nr_ports = 129;
}

static void fill_poll_cut(char *arg)
{
	fill_poll(arg);
	set_xen_guest_handle(((struct sched_poll *)arg)->ports,
	                     (evtchn_port_t *)(tr_page[PAGE_B] + PAGE - 2));
}

static void fill_poll_past(char *arg)
{
	fill_poll(arg);
	*(evtchn_port_t *)(tr_page[PAGE_B] + 16) = 1;
	((struct sched_poll *)arg)->timeout = 1;
}

static void fill_shutdown(char *arg)
{
	struct sched_remote_shutdown *s = (struct sched_remote_shutdown *)arg;

	s->domain_id = DOM_ABSENT;
	s->reason = SHUTDOWN_crash;
}

static void fill_shutdown_bad(char *arg)
{
	fill_shutdown(arg);
	((struct sched_remote_shutdown *)arg)->reason = 77;
}

static void fill_watchdog(char *arg)
{
	((struct sched_watchdog *)arg)->id = 9;
}

static void fill_watchdog_unused(char *arg)
{
	((struct sched_watchdog *)arg)->id = 1;
}

static void fill_code_bad(char *arg)
{
	*(unsigned *)arg = 256;
}

#define SCHED(title, command, type, domid_offset, ...)                                            \
	{                                                                                         \
		.name = (title), .nr = __HYPERVISOR_sched_op, .cmd = (command), .shape = CMD_ARG, \
		.size = sizeof(type), .domid_at = (domid_offset), .fill = __VA_ARGS__             \
	}
#define VCPU(title, command, type, ...)                                                               \
	{                                                                                             \
		.name = (title), .nr = __HYPERVISOR_vcpu_op, .cmd = (command), .shape = CMD_VCPU_ARG, \
		.size = sizeof(type), .domid_at = -1, .fill = __VA_ARGS__                             \
	}

static void fill_periodic(char *arg)
{
	((struct vcpu_set_periodic_timer *)arg)->period_ns = 999;
}

static void fill_periodic_long(char *arg)
{
	((struct vcpu_set_periodic_timer *)arg)->period_ns = ~0ull;
}

static void fill_singleshot_past(char *arg)
{
	*(struct vcpu_set_singleshot_timer *)arg =
	        (struct vcpu_set_singleshot_timer){ .timeout_abs_ns = 1, .flags = VCPU_SSHOTTMR_future };
}

static void fill_runstate(char *arg)
{
	set_xen_guest_handle(((struct vcpu_register_runstate_memory_area *)arg)->addr.h,
	                     (vcpu_runstate_info_t *)0xffff830000000000);
}

static void fill_time(char *arg)
{
	set_xen_guest_handle(((struct vcpu_register_time_memory_area *)arg)->addr.h,
	                     (vcpu_time_info_t *)0xffff830000000000);
}

static void fill_info(char *arg)
{
	*(struct vcpu_register_vcpu_info *)arg = (struct vcpu_register_vcpu_info){ .mfn = 0xfffffff0 };
}

static void fill_info_offset(char *arg)
{
	*(struct vcpu_register_vcpu_info *)arg = (struct vcpu_register_vcpu_info){ .mfn = 1, .offset = 4090 };
}

static const struct tr_op scheduling[] = {
	SCHED("poll, no such port", SCHEDOP_poll, struct sched_poll, -1, fill_poll),
	SCHED("poll, many", SCHEDOP_poll, struct sched_poll, -1, fill_poll_many),
	SCHED("poll, cut", SCHEDOP_poll, struct sched_poll, -1, fill_poll_cut),
	SCHED("poll, past", SCHEDOP_poll, struct sched_poll, -1, fill_poll_past),
	SCHED("remote_shutdown", SCHEDOP_remote_shutdown, struct sched_remote_shutdown, 0, fill_shutdown,
	      .no_self = true),
	SCHED("remote_shutdown, reason", SCHEDOP_remote_shutdown, struct sched_remote_shutdown, 0,
	      fill_shutdown_bad, .no_self = true),
	SCHED("shutdown_code", SCHEDOP_shutdown_code, struct sched_shutdown, -1, fill_code_bad),
	SCHED("watchdog, 9", SCHEDOP_watchdog, struct sched_watchdog, -1, fill_watchdog),
	SCHED("watchdog, 1", SCHEDOP_watchdog, struct sched_watchdog, -1, fill_watchdog_unused),
	SCHED("sched_op 77", 77, int, -1, NULL),
	VCPU("get_runstate_info", VCPUOP_get_runstate_info, struct vcpu_runstate_info, NULL,
	     .mask = { { 8, 40 } }),
	VCPU("set_periodic_timer, short", VCPUOP_set_periodic_timer, struct vcpu_set_periodic_timer,
	     fill_periodic),
	VCPU("set_periodic_timer, long", VCPUOP_set_periodic_timer, struct vcpu_set_periodic_timer,
	     fill_periodic_long),
	VCPU("set_singleshot_timer, past", VCPUOP_set_singleshot_timer, struct vcpu_set_singleshot_timer,
	     fill_singleshot_past),
	VCPU("register_runstate", VCPUOP_register_runstate_memory_area,
	     struct vcpu_register_runstate_memory_area, fill_runstate),
	VCPU("register_time", VCPUOP_register_vcpu_time_memory_area, struct vcpu_register_time_memory_area,
	     fill_time),
	VCPU("register_vcpu_info", VCPUOP_register_vcpu_info, struct vcpu_register_vcpu_info, fill_info),
	VCPU("register_vcpu_info, offset", VCPUOP_register_vcpu_info, struct vcpu_register_vcpu_info,
	     fill_info_offset),
	VCPU("get_physid", VCPUOP_get_physid, struct vcpu_get_physid, NULL),
	VCPU("initialise", VCPUOP_initialise, int, NULL),
	VCPU("vcpu_op 77", 77, int, NULL),
};

/* ---- version, callbacks, interrupts ---- */

#define VER(title, command, bytes, ...)                                                              \
	{                                                                                            \
		.name = (title), .nr = __HYPERVISOR_xen_version, .cmd = (command), .shape = CMD_ARG, \
		.size = (bytes), .domid_at = -1, .fill = __VA_ARGS__                                 \
	}
#define PHYS(title, command, type, domid_offset, ...)                                               \
	{                                                                                           \
		.name = (title), .nr = __HYPERVISOR_physdev_op, .cmd = (command), .shape = CMD_ARG, \
		.size = sizeof(type), .domid_at = (domid_offset), .fill = __VA_ARGS__               \
	}
#define CALLBACK(title, command, type, ...)                                                          \
	{                                                                                            \
		.name = (title), .nr = __HYPERVISOR_callback_op, .cmd = (command), .shape = CMD_ARG, \
		.size = sizeof(type), .domid_at = -1, .fill = __VA_ARGS__                            \
	}

static void fill_features_far(char *arg)
{
	((struct xen_feature_info *)arg)->submap_idx = 9;
}

static void fill_callback(char *arg)
{
	*(struct callback_register *)arg = (struct callback_register){ .type = 77, .address = 0x1000 };
}

static void fill_callback_address(char *arg)
{
	*(struct callback_register *)arg =
	        (struct callback_register){ .type = CALLBACKTYPE_nmi, .address = 0x800000000000 };
}

static void fill_uncallback(char *arg)
{
	((struct callback_unregister *)arg)->type = CALLBACKTYPE_event;
}

static void fill_map_pirq(char *arg)
{
	struct physdev_map_pirq *m = (struct physdev_map_pirq *)arg;

	m->domid = DOMID_SELF;
	m->type = MAP_PIRQ_TYPE_GSI;
	m->index = 9999;
	m->pirq = -1;
}

static void fill_map_type(char *arg)
{
	fill_map_pirq(arg);
	((struct physdev_map_pirq *)arg)->type = 77;
}

static void fill_unmap_pirq(char *arg)
{
	*(struct physdev_unmap_pirq *)arg = (struct physdev_unmap_pirq){ .domid = DOMID_SELF, .pirq = 9999 };
}

static void fill_irq(char *arg)
{
	*(uint32_t *)arg = 0x7ffffff0;
}

static void fill_iopl(char *arg)
{
	((struct physdev_set_iopl *)arg)->iopl = 4;
}

static void fill_iobitmap(char *arg)
{
	((struct physdev_set_iobitmap *)arg)->nr_ports = 65537;
}

static void fill_gsi(char *arg)
{
	((struct physdev_setup_gsi *)arg)->gsi = 5000;
}

static const struct tr_op small[] = {
	VER("version", XENVER_version, 4, NULL),
	VER("extraversion", XENVER_extraversion, 16, NULL, .mask = { { 0, 16 } }),
	VER("compile_info", XENVER_compile_info, sizeof(struct xen_compile_info), NULL,
	    .mask = { { 0, sizeof(struct xen_compile_info) } }),
	VER("capabilities", XENVER_capabilities, sizeof(xen_capabilities_info_t), NULL,
	    .mask = { { 0, sizeof(xen_capabilities_info_t) } }),
	VER("changeset", XENVER_changeset, sizeof(xen_changeset_info_t), NULL,
	    .mask = { { 0, sizeof(xen_changeset_info_t) } }),
	VER("platform_parameters", XENVER_platform_parameters, 8, NULL),
	VER("get_features", XENVER_get_features, sizeof(struct xen_feature_info), NULL, .mask = { { 4, 4 } }),
	VER("get_features, far", XENVER_get_features, sizeof(struct xen_feature_info), fill_features_far),
	VER("pagesize", XENVER_pagesize, 4, NULL),
	VER("guest_handle", XENVER_guest_handle, 16, NULL),
	VER("commandline", XENVER_commandline, 1000, NULL, .mask = { { 0, 1000 } }),
	VER("xen_version 77", 77, 4, NULL),
	CALLBACK("register, type", CALLBACKOP_register, struct callback_register, fill_callback),
	CALLBACK("register, address", CALLBACKOP_register, struct callback_register, fill_callback_address),
	CALLBACK("unregister, event", CALLBACKOP_unregister, struct callback_unregister, fill_uncallback),
	CALLBACK("callback_op 77", 77, int, NULL),
	PHYS("map_pirq", PHYSDEVOP_map_pirq, struct physdev_map_pirq, 0, fill_map_pirq),
	PHYS("map_pirq, type", PHYSDEVOP_map_pirq, struct physdev_map_pirq, 0, fill_map_type),
	PHYS("unmap_pirq", PHYSDEVOP_unmap_pirq, struct physdev_unmap_pirq, 0, fill_unmap_pirq),
	PHYS("eoi", PHYSDEVOP_eoi, struct physdev_eoi, -1, fill_irq),
	PHYS("irq_status_query", PHYSDEVOP_irq_status_query, struct physdev_irq_status_query, -1, fill_irq),
	PHYS("set_iopl", PHYSDEVOP_set_iopl, struct physdev_set_iopl, -1, fill_iopl),
	PHYS("set_iobitmap", PHYSDEVOP_set_iobitmap, struct physdev_set_iobitmap, -1, fill_iobitmap),
	PHYS("apic_read", PHYSDEVOP_apic_read, struct physdev_apic, -1, NULL),
	PHYS("alloc_irq_vector", PHYSDEVOP_alloc_irq_vector, struct physdev_irq, -1, fill_irq),
	PHYS("setup_gsi", PHYSDEVOP_setup_gsi, struct physdev_setup_gsi, -1, fill_gsi),
	PHYS("restore_msi_ext", PHYSDEVOP_restore_msi_ext, struct physdev_pci_device, -1, NULL),
	PHYS("physdev_op 77", 77, int, -1, NULL),
};

/* ---- those without a structure ---- */

static void others(void)
{
	static const unsigned long bad[] = { 0, 0x1000, 0x800000000000, 0xffff830000000000,
		                             0xfffffffffffffff0 };

	for (unsigned i = 0; i < 5; i++) {
		tr_clear();
		if (bad[i]) /* no list clears the table */
			tr_call(__HYPERVISOR_set_trap_table, bad[i], 0, 0, 0, 0, "set_trap_table at %lx",
			        bad[i]);
		tr_call(__HYPERVISOR_set_gdt, bad[i], 8, 0, 0, 0, "set_gdt at %lx", bad[i]);
		tr_call(__HYPERVISOR_set_gdt, bad[i], 7200, 0, 0, 0, "set_gdt at %lx, too many", bad[i]);
		tr_call(__HYPERVISOR_update_descriptor, bad[i], 0, 0, 0, 0, "update_descriptor at %lx",
		        bad[i]);
		tr_call(__HYPERVISOR_console_io, CONSOLEIO_write, 8, bad[i], 0, 0, "console_io write at %lx",
		        bad[i]);
		tr_call(__HYPERVISOR_console_io, CONSOLEIO_write, 0, bad[i], 0, 0,
		        "console_io write none at %lx", bad[i]);
		tr_call(__HYPERVISOR_console_io, CONSOLEIO_read, 8, bad[i], 0, 0, "console_io read at %lx",
		        bad[i]);
		tr_call(__HYPERVISOR_console_io, 77, 8, bad[i], 0, 0, "console_io 77 at %lx", bad[i]);
		tr_call(__HYPERVISOR_set_debugreg, i + 4, bad[i], 0, 0, 0, "set_debugreg %u, %lx", i + 4,
		        bad[i]);
		tr_call(__HYPERVISOR_set_segment_base, SEGBASE_FS, bad[i], 0, 0, 0,
		        "set_segment_base, fs, %lx", bad[i]);
		tr_call(__HYPERVISOR_set_segment_base, 7, bad[i], 0, 0, 0, "set_segment_base 7, %lx", bad[i]);
		tr_call(__HYPERVISOR_event_channel_op_compat, bad[i], 0, 0, 0, 0,
		        "event_channel_op_compat at %lx", bad[i]);
		tr_call(__HYPERVISOR_physdev_op_compat, bad[i], 0, 0, 0, 0, "physdev_op_compat at %lx",
		        bad[i]);
	}
	for (unsigned i = 0; i < 40; i++) {
		tr_clear();
		tr_call(__HYPERVISOR_vm_assist, VMASST_CMD_disable, i, 0, 0, 0, "vm_assist, disable %u", i);
		tr_call(__HYPERVISOR_vm_assist, 7, i, 0, 0, 0, "vm_assist 7, %u", i);
		tr_call(__HYPERVISOR_vcpu_op, VCPUOP_is_up, i, 0, 0, 0, "is_up %u", i);
		if (i)
			tr_call(__HYPERVISOR_vcpu_op, VCPUOP_up, i, 0, 0, 0, "up %u", i);
		tr_call(__HYPERVISOR_get_debugreg, i + 4, 0, 0, 0, 0, "get_debugreg %u", i + 4);
	}
	tr_call(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 0xffffffff, 0, 0, 0, "is_up of the last");
}

void run(void)
{
	tr_begin();
	TR_TRY(events);
	TR_TRY(scheduling);
	TR_TRY(small);
	others();
	tr_end();
}
