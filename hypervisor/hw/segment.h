/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segment registers of the guest, which the hypervisor does not use itself: selectors, and the two bases of GS. */
#ifndef HW_SEGMENT_H
#define HW_SEGMENT_H

#include "lib/types.h"

#if __STDC_HOSTED__ /* host tests: the fake hardware layer supplies them */
uint16_t segment_ds(void);
uint16_t segment_es(void);
uint16_t segment_fs(void);
uint16_t segment_gs(void);
bool segment_ds_load(uint16_t selector);
bool segment_es_load(uint16_t selector);
bool segment_fs_load(uint16_t selector);
bool segment_gs_load(uint16_t selector);
void swapgs(void);
void segment_user_gs_load(uint16_t selector);
bool segment_attributes(uint16_t selector, uint32_t *attributes);
#else
/* The second loads: false where the selector is bad by now; the null selector is loaded instead. */
#define SEGMENT(name)                                                     \
	static inline uint16_t segment_##name(void)                       \
	{                                                                 \
		uint16_t selector;                                        \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(selector)); \
		return selector;                                          \
	}                                                                 \
	static inline bool segment_##name##_load(uint16_t selector)       \
	{                                                                 \
		bool bad = false;                                         \
		__asm__ volatile("1: mov %1, %%" #name "\n"               \
		                 "2:\n"                                   \
		                 ".subsection 1\n"                        \
		                 "3: movb $1, %0\n"                       \
		                 "xor %k1, %k1\n"                         \
		                 "mov %1, %%" #name "\n"                  \
		                 "jmp 2b\n"                               \
		                 ".previous\n"                            \
		                 ".pushsection __ex_table, \"a\"\n"       \
		                 ".balign 4\n"                            \
		                 ".long 1b - ., 3b - .\n"                 \
		                 ".popsection"                            \
		                 : "+q"(bad), "+r"(selector));            \
		return !bad;                                              \
	}
SEGMENT(ds)
SEGMENT(es)
SEGMENT(fs)
SEGMENT(gs)
#undef SEGMENT

/* LAR: false where there is no such descriptor that the instruction knows. */
static inline bool segment_attributes(uint16_t selector, uint32_t *attributes)
{
	bool valid;

	__asm__("lar %2, %0" : "+r"(*attributes), "=@ccz"(valid) : "r"((uint32_t)selector) : "cc");
	return valid;
}

static inline void swapgs(void)
{
	__asm__ volatile("swapgs" ::: "memory");
}

/* The user's GS while the kernel's base is in place, interrupts off; a bad selector becomes the null one. */
static inline void segment_user_gs_load(uint16_t selector)
{
	__asm__ volatile("swapgs\n"
	                 "1: mov %0, %%gs\n"
	                 "2: mfence\n"
	                 "swapgs\n"
	                 ".subsection 1\n"
	                 "3: xor %k0, %k0\n"
	                 "mov %0, %%gs\n"
	                 "jmp 2b\n"
	                 ".previous\n"
	                 ".pushsection __ex_table, \"a\"\n"
	                 ".balign 4\n"
	                 ".long 1b - ., 3b - .\n"
	                 ".popsection"
	                 : "+r"(selector)
	                 :
	                 : "memory");
}
#endif

#endif
