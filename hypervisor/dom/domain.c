/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Life of domains, from creation to the last trace. domtable.c finds them by number.
 *
 * One reference is held until the domain is dead, one as long as it owns frames: a frame's owner is never freed
 * under somebody who still maps the frame. The memory itself is freed by WORK_DEFERRED, because the last
 * reference may go with locks held.
 *
 * Death, in steps that can be preempted: event channels, grants, interrupts, vcpus, memory.
 */
#include "dom/domain.h"
#include "dom/cpupool.h"
#include "dom/domtable.h"
#include "dom/evtchn.h"
#include "dom/grant.h"
#include "dom/guest.h"
#include "dom/pirq.h"
#include "dom/sched.h"
#include "dom/switch.h"
#include "dom/vcpu.h"
#include "hw/options.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "hw/power.h"
#include "hw/time.h"
#include "hw/trace.h"
#include "mm/perdomain.h"

struct domain *dom0;

static struct domain *reap_list;   /* atomic stack */
static struct domain *untold_list; /* likewise: whose suspend event is to be sent, each with a reference */
/* What the info pages of a dead domain's vcpus point to: written, never read. */
static struct shared_info dead_shared_info __aligned_to(PAGE_SIZE);

/* ---- references (domtable.c finds domains) ---- */

struct domain *domain_get_self_or(uint16_t domid)
{
	return domain_get(domid == DOMID_SELF ? current_domain()->domid : domid);
}

void domain_put(struct domain *d)
{
	int n = __atomic_sub_fetch(&d->refcount, 1, __ATOMIC_SEQ_CST);

	CHECK(n >= 0);
	if (n)
		return;
	d->reap_next = __atomic_load_n(&reap_list, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&reap_list, &d->reap_next, d, false, __ATOMIC_SEQ_CST,
	                                    __ATOMIC_SEQ_CST))
		;
	work_raise(this_cpu(), WORK_DEFERRED);
}

void mm_owner_hold(struct domain_mm *mm)
{
	domain_ref(container_of(mm, struct domain, mm));
}

void mm_owner_drop(struct domain_mm *mm)
{
	domain_put(container_of(mm, struct domain, mm));
}

void mm_domain_crash(struct domain_mm *mm, const char *reason)
{
	domain_crash(container_of(mm, struct domain, mm), "%s", reason);
}

/* ---- creation and the last trace ---- */

/* Frees a domain that nobody refers to, or one that was never listed. */
static void domain_free(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpus[i])
			vcpu_destroy(d->vcpus[i]);
	pirq_domain_free(d);
	grant_domain_free(d);
	evtchn_domain_free(d);
	if (d->shared_info && d->shared_info != &dead_shared_info)
		share_free(d->shared_info_mfn);
	switch_forget(d);
	d->kind->domain_destroy(d);
	sched_domain_destroy(d);
	cpupool_leave(d);
	domain_mm_destroy(&d->mm);
	hv_free(d->ioports);
	hv_free(d);
}

/* The guest may have done with the port what it likes. */
static void suspends_tell(void)
{
	struct domain *d = __atomic_exchange_n(&untold_list, NULL, __ATOMIC_SEQ_CST), *next;

	for (; d; d = next) {
		uint32_t port = READ_ONCE(d->suspend_port);

		next = d->untold_next;
		__atomic_store_n(&d->suspend_untold, false, __ATOMIC_SEQ_CST);
		if (evtchn_send(d, port))
			log_debug("domain %u: no suspend event: port %u is not of that kind", d->domid, port);
		domain_put(d);
	}
}

/* Frees those whose last reference went. */
static void domains_reap(void)
{
	struct domain *d = __atomic_exchange_n(&reap_list, NULL, __ATOMIC_SEQ_CST), *i;

	if (!d)
		return;
	for (i = d; i; i = i->reap_next)
		domtable_remove(i);
	domtable_wait();
	while (d) {
		struct domain *next = d->reap_next;

		log_debug("domain %u is gone", d->domid);
		TRACE(TRC_SCHED_DOM_REM, d->domid);
		TRACE(TRC_DOM0_DOM_REM, d->domid);
		domain_free(d);
		evtchn_send_global_virq(VIRQ_DOM_EXC);
		d = next;
	}
}

/* WORK_DEFERRED */
static void deferred(void)
{
	suspends_tell();
	domains_reap();
}

/* WORK_TRACE: a trace buffer is half full. */
static void trace_reader_notify(void)
{
	evtchn_send_global_virq(VIRQ_TBUF);
}

void domains_init(void)
{
	work_register(WORK_TRACE, trace_reader_notify);
	work_register(WORK_DEFERRED, deferred);
}

static int domain_build(struct domain *d, const struct domain_config *c)
{
	int rc;

	d->shared_info_mfn = share_alloc(&d->mm, true);
	if (mfn_eq(d->shared_info_mfn, INVALID_MFN))
		return -ENOMEM;
	d->shared_info = frame_map_to_write(d->shared_info_mfn);
	rc = evtchn_domain_init(d, c->max_evtchn_port);
	if (!rc)
		rc = grant_domain_init(d, c->max_grant_frames, c->max_maptrack_frames);
	if (!rc)
		rc = pirq_domain_init(d);
	if (!rc)
		rc = cpupool_join(d, c->cpupool_id);
	if (!rc)
		rc = sched_domain_init(d);
	if (!rc)
		rc = d->kind->domain_create(d);
	return rc;
}

static void watchdog_expired(void *data)
{
	struct domain *d = data;

	log_guest(LOG_WARN, d->domid, "watchdog expired");
	domain_shutdown(d, SHUTDOWN_watchdog);
}

int domain_create(const struct domain_config *c, struct domain **out)
{
	struct domain *d;
	int rc;

	if (c->domid >= DOMID_FIRST_RESERVED || !c->max_vcpus || c->max_vcpus > VCPUS_MAX)
		return -EINVAL;
	d = hv_alloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->domid = c->domid;
	d->privileged = c->privileged;
	d->kind = c->kind;
	d->max_vcpus = c->max_vcpus;
	d->ssidref = c->ssidref;
	d->shutdown_code = SHUTDOWN_CODE_NONE;
	d->refcount = 1;
	d->lock = SPINLOCK(RANK_DOMAIN);
	memcpy(d->handle, c->handle, sizeof(d->handle));
	d->pause_count = d->controller_pause_count = 1;
	d->paused_at_creation = true;
	d->vtsc.incarnation = !c->privileged;
	for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog); i++)
		timer_init(&d->watchdog[i], watchdog_expired, d, this_cpu());
	domain_mm_init(&d->mm, c->domid, c->privileged);
	rc = domain_build(d, c);
	if (!rc)
		rc = domtable_add(d);
	if (rc) {
		domain_free(d);
		return rc;
	}
	TRACE(TRC_DOM0_DOM_ADD, d->domid);
	TRACE(TRC_SCHED_DOM_ADD, d->domid);
	domain_wallclock_update(d);
	if (c->privileged && c->domid == 0)
		dom0 = d;
	*out = d;
	return 0;
}

/* ---- death ---- */

enum relinquish {
	REL_STOP,
	REL_EVTCHN,
	REL_GRANT,
	REL_PIRQ,
	REL_VCPUS,
	REL_MEMORY,
	REL_POOL,
	REL_SHARED,
	REL_DONE
};

static int relinquish_vcpus(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];
		int rc;

		if (!v)
			continue;
		timer_kill(&v->periodic_timer);
		timer_kill(&v->singleshot_timer);
		timer_kill(&v->poll_timer);
		vcpu_unregister_info(v);
		rc = d->kind->vcpu_relinquish(v);
		if (rc)
			return rc;
	}
	return 0;
}

/* Gives up the frames that the hypervisor shares with the domain; whoever maps them still, keeps them. */
static void relinquish_shared(struct domain *d)
{
	struct vcpu *v;

	spin_lock(&d->lock);
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		v = d->vcpus[i];
		if (v)
			v->info = &dead_shared_info.vcpu_info[0];
	}
	d->shared_info = &dead_shared_info;
	spin_unlock(&d->lock);
	grant_domain_unshare(d);
	share_free(d->shared_info_mfn);
}

static int relinquish_step(struct domain *d)
{
	int rc = 0;

	switch (d->relinquish_step) {
	case REL_STOP:
		domain_pause(d);
		for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog); i++)
			timer_kill(&d->watchdog[i]);
		d->mm.dying = true;
		break;
	case REL_EVTCHN:
		rc = evtchn_domain_destroy(d);
		break;
	case REL_GRANT:
		rc = grant_domain_destroy(d);
		break;
	case REL_PIRQ:
		pirq_domain_relinquish(d);
		break;
	case REL_VCPUS:
		rc = relinquish_vcpus(d);
		break;
	case REL_MEMORY:
		rc = domain_mm_relinquish(&d->mm);
		break;
	case REL_POOL: /* what is left of it, perhaps for long, keeps no pool busy */
		rc = cpupool_move_domain(d, &cpupool0);
		break;
	case REL_SHARED:
		relinquish_shared(d);
		break;
	}
	return rc;
}

/* Caller serialises (RANK_DOMCTL) and holds a reference. */
int domain_destroy(struct domain *d)
{
	if (d == dom0 || d == current_domain())
		return -EINVAL;
	spin_lock(&d->lock);
	if (d->life == DOMAIN_ALIVE)
		d->life = DOMAIN_DYING;
	spin_unlock(&d->lock);
	while (d->relinquish_step < REL_DONE) {
		int rc = relinquish_step(d);

		if (rc)
			return rc;
		d->relinquish_step++;
		if (d->relinquish_step < REL_DONE && work_pending())
			return -ERESTART_HV;
	}
	if (__atomic_exchange_n(&d->life, DOMAIN_DEAD, __ATOMIC_SEQ_CST) == DOMAIN_DEAD)
		return 0;
	evtchn_send_global_virq(VIRQ_DOM_EXC);
	domain_put(d);
	return 0;
}

/* ---- shutdown ---- */

static void dom0_shutdown(unsigned reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff:
		log_info("dom0 has powered off: halting the machine");
		machine_halt();
	case SHUTDOWN_crash:
		log_err("dom0 has crashed%s",
		        options.noreboot ? ": halting the machine (noreboot)" : ": rebooting the machine");
		if (options.noreboot)
			machine_halt();
		machine_reboot();
	case SHUTDOWN_watchdog:
		log_err("dom0's watchdog expired: rebooting the machine");
		machine_reboot();
	default:
		log_info("dom0 asks for a reboot (reason %u)", reason);
		machine_reboot();
	}
}

/* Who waits at the other end of that port (XEN_DOMCTL_subscribe) is told, but later: a domain may be crashed under any lock
 * and with interrupts off, which is no place to send an event to another domain. */
static void tell_suspend(struct domain *d)
{
	if (!READ_ONCE(d->suspend_port) || READ_ONCE(d->shutdown_code) != SHUTDOWN_suspend ||
	    __atomic_exchange_n(&d->suspend_untold, true, __ATOMIC_SEQ_CST))
		return;
	domain_ref(d);
	d->untold_next = __atomic_load_n(&untold_list, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&untold_list, &d->untold_next, d, false, __ATOMIC_SEQ_CST,
	                                    __ATOMIC_SEQ_CST))
		;
	work_raise(this_cpu(), WORK_DEFERRED);
}

void domain_shutdown(struct domain *d, unsigned reason)
{
	uint32_t none = SHUTDOWN_CODE_NONE;

	/* A code that the guest has set beforehand (SCHEDOP_shutdown_code) stays. */
	if (!__atomic_compare_exchange_n(&d->shutdown_code, &none, reason, false, __ATOMIC_SEQ_CST,
	                                 __ATOMIC_SEQ_CST))
		reason = none;
	if (d == dom0)
		dom0_shutdown(reason);
	if (__atomic_exchange_n(&d->shutting_down, true, __ATOMIC_SEQ_CST))
		return;
	domain_pause_nosync(d);
	__atomic_store_n(&d->shut_down, true, __ATOMIC_SEQ_CST);
	evtchn_send_global_virq(VIRQ_DOM_EXC);
	tell_suspend(d);
}

int domain_resume(struct domain *d)
{
	bool was;

	spin_lock(&d->lock);
	was = __atomic_exchange_n(&d->shut_down, false, __ATOMIC_SEQ_CST);
	if (was) {
		d->shutdown_code = SHUTDOWN_CODE_NONE;
		__atomic_store_n(&d->shutting_down, false, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&d->lock);
	if (was)
		domain_unpause(d);
	return 0;
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (!READ_ONCE(d->shutting_down))
		log_err("domain %u crashed: %s", d->domid, why);
	domain_shutdown(d, SHUTDOWN_crash);
}

int domain_watchdog(struct domain *d, uint32_t id, uint32_t seconds)
{
	int rc = 0;
	unsigned i = id - 1;

	if (id > ARRAY_SIZE(d->watchdog))
		return -EINVAL;
	spin_lock(&d->lock);
	if (!id && seconds) {
		for (i = 0; i < ARRAY_SIZE(d->watchdog); i++)
			if (!(d->watchdog_used >> i & 1))
				break;
		rc = i < ARRAY_SIZE(d->watchdog) ? (int)i + 1 : -ENOSPC;
	} else if (!id || !(d->watchdog_used >> i & 1)) {
		rc = id ? -EINVAL : 0;
		i = ARRAY_SIZE(d->watchdog);
	}
	if (rc >= 0 && i < ARRAY_SIZE(d->watchdog)) {
		if (seconds) {
			d->watchdog_used |= 1ull << i;
			timer_set(&d->watchdog[i], time_now_ns() + seconds * 1000000000ull);
		} else {
			d->watchdog_used &= ~(1ull << i);
			timer_stop(&d->watchdog[i]);
		}
	}
	spin_unlock(&d->lock);
	return rc;
}

/* ---- pausing by the toolstack ---- */

int domain_controller_pause(struct domain *d)
{
	int rc = 0;

	if (d == current_domain())
		return -EINVAL;
	spin_lock(&d->lock);
	if (d->controller_pause_count >= 255)
		rc = -EOVERFLOW;
	else
		d->controller_pause_count++;
	spin_unlock(&d->lock);
	if (!rc)
		domain_pause(d);
	return rc;
}

int domain_controller_unpause(struct domain *d)
{
	int rc = 0;

	spin_lock(&d->lock);
	if (!d->controller_pause_count) {
		rc = -EINVAL;
	} else {
		d->controller_pause_count--;
		if (!d->controller_pause_count)
			d->paused_at_creation = false;
	}
	spin_unlock(&d->lock);
	if (!rc)
		domain_unpause(d);
	return rc;
}
