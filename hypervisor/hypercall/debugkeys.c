/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XEN_SYSCTL_debug_keys ("xl debug-keys"): what a person at dom0 asks the hypervisor to show, or to do to itself. One table
 * of keys, with Xen's letters; h lists them. What they show goes to the console and its ring ("xl dmesg").
 */
#include "hypercall/domctl.h"
#include "dom/domtable.h"
#include "dom/sched.h"
#include "hypercall/debugdump.h"
#include "hw/power.h"
#include "hypercall/sysctl.h"
#include "lib/log.h"
#include "mm/audit.h"
#include "mm/heap.h"

#define KEYS_MAX 16
/* Lines of one call, which its keys share: three seconds on a serial line, and what the console's ring keeps. */
#define LINES_MAX     240
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
	log_answer("audit: %u domains, %u vcpus, %d frames with wrong counts", s->count, n, rc);
	return rc ? -EIO : 0;
}

/* domctl_lock, as for all below. */
static int audit(void)
{
	struct stopped *s;
	int rc = -ENOMEM;

	s = hv_alloc(sizeof(*s));
	if (s) {
		if (stop_all(s)) {
			rc = audit_stopped(s);
		} else {
			log_answer("audit: there are more than %u domains", AUDIT_DOMAINS);
			rc = -E2BIG;
		}
		start_all(s);
		hv_free(s);
	}
	return rc;
}

/* m: memory, and a recount of all references to frames, with everything but the caller stopped. */
static int memory(void)
{
	dump_memory();
	return audit();
}

static const struct key {
	char key;
	void (*show)(void);
	const char *description;
} keys_shown[] = {
	{ '0', dump_dom0_registers, "registers of dom0" },
	{ 'a', dump_timers, "timers" },
	{ 'c', dump_idle_states, "idle states" },
	{ 'd', dump_cpu_registers, "registers and stacks of CPUs, by NMI" },
	{ 'e', dump_event_channels, "event channels" },
	{ 'g', dump_grants, "grants in use" },
	{ 'H', dump_heap, "heap" },
	{ 'i', dump_interrupts, "interrupts" },
	{ 'M', dump_msi, "MSI and MSI-X" },
	{ 'q', dump_domains, "domains and vcpus" },
	{ 'r', dump_run_queues, "run queues" },
	{ 's', dump_clocks, "clocks" },
	{ 't', dump_clocks, "clocks" },
	{ 'u', dump_nodes, "NUMA" },
	{ 'z', dump_ioapics, "I/O APICs" },
};

static void help(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys_shown); i++)
		log_answer("  %c  %s", keys_shown[i].key, keys_shown[i].description);
	log_answer("  h  this list");
	log_answer("  m  memory, and a recount of all references to frames");
	log_answer("  R  reboot the machine");
	log_answer("  *  all of the upper part, one after another");
}

static bool show(char key, unsigned lines)
{
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(keys_shown); i++)
		if (key == '*' || key == keys_shown[i].key) {
			dump_allow(key == '*' ? MAX(lines / ARRAY_SIZE(keys_shown), 1ul) : lines);
			keys_shown[i].show();
			found = true;
		}
	return found;
}

static int press(char key, unsigned lines)
{
	if (key == 'R') {
		log_answer("the machine reboots, since key R was sent");
		spin_unlock(&domctl_lock);
		machine_reboot();
	}
	if (key == 'm') {
		dump_allow(lines);
		return memory();
	}
	if (key == 'h')
		help();
	else if (!show(key, lines))
		log_answer("debug key %c (0x%x) has no meaning here: h lists those that have",
		           key < ' ' || key > '~' ? '.' : key, (unsigned)(uint8_t)key);
	return 0;
}

int debug_keys(const struct xen_sysctl_debug_keys *k)
{
	char keys[KEYS_MAX];
	int rc = 0;

	if (k->nr_keys > KEYS_MAX)
		return -E2BIG;
	if (guest_copy_in(keys, GVA((uintptr_t)k->keys.p), k->nr_keys))
		return -EFAULT;
	/* Whoever holds the lock may be waiting for us to leave our CPU. */
	if (!spin_trylock(&domctl_lock))
		return -ERESTART_HV;
	for (unsigned i = 0; i < k->nr_keys && !rc; i++)
		rc = press(keys[i], LINES_MAX / k->nr_keys);
	spin_unlock(&domctl_lock);
	return rc;
}
