/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A result that the guest chose itself is its result, whatever it looks like: errno, a restart, -1 */
#include "guest.h"

const char test_name[] = "answers";

void run(void)
{
	domid_t self = DOMID_SELF;

	for (unsigned long n = 8; n <= 4096; n += n < 1000 || n > 1100 ? 8 : 1) {
		struct multicall_entry e = { .op = __HYPERVISOR_get_debugreg, .args[0] = 1 };

		EXPECT_EQ(HC(set_debugreg, 1, -n), 0);
		EXPECT_EQ(HC(get_debugreg, 1), -n);
		EXPECT_EQ(HC(multicall, &e, 1), 0);
		EXPECT_EQ(e.result, -n);
	}
	EXPECT_EQ(HC(set_debugreg, 1, 0), 0);
	/* What a domain says of itself here is not compared, only that whoever asks comes back. */
	for (unsigned long n = 0; n <= 2048; n++) {
		shared->arch.max_pfn = 1 - n;
		HC(memory_op, XENMEM_maximum_gpfn, &self);
	}
	shared->arch.max_pfn = 1234;
	EXPECT_EQ(HC(memory_op, XENMEM_maximum_gpfn, &self), 1233);
}
