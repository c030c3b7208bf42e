/* SPDX-License-Identifier: GPL-2.0-or-later */
/* set_segment_base and the MSRs behind it */
#include "guest.h"

const char test_name[] = "segment-bases";

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t a, d;

	__asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(msr));
	return a | (uint64_t)d << 32;
}

static void wrmsr_fs(void *p)
{
	__asm__ volatile("wrmsr"
	                 :
	                 : "c"(0xc0000100), "a"((uint32_t)(unsigned long)p),
	                   "d"((uint32_t)((unsigned long)p >> 32)));
}

void run(void)
{
	static uint64_t value = 0x1122334455667788;
	uint64_t got;

	EXPECT_EQ(HC(set_segment_base, SEGBASE_FS, &value), 0);
	__asm__ volatile("mov %%fs:0, %0" : "=r"(got));
	EXPECT_EQ(got, value);
	EXPECT_EQ(rdmsr(0xc0000100), (unsigned long)&value);
	EXPECT_EQ(HC(set_segment_base, SEGBASE_GS_KERNEL, &value), 0);
	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	EXPECT_EQ(got, value);
	EXPECT_EQ(HC(set_segment_base, SEGBASE_GS_USER, 0x5000), 0);
	EXPECT_EQ(rdmsr(0xc0000102), 0x5000);
	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	EXPECT_EQ(got, value);
	EXPECT_EQ(HC(set_segment_base, SEGBASE_FS, 0x1234000000000000), -EINVAL);
	EXPECT_EQ(HC(set_segment_base, 17, 0), -EINVAL);
	EXPECT_EQ(guarded(wrmsr_fs, (void *)0x1234000000000000).vector, 13);
	wrmsr_fs((void *)0x6000);
	EXPECT_EQ(rdmsr(0xc0000100), 0x6000);
}
