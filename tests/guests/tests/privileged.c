/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Privileged instructions of a kernel are carried out, or are a #GP */
#include "guest.h"

const char test_name[] = "privileged";

static void write_bad_msr(void *p)
{
	(void)p;
	__asm__ volatile("wrmsr" : : "c"(0x12345678), "a"(0), "d"(0));
}

static void read_bad_msr(void *p)
{
	(void)p;
	__asm__ volatile("rdmsr" : : "c"(0x12345678) : "eax", "edx");
}

static void load_idt(void *p)
{
	__asm__ volatile("lidt (%0)" : : "r"(p));
}

static void load_tr(void *p)
{
	(void)p;
	__asm__ volatile("ltr %0" : : "r"((uint16_t)0xe040));
}

static void set_syscall(void *p)
{
	unsigned long a = (unsigned long)p;

	__asm__ volatile("wrmsr" : : "c"(0xc0000082), "a"((uint32_t)a), "d"((uint32_t)(a >> 32)));
}

static void read_tsc(void *p)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	*(uint64_t *)p = (uint64_t)high << 32 | low;
}

static void read_tsc_in_user(void)
{
	__asm__ volatile("rdtsc" : : : "eax", "edx");
}

static void read_gs_base(void *p)
{
	__asm__ volatile("rdgsbase %0" : "=r"(*(uint64_t *)p));
}

void run(void)
{
	uint64_t base;
	char idt[16] = { 0 };
	uint32_t a = 0, b, c = 0, d;
	unsigned long cr;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr));
	EXPECT(cr & 1u << 31);
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr));
	EXPECT_EQ(cr & ~0xffful, mfn_of((void *)start_info->pt_base) * PAGE);
	__asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0xc0000080));
	EXPECT(a & 1u << 10); /* LMA */
	EXPECT_EQ(guarded(read_bad_msr, NULL).vector, 13);
	EXPECT_EQ(guarded(write_bad_msr, NULL).vector, 13);
	EXPECT_EQ(guarded(set_syscall, (void *)run).vector, 13);
	EXPECT_EQ(guarded(load_idt, idt).vector, 13);
	EXPECT_EQ(guarded(load_tr, NULL).vector, 13);
	/* CR4.TSD is for user mode, and the kernel reads the clock still. */
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr | 4));
	EXPECT_EQ(guarded(read_tsc, &base).vector, -1);
	EXPECT(base);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	EXPECT_EQ(user_run(read_tsc_in_user).vector, 13);
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr));
	__asm__ volatile("wbinvd");
	__asm__ volatile("clts");
	a = 0x40000000;
	__asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	EXPECT_EQ(b, 0x566e6558);
	EXPECT_EQ(c, 0x65584d4d);
	EXPECT_EQ(d, 0x4d4d566e);
	EXPECT(a >= 0x40000002);
	/* What CPUID does not show is not there: the bases of FS and GS are then kept by hypercall alone. */
	a = 7;
	c = 0;
	__asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(b & 1))
		EXPECT_EQ(guarded(read_gs_base, &base).vector, 6);
}
