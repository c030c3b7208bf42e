/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exceptions come with the right vector, error code, address and kernel marks */
#include "guest.h"

const char test_name[] = "exceptions";

static void divide(void *p)
{
	int zero = *(volatile int *)p;

	__asm__ volatile("idivl %0" : : "r"(zero), "a"(1), "d"(0));
}

static void undefined(void *p)
{
	(void)p;
	__asm__ volatile("ud2");
}

static void breakpoint(void *p)
{
	(void)p;
	__asm__ volatile("int3");
}

static void soft_80(void *p)
{
	(void)p;
	__asm__ volatile("int $0x80");
}

static void soft_99(void *p)
{
	(void)p;
	__asm__ volatile("int $0x63");
}

static void noncanonical(void *p)
{
	(void)p;
	(void)*(volatile char *)0x1234000000000000;
}

static void read_it(void *p)
{
	(void)*(volatile char *)p;
}

static void write_it(void *p)
{
	*(volatile char *)p = 1;
}

void run(void)
{
	int zero = 0;
	char *page = page_alloc();
	struct fault f = guarded(divide, &zero);

	EXPECT_EQ(f.vector, 0);
	EXPECT_EQ(f.cs & 3, 0);
	f = guarded(undefined, NULL);
	EXPECT_EQ(f.vector, 6);
	EXPECT_EQ(((unsigned char *)f.rip)[0], 0x0f);
	f = guarded(breakpoint, NULL);
	EXPECT_EQ(f.vector, 3);
	EXPECT_EQ(((unsigned char *)f.rip)[-1], 0xcc);
	f = guarded(soft_80, NULL);
	EXPECT_EQ(f.vector, 0x80);
	EXPECT_EQ(((unsigned char *)f.rip)[-2], 0xcd);
	f = guarded(soft_99, NULL);
	/* QEMU 7.2's TCG puts a wrong index into the error code, which stock Xen relies on: #GP there. */
	EXPECT(f.vector == 0x63 || f.vector == 13);
	EXPECT_EQ(guarded(noncanonical, NULL).vector, 13);
	f = guarded(read_it, (void *)0x5000);
	EXPECT_EQ(f.vector, 14);
	EXPECT_EQ(f.error & 7, 0);
	EXPECT_EQ(f.cr2, 0x5000);
	EXPECT_EQ(map_read_only(page), 0);
	f = guarded(write_it, page);
	EXPECT_EQ(f.vector, 14);
	EXPECT_EQ(f.error & 7, 3);
	EXPECT_EQ(f.cr2, (unsigned long)page);
}
