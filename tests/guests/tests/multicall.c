/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of calls: results of each, a failing one in the middle, and none inside of another */
#include "guest.h"

const char test_name[] = "multicall";

void run(void)
{
	struct multicall_entry e[4] = { 0 };

	e[0].op = __HYPERVISOR_xen_version;
	e[1].op = 63;
	e[2].op = __HYPERVISOR_update_va_mapping;
	e[2].args[0] = 0x123000;
	e[3].op = __HYPERVISOR_xen_version;
	e[3].args[0] = XENVER_pagesize;
	EXPECT_EQ(HC(multicall, e, 4), 0);
	EXPECT_EQ(e[0].result >> 16, 4);
	EXPECT_EQ(e[1].result, -ENOSYS);
	EXPECT_EQ(e[2].result, -EINVAL);
	EXPECT_EQ(e[3].result, 4096);
	e[0].op = __HYPERVISOR_multicall;
	e[0].args[0] = (unsigned long)&e[1];
	e[0].args[1] = 1;
	if (!HC(multicall, e, 1))
		EXPECT((long)e[0].result < 0);
	EXPECT_EQ(HC(multicall, e, 0), 0);
}
