/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A decoder of the instructions that a paravirtual guest may have emulated. Pure: bytes and registers in, a
 * description out. (SDM Vol. 2, chapter 2 and appendix A.)
 */
#ifndef PV_DECODE_H
#define PV_DECODE_H

#include "lib/types.h"
#include <xen/xen.h>

#define INSN_MAX_BYTES 15

struct insn {
	uint16_t opcode;       /* one byte, or 0x0f00 | second byte */
	uint8_t length;        /* bytes in all */
	uint8_t operand_bytes; /* 1, 2, 4 or 8 */
	uint8_t address_bytes; /* 2, 4 or 8 */
	bool lock, rep, repne, has_modrm, is_memory;
	uint8_t modrm, rex;
	uint8_t reg, rm;    /* extended by REX */
	uint8_t segment;    /* override prefix byte, or 0 */
	uint64_t address;   /* effective address without segment base, where is_memory */
	uint64_t immediate; /* sign-extended to 64 bits where the instruction does so */
};

/* 0; -EINVAL: not one of the known instructions or longer than 15 bytes; -ENODATA: count bytes are too few. */
int insn_decode(const uint8_t *bytes, size_t count, const struct cpu_user_regs *regs, bool mode64,
                struct insn *insn) __must_check;
/* The stores that kernels write entries of page tables with, in less time: mov or xchg of eight bytes to memory, with no prefix
 * but REX, no SIB and no address relative to rip. code: the first eight bytes. False: something else. */
struct insn_store {
	uint64_t address;
	uint8_t length, reg;
	bool exchange;
};
bool insn_decode_store(uint64_t code, const struct cpu_user_regs *regs, struct insn_store *store);
/* General register by its number, 0 rax .. 15 r15, as 64 bits. */
uint64_t insn_reg_read(const struct cpu_user_regs *regs, unsigned number);
/* Writes bytes of it: 8 and 4 replace the register (4 zero-extends), 2 and 1 merge. AH..BH are not supported. */
void insn_reg_write(struct cpu_user_regs *regs, unsigned number, unsigned bytes, uint64_t value);

#endif
