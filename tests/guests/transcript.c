/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a call leaves in its arguments' memory, printed (transcript.h). */
#include "transcript.h"
#include <stdarg.h>

#define PATTERN     0xa5
#define BYTES_SHOWN 64 /* of a page, then a digest of the rest */

static char arena[2 * PAGES * PAGE] __attribute__((aligned(4096)));
char *const tr_page[PAGES] = { arena, arena + 2 * PAGE, arena + 4 * PAGE };
static unsigned char before[PAGES][PAGE], masked[PAGES][PAGE];
static bool result_masked;
static unsigned calls;
unsigned long tr_zombie_mfn;

const struct tr_domid tr_domids[TR_DOMIDS] = {
	{ DOMID_SELF, "self" },   { 0, "own number" },      { DOM_FRESH, "fresh" },
	{ DOM_ZOMBIE, "zombie" }, { DOM_ABSENT, "absent" }, { DOMID_IO, "io" },
	{ DOMID_XEN, "xen" },     { DOMID_COW, "cow" },     { DOMID_INVALID, "invalid" },
	{ DOMID_IDLE, "idle" },   { 0x8000, "8000" },       { 0xffff, "ffff" },
};

/* ---- one call ---- */

void tr_clear(void)
{
	for (unsigned i = 0; i < PAGES; i++) {
		memset(tr_page[i], PATTERN, PAGE);
		memset(masked[i], 0, PAGE);
	}
	result_masked = false;
}

void tr_mask(const void *at, size_t n)
{
	for (unsigned i = 0; i < PAGES; i++) {
		size_t offset = (size_t)((const char *)at - tr_page[i]);

		if (offset < PAGE)
			memset(masked[i] + offset, 1, offset + n > PAGE ? PAGE - offset : n);
	}
}

void tr_mask_result(void)
{
	result_masked = true;
}

void tr_read_only(unsigned page, bool on)
{
	EXPECT_EQ(on ? map_read_only(tr_page[page]) : map_writable(tr_page[page]), 0);
}

static void put_byte(unsigned char b)
{
	static const char digit[] = "0123456789abcdef";
	char two[3] = { digit[b >> 4], digit[b & 15], 0 };

	print_part("%s", two);
}

static bool changed(unsigned page, unsigned i)
{
	return (unsigned char)tr_page[page][i] != before[page][i];
}

/* Whether the run of masked bytes that begins at i has one that changed; i: behind it. */
static bool masked_run(unsigned page, unsigned *i)
{
	bool any = false;

	for (; *i < PAGE && masked[page][*i]; ++*i)
		any |= changed(page, *i);
	return any;
}

/* The runs of bytes that changed. */
static void print_changes(unsigned page)
{
	const unsigned char *now = (unsigned char *)tr_page[page];
	unsigned shown = 0, last = PAGE;
	unsigned long digest = 5381;

	for (unsigned i = 0; i < PAGE; i++) {
		unsigned start = i;

		if (masked[page][i]) {
			if (masked_run(page, &i))
				print_part(" %c+%x=??", "ABC"[page], start);
			i--;
			continue;
		}
		if (!changed(page, i))
			continue;
		if (shown++ < BYTES_SHOWN) {
			if (last + 1 != i)
				print_part(" %c+%x=", "ABC"[page], i);
			put_byte(now[i]);
		}
		last = i;
		digest = digest * 33 + i * 257 + now[i];
	}
	if (shown > BYTES_SHOWN)
		print_part(" (%u bytes, digest %lx)", shown, digest);
}

long tr_call(unsigned nr, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e,
             const char *name, ...)
{
	va_list ap;
	long result;

	for (unsigned i = 0; i < PAGES; i++)
		memcpy(before[i], tr_page[i], PAGE);
	result = hypercall(nr, a, b, c, d, e);
	print_part("args: ");
	va_start(ap, name);
	vprint_part(name, ap);
	va_end(ap);
	if (result > 0 && result_masked)
		print_part(": positive");
	else
		print_part(": %ld", result);
	for (unsigned i = 0; i < PAGES; i++)
		print_changes(i);
	print("%s", "");
	calls++;
	return result;
}

/* ---- domains ---- */

static long domctl(struct xen_domctl *op, uint16_t domid, unsigned cmd)
{
	op->domain = domid;
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	return HC(domctl, op);
}

static void domain_make(uint16_t domid)
{
	static struct xen_domctl op;

	memset(&op, 0, sizeof(op));
	op.u.createdomain.max_vcpus = 1;
	op.u.createdomain.max_evtchn_port = 127;
	op.u.createdomain.max_grant_frames = 4;
	op.u.createdomain.max_maptrack_frames = 4;
	op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
	EXPECT_EQ(domctl(&op, domid, XEN_DOMCTL_createdomain), 0);
	EXPECT_EQ(op.domain, domid);
	memset(&op.u, 0, sizeof(op.u));
	op.u.max_mem.max_memkb = 256;
	EXPECT_EQ(domctl(&op, domid, XEN_DOMCTL_max_mem), 0);
}

static void zombie_make(void)
{
	static struct xen_domctl op;
	xen_pfn_t frame = 0;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOM_ZOMBIE };
	void *page = page_alloc();

	set_xen_guest_handle(r.extent_start, &frame);
	domain_make(DOM_ZOMBIE);
	EXPECT_EQ(HC(memory_op, XENMEM_populate_physmap, &r), 1);
	EXPECT_EQ(HC(update_va_mapping_otherdomain, page, PTE(frame), UVMF_INVLPG, DOM_ZOMBIE), 0);
	EXPECT_EQ(domctl(&op, DOM_ZOMBIE, XEN_DOMCTL_destroydomain), 0);
	tr_zombie_mfn = frame;
}

void tr_begin(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		EXPECT_EQ(map(tr_page[i] + PAGE, 0), 0);
	domain_make(DOM_FRESH);
	zombie_make();
	tr_clear();
}

void tr_end(void)
{
	print("args-count: %u", calls);
}

/* ---- one operation in every way ---- */

static long op_call(const struct tr_op *op, unsigned long arg, const char *how)
{
	switch (op->shape) {
	case CMD_ARG:
		return tr_call(op->nr, op->cmd, arg, 0, 0, 0, "%s, %s", op->name, how);
	case CMD_ARG_ONE:
		return tr_call(op->nr, op->cmd, arg, 1, 0, 0, "%s, %s", op->name, how);
	case CMD_VCPU_ARG:
		return tr_call(op->nr, op->cmd, 0, arg, 0, 0, "%s, %s", op->name, how);
	default:
		return tr_call(op->nr, arg, 0, 0, 0, 0, "%s, %s", op->name, how);
	}
}

/* The structure at an offset of page A; what of it lies beyond the page is not there. */
static unsigned long op_place(const struct tr_op *op, unsigned offset)
{
	static char arg[1024];
	unsigned fits = op->size < PAGE - offset ? op->size : PAGE - offset;

	tr_clear();
	memset(arg, 0, sizeof(arg));
	if (op->fill)
		op->fill(arg);
	memcpy(tr_page[PAGE_A] + offset, arg, fits);
	for (unsigned i = 0; i < 4 && op->mask[i].n; i++)
		tr_mask(tr_page[PAGE_A] + offset + op->mask[i].at, op->mask[i].n);
	if (op->mask_result)
		tr_mask_result();
	return (unsigned long)tr_page[PAGE_A] + offset;
}

static void op_domains(const struct tr_op *op)
{
	for (unsigned i = op->no_self ? 2 : 0; i < TR_DOMIDS; i++) {
		unsigned long arg = op_place(op, 256);

		*(domid_t *)(arg + (unsigned)op->domid_at) = tr_domids[i].domid;
		op_call(op, arg, tr_domids[i].name);
	}
}

void tr_try(const struct tr_op *op)
{
	static const struct {
		unsigned long at;
		const char *name;
	} bad[] = {
		{ 0, "null" },
		{ 0x1000, "not mapped" },
		{ 0x800000000000, "not canonical" },
		{ 0xffff800000000000, "the M2P" },
		{ 0xffff830000000000, "the hypervisor" },
		{ 0xfffffffffffffffe, "the end" },
	};

	if (!op->no_self) {
		op_call(op, op_place(op, 256), "as it should be");
		(void)op_place(op, 256);
		tr_read_only(PAGE_A, true);
		op_call(op, (unsigned long)tr_page[PAGE_A] + 256, "read-only");
		tr_read_only(PAGE_A, false);
	}
	if (op->domid_at >= 0)
		op_domains(op);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)op_place(op, 256);
		op_call(op, bad[i].at, bad[i].name);
	}
	if (op->size > 4) {
		op_call(op, op_place(op, PAGE - op->size + 4), "its end is not mapped");
		op_call(op, op_place(op, PAGE - 4), "its beginning is mapped");
	}
}
