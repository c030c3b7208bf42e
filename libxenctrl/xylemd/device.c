/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What devices of every class have in common, while the guest runs: they come, are found and go (device.h).
 *
 * Attaching waits for dom0's side, which must answer, and not for the guest's, which may have no driver: when that
 * takes the device, an event says so (device_watch_taken). Detaching asks the guest to let go; one that does not is left
 * alone. By force the guest has a moment, and then loses the device under its hands.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backdev.h"
#include "device.h"
#include "error.h"
#include "layout.h"
#include "storeio.h"

#define DETACH_TIMEOUT_MS 30000
#define FORCE_TIMEOUT_MS  1000
/* How long what a callback may still look at is kept: longer than any answer of the store takes. */
#ifndef TAKING_REST_S
#define TAKING_REST_S 60
#endif

#define CLOSED_STATES  (1u << BACKEND_CLOSED | 1u << BACKEND_GONE)
#define OFFERED_STATES (1u << BACKEND_INIT_WAIT | 1u << BACKEND_INITIALISED | 1u << BACKEND_CONNECTED)

const struct device_class *const device_classes[] = { &device_disk, &device_nic, &device_screen,
	                                              &device_console, NULL };

const struct device_class *device_class_named(const char *name)
{
	unsigned i;

	for (i = 0; device_classes[i]; i++)
		if (!strcmp(device_classes[i]->name, name))
			return device_classes[i];
	return NULL;
}

GVariant *device_list(const struct guest *guest)
{
	GVariantBuilder list;
	unsigned i;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; guest->journal->domid && device_classes[i]; i++)
		device_classes[i]->list(guest, &list);
	return g_variant_builder_end(&list);
}

bool device_wait_offered(struct guest *guest, const char *type, uint32_t devid, const char *name,
                         GError **error)
{
	g_autofree char *back = layout_backend(guest->journal->domid, type, devid);
	unsigned failed = 1u << BACKEND_CLOSING | CLOSED_STATES;
	enum backend_state state =
	        storeio_wait(xylemd.io, back, OFFERED_STATES | failed, DEVICE_BACKEND_MS, &guest->doomed);
	g_autofree char *reason = NULL;

	if (OFFERED_STATES & 1u << state)
		return true;
	if (!guest_alive(guest, error))
		return false;
	if (state == BACKEND_INITIALISING)
		return xd_fail(error, XD_ERROR_TIMEOUT, "guest \"%s\", %s: no backend driver took it%s",
		               guest->name, name,
		               !strcmp(type, device_disk.type)      ? " (is xen-blkback loaded?)"
		               : !strcmp(type, device_console.type) ? " (is Xylem's xenconsoled running?)"
		                                                    : "");
	if (state == BACKEND_UNREAD)
		return xd_fail(error, XD_ERROR_STORE,
		               "guest \"%s\", %s: xenstore does not tell whether a backend took it",
		               guest->name, name);
	reason = storeio_backend_error(xylemd.io, back);
	return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", %s: the backend gave up: %s", guest->name, name,
	               reason ? reason : "it does not say why");
}

/*
 * Takes one device away, whatever its state: a backend whose nodes vanish lets go of everything. Its nodes go
 * first, where the guest cannot write, and without a transaction, which a guest that writes to its own part
 * without end could make fail each time. False: the device is there still.
 */
static bool remove_device(struct guest *guest, const char *type, uint32_t devid, GError **error)
{
	uint32_t domid = guest->journal->domid;
	g_autofree char *what = g_strdup_printf("guest \"%s\"", guest->name);
	g_autofree char *front = layout_frontend(domid, type, devid);
	g_autofree char *back = layout_backend(domid, type, devid);
	const char *const of_backend[] = { back, NULL }, *const of_frontend[] = { front, NULL };
	g_autoptr(GError) local = NULL;
	int listener = backdev_listen();
	bool ok = storeio_remove(xylemd.io, of_backend, what, error);

	if (ok)
		backdev_wait_gone(listener, type, domid, devid);
	/* What is left of the guest's part harms nobody. */
	if (ok && !storeio_remove(xylemd.io, of_frontend, what, &local))
		g_warning("%s", local->message);
	if (listener >= 0)
		close(listener);
	return ok;
}

/* The same after an attachment that failed; a device that stays is logged. */
bool device_undo(struct guest *guest, const char *type, uint32_t devid)
{
	g_autoptr(GError) error = NULL;
	bool ok = remove_device(guest, type, devid, &error);

	if (!ok)
		g_warning("%s; the device stays until it is detached", error->message);
	return ok;
}

/* An attached device that the guest has not yet taken: told when it has. */
struct taking {
	struct guest *guest;
	uint32_t domid;
	char *state; /* path */
	char *name;
	/* guarded by xylemd.lock */
	struct xyl_watch *watch;
	bool over; /* taken, refused or gone: there is no more to wait for */
};

static gboolean taking_free(gpointer data)
{
	struct taking *taking = data;

	guest_unref(taking->guest);
	g_free(taking->state);
	g_free(taking->name);
	g_free(taking);
	return G_SOURCE_REMOVE;
}

/* On a thread, since it waits for the store; freed in the main context, behind the callbacks that are under way. */
static void op_taken(struct op *op)
{
	struct taking *taking = op->data;

	xyl_store_unwatch(storeio_store(xylemd.io), taking->watch);
	g_timeout_add_seconds(TAKING_REST_S, taking_free, taking);
}

static void taking_over(struct taking *taking)
{
	struct op *op = op_new(op_taken, "", NULL, NULL);

	op->data = taking;
	op_submit_quick(&xylemd.urgent, op);
}

/* In the main context. */
static void state_read(struct xyl_store *store, int error, const char *value, size_t bytes, void *data)
{
	struct taking *taking = data;
	int state = !error && bytes == 1 ? value[0] - '0' : BACKEND_GONE;
	bool was_over, watched;

	(void)store;
	/* A store that fails tells of the state again when it is back. */
	if (error && error != ENOENT)
		return;
	if (OFFERED_STATES & ~(1u << BACKEND_CONNECTED) & 1u << (state & 7))
		return;
	g_mutex_lock(&xylemd.lock);
	was_over = taking->over;
	taking->over = true;
	watched = taking->watch != NULL;
	g_mutex_unlock(&xylemd.lock);
	if (was_over)
		return;
	if (state == BACKEND_CONNECTED)
		guest_event(taking->guest, taking->domid, "device", taking->name);
	if (watched)
		taking_over(taking);
}

static void state_changed(struct xyl_store *store, const char *path, void *data)
{
	struct taking *taking = data;

	(void)path;
	if (xyl_store_read_async(store, XYL_TX_NONE, taking->state, state_read, taking))
		g_warning("%s", xyl_error());
}

void device_watch_taken(struct guest *guest, const char *type, uint32_t devid, const char *name)
{
	struct taking *taking = g_new0(struct taking, 1);
	g_autofree char *back = layout_backend(guest->journal->domid, type, devid);
	struct xyl_watch *watch;
	bool over;

	taking->guest = guest_ref(guest);
	taking->domid = guest->journal->domid;
	taking->state = g_strconcat(back, "/state", NULL);
	taking->name = g_strdup(name);
	watch = xyl_store_watch(storeio_store(xylemd.io), taking->state, state_changed, taking);
	if (!watch) {
		g_warning("guest \"%s\", %s: %s", guest->name, name, xyl_error());
		taking_free(taking);
		return;
	}
	g_mutex_lock(&xylemd.lock);
	taking->watch = watch;
	over = taking->over;
	g_mutex_unlock(&xylemd.lock);
	if (over)
		taking_over(taking);
}

/* The configuration changed: journal, Get and listeners. */
void device_publish(struct guest *guest, const char *detail)
{
	guest_publish(guest);
	guest_save(guest, JOURNAL_RUNNING);
	guest_event(guest, guest->journal->domid, "config", detail);
}

void op_attach(struct op *op)
{
	g_autoptr(GError) error = NULL;
	const char *class = device_class(op->argument, &error);
	g_autoptr(GVariant) made = NULL;
	GDBusMethodInvocation *call;
	bool ok = false;

	if (class)
		ok = device_class_named(class)->attach(op->guest, op->argument, &made, &error);
	if (!ok) {
		op_fail(op, error);
		return;
	}
	g_variant_ref_sink(made);
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_attach_device(xylemd.service, call, made);
}

/* Has the guest let go of one device, then removes it. */
bool device_release(struct guest *guest, const char *type, uint32_t devid, const char *name, bool force,
                    GError **error)
{
	g_autofree char *what = g_strdup_printf("guest \"%s\", %s", guest->name, name);
	g_autofree char *back = layout_backend(guest->journal->domid, type, devid);
	g_autofree char *online = g_strconcat(back, "/online", NULL);
	g_autofree char *state_node = g_strconcat(back, "/state", NULL);
	enum backend_state state = storeio_backend_state(xylemd.io, back);
	bool released;

	/* A frontend that never came has nothing to let go of. */
	if (state == BACKEND_INITIALISING || state == BACKEND_INIT_WAIT)
		return remove_device(guest, type, devid, error);
	if (!(CLOSED_STATES & 1u << state) &&
	    !storeio_set(xylemd.io, what, error, online, "0", state_node, "5", NULL))
		return false;
	state = storeio_wait(xylemd.io, back, CLOSED_STATES, force ? FORCE_TIMEOUT_MS : DETACH_TIMEOUT_MS,
	                     &guest->doomed);
	released = CLOSED_STATES & 1u << state;
	if (!guest_alive(guest, error))
		return false;
	if (!released && !force)
		return xd_fail(error, XD_ERROR_TIMEOUT,
		               "%s: the guest has not let go of it; it stays, and may be detached again",
		               what);
	return remove_device(guest, type, devid, error);
}

void op_detach(struct op *op)
{
	g_autoptr(GError) error = NULL;
	struct device_ref ref;
	bool ok = device_ref_parse(op->argument, &ref, &error);

	if (ok)
		ok = device_class_named(ref.class)->detach(op->guest, &ref, &error);
	device_ref_clear(&ref);
	if (!ok) {
		op_fail(op, error);
		return;
	}
	device_publish(op->guest, "detach");
	op_succeed(op);
}
