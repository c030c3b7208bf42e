/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fakehv.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fakehv.h"
#include "hypervisor/lib/framecopy.h"
#include <xen/memory.h>
#include <xen/version.h>

struct fake_domain fake_domains[FAKE_DOMAINS];
xen_cpuid_leaf_t fake_lacks;
const char *fake_extraversion = ".5";
unsigned fake_mapped, fake_frames_mapped, fake_allocated, fake_fail_at, fake_calls;
bool fake_copies, fake_old_copies, fake_away;
bool fake_bare, fake_run_failed;
unsigned fake_log_stays;
int fake_log_error;
uint32_t fake_unseen;
void (*fake_between)(void);

static int memory_fd = -1;
static uint8_t *memory;
static uint32_t owners[FAKE_FRAMES];
static uint8_t types[FAKE_FRAMES];
static bool special[FAKE_FRAMES];

static int fails(int error)
{
	errno = error;
	return -1;
}

/* Each call begins so: false when it is the one that fails. */
static bool next_call(void)
{
	if (fake_between)
		fake_between();
	return ++fake_calls != fake_fail_at;
}

static void unknown(const char *what, unsigned number)
{
	printf("Bail out! the library made %s %u, which it should not\n", what, number);
	exit(1);
}

void fake_reset(void)
{
	if (memory_fd < 0) {
		memory_fd = memfd_create("frames", MFD_CLOEXEC);
		if (memory_fd < 0 || ftruncate(memory_fd, (off_t)FAKE_FRAMES * XYL_PAGE_BYTES) < 0)
			abort();
		memory = mmap(NULL, (size_t)FAKE_FRAMES * XYL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		              memory_fd, 0);
		if (memory == MAP_FAILED)
			abort();
	}
	memset(fake_domains, 0, sizeof(fake_domains));
	for (unsigned i = 0; i < FAKE_FRAMES; i++)
		owners[i] = FAKE_NOBODY;
	memset(special, 0, sizeof(special));
	fake_calls = fake_fail_at = 0;
	fake_bare = fake_run_failed = false;
	fake_log_error = 0;
	fake_between = NULL;
}

static void own(unsigned i, uint32_t domid)
{
	owners[i] = domid;
	types[i] = 0;
	special[i] = false;
	/* Xen hands out what the last owner has left there, unless that has died */
	memset(memory + (size_t)i * XYL_PAGE_BYTES, strncmp(fake_extraversion, "-xylem", 6) ? 0xc2 : 0,
	       XYL_PAGE_BYTES);
}

static uint64_t take(uint32_t domid)
{
	for (unsigned i = 0; i < FAKE_FRAMES; i++) {
		if (owners[i] != FAKE_NOBODY)
			continue;
		own(i, domid);
		return FAKE_BASE + i;
	}
	return 0;
}

/* So many frames behind one another; 0: there are none. */
static uint64_t take_run(uint32_t domid, unsigned count)
{
	for (unsigned i = 0, n = 0; i < FAKE_FRAMES; i++) {
		n = owners[i] == FAKE_NOBODY ? n + 1 : 0;
		if (n < count)
			continue;
		for (unsigned j = 0; j < count; j++)
			own(i - j, domid);
		return FAKE_BASE + i - count + 1;
	}
	return 0;
}

void fake_create(uint32_t domid)
{
	struct fake_domain *d = &fake_domains[domid];

	for (unsigned i = 0; i < FAKE_FRAMES; i++)
		if (owners[i] == domid)
			owners[i] = FAKE_NOBODY;
	memset(d, 0, sizeof(*d));
	d->there = true;
	d->reason = -1;
	d->shared_index = (uint32_t)(take(domid) - FAKE_BASE);
	special[d->shared_index] = true;
	memset(memory + (size_t)d->shared_index * XYL_PAGE_BYTES, 0, XYL_PAGE_BYTES);
}

uint64_t fake_give(uint32_t domid)
{
	fake_domains[domid].page_count++;
	return take(domid);
}

void fake_take(uint32_t domid, uint64_t mfn)
{
	fake_domains[domid].page_count--;
	owners[mfn - FAKE_BASE] = FAKE_NOBODY;
}

void fake_dirty(uint32_t domid, uint64_t pfn)
{
	struct fake_domain *d = &fake_domains[domid];

	if (!d->logging || pfn >= FAKE_PFNS)
		return;
	d->dirty_count += !(d->dirty[pfn / 64] >> pfn % 64 & 1);
	d->dirty[pfn / 64] |= UINT64_C(1) << pfn % 64;
}

uint8_t *fake_page(uint64_t mfn)
{
	return memory + (mfn - FAKE_BASE) * XYL_PAGE_BYTES;
}

uint32_t fake_owner(uint64_t mfn)
{
	return mfn < FAKE_BASE || mfn >= FAKE_BASE + FAKE_FRAMES ? FAKE_NOBODY : owners[mfn - FAKE_BASE];
}

uint8_t *fake_type(uint64_t mfn)
{
	return &types[mfn - FAKE_BASE];
}

/* ---- what handle.c has ---- */

static struct {
	const uint8_t *at;
	size_t bytes;
} largest; /* of hypercall memory, the one that contents go through */

void *xyl_hypercall_alloc(struct xyl *x, size_t bytes)
{
	void *p = calloc(xyl_pages(bytes ? bytes : 1), XYL_PAGE_BYTES);

	(void)x;
	fake_allocated++;
	if (bytes >= FRAMECOPY_MAX / 4 * XYL_PAGE_BYTES) {
		largest.at = p;
		largest.bytes = bytes;
	}
	return p;
}

static bool is_hypercall_memory(const uint8_t *p)
{
	return largest.at && p >= largest.at && p < largest.at + largest.bytes;
}

void xyl_hypercall_free(struct xyl *x, void *p, size_t bytes)
{
	(void)x;
	(void)bytes;
	if (!p)
		return;
	fake_allocated--;
	free(p);
}

static int pin(uint32_t domid, const struct mmuext_op *op)
{
	unsigned level = op->cmd - MMUEXT_PIN_L1_TABLE + 1;
	uint64_t mfn = op->arg1.mfn;
	const uint64_t *table;

	if (level < 1 || level > 4 || fake_owner(mfn) != domid)
		return fails(EINVAL);
	table = (const uint64_t *)(const void *)fake_page(mfn);
	for (unsigned i = 0; i < 512; i++)
		if (table[i] & 1 && fake_owner((table[i] & UINT64_C(0xffffffffff000)) >> 12) != domid)
			return fails(EINVAL);
	*fake_type(mfn) = (uint8_t)(8 | level);
	return 0;
}

long xyl_raw(struct xyl *x, unsigned op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	(void)x;
	(void)a2;
	(void)a4;
	if (op == __HYPERVISOR_xen_version && a0 == XENVER_version)
		return 4 << 16 | 17;
	if (op != __HYPERVISOR_mmuext_op)
		unknown("hypercall", op);
	for (uint64_t i = 0; i < a1; i++)
		if (pin((uint32_t)a3, (const struct mmuext_op *)(uintptr_t)a0 + i) < 0)
			return -1;
	return 0;
}

long xyl_struct_op(struct xyl *x, unsigned hypercall, unsigned cmd, void *arg, size_t bytes)
{
	(void)x;
	if (hypercall != __HYPERVISOR_xen_version)
		unknown("hypercall", hypercall);
	if (cmd != XENVER_extraversion)
		return fails(ENOSYS);
	strncpy(arg, fake_extraversion, bytes - 1);
	return 0;
}

long xyl_arg_op(struct xyl *x, unsigned hypercall, void *arg, size_t bytes)
{
	(void)x;
	(void)arg;
	(void)bytes;
	unknown("hypercall", hypercall);
	return -1;
}

static long populate(struct xen_memory_reservation *r)
{
	struct fake_domain *d = &fake_domains[r->domid];
	xen_pfn_t *list = r->extent_start.p;
	unsigned count = 1u << r->extent_order;

	for (uint64_t i = 0; i < r->nr_extents; i++) {
		uint64_t mfn = 0;

		if (d->page_count + count <= d->max_pages) {
			mfn = count > 1 ? take_run(r->domid, count) : take(r->domid);
			d->page_count += mfn || fake_bare ? count : 0;
			if (!mfn && fake_bare)
				mfn = FAKE_BASE + FAKE_FRAMES + d->page_count - count + 1;
		}
		if (!mfn)
			return (long)i;
		list[i] = mfn;
	}
	return (long)r->nr_extents;
}

static long decrease(const struct xen_memory_reservation *r)
{
	const xen_pfn_t *list = r->extent_start.p;

	for (uint64_t i = 0; i < r->nr_extents; i++) {
		if (fake_bare && list[i] >= FAKE_BASE + FAKE_FRAMES)
			fake_domains[r->domid].page_count--;
		else if (fake_owner(list[i]) == r->domid)
			fake_take(r->domid, list[i]);
		else
			return (long)i;
	}
	return (long)r->nr_extents;
}

long xyl_memory_op(struct xyl *x, unsigned cmd, void *arg, size_t bytes)
{
	struct xen_foreign_memory_map *map = arg;

	(void)x;
	(void)bytes;
	if (!next_call()) {
		fake_run_failed = cmd == XENMEM_populate_physmap &&
		                  ((struct xen_memory_reservation *)arg)->extent_order;
		return fails(ENOMEM);
	}
	if (cmd == XENMEM_populate_physmap)
		return populate(arg);
	if (cmd == XENMEM_decrease_reservation)
		return decrease(arg);
	if (cmd != XENMEM_set_memory_map)
		unknown("memory call", cmd);
	memcpy(&fake_domains[map->domid].map_kib, (uint8_t *)map->map.buffer.p + 8, 8);
	fake_domains[map->domid].map_kib >>= 10;
	return 0;
}

static int type_frames(uint32_t domid, struct xen_domctl_getpageframeinfo3 *q)
{
	uint64_t *list = q->array.p;

	if (q->num > 1024)
		return fails(E2BIG);
	for (uint64_t i = 0; i < q->num; i++) {
		bool own = fake_owner(list[i]) == domid && !special[list[i] - FAKE_BASE];

		list[i] = (own ? *fake_type(list[i]) : UINT64_C(15)) << XEN_DOMCTL_PFINFO_LTAB_SHIFT;
	}
	return 0;
}

static int copy_frames(uint32_t domid, struct xen_domctl *op)
{
	struct xylem_copy_frames q;
	uint64_t *list;
	uint8_t *buffer;

	memcpy(&q, &op->u, sizeof(q));
	list = (uint64_t *)(uintptr_t)q.frames;
	buffer = (uint8_t *)(uintptr_t)q.buffer;
	if (!fake_copies)
		return fails(ENOSYS);
	if (q.num > FRAMECOPY_MAX)
		return fails(E2BIG);
	if (q.what > (fake_old_copies ? FRAMECOPY_WRITE : FRAMECOPY_WHOLE))
		return fails(EINVAL);
	fake_frames_mapped += q.num;
	for (unsigned i = 0; i < q.num; i++, buffer += XYL_PAGE_BYTES) {
		bool own = fake_owner(list[i]) == domid && !special[list[i] - FAKE_BASE];
		uint8_t *page = own ? fake_page(list[i]) : NULL;
		uint64_t type = own ? *fake_type(list[i]) : 15;

		if (fake_away && q.what != FRAMECOPY_LOOK && i == q.num / 2 && !is_hypercall_memory(buffer))
			return fails(EFAULT);
		if (q.what == FRAMECOPY_WRITE && (!own || type & 8))
			return fails(EINVAL);
		if (q.what == FRAMECOPY_WRITE) {
			memcpy(page, buffer, XYL_PAGE_BYTES);
			continue;
		}
		list[i] = type << XEN_DOMCTL_PFINFO_LTAB_SHIFT;
		if (own && q.what != FRAMECOPY_WHOLE && !page[0] &&
		    !memcmp(page, page + 1, XYL_PAGE_BYTES - 1))
			list[i] |= FRAMECOPY_ZERO;
		else if (own && q.what != FRAMECOPY_LOOK)
			memcpy(buffer, page, XYL_PAGE_BYTES);
	}
	return 0;
}

static int bytes_out(const struct fake_blob *b, void *buffer)
{
	if (buffer)
		memcpy(buffer, b->data, b->bytes);
	return 0;
}

static int bytes_in(struct fake_blob *b, const void *buffer, uint64_t bytes)
{
	if (bytes > sizeof(b->data))
		return fails(EINVAL);
	memcpy(b->data, buffer, bytes);
	b->bytes = (uint32_t)bytes;
	return 0;
}

static int policy(struct fake_domain *d, struct xen_domctl_cpu_policy *q, bool set)
{
	if (!set) {
		memcpy(q->leaves.p, d->leaves, d->leaf_count * sizeof(d->leaves[0]));
		memcpy(q->msrs.p, d->entries, d->entry_count * sizeof(d->entries[0]));
		q->nr_leaves = d->leaf_count;
		q->nr_msrs = d->entry_count;
		return 0;
	}
	if (q->nr_leaves > 3 || q->nr_msrs > 1) {
		q->err_leaf = 7;
		return fails(EINVAL);
	}
	memcpy(d->leaves, q->leaves.p, q->nr_leaves * sizeof(d->leaves[0]));
	memcpy(d->entries, q->msrs.p, q->nr_msrs * sizeof(d->entries[0]));
	d->leaf_count = q->nr_leaves;
	for (uint32_t i = 0; i < d->leaf_count; i++)
		if (d->leaves[i].leaf == fake_lacks.leaf && d->leaves[i].subleaf == fake_lacks.subleaf) {
			d->leaves[i].a &= ~fake_lacks.a;
			d->leaves[i].b &= ~fake_lacks.b;
			d->leaves[i].c &= ~fake_lacks.c;
			d->leaves[i].d &= ~fake_lacks.d;
		}
	d->entry_count = q->nr_msrs;
	return 0;
}

static int vcpu_call(struct fake_domain *d, struct xen_domctl *op)
{
	uint32_t vcpu = op->u.vcpucontext.vcpu; /* which all of these begin with */

	if (vcpu >= FAKE_VCPUS)
		return fails(ESRCH);
	switch (op->cmd) {
	case XEN_DOMCTL_getvcpuinfo:
		op->u.getvcpuinfo.online = d->online[vcpu];
		return 0;
	case XEN_DOMCTL_getvcpucontext:
		if (!d->online[vcpu])
			return fails(ENODATA);
		memcpy(op->u.vcpucontext.ctxt.p, &d->contexts[vcpu], sizeof(d->contexts[vcpu]));
		return 0;
	case XEN_DOMCTL_setvcpucontext:
		memcpy(&d->contexts[vcpu], op->u.vcpucontext.ctxt.p, sizeof(d->contexts[vcpu]));
		d->online[vcpu] = true;
		return 0;
	case XEN_DOMCTL_get_ext_vcpucontext:
		op->u.ext_vcpucontext = d->extended[vcpu];
		return 0;
	case XEN_DOMCTL_set_ext_vcpucontext:
		d->extended[vcpu] = op->u.ext_vcpucontext;
		return 0;
	case XEN_DOMCTL_getvcpuextstate:
		op->u.vcpuextstate.xfeature_mask = d->xsave[vcpu].bytes ? 7 : 0;
		op->u.vcpuextstate.size = d->xsave[vcpu].bytes;
		return bytes_out(&d->xsave[vcpu], op->u.vcpuextstate.buffer.p);
	case XEN_DOMCTL_setvcpuextstate:
		return bytes_in(&d->xsave[vcpu], op->u.vcpuextstate.buffer.p, op->u.vcpuextstate.size);
	case XEN_DOMCTL_get_vcpu_msrs:
		op->u.vcpu_msrs.msr_count = d->msrs[vcpu].bytes / 16;
		return bytes_out(&d->msrs[vcpu], op->u.vcpu_msrs.msrs.p);
	case XEN_DOMCTL_set_vcpu_msrs:
		return bytes_in(&d->msrs[vcpu], op->u.vcpu_msrs.msrs.p,
		                op->u.vcpu_msrs.msr_count * UINT64_C(16));
	default:
		unknown("domctl", op->cmd);
		return -1;
	}
}

static int describe(const struct fake_domain *d, struct xen_domctl *op)
{
	struct xen_domctl_getdomaininfo *info = &op->u.getdomaininfo;

	info->domain = op->domain;
	info->flags = XEN_DOMINF_paused;
	if (d->shutdown)
		info->flags = XEN_DOMINF_shutdown | (uint32_t)d->reason << XEN_DOMINF_shutdownshift;
	info->tot_pages = d->page_count;
	info->max_pages = d->max_pages;
	info->shared_info_frame = FAKE_BASE + d->shared_index;
	info->cpu_time = d->cpu_ns;
	info->max_vcpu_id = FAKE_VCPUS - 1;
	return 0;
}

/* Xen has counted them; Xylem counts its bits, with those of pages that may be written to unseen. */
static uint32_t dirty_count(const struct fake_domain *d)
{
	uint32_t bits = fake_unseen;

	if (!fake_copies)
		return d->dirty_count;
	for (unsigned i = 0; i < FAKE_PFNS / 64; i++)
		bits += (uint32_t)__builtin_popcountll(d->dirty[i]);
	return bits;
}

static int log_call(struct fake_domain *d, struct xen_domctl_shadow_op *q)
{
	uint64_t bits = q->pages < FAKE_PFNS ? q->pages : FAKE_PFNS;

	switch (q->op) {
	case XEN_DOMCTL_SHADOW_OP_OFF:
		if (fake_log_stays) {
			fake_log_stays--;
			return fails(ENOMEM);
		}
		d->logging = false;
		return 0;
	case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
		if (fake_log_error || d->logging)
			return fails(fake_log_error ? fake_log_error : EINVAL);
		memset(d->dirty, 0, sizeof(d->dirty));
		d->logging = true;
		return 0;
	case XEN_DOMCTL_SHADOW_OP_CLEAN:
	case XEN_DOMCTL_SHADOW_OP_PEEK:
		if (!d->logging)
			return fails(EINVAL);
		q->stats.dirty_count = dirty_count(d);
		if (q->dirty_bitmap.p) {
			memset(q->dirty_bitmap.p, 0, (q->pages + 7) / 8);
			memcpy(q->dirty_bitmap.p, d->dirty, (bits + 7) / 8);
		}
		if (q->op == XEN_DOMCTL_SHADOW_OP_PEEK)
			return 0;
		memset(d->dirty, 0, q->dirty_bitmap.p || fake_copies ? sizeof(d->dirty) : (bits + 7) / 8);
		d->dirty_count = 0;
		return 0;
	default:
		unknown("log call", q->op);
		return -1;
	}
}

/* As Xen does: what is beyond its own nodes is cleared. */
static int nodes_out(const struct fake_domain *d, const struct xenctl_bitmap *map)
{
	size_t bytes = (map->nr_bits + 7) / 8;

	memset(map->bitmap.p, 0, bytes);
	memcpy(map->bitmap.p, d->nodes, bytes < sizeof(d->nodes) ? bytes : sizeof(d->nodes));
	return 0;
}

static int domain_call(struct fake_domain *d, struct xen_domctl *op)
{
	switch (op->cmd) {
	case XEN_DOMCTL_getdomaininfo:
		return describe(d, op);
	case XEN_DOMCTL_get_address_size:
		op->u.address_size.size = 64;
		return 0;
	case XEN_DOMCTL_getpageframeinfo3:
		return type_frames(op->domain, &op->u.getpageframeinfo3);
	case XYLEM_DOMCTL_copy_frames:
		return copy_frames(op->domain, op);
	case XEN_DOMCTL_max_mem:
		d->max_pages = op->u.max_mem.max_memkb / 4;
		return 0;
	case XEN_DOMCTL_gettscinfo:
		op->u.tsc_info = d->tsc;
		return 0;
	case XEN_DOMCTL_settscinfo:
		d->tsc = op->u.tsc_info;
		return 0;
	case XEN_DOMCTL_getnodeaffinity:
		return nodes_out(d, &op->u.nodeaffinity.nodemap);
	case XEN_DOMCTL_shadow_op:
		return log_call(d, &op->u.shadow_op);
	case XEN_DOMCTL_get_cpu_policy:
	case XEN_DOMCTL_set_cpu_policy:
		return policy(d, &op->u.cpu_policy, op->cmd == XEN_DOMCTL_set_cpu_policy);
	default:
		return vcpu_call(d, op);
	}
}

int xyl_domctl(struct xyl *x, struct xen_domctl *op, const char *what)
{
	struct fake_domain *d = op->domain < FAKE_DOMAINS ? &fake_domains[op->domain] : NULL;
	int rc;

	(void)x;
	if (!next_call())
		rc = fails(ENOMEM);
	else
		rc = d && d->there ? domain_call(d, op) : fails(ESRCH);
	return rc < 0 ? xyl_fail(errno, "domain %u: cannot %s", op->domain, what) : 0;
}

int xyl_sysctl(struct xyl *x, struct xen_sysctl *op, const char *what)
{
	(void)x;
	(void)what;
	if (op->cmd != XEN_SYSCTL_get_cpu_policy)
		unknown("sysctl", op->cmd);
	op->u.cpu_policy.nr_leaves = 3;
	op->u.cpu_policy.nr_msrs = 1;
	return 0;
}

/* ---- what foreign.c has ---- */

void *xyl_foreign_map(struct xyl *x, uint32_t domid, int prot, const uint64_t *mfns, size_t count,
                      int *errors)
{
	uint8_t *window;

	(void)x;
	if (!next_call()) {
		xyl_fail(ENOMEM, "domain %u: cannot map %zu of its frames", domid, count);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		bool bad = fake_owner(mfns[i]) != domid;

		if (errors)
			errors[i] = bad ? EINVAL : 0;
		else if (bad) {
			xyl_fail(EINVAL, "domain %u: cannot map %zu of its frames", domid, count);
			return NULL;
		}
	}
	window = mmap(NULL, count * XYL_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < count;) {
		size_t n = 1;

		while (i + n < count && mfns[i + n] == mfns[i] + n &&
		       (!errors || !errors[i + n] == !errors[i]))
			n++;
		if ((!errors || !errors[i]) &&
		    mmap(window + i * XYL_PAGE_BYTES, n * XYL_PAGE_BYTES, prot, MAP_SHARED | MAP_FIXED,
		         memory_fd, (off_t)((mfns[i] - FAKE_BASE) * XYL_PAGE_BYTES)) == MAP_FAILED)
			abort();
		i += n;
	}
	fake_mapped++;
	fake_frames_mapped += count;
	return window;
}

int xyl_foreign_unmap(struct xyl *x, void *address, size_t count)
{
	(void)x;
	fake_mapped--;
	return munmap(address, count * XYL_PAGE_BYTES);
}

int xyl_grant_seed(struct xyl *x, uint32_t domid, uint64_t console_mfn, uint32_t console_domid,
                   uint64_t store_mfn, uint32_t store_domid)
{
	(void)x;
	(void)console_domid;
	(void)store_domid;
	if (fake_owner(console_mfn) != domid || fake_owner(store_mfn) != domid)
		return xyl_fail(EINVAL, "domain %u: not its frame", domid);
	fake_domains[domid].grants[0] = console_mfn;
	fake_domains[domid].grants[1] = store_mfn;
	return 0;
}
