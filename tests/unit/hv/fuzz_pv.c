/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: instructions that a guest has emulated, from bytes to effects. The first byte chooses what is driven,
 * the next 18 make the registers, the rest is code.
 *
 *  decode       bytes read, length, the list of opcodes, and (where capstone is there) length and address of another decoder
 *  table store  what changes in memory lies in the one entry that faulted, and all references still agree
 *  ports        a port is touched only where the domain was given it and the guest's kernel allows it
 *  privileged   user mode changes nothing, the kernel only what the ABI lets it have
 */
#include "mm/internal.h"
#include "mm/audit.h"
#include "pv/cpuid.h"
#include "pv/decode.h"
#include "hw/fpu.h"
#include "hw/rflags.h"
#include "hw/uaccess.h"
#include "fake/pv.h"
#include "pv/emulate.h"
#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST(x)                                                                 \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "line %d: not so: %s\n", __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)
#define CODE_AT   0x100
#define BITMAP_AT 0x4000
#define IO_LIMIT  0x200

static struct domain *d;
static struct vcpu *v;
static struct fake_pv_tree tree;
static mfn_t leaf;
static mfn_t table; /* an L1 table, mapped read-only at 0x1000 */
static uint64_t ports[1024];

/* ---- decode ---- */

/* All that may ever be decoded; whoever adds to it looks at every caller. */
static const uint8_t one[] = {
	0x00, 0x01, 0x08, 0x09, 0x20, 0x21, 0x28, 0x29, 0x30, 0x31, /* add or and sub xor */
	0x6c, 0x6d, 0x6e, 0x6f, 0x80, 0x81, 0x83, 0x86, 0x87,       /* ins outs, group 1, xchg */
	0x88, 0x89, 0x8a, 0x8b, 0xa4, 0xa5, 0xaa, 0xab, 0xc6, 0xc7, /* mov, movs, stos */
	0xcd, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef, 0xf4,
	0xfa, 0xfb, /* int, in, out, hlt, cli, sti */
};
static const uint8_t two[] = {
	0x00, 0x01, 0x06, 0x08, 0x09, 0x0b, 0x20, 0x21, 0x22, 0x23, 0x30, 0x31, 0x32, 0x33, 0xa2, /* system */
	0xab, 0xb0, 0xb1, 0xb3, 0xba, 0xbb, 0xc0, 0xc1, 0xc7, /* locked operations */
};
static const uint8_t prefixes[8] = { 0xf0, 0xf2, 0xf3, 0x66, 0x67, 0x2e, 0x65, 0x66 };

static bool listed(unsigned opcode)
{
	if (opcode < 0x100)
		return memchr(one, (int)opcode, sizeof(one));
	return opcode >> 8 == 0x0f && memchr(two, (int)(opcode & 0xff), sizeof(two));
}

static void opcodes_are_the_listed_ones(void)
{
	struct cpu_user_regs regs = { 0 };
	struct insn insn;

	for (unsigned op = 0; op < 0x200; op++)
		for (unsigned mode64 = 0; mode64 < 2; mode64++) {
			uint8_t code[INSN_MAX_BYTES] = { 0 };
			unsigned opcode = op & 0xff, at = 0;
			bool prefix =
			        op < 0x100 &&
			        (memchr("\xf0\xf2\xf3\x66\x67\x26\x2e\x36\x3e\x64\x65\x0f", (int)op, 12) ||
			         (mode64 && op >> 4 == 4));

			if (op >= 0x100)
				code[at++] = 0x0f;
			code[at] = (uint8_t)opcode;
			if (prefix)
				continue; /* of add %al,(%rax) */
			MUST(listed(op >= 0x100 ? 0x0f00 | opcode : opcode) ==
			     !insn_decode(code, sizeof(code), &regs, mode64, &insn));
		}
}

#ifdef HAVE_CAPSTONE
static csh disassembler[2];

static uint64_t named_register(const struct cpu_user_regs *regs, bool mode64, unsigned reg, uint64_t next)
{
	static const uint16_t wide[16] = { X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX,
		                           X86_REG_RSP, X86_REG_RBP, X86_REG_RSI, X86_REG_RDI,
		                           X86_REG_R8,  X86_REG_R9,  X86_REG_R10, X86_REG_R11,
		                           X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15 };
	static const uint16_t half[16] = { X86_REG_EAX,  X86_REG_ECX,  X86_REG_EDX,  X86_REG_EBX,
		                           X86_REG_ESP,  X86_REG_EBP,  X86_REG_ESI,  X86_REG_EDI,
		                           X86_REG_R8D,  X86_REG_R9D,  X86_REG_R10D, X86_REG_R11D,
		                           X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D };

	(void)mode64;
	if (reg == X86_REG_RIP || reg == X86_REG_EIP)
		return next;
	for (unsigned i = 0; i < 16; i++)
		if (reg == wide[i] || reg == half[i])
			return insn_reg_read(regs, i);
	return 0; /* none, RIZ, EIZ */
}

static void compare(const uint8_t *code, size_t count, const struct cpu_user_regs *regs, bool mode64,
                    const struct insn *insn)
{
	cs_insn *other;
	uint64_t address = 0;
	bool found = false;

	/* What it does not know, or knows by another name (LOCK where there is none), says nothing. */
	if (!cs_disasm(disassembler[mode64], code, count, regs->rip, 1, &other))
		return;
	if (insn->lock || insn->rep || insn->repne) {
		cs_free(other, 1);
		return;
	}
	if (other->size != insn->length) {
		fprintf(stderr, "%s %s: %u bytes, decoded as %u\n", other->mnemonic, other->op_str,
		        other->size, insn->length);
		abort();
	}
	for (unsigned i = 0; i < other->detail->x86.op_count; i++) {
		const cs_x86_op *op = &other->detail->x86.operands[i];

		if (op->type != X86_OP_MEM)
			continue;
		address = named_register(regs, mode64, op->mem.base, regs->rip + other->size) +
		          named_register(regs, mode64, op->mem.index, 0) * (uint64_t)op->mem.scale +
		          (uint64_t)op->mem.disp;
		if (insn->address_bytes == 4)
			address = (uint32_t)address;
		found = true;
	}
	if (insn->is_memory && found && address != insn->address) {
		fprintf(stderr, "%s %s: address %lx, decoded as %lx\n", other->mnemonic, other->op_str,
		        (unsigned long)address, (unsigned long)insn->address);
		abort();
	}
	cs_free(other, 1);
}
#endif

/* The short decoder agrees with the long one. */
static void decode_store(const uint8_t *bytes, const struct cpu_user_regs *regs)
{
	struct insn_store store;
	struct insn insn;
	uint64_t code;

	memcpy(&code, bytes, sizeof(code));
	if (!insn_decode_store(code, regs, &store))
		return;
	MUST(!insn_decode(bytes, sizeof(code), regs, true, &insn) && insn.is_memory &&
	     insn.operand_bytes == 8);
	MUST(insn.opcode == (store.exchange ? 0x87 : 0x89) && insn.length == store.length);
	MUST(insn.address == store.address && insn.reg == store.reg);
	MUST(!insn.segment && !insn.lock && !insn.rep && !insn.repne && insn.address_bytes == 8);
}

static void decode(const uint8_t *code, size_t count, struct cpu_user_regs *regs, bool mode64)
{
	uint8_t *exact = malloc(MAX(count, (size_t)1)); /* the sanitizer sees a read beyond it */
	struct insn insn, again;
	int err;

	memcpy(exact, code, count);
	err = insn_decode(exact, count, regs, mode64, &insn);
	MUST(!err || err == -EINVAL || err == -ENODATA);
	MUST(err != -ENODATA || count < INSN_MAX_BYTES);
	if (mode64 && count >= 8)
		decode_store(exact, regs);
	if (!err) {
		MUST(insn.length >= 1 && insn.length <= INSN_MAX_BYTES && insn.length <= count);
		MUST(listed(insn.opcode));
		MUST(insn.operand_bytes == 1 || insn.operand_bytes == 2 || insn.operand_bytes == 4 ||
		     insn.operand_bytes == 8);
		MUST(insn.reg < 16 && insn.rm < 16 && (mode64 || (insn.reg < 8 && insn.rm < 8)));
		MUST(!insn.is_memory || (insn.has_modrm && insn.address_bytes != 2));
		/* The same from just its own bytes, and nothing from fewer. */
		MUST(!insn_decode(exact, insn.length, regs, mode64, &again) &&
		     !memcmp(&insn, &again, sizeof(insn)));
		for (unsigned n = 0; n < insn.length; n++)
			MUST(insn_decode(exact, n, regs, mode64, &again) == -ENODATA);
#ifdef HAVE_CAPSTONE
		compare(exact, MIN(count, (size_t)INSN_MAX_BYTES), regs, mode64, &insn);
#endif
	}
	free(exact);
}

/* ---- stores to page tables ---- */

static void table_store(const uint8_t *code, size_t count, struct cpu_user_regs *regs, uint8_t where)
{
	uint64_t before[512], *now = mfn_map_own(table);
	struct cpu_user_regs old = *regs;
	struct insn insn;
	uint64_t cr2;
	unsigned entry;
	bool done;

	memcpy(before, now, sizeof(before));
	memset(fake_guest + CODE_AT, 0xf1, 32);
	memcpy(fake_guest + CODE_AT, code, MIN(count, (size_t)32));
	/* As a rule the store faults where it goes to. */
	if ((where & 3) && !insn_decode(fake_guest + CODE_AT, 32, regs, true, &insn) && insn.is_memory &&
	    insn.address >= 0x1000 && insn.address < 0x1100)
		where = (uint8_t)(insn.address - 0x1000);
	cr2 = 0x1000 + where; /* of the table's first 32 entries */
	entry = where / 8;
	v->pv.kernel_mode = true;
	v->domain->vm_assist = 1u << VMASST_TYPE_writable_pagetables;
	done = pv_emulate_table_write(v, regs, GVA(cr2));
	for (unsigned i = 0; i < 512; i++)
		MUST(i == entry || now[i] == before[i]);
	if (!done)
		MUST(now[entry] == before[entry] && !memcmp(regs, &old, sizeof(old)));
	else
		MUST(regs->rip == old.rip || (regs->rip > old.rip && regs->rip - old.rip <= INSN_MAX_BYTES));
	if (now[entry] & PTE_P) {
		MUST(now[entry] & PTE_US);
		MUST(!(now[entry] & (PTE_G | PTE_CACHE | PTE_GRANT)));
		MUST(frame_owner(PTE_MFN(now[entry])) == &d->mm);
	}
	/* Bytes that the operand does not cover keep their value, but for what validation adds and takes. */
	if (done && now[entry] != before[entry]) {
		uint64_t changed = now[entry] ^ before[entry], covered;

		MUST(!insn_decode(fake_guest + CODE_AT, 32, &old, true, &insn));
		MUST((insn.opcode | 1) == 0xab ? old.rdi == cr2 : insn.is_memory && insn.address == cr2);
		MUST(!insn.is_memory || (insn.segment != 0x64 && insn.segment != 0x65));
		covered = (~0ull >> (64 - 8 * insn.operand_bytes)) << (where % 8 * 8);
		MUST(!(changed & ~covered & ~(uint64_t)(PTE_US | PTE_G)));
	}
}

static void audit(void)
{
	struct domain_mm *mm = &d->mm;
	struct audit_root root = { .d = mm, .l4 = { v->l4_kernel, INVALID_MFN } };

	MUST(!mm_audit(&mm, 1, &root, 1, true));
}

/* ---- ports ---- */

static bool kernel_allows;
static uint8_t bitmap_now[IO_LIMIT / 8 + 1];

static void port_touched(unsigned port, unsigned width, bool write)
{
	(void)write;
	for (unsigned i = 0; i < width; i++) {
		MUST(port + i < 65536 && bit_test(ports, port + i));
		MUST(kernel_allows ||
		     (port + i < IO_LIMIT && !(bitmap_now[(port + i) / 8] >> ((port + i) % 8) & 1)));
	}
}

static void port_access(const uint8_t *code, size_t count, struct cpu_user_regs *regs, uint8_t how)
{
	struct insn insn;
	struct cpu_user_regs old = *regs;

	v->pv.kernel_mode = how & 1;
	v->pv.iopl = how >> 1 & 3;
	v->pv.iobmp_limit = how & 8 ? IO_LIMIT : 0;
	set_xen_guest_handle(v->pv.iobmp,
	                     (uint8_t *)(uintptr_t)(how & 16 ? BITMAP_AT : sizeof(fake_guest) - 8));
	kernel_allows = v->pv.kernel_mode ? v->pv.iopl >= 1 : v->pv.iopl >= 3;
	memset(bitmap_now, 0xff, sizeof(bitmap_now));
	if ((how & 24) == 24)
		memcpy(bitmap_now, fake_guest + BITMAP_AT, sizeof(bitmap_now));
	else if (how & 8)
		memcpy(bitmap_now, fake_guest + sizeof(fake_guest) - 8, 8);
	regs->rcx &= 0xfff;
	if (insn_decode(code, count, regs, true, &insn))
		return;
	if (!((insn.opcode >= 0x6c && insn.opcode <= 0x6f) || (insn.opcode >= 0xe4 && insn.opcode <= 0xe7) ||
	      (insn.opcode >= 0xec && insn.opcode <= 0xef)))
		return;
	fake_pv_port_hook = port_touched;
	old.rcx = regs->rcx;
	if (!pv_emulate_io(v, regs, &insn))
		MUST(!memcmp(regs, &old, sizeof(old)));
	fake_pv_port_hook = NULL;
}

/* ---- privileged instructions ---- */

static void privileged(const uint8_t *code, size_t count, struct cpu_user_regs *regs, bool kernel)
{
	struct pv_vcpu before;
	uint8_t mask;
	bool done;

	memset(fake_guest + CODE_AT, 0xf1, 32);
	memcpy(fake_guest + CODE_AT, code, MIN(count, (size_t)32));
	v->pv.kernel_mode = kernel;
	v->pv.iopl = 0;
	v->pv.iobmp_limit = 0;
	mask = v->info->evtchn_upcall_mask;
	before = v->pv;
	fake_pv_msr_touched = 0;
	done = pv_emulate_privileged(v, regs);
	MUST(!done || regs->rip == CODE_AT || (regs->rip > CODE_AT && regs->rip <= CODE_AT + INSN_MAX_BYTES));
	if (!kernel) {
		before.cr2 = v->pv.cr2;
		before.dr[6] = v->pv.dr[6]; /* single-stepped */
		MUST(!memcmp(&before, &v->pv, sizeof(before)) && v->info->evtchn_upcall_mask == mask &&
		     !fake_pv_msr_touched);
	}
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t *dr = fake_pv_cpus[0].dr;

		/* An enabled breakpoint is in the guest's range, and none is on a port. */
		if (dr[7] >> (2 * i) & 3)
			MUST(guest_range_ok(GVA(dr[i]), 8) && (dr[7] >> (16 + 4 * i) & 3) != 2);
	}
	MUST(!(fake_pv_cpus[0].dr[7] & (1u << 13 | 0xffffffff00000000ull)));
	MUST(!(v->pv.cr4 & ~pv_cr4_allowed(d)) && !(v->pv.cr0_ts_em & ~8ull) && v->pv.xcr0 == 1 &&
	     v->pv.iopl == 0);
}

/* ---- one input ---- */

static void setup(void)
{
	fake_init(512, 0);
	cpu_features.xsave_size = 576;
	d = fake_pv_domain(1, 1);
	v = d->vcpus[0];
	table = fake_pv_frame(d);
	if (pt_pin(&d->mm, table, PTYPE_L1))
		abort();
	leaf = fake_pv_frame(d);
	tree = fake_pv_tree(d, leaf, PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D);
	fake_pv_store(d, tree.l1, 1, table.m << PAGE_SHIFT | PTE_P | PTE_US | PTE_A);
	if (pt_get(&d->mm, tree.l4, PTYPE_L4, false))
		abort();
	v->l4_kernel = v->l4_user = tree.l4;
	cpu_set_current(v);
	d->ioports = ports;
	for (unsigned i = 0; i < 1024; i++)
		ports[i] = 0xff00ff0f33335555ull;
	ports[1023] = ~0ull;
	opcodes_are_the_listed_ones();
#ifdef HAVE_CAPSTONE
	for (unsigned i = 0; i < 2; i++) {
		if (cs_open(CS_ARCH_X86, i ? CS_MODE_64 : CS_MODE_32, &disassembler[i]))
			abort();
		cs_option(disassembler[i], CS_OPT_DETAIL, CS_OPT_ON);
	}
#endif
}

/* Mostly values that mean something somewhere. */
static uint64_t register_value(uint8_t b, unsigned number)
{
	switch (b >> 5) {
	case 0:
		return 0x1000 + (b & 31) * 2;
	case 1:
		return b & 31;
	case 2:
		return leaf.m << PAGE_SHIFT | (b & 7) | (b & 8 ? PTE_G : 0) | (b & 16 ? PTE_A : 0);
	case 3:
		return ((tree.l1.m + (b >> 2 & 7)) << PAGE_SHIFT) | 0x61 | (b & 3) << 1;
	case 4:
		return b & 1 ? ~0ull - (b & 31) : leaf.m << PAGE_SHIFT | (b & 31) >> 1 | PTE_P;
	case 5:
		return 1ull << (b & 31) << number;
	case 6:
		return 0x8000 + b; /* guest memory, ports */
	default:
		return 0x0123456789abcdefull * (b | 1u) + number;
	}
}

/* Bytes as they are, or a listed opcode behind the prefixes that the first byte has a bit for. */
static size_t assemble(const uint8_t *data, size_t n, bool raw, uint8_t code[32])
{
	size_t at = 0;

	if (!raw && n >= 4) {
		for (unsigned i = 0; i < 8; i++)
			if (data[0] >> i & 1)
				code[at++] = prefixes[i];
		if (data[1] & 1)
			code[at++] = 0x40 | data[1] >> 4;
		if (data[2] % (sizeof(one) + sizeof(two)) < sizeof(one)) {
			code[at++] = one[data[2] % (sizeof(one) + sizeof(two))];
		} else {
			code[at++] = 0x0f;
			code[at++] = two[data[2] % (sizeof(one) + sizeof(two)) - sizeof(one)];
		}
		data += 3;
		n -= 3;
	}
	n = MIN(n, 32 - at);
	memcpy(code + at, data, n);
	return at + n;
}

/* Each input finds the same state. */
static void reset(void)
{
	static struct pv_vcpu first;
	static bool kept;

	if (!kept)
		first = v->pv;
	kept = true;
	v->pv = first;
	v->info->evtchn_upcall_mask = 0;
	memset(fake_guest, 0, 0x1000);
	memset(fake_guest + BITMAP_AT, 0x55, IO_LIMIT / 8 + 1);
	memset(fake_guest + sizeof(fake_guest) - 8, 0xaa, 8);
	for (unsigned i = 0; i < 8; i++)
		fake_pv_cpus[0].dr[i] = 0;
	for (unsigned i = 0; i < 33; i++)
		if (((uint64_t *)mfn_map_own(table))[i])
			MUST(!pt_entry_write(&d->mm, &d->mm, MADDR(mfn_to_maddr(table).a + i * 8), 0,
			                     PT_WRITE, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t code[32];
	struct cpu_user_regs regs = { .rip = CODE_AT, .cs = 0x33, .rflags = 0x202 };
	static unsigned runs;
	static bool ready;

	if (!ready)
		setup();
	ready = true;
	if (n < 20)
		return 0;
	reset();
	for (unsigned i = 0; i < 16; i++)
		insn_reg_write(&regs, i, 8, register_value(data[3 + i], i));
	if (data[2] & 1)
		regs.rflags |= RFLAGS_DF;
	n = assemble(data + 19, n - 19, data[2] & 2, code);
	switch (data[0] % 5) {
	case 0:
		decode(code, n, &regs, true);
		break;
	case 1:
		decode(code, n, &regs, false);
		break;
	case 2:
		table_store(code, n, &regs, data[1]);
		if (runs++ % 256 == 0)
			audit();
		break;
	case 3:
		port_access(code, n, &regs, data[1]);
		break;
	case 4:
		privileged(code, n, &regs, data[1] & 1);
		break;
	}
	return 0;
}
