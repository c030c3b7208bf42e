/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XEN_SYSCTL_debug_keys ("xl debug-keys"): what a person at dom0 asks the hypervisor to do to itself.
 *   m  recount all references to frames (mm_audit()), with everything but the caller stopped
 * Other keys are named in the log as unknown.
 */
#include "hypercall/domctl.h"
#include "lib/log.h"
#include "mm/heap.h"
#include "mm/pagetable.h"

#define KEYS_MAX      16
#define AUDIT_DOMAINS 64

struct stopped {
	struct domain *d[AUDIT_DOMAINS];
	struct domain_mm *mm[AUDIT_DOMAINS];
	unsigned count;
};

/* Every other vcpu of the caller's domain, and the vcpus of all others. False: there are more than it has room for. */
static bool stop_all(struct stopped *s)
{
	struct domain *self = current_domain();
	struct domain *d;

	for (unsigned id = 0; (d = domain_get_next((uint16_t)id)); id = d->domid + 1u) {
		if (s->count == AUDIT_DOMAINS) {
			domain_put(d);
			break;
		}
		s->mm[s->count] = &d->mm;
		s->d[s->count++] = d;
		if (d != self)
			domain_pause(d);
	}
	for (unsigned i = 0; i < self->max_vcpus; i++)
		if (self->vcpus[i] && self->vcpus[i] != current_vcpu())
			vcpu_pause(self->vcpus[i]);
	return !d;
}

static void start_all(struct stopped *s)
{
	struct domain *self = current_domain();

	for (unsigned i = 0; i < self->max_vcpus; i++)
		if (self->vcpus[i] && self->vcpus[i] != current_vcpu())
			vcpu_unpause(self->vcpus[i]);
	for (unsigned i = 0; i < s->count; i++) {
		if (s->d[i] != self)
			domain_unpause(s->d[i]);
		domain_put(s->d[i]);
	}
}

static int count_vcpus(const struct stopped *s)
{
	int n = 0;

	for (unsigned i = 0; i < s->count; i++)
		n += (int)s->d[i]->max_vcpus;
	return n;
}

static int audit_stopped(const struct stopped *s)
{
	struct audit_root *roots = hv_alloc((size_t)count_vcpus(s) * sizeof(*roots));
	unsigned n = 0;
	int rc;

	if (!roots)
		return -ENOMEM;
	for (unsigned i = 0; i < s->count; i++)
		for (unsigned j = 0; j < s->d[i]->max_vcpus; j++) {
			const struct vcpu *v = s->d[i]->vcpus[j];

			if (v)
				roots[n++] = (struct audit_root){ s->mm[i], { v->l4_kernel, v->l4_user } };
		}
	rc = mm_audit(s->mm, s->count, roots, n, false);
	hv_free(roots);
	if (rc < 0)
		return -ENOMEM;
	log_info("audit: %u domains, %u vcpus, %d frames with wrong counts", s->count, n, rc);
	return rc ? -EIO : 0;
}

static int audit(void)
{
	struct stopped *s;
	int rc = -ENOMEM;

	/* Whoever holds the lock may be waiting for us to leave our CPU. */
	if (!spin_trylock(&domctl_lock))
		return -ERESTART_HV;
	s = hv_alloc(sizeof(*s));
	if (s) {
		if (stop_all(s)) {
			rc = audit_stopped(s);
		} else {
			log_info("audit: there are more than %u domains", AUDIT_DOMAINS);
			rc = -E2BIG;
		}
		start_all(s);
		hv_free(s);
	}
	spin_unlock(&domctl_lock);
	return rc;
}

int debug_keys(const struct xen_sysctl_debug_keys *k)
{
	char keys[KEYS_MAX];
	int rc = 0;

	if (k->nr_keys > KEYS_MAX)
		return -E2BIG;
	if (guest_copy_in(keys, GVA((uintptr_t)k->keys.p), k->nr_keys))
		return -EFAULT;
	for (unsigned i = 0; i < k->nr_keys && !rc; i++) {
		if (keys[i] == 'm')
			rc = audit();
		else
			log_info("debug key %c (0x%x) has no handler",
			         keys[i] < ' ' || keys[i] > '~' ? '.' : keys[i], (unsigned)(uint8_t)keys[i]);
	}
	return rc;
}
