/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor's addresses: the M2P table can be read, nothing else can be reached */
#include "guest.h"

const char test_name[] = "hv-range";

static void read_it(void *p)
{
	(void)*(volatile uint64_t *)p;
}

static void write_it(void *p)
{
	*(volatile uint64_t *)p = 0;
}

void run(void)
{
	static const unsigned long addresses[] = { 0xffff820000000000, 0xffff828000000000, 0xffff82d040000000,
		                                   0xffff82e000000000, 0xffff830000000000, 0xffff830000100000,
		                                   0xffff87fffffff000 };
	void *m2p = (void *)0xffff800000000000;
	struct fault f = guarded(read_it, m2p);

	EXPECT_EQ(f.vector, -1);
	f = guarded(write_it, m2p);
	EXPECT_EQ(f.vector, 14);
	EXPECT_EQ(f.error & 3, 3);
	EXPECT_EQ(f.cr2, 0xffff800000000000);
	for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		f = guarded(read_it, (void *)addresses[i]);
		if (f.vector != 14)
			FAIL("read of %#lx: vector %d", addresses[i], f.vector);
		f = guarded(write_it, (void *)addresses[i]);
		if (f.vector != 14)
			FAIL("write to %#lx: vector %d", addresses[i], f.vector);
	}
}
