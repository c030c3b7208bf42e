/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of guests and the operations on them; see guest.h. */
#include "guest.h"
#include "device.h"
#include "disk.h"
#include "ended.h"
#include "error.h"
#include "scan.h"
#include "teardown.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUICK_THREADS 8
#define WATCH_MS      1000

struct daemon xylemd;

static bool uuid_to_bytes(const char *uuid, uint8_t id[16])
{
	int high = -1, count = 0;

	for (; *uuid && count < 16; uuid++) {
		int digit = g_ascii_xdigit_value(*uuid);

		if (digit < 0)
			continue;
		if (high < 0) {
			high = digit;
		} else {
			id[count++] = (uint8_t)(high << 4 | digit);
			high = -1;
		}
	}
	return count == 16;
}

char *uuid_to_text(const uint8_t id[16])
{
	GString *text = g_string_new(NULL);
	int i;

	for (i = 0; i < 16; i++)
		g_string_append_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
		                       id[i]);
	return g_string_free(text, FALSE);
}

uint64_t unclaimed_pages(const struct xyl_hostinfo *host)
{
	return host->free_pages > host->outstanding_pages ? host->free_pages - host->outstanding_pages : 0;
}

int64_t boottime_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct guest *guest_new(struct journal *journal)
{
	struct guest *guest = g_new0(struct guest, 1);

	guest->refs = 1;
	guest->name = g_strdup(journal->conf->name);
	guest->uuid = g_strdup(journal->conf->uuid);
	guest->kept_of = g_strdup(journal->kept_of);
	if (!uuid_to_bytes(guest->uuid, guest->id))
		g_error("a checked UUID has not 16 bytes");
	guest->operation = "";
	g_queue_init(&guest->waiting);
	guest->journal = journal;
	guest->disks = g_ptr_array_new_with_free_func((GDestroyNotify)disk_close);
	guest_publish(guest);
	return guest;
}

struct guest *guest_ref(struct guest *guest)
{
	g_atomic_int_inc(&guest->refs);
	return guest;
}

void guest_unref(struct guest *guest)
{
	if (!guest || !g_atomic_int_dec_and_test(&guest->refs))
		return;
	g_ptr_array_unref(guest->disks);
	journal_free(guest->journal);
	g_clear_pointer(&guest->snapshot, g_variant_unref);
	g_clear_pointer(&guest->devices, g_variant_unref);
	g_free(guest->name);
	g_free(guest->uuid);
	g_free(guest->kept_of);
	g_free(guest);
}

bool guest_register(struct guest *guest, GError **error)
{
	struct guest *same;
	bool ok = false;

	g_mutex_lock(&xylemd.lock);
	same = g_hash_table_lookup(xylemd.by_uuid, guest->uuid);
	if (same && g_atomic_int_get(&same->doomed))
		xd_fail(error, XD_ERROR_BUSY,
		        "guest \"%s\": it was destroyed, and is not gone yet: a disk does not answer, or another guest holds its memory",
		        guest->name);
	else if (same)
		xd_fail(error, XD_ERROR_EXISTS, "guest \"%s\": a guest with uuid %s is there already",
		        guest->name, guest->uuid);
	else if (g_hash_table_contains(xylemd.by_name, guest->name))
		xd_fail(error, XD_ERROR_EXISTS, "guest \"%s\": a guest of this name is there already",
		        guest->name);
	else if (g_hash_table_size(xylemd.by_uuid) >= GUESTS_MAX)
		xd_fail(error, XD_ERROR_LIMIT, "guest \"%s\": there are %d guests already", guest->name,
		        GUESTS_MAX);
	else
		ok = true;
	if (ok) {
		g_hash_table_insert(xylemd.by_uuid, guest->uuid, guest_ref(guest));
		g_hash_table_insert(xylemd.by_name, guest->name, guest);
	}
	g_mutex_unlock(&xylemd.lock);
	return ok;
}

/* The number may be another guest's by now. The caller holds the lock. */
static void forget_domid_locked(struct guest *guest)
{
	gpointer key = GUINT_TO_POINTER(guest->domid);

	if (guest->domid && g_hash_table_lookup(xylemd.by_domid, key) == guest)
		g_hash_table_remove(xylemd.by_domid, key);
	guest->domid = 0;
}

void guest_unregister(struct guest *guest)
{
	g_mutex_lock(&xylemd.lock);
	forget_domid_locked(guest);
	g_hash_table_remove(xylemd.by_name, guest->name);
	/* Drops the table's reference; an operation on the guest holds another. */
	g_hash_table_remove(xylemd.by_uuid, guest->uuid);
	g_mutex_unlock(&xylemd.lock);
}

struct guest *guest_by_domid(uint32_t domid)
{
	struct guest *guest;

	g_mutex_lock(&xylemd.lock);
	guest = g_hash_table_lookup(xylemd.by_domid, GUINT_TO_POINTER(domid));
	if (guest)
		guest_ref(guest);
	g_mutex_unlock(&xylemd.lock);
	return guest;
}

struct guest *guest_by_uuid(const char *uuid)
{
	struct guest *guest;

	g_mutex_lock(&xylemd.lock);
	guest = g_hash_table_lookup(xylemd.by_uuid, uuid);
	if (guest)
		guest_ref(guest);
	g_mutex_unlock(&xylemd.lock);
	return guest;
}

void guest_set_domid(struct guest *guest, uint32_t domid)
{
	g_mutex_lock(&xylemd.lock);
	if (domid != guest->domid)
		memset(&guest->limits, 0, sizeof(guest->limits));
	forget_domid_locked(guest);
	guest->domid = domid;
	guest->stopped_domid = 0;
	if (domid)
		g_hash_table_insert(xylemd.by_domid, GUINT_TO_POINTER(domid), guest);
	g_mutex_unlock(&xylemd.lock);
	guest->journal->domid = domid;
}

void guest_give_domid(struct guest *guest, struct guest *to)
{
	uint32_t domid = guest->journal->domid;

	g_mutex_lock(&xylemd.lock);
	guest->domid = 0;
	guest->stopped_domid = 0;
	to->domid = domid;
	to->stopped_domid = domid;
	g_hash_table_insert(xylemd.by_domid, GUINT_TO_POINTER(domid), to);
	g_mutex_unlock(&xylemd.lock);
	guest->journal->domid = 0;
	to->journal->domid = domid;
	to->settled_domid = domid;
}

struct guest *guest_kept_of(const struct guest *guest)
{
	struct guest *found = NULL;
	GHashTableIter iter;
	gpointer value;

	g_mutex_lock(&xylemd.lock);
	g_hash_table_iter_init(&iter, xylemd.by_uuid);
	while (!found && g_hash_table_iter_next(&iter, NULL, &value)) {
		struct guest *other = value;

		if (!g_strcmp0(other->kept_of, guest->uuid))
			found = guest_ref(other);
	}
	g_mutex_unlock(&xylemd.lock);
	return found;
}

void guest_publish(struct guest *guest)
{
	GVariant *fresh = g_variant_ref_sink(guestconf_to_variant(guest->journal->conf)), *old;
	GVariant *devices = g_variant_ref_sink(device_list(guest)), *old_devices;

	g_variant_get_data(fresh); /* encodes it here, once for all who take it into theirs */
	g_variant_get_data(devices);
	g_mutex_lock(&xylemd.lock);
	old = guest->snapshot;
	guest->snapshot = fresh;
	old_devices = guest->devices;
	guest->devices = devices;
	g_mutex_unlock(&xylemd.lock);
	if (old)
		g_variant_unref(old);
	if (old_devices)
		g_variant_unref(old_devices);
}

void guest_set_phase(struct guest *guest, const char *phase)
{
	g_mutex_lock(&xylemd.lock);
	guest->phase = phase;
	g_mutex_unlock(&xylemd.lock);
}

bool guest_try_save(struct guest *guest, enum journal_phase phase, GError **error)
{
	g_autoptr(GVariant) conf = NULL;

	g_mutex_lock(&xylemd.lock);
	conf = g_variant_ref(guest->snapshot);
	g_mutex_unlock(&xylemd.lock);
	guest->journal->phase = phase;
	return journal_save(xylemd.journal_dir, guest->journal, conf, error);
}

void guest_save(struct guest *guest, enum journal_phase phase)
{
	g_autoptr(GError) error = NULL;

	if (!guest_try_save(guest, phase, &error))
		g_warning("guest \"%s\": %s", guest->name, error->message);
}

void guest_event(const struct guest *guest, uint32_t domid, const char *event, const char *detail)
{
	g_message("guest \"%s\" (domain %u): %s%s%s", guest->name, domid, event, *detail ? ", " : "", detail);
	xd_xylemd1_emit_domain_event(xylemd.service, domid, guest->uuid, guest->name, event, detail);
}

bool guest_alive(struct guest *guest, GError **error)
{
	if (g_atomic_int_get(&guest->doomed))
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\" was destroyed meanwhile", guest->name);
	return true;
}

struct op *op_new(op_fn *run, const char *name, struct guest *guest, GDBusMethodInvocation *call)
{
	struct op *op = g_new0(struct op, 1);

	op->refs = 1;
	op->run = run;
	op->name = name;
	op->guest = guest ? guest_ref(guest) : NULL;
	op->call = call;
	op->fd = -1;
	return op;
}

struct op *op_ref(struct op *op)
{
	g_atomic_int_inc(&op->refs);
	return op;
}

void op_unref(struct op *op)
{
	if (!g_atomic_int_dec_and_test(&op->refs))
		return;
	guest_unref(op->guest);
	if (op->argument)
		g_variant_unref(op->argument);
	if (op->fd >= 0)
		close(op->fd);
	g_free(op->target);
	g_free(op);
}

GDBusMethodInvocation *op_take_call(struct op *op)
{
	GDBusMethodInvocation *call;
	guint timer;

	g_mutex_lock(&xylemd.lock);
	call = op->call;
	op->call = NULL;
	timer = op->timer;
	op->timer = 0;
	g_mutex_unlock(&xylemd.lock);
	if (timer)
		g_source_remove(timer);
	return call;
}

void op_fail(struct op *op, const GError *error)
{
	GDBusMethodInvocation *call = op_take_call(op);

	g_message("%s", error->message);
	if (call)
		g_dbus_method_invocation_return_gerror(call, error);
}

void op_succeed(struct op *op)
{
	GDBusMethodInvocation *call = op_take_call(op);

	if (call)
		g_dbus_method_invocation_return_value(call, NULL);
}

bool op_give_up_build(struct guest *guest)
{
	g_autoptr(GError) error = NULL;
	struct op *op = NULL;
	bool preparing;

	g_mutex_lock(&xylemd.lock);
	preparing = guest->preparing;
	if (preparing && guest->creating)
		op = op_ref(guest->creating);
	g_mutex_unlock(&xylemd.lock);
	if (op) {
		guest_alive(guest, &error);
		op_fail(op, error);
		op_unref(op);
	}
	return preparing;
}

/* Hands the guest's next operation to the crew; the caller holds the lock. */
static void dispatch_locked(struct guest *guest)
{
	struct op *next = g_queue_pop_head(&guest->waiting);

	guest->busy = next != NULL;
	guest->operation = next ? next->name : "";
	if (next)
		g_thread_pool_push(xylemd.ops.threads, next, NULL);
}

void guest_hold(struct guest *guest)
{
	g_mutex_lock(&xylemd.lock);
	guest->busy = true;
	g_mutex_unlock(&xylemd.lock);
}

void guest_release(struct guest *guest)
{
	g_mutex_lock(&xylemd.lock);
	dispatch_locked(guest);
	g_mutex_unlock(&xylemd.lock);
}

/* Whether the guest's domain lives, so that op can be run; else op is answered, or waits for what follows. */
static bool op_ready(struct op *op)
{
	struct guest *guest = op->guest;
	uint32_t domid = guest->journal->domid;
	g_autoptr(GError) error = NULL;
	struct xyl_dominfo info;
	bool there = !xyl_domain_info(xylemd.xen, domid, &info);

	if (!there && errno != ESRCH)
		xd_fail(&error, XD_ERROR_HYPERVISOR, "guest \"%s\": domain %u: %s", guest->name, domid,
		        xyl_error());
	else if (g_atomic_int_get(&guest->doomed))
		xd_fail(&error, XD_ERROR_NOT_FOUND, "guest \"%s\" is being destroyed", guest->name);
	else if (there && !memcmp(info.uuid, guest->id, 16) && !info.dying && !info.shutdown)
		return true;
	else if (guest->settled_domid == domid)
		xd_fail(&error, XD_ERROR_BUSY,
		        "guest \"%s\" has stopped, and is kept as its configuration says", guest->name);
	if (error) {
		op_fail(op, error);
		return false;
	}
	there = there && !memcmp(info.uuid, guest->id, 16);
	scan_stopped(guest, domid, there ? &info : NULL);
	op->again = true;
	return false;
}

static void op_run_guest(struct op *op)
{
	struct guest *guest = op->guest;
	g_autoptr(GError) error = NULL;

	op->again = false;
	if (guest->gone || (op->domid && op->domid != guest->journal->domid)) {
		/* For a Destroy that is what was wanted. */
		if (op->run == op_destroy) {
			op_succeed(op);
		} else {
			xd_fail(&error, XD_ERROR_NOT_FOUND, "guest \"%s\" is gone", guest->name);
			op_fail(op, error);
		}
	} else if (!op->live || op_ready(op)) {
		op->run(op);
	}
}

/* A thread's work: an operation of a guest, whose next one is dispatched then, or one by itself. */
static void crew_run(gpointer data, gpointer crew_data)
{
	struct crew *crew = crew_data;
	struct op *op = data;
	struct guest *guest = op->guest;
	bool of_guest = crew == &xylemd.ops, again;

	g_mutex_lock(&xylemd.lock);
	op->since_us = g_get_monotonic_time();
	g_ptr_array_add(crew->running, op);
	g_mutex_unlock(&xylemd.lock);
	if (of_guest)
		op_run_guest(op);
	else
		op->run(op);
	g_mutex_lock(&xylemd.lock);
	g_ptr_array_remove_fast(crew->running, op);
	op->since_us = 0;
	again = of_guest && op->again;
	if (again)
		g_queue_push_tail(&guest->waiting, op);
	else if (op->bounded)
		xylemd.outstanding--;
	if (of_guest)
		dispatch_locked(guest);
	g_mutex_unlock(&xylemd.lock);
	if (!again)
		op_unref(op);
}

bool op_submit(struct op *op)
{
	g_autoptr(GError) error = NULL;

	g_mutex_lock(&xylemd.lock);
	/* What follows from a guest's own end is never refused: there is at most one of it for each guest. */
	op->bounded = op->call && op->run != op_destroy;
	/* stuck is as old as the last look: what was stuck then may have finished. */
	if (op->bounded && xylemd.outstanding >= OPERATIONS_RUNNING_MAX + OPERATIONS_WAITING_MAX +
	                                                 MIN(xylemd.stuck, STUCK_MAX)) {
		g_mutex_unlock(&xylemd.lock);
		xd_fail(&error, XD_ERROR_LIMIT, "guest \"%s\": %d operations are under way already",
		        op->guest->name, OPERATIONS_RUNNING_MAX + OPERATIONS_WAITING_MAX);
		op_fail(op, error);
		op_unref(op);
		return false;
	}
	xylemd.outstanding += op->bounded;
	g_queue_push_tail(&op->guest->waiting, op);
	if (!op->guest->busy)
		dispatch_locked(op->guest);
	g_mutex_unlock(&xylemd.lock);
	return true;
}

void op_submit_quick(struct crew *crew, struct op *op)
{
	g_autoptr(GError) error = NULL;

	if (crew != &xylemd.urgent && g_thread_pool_unprocessed(crew->threads) >= OPERATIONS_WAITING_MAX) {
		xd_fail(&error, XD_ERROR_LIMIT, "too many calls wait already");
		op_fail(op, error);
		op_unref(op);
		return;
	}
	g_thread_pool_push(crew->threads, op, NULL);
}

/* Threads that are stuck do not count: others take their places. */
static void crew_watch(struct crew *crew, gint64 now, guint *stuck_bounded)
{
	guint stuck = 0, i;

	g_mutex_lock(&xylemd.lock);
	for (i = 0; i < crew->running->len; i++) {
		const struct op *op = g_ptr_array_index(crew->running, i);

		if (now - op->since_us < STUCK_AFTER_US)
			continue;
		stuck++;
		*stuck_bounded += op->bounded;
	}
	g_mutex_unlock(&xylemd.lock);
	g_thread_pool_set_max_threads(crew->threads, (gint)(crew->base + MIN(stuck, STUCK_MAX)), NULL);
}

static gboolean watch_crews(gpointer data)
{
	gint64 now = g_get_monotonic_time();
	guint stuck = 0;

	(void)data;
	crew_watch(&xylemd.ops, now, &stuck);
	crew_watch(&xylemd.urgent, now, &stuck);
	crew_watch(&xylemd.quick, now, &stuck);
	g_mutex_lock(&xylemd.lock);
	xylemd.stuck = MIN(stuck, xylemd.outstanding);
	g_mutex_unlock(&xylemd.lock);
	return G_SOURCE_CONTINUE;
}

static void crew_init(struct crew *crew, guint base)
{
	crew->base = base;
	crew->running = g_ptr_array_new();
	crew->threads = g_thread_pool_new(crew_run, crew, (gint)base, FALSE, NULL);
}

/*
 * Who builds a guest needs a list of its pages for a moment, megabytes for a large one. When the first such list is freed glibc
 * begins to take later ones from the thread's arena, of which there are many, and to keep as much in each: not so where the
 * limits are set.
 */
static void limit_memory(void)
{
	if (!mallopt(M_MMAP_THRESHOLD, 128 << 10) || !mallopt(M_TRIM_THRESHOLD, 128 << 10) ||
	    !mallopt(M_ARENA_MAX, 2))
		g_warning("memory that is free again may stay with xylemd");
}

void daemon_init(const char *journal_dir, const char *dump_dir)
{
	limit_memory();
	g_mutex_init(&xylemd.lock);
	g_cond_init(&xylemd.scanned);
	xylemd.journal_dir = g_strdup(journal_dir);
	xylemd.dump_dir = g_strdup(dump_dir);
	xylemd.by_uuid = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)guest_unref);
	xylemd.by_name = g_hash_table_new(g_str_hash, g_str_equal);
	xylemd.by_domid = g_hash_table_new(g_direct_hash, g_direct_equal);
	crew_init(&xylemd.ops, OPERATIONS_RUNNING_MAX);
	crew_init(&xylemd.urgent, OPERATIONS_RUNNING_MAX);
	crew_init(&xylemd.quick, QUICK_THREADS);
	g_timeout_add(WATCH_MS, watch_crews, NULL);
	ended_begin();
}
