/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Noticing what happens to domains: the store says that something did (@introduceDomain, @releaseDomain), the
 * hypervisor's list says what. Also the first look at start, when guests of an earlier life are adopted.
 *
 * Scans run on a thread, one at a time; a request during a scan causes one more. A domain is ours when its
 * number and its UUID are those of a guest in the tables; a domain with the UUID of a guest of ours but
 * another number is one that is just being made or buried.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"
#include "build.h"
#include "device.h"
#include "dirtyrate.h"
#include "disk.h"
#include "ended.h"
#include "error.h"
#include "save.h"
#include "storeio.h"
#include "teardown.h"

struct foreign {
	uint8_t id[16];
	char *name;
	bool seen; /* in this scan */
};

#define LOOK_AGAIN_MS 1000

static GHashTable *foreign_domains; /* struct foreign by domid; belongs to the scan that runs */
static gint scan_wanted;            /* atomic: 0 idle, 1 running, 2 running and wanted again */
static gint look_again_wanted;      /* atomic: a timer runs */
static bool first_scan = true;

static void foreign_free(gpointer data)
{
	struct foreign *foreign = data;

	g_free(foreign->name);
	g_free(foreign);
}

static void foreign_event(uint32_t domid, const struct foreign *foreign, const char *event,
                          const char *detail)
{
	g_autofree char *uuid = uuid_to_text(foreign->id);

	xd_xylemd1_emit_domain_event(xylemd.service, domid, uuid, foreign->name, event, detail);
}

/* The name is in a node that the domain cannot write, but it is somebody else's text. */
static char *domain_name(uint32_t domid)
{
	char *name = xyl_store_readf(storeio_store(xylemd.io), XYL_TX_NONE, "/local/domain/%u/name", domid);
	g_autofree char *cut = name ? g_strndup(name, 255) : g_strdup("");

	free(name);
	return g_utf8_make_valid(cut, -1);
}

static void note_foreign(const struct xyl_dominfo *info)
{
	struct foreign *foreign = g_hash_table_lookup(foreign_domains, GUINT_TO_POINTER(info->domid));

	if (foreign && memcmp(foreign->id, info->uuid, 16)) {
		foreign_event(info->domid, foreign, "died", "");
		g_hash_table_remove(foreign_domains, GUINT_TO_POINTER(info->domid));
		foreign = NULL;
	}
	if (!foreign) {
		foreign = g_new0(struct foreign, 1);
		memcpy(foreign->id, info->uuid, 16);
		foreign->name = domain_name(info->domid);
		g_hash_table_insert(foreign_domains, GUINT_TO_POINTER(info->domid), foreign);
		if (!first_scan)
			foreign_event(info->domid, foreign, "created", "");
	}
	foreign->seen = true;
}

/* Queues what follows from a stop of one of our guests, once. */
static void note_stop(struct guest *guest, uint32_t domid, op_fn *run, uint32_t reason)
{
	struct op *op;
	bool fresh;

	g_mutex_lock(&xylemd.lock);
	fresh = guest->domid == domid && guest->stopped_domid != domid && !guest->saving &&
	        !g_atomic_int_get(&guest->doomed);
	if (fresh)
		guest->stopped_domid = domid;
	g_mutex_unlock(&xylemd.lock);
	if (!fresh)
		return;
	op = op_new(run, run == op_policy ? "policy" : "destroy", guest, NULL);
	op->domid = domid;
	op->number = reason;
	op_submit(op);
}

void scan_stopped(struct guest *guest, uint32_t domid, const struct xyl_dominfo *info)
{
	if (!info || info->dying)
		note_stop(guest, domid, op_lost, 0);
	else if (info->shutdown)
		note_stop(guest, domid, op_policy, (uint32_t)info->shutdown_reason);
}

static void note_ours(struct guest *guest, const struct xyl_dominfo *info)
{
	if (info->dying || info->shutdown) {
		scan_stopped(guest, info->domid, info);
	} else {
		/* It may have been resumed after a suspend: its next stop counts again. */
		g_mutex_lock(&xylemd.lock);
		if (guest->stopped_domid == info->domid)
			guest->stopped_domid = 0;
		g_mutex_unlock(&xylemd.lock);
	}
}

static void note_domain(const struct xyl_dominfo *info, GHashTable *alive)
{
	g_autofree char *uuid = uuid_to_text(info->uuid);
	struct guest *guest = guest_by_uuid(uuid);
	uint32_t domid = 0;

	if (!guest) {
		note_foreign(info);
		return;
	}
	g_mutex_lock(&xylemd.lock);
	domid = guest->domid;
	g_mutex_unlock(&xylemd.lock);
	if (domid == info->domid) {
		g_hash_table_add(alive, GUINT_TO_POINTER(domid));
		note_ours(guest, info);
	}
	guest_unref(guest);
}

/* Guests of ours whose domain the list does not have. */
static void note_missing(GHashTable *alive, GPtrArray *before)
{
	guint i;

	for (i = 0; i < before->len; i++) {
		uint32_t domid = GPOINTER_TO_UINT(g_ptr_array_index(before, i));
		struct guest *guest;

		if (g_hash_table_contains(alive, GUINT_TO_POINTER(domid)))
			continue;
		guest = guest_by_domid(domid);
		if (guest)
			note_stop(guest, domid, op_lost, 0);
		guest_unref(guest);
	}
}

static void forget_foreign(void)
{
	GHashTableIter iter;
	gpointer key, value;

	g_hash_table_iter_init(&iter, foreign_domains);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		struct foreign *foreign = value;

		if (!foreign->seen) {
			foreign_event(GPOINTER_TO_UINT(key), foreign, "died", "");
			g_hash_table_iter_remove(&iter);
			continue;
		}
		foreign->seen = false;
	}
}

static gboolean look_again(gpointer data)
{
	(void)data;
	g_atomic_int_set(&look_again_wanted, 0);
	scan_request();
	return G_SOURCE_REMOVE;
}

/* The store reports that a domain dies, and not always that it is gone (Xen's own xenstored never does). */
static void look_again_later(void)
{
	if (g_atomic_int_compare_and_exchange(&look_again_wanted, 0, 1))
		g_timeout_add(LOOK_AGAIN_MS, look_again, NULL);
}

static void scan_once(void)
{
	g_autoptr(GHashTable) alive = g_hash_table_new(g_direct_hash, g_direct_equal);
	g_autoptr(GPtrArray) before = g_ptr_array_new();
	struct xyl_dominfo *domains = NULL;
	GHashTableIter iter;
	gpointer key;
	int count, i;

	/* Which domains we had before the list was made: a newer one cannot be missing from it. */
	g_mutex_lock(&xylemd.lock);
	g_hash_table_iter_init(&iter, xylemd.by_domid);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		g_ptr_array_add(before, key);
	g_mutex_unlock(&xylemd.lock);
	count = xyl_domain_list_all(xylemd.xen, &domains);
	if (count < 0) {
		g_warning("listing domains: %s", xyl_error());
		return;
	}
	for (i = 0; i < count; i++) {
		if (domains[i].domid)
			note_domain(&domains[i], alive);
		if (domains[i].dying)
			look_again_later();
	}
	free(domains);
	note_missing(alive, before);
	forget_foreign();
	first_scan = false;
	g_mutex_lock(&xylemd.lock);
	g_cond_broadcast(&xylemd.scanned);
	g_mutex_unlock(&xylemd.lock);
}

static void op_scan(struct op *op)
{
	(void)op;
	do {
		g_atomic_int_set(&scan_wanted, 1);
		scan_once();
	} while (!g_atomic_int_compare_and_exchange(&scan_wanted, 1, 0));
}

void scan_request(void)
{
	if (g_atomic_int_compare_and_exchange(&scan_wanted, 0, 1))
		op_submit_quick(&xylemd.urgent, op_new(op_scan, "", NULL, NULL));
	else
		g_atomic_int_compare_and_exchange(&scan_wanted, 1, 2);
}

static void domains_changed(struct xyl_store *store, const char *path, void *data)
{
	(void)store;
	(void)path;
	(void)data;
	scan_request();
}

bool scan_start(GError **error)
{
	foreign_domains = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, foreign_free);
	if (!xyl_store_watch(storeio_store(xylemd.io), "@introduceDomain", domains_changed, NULL) ||
	    !xyl_store_watch(storeio_store(xylemd.io), "@releaseDomain", domains_changed, NULL))
		return xd_fail(error, XD_ERROR_STORE, "cannot watch domains: %s", xyl_error());
	scan_request();
	return true;
}

/* Builds the guest anew; its old domain is gone or was never adopted. */
static void restart(struct guest *guest, const char *reason)
{
	g_autoptr(GError) error = NULL;
	const char *why = "failed";

	if (guest_alive(guest, &error) && build_guest(guest, false, "restart", &error)) {
		guest_event(guest, guest->journal->domid, "rebooted", reason);
		return;
	}
	/* A Destroy came in between: it is what happened to the guest, and is answered when all is gone. */
	if (g_atomic_int_get(&guest->doomed))
		why = "request";
	else
		g_warning("guest \"%s\": it cannot be restarted: %s", guest->name, error->message);
	if (!guest->journal->domid)
		guest_event(guest, 0, "died", why);
	teardown_guest(guest, false, why);
}

/* The guest has stopped by itself; number is the hypervisor's reason. */
void op_policy(struct op *op)
{
	struct guest *guest = op->guest;
	struct journal *journal = guest->journal;
	int64_t now = boottime_us();
	struct policy_verdict verdict = policy_decide(journal->conf, &journal->policy, (int)op->number, now);

	/* A Destroy that waits behind this operation does the rest. */
	if (g_atomic_int_get(&guest->doomed))
		return;
	if (op->number == XYL_SHUTDOWN_SUSPEND && save_resume_abandoned(guest))
		return;
	guest_event(guest, journal->domid, verdict.event, verdict.reason);
	if (verdict.dump)
		ended_dump(guest);
	/* A Destroy came in meanwhile. */
	if (g_atomic_int_get(&guest->doomed))
		return;
	if (verdict.action == POLICY_PRESERVE) {
		guest->settled_domid = journal->domid;
	} else if (verdict.action == POLICY_DESTROY) {
		if (verdict.rate_limited)
			g_warning(
			        "guest \"%s\" stopped %u times within %d s of its start: it is not started again",
			        guest->name, POLICY_QUICK_RUNS_MAX, (int)(POLICY_QUICK_RUN_US / 1000000));
		guest_event(guest, journal->domid, "destroyed",
		            verdict.rate_limited ? "rate-limit" : "policy");
		teardown_guest(guest, false, verdict.rate_limited ? "rate-limit" : "policy");
	} else {
		guest_set_phase(guest, "restarting");
		journal->policy = policy_restarted(&journal->policy, now);
		if (!verdict.keep || !ended_keep(guest)) {
			guest_event(guest, journal->domid, "destroyed", "restart");
			teardown_guest(guest, true, "restart");
		}
		restart(guest, verdict.reason);
	}
}

/* A guest whose build, restart or teardown was cut off when xylemd was killed. */
static void op_clean(struct op *op)
{
	bool again = op->number;

	if (op->guest->journal->domid)
		guest_event(op->guest, op->guest->journal->domid, "destroyed", again ? "restart" : "policy");
	teardown_guest(op->guest, again, again ? "restart" : "policy");
	if (again)
		restart(op->guest, "reboot");
}

/* A guest that was found running: its disks are claimed and held open, as far as they answer. */
static void op_adopt(struct op *op)
{
	struct guest *guest = op->guest;
	guint i;

	for (i = 0; i < guest->disks->len; i++)
		disk_adopt(g_ptr_array_index(guest->disks, i),
		           g_ptr_array_index(guest->journal->conf->disks, i));
	/* Whether somebody had set them up is not known: whoever says that a link is up has to know. */
	for (i = 0; i < guest->journal->conf->nics->len; i++)
		((struct nic_conf *)g_ptr_array_index(guest->journal->conf->nics, i))->released = true;
	device_screen_adopt(guest);
	guest_publish(guest);
	save_adopt(guest);
	dirtyrate_adopt(guest);
}

/* The domain of this UUID that is not on its way out, or 0. */
static uint32_t find_domain(const struct xyl_dominfo *domains, int count, const uint8_t id[16],
                            uint32_t preferred)
{
	uint32_t found = 0;
	int i;

	for (i = 0; i < count; i++) {
		if (!domains[i].domid || memcmp(domains[i].uuid, id, 16))
			continue;
		if (!domains[i].dying || domains[i].domid == preferred)
			found = domains[i].domid;
		if (found == preferred)
			break;
	}
	return found;
}

/* Whether there is a domain of this number: of whomever, not of the guest whose domain was not found. */
static bool is_there(const struct xyl_dominfo *domains, int count, uint32_t domid)
{
	int i;

	for (i = 0; i < count && domains[i].domid != domid; i++)
		;
	return i < count;
}

static void adopt(struct journal *journal, const struct xyl_dominfo *domains, int count)
{
	uint32_t recorded = journal->domid, domid;
	enum journal_phase phase = journal->phase;
	struct guest *guest = guest_new(journal);
	g_autoptr(GError) error = NULL;
	struct op *op;
	guint i;

	if (!guest_register(guest, &error)) {
		g_warning("%s", error->message);
		guest_unref(guest);
		return;
	}
	domid = find_domain(domains, count, guest->id, recorded);
	/* Without a domain its nodes and backends may still be there: the recorded number leads to them. */
	guest_set_domid(guest, domid || is_there(domains, count, recorded) ? domid : recorded);
	if (phase == JOURNAL_RUNNING && domid && domid == recorded) {
		/* A disk that does not answer keeps its guest's operations waiting, and nothing else. */
		for (i = 0; i < journal->conf->disks->len; i++)
			g_ptr_array_add(
			        guest->disks,
			        disk_adopt_begin(g_ptr_array_index(journal->conf->disks, i), guest->name));
		op_submit(op_new(op_adopt, "adopt", guest, NULL));
		guest_event(guest, domid, "created", "adopted");
	} else {
		if (phase == JOURNAL_RESTART)
			guest_set_phase(guest, "restarting");
		op = op_new(phase == JOURNAL_RUNNING ? op_lost : op_clean, "destroy", guest, NULL);
		op->number = phase == JOURNAL_RESTART;
		op_submit(op);
	}
	guest_unref(guest);
}

void scan_adopt_all(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GDir) dir = g_dir_open(xylemd.journal_dir, 0, &error);
	struct xyl_dominfo *domains = NULL;
	int count = xyl_domain_list_all(xylemd.xen, &domains);
	const char *name;

	if (!dir || count < 0) {
		g_warning("no guests are adopted: %s", error ? error->message : xyl_error());
		free(domains);
		return;
	}
	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(xylemd.journal_dir, name, NULL);
		g_autoptr(GError) bad = NULL;
		struct journal *journal;

		if (!g_uuid_string_is_valid(name))
			continue;
		journal = journal_load(path, &bad);
		if (!journal) {
			g_autofree char *aside = g_strconcat(path, ".bad", NULL);

			g_warning("%s; it is set aside", bad->message);
			if (rename(path, aside))
				g_warning("%s: %s", path, g_strerror(errno));
			continue;
		}
		adopt(journal, domains, count);
	}
	free(domains);
}
