/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual CPUs: creation, the page where a guest sees its events and its time, and their timers.
 *
 * Not here: registers and tables (pv/), who runs (sched.c).
 */
#include "dom/vcpu.h"
#include "dom/domain.h"
#include "dom/evtchn.h"
#include "dom/guest.h"
#include "dom/sched.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "hw/time.h"
#include "hw/uaccess.h"
#include "mm/ptype.h"

#ifndef XEN_PVCLOCK_TSC_STABLE_BIT
#define XEN_PVCLOCK_TSC_STABLE_BIT (1 << 0)
#endif

_Static_assert(512 * 512 >= VCPUS_MAX * PERDOMAIN_VCPU_PAGES, "one L2 table has a window for each vcpu");

/* Owner of the idle vcpus: no memory, no tables, never in the list of domains. */
static struct domain idle_domain = { .domid = DOMID_IDLE, .refcount = 1, .max_vcpus = 0 };

/* ---- timers ---- */

static void singleshot_expired(void *data)
{
	evtchn_send_vcpu_virq(data, VIRQ_TIMER);
}

static void periodic_expired(void *data)
{
	struct vcpu *v = data;
	uint64_t now = time_now_ns(), period = READ_ONCE(v->periodic_ns);

	/* A vcpu that does not run gets its tick when it runs again (vcpu_periodic_resume). */
	if (!period || !READ_ONCE(v->running))
		return;
	v->periodic_last_ns = now;
	evtchn_send_vcpu_virq(v, VIRQ_TIMER);
	timer_set(&v->periodic_timer, now + period);
}

static void poll_expired(void *data)
{
	(void)vcpu_unpoll(data);
}

void vcpu_periodic_resume(struct vcpu *v, uint64_t now_ns)
{
	uint64_t period = READ_ONCE(v->periodic_ns);

	if (!period)
		return;
	/* The clock of the CPU where the last one was sent may be ahead of this one's. */
	if (now_ns > v->periodic_last_ns && now_ns - v->periodic_last_ns >= period) {
		v->periodic_last_ns = now_ns;
		evtchn_send_vcpu_virq(v, VIRQ_TIMER);
	}
	timer_migrate(&v->periodic_timer, this_cpu());
	timer_set(&v->periodic_timer, v->periodic_last_ns + period);
}

void vcpu_set_periodic(struct vcpu *v, uint64_t period_ns)
{
	WRITE_ONCE(v->periodic_ns, period_ns);
	if (!period_ns) {
		timer_stop(&v->periodic_timer);
		return;
	}
	v->periodic_last_ns = time_now_ns();
	timer_migrate(&v->periodic_timer, this_cpu());
	timer_set(&v->periodic_timer, v->periodic_last_ns + period_ns);
}

void vcpu_set_singleshot(struct vcpu *v, uint64_t expires_ns)
{
	timer_migrate(&v->singleshot_timer, this_cpu());
	timer_set(&v->singleshot_timer, expires_ns);
}

/* ---- life ---- */

static struct vcpu *vcpu_alloc(struct domain *d, unsigned id, unsigned cpu)
{
	struct vcpu *v = hv_alloc(sizeof(*v));

	if (!v)
		return NULL;
	v->id = id;
	v->domain = d;
	v->cpu = cpu;
	v->info_mfn = v->l4_kernel = v->l4_user = INVALID_MFN;
	timer_init(&v->periodic_timer, periodic_expired, v, cpu);
	timer_init(&v->singleshot_timer, singleshot_expired, v, cpu);
	timer_init(&v->poll_timer, poll_expired, v, cpu);
	return v;
}

/* The vcpu_info of a vcpu before it registers one: in shared_info, or private where that has no room. */
static struct vcpu_info *vcpu_first_info(const struct vcpu *v)
{
	if (v->id < XEN_LEGACY_MAX_VCPUS)
		return &v->domain->shared_info->vcpu_info[v->id];
	return hv_alloc(sizeof(struct vcpu_info));
}

static bool vcpu_info_is_private(const struct vcpu *v)
{
	return v->id >= XEN_LEGACY_MAX_VCPUS && mfn_eq(v->info_mfn, INVALID_MFN);
}

void vcpu_destroy(struct vcpu *v)
{
	timer_kill(&v->periodic_timer);
	timer_kill(&v->singleshot_timer);
	timer_kill(&v->poll_timer);
	v->domain->kind->vcpu_destroy(v);
	sched_vcpu_destroy(v);
	hv_free(v->private_info);
	hv_free(v);
}

int vcpu_create(struct domain *d, unsigned id)
{
	struct vcpu *v;
	int rc = -ENOMEM;

	if (id >= d->max_vcpus)
		return -EINVAL;
	if (d->vcpus[id])
		return -EEXIST;
	v = vcpu_alloc(d, id, id % cpu_count);
	if (!v)
		return -ENOMEM;
	v->pause_flags = 1ull << PAUSE_DOWN;
	v->info = vcpu_first_info(v);
	if (vcpu_info_is_private(v))
		v->private_info = v->info;
	if (v->info) {
		v->info->evtchn_upcall_mask = 1;
		rc = sched_vcpu_init(v);
	}
	if (!rc)
		rc = d->kind->vcpu_create(v);
	if (rc) {
		vcpu_destroy(v);
		return rc;
	}
	__atomic_store_n(&d->vcpus[id], v, __ATOMIC_RELEASE);
	return 0;
}

struct vcpu *idle_vcpu_create(unsigned cpu)
{
	struct vcpu *v = vcpu_alloc(&idle_domain, cpu, cpu);
	static struct vcpu_info idle_info;

	if (!v)
		panic("no memory for the idle vcpu of CPU %u", cpu);
	v->is_idle = true;
	v->info = &idle_info;
	if (sched_vcpu_init(v))
		panic("no memory for the idle vcpu of CPU %u", cpu);
	sched_set_idle(cpu, v);
	return v;
}

/* ---- info page ---- */

void vcpu_mark_events_pending(struct vcpu *v)
{
	if (!__atomic_exchange_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
		vcpu_kick(v);
}

int vcpu_register_info(struct vcpu *v, mfn_t mfn, unsigned offset)
{
	struct vcpu_info *new;
	int rc;

	if (!mfn_eq(v->info_mfn, INVALID_MFN))
		return -EINVAL;
	if (offset % sizeof(uint64_t) || offset > PAGE_SIZE - sizeof(struct vcpu_info))
		return -ENXIO;
	/* Another vcpu only while it is down: nobody else writes its page then. */
	if (v != current_vcpu() && !(READ_ONCE(v->pause_flags) & (1ull << PAUSE_DOWN)))
		return -EINVAL;
	rc = frame_get_type(mfn, &v->domain->mm, PTYPE_WRITABLE);
	if (rc)
		return rc;
	new = (struct vcpu_info *)((char *)frame_map_to_write(mfn) + offset);
	memcpy(new, v->info, sizeof(*new));
	spin_lock(&v->domain->lock);
	if (!mfn_eq(v->info_mfn, INVALID_MFN)) {
		spin_unlock(&v->domain->lock);
		frame_put_type(mfn);
		return -EINVAL;
	}
	v->info_mfn = mfn;
	__atomic_store_n(&v->info, new, __ATOMIC_SEQ_CST);
	spin_unlock(&v->domain->lock);
	/* Events may have been marked in the old page meanwhile: mark all, the guest sorts them out. */
	WRITE_ONCE(new->evtchn_pending_sel, ~0ul);
	vcpu_mark_events_pending(v);
	return 0;
}

void vcpu_unregister_info(struct vcpu *v)
{
	static struct vcpu_info nobodys;
	mfn_t mfn;

	spin_lock(&v->domain->lock);
	mfn = v->info_mfn;
	v->info_mfn = INVALID_MFN;
	if (!mfn_eq(mfn, INVALID_MFN))
		v->info = &nobodys;
	spin_unlock(&v->domain->lock);
	if (!mfn_eq(mfn, INVALID_MFN))
		frame_put_type(mfn);
}

/* ---- time ---- */

static void time_page_fill(struct vcpu_time_info *t, const struct time_scale *s)
{
	t->tsc_timestamp = s->tsc_stamp;
	t->system_time = s->system_ns;
	t->tsc_to_system_mul = s->tsc_to_ns_mul;
	t->tsc_shift = s->tsc_shift;
	t->flags = s->tsc_stable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
}

/* As v sees time on this CPU. */
static struct time_scale scale_of(const struct vcpu *v)
{
	struct time_scale s = time_scale_read();

	vtsc_scale(&v->domain->vtsc, &s);
	return s;
}

static bool time_page_is(const struct vcpu *v, const struct time_scale *s)
{
	const struct vcpu_time_info *page = &v->info->time;

	return READ_ONCE(page->tsc_timestamp) == s->tsc_stamp && READ_ONCE(page->system_time) == s->system_ns;
}

bool vcpu_time_stale(const struct vcpu *v)
{
	struct time_scale s = scale_of(v);

	return !time_page_is(v, &s);
}

void vcpu_time_update(struct vcpu *v, bool force)
{
	struct vcpu_time_info *page = &v->info->time, copy;
	struct time_scale s;
	uint32_t version;
	gva_t area;

	if (v->is_idle)
		return;
	s = scale_of(v);
	if (!force && time_page_is(v, &s))
		return;
	version = (READ_ONCE(page->version) + 1) | 1; /* odd: being written */
	WRITE_ONCE(page->version, version);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	time_page_fill(page, &s);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	WRITE_ONCE(page->version, version + 1);

	area = GVA((uintptr_t)READ_ONCE(v->time_area.p));
	if (!area.v || v != current_vcpu())
		return;
	memset(&copy, 0, sizeof(copy));
	time_page_fill(&copy, &s);
	copy.version = version;
	/* A page that is not there now is the guest's loss: it sees its time in the info page. */
	if (guest_copy_out(area, &copy.version, sizeof(copy.version)))
		return;
	if (guest_copy_out(area, &copy, sizeof(copy)))
		return;
	copy.version = version + 1;
	if (guest_copy_out(area, &copy.version, sizeof(copy.version)))
		return;
}

void domain_wallclock_update(struct domain *d)
{
	struct shared_info *si;
	uint64_t sec;
	uint32_t nsec, version;

	spin_lock(&d->lock);
	si = d->shared_info; /* of a domain that dies meanwhile: no longer its page */
	time_wallclock(&sec, &nsec);
	sec += (uint64_t)d->time_offset_seconds;
	version = (READ_ONCE(si->wc_version) + 1) | 1;
	WRITE_ONCE(si->wc_version, version);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	si->wc_sec = (uint32_t)sec;
	si->wc_sec_hi = (uint32_t)(sec >> 32);
	si->wc_nsec = nsec;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	WRITE_ONCE(si->wc_version, version + 1);
	spin_unlock(&d->lock);
}
