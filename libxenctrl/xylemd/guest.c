/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of guests and the operations on them; see guest.h. */
#include "guest.h"

#include <string.h>
#include <time.h>

#define QUICK_THREADS 8

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
	g_free(guest->name);
	g_free(guest->uuid);
	g_free(guest);
}

bool guest_register(struct guest *guest, GError **error)
{
	bool ok = false;

	g_mutex_lock(&xylemd.lock);
	if (g_hash_table_contains(xylemd.by_uuid, guest->uuid))
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

void guest_unregister(struct guest *guest)
{
	g_mutex_lock(&xylemd.lock);
	if (guest->domid)
		g_hash_table_remove(xylemd.by_domid, GUINT_TO_POINTER(guest->domid));
	guest->domid = 0;
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
	if (guest->domid)
		g_hash_table_remove(xylemd.by_domid, GUINT_TO_POINTER(guest->domid));
	guest->domid = domid;
	guest->stopped_domid = 0;
	if (domid)
		g_hash_table_insert(xylemd.by_domid, GUINT_TO_POINTER(domid), guest);
	g_mutex_unlock(&xylemd.lock);
	guest->journal->domid = domid;
}

void guest_publish(struct guest *guest)
{
	GVariant *fresh = g_variant_ref_sink(guestconf_to_variant(guest->journal->conf)), *old;

	g_variant_get_data(fresh); /* encodes it here, once for all who take it into theirs */
	g_mutex_lock(&xylemd.lock);
	old = guest->snapshot;
	guest->snapshot = fresh;
	g_mutex_unlock(&xylemd.lock);
	if (old)
		g_variant_unref(old);
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

/* Hands the guest's next operation to the pool; the caller holds the lock. */
static void dispatch_locked(struct guest *guest)
{
	struct op *next = g_queue_pop_head(&guest->waiting);

	guest->busy = next != NULL;
	guest->operation = next ? next->name : "";
	if (next)
		g_thread_pool_push(xylemd.pool, next, NULL);
}

static void op_run(gpointer data, gpointer unused)
{
	struct op *op = data;
	struct guest *guest = op->guest;

	(void)unused;
	if (guest->gone || (op->domid && op->domid != guest->journal->domid)) {
		g_autoptr(GError) error = NULL;

		/* For a Destroy that is what was wanted. */
		if (op->run == op_destroy) {
			op_succeed(op);
		} else {
			xd_fail(&error, XD_ERROR_NOT_FOUND, "guest \"%s\" is gone", guest->name);
			op_fail(op, error);
		}
	} else {
		op->run(op);
	}
	g_mutex_lock(&xylemd.lock);
	xylemd.outstanding--;
	dispatch_locked(guest);
	g_mutex_unlock(&xylemd.lock);
	op_unref(op);
}

bool op_submit(struct op *op)
{
	g_autoptr(GError) error = NULL;
	/* What follows from a guest's own end is never refused: there is at most one of it for each guest. */
	bool bounded = op->run != op_destroy && op->run != op_lost && op->run != op_policy;

	g_mutex_lock(&xylemd.lock);
	if (bounded && xylemd.outstanding >= OPERATIONS_RUNNING_MAX + OPERATIONS_WAITING_MAX) {
		g_mutex_unlock(&xylemd.lock);
		xd_fail(&error, XD_ERROR_LIMIT, "guest \"%s\": %d operations are under way already",
		        op->guest->name, OPERATIONS_RUNNING_MAX + OPERATIONS_WAITING_MAX);
		op_fail(op, error);
		op_unref(op);
		return false;
	}
	xylemd.outstanding++;
	g_queue_push_tail(&op->guest->waiting, op);
	if (!op->guest->busy)
		dispatch_locked(op->guest);
	g_mutex_unlock(&xylemd.lock);
	return true;
}

static void quick_run(gpointer data, gpointer unused)
{
	struct op *op = data;

	(void)unused;
	op->run(op);
	op_unref(op);
}

void op_submit_quick(GThreadPool *pool, struct op *op)
{
	g_autoptr(GError) error = NULL;

	if (pool != xylemd.urgent && g_thread_pool_unprocessed(pool) >= OPERATIONS_WAITING_MAX) {
		xd_fail(&error, XD_ERROR_LIMIT, "too many calls wait already");
		op_fail(op, error);
		op_unref(op);
		return;
	}
	g_thread_pool_push(pool, op, NULL);
}

void daemon_init(const char *journal_dir)
{
	g_mutex_init(&xylemd.lock);
	xylemd.journal_dir = g_strdup(journal_dir);
	xylemd.by_uuid = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)guest_unref);
	xylemd.by_name = g_hash_table_new(g_str_hash, g_str_equal);
	xylemd.by_domid = g_hash_table_new(g_direct_hash, g_direct_equal);
	xylemd.pool = g_thread_pool_new(op_run, NULL, OPERATIONS_RUNNING_MAX, FALSE, NULL);
	xylemd.urgent = g_thread_pool_new(quick_run, NULL, OPERATIONS_RUNNING_MAX, FALSE, NULL);
	xylemd.quick = g_thread_pool_new(quick_run, NULL, QUICK_THREADS, FALSE, NULL);
}
