/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mm/dirtylog.h"
#include "hw/tlb.h"
#include "mm/audit.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include "mm/shadow.h"
#include "hypercall/hypercall.h"
#include "hw/spec.h"
#include "fake/dom.h"
#include "mm_drive.h"
#include <xen/memory.h>
#include <xen/grant_table.h>

#define RAM_FRAMES 1024
#define FRAMES_MAX 40 /* of a domain, as the driver knows them */
#define EXTRAS     8
#define GRANTS     6

struct mm_drive_stats mm_drive_stats;

static const uint8_t *input, *input_end;
static const char *failure;
static unsigned violations;
static uint64_t frames[FAKE_DOMAINS][FRAMES_MAX];
static unsigned frame_count[FAKE_DOMAINS];

/* References that the driver holds as a layer above would: typed ones, and grants that are mapped. */
static struct extra {
	mfn_t mfn;
	unsigned domain;
} extras[EXTRAS];
static struct grant {
	bool mapped, by_pte;
	unsigned from, to, flags;
	mfn_t frame, l4;
	uint64_t host_addr;
} grants[GRANTS];

/* ---- input ---- */

static unsigned byte(void)
{
	return input < input_end ? *input++ : 0;
}

static unsigned below(unsigned n)
{
	return (byte() | byte() << 8) % n;
}

static uint64_t pick(unsigned domain)
{
	return frame_count[domain] ? frames[domain][below(frame_count[domain])] : 0;
}

/* One of the few addresses that the sequences play with: all levels have neighbours, and are L4s for linear entries. */
static uint64_t va_of(unsigned b)
{
	static const uint64_t upper[] = { 0, 1, 272, 256, 260, 271, 0, 1 };
	uint64_t l4 = b & 1 ? 272 : b >> 9 & 1;
	uint64_t l3 = b & 0x40 ? upper[b >> 1 & 7] : b >> 1 & 1,
	         l2 = b & 0x80 ? upper[b >> 3 & 7] : b >> 2 & 1;

	return (b & 1 ? 0xffff000000000000 : 0) | l4 << 39 | l3 << 30 | l2 << 21 |
	       (b & 0x100 ? upper[b >> 3 & 7] : b >> 3 & 3) << 12;
}

static uint64_t pick_va(void)
{
	unsigned b = byte();

	return va_of(b & 0x20 ? b | byte() << 8 : b & 0x1f);
}

static unsigned pick_index(enum ptype level)
{
	static const uint16_t upper[] = { 0, 1, 272, 256, 260, 271, 511 };

	return level == PTYPE_L1 ? byte() % 4 : upper[byte() % ARRAY_SIZE(upper)];
}

static uint64_t pick_entry(unsigned domain)
{
	static const uint64_t odd[] = { PTE_RW,    PTE_PCD,    PTE_PSE,   PTE_G,     PTE_NX,
		                        PTE_GRANT, 1ull << 51, 1ull << 9, 1ull << 58 };
	unsigned kind = byte();
	uint64_t e = pick(kind & 0x10 ? kind % FAKE_DOMAINS : domain) << PAGE_SHIFT | PTE_P | PTE_A;

	if (kind & 1)
		e |= PTE_RW;
	if (kind & 2)
		e |= PTE_US;
	if (kind & 4)
		e |= PTE_D;
	if ((kind & 0xe0) == 0xe0)
		e |= odd[byte() % ARRAY_SIZE(odd)];
	else if ((kind & 0xe0) == 0xc0)
		e = kind & 8 ? 0 : e & ~PTE_P;
	return e;
}

static void fail(const char *what)
{
	if (!violations++)
		failure = what;
}

/* ---- helpers ---- */

static struct domain_mm *mm_of(unsigned domain)
{
	return &fake_domains[domain].mm;
}

static void forget_frame(unsigned domain, uint64_t mfn)
{
	for (unsigned i = 0; i < frame_count[domain]; i++)
		if (frames[domain][i] == mfn) {
			frames[domain][i] = frames[domain][--frame_count[domain]];
			return;
		}
}

static void learn_frame(unsigned domain, uint64_t mfn)
{
	m2p_set(MFN(mfn), mfn % RAM_FRAMES);
	if (frame_count[domain] < FRAMES_MAX)
		frames[domain][frame_count[domain]++] = mfn;
}

/* A guest stores a word into its page, as it could through a writable mapping. */
static void guest_store(unsigned domain, uint64_t mfn, unsigned index, uint64_t value)
{
	if (frame_get_type(MFN(mfn), mm_of(domain), PTYPE_WRITABLE))
		return;
	((uint64_t *)mfn_map_own(MFN(mfn)))[index] = value;
	frame_put_type(MFN(mfn));
}

/* Non-present entries in most of a page: with them a table takes a whole slice. */
static void guest_fill(unsigned domain, uint64_t mfn)
{
	for (unsigned i = 8; i < 256; i++)
		guest_store(domain, mfn, i, 0x200);
	for (unsigned i = 280; i < 512; i++)
		guest_store(domain, mfn, i, 0x200);
}

/* Calls fn until it is not preempted any more, sometimes not: a guest may walk away in between. */
#define UNTIL_DONE(rc, call)                                              \
	do {                                                              \
		unsigned tries = byte() % 32 ? 64 : 1;                    \
		do {                                                      \
			(rc) = (call);                                    \
			mm_drive_stats.preempted += (rc) == -ERESTART_HV; \
			fake_exits();                                     \
		} while ((rc) == -ERESTART_HV && --tries);                \
		mm_drive_stats.refused += (rc) && (rc) != -ERESTART_HV;   \
	} while (0)

/* ---- operations; each on domain d and CPU cpu, which runs it ---- */

static void op_alloc(unsigned d)
{
	unsigned order = byte() % 3;
	mfn_t mfn;

	if (frame_count[d] + (1u << order) > FRAMES_MAX || domain_frame_alloc(mm_of(d), order, 0, &mfn))
		return;
	for (unsigned i = 0; i < 1u << order; i++) {
		const uint64_t *page = mfn_map_own(mfn_add(mfn, i));

		for (unsigned w = 0; w < 512; w++)
			if (page[w]) {
				fail("a frame was handed out with old contents");
				return;
			}
		learn_frame(d, mfn.m + i);
	}
}

static void op_release(unsigned d)
{
	uint64_t mfn = pick(d);
	int rc;

	if (byte() & 1) {
		rc = pt_unpin(mm_of(d), MFN(mfn));
		mm_drive_stats.refused += !!rc;
	}
	if (!domain_frame_release(mm_of(d), MFN(mfn)))
		forget_frame(d, mfn);
}

/* A whole tree as a guest kernel makes one, mostly right, then pinned. */
static uint64_t pick_unused(unsigned d, const uint64_t *taken, unsigned count)
{
	uint64_t mfn = 0;

	for (unsigned i = 0, at = below(FRAMES_MAX); i < frame_count[d]; i++) {
		bool used;

		mfn = frames[d][(at + i) % frame_count[d]];
		used = frame_at(mfn)->type & (TYPE_COUNT | TYPE_BUILDING | TYPE_RELEASING);
		for (unsigned j = 0; j < count; j++)
			used |= taken[j] == mfn;
		if (!used)
			break;
	}
	return mfn;
}

static enum ptype table_level(uint64_t mfn)
{
	uint64_t x = frame_at(mfn)->type;

	return (x & TYPE_VALID) && type_is_table(type_of(x)) ? type_of(x) : PTYPE_NONE;
}

/* A table of d of this level (PTYPE_NONE: any) if there is one: most writes should hit. */
static uint64_t pick_table(unsigned d, enum ptype level)
{
	unsigned at = below(FRAMES_MAX);

	for (unsigned i = 0; i < frame_count[d]; i++) {
		uint64_t mfn = frames[d][(at + i) % frame_count[d]];
		enum ptype is = table_level(mfn);

		if (is != PTYPE_NONE && (level == PTYPE_NONE || level == is))
			return mfn;
	}
	return pick(d);
}

/* An entry of a table of that level that names the table or another one of its level. */
static uint64_t linear_entry(unsigned d, uint64_t table, enum ptype level)
{
	uint64_t e = (byte() % 4 ? table : pick_table(d, level)) << PAGE_SHIFT | PTE_P | PTE_US;

	return byte() % 8 ? e : e | PTE_RW;
}

static void op_build(unsigned d)
{
	uint64_t t[4], e;
	int rc;

	for (unsigned i = 0; i < 4; i++)
		t[i] = byte() % 16 ? pick_unused(d, t, i) : pick(d);
	if (frame_count[d] < 4)
		return;
	for (unsigned i = 0; i < 4; i++) {
		e = pick_entry(d);
		guest_store(d, t[0], byte() % 4,
		            byte() % 2 ? e & ~(PTE_P | PTE_RW)
		                       : pick_unused(d, t, 4) << PAGE_SHIFT | PTE_P | PTE_US |
		                                 (byte() & 1 ? PTE_RW : 0));
	}
	for (unsigned i = 0; i < 4; i++)
		if (byte() & 1)
			guest_fill(d, t[i]);
	for (unsigned i = 1; i < 4; i++) {
		e = t[i - 1] << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US | PTE_A;
		guest_store(d, t[i], i == 3 && (byte() & 1) ? 272 : byte() % 2, e);
		if (byte() % 8 == 0)
			guest_store(d, t[i], pick_index(PTYPE_L1 + i), pick_entry(d));
	}
	for (unsigned i = 1; i < 4; i++)
		if (byte() % 8 == 0)
			guest_store(d, t[i], byte() % 2, linear_entry(d, t[i], PTYPE_L1 + i));
	UNTIL_DONE(rc, pt_pin(mm_of(d), MFN(t[3]), PTYPE_L4));
	mm_drive_stats.built += !rc;
}

static void op_pin(unsigned d)
{
	uint64_t mfn = pick(d);
	enum ptype level = PTYPE_L1 + byte() % 4;
	int rc;

	UNTIL_DONE(rc, pt_pin(mm_of(d), MFN(mfn), level));
}

static void op_unpin(unsigned d)
{
	int rc = pt_unpin(mm_of(d), MFN(pick(d)));

	mm_drive_stats.refused += !!rc;
}

static void op_entry_write(unsigned d)
{
	uint64_t mfn = byte() % 8 ? pick_table(d, byte() % 3 ? PTYPE_L1 : PTYPE_NONE) : pick(d), old = 0, e;
	enum ptype level = mfn ? table_level(mfn) : PTYPE_NONE;
	unsigned index = pick_index(level), owner = byte() % 8 ? d : below(FAKE_DOMAINS);
	struct domain_mm *pg_owner = byte() % 32 ? mm_of(owner) : NULL;
	enum pt_write how = byte() % 3;
	int rc;

	if (!mfn)
		return;
	e = pick_entry(owner);
	if (level > PTYPE_L1 && byte() % 2) {
		/* A link to a table of the level below, if there is one. */
		uint64_t child = pick_table(d, level - 1);

		if (table_level(child) == level - 1)
			e = child << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US;
		if (byte() % 4 == 0)
			e = linear_entry(d, mfn, level);
	}
	old = ((uint64_t *)mfn_map_own(MFN(mfn)))[index];
	UNTIL_DONE(rc,
	           pt_entry_write(mm_of(d), pg_owner, MADDR(mfn << PAGE_SHIFT | index * 8), e, how, &old));
	if (!rc && level == PTYPE_L1)
		mm_drive_stats.entries++;
	if (!rc && level > PTYPE_L1)
		mm_drive_stats.links++;
	if (!rc && level > PTYPE_L1 && (e & PTE_P))
		mm_drive_stats.linear += table_level(PTE_MFN(e).m) == level;
}

static void op_va_write(unsigned d, unsigned cpu)
{
	uint64_t val = pick_entry(d);

	mm_drive_stats.entries += !pt_va_write(mm_of(d), mm_of(d), fake_loaded(cpu), GVA(pick_va()), val);
}

static void op_load(unsigned d, unsigned cpu)
{
	struct vcpu *v = current_vcpu();
	mfn_t old = v->l4_kernel;
	uint64_t mfn = pick_table(d, PTYPE_L4);
	int rc;

	UNTIL_DONE(rc, pt_get(mm_of(d), MFN(mfn), PTYPE_L4, true));
	if (rc)
		return;
	v->l4_kernel = MFN(mfn);
	fake_load(cpu, mm_of(d), v->l4_kernel);
	rc = pt_put(mm_of(d), old, true);
}

static void op_unload(unsigned d, unsigned cpu)
{
	struct vcpu *v = current_vcpu();
	int rc;

	fake_load(cpu, mm_of(d), INVALID_MFN);
	rc = pt_put(mm_of(d), v->l4_kernel, byte() & 1);
	mm_drive_stats.refused += !!rc;
	v->l4_kernel = INVALID_MFN;
	rc = pt_put(mm_of(d), v->l4_user, byte() & 1);
	v->l4_user = INVALID_MFN;
}

static void op_extra(unsigned d)
{
	struct extra *x = &extras[byte() % EXTRAS];
	uint64_t mfn = pick(d);

	if (!mfn_eq(x->mfn, INVALID_MFN)) {
		frame_put_type(x->mfn);
		x->mfn = INVALID_MFN;
	} else if (mfn && !frame_get_type(MFN(mfn), mm_of(d), byte() & 1 ? PTYPE_WRITABLE : PTYPE_SEGDESC)) {
		*x = (struct extra){ MFN(mfn), d };
	}
}

static void grant_unmap(struct grant *g)
{
	if (pt_grant_unmap(mm_of(g->to), g->l4, g->host_addr, g->frame, g->flags, 0) != GNTST_okay)
		return;
	tlb_flush(&mm_of(g->to)->dirty_cpus);
	if (g->flags & GNTMAP_readonly)
		frame_put(g->frame);
	else
		frame_put_type(g->frame);
	g->mapped = false;
}

static void op_grant(unsigned d, unsigned cpu)
{
	struct grant *g = &grants[byte() % GRANTS];
	uint64_t table;

	if (g->mapped) {
		grant_unmap(g);
		return;
	}
	g->to = d;
	g->from = (d + 1 + byte() % 2) % FAKE_DOMAINS;
	g->frame = MFN(pick(g->from));
	g->flags = byte() & 1 ? GNTMAP_readonly : 0;
	g->l4 = fake_loaded(cpu);
	g->host_addr = pick_va();
	if (byte() & 1) {
		table = pick_table(d, PTYPE_L1);
		g->flags |= GNTMAP_contains_pte;
		g->host_addr = table << PAGE_SHIFT | (byte() % 4) * 8;
	}
	if ((g->flags & GNTMAP_readonly) ? !frame_get(g->frame, mm_of(g->from))
	                                 : frame_get_type(g->frame, mm_of(g->from), PTYPE_WRITABLE))
		return;
	if (pt_grant_map(mm_of(d), g->l4, g->host_addr, g->frame, g->flags) == GNTST_okay) {
		g->mapped = true;
		mm_drive_stats.grants++;
	} else if (g->flags & GNTMAP_readonly) {
		frame_put(g->frame);
	} else {
		frame_put_type(g->frame);
	}
}

static void op_transfer(unsigned d)
{
	unsigned to = (d + 1) % FAKE_DOMAINS;
	uint64_t mfn = pick(d);

	if (!mfn || domain_frame_steal(mm_of(d), MFN(mfn)))
		return;
	if (domain_frame_reserve(mm_of(to))) {
		domain_frame_return(mm_of(d), MFN(mfn));
		return;
	}
	forget_frame(d, mfn);
	domain_frame_return(mm_of(to), MFN(mfn));
	domain_frame_forget(mm_of(d));
	learn_frame(to, mfn);
}

static void op_segdesc_window(unsigned d)
{
	uint64_t mfn = pick(d);
	unsigned page = byte() % PERDOMAIN_VCPU_PAGES;
	mfn_t old = perdomain_lookup(mm_of(d), 0, page);

	if (!mfn || frame_get_type(MFN(mfn), mm_of(d), PTYPE_SEGDESC))
		return;
	if (perdomain_map(mm_of(d), 0, page, MFN(mfn), true)) {
		frame_put_type(MFN(mfn));
		return;
	}
	if (!mfn_eq(old, INVALID_MFN))
		frame_put_type(old);
}

/* ---- shadows, and the dirty log ---- */

/* What cannot be done while a vcpu of d runs: all are taken off their CPUs for it. */
static void while_paused(unsigned d, void (*fn)(struct domain_mm *d))
{
	mfn_t l4[FAKE_CPUS];

	for (unsigned cpu = d; cpu < FAKE_CPUS; cpu += FAKE_DOMAINS) {
		l4[cpu] = fake_loaded(cpu);
		fake_load(cpu, mm_of(d), INVALID_MFN);
	}
	fn(mm_of(d));
	for (unsigned cpu = d; cpu < FAKE_CPUS; cpu += FAKE_DOMAINS)
		fake_load(cpu, mm_of(d), l4[cpu]);
}

static void shadows_on(struct domain_mm *d)
{
	dirty_log_start(d);
	shadow_start(d);
}

static void shadows_off(struct domain_mm *d)
{
	shadow_stop(d);
	dirty_log_stop(d);
}

static void log_clear(struct domain_mm *d)
{
	shadow_protect(d);
	for (uint64_t pfn = 0; pfn < RAM_FRAMES; pfn += 64)
		(void)dirty_log_word(d, pfn, true);
	mm_drive_stats.cleared++;
}

static void op_shadow(unsigned d)
{
	struct domain_mm *mm = mm_of(d);
	unsigned tries = 64;
	int rc;

	if (mm->logged && byte() % 4) {
		while_paused(d, log_clear);
		return;
	}
	if (mm->logged) {
		while_paused(d, shadows_off);
		while (byte() % 2 && shadow_set_pool(mm, 0) == -ERESTART_HV && --tries)
			;
		return;
	}
	do {
		rc = dirty_log_make(mm, RAM_FRAMES);
		if (!rc)
			rc = shadow_set_pool(mm, 64);
	} while (rc == -ERESTART_HV && --tries);
	if (rc)
		return;
	while_paused(d, log_clear);
	while_paused(d, shadows_on);
	mm_drive_stats.shadowed++;
}

/* ---- hypercalls ---- */

/* A list of up to 4 extents of order 0 or 1: more memory, or less. */
static void op_reservation(unsigned d)
{
	struct xen_memory_reservation r = { .nr_extents = byte() % 5,
		                            .extent_order = byte() & 1,
		                            .domid = DOMID_SELF };
	struct hc_args a = { { byte() & 1 ? XENMEM_populate_physmap : XENMEM_decrease_reservation, 0x200 } };
	bool more = a.arg[0] == XENMEM_populate_physmap;
	xen_pfn_t list[4], before[4];
	unsigned tries = 64;
	int64_t rc;

	if (more && frame_count[d] + 8 > FRAMES_MAX)
		return;
	for (unsigned i = 0; i < 4; i++)
		list[i] = before[i] = pick(d);
	memcpy(fake_guest + 0x400, list, sizeof(list));
	r.extent_start.p = (void *)0x400;
	memcpy(fake_guest + 0x200, &r, sizeof(r));
	do {
		rc = hc_memory_op(&a);
		mm_drive_stats.preempted += rc == -ERESTART_HV;
	} while (rc == -ERESTART_HV && --tries);
	memcpy(list, fake_guest + 0x400, sizeof(list));
	for (unsigned i = 0; more && rc > 0 && i < (unsigned)rc; i++)
		for (unsigned j = 0; j < 1u << r.extent_order; j++)
			learn_frame(d, list[i] + j);
	/* Some frames of an extent may be gone although the extent failed: those that are no longer ours. */
	for (unsigned i = 0; !more && i < r.nr_extents; i++)
		for (unsigned j = 0; j < 2; j++)
			if (frame_owner(MFN(before[i] + j)) != mm_of(d) ||
			    !(frame_at(before[i] + j)->count & COUNT_ALLOCATED))
				forget_frame(d, before[i] + j);
}

static void op_hypercall(unsigned d, unsigned cpu)
{
	struct hc_args a = { { 0x100, 0, 0x80, DOMID_SELF } };
	unsigned n = byte() % 6, which = byte() % 4, tries = 64;
	int64_t rc;

	for (unsigned i = 0; i < n; i++) {
		struct mmu_update u = { pick_table(d, byte() & 1) << PAGE_SHIFT | (uint64_t)(byte() % 6) * 8 |
			                        byte() % 5,
			                pick_entry(d) };
		struct mmuext_op op = { .cmd = byte() % 20 };
		xen_pfn_t mfn = pick(d);

		if (which == 0) {
			memcpy(fake_guest + 0x100 + i * sizeof(u), &u, sizeof(u));
		} else if (which == 1) {
			op.arg1.mfn = mfn;
			op.arg2.src_mfn = pick(d);
			memcpy(fake_guest + 0x100 + i * sizeof(op), &op, sizeof(op));
		} else {
			memcpy(fake_guest + 0x400 + i * 8, &mfn, 8);
		}
	}
	if (byte() % 8 == 0)
		a.arg[3] = byte() % 4;
	a.arg[1] = n;
	do {
		if (which == 0) {
			rc = hc_mmu_update(&a);
		} else if (which == 1) {
			rc = hc_mmuext_op(&a);
		} else if (which == 2) {
			struct hc_args va = { { pick_va(), pick_entry(d), byte() % 8, DOMID_SELF } };

			rc = hc_update_va_mapping(&va);
		} else {
			struct xen_memory_exchange x = { .in = { .nr_extents = n, .domid = DOMID_SELF },
				                         .out = { .nr_extents = n, .domid = DOMID_SELF } };
			struct hc_args m = { { XENMEM_exchange, 0x200 } };

			x.in.extent_start.p = (void *)0x400;
			x.out.extent_start.p = (void *)0x500;
			memcpy(fake_guest + 0x200, &x, sizeof(x));
			rc = hc_memory_op(&m);
			memcpy(&x, fake_guest + 0x200, sizeof(x));
			for (unsigned i = 0; i < x.nr_exchanged; i++) {
				xen_pfn_t in, out;

				memcpy(&in, fake_guest + 0x400 + i * 8, 8);
				memcpy(&out, fake_guest + 0x500 + i * 8, 8);
				forget_frame(d, in);
				learn_frame(d, out);
			}
		}
		fake_exits();
	} while (rc == -ERESTART_HV && which != 3 && --tries);
	mm_drive_stats.preempted += tries < 64;
	(void)cpu;
}

/* ---- the other CPUs, at any time ---- */

static unsigned hook_seed;
static bool in_hook;

static void other_cpus_touch(void)
{
	if (in_hook)
		return;
	in_hook = true;
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		hook_seed = hook_seed * 1103515245 + 12345;
		if (hook_seed >> 16 & 1) {
			unsigned b = hook_seed >> 17;

			mm_drive_stats.touches +=
			        fake_touch(cpu, va_of(b & 0x400 ? b : b & 0x1f), b >> 5 & 1);
		}
	}
	if (fake_tlb_check())
		fail("a stale translation reached what it must not, in the middle of an operation");
	in_hook = false;
}

/* ---- books ---- */

static void audit(void)
{
	struct domain_mm *domains[FAKE_DOMAINS];
	struct audit_root roots[FAKE_CPUS + EXTRAS + GRANTS];
	unsigned n = 0;
	int rc;

	for (unsigned i = 0; i < FAKE_DOMAINS; i++)
		domains[i] = mm_of(i);
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		fake_set_cpu(cpu);
		roots[n++] =
		        (struct audit_root){ NULL, { current_vcpu()->l4_kernel, current_vcpu()->l4_user } };
	}
	for (unsigned i = 0; i < EXTRAS; i++)
		roots[n++] = (struct audit_root){ NULL, { extras[i].mfn, INVALID_MFN } };
	bool exact = true;
	for (unsigned i = 0; i < GRANTS; i++) {
		if (grants[i].mapped && (grants[i].flags & GNTMAP_readonly))
			exact = false; /* a reference of no type: the audit cannot be told */
		else if (grants[i].mapped)
			roots[n++] = (struct audit_root){ NULL, { grants[i].frame, INVALID_MFN } };
	}
	rc = mm_audit(domains, FAKE_DOMAINS, roots, n, exact);
	if (rc)
		fail("the audit found a wrong count");
}

static void start(void)
{
	for (unsigned i = 0; i < FAKE_DOMAINS; i++) {
		fake_domain_create(i, 100);
		frame_count[i] = 0;
		fake_preempt = 0;
		for (unsigned n = 0; n < 16; n++) {
			mfn_t mfn;

			if (!domain_frame_alloc(mm_of(i), 0, 0, &mfn))
				learn_frame(i, mfn.m);
		}
	}
	for (unsigned i = 0; i < EXTRAS; i++)
		extras[i].mfn = INVALID_MFN;
	memset(grants, 0, sizeof(grants));
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		fake_set_cpu(cpu);
		fake_set_vcpu(fake_vcpu(cpu, cpu % FAKE_DOMAINS));
		fake_load(cpu, mm_of(cpu % FAKE_DOMAINS), INVALID_MFN);
	}
}

static void stop(void)
{
	fake_preempt = 3;
	for (unsigned i = 0; i < GRANTS; i++) {
		struct grant *g = &grants[i];

		/* As grant_domain_destroy() does: the references go whether or not the entry is still there. */
		if (g->mapped)
			grant_unmap(g);
		if (g->mapped) {
			tlb_flush(&mm_of(g->to)->dirty_cpus);
			if (g->flags & GNTMAP_readonly)
				frame_put(g->frame);
			else
				frame_put_type(g->frame);
		}
	}
	for (unsigned i = 0; i < EXTRAS; i++)
		if (!mfn_eq(extras[i].mfn, INVALID_MFN))
			frame_put_type(extras[i].mfn);
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		fake_set_cpu(cpu);
		op_unload(cpu % FAKE_DOMAINS, cpu);
	}
	for (unsigned i = 0; i < FAKE_DOMAINS; i++)
		for (unsigned page = 0; page < PERDOMAIN_VCPU_PAGES; page++) {
			mfn_t mfn = perdomain_lookup(mm_of(i), 0, page);

			if (!mfn_eq(mfn, INVALID_MFN) && frame_owner(mfn) == mm_of(i))
				frame_put_type(mfn);
		}
	for (unsigned i = 0; i < FAKE_DOMAINS; i++) {
		unsigned slices = 0;

		while (domain_mm_relinquish(mm_of(i)) == -ERESTART_HV)
			if (++slices > 100000) {
				fail("teardown makes no progress");
				return;
			}
	}
	for (unsigned i = 0; i < FAKE_DOMAINS; i++) {
		if (mm_of(i)->tot_pages || mm_of(i)->shared_count || fake_holds[i]) {
			fail("a frame is still owned after the domain was destroyed");
			return;
		}
		fake_load(i, NULL, INVALID_MFN);
		domain_mm_destroy(mm_of(i));
	}
	fake_load(FAKE_DOMAINS, NULL, INVALID_MFN);
}

static void one_operation(void)
{
	unsigned op = byte() % 24, cpu = byte() % FAKE_CPUS, d = cpu % FAKE_DOMAINS;

	fake_set_cpu(cpu);
	/* clang-format off */
	switch (op) {
	case 0: op_alloc(d); break;
	case 1: op_release(d); break;
	case 2:
	case 3:
	case 4: op_build(d); break;
	case 5: op_pin(d); break;
	case 6: op_unpin(d); break;
	case 7:
	case 8:
	case 9:
	case 10: op_entry_write(d); break;
	case 11: op_va_write(d, cpu); break;
	case 12:
	case 13: op_load(d, cpu); break;
	case 14: op_unload(d, cpu); break;
	case 15: op_extra(d); break;
	case 16: op_grant(d, cpu); break;
	case 17: op_transfer(d); break;
	case 18:
		fake_preempt = byte() % 4;
		for (unsigned n = byte() % 8; n && heap_scrub();) /* a CPU is idle for a moment */
			n--;
		break;
	case 19: op_segdesc_window(d); break;
	case 20: mm_drive_stats.touches += fake_touch(cpu, pick_va(), byte() & 1); break;
	case 21: op_reservation(d); break;
	case 22: op_shadow(d); break;
	default: op_hypercall(d, cpu); break;
	}
	/* clang-format on */
}

void mm_drive_init(void)
{
	fake_init(RAM_FRAMES, 0);
}

unsigned mm_drive(const uint8_t *data, size_t n, const char **why)
{
	uint64_t free_before = heap_free_pages();
	unsigned step = 0, policy;

	input = data;
	input_end = data + n;
	violations = 0;
	failure = NULL;
	policy = byte();
	spec_policy.l1tf_domu = policy % 4 == 1;
	spec_policy.l1tf_dom0 = policy % 8 == 5;
	start();
	hook_seed = byte();
	fake_hook = other_cpus_touch;
	while (input < input_end && !violations) {
		one_operation();
		mm_drive_stats.operations++;
		if (fake_tlb_check())
			fail("a stale translation reached what it must not");
		if (++step % 8 == 0)
			audit();
	}
	if (!violations)
		audit();
	for (unsigned i = 0; i < FAKE_DOMAINS; i++)
		mm_drive_stats.forced += mm_of(i)->shadows_forever;
	if (!violations)
		stop();
	fake_hook = NULL;
	spec_policy.l1tf_domu = spec_policy.l1tf_dom0 = false;
	if (!violations && heap_free_pages() != free_before)
		fail("memory is missing after all domains were destroyed");
	*why = failure;
	return violations;
}
