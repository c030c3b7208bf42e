/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes over the thunks of indirect branches (hw/thunk.S) what hw/spec.c decided. Once, before other CPUs start. */
#include "hw/spec.h"
#include "hw/cpu.h"
#include "hw/paging.h"

extern uint8_t indirect_thunks[16][THUNK_BYTES];

void spec_apply(void)
{
	if (spec_policy.retpolines)
		return;
	for (unsigned reg = 0; reg < 16; reg++) {
		/* jmp *%reg, with REX.B for the upper eight. */
		uint8_t code[] = { 0x41, 0xff, (uint8_t)(0xe0 | (reg & 7)) };
		unsigned skip = reg < 8;

		text_write(indirect_thunks[reg], code + skip, sizeof(code) - skip);
	}
	(void)cpuid(0, 0); /* serialises */
}
