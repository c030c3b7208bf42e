/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extended state. A guest's own XCR0 may be smaller than what the processor holds: saving and restoring go
 * with the whole mask, so that nothing of one vcpu stays behind for the next one that turns a component on.
 */
#include "hw/fpu.h"
#include "hw/cpu.h"
#include "hw/msr.h"
#include "lib/string.h"

#define MXCSR_MASK_OFFSET 28

static void xcr0_write(uint64_t value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void clts(void)
{
	__asm__ volatile("clts");
}

void fpu_stts(bool ts)
{
	uint64_t cr0 = cr0_read();

	if (ts)
		__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_TS));
	else if (cr0 & CR0_TS)
		clts();
}

void fpu_init_cpu(void)
{
	static uint8_t area[512] __aligned_to(64);
	uint32_t mask;

	clts();
	if (cpu_features.xsave)
		xcr0_write(cpu_features.xcr0_mask);
	__asm__ volatile("fninit; fxsave64 %0" : "=m"(area));
	memcpy(&mask, area + MXCSR_MASK_OFFSET, 4);
	if (mask)
		fpu_mxcsr_mask = mask;
}

void fpu_save(void *area, uint64_t xcr0)
{
	uint32_t low = ~0u, high = ~0u;

	clts();
	if (!cpu_features.xsave) {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
		return;
	}
	if (unlikely(xcr0 != cpu_features.xcr0_mask))
		xcr0_write(cpu_features.xcr0_mask);
	if (cpu_features.xsaveopt)
		__asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
	else
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
}

/* AMD restores the last instruction's addresses only when an exception is pending: clear what another vcpu left. */
static void clear_pointers(void)
{
	static const uint32_t zero;

	__asm__ volatile("fnclex; ffree %%st(7); fildl %0" : : "m"(zero));
}

static bool restore(const void *area)
{
	bool failed = false;

	if (cpu_features.xsave)
		__asm__ volatile("1: xrstor64 (%[area])\n"
		                 "2:\n"
		                 ".subsection 1\n"
		                 "3: movb $1, %[failed]\n"
		                 "jmp 2b\n"
		                 ".previous\n"
		                 ".pushsection __ex_table, \"a\"\n"
		                 ".balign 4\n"
		                 ".long 1b - ., 3b - .\n"
		                 ".popsection"
		                 : [failed] "+r"(failed)
		                 : [area] "r"(area), "a"(~0u), "d"(~0u)
		                 : "memory");
	else
		__asm__ volatile("1: fxrstor64 (%[area])\n"
		                 "2:\n"
		                 ".subsection 1\n"
		                 "3: movb $1, %[failed]\n"
		                 "jmp 2b\n"
		                 ".previous\n"
		                 ".pushsection __ex_table, \"a\"\n"
		                 ".balign 4\n"
		                 ".long 1b - ., 3b - .\n"
		                 ".popsection"
		                 : [failed] "+r"(failed)
		                 : [area] "r"(area)
		                 : "memory");
	return !failed;
}

void fpu_restore(const void *area, uint64_t xcr0)
{
	static const uint8_t initial[512 + 64] __aligned_to(64) = {
		FPU_FCW_INITIAL & 0xff, FPU_FCW_INITIAL >> 8, [FPU_MXCSR_OFFSET] = FPU_MXCSR_INITIAL & 0xff,
		[FPU_MXCSR_OFFSET + 1] = FPU_MXCSR_INITIAL >> 8
	};

	clts();
	if (cpu_features.is_amd)
		clear_pointers();
	/* fpu_area_check() looked at what toolstacks hand in; should the processor refuse an area still,
	 * nothing may leak. */
	if (unlikely(!restore(area)))
		(void)restore(initial);
	if (cpu_features.xsave && unlikely(xcr0 != cpu_features.xcr0_mask))
		xcr0_write(xcr0);
}

void fpu_xcr0_load(uint64_t xcr0)
{
	xcr0_write(xcr0);
}
