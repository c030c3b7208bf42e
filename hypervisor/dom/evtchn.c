/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event channels, 2-level.
 *
 * Each domain has a table of ports under one lock; two tables are locked in the order of their addresses.
 * Delivery (evtchn_set_pending) takes no lock and is allowed in interrupt context: it reads the port's vcpu
 * once and sets bits in the shared pages. Channels are freed only with the domain, so a late delivery is at
 * the worst a spurious event, which every guest has to expect.
 *
 * An interdomain channel's pointer to the other domain is good as long as the channel is in that state: a
 * dying domain takes both locks and turns its peers into unbound channels before it goes.
 */
#include "dom/evtchn.h"
#include "dom/domtable.h"
#include "dom/pirq.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "mm/heap.h"

#define BUCKET_PORTS 64 /* Xen's: ports of buckets that nobody used yet do not exist */
#define PORTS_MAX    EVTCHN_2L_NR_CHANNELS

enum channel_state { CHN_FREE, CHN_UNBOUND, CHN_INTERDOMAIN, CHN_PIRQ, CHN_VIRQ, CHN_IPI };

struct channel {
	uint8_t state;
	uint16_t notify_vcpu; /* read without the lock */
	union {
		uint16_t remote_domid; /* UNBOUND: who may bind */
		struct {
			struct domain *remote;
			evtchn_port_t remote_port;
		};
		uint32_t pirq;
		struct {
			uint32_t virq;
			uint16_t virq_vcpu;
		};
	};
};

struct evtchn_table {
	spinlock_t lock;   /* RANK_EVTCHN */
	unsigned max_port; /* highest port that may be used */
	bool dying;
	uint64_t used[BITMAP_WORDS(PORTS_MAX)];
	struct channel *bucket[PORTS_MAX / BUCKET_PORTS]; /* set once */
	uint16_t *pirq_port;                              /* [PIRQS_MAX] or NULL; set once; entries atomic */
};

/* Who gets the global virqs; NULL: dom0. Each with a reference. */
static struct domain *virq_handler[NR_VIRQS];
static spinlock_t virq_handler_lock = SPINLOCK(RANK_PIRQ); /* irqsave */

/* ---- delivery ---- */

/* The channel of a port, or NULL. Any context. */
static struct channel *channel_of(struct evtchn_table *t, evtchn_port_t port)
{
	struct channel *bucket;

	if (port >= PORTS_MAX)
		return NULL;
	port = (evtchn_port_t)index_nospec(port, PORTS_MAX);
	bucket = __atomic_load_n(&t->bucket[port / BUCKET_PORTS], __ATOMIC_ACQUIRE);
	return bucket ? &bucket[port % BUCKET_PORTS] : NULL;
}

static void wake_pollers(struct domain *d, evtchn_port_t port)
{
	unsigned i;

	for (i = bit_next(d->poll_mask, VCPUS_MAX, 0); i < VCPUS_MAX;
	     i = bit_next(d->poll_mask, VCPUS_MAX, i + 1)) {
		unsigned polled = READ_ONCE(d->vcpus[i]->poll_port);

		if (!polled || polled == port)
			(void)vcpu_unpoll(d->vcpus[i]);
	}
}

/* After a port's pending bit was set and its mask found clear: notifies the vcpu. */
static void notify_vcpu(struct vcpu *v, evtchn_port_t port)
{
	if (!bit_test_and_set((uint64_t *)&v->info->evtchn_pending_sel, port / BITS_PER_WORD))
		vcpu_mark_events_pending(v);
}

static void evtchn_set_pending(struct domain *d, evtchn_port_t port)
{
	struct channel *c = channel_of(d->evtchn, port);
	struct shared_info *si = d->shared_info;
	struct vcpu *v;

	if (!c)
		return;
	v = d->vcpus[READ_ONCE(c->notify_vcpu)];
	if (!v || bit_test_and_set((uint64_t *)si->evtchn_pending, port))
		return;
	if (!bit_test((uint64_t *)si->evtchn_mask, port))
		notify_vcpu(v, port);
	wake_pollers(d, port);
}

int evtchn_poll(struct domain *d, evtchn_port_t port)
{
	struct channel *c = channel_of(d->evtchn, port);

	if (!c || READ_ONCE(c->state) == CHN_FREE)
		return -EINVAL;
	return bit_test((uint64_t *)d->shared_info->evtchn_pending, port);
}

void evtchn_send_vcpu_virq(struct vcpu *v, uint32_t virq)
{
	evtchn_port_t port;

	if (virq >= NR_VIRQS)
		return;
	port = READ_ONCE(v->virq_port[virq]);
	if (port)
		evtchn_set_pending(v->domain, port);
}

void evtchn_send_global_virq(uint32_t virq)
{
	struct domain *d;
	uint64_t flags;

	if (virq >= NR_VIRQS)
		return;
	flags = spin_lock_irqsave(&virq_handler_lock);
	d = virq_handler[virq] ? virq_handler[virq] : dom0;
	if (d && d->vcpus[0])
		evtchn_send_vcpu_virq(d->vcpus[0], virq);
	spin_unlock_irqrestore(&virq_handler_lock, flags);
}

void evtchn_raise_pirq(struct domain *d, unsigned pirq)
{
	uint16_t *ports = __atomic_load_n(&d->evtchn->pirq_port, __ATOMIC_ACQUIRE);
	evtchn_port_t port = ports && pirq < PIRQS_MAX ? READ_ONCE(ports[pirq]) : 0;

	if (port)
		evtchn_set_pending(d, port);
}

static bool virq_is_global(uint32_t virq)
{
	switch (virq) {
	case VIRQ_TIMER:
	case VIRQ_DEBUG:
	case VIRQ_XENOPROF:
	case VIRQ_XENPMU:
		return false;
	default:
		return true;
	}
}

int evtchn_set_global_virq_handler(struct domain *d, uint32_t virq)
{
	struct domain *old;
	uint64_t flags;

	if (virq >= NR_VIRQS || !virq_is_global(virq))
		return -EINVAL;
	domain_ref(d);
	flags = spin_lock_irqsave(&virq_handler_lock);
	old = virq_handler[virq];
	virq_handler[virq] = d;
	spin_unlock_irqrestore(&virq_handler_lock, flags);
	if (old)
		domain_put(old);
	return 0;
}

static void drop_global_virqs(struct domain *d)
{
	for (unsigned virq = 0; virq < NR_VIRQS; virq++) {
		uint64_t flags = spin_lock_irqsave(&virq_handler_lock);
		bool was = virq_handler[virq] == d;

		if (was)
			virq_handler[virq] = NULL;
		spin_unlock_irqrestore(&virq_handler_lock, flags);
		if (was)
			domain_put(d);
	}
}

/* ---- ports ---- */

/* A free port, prepared but not yet in a state. Table locked. Port number or -errno. */
static int port_alloc(struct evtchn_table *t)
{
	struct channel *bucket;
	unsigned port;

	if (t->dying)
		return -EINVAL;
	for (unsigned w = 0; w < BITMAP_WORDS(PORTS_MAX); w++) {
		if (t->used[w] == ~0ull)
			continue;
		port = w * BITS_PER_WORD + (unsigned)__builtin_ctzll(~t->used[w]);
		if (port > t->max_port)
			return -ENOSPC;
		if (!t->bucket[port / BUCKET_PORTS]) {
			bucket = hv_alloc(BUCKET_PORTS * sizeof(*bucket));
			if (!bucket)
				return -ENOMEM;
			__atomic_store_n(&t->bucket[port / BUCKET_PORTS], bucket, __ATOMIC_RELEASE);
		}
		return (int)port;
	}
	return -ENOSPC;
}

static struct channel *port_use(struct evtchn_table *t, evtchn_port_t port, enum channel_state state,
                                unsigned vcpu)
{
	struct channel *c = channel_of(t, port);

	bit_set(t->used, port);
	WRITE_ONCE(c->notify_vcpu, (uint16_t)vcpu);
	c->state = (uint8_t)state;
	return c;
}

static void port_free(struct domain *d, evtchn_port_t port)
{
	struct channel *c = channel_of(d->evtchn, port);

	c->state = CHN_FREE;
	WRITE_ONCE(c->notify_vcpu, 0);
	bit_clear(d->evtchn->used, port);
	/* So that the port's next user starts without an event. */
	bit_clear((uint64_t *)d->shared_info->evtchn_pending, port);
}

static void lock_two(struct evtchn_table *a, struct evtchn_table *b)
{
	if (a > b) {
		struct evtchn_table *t = a;

		a = b;
		b = t;
	}
	spin_lock(&a->lock);
	if (a != b)
		spin_lock(&b->lock);
}

static void unlock_two(struct evtchn_table *a, struct evtchn_table *b)
{
	spin_unlock(&a->lock);
	if (a != b)
		spin_unlock(&b->lock);
}

/* ---- binding ---- */

int evtchn_alloc_unbound(struct domain *d, uint16_t remote, evtchn_port_t *port)
{
	struct evtchn_table *t = d->evtchn;
	int p;

	spin_lock(&t->lock);
	p = port_alloc(t);
	if (p >= 0) {
		port_use(t, (evtchn_port_t)p, CHN_UNBOUND, 0)->remote_domid =
		        remote == DOMID_SELF ? current_domain()->domid : remote;
		*port = (evtchn_port_t)p;
	}
	spin_unlock(&t->lock);
	return p < 0 ? p : 0;
}

int evtchn_bind_interdomain(uint16_t remote, evtchn_port_t remote_port, evtchn_port_t *local)
{
	struct domain *ld = current_domain(), *rd = domain_get_self_or(remote);
	struct channel *lc, *rc;
	int p;

	if (!rd)
		return -ESRCH;
	lock_two(ld->evtchn, rd->evtchn);
	p = port_alloc(ld->evtchn);
	rc = channel_of(rd->evtchn, remote_port);
	if (p >= 0 && (!rc || rc->state != CHN_UNBOUND || rc->remote_domid != ld->domid))
		p = -EINVAL;
	if (p >= 0) {
		lc = port_use(ld->evtchn, (evtchn_port_t)p, CHN_INTERDOMAIN, 0);
		lc->remote = rd;
		lc->remote_port = remote_port;
		rc->state = CHN_INTERDOMAIN;
		rc->remote = ld;
		rc->remote_port = (evtchn_port_t)p;
		*local = (evtchn_port_t)p;
		/* What was sent to the unbound port got lost: let the binder look. */
		evtchn_set_pending(ld, (evtchn_port_t)p);
	}
	unlock_two(ld->evtchn, rd->evtchn);
	domain_put(rd);
	return p < 0 ? p : 0;
}

int evtchn_bind_virq(uint32_t virq, uint32_t vcpu, evtchn_port_t *port)
{
	struct domain *d = current_domain();
	struct evtchn_table *t = d->evtchn;
	struct channel *c;
	struct vcpu *v;
	int p;

	if (virq >= NR_VIRQS || (virq_is_global(virq) && vcpu))
		return -EINVAL;
	if (vcpu >= d->max_vcpus)
		return -ENOENT;
	v = d->vcpus[index_nospec(vcpu, d->max_vcpus)];
	if (!v)
		return -ENOENT;
	virq = (uint32_t)index_nospec(virq, NR_VIRQS);
	spin_lock(&t->lock);
	p = v->virq_port[virq] ? -EEXIST : port_alloc(t);
	if (p >= 0) {
		c = port_use(t, (evtchn_port_t)p, CHN_VIRQ, vcpu);
		c->virq = virq;
		c->virq_vcpu = (uint16_t)vcpu;
		WRITE_ONCE(v->virq_port[virq], (uint32_t)p);
		*port = (evtchn_port_t)p;
	}
	spin_unlock(&t->lock);
	return p < 0 ? p : 0;
}

int evtchn_bind_ipi(uint32_t vcpu, evtchn_port_t *port)
{
	struct domain *d = current_domain();
	struct evtchn_table *t = d->evtchn;
	int p;

	if (vcpu >= d->max_vcpus || !d->vcpus[index_nospec(vcpu, d->max_vcpus)])
		return -ENOENT;
	spin_lock(&t->lock);
	p = port_alloc(t);
	if (p >= 0) {
		(void)port_use(t, (evtchn_port_t)p, CHN_IPI, vcpu);
		*port = (evtchn_port_t)p;
	}
	spin_unlock(&t->lock);
	return p < 0 ? p : 0;
}

/* The table from pirq to port, made at the first use. Table locked. */
static uint16_t *pirq_ports(struct evtchn_table *t)
{
	if (!t->pirq_port) {
		uint16_t *ports = hv_alloc(PIRQS_MAX * sizeof(*ports));

		__atomic_store_n(&t->pirq_port, ports, __ATOMIC_RELEASE);
	}
	return t->pirq_port;
}

int evtchn_bind_pirq(uint32_t pirq, bool share, evtchn_port_t *port)
{
	struct domain *d = current_domain();
	struct evtchn_table *t = d->evtchn;
	uint16_t *ports;
	int p, rc;

	if (pirq >= PIRQS_MAX)
		return -EINVAL;
	pirq = (uint32_t)index_nospec(pirq, PIRQS_MAX);
	spin_lock(&t->lock);
	ports = pirq_ports(t);
	p = !ports ? -ENOMEM : ports[pirq] ? -EEXIST : port_alloc(t);
	if (p >= 0) {
		/* First the port, then the interrupt: it may come at once. */
		port_use(t, (evtchn_port_t)p, CHN_PIRQ, 0)->pirq = pirq;
		WRITE_ONCE(ports[pirq], (uint16_t)p);
		*port = (evtchn_port_t)p;
		rc = pirq_bind(d, pirq, share);
		if (rc) {
			WRITE_ONCE(ports[pirq], 0);
			port_free(d, (evtchn_port_t)p);
			p = rc;
		}
	}
	spin_unlock(&t->lock);
	return p < 0 ? p : 0;
}

/* ---- closing ---- */

/* Locks d's table and, for an interdomain channel, the remote's as well: in the right order, and so that the
 * channel is what it was when both are held. Returns the remote with a reference, or NULL. */
static struct domain *lock_with_remote(struct domain *d, evtchn_port_t port)
{
	for (;;) {
		struct domain *remote;
		struct channel *c;

		spin_lock(&d->evtchn->lock);
		c = channel_of(d->evtchn, port);
		if (!c || c->state != CHN_INTERDOMAIN)
			return NULL;
		remote = c->remote;
		domain_ref(remote);
		spin_unlock(&d->evtchn->lock);
		lock_two(d->evtchn, remote->evtchn);
		if (c->state == CHN_INTERDOMAIN && c->remote == remote)
			return remote;
		unlock_two(d->evtchn, remote->evtchn);
		domain_put(remote);
	}
}

int evtchn_close(struct domain *d, evtchn_port_t port)
{
	struct domain *remote = lock_with_remote(d, port);
	struct channel *c = channel_of(d->evtchn, port), *rc;
	int err = 0;

	switch (c ? c->state : CHN_FREE) {
	case CHN_FREE:
		err = -EINVAL;
		break;
	case CHN_INTERDOMAIN:
		rc = channel_of(remote->evtchn, c->remote_port);
		rc->state = CHN_UNBOUND;
		rc->remote_domid = d->domid;
		break;
	case CHN_PIRQ:
		pirq_unbind(d, c->pirq);
		WRITE_ONCE(d->evtchn->pirq_port[c->pirq], 0);
		break;
	case CHN_VIRQ:
		WRITE_ONCE(d->vcpus[c->virq_vcpu]->virq_port[c->virq], 0);
		break;
	}
	if (!err)
		port_free(d, port);
	if (remote) {
		unlock_two(d->evtchn, remote->evtchn);
		domain_put(remote);
	} else {
		spin_unlock(&d->evtchn->lock);
	}
	return err;
}

int evtchn_reset(struct domain *d)
{
	unsigned port, n = 0;

	for (port = bit_next(d->evtchn->used, PORTS_MAX, 1); port < PORTS_MAX;
	     port = bit_next(d->evtchn->used, PORTS_MAX, port + 1)) {
		/* Somebody else may have closed it meanwhile: nothing is left to do then. */
		if (evtchn_close(d, port))
			continue;
		if (++n % 64 == 0 && work_pending())
			return -ERESTART_HV;
	}
	return 0;
}

/* ---- use ---- */

int evtchn_send(struct domain *d, evtchn_port_t port)
{
	struct evtchn_table *t = d->evtchn;
	struct channel *c = channel_of(t, port);
	int rc = 0;

	if (!c)
		return -EINVAL;
	spin_lock(&t->lock);
	switch (c->state) {
	case CHN_INTERDOMAIN:
		evtchn_set_pending(c->remote, c->remote_port);
		break;
	case CHN_IPI:
		evtchn_set_pending(d, port);
		break;
	case CHN_UNBOUND: /* nobody there yet: the event is dropped */
		break;
	default:
		rc = -EINVAL;
	}
	spin_unlock(&t->lock);
	return rc;
}

int evtchn_status(struct evtchn_status *status)
{
	struct domain *d = domain_get_self_or(status->dom);
	struct channel *c;
	int rc = 0;

	if (!d)
		return -ESRCH;
	if (d != current_domain() && !current_domain()->privileged) {
		domain_put(d);
		return -EPERM;
	}
	spin_lock(&d->evtchn->lock);
	c = channel_of(d->evtchn, status->port);
	if (!c && status->port >= BUCKET_PORTS)
		rc = -EINVAL;
	switch (c ? c->state : CHN_FREE) {
	case CHN_FREE:
		status->status = EVTCHNSTAT_closed;
		break;
	case CHN_UNBOUND:
		status->status = EVTCHNSTAT_unbound;
		status->u.unbound.dom = c->remote_domid;
		break;
	case CHN_INTERDOMAIN:
		status->status = EVTCHNSTAT_interdomain;
		status->u.interdomain.dom = c->remote->domid;
		status->u.interdomain.port = c->remote_port;
		break;
	case CHN_PIRQ:
		status->status = EVTCHNSTAT_pirq;
		status->u.pirq = c->pirq;
		break;
	case CHN_VIRQ:
		status->status = EVTCHNSTAT_virq;
		status->u.virq = c->virq;
		break;
	case CHN_IPI:
		status->status = EVTCHNSTAT_ipi;
		break;
	}
	status->vcpu = c ? c->notify_vcpu : 0;
	spin_unlock(&d->evtchn->lock);
	domain_put(d);
	return rc;
}

int evtchn_bind_vcpu(evtchn_port_t port, uint32_t vcpu)
{
	struct domain *d = current_domain();
	struct channel *c = channel_of(d->evtchn, port);
	int rc = 0;

	if (vcpu >= d->max_vcpus || !d->vcpus[index_nospec(vcpu, d->max_vcpus)])
		return -ENOENT;
	if (!c)
		return -EINVAL;
	spin_lock(&d->evtchn->lock);
	switch (c->state) {
	case CHN_VIRQ:
		if (virq_is_global(c->virq))
			WRITE_ONCE(c->notify_vcpu, (uint16_t)vcpu);
		else
			rc = -EINVAL;
		break;
	case CHN_UNBOUND:
	case CHN_INTERDOMAIN:
		WRITE_ONCE(c->notify_vcpu, (uint16_t)vcpu);
		break;
	case CHN_PIRQ:
		WRITE_ONCE(c->notify_vcpu, (uint16_t)vcpu);
		pirq_follow_vcpu(d, c->pirq, d->vcpus[vcpu]);
		break;
	default:
		rc = -EINVAL;
	}
	spin_unlock(&d->evtchn->lock);
	return rc;
}

static int unmask(struct domain *d, evtchn_port_t port)
{
	struct channel *c = channel_of(d->evtchn, port);
	struct shared_info *si = d->shared_info;
	struct vcpu *v;

	if (!c)
		return -EINVAL;
	v = d->vcpus[READ_ONCE(c->notify_vcpu)];
	if (!v)
		return -EINVAL;
	if (bit_test_and_clear((uint64_t *)si->evtchn_mask, port) &&
	    bit_test((uint64_t *)si->evtchn_pending, port))
		notify_vcpu(v, port);
	return 0;
}

int evtchn_unmask(evtchn_port_t port)
{
	return unmask(current_domain(), port);
}

int evtchn_unmask_pirq(struct domain *d, unsigned pirq)
{
	uint16_t *ports = __atomic_load_n(&d->evtchn->pirq_port, __ATOMIC_ACQUIRE);
	evtchn_port_t port = ports && pirq < PIRQS_MAX ? READ_ONCE(ports[pirq]) : 0;

	return port ? unmask(d, port) : 0;
}

/* ---- life ---- */

int evtchn_domain_init(struct domain *d, unsigned max_port)
{
	struct evtchn_table *t = hv_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->lock = SPINLOCK(RANK_EVTCHN);
	t->max_port = MIN(max_port, PORTS_MAX - 1u);
	bit_set(t->used, 0); /* no channel has number 0 */
	d->evtchn = t;
	return 0;
}

int evtchn_domain_destroy(struct domain *d)
{
	spin_lock(&d->evtchn->lock);
	d->evtchn->dying = true;
	spin_unlock(&d->evtchn->lock);
	drop_global_virqs(d);
	return evtchn_reset(d);
}

void evtchn_domain_free(struct domain *d)
{
	struct evtchn_table *t = d->evtchn;

	if (!t)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(t->bucket); i++)
		hv_free(t->bucket[i]);
	hv_free(t->pirq_port);
	hv_free(t);
	d->evtchn = NULL;
}
