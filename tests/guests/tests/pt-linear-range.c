/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Through linear L4 entries nobody comes to the hypervisor's slots: not the guest, not a hypercall with such an address */
#include "guest.h"

const char test_name[] = "pt-linear-range";

#define LINEAR(mfn) ((uint64_t)(mfn) << 12 | P | US | A)

static uint64_t make_address(unsigned i4, unsigned i3, unsigned i2, unsigned i1)
{
	uint64_t a = (uint64_t)i4 << 39 | (uint64_t)i3 << 30 | (uint64_t)i2 << 21 | (uint64_t)i1 << 12;

	return i4 & 256 ? a | 0xffff000000000000 : a;
}

static void load(void *p)
{
	(void)*(volatile uint64_t *)p;
}

static void store(void *p)
{
	*(volatile uint64_t *)p = 0;
}

static void execute(void *p)
{
	((void (*)(void))p)();
}

/* The guest itself. */
static void by_hand(void *p)
{
	void (*const ways[])(void *) = { load, store, execute };

	for (unsigned i = 0; i < 3; i++) {
		struct fault f = guarded(ways[i], p);

		if (f.vector != 14)
			FAIL("access %u to %lx: vector %d", i, (unsigned long)p, f.vector);
		EXPECT_EQ(f.cr2, (unsigned long)p);
	}
}

/* Calls that read or write arguments at p. */
static void by_hypercalls(unsigned long p)
{
	static struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	static struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_MULTI };
	static struct multicall_entry e;
	unsigned char *page = (unsigned char *)p;

	EXPECT_EQ(HC(console_io, CONSOLEIO_write, 8, p), -EFAULT);
	EXPECT_EQ(HC(xen_version, XENVER_extraversion, p), -EFAULT);
	EXPECT_EQ(HC(multicall, p, 1), -EFAULT);
	EXPECT_EQ(HC(mmu_update, p, 1, NULL, DOMID_SELF), -EFAULT);
	EXPECT_EQ(HC(mmuext_op, p, 1, NULL, DOMID_SELF), -EFAULT);
	EXPECT_EQ(HC(set_gdt, p, 14), -EFAULT);
	EXPECT_EQ(HC(set_trap_table, p), -EFAULT);
	EXPECT_EQ(HC(memory_op, XENMEM_maximum_reservation, p), -EFAULT);
	EXPECT_EQ(HC(memory_op, XENMEM_populate_physmap, p), 0); /* none was done */
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_status, p), -EFAULT);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_query_size, p, 1), -EFAULT);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 0, p), -EFAULT);
	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, p), -EFAULT);
	EXPECT_EQ(HC(sched_op, SCHEDOP_poll, p), -EFAULT);
	EXPECT_EQ(HC(callback_op, CALLBACKOP_register, p), -EFAULT);
	EXPECT_EQ(HC(platform_op, p), -EFAULT);
	/* Arrays behind a structure, and a bitmap of vcpus. */
	set_xen_guest_handle(r.extent_start, (xen_pfn_t *)page);
	EXPECT_EQ(HC(memory_op, XENMEM_decrease_reservation, &r), 0);
	op.arg2.vcpumask.p = page;
	EXPECT_EQ(HC(mmuext_op, &op, 1, NULL, DOMID_SELF), -EINVAL);
	EXPECT_EQ(HC(update_va_mapping, page_alloc, *entry_of((void *)page_alloc, 1), UVMF_TLB_FLUSH | p),
	          -EFAULT);
	e = (struct multicall_entry){ .op = __HYPERVISOR_xen_version, .args = { XENVER_extraversion, p } };
	EXPECT_EQ(HC(multicall, &e, 1), 0);
	EXPECT_EQ(e.result, -EFAULT);
	/* Entries that a call would change there, and segments. */
	EXPECT_EQ(HC(update_va_mapping, p, 0, UVMF_INVLPG), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_SET_LDT, p, 1), -EINVAL);
}

/* Both kinds of access for every slot of the hypervisor's, behind one, two and three steps through slot n. */
static void all_slots(unsigned n, unsigned step)
{
	static const unsigned index[] = { 0, 1, 7, 255, 511 };

	for (unsigned h = 256; h <= 271; h++)
		for (unsigned i = 0; i < 5; i++)
			for (unsigned j = 0; j < 5; j += step) {
				unsigned long a[3] = { make_address(n, h, index[i], index[j]),
					               make_address(n, n, h, index[i]),
					               make_address(n, n, n, h) };

				for (unsigned k = 0; k < 3; k++) {
					by_hand((void *)(a[k] + index[j] * 8));
					if (i == j)
						by_hypercalls(a[k]);
				}
			}
}

void run(void)
{
	const uint64_t *current = (const uint64_t *)start_info->pt_base;
	unsigned long l4 = mfn_of(current);
	uint64_t *other = page_alloc();

	if (!is_xylem()) {
		print("stock Xen does not promise this");
		return;
	}
	EXPECT_EQ(mmu_update(l4 * PAGE + 10 * 8, LINEAR(l4)), 0);
	all_slots(10, 1);
	EXPECT_EQ(mmu_update(l4 * PAGE + 300 * 8, LINEAR(l4)), 0);
	all_slots(300, 2);
	/* Another table than the loaded one. */
	other[511] = current[511];
	EXPECT_EQ(map_read_only(other), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(other), 0), 0);
	EXPECT_EQ(mmu_update(l4 * PAGE + 11 * 8, LINEAR(mfn_of(other))), 0);
	all_slots(11, 3);
	/* The entries read as what they are: no hypervisor's. */
	for (unsigned h = 256; h <= 271; h++)
		EXPECT_EQ(((volatile uint64_t *)make_address(10, 10, 10, 10))[h], 0);
}
