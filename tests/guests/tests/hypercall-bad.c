/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hypercall numbers that do not exist, and pointers to nowhere */
#include "guest.h"

const char test_name[] = "hypercall-bad";

static const unsigned pointer_calls[] = { __HYPERVISOR_mmu_update, __HYPERVISOR_multicall,
	                                  __HYPERVISOR_mmuext_op, __HYPERVISOR_set_trap_table };

void run(void)
{
	static const unsigned long bad[] = { 0x1000, 0xffff800000000000, 0xffff830000000000,
		                             0xffffffffffffffff, 0x800000000000 };

	EXPECT_EQ(hypercall(63, 0, 0, 0, 0, 0), -ENOSYS);
	EXPECT_EQ(hypercall(64, 0, 0, 0, 0, 0), -ENOSYS);
	EXPECT_EQ(hypercall(11, 0, 0, 0, 0, 0), -ENOSYS);
	EXPECT_EQ(hypercall(0x7fffffff, 0, 0, 0, 0, 0), -ENOSYS);
	EXPECT_EQ(hypercall(0xffffffff, 0, 0, 0, 0, 0), -ENOSYS);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned n = 0; n < sizeof(pointer_calls) / sizeof(pointer_calls[0]); n++)
			if (hypercall(pointer_calls[n], bad[i], 1, 0, DOMID_SELF, 0) != -EFAULT)
				FAIL("call %u, pointer %#lx: %ld", pointer_calls[n], bad[i],
				     hypercall(pointer_calls[n], bad[i], 1, 0, DOMID_SELF, 0));
		EXPECT_EQ(HC(xen_version, XENVER_extraversion, bad[i]), -EFAULT);
		EXPECT_EQ(HC(memory_op, XENMEM_memory_map, bad[i]), -EFAULT);
		EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, bad[i]), -EFAULT);
		EXPECT_EQ(HC(sched_op, SCHEDOP_poll, bad[i]), -EFAULT);
		EXPECT_EQ(HC(console_io, CONSOLEIO_write, 1, bad[i]), -EFAULT);
	}
	/* A buffer that ends in the hypervisor's range. */
	EXPECT_EQ(HC(console_io, CONSOLEIO_write, 16, 0xffff7ffffffffff8), -EFAULT);
}
