/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings of a guest that change while it runs: memory, vcpus online, scheduler, affinity, links; and its pausing.
 *
 * A setting goes to the hypervisor, the store or the kernel first, then into the configuration and the journal, so that
 * the guest's next domain is built with it.
 */
#include <errno.h>
#include <string.h>

#include "live.h"
#include "error.h"
#include "guest.h"
#include "nic.h"
#include "storeio.h"

/* The setting holds: remembered, told, answered. */
static void settle(struct op *op, const char *what)
{
	struct guest *guest = op->guest;

	guest_publish(guest);
	guest_save(guest, JOURNAL_RUNNING);
	guest_event(guest, guest->journal->domid, "config", what);
	op_succeed(op);
}

static bool set_limit(struct op *op, uint64_t kib, GError **error)
{
	if (!xyl_memory_set_max(xylemd.xen, op->guest->journal->domid, kib + GUEST_MEMORY_SLACK_KIB))
		return true;
	return xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": its memory limit: %s", op->guest->name,
	               xyl_error());
}

void op_set_memory(struct op *op)
{
	struct guestconf *conf = op->guest->journal->conf;
	uint32_t domid = op->guest->journal->domid;
	uint64_t kib = g_variant_get_uint64(op->argument);
	g_autofree char *path = g_strdup_printf("/local/domain/%u/memory/target", domid);
	g_autoptr(GError) error = NULL;

	if (kib < GUEST_MEMORY_MIN_KIB || kib % 4 || kib > conf->max_memory_kib)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT,
		        "guest \"%s\": memory_kib %" G_GUINT64_FORMAT
		        " is not a multiple of 4 from %llu to %" G_GUINT64_FORMAT,
		        op->guest->name, kib, GUEST_MEMORY_MIN_KIB, conf->max_memory_kib);
	else if (set_limit(op, kib, &error) &&
	         xyl_store_printf(storeio_store(xylemd.io), XYL_TX_NONE, path, "%" G_GUINT64_FORMAT, kib)) {
		xd_fail(&error, XD_ERROR_STORE, "guest \"%s\": %s: %s", op->guest->name, path, xyl_error());
		(void)!set_limit(op, conf->memory_kib, NULL);
	}
	if (error) {
		op_fail(op, error);
		return;
	}
	conf->memory_kib = kib;
	settle(op, "memory");
}

void op_set_vcpus(struct op *op)
{
	struct guestconf *conf = op->guest->journal->conf;
	uint32_t wanted = g_variant_get_uint32(op->argument), vcpu;
	g_autoptr(GError) error = NULL;

	if (wanted < 1 || wanted > conf->max_vcpus)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\": vcpus %u is outside 1..%u",
		        op->guest->name, wanted, conf->max_vcpus);
	for (vcpu = 0; !error && vcpu < conf->max_vcpus; vcpu++) {
		g_autofree char *path = g_strdup_printf("/local/domain/%u/cpu/%u/availability",
		                                        op->guest->journal->domid, vcpu);

		/* Each change is an event for the guest: only real ones. */
		if ((vcpu < conf->vcpus) == (vcpu < wanted))
			continue;
		if (xyl_store_printf(storeio_store(xylemd.io), XYL_TX_NONE, path, "%s",
		                     vcpu < wanted ? "online" : "offline"))
			xd_fail(&error, XD_ERROR_STORE, "guest \"%s\": %s: %s", op->guest->name, path,
			        xyl_error());
	}
	if (error) {
		op_fail(op, error);
		return;
	}
	conf->vcpus = wanted;
	settle(op, "vcpus");
}

void op_set_scheduler(struct op *op)
{
	struct guestconf *conf = op->guest->journal->conf;
	struct xyl_sched sched = { .weight = conf->weight, .cap = conf->cap };
	g_autoptr(GError) error = NULL;

	if (scheduler_parse(op->argument, conf, &sched.weight, &sched.cap, &error) &&
	    xyl_sched_set(xylemd.xen, op->guest->journal->domid, &sched))
		xd_fail(&error, errno == EOPNOTSUPP ? XD_ERROR_NOT_SUPPORTED : XD_ERROR_HYPERVISOR,
		        "guest \"%s\": weight %u, cap %u: %s", op->guest->name, sched.weight, sched.cap,
		        xyl_error());
	if (error) {
		op_fail(op, error);
		return;
	}
	conf->weight = sched.weight;
	conf->cap = sched.cap;
	settle(op, "scheduler");
}

void op_set_affinity(struct op *op)
{
	struct guestconf *conf = op->guest->journal->conf;
	g_autoptr(GError) error = NULL;
	struct vcpu_pin pin = { 0 };
	const uint8_t *cpus;
	gsize bytes;

	if (pin_parse(op->argument, conf, &pin, &error)) {
		cpus = g_bytes_get_data(pin.cpumap, &bytes);
		if (xyl_vcpu_set_affinity(xylemd.xen, op->guest->journal->domid, pin.vcpu, cpus, NULL, bytes))
			xd_fail(&error, XD_ERROR_HYPERVISOR, "guest \"%s\": CPUs of vcpu %u: %s",
			        op->guest->name, pin.vcpu, xyl_error());
	}
	if (error) {
		g_clear_pointer(&pin.cpumap, g_bytes_unref);
		op_fail(op, error);
		return;
	}
	guestconf_set_pin(conf, &pin);
	settle(op, "affinity");
}

static bool put_link(struct guest *guest, const struct nic_conf *nic, guint index, bool up, GError **error)
{
	return nic_set_link(nic, guest->journal->domid,
	                    g_array_index(guest->journal->nic_devids, uint32_t, index), up, guest->name,
	                    error);
}

void op_set_link(struct op *op)
{
	struct guest *guest = op->guest;
	struct nic_conf *nic;
	g_autoptr(GError) error = NULL;
	const char *mac;
	gboolean up;
	guint index = 0;

	g_variant_get(op->argument, "(&sb)", &mac, &up);
	nic = guestconf_find_nic_text(guest->journal->conf, mac, &index);
	if (!nic)
		xd_fail(&error, XD_ERROR_NOT_FOUND, "guest \"%s\": it has no nic %.32s", guest->name, mac);
	/* One that is held stays down: its release looks at what is said here. */
	else if (!nic->hold || nic->released)
		put_link(guest, nic, index, up, &error);
	if (error) {
		op_fail(op, error);
		return;
	}
	nic->link_down = !up;
	settle(op, "link");
}

/* Of the domain that its client has set up (op->domid), and of no other one. */
void op_release_nic(struct op *op)
{
	struct guest *guest = op->guest;
	const char *mac = g_variant_get_string(op->argument, NULL);
	guint index = 0;
	struct nic_conf *nic = guestconf_find_nic_text(guest->journal->conf, mac, &index);
	g_autoptr(GError) error = NULL;

	if (!nic)
		xd_fail(&error, XD_ERROR_NOT_FOUND, "guest \"%s\": it has no nic %.32s", guest->name, mac);
	else if (nic->link_down || put_link(guest, nic, index, true, &error))
		nic->released = true;
	if (error)
		op_fail(op, error);
	else
		op_succeed(op);
}

void op_set_policy(struct op *op)
{
	g_autoptr(GError) error = NULL;

	if (policy_parse(op->argument, op->guest->journal->conf, &error))
		settle(op, "policy");
	else
		op_fail(op, error);
}

void op_set_opaque(struct op *op)
{
	struct guestconf *conf = op->guest->journal->conf;
	const char *opaque = g_variant_get_string(op->argument, NULL);
	g_autoptr(GError) error = NULL;

	if (strlen(opaque) > GUEST_OPAQUE_MAX) {
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\": opaque is longer than %d KiB",
		        op->guest->name, GUEST_OPAQUE_MAX / 1024);
		op_fail(op, error);
		return;
	}
	g_free(conf->opaque);
	conf->opaque = g_strdup(opaque);
	guest_publish(op->guest);
	guest_save(op->guest, op->guest->journal->phase);
	op_succeed(op);
}

/*
 * Pauses or lets run. A guest that had stopped by then was neither: wait for its next domain. One that stands still stops
 * by nothing of its own, so that one that has stopped when it is looked at again was let run.
 */
static void set_paused(struct op *op, bool pause)
{
	struct guest *guest = op->guest;
	uint32_t domid = guest->journal->domid;
	g_autoptr(GError) error = NULL;
	struct xyl_dominfo info;
	bool change = false, ran = false;

	if (!xyl_domain_info(xylemd.xen, domid, &info)) {
		change = info.paused != pause;
		ran = change && !pause && !info.dying && !info.shutdown;
		/* Pauses are counted: only one of ours at a time. */
		if (!change ||
		    !(pause ? xyl_domain_pause(xylemd.xen, domid) : xyl_domain_unpause(xylemd.xen, domid))) {
			if (ran ||
			    (!xyl_domain_info(xylemd.xen, domid, &info) && !info.dying && !info.shutdown)) {
				if (change)
					guest_event(guest, domid, pause ? "paused" : "unpaused", "");
				op_succeed(op);
				return;
			}
			op->again = true;
			return;
		}
	}
	if (errno == ESRCH) {
		op->again = true;
		return;
	}
	xd_fail(&error, XD_ERROR_HYPERVISOR, "guest \"%s\": %s", guest->name, xyl_error());
	op_fail(op, error);
}

void op_pause(struct op *op)
{
	set_paused(op, true);
}

void op_unpause(struct op *op)
{
	set_paused(op, false);
}
