/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoder for emulated instructions: privileged ones, I/O, and plain stores and locked operations on page
 * tables. It computes lengths and addresses only; what an instruction does is its caller's business.
 */
#include "pv/decode.h"
#include "lib/errno.h"
#include "lib/string.h"

enum imm { IMM_NONE, IMM_8, IMM_Z /* 2 or 4 */, IMM_UNKNOWN };

struct cursor {
	const uint8_t *at, *end;
};

static const uint8_t reg_offset[16] = {
	offsetof(struct cpu_user_regs, rax), offsetof(struct cpu_user_regs, rcx),
	offsetof(struct cpu_user_regs, rdx), offsetof(struct cpu_user_regs, rbx),
	offsetof(struct cpu_user_regs, rsp), offsetof(struct cpu_user_regs, rbp),
	offsetof(struct cpu_user_regs, rsi), offsetof(struct cpu_user_regs, rdi),
	offsetof(struct cpu_user_regs, r8),  offsetof(struct cpu_user_regs, r9),
	offsetof(struct cpu_user_regs, r10), offsetof(struct cpu_user_regs, r11),
	offsetof(struct cpu_user_regs, r12), offsetof(struct cpu_user_regs, r13),
	offsetof(struct cpu_user_regs, r14), offsetof(struct cpu_user_regs, r15),
};

uint64_t insn_reg_read(const struct cpu_user_regs *regs, unsigned number)
{
	uint64_t value;

	memcpy(&value, (const char *)regs + reg_offset[number & 15], 8);
	return value;
}

void insn_reg_write(struct cpu_user_regs *regs, unsigned number, unsigned bytes, uint64_t value)
{
	if (bytes == 4) {
		value = (uint32_t)value;
		bytes = 8;
	}
	memcpy((char *)regs + reg_offset[number & 15], &value, bytes);
}

static bool take(struct cursor *c, unsigned bytes, int64_t *value)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->at) < bytes)
		return false;
	memcpy(&v, c->at, bytes);
	c->at += bytes;
	*value = bytes == 8 ? (int64_t)v : (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
	return true;
}

/* Opcodes that belong together stand in one line. */
/* clang-format off */

/* The one-byte opcodes that are known here: immediate and ModRM, and those whose operand is a byte where they are even. */
#define KNOWN	0x80
#define MODRM	0x40
#define BYTE	0x20
#define PAIR(op, form) [op] = (form) | KNOWN | BYTE, [(op) + 1] = (form) | KNOWN
static const uint8_t one_byte_forms[256] = {
	/* add or and sub xor: register to memory */
	PAIR(0x00, MODRM), PAIR(0x08, MODRM), PAIR(0x20, MODRM), PAIR(0x28, MODRM), PAIR(0x30, MODRM),
	PAIR(0x86, MODRM), PAIR(0x88, MODRM), PAIR(0x8a, MODRM), /* xchg, mov both ways */
	[0x80] = MODRM | IMM_8 | KNOWN | BYTE, [0x81] = MODRM | IMM_Z | KNOWN, [0x83] = MODRM | IMM_8 | KNOWN,
	[0xc6] = MODRM | IMM_8 | KNOWN | BYTE, [0xc7] = MODRM | IMM_Z | KNOWN,
	PAIR(0x6c, 0), PAIR(0x6e, 0), PAIR(0xec, 0), PAIR(0xee, 0), /* ins, outs; in, out by dx */
	PAIR(0xe4, IMM_8), PAIR(0xe6, IMM_8), /* in, out by immediate */
	PAIR(0xa4, 0), PAIR(0xaa, 0), /* movs, stos */
	[0xcd] = IMM_8 | KNOWN, /* int n */
	[0xf4] = KNOWN, [0xfa] = KNOWN, [0xfb] = KNOWN, /* hlt, cli, sti */
};

static enum imm one_byte_form(uint8_t op, bool *modrm, bool *byte_operand)
{
	uint8_t form = one_byte_forms[op];

	*modrm = form & MODRM;
	*byte_operand = form & BYTE;
	return form & KNOWN ? (enum imm)(form & 3) : IMM_UNKNOWN;
}

static enum imm two_byte_form(uint8_t op, bool *modrm, bool *byte_operand)
{
	*byte_operand = false;
	*modrm = true;
	switch (op) {
	case 0x00: case 0x01: /* groups 6 and 7: invlpg, xsetbv, lmsw, smsw, ... */
	case 0x20: case 0x21: case 0x22: case 0x23: /* control and debug registers */
	case 0xab: case 0xb3: case 0xbb: /* bts, btr, btc */
	case 0xc7: /* group 9 */
		return IMM_NONE;
	case 0xb0: case 0xb1: /* cmpxchg */
	case 0xc0: case 0xc1: /* xadd */
		*byte_operand = !(op & 1);
		return IMM_NONE;
	case 0xba:
		return IMM_8;
	}
	*modrm = false;
	switch (op) {
	case 0x06: case 0x08: case 0x09: case 0x0b: /* clts, invd, wbinvd, ud2 */
	case 0x30: case 0x31: case 0x32: case 0x33: case 0xa2: /* wrmsr, rdtsc, rdmsr, rdpmc, cpuid */
		return IMM_NONE;
	}
	return IMM_UNKNOWN;
}

/* clang-format on */

static void take_prefixes(struct cursor *c, bool mode64, struct insn *insn, bool *operand_override)
{
	for (; c->at < c->end; c->at++) {
		if (*c->at >= 0x68 && *c->at < 0xf0) /* of no prefix */
			return;
		switch (*c->at) {
		case 0xf0:
			insn->lock = true;
			break;
		case 0xf2:
			insn->repne = true;
			break;
		case 0xf3:
			insn->rep = true;
			break;
		case 0x66:
			*operand_override = true;
			break;
		case 0x67:
			insn->address_bytes = mode64 ? 4 : 2;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
			insn->segment = *c->at;
			break;
		default:
			if (mode64 && (*c->at & 0xf0) == 0x40) {
				insn->rex = *c->at++;
				return;
			}
			return;
		}
	}
}

/* SIB and displacement of a memory operand; 64- and 32-bit addressing. */
static bool take_memory(struct cursor *c, const struct cpu_user_regs *regs, bool mode64, struct insn *insn,
                        bool *rip_relative)
{
	unsigned mod = insn->modrm >> 6, rm = insn->modrm & 7, base = rm | (insn->rex & 1) << 3;
	uint64_t address = 0;
	int64_t disp = 0, sib;

	if (rm == 4) {
		unsigned index;

		if (!take(c, 1, &sib))
			return false;
		base = ((unsigned)sib & 7) | (insn->rex & 1) << 3;
		index = ((unsigned)sib >> 3 & 7) | (insn->rex & 2) << 2;
		if (index != 4)
			address = insn_reg_read(regs, index) << ((unsigned)sib >> 6 & 3);
	}
	if ((base & 7) == 5 && mod == 0) {
		if (!take(c, 4, &disp))
			return false;
		*rip_relative = mode64 && rm == 5;
	} else {
		address += insn_reg_read(regs, base);
		if (mod && !take(c, mod == 1 ? 1 : 4, &disp))
			return false;
	}
	insn->address = address + (uint64_t)disp;
	return true;
}

static int take_modrm(struct cursor *c, const struct cpu_user_regs *regs, bool mode64, struct insn *insn,
                      bool *rip_relative)
{
	int64_t modrm;

	if (!take(c, 1, &modrm))
		return -ENODATA;
	insn->modrm = (uint8_t)modrm;
	insn->has_modrm = true;
	insn->reg = (insn->modrm >> 3 & 7) | (insn->rex & 4) << 1;
	insn->rm = (insn->modrm & 7) | (insn->rex & 1) << 3;
	/* mov to and from control and debug registers has no memory form */
	if (insn->modrm >> 6 == 3 || (insn->opcode >= 0x0f20 && insn->opcode <= 0x0f23))
		return 0;
	if (insn->address_bytes == 2)
		return -EINVAL;
	insn->is_memory = true;
	return take_memory(c, regs, mode64, insn, rip_relative) ? 0 : -ENODATA;
}

int insn_decode(const uint8_t *bytes, size_t count, const struct cpu_user_regs *regs, bool mode64,
                struct insn *insn)
{
	const uint8_t *end = bytes + MIN(count, INSN_MAX_BYTES);
	struct cursor c = { bytes, end };
	int short_of = count < INSN_MAX_BYTES ? -ENODATA : -EINVAL, err;
	bool operand_override = false, modrm, byte_operand, rip_relative = false;
	enum imm imm;
	int64_t value;

	memset(insn, 0, sizeof(*insn));
	insn->address_bytes = mode64 ? 8 : 4;
	take_prefixes(&c, mode64, insn, &operand_override);
	if (c.at == c.end)
		return short_of;
	insn->opcode = *c.at++;
	if (insn->opcode == 0x0f) {
		if (c.at == c.end)
			return short_of;
		insn->opcode = 0x0f00 | *c.at++;
		imm = two_byte_form((uint8_t)insn->opcode, &modrm, &byte_operand);
	} else {
		imm = one_byte_form((uint8_t)insn->opcode, &modrm, &byte_operand);
	}
	if (imm == IMM_UNKNOWN)
		return -EINVAL;
	insn->operand_bytes = byte_operand ? 1 : insn->rex & 8 ? 8 : operand_override ? 2 : 4;
	if (modrm) {
		err = take_modrm(&c, regs, mode64, insn, &rip_relative);
		if (err)
			return err == -ENODATA ? short_of : err;
	}
	if (imm != IMM_NONE) {
		if (!take(&c, imm == IMM_8 ? 1 : insn->operand_bytes == 2 ? 2 : 4, &value))
			return short_of;
		insn->immediate = (uint64_t)value;
	}
	insn->length = (uint8_t)(c.at - bytes);
	if (rip_relative)
		insn->address += regs->rip + insn->length;
	if (insn->address_bytes == 4)
		insn->address = (uint32_t)insn->address;
	return 0;
}

bool insn_decode_store(uint64_t code, const struct cpu_user_regs *regs, struct insn_store *store)
{
	static const uint8_t displacement_bytes[4] = { 0, 1, 4, 0 };
	unsigned rex = code & 0xff, opcode = code >> 8 & 0xff, modrm = code >> 16 & 0xff;
	unsigned mod = modrm >> 6, rm = modrm & 7, bits = 8u * displacement_bytes[mod];

	if ((rex & 0xf8) != 0x48 || (opcode != 0x87 && opcode != 0x89) || mod == 3 || rm == 4 ||
	    (!mod && rm == 5))
		return false;
	store->address = insn_reg_read(regs, rm | (rex & 1) << 3);
	if (bits)
		store->address += (uint64_t)((int64_t)(code << (40 - bits)) >> (64 - bits));
	store->length = (uint8_t)(3 + displacement_bytes[mod]);
	store->reg = (uint8_t)((modrm >> 3 & 7) | (rex & 4) << 1);
	store->exchange = opcode == 0x87;
	return true;
}
