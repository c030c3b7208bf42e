/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mmu_update, mmuext_op, update_va_mapping: a guest changes its page tables, loads them, and flushes.
 *
 * Arguments are decoded and domains are found here; what an entry may be and when it becomes live is mm's.
 * Every call first works off the release queue of the domain whose tables it changes (pt_drain()), which is
 * how a long release that an earlier call left continues. Source: xen/xen.h.
 */
#include "hypercall/hypercall.h"
#include "dom/domtable.h"
#include "hw/smp.h"
#include "lib/log.h"
#include "lib/string.h"
#include "hw/mem.h"
#include "hw/tlb.h"
#include "mm/dirtylog.h"
#include "mm/pagetable.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include "pv/address.h"

#define BATCH     32         /* requests copied in at once and handled under one hold of the lock */
#define PREEMPTED (1u << 31) /* in count: a continuation; *pdone holds what was done before */

/*
 * Whose frames a call may name (FOREIGNDOM). Besides domains there are DOMID_IO (machine memory that is
 * nobody's RAM; also a guest's, within its ranges) and DOMID_XEN (the frames that the hypervisor shows to
 * dom0). Everybody's own number is refused, as Xen does: the caller is DOMID_SELF.
 */
struct pg_owner {
	struct domain *d;     /* with a reference unless it is the caller; NULL: DOMID_IO or DOMID_XEN */
	struct domain_mm *mm; /* NULL: DOMID_IO */
	bool permitted;       /* the caller may name them */
};

static void domain_done(struct domain *d)
{
	if (d && d != current_domain())
		domain_put(d);
}

/* 0 or -ESRCH. */
static int pg_owner_find_other(struct domain *me, uint16_t domid, struct pg_owner *o)
{
	*o = (struct pg_owner){ .permitted = me->privileged };
	if (domid == DOMID_IO) {
		o->permitted = true;
	} else if (domid == DOMID_XEN) {
		o->mm = &xen_mm;
	} else {
		o->d = domid == me->domid ? NULL : domain_get(domid);
		if (!o->d)
			return -ESRCH;
		o->mm = &o->d->mm;
	}
	return 0;
}

static inline int pg_owner_find(uint16_t domid, struct pg_owner *o)
{
	struct domain *me = current_domain();

	if (unlikely(domid != DOMID_SELF))
		return pg_owner_find_other(me, domid, o);
	*o = (struct pg_owner){ .d = me, .mm = &me->mm, .permitted = true };
	return 0;
}

/*
 * How many entries were done, with what a continuation brought along. Xen tells it whether the call succeeds
 * or not, and callers go by it (Linux's privcmd does). It does not mind where that cannot be read or written,
 * wholly or in part.
 */
static uint32_t done_in(gva_t pdone)
{
	uint32_t before = 0;
	size_t left = pdone.v ? guest_copy_in(&before, pdone, sizeof(before)) : 0;

	(void)left;
	return before;
}

static void done_out(gva_t pdone, uint32_t done)
{
	size_t left = pdone.v ? guest_copy_out(pdone, &done, sizeof(done)) : 0;

	(void)left;
}

/* ---- mmu_update ---- */

/* Whose tables mmu_update changes, and whose frames the entries name. */
struct mmu_target {
	struct domain *tables; /* with a reference unless it is the caller */
	struct pg_owner frames;
	bool permitted; /* entries of tables, all but MMU_MACHPHYS_UPDATE */
};

static int machphys_update(const struct mmu_target *t, uint64_t ptr, uint64_t pfn)
{
	mfn_t mfn = MFN(ptr >> PAGE_SHIFT);

	if (t->tables != current_domain() || !t->frames.permitted)
		return -EPERM;
	if (!t->frames.mm || !frame_get(mfn, t->frames.mm))
		return -EINVAL;
	m2p_set(mfn, pfn);
	frame_put(mfn);
	return 0;
}

static int one_update(const struct mmu_target *t, const struct pt_request *req)
{
	uint64_t ptr = req->ptr & ~7ull;

	switch (req->ptr & 7) {
	case MMU_NORMAL_PT_UPDATE:
	case MMU_PT_UPDATE_NO_TRANSLATE:
		return t->permitted ? pt_entry_write(&t->tables->mm, t->frames.mm, MADDR(ptr), req->val,
		                                     PT_WRITE, NULL)
		                    : -EPERM;
	case MMU_PT_UPDATE_PRESERVE_AD:
		return t->permitted ? pt_entry_write(&t->tables->mm, t->frames.mm, MADDR(ptr), req->val,
		                                     PT_WRITE_PRESERVE_AD, NULL)
		                    : -EPERM;
	case MMU_MACHPHYS_UPDATE:
		return machphys_update(t, req->ptr, req->val);
	default:
		return -ENOSYS;
	}
}

/* Works through requests [0, count) at ureqs. *done: how many succeeded. 0, -errno of the one that did not,
 * -ERESTART_HV. */
static int do_updates(const struct mmu_target *t, gva_t ureqs, uint32_t count, uint32_t *done)
{
	struct pt_request req[BATCH];
	uint32_t i = 0;
	int rc = 0;

	_Static_assert(sizeof(struct pt_request) == sizeof(struct mmu_update), "same layout");
	while (i < count && !rc) {
		uint32_t n = MIN(count - i, (uint32_t)BATCH), k;
		size_t left = guest_copy_in(req, GVA(ureqs.v + (uint64_t)i * sizeof(*req)), n * sizeof(*req));

		n -= (left + sizeof(*req) - 1) / sizeof(*req);
		for (k = 0; k < n && !rc;) {
			if (likely(t->permitted))
				k += pt_entries_write(&t->tables->mm, t->frames.mm, req + k, n - k);
			if (k < n)
				rc = one_update(t, &req[k]);
			if (k < n && !rc)
				k++;
		}
		i += k;
		if (!rc && left)
			rc = -EFAULT;
		if (!rc && i < count && work_pending())
			rc = -ERESTART_HV;
	}
	*done = i;
	return rc;
}

/* foreigndom: whose frames below; whose tables plus one above, 0 for the caller's. */
static int update_target(uint32_t foreigndom, gva_t ureqs, uint32_t count, struct mmu_target *t,
                         uint32_t *done)
{
	unsigned tables = foreigndom >> 16;
	int rc = 0;

	if (tables && tables - 1 != current_domain()->domid) {
		t->tables = domain_get((uint16_t)(tables - 1));
		if (!t->tables)
			return -ESRCH;
		if (!t->tables->vcpus[0])
			rc = -EINVAL;
	}
	if (!rc)
		rc = pg_owner_find((uint16_t)foreigndom, &t->frames);
	t->permitted = t->frames.permitted &&
	               (!tables || current_domain()->privileged || t->tables == current_domain());
	if (!rc)
		rc = pt_drain(&t->tables->mm, true);
	return rc ? rc : do_updates(t, ureqs, count, done);
}

/* mmu_update(requests, count, &done, foreigndom). */
int64_t hc_mmu_update(struct hc_args *a)
{
	uint32_t count = (uint32_t)a->arg[1], foreigndom = (uint32_t)a->arg[3], before = 0, done = 0;
	gva_t ureqs = GVA(a->arg[0]), pdone = GVA(a->arg[2]);
	struct mmu_target t = { .tables = current_domain() };
	int rc;

	if (count & PREEMPTED) {
		count &= ~PREEMPTED;
		before = done_in(pdone);
	}
	if (!guest_range_ok(ureqs, 1))
		return -EFAULT;
	rc = update_target(foreigndom, ureqs, count, &t, &done);
	if (!t.tables)
		return rc;
	domain_done(t.tables);
	domain_done(t.frames.d);
	if (rc == -ERESTART_HV) {
		a->arg[0] = ureqs.v + (uint64_t)done * sizeof(struct mmu_update);
		a->arg[1] = (count - done) | PREEMPTED;
	}
	done_out(pdone, before + done);
	return rc;
}

/* ---- update_va_mapping ---- */

/* CPUs where the vcpus of a guest's bitmap run; 0 or -EFAULT. */
static int vcpumask_cpus(struct domain *d, gva_t bitmap, cpumask_t *cpus)
{
	uint8_t bytes[VCPUS_MAX / 8] = { 0 };

	*cpus = (cpumask_t){ { 0 } };
	if (guest_copy_in(bytes, bitmap, (d->max_vcpus + 7) / 8))
		return -EFAULT;
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if ((bytes[i / 8] >> (i % 8) & 1) && d->vcpus[i])
			cpumask_set(cpus, READ_ONCE(d->vcpus[i]->cpu));
	*cpus = cpumask_and(cpus, &d->mm.dirty_cpus);
	return 0;
}

static int va_flush(struct domain *d, gva_t va, uint64_t flags)
{
	uint64_t which = flags & ~(uint64_t)UVMF_FLUSHTYPE_MASK;
	bool page = (flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG;
	cpumask_t cpus;
	int rc;

	if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_NONE)
		return 0;
	if (!page && (flags & UVMF_FLUSHTYPE_MASK) != UVMF_TLB_FLUSH)
		return 0; /* no kind of flush */
	if (which == UVMF_LOCAL) {
		if (page)
			tlb_flush_page_local(va);
		else
			tlb_flush_local();
		return 0;
	}
	cpus = d->mm.dirty_cpus;
	if (which != UVMF_ALL) {
		rc = vcpumask_cpus(d, GVA(which), &cpus);
		if (rc)
			return rc;
	}
	if (page)
		tlb_flush_page(&cpus, va);
	else
		tlb_flush(&cpus);
	return 0;
}

static int64_t update_va(struct domain_mm *pg_owner, gva_t va, uint64_t val, uint64_t flags)
{
	struct vcpu *v = current_vcpu();
	int rc = pt_drain(&v->domain->mm, true);

	if (!rc)
		rc = pt_va_write(&v->domain->mm, pg_owner, v->l4_kernel, va, val);
	return rc ? rc : va_flush(v->domain, va, flags);
}

int64_t hc_update_va_mapping(struct hc_args *a)
{
	return update_va(&current_domain()->mm, GVA(a->arg[0]), a->arg[1], a->arg[2]);
}

int64_t hc_update_va_mapping_otherdomain(struct hc_args *a)
{
	struct pg_owner o;
	int64_t rc = pg_owner_find((uint16_t)a->arg[3], &o);

	if (rc)
		return rc;
	rc = o.permitted ? update_va(o.mm, GVA(a->arg[0]), a->arg[1], a->arg[2]) : -EPERM;
	domain_done(o.d);
	return rc;
}

/* ---- mmuext_op ---- */

/*
 * Loads other tables for the guest's kernel or user mode; user mode alone may be left without, by frame 0.
 * The number is a guest's: whether it is a table's, and be it the one that is loaded, only pt_get() can tell.
 * -ERESTART_HV: nothing has changed yet.
 */
static int new_baseptr(struct vcpu *v, mfn_t mfn, bool user)
{
	mfn_t *slot = user ? &v->l4_user : &v->l4_kernel, old = *slot;
	bool none = user && !mfn.m;
	int rc = none ? 0 : pt_get(&v->domain->mm, mfn, PTYPE_L4, true);

	if (rc)
		return rc;
	/* One table for both is the guest's choice. */
	if (!none)
		pt_show_m2p(&v->domain->mm, mfn, !user || mfn_eq(mfn, v->l4_kernel));
	*slot = none ? INVALID_MFN : mfn;
	/* The processor leaves the old tables before they are released. */
	if (!user)
		pv_load_address_space(v);
	pv_fastpath_tables(v);
	return pt_put(&v->domain->mm, old, true);
}

static int clear_or_copy(struct domain_mm *mm, mfn_t dst, mfn_t src, bool copy)
{
	int rc;

	if (copy && !frame_get(src, mm))
		return -EINVAL;
	rc = frame_get_type(dst, mm, PTYPE_WRITABLE);
	if (!rc) {
		if (copy)
			memcpy(frame_map_to_write(dst), mfn_map(src), PAGE_SIZE);
		else
			memset(frame_map_to_write(dst), 0, PAGE_SIZE);
		frame_written(dst);
		frame_put_type(dst);
	}
	if (copy)
		frame_put(src);
	return rc;
}

static int flush_cache(struct domain *d, bool everywhere)
{
	if (!d->mm.iomem.count) /* all its memory is write-back: nothing to keep in step */
		return everywhere ? -EINVAL : -EACCES;
	if (everywhere)
		cpu_call(&cpus_online, cache_write_back, NULL);
	else
		cache_write_back(NULL);
	return 0;
}

/* Operations on the caller's own address space and TLB. */
static int own_op(struct vcpu *v, const struct mmuext_op *op)
{
	struct domain *d = v->domain;
	cpumask_t cpus = d->mm.dirty_cpus;
	gva_t va = GVA(op->arg1.linear_addr);

	switch (op->cmd) {
	case MMUEXT_NEW_BASEPTR:
		return new_baseptr(v, MFN(op->arg1.mfn), false);
	case MMUEXT_NEW_USER_BASEPTR:
		return new_baseptr(v, MFN(op->arg1.mfn), true);
	case MMUEXT_TLB_FLUSH_LOCAL:
		tlb_flush_local();
		return 0;
	case MMUEXT_INVLPG_LOCAL:
		tlb_flush_page_local(va);
		return 0;
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
		if (vcpumask_cpus(d, GVA((uintptr_t)op->arg2.vcpumask.p), &cpus))
			return -EINVAL;
		break;
	case MMUEXT_TLB_FLUSH_ALL:
	case MMUEXT_INVLPG_ALL:
		break;
	case MMUEXT_FLUSH_CACHE:
	case MMUEXT_FLUSH_CACHE_GLOBAL:
		return flush_cache(d, op->cmd == MMUEXT_FLUSH_CACHE_GLOBAL);
	case MMUEXT_SET_LDT:
		return pv_set_ldt(v, va, op->arg2.nr_ents);
	default:
		return -ENOSYS;
	}
	if (op->cmd == MMUEXT_INVLPG_MULTI || op->cmd == MMUEXT_INVLPG_ALL)
		tlb_flush_page(&cpus, va);
	else
		tlb_flush(&cpus);
	return 0;
}

/* Whether cmd is one of own_op()'s. */
static bool is_own_op(uint32_t cmd)
{
	return cmd == MMUEXT_NEW_BASEPTR || cmd == MMUEXT_NEW_USER_BASEPTR ||
	       (cmd >= MMUEXT_TLB_FLUSH_LOCAL && cmd <= MMUEXT_SET_LDT) || cmd == MMUEXT_FLUSH_CACHE_GLOBAL;
}

static int one_ext_op(const struct pg_owner *o, const struct mmuext_op *op)
{
	mfn_t mfn = MFN(op->arg1.mfn);

	if (is_own_op(op->cmd))
		return o->d == current_domain() ? own_op(current_vcpu(), op) : -EPERM;
	switch (op->cmd) {
	case MMUEXT_PIN_L1_TABLE:
	case MMUEXT_PIN_L2_TABLE:
	case MMUEXT_PIN_L3_TABLE:
	case MMUEXT_PIN_L4_TABLE:
		return o->d ? pt_pin(o->mm, mfn, PTYPE_L1 + (op->cmd - MMUEXT_PIN_L1_TABLE)) : -EINVAL;
	case MMUEXT_UNPIN_TABLE:
		return o->d ? pt_unpin(o->mm, mfn) : -EINVAL;
	case MMUEXT_CLEAR_PAGE:
		return o->d ? clear_or_copy(o->mm, mfn, MFN(0), false) : -EINVAL;
	case MMUEXT_COPY_PAGE:
		return o->d ? clear_or_copy(o->mm, mfn, MFN(op->arg2.src_mfn), true) : -EINVAL;
	case MMUEXT_MARK_SUPER:
	case MMUEXT_UNMARK_SUPER:
		return -EOPNOTSUPP;
	default:
		return -ENOSYS;
	}
}

/* Operations [0, count) at uops; *done as do_updates(). */
static int do_ext_ops(const struct pg_owner *o, gva_t uops, uint32_t count, uint32_t *done)
{
	struct mmuext_op op;
	int rc = 0;

	while (!rc && *done < count) {
		if (guest_copy_in(&op, GVA(uops.v + (uint64_t)*done * sizeof(op)), sizeof(op)))
			return -EFAULT;
		rc = one_ext_op(o, &op);
		if (!rc && ++*done < count && work_pending())
			rc = -ERESTART_HV;
	}
	return rc;
}

/* mmuext_op(operations, count, &done, foreigndom). Unlike mmu_update, a call that is refused as a whole does
 * not tell what it did. */
int64_t hc_mmuext_op(struct hc_args *a)
{
	uint32_t count = (uint32_t)a->arg[1], before = 0, done = 0;
	gva_t uops = GVA(a->arg[0]), pdone = GVA(a->arg[2]);
	struct pg_owner o;
	int rc;

	if (count & PREEMPTED) {
		count &= ~PREEMPTED;
		before = done_in(pdone);
	}
	if (!guest_range_ok(uops, 1))
		return -EFAULT;
	rc = pg_owner_find((uint16_t)a->arg[3], &o);
	if (rc)
		return rc;
	if (!(o.d ? o.permitted : current_domain()->privileged)) {
		domain_done(o.d);
		return -EPERM;
	}
	rc = o.d ? pt_drain(&o.d->mm, true) : 0;
	if (!rc)
		rc = do_ext_ops(&o, uops, count, &done);
	domain_done(o.d);
	if (rc == -ERESTART_HV) {
		a->arg[0] = uops.v + (uint64_t)done * sizeof(struct mmuext_op);
		a->arg[1] = (count - done) | PREEMPTED;
	}
	done_out(pdone, before + done);
	return rc;
}
