/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An unprivileged guest asks for what only dom0 may, for itself, for dom0, and for a domain that is not there */
#include "pair.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

const char test_name[] = "pair-rights";

static struct child child;

static void toolstack(void)
{
	static struct xen_domctl d = { .interface_version = XEN_DOMCTL_INTERFACE_VERSION };
	static struct xen_sysctl s = { .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
	static struct xen_platform_op p = { .interface_version = XENPF_INTERFACE_VERSION };
	struct sched_remote_shutdown r = { .reason = SHUTDOWN_poweroff };
	char text[4];

	for (d.cmd = XEN_DOMCTL_createdomain; d.cmd <= XEN_DOMCTL_getdomaininfo; d.cmd++)
		EXPECT_EQ(HC(domctl, &d), -EPERM);
	for (s.cmd = XEN_SYSCTL_readconsole; s.cmd <= XEN_SYSCTL_getdomaininfolist; s.cmd++)
		EXPECT_EQ(HC(sysctl, &s), -EPERM);
	p.cmd = XENPF_settime64;
	EXPECT_EQ(HC(platform_op, &p), -EPERM);
	p.cmd = XENPF_enter_acpi_sleep;
	EXPECT_EQ(HC(platform_op, &p), -EPERM);
	EXPECT_EQ(HC(console_io, CONSOLEIO_read, 4, text), -EPERM);
	EXPECT_EQ(HC(sched_op, SCHEDOP_remote_shutdown, &r), -EPERM);
}

static void memory(void)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = 0 };
	struct xen_memory_map m = { .nr_entries = 8 };
	static struct xen_foreign_memory_map f;
	static char buffer[20 * 8];
	struct mmuext_op pin = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };
	struct mmu_update u = { .ptr = MMU_NORMAL_PT_UPDATE };
	domid_t domid = 0;
	xen_pfn_t pfn = 5;
	char *page = page_alloc();

	set_xen_guest_handle(r.extent_start, &pfn);
	EXPECT(HC(memory_op, XENMEM_populate_physmap, &r) <= 0); /* Xen: none done */
	EXPECT(HC(memory_op, XENMEM_decrease_reservation, &r) <= 0);
	EXPECT_EQ(HC(memory_op, XENMEM_current_reservation, &domid), -EPERM);
	set_xen_guest_handle(m.buffer, buffer);
	EXPECT_EQ(HC(memory_op, XENMEM_machine_memory_map, &m), -EPERM);
	f.domid = 0;
	EXPECT_EQ(HC(memory_op, XENMEM_set_memory_map, &f), -EPERM);
	EXPECT(HC(memory_op, XENMEM_claim_pages, &r) < 0);
	EXPECT(HC(mmuext_op, &pin, 1, NULL, 0) < 0);
	EXPECT(HC(mmu_update, &u, 1, NULL, 0) < 0);
	EXPECT(HC(update_va_mapping_otherdomain, page, 0, 0, 0) < 0);
	r.domid = 77;
	EXPECT(HC(memory_op, XENMEM_populate_physmap, &r) <= 0);
	EXPECT(HC(update_va_mapping_otherdomain, page, 0, 0, 77) < 0);
	/* Devices' registers, the hypervisor's image, dom0's own frames. */
	EXPECT(map(page, PTE(0xfee00)) < 0);
	EXPECT(map(page, PTE(0xa0)) < 0);
	EXPECT(map(page, PTE_RO(0x200)) < 0);
	EXPECT(map(page, PTE_RO(box->word[0])) < 0);
	EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, box->word[0], 0) < 0);
	EXPECT(mmuext(MMUEXT_COPY_PAGE, mfn_of(page), box->word[0]) < 0);
}

static void channels_and_grants(void)
{
	struct evtchn_alloc_unbound a = { .dom = 0, .remote_dom = 0 };
	struct evtchn_reset reset = { .dom = 0 };
	struct evtchn_status status = { .dom = 0, .port = 1 };
	struct evtchn_bind_pirq p = { .pirq = 4 };
	struct evtchn_bind_interdomain b = { .remote_dom = 0, .remote_port = 1 };
	struct gnttab_query_size q = { .dom = 0 };
	struct gnttab_setup_table t = { .dom = 0, .nr_frames = 1 };
	xen_pfn_t frame;

	EXPECT(HC(event_channel_op, EVTCHNOP_alloc_unbound, &a) < 0);
	EXPECT(HC(event_channel_op, EVTCHNOP_reset, &reset) < 0);
	EXPECT(HC(event_channel_op, EVTCHNOP_status, &status) < 0);
	EXPECT(HC(event_channel_op, EVTCHNOP_bind_pirq, &p) < 0);
	EXPECT(HC(event_channel_op, EVTCHNOP_bind_interdomain, &b) < 0);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_query_size, &q, 1), 0);
	EXPECT_EQ(q.status, GNTST_permission_denied);
	set_xen_guest_handle(t.frame_list, &frame);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_setup_table, &t, 1), 0);
	EXPECT_EQ(t.status, GNTST_permission_denied);
}

static void devices(void)
{
	struct physdev_setup_gsi gsi = { .gsi = 4 };
	struct physdev_map_pirq map_pirq = { .domid = 0, .type = MAP_PIRQ_TYPE_GSI, .index = 4, .pirq = 4 };
	struct physdev_unmap_pirq unmap = { .domid = 0, .pirq = 4 };
	struct physdev_apic apic = { .apic_physbase = 0xfec00000 };
	struct physdev_pci_device pci = { 0 };

	EXPECT(HC(physdev_op, PHYSDEVOP_setup_gsi, &gsi) < 0);
	EXPECT(HC(physdev_op, PHYSDEVOP_map_pirq, &map_pirq) < 0);
	EXPECT(HC(physdev_op, PHYSDEVOP_unmap_pirq, &unmap) < 0);
	EXPECT(HC(physdev_op, PHYSDEVOP_apic_read, &apic) < 0);
	EXPECT(HC(physdev_op, PHYSDEVOP_pci_device_remove, &pci) < 0);
}

void child_run(void)
{
	toolstack();
	memory();
	channels_and_grants();
	devices();
	child_step(1);
}

void run(void)
{
	child_build(&child, 0, 1);
	child.box->word[0] = mfn_of(&child);
	child_unpause(&child);
	child_wait_step(&child, 1);
	EXPECT_EQ(child_wait_end(&child), SHUTDOWN_poweroff);
	recount();
	child_destroy(&child);
	EXPECT(!child_exists(&child));
	recount();
}
