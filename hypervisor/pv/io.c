/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port I/O. A guest has no I/O permission in hardware: each access traps and is carried out here when the
 * guest's own kernel allows it (IOPL, I/O bitmap) and the toolstack gave the domain the port. A port that it
 * was not given reads as all ones and swallows writes, as an empty bus does.
 */
#include "pv/pv.h"
#include "hw/pci.h"
#include "pv/address.h"
#include "pv/bounce.h"
#include "pv/debugreg.h"
#include "pv/decode.h"
#include "hw/rflags.h"
#include "hw/uaccess.h"
#include "pv/emulate.h"

#define PCI_ADDRESS_PORT 0xcf8
#define PCI_DATA_PORT    0xcfc

/* Two bytes of the map are read whatever the access, as the processor does (SDM Vol. 1, 19.5.2): both must be there. */
static bool guest_allows(struct vcpu *v, unsigned port, unsigned bytes)
{
	uint8_t map[2];

	if (pv_iopl_allows(v))
		return true;
	if (port + bytes > v->pv.iobmp_limit ||
	    pv_kernel_copy_in(v, map, GVA((uintptr_t)v->pv.iobmp.p + port / 8), sizeof(map)))
		return false;
	return !((map[0] | map[1] << 8) >> (port & 7) & ((1u << bytes) - 1));
}

static bool domain_has(const struct domain *d, unsigned port, unsigned bytes)
{
	if (!d->ioports || port + bytes > 65536)
		return false;
	for (unsigned i = 0; i < bytes; i++)
		if (!bit_test(d->ioports, port + i))
			return false;
	return true;
}

/* 0xCF8 is kept per domain and used at the access to 0xCFC, under the lock of pci_read() and pci_write(). */
static bool pci_access(struct domain *d, unsigned port, unsigned bytes, bool write, uint32_t *value)
{
	uint32_t address = d->pci_config_address;
	unsigned reg;

	if (port == PCI_ADDRESS_PORT && bytes == 4) {
		if (write)
			d->pci_config_address = *value;
		else
			*value = address;
		return true;
	}
	if ((port & ~3u) != PCI_DATA_PORT || (port & 3) + bytes > 4)
		return false;
	if (!write)
		*value = ~0u;
	if (!(address & 1u << 31) || !d->privileged)
		return true;
	/* Bits 24 to 27: AMD's extended configuration registers. */
	reg = (address & 0xfc) | (address >> 16 & 0xf00) | (port & 3);
	if (write)
		pci_write(0, (uint8_t)(address >> 16), (uint8_t)(address >> 8), reg, bytes, *value);
	else
		*value = pci_read(0, (uint8_t)(address >> 16), (uint8_t)(address >> 8), reg, bytes);
	return true;
}

static void access(struct vcpu *v, unsigned port, unsigned bytes, bool write, uint32_t *value)
{
	if (pci_access(v->domain, port, bytes, write, value))
		return;
	if (domain_has(v->domain, port, bytes)) {
		if (write)
			port_out((uint16_t)port, bytes, *value);
		else
			*value = port_in((uint16_t)port, bytes);
	} else if (!write) {
		*value = ~0u;
	}
}

/* INS and OUTS: the guest executes a repeated one again until RCX is zero; single-stepped, after each
 * element. */
static bool string_io(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *insn, unsigned port,
                      bool write)
{
	unsigned bytes = insn->operand_bytes == 8 ? 4 : insn->operand_bytes;
	unsigned most = insn->rep && !(regs->rflags & RFLAGS_TF) ? 512 : 1;
	uint64_t *index = write ? &regs->rsi : &regs->rdi;
	uint32_t value = 0;

	for (unsigned slice = 0; slice < most; slice++) {
		if (insn->rep && !regs->rcx)
			break;
		if (write) {
			size_t left = guest_copy_in(&value, GVA(*index), bytes);

			if (left) {
				pv_inject_page_fault(v, GVA(*index + bytes - left), 0);
				return true;
			}
			access(v, port, bytes, true, &value);
		} else {
			size_t left;

			/* The destination is probed first: what a device gave once it may not give again. */
			left = guest_copy_in(&value, GVA(*index), bytes);
			if (!left)
				left = guest_copy_out(GVA(*index), &value, bytes);
			if (left) {
				pv_inject_page_fault(v, GVA(*index + bytes - left), PF_WRITE);
				return true;
			}
			access(v, port, bytes, false, &value);
			if (guest_copy_out(GVA(*index), &value, bytes))
				return true;
		}
		*index += (regs->rflags & RFLAGS_DF) ? -(uint64_t)bytes : bytes;
		if (insn->rep)
			regs->rcx--;
	}
	if (!insn->rep || !regs->rcx)
		regs->rip += insn->length;
	pv_instruction_done(v, regs);
	return true;
}

bool pv_emulate_io(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *insn)
{
	unsigned bytes = insn->operand_bytes == 8 ? 4 : insn->operand_bytes, port;
	bool write, by_dx = insn->opcode >= 0xec || insn->opcode <= 0x6f;
	uint32_t value = (uint32_t)regs->rax;

	port = by_dx ? (uint16_t)regs->rdx : (uint8_t)insn->immediate;
	if (!guest_allows(v, port, bytes))
		return false;
	write = insn->opcode & 2; /* 6c, 6d, e4, e5, ec, ed read */
	if (insn->opcode <= 0x6f)
		return string_io(v, regs, insn, port, write);
	access(v, port, bytes, write, &value);
	if (!write)
		insn_reg_write(regs, 0, bytes, value);
	regs->rip += insn->length;
	pv_instruction_done(v, regs);
	return true;
}
