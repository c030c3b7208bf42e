/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes over the thunks of indirect branches (hw/thunk.S) what hw/spec.c decided. Once, before other CPUs start. */
#include "hw/spec.h"
#include "hw/cpu.h"
#include "hw/layout.h"
#include "hw/mem.h"
#include "lib/string.h"

extern uint8_t indirect_thunks[16][THUNK_BYTES];

void spec_apply(void)
{
	if (spec_policy.retpolines)
		return;
	for (unsigned reg = 0; reg < 16; reg++) {
		/* jmp *%reg, with REX.B for the upper eight; through the direct map, since text is read-only. */
		uint8_t code[] = { 0x41, 0xff, (uint8_t)(0xe0 | (reg & 7)) };
		unsigned skip = reg < 8;
		uintptr_t at = (uintptr_t)indirect_thunks[reg];
		uint8_t *to = mfn_map_own(maddr_to_mfn(MADDR(at - IMAGE_BASE)));

		memcpy(to + (at & (PAGE_SIZE - 1)), code + skip, sizeof(code) - skip);
	}
	(void)cpuid(0, 0); /* serialises */
}
