/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mmu_update, mmuext_op, update_va_mapping and multicall write when they fail, and whom they take for a
 * domain */
#include "../transcript.h"

const char test_name[] = "args-mmu";

static char *target[8]; /* pages whose entries are written */

static unsigned long end_of(unsigned page, unsigned bytes)
{
	return (unsigned long)tr_page[page] + PAGE - bytes;
}

/* ---- mmu_update ---- */

/* n requests at the end of page B, the last ones beyond it; what they do succeeds. */
static struct mmu_update *updates(unsigned n)
{
	struct mmu_update *u = (struct mmu_update *)end_of(PAGE_B, n * sizeof(*u));

	tr_clear();
	for (unsigned i = 0; i < n && i < 8; i++) {
		u[i] = (struct mmu_update){ entry_maddr(target[i], 1), PTE_RO(mfn_of(target[i])) };
		tr_mask(&u[i], sizeof(u[i]));
	}
	return u;
}

#define DONE ((unsigned long)tr_page[PAGE_C] + 64)

static void update_domains(void)
{
	for (unsigned i = 0; i < TR_DOMIDS; i++) {
		const struct tr_domid *t = &tr_domids[i];

		tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 3, DONE, t->domid, 0,
		        "mmu_update, frames of %s", t->name);
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 0, DONE, t->domid, 0,
		        "mmu_update, none, frames of %s", t->name);
		if (t->domid == DOMID_SELF) /* as a number of tables it means somebody else */
			continue;
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 3, DONE,
		        (unsigned long)(t->domid + 1) << 16 | DOMID_SELF, 0, "mmu_update, tables of %s",
		        t->name);
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 0, DONE,
		        (unsigned long)(t->domid + 1) << 16 | DOMID_SELF, 0, "mmu_update, none, tables of %s",
		        t->name);
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 3, DONE,
		        (unsigned long)(t->domid + 1) << 16 | DOM_ABSENT, 0,
		        "mmu_update, tables of %s, frames of nobody", t->name);
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 3, 0, t->domid, 0,
		        "mmu_update, frames of %s, no count", t->name);
	}
}

/* An entry that fails, after k that did not. */
static void update_failures(void)
{
	static const struct {
		const char *name;
		unsigned command;
		uint64_t val;
		bool keep_val;
	} bad[] = {
		{ "a frame that is none", 0, 0xfffffffffffff000 | P, false },
		{ "beyond memory", 0, 0xffffffff000 | P, false },
		{ "a cache type", 0, PSE | P | 0x18, true },
		{ "command 3", 3, 0, true },
		{ "command 4", 4, 0, true },
		{ "command 7", 7, 0, true },
		{ "M2P", MMU_MACHPHYS_UPDATE, 0x12345, false },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (unsigned k = 0; k < 3; k++) {
			struct mmu_update *u = updates(3);

			u[k].ptr |= bad[i].command;
			u[k].val = bad[i].keep_val ? u[k].val | bad[i].val : bad[i].val;
			if (bad[i].command == MMU_MACHPHYS_UPDATE)
				u[k].ptr = 0xffffffffff000 | MMU_MACHPHYS_UPDATE;
			tr_call(__HYPERVISOR_mmu_update, (unsigned long)u, 3, DONE, DOMID_SELF, 0,
			        "mmu_update, %s, entry %u", bad[i].name, k);
		}
	for (unsigned k = 0; k < 3; k++) {
		struct mmu_update *u = updates(3);

		u[k].ptr = 0xffffffffff008;
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)u, 3, DONE, DOMID_SELF, 0,
		        "mmu_update, no table, entry %u", k);
		u = updates(3);
		u[k].ptr = entry_maddr(target[k], 2);
		u[k].val = PTE(mfn_of(tr_page[PAGE_A]));
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)u, 3, DONE, DOMID_SELF, 0,
		        "mmu_update, an L2 entry that names a writable page, entry %u", k);
		u = updates(3);
		u[k].val = PTE(mfn_of((void *)start_info->pt_base));
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)u, 3, DONE, DOMID_SELF, 0,
		        "mmu_update, a writable table, entry %u", k);
		u = updates(3);
		u[k].val = PTE_RO(mfn_of(target[0]));
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)u, 3, DONE, DOM_FRESH, 0,
		        "mmu_update, own frames as those of fresh, entry %u", k);
	}
}

static void update_addresses(void)
{
	static const unsigned long bad[] = {
		0, 0x1000, 0x800000000000, 0xffff800000000000, 0xffff830000000000, 0xfffffffffffffff8
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)updates(3);
		tr_call(__HYPERVISOR_mmu_update, bad[i], 2, DONE, DOMID_SELF, 0, "mmu_update, list at %lx",
		        bad[i]);
		(void)updates(3);
		tr_call(__HYPERVISOR_mmu_update, bad[i], 0, DONE, DOMID_SELF, 0,
		        "mmu_update, empty list at %lx", bad[i]);
		(void)updates(3);
		tr_call(__HYPERVISOR_mmu_update, bad[i], 2, DONE, DOM_ABSENT, 0,
		        "mmu_update, list at %lx, frames of nobody", bad[i]);
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 3, bad[i], DOMID_SELF, 0,
		        "mmu_update, done at %lx", bad[i]);
	}
	for (unsigned n = 1; n < 4; n++)
		tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(n), 4, DONE, DOMID_SELF, 0,
		        "mmu_update, %u of 4 are mapped", n);
	tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 3, end_of(PAGE_C, 2), DOMID_SELF, 0,
	        "mmu_update, half of done is mapped");
	(void)updates(3);
	tr_read_only(PAGE_C, true);
	tr_call(__HYPERVISOR_mmu_update, end_of(PAGE_B, 48), 3, DONE, DOMID_SELF, 0,
	        "mmu_update, done is read-only");
	tr_read_only(PAGE_C, false);
	/* As a continuation would call: what was done is added. */
	(void)updates(3);
	*(unsigned *)DONE = 40;
	tr_call(__HYPERVISOR_mmu_update, end_of(PAGE_B, 48), 0x80000003, DONE, DOMID_SELF, 0,
	        "mmu_update, continued");
	(void)updates(3);
	*(unsigned *)DONE = 40;
	tr_call(__HYPERVISOR_mmu_update, end_of(PAGE_B, 48), 0x80000003, DONE, DOM_ABSENT, 0,
	        "mmu_update, continued, frames of nobody");
	tr_call(__HYPERVISOR_mmu_update, (unsigned long)updates(3), 0x80000003, end_of(PAGE_C, 2), DOMID_SELF,
	        0, "mmu_update, continued, half of done is mapped");
}

/* ---- foreign mappings: DOMID_XEN's, DOMID_IO's, a zombie's ---- */

static unsigned long m2p_frame(void)
{
	xen_pfn_t frame = 0;
	struct xen_machphys_mfn_list l = { .max_extents = 1 };

	set_xen_guest_handle(l.extent_start, &frame);
	EXPECT_EQ(HC(memory_op, XENMEM_machphys_mfn_list, &l), 0);
	EXPECT_EQ(l.nr_extents, 1);
	return frame;
}

static void foreign_mappings(void)
{
	unsigned long frames[] = { m2p_frame(),       m2p_frame() + 1, tr_zombie_mfn,
		                   mfn_of(target[5]), 0xfee00,         0xa0 };
	static const char *const what[] = { "the M2P",    "its second frame", "the zombie's",
		                            "an own one", "the APIC",         "the screen" };

	for (unsigned f = 0; f < 6; f++)
		for (unsigned i = 0; i < TR_DOMIDS; i++)
			for (unsigned w = 0; w < 2; w++) {
				struct mmu_update *u;

				EXPECT_EQ(map_writable(target[0]), 0);
				u = updates(1);
				u->val = (w ? PTE(frames[f]) : PTE_RO(frames[f])) & ~(A | D);
				tr_call(__HYPERVISOR_mmu_update, (unsigned long)u, 1, DONE,
				        tr_domids[i].domid, 0, "mmu_update, %s, %s, as of %s", what[f],
				        w ? "writable" : "read-only", tr_domids[i].name);
				EXPECT_EQ(map_writable(target[0]), 0);
				tr_call(__HYPERVISOR_update_va_mapping_otherdomain, (unsigned long)target[0],
				        u->val, UVMF_INVLPG, tr_domids[i].domid, 0,
				        "update_va_mapping_otherdomain, %s, %s, as of %s", what[f],
				        w ? "writable" : "read-only", tr_domids[i].name);
			}
	/* What is read there is the M2P: the frame of a page of ours has our number. */
	EXPECT_EQ(HC(update_va_mapping_otherdomain, target[1],
	             PTE_RO(m2p_frame() + mfn_of(target[2]) / 512) & ~(A | D), UVMF_INVLPG, DOMID_XEN),
	          0);
	EXPECT_EQ(((const uint64_t *)target[1])[mfn_of(target[2]) % 512],
	          ((unsigned long)target[2] - VIRT_BASE) / PAGE);
	EXPECT_EQ(map_writable(target[0]), 0);
	EXPECT_EQ(map_writable(target[1]), 0);
}

/* ---- mmuext_op ---- */

static struct mmuext_op *ext_ops(unsigned n, unsigned cmd)
{
	struct mmuext_op *op = (struct mmuext_op *)end_of(PAGE_B, n * sizeof(*op));

	tr_clear();
	memset(op, 0, n * sizeof(*op));
	for (unsigned i = 0; i < n; i++)
		op[i].cmd = cmd;
	return op;
}

static void ext_domains(void)
{
	for (unsigned i = 0; i < TR_DOMIDS; i++) {
		const struct tr_domid *t = &tr_domids[i];

		for (unsigned cmd = 0; cmd < 24; cmd++) {
			struct mmuext_op *op = ext_ops(2, MMUEXT_TLB_FLUSH_LOCAL);

			if (t->domid == DOMID_SELF && cmd == MMUEXT_NEW_USER_BASEPTR)
				continue;
			/* first one that succeeds where own calls do, then the one in question */
			op[1].cmd = cmd;
			op[1].arg1.mfn = 0xfffffffff;
			op[1].arg2.src_mfn = 0xfffffffff;
			if (cmd == MMUEXT_SET_LDT)
				op[1].arg2.nr_ents = 8193;
			tr_mask(&op[1].arg1, 16);
			if (t->domid == DOMID_SELF)
				tr_call(__HYPERVISOR_mmuext_op, (unsigned long)op, 2, DONE, t->domid, 0,
				        "mmuext_op %u, %s", cmd, t->name);
			tr_call(__HYPERVISOR_mmuext_op, (unsigned long)(op + 1), 1, DONE, t->domid, 0,
			        "mmuext_op %u alone, %s", cmd, t->name);
		}
		(void)ext_ops(2, MMUEXT_TLB_FLUSH_LOCAL);
		tr_call(__HYPERVISOR_mmuext_op, end_of(PAGE_B, 48), 0, DONE, t->domid, 0,
		        "mmuext_op, none, %s", t->name);
		for (unsigned cmd = MMUEXT_PIN_L1_TABLE; cmd <= MMUEXT_COPY_PAGE; cmd++) {
			struct mmuext_op *op = ext_ops(1, cmd);

			if (cmd > MMUEXT_UNPIN_TABLE && cmd < MMUEXT_CLEAR_PAGE)
				continue;
			op->arg1.mfn = m2p_frame();
			op->arg2.src_mfn = m2p_frame();
			tr_call(__HYPERVISOR_mmuext_op, (unsigned long)op, 1, DONE, t->domid, 0,
			        "mmuext_op %u of the M2P, %s", cmd, t->name);
		}
	}
}

static void ext_addresses(void)
{
	static const unsigned long bad[] = {
		0, 0x1000, 0x800000000000, 0xffff800000000000, 0xffff830000000000, 0xfffffffffffffff8
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mmuext_op *op;

		tr_clear();
		tr_call(__HYPERVISOR_mmuext_op, bad[i], 2, DONE, DOMID_SELF, 0, "mmuext_op, list at %lx",
		        bad[i]);
		tr_call(__HYPERVISOR_mmuext_op, bad[i], 0, DONE, DOMID_SELF, 0,
		        "mmuext_op, empty list at %lx", bad[i]);
		tr_call(__HYPERVISOR_mmuext_op, bad[i], 2, DONE, DOM_ABSENT, 0,
		        "mmuext_op, list at %lx, nobody", bad[i]);
		op = ext_ops(2, MMUEXT_TLB_FLUSH_LOCAL);
		tr_call(__HYPERVISOR_mmuext_op, (unsigned long)op, 2, bad[i], DOMID_SELF, 0,
		        "mmuext_op, done at %lx", bad[i]);
		op = ext_ops(2, MMUEXT_TLB_FLUSH_MULTI);
		op[1].arg2.src_mfn = bad[i]; /* the bitmap's address */
		op[0].cmd = MMUEXT_TLB_FLUSH_LOCAL;
		tr_call(__HYPERVISOR_mmuext_op, (unsigned long)op, 2, DONE, DOMID_SELF, 0,
		        "mmuext_op, vcpus at %lx", bad[i]);
		op = ext_ops(2, MMUEXT_INVLPG_ALL);
		op[0].arg1.linear_addr = bad[i];
		tr_call(__HYPERVISOR_mmuext_op, (unsigned long)op, 2, DONE, DOMID_SELF, 0,
		        "mmuext_op, invlpg of %lx", bad[i]);
	}
	for (unsigned n = 1; n < 4; n++) {
		(void)ext_ops(n, MMUEXT_TLB_FLUSH_LOCAL);
		tr_call(__HYPERVISOR_mmuext_op, end_of(PAGE_B, n * 24), 4, DONE, DOMID_SELF, 0,
		        "mmuext_op, %u of 4 are mapped", n);
	}
	(void)ext_ops(3, MMUEXT_TLB_FLUSH_LOCAL);
	*(unsigned *)DONE = 40;
	tr_call(__HYPERVISOR_mmuext_op, end_of(PAGE_B, 72), 0x80000003, DONE, DOMID_SELF, 0,
	        "mmuext_op, continued");
	(void)ext_ops(3, MMUEXT_TLB_FLUSH_LOCAL);
	tr_call(__HYPERVISOR_mmuext_op, end_of(PAGE_B, 72), 0x80000003, end_of(PAGE_C, 2), DOMID_SELF, 0,
	        "mmuext_op, continued, half of done is mapped");
}

/* ---- update_va_mapping ---- */

static void va_mappings(void)
{
	static const unsigned long at[] = { 0, 0x123000, 0x800000000000, 0xffff800000000000,
		                            0xffff830000000000 };

	for (unsigned flags = 0; flags < 4; flags++) {
		tr_clear();
		tr_call(__HYPERVISOR_update_va_mapping, (unsigned long)target[0], PTE(mfn_of(target[0])),
		        flags, 0, 0, "update_va_mapping, flags %u", flags);
		tr_call(__HYPERVISOR_update_va_mapping, (unsigned long)target[0], PTE(mfn_of(target[0])),
		        flags | 0x1000, 0, 0, "update_va_mapping, flags %u, vcpus not mapped", flags);
		tr_call(__HYPERVISOR_update_va_mapping, (unsigned long)target[0],
		        PTE(mfn_of((void *)start_info->pt_base)), flags, 0, 0,
		        "update_va_mapping, a writable table, flags %u", flags);
	}
	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		tr_call(__HYPERVISOR_update_va_mapping, at[i], PTE(mfn_of(target[0])), UVMF_INVLPG, 0, 0,
		        "update_va_mapping at %lx", at[i]);
		tr_call(__HYPERVISOR_update_va_mapping_otherdomain, at[i], PTE(mfn_of(target[0])),
		        UVMF_INVLPG, DOM_ABSENT, 0, "update_va_mapping_otherdomain at %lx, nobody", at[i]);
	}
}

/* ---- multicall ---- */

static struct multicall_entry *entries(unsigned n)
{
	struct multicall_entry *e = (struct multicall_entry *)end_of(PAGE_B, n * sizeof(*e));

	tr_clear();
	for (unsigned i = 0; i < n; i++)
		e[i].op = __HYPERVISOR_xen_version;
	for (unsigned i = 0; i < n; i++) {
		e[i].args[0] = XENVER_pagesize;
		e[i].args[1] = 0;
	}
	return e;
}

static void multicalls(void)
{
	static const unsigned long bad[] = {
		0, 0x1000, 0x800000000000, 0xffff800000000000, 0xffff830000000000, 0xfffffffffffffff8
	};
	struct multicall_entry *e;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tr_clear();
		tr_call(__HYPERVISOR_multicall, bad[i], 2, 0, 0, 0, "multicall at %lx", bad[i]);
		tr_call(__HYPERVISOR_multicall, bad[i], 0, 0, 0, 0, "multicall, none at %lx", bad[i]);
	}
	for (unsigned n = 0; n < 4; n++) {
		e = entries(n);
		tr_call(__HYPERVISOR_multicall, (unsigned long)e, 4, 0, 0, 0, "multicall, %u of 4 are mapped",
		        n);
	}
	/* every call that there is, with arguments that it refuses or that do no harm */
	for (unsigned op = 0; op < 72; op++) {
		if (op == __HYPERVISOR_iret || op == __HYPERVISOR_sched_op ||
		    op == __HYPERVISOR_sched_op_compat || op == __HYPERVISOR_stack_switch ||
		    op == __HYPERVISOR_fpu_taskswitch || op == __HYPERVISOR_set_trap_table ||
		    op == __HYPERVISOR_set_timer_op || op == __HYPERVISOR_set_callbacks)
			continue;
		e = entries(3);
		e[1].op = op;
		e[1].args[0] = op == __HYPERVISOR_kexec_op ? 77 : 0x100000000000000;
		for (unsigned k = 1; k < 6; k++)
			e[1].args[k] = 0x1000;
		tr_call(__HYPERVISOR_multicall, (unsigned long)e, 3, 0, 0, 0, "multicall of %u", op);
	}
	e = entries(3);
	e[1].op = __HYPERVISOR_multicall;
	e[1].args[0] = (unsigned long)&e[2];
	e[1].args[1] = 1;
	tr_call(__HYPERVISOR_multicall, (unsigned long)e, 3, 0, 0, 0, "multicall of multicall");
	e = entries(3);
	e[0].op = 1ul << 32 | __HYPERVISOR_xen_version;
	e[1].op = ~0ul;
	e[2].op = 1ul << 63 | __HYPERVISOR_xen_version;
	tr_call(__HYPERVISOR_multicall, (unsigned long)e, 3, 0, 0, 0, "multicall, numbers beyond 32 bits");
	e = entries(2);
	tr_call(__HYPERVISOR_multicall, (unsigned long)e, 2 | 1ul << 32, 0, 0, 0,
	        "multicall, a count beyond 32 bits");
	e = entries(3);
	tr_read_only(PAGE_B, true);
	tr_call(__HYPERVISOR_multicall, (unsigned long)e, 3, 0, 0, 0, "multicall, read-only");
	tr_read_only(PAGE_B, false);
	/* an entry that takes away the list's own page, so that its result cannot be told */
	e = entries(3);
	e[1].op = __HYPERVISOR_update_va_mapping;
	e[1].args[0] = (unsigned long)tr_page[PAGE_B];
	e[1].args[1] = PTE_RO(mfn_of(tr_page[PAGE_B]));
	e[1].args[2] = UVMF_INVLPG;
	tr_mask(&e[1].args[1], 8);
	tr_call(__HYPERVISOR_multicall, (unsigned long)e, 3, 0, 0, 0,
	        "multicall, the list becomes read-only");
	tr_read_only(PAGE_B, false);
}

void run(void)
{
	for (unsigned i = 0; i < 8; i++)
		target[i] = page_alloc();
	tr_begin();
	update_domains();
	update_failures();
	update_addresses();
	foreign_mappings();
	ext_domains();
	ext_addresses();
	va_mappings();
	multicalls();
	tr_end();
}
