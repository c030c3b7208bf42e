/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writable page tables: a guest's kernel that asked for them (VMASST_TYPE_writable_pagetables) stores into an L1 table as if it
 * were ordinary memory. The store faults, since tables are never mapped writable; here it is decoded, and its
 * effect goes through the same validation as mmu_update. A store into a table of a higher level is the guest's page
 * fault, as on Xen.
 */
#include "pv/decode.h"
#include "dom/domain.h"
#include "hw/mem.h"
#include "hw/rflags.h"
#include "hw/trace.h"
#include "hw/uaccess.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/pagetable.h"
#include "pv/debugreg.h"
#include "pv/emulate.h"
#include "pv/trace.h"

#define ARITHMETIC_FLAGS 0x8d5u

static uint64_t operand_mask(unsigned bytes)
{
	return ~0ull >> (64 - 8 * bytes);
}

/* What a locked or plain operation makes of the old value; false: not one that is known. Flags go to *rflags. */
static bool combine(const struct insn *insn, const struct cpu_user_regs *regs, uint64_t old, uint64_t *result,
                    uint64_t *rflags)
{
	uint64_t operand = insn_reg_read(regs, insn->reg), bit, mask = operand_mask(insn->operand_bytes);
	unsigned group = insn->opcode | (insn->opcode < 0x100);

	if (insn->opcode >= 0x80 && insn->opcode <= 0x83) {
		operand = insn->immediate;
		group = (insn->modrm & 0x38) | 1;
	}
	if (insn->opcode == 0x0fba) {
		operand = insn->immediate;
		group = (insn->modrm >> 3 & 7) == 5   ? 0x0fab
		        : (insn->modrm >> 3 & 7) == 6 ? 0x0fb3
		        : (insn->modrm >> 3 & 7) == 7 ? 0x0fbb
		                                      : 0;
	}
	bit = 1ull << (operand & (insn->operand_bytes * 8 - 1));
	*rflags = regs->rflags & ~(uint64_t)ARITHMETIC_FLAGS;
	switch (group) {
	case 0x01:
		*result = old + operand;
		*rflags |= ((*result & mask) < (old & mask));
		break;
	case 0x09:
		*result = old | operand;
		break;
	case 0x21:
		*result = old & operand;
		break;
	case 0x29:
		*result = old - operand;
		*rflags |= ((old & mask) < (operand & mask));
		break;
	case 0x31:
		*result = old ^ operand;
		break;
	case 0x0fab:
	case 0x0fb3:
	case 0x0fbb:
		*result = group == 0x0fab ? old | bit : group == 0x0fb3 ? old & ~bit : old ^ bit;
		*rflags = (regs->rflags & ~1ull) | !!(old & bit);
		*result = (*result & mask) | (old & ~mask);
		return true;
	default:
		return false;
	}
	*result &= mask;
	if (!*result)
		*rflags |= 1u << 6;
	if (*result >> (insn->operand_bytes * 8 - 1) & 1)
		*rflags |= 1u << 7;
	if (!(__builtin_popcountll(*result & 0xff) & 1))
		*rflags |= 1u << 2;
	*result |= old & ~mask;
	return true;
}

struct table_store {
	struct vcpu *v;
	gva_t va;       /* where the guest stores */
	maddr_t entry;  /* machine address of the 8-byte entry */
	unsigned shift; /* of the operand in it, in bits */
	unsigned bytes;
};

static uint64_t entry_read(const struct table_store *s)
{
	const uint64_t *table = mfn_map(maddr_to_mfn(s->entry));

	return READ_ONCE(table[(s->entry.a & (PAGE_SIZE - 1)) / 8]);
}

/* Puts the operand's bytes into a whole entry. */
static uint64_t entry_merge(const struct table_store *s, uint64_t whole, uint64_t operand)
{
	uint64_t mask = operand_mask(s->bytes) << s->shift;

	return (whole & ~mask) | ((operand << s->shift) & mask);
}

static int entry_write(const struct table_store *s, uint64_t new, enum pt_write op, uint64_t *expected)
{
	struct domain_mm *mm = &s->v->domain->mm;
	int err = pt_entry_write(mm, mm, s->entry, new, op, expected);

	if (!err && trace_on())
		pv_trace_table_write(s->va, entry_read(s));
	return err;
}

static int entry_cmpxchg(const struct table_store *s, uint64_t *expected, uint64_t new)
{
	return entry_write(s, new, PT_CMPXCHG, expected);
}

static int do_cmpxchg(const struct table_store *s, const struct insn *insn, struct cpu_user_regs *regs)
{
	uint64_t mask = operand_mask(s->bytes), whole = entry_read(s), old = whole >> s->shift & mask;
	int err;

	if (old == (regs->rax & mask)) {
		err = entry_cmpxchg(s, &whole, entry_merge(s, whole, insn_reg_read(regs, insn->reg)));
		if (err)
			return err;
		regs->rflags |= 1u << 6;
	} else {
		insn_reg_write(regs, 0, s->bytes, old);
		regs->rflags &= ~(1ull << 6);
	}
	return 0;
}

static int do_store(const struct table_store *s, const struct insn *insn, struct cpu_user_regs *regs)
{
	uint64_t whole = entry_read(s), old = whole >> s->shift & operand_mask(s->bytes), new,
	         rflags = regs->rflags;
	int err;

	switch (insn->opcode) {
	case 0x88:
	case 0x89:
		new = insn_reg_read(regs, insn->reg);
		break;
	case 0xc6:
	case 0xc7:
		new = insn->immediate;
		break;
	case 0xaa:
	case 0xab: /* stos: one element, the instruction repeats by itself */
		new = regs->rax;
		break;
	case 0x86:
	case 0x87:
		new = insn_reg_read(regs, insn->reg);
		err = entry_cmpxchg(s, &whole, entry_merge(s, whole, new));
		if (!err)
			insn_reg_write(regs, insn->reg, s->bytes, old);
		return err;
	case 0x0fb0:
	case 0x0fb1:
		return do_cmpxchg(s, insn, regs);
	default:
		if (!combine(insn, regs, old & operand_mask(s->bytes), &new, &rflags))
			return -EINVAL;
		err = entry_cmpxchg(s, &whole, entry_merge(s, whole, new));
		if (!err)
			regs->rflags = rflags;
		return err;
	}
	if (s->bytes == 8)
		return entry_write(s, new, PT_WRITE, NULL);
	return entry_cmpxchg(s, &whole, entry_merge(s, whole, new));
}

static bool advance(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *insn)
{
	bool again = false;

	if ((insn->opcode | 1) == 0xab) {
		regs->rdi +=
		        (regs->rflags & RFLAGS_DF) ? -(uint64_t)insn->operand_bytes : insn->operand_bytes;
		again = insn->rep && --regs->rcx; /* the guest executes it again */
	}
	if (!again)
		regs->rip += insn->length;
	pv_instruction_done(v, regs);
	return true;
}

/* A whole entry, at the address that faulted. */
static bool is_usual(const uint8_t *bytes, size_t got, const struct cpu_user_regs *regs, gva_t cr2,
                     struct insn_store *insn)
{
	uint64_t code;

	if (unlikely(got < sizeof(code)))
		return false;
	memcpy(&code, bytes, sizeof(code));
	return insn_decode_store(code, regs, insn) && insn->address == cr2.v && !(cr2.v & 7);
}

static int do_usual(const struct table_store *s, const struct insn_store *insn, struct cpu_user_regs *regs)
{
	uint64_t new = insn_reg_read(regs, insn->reg), old, expected;
	int err;

	if (!insn->exchange)
		return entry_write(s, new, PT_WRITE, NULL);
	old = expected = entry_read(s);
	err = entry_cmpxchg(s, &expected, new);
	if (!err)
		insn_reg_write(regs, insn->reg, 8, old);
	return err;
}

static bool emulate(struct vcpu *v, struct cpu_user_regs *regs, gva_t cr2, mfn_t table)
{
	uint8_t bytes[INSN_MAX_BYTES];
	struct table_store s = { .v = v,
		                 .va = cr2,
		                 .entry = MADDR(mfn_to_maddr(table).a | (cr2.v & (PAGE_SIZE - 1) & ~7ull)),
		                 .bytes = 8 };
	struct insn_store usual;
	struct insn insn;
	size_t got;
	int err;

	got = sizeof(bytes) - guest_copy_in(bytes, GVA(regs->rip), sizeof(bytes));
	if (likely(is_usual(bytes, got, regs, cr2, &usual))) {
		err = do_usual(&s, &usual, regs);
		if (!err) {
			regs->rip += usual.length;
			pv_instruction_done(v, regs);
		}
		return !err || err == -EAGAIN || err == -ERESTART_HV;
	}
	if (insn_decode(bytes, got, regs, true, &insn))
		return false;
	if ((insn.opcode | 1) == 0xab)
		insn.address = regs->rdi;
	else if (!insn.is_memory || insn.segment == 0x64 || insn.segment == 0x65)
		return false;
	s.bytes = insn.operand_bytes;
	/* An aligned store at the address that faulted; AH to BH are no operands of a kernel's. */
	if (insn.address != cr2.v || (cr2.v & (s.bytes - 1)) ||
	    (s.bytes == 1 && insn.has_modrm && !insn.rex && insn.reg >= 4 && insn.opcode != 0x80 &&
	     insn.opcode != 0xc6))
		return false;
	s.shift = (cr2.v & 7) * 8;
	err = do_store(&s, &insn, regs);
	if (err == -EAGAIN || err == -ERESTART_HV)
		return true; /* the guest executes the store again */
	if (err)
		return false;
	return advance(v, regs, &insn);
}

bool pv_emulate_table_write(struct vcpu *v, struct cpu_user_regs *regs, gva_t cr2)
{
	struct domain_mm *mm = &v->domain->mm;
	bool asked = READ_ONCE(v->domain->vm_assist) & 1u << VMASST_TYPE_writable_pagetables, done;
	mfn_t table;
	uint64_t e;

	/* Xen carries out dom0's in any case. */
	if (!asked && !v->domain->privileged)
		return false;
	e = pt_leaf(v->l4_kernel, cr2);
	table = PTE_MFN(e);
	if ((e & (PTE_P | PTE_RW)) != PTE_P || !frame_is_l1_table(table, mm))
		return false;
	/* Held, since the old entry is shown to the guest: it must not be another domain's memory by then. */
	if (!frame_get(table, mm))
		return false;
	done = emulate(v, regs, cr2, table);
	frame_put(table);
	return done;
}
