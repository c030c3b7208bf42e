/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The D-Bus interface: arguments in, operations queued, answers out. Handlers run in the main loop and never
 * wait.
 *
 * A guest is named by its UUID. A domain that others made is looked for by the operation, on its thread: by UUID, or by
 * number, since theirs need not have an UUID of their own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gio/gunixfdlist.h>

#include "service.h"
#include "build.h"
#include "device.h"
#include "dirtyrate.h"
#include "error.h"
#include "live.h"
#include "save.h"
#include "storeio.h"
#include "teardown.h"

/* How long a Destroy may go unanswered. The teardown goes on afterwards. */
#define DESTROY_ANSWER_S 60

static gboolean answer_error(GDBusMethodInvocation *call, GError *error)
{
	g_dbus_method_invocation_take_error(call, error);
	return TRUE;
}

/* The guest of this UUID, a reference, or NULL. */
static struct guest *guest_named(const char *name)
{
	g_autofree char *uuid = g_ascii_strdown(name, -1);

	return guest_by_uuid(uuid);
}

/* Of two domains with one UUID the one that is not on its way out. */
static bool is_better(const struct xyl_dominfo *a, const struct xyl_dominfo *b)
{
	return !b || (b->dying && !a->dying);
}

/* A domain that is none of our guests'. False with NotFound, or InvalidArgument when it is ours after all. */
static bool find_foreign(const char *name, struct xyl_dominfo *found, GError **error)
{
	g_autofree char *wanted = g_ascii_strdown(name, -1);
	struct xyl_dominfo *domains = NULL, *best = NULL;
	int count = xyl_domain_list_all(xylemd.xen, &domains), i;
	guint64 number = G_MAXUINT64;
	struct guest *ours = NULL;

	if (count < 0)
		return xd_fail(error, XD_ERROR_HYPERVISOR, "listing domains: %s", xyl_error());
	g_ascii_string_to_unsigned(wanted, 10, 0, XYL_DOMID_FIRST_RESERVED - 1, &number, NULL);
	for (i = 0; i < count; i++) {
		g_autofree char *uuid = uuid_to_text(domains[i].uuid);

		if ((domains[i].domid == number || !strcmp(uuid, wanted)) && is_better(&domains[i], best))
			best = &domains[i];
	}
	if (best) {
		g_autofree char *uuid = uuid_to_text(best->uuid);

		*found = *best;
		ours = guest_by_uuid(uuid);
		if (ours)
			xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
			        "domain %u is of the guest \"%s\", which is named by its uuid %s",
			        best->domid, ours->name, uuid);
	} else {
		xd_fail(error, XD_ERROR_NOT_FOUND, "there is no guest \"%.64s\"", name);
	}
	free(domains);
	guest_unref(ours);
	return best && !ours;
}

/* The domain to which an operation goes that does not wait for its guest's turn. */
static bool find_target(struct op *op, struct xyl_dominfo *found, GError **error)
{
	const char *phase;
	uint32_t domid;

	if (!op->guest)
		return find_foreign(op->target, found, error);
	g_mutex_lock(&xylemd.lock);
	domid = op->guest->domid;
	phase = op->guest->phase;
	g_mutex_unlock(&xylemd.lock);
	if (phase || !domid)
		return xd_fail(error, XD_ERROR_BUSY, "guest \"%s\" is %s at present; try again when it runs",
		               op->guest->name, phase ? phase : "without a domain");
	if (xyl_domain_info(xylemd.xen, domid, found) || memcmp(found->uuid, op->guest->id, 16))
		return xd_fail(error, XD_ERROR_NOT_FOUND, "guest \"%s\" has no domain any more",
		               op->guest->name);
	return true;
}

/* Create or Restore; takes fd, which may be -1. */
static gboolean begin(GDBusMethodInvocation *call, GVariant *dict, guint flags, op_fn *run, const char *name,
                      int fd)
{
	struct guestconf *conf = NULL;
	GError *error = NULL;
	struct guest *guest;
	struct op *op;

	if (flags & ~1u)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "flags 0x%x: only bit 0 has a meaning", flags);
	else
		conf = guestconf_parse(dict, &error);
	if (!conf) {
		if (fd >= 0)
			close(fd);
		return answer_error(call, error);
	}
	guest = guest_new(journal_new(conf));
	guest->phase = "building";
	op = op_new(run, name, guest, call);
	op->fd = fd;
	op->number = flags;
	if (!guest_register(guest, &error)) {
		answer_error(op_take_call(op), error);
		op_unref(op);
	} else if (!op_submit(op)) {
		guest_unregister(guest);
	}
	guest_unref(guest);
	return TRUE;
}

static gboolean handle_create(XdXylemd1 *service, GDBusMethodInvocation *call, GVariant *dict, guint flags,
                              gpointer data)
{
	(void)service;
	(void)data;
	return begin(call, dict, flags, op_create, "create", -1);
}

/* The descriptor that came with the call, or -1. */
static int take_stream(GUnixFDList *fds, GVariant *handle, GError **error)
{
	gint32 index = g_variant_get_handle(handle);
	int fd = -1;

	if (fds && index >= 0 && index < g_unix_fd_list_get_length(fds))
		fd = g_unix_fd_list_get(fds, index, NULL);
	if (fd < 0)
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "stream: no file descriptor came with the call");
	return fd;
}

static gboolean handle_restore(XdXylemd1 *service, GDBusMethodInvocation *call, GUnixFDList *fds,
                               GVariant *dict, GVariant *stream, guint flags, gpointer data)
{
	GError *error = NULL;
	int fd = take_stream(fds, stream, &error);

	(void)service;
	(void)data;
	if (fd < 0)
		return answer_error(call, error);
	return begin(call, dict, flags, op_restore, "restore", fd);
}

/* An operation on a guest that is given a stream. */
static gboolean submit_stream(GDBusMethodInvocation *call, GUnixFDList *fds, const char *name,
                              GVariant *handle, op_fn *run, const char *operation, guint flags)
{
	struct guest *guest = guest_named(name);
	GError *error = NULL;
	struct op *op;
	int fd = -1;

	if (guest)
		fd = take_stream(fds, handle, &error);
	else
		xd_fail(&error, XD_ERROR_NOT_FOUND, "\"%.64s\" is no guest of xylemd", name);
	if (fd < 0) {
		guest_unref(guest);
		return answer_error(call, error);
	}
	op = op_new(run, operation, guest, call);
	op->live = run == op_save;
	op->number = flags;
	op->fd = fd;
	op_submit(op);
	guest_unref(guest);
	return TRUE;
}

static gboolean refuse_flags(GDBusMethodInvocation *call, guint flags, const char *known)
{
	GError *error = NULL;

	xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "flags 0x%x: only %s a meaning", flags, known);
	return answer_error(call, error);
}

static gboolean handle_save(XdXylemd1 *service, GDBusMethodInvocation *call, GUnixFDList *fds,
                            const char *name, GVariant *stream, guint flags, gpointer data)
{
	(void)service;
	(void)data;
	if (flags & ~3u)
		return refuse_flags(call, flags, "bits 0 and 1 have");
	return submit_stream(call, fds, name, stream, op_save, "save", flags);
}

static gboolean handle_dump(XdXylemd1 *service, GDBusMethodInvocation *call, GUnixFDList *fds,
                            const char *name, GVariant *file, guint flags, gpointer data)
{
	(void)service;
	(void)data;
	if (flags & ~1u)
		return refuse_flags(call, flags, "bit 0 has");
	return submit_stream(call, fds, name, file, op_dump, "dump", flags);
}

/* At once, beside the save that it may be for. */
static gboolean handle_set_migration(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                     GVariant *limits, gpointer data)
{
	struct guest *guest = guest_named(name);
	GError *error = NULL;

	(void)data;
	if (!guest)
		xd_fail(&error, XD_ERROR_NOT_FOUND, "\"%.64s\" is no guest of xylemd", name);
	else
		save_set_limits(guest, limits, &error);
	guest_unref(guest);
	if (error)
		return answer_error(call, error);
	xd_xylemd1_complete_set_migration(service, call);
	return TRUE;
}

static gboolean handle_cancel(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                              gpointer data)
{
	struct guest *guest = guest_named(name);
	bool cancelled = guest && job_cancel(guest);
	GError *error = NULL;

	(void)data;
	guest_unref(guest);
	if (cancelled) {
		xd_xylemd1_complete_cancel(service, call);
		return TRUE;
	}
	xd_fail(&error, XD_ERROR_NOT_FOUND,
	        guest ? "guest \"%.64s\" has no job that could be cancelled"
	              : "\"%.64s\" is no guest of xylemd",
	        name);
	return answer_error(call, error);
}

static gboolean destroy_is_late(gpointer data)
{
	struct op *op = data;
	g_autoptr(GError) error = NULL;
	GDBusMethodInvocation *call;

	g_mutex_lock(&xylemd.lock);
	call = op->call;
	op->call = NULL;
	op->timer = 0;
	g_mutex_unlock(&xylemd.lock);
	if (call) {
		xd_fail(&error, XD_ERROR_TIMEOUT,
		        "the domain is killed, but something still holds it; the teardown goes on");
		g_dbus_method_invocation_return_gerror(call, error);
	}
	return G_SOURCE_REMOVE;
}

static void answer_late(struct op *op)
{
	op->timer = g_timeout_add_seconds_full(G_PRIORITY_DEFAULT, DESTROY_ANSWER_S, destroy_is_late,
	                                       op_ref(op), (GDestroyNotify)(void (*)(void))op_unref);
}

/* On its own thread, before the guest's queue: the kill of the domain that it has now. A domain that is being made at
 * this moment is killed by whoever makes it, and none is made afterwards: the guest is doomed. */
static void op_kill(struct op *op)
{
	struct xyl_dominfo info;
	uint32_t domid;

	g_mutex_lock(&xylemd.lock);
	domid = op->guest->domid;
	g_mutex_unlock(&xylemd.lock);
	/* The number may be another domain's by now. */
	if (domid && !xyl_domain_info(xylemd.xen, domid, &info) && !memcmp(info.uuid, op->guest->id, 16) &&
	    xyl_domain_destroy(xylemd.xen, domid) && errno != ESRCH)
		g_warning("guest \"%s\": killing domain %u: %s", op->guest->name, domid, xyl_error());
	/* The teardown comes behind the build, whenever that ends. */
	if (op_give_up_build(op->guest))
		op_succeed(op->then);
	op_submit(op->then);
}

static void op_destroy_foreign(struct op *op)
{
	struct xyl_dominfo info;
	g_autoptr(GError) error = NULL;

	if (find_foreign(op->target, &info, &error) && !info.domid)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "domain 0 cannot be destroyed");
	if (error) {
		op_fail(op, error);
		return;
	}
	teardown_domain(info.domid, NULL);
	op_succeed(op);
}

static struct op *op_for(op_fn *run, const char *name, struct guest *guest, const char *target,
                         GDBusMethodInvocation *call)
{
	struct op *op = op_new(run, name, guest, call);

	op->target = g_strdup(target);
	return op;
}

static gboolean handle_destroy(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                               gpointer data)
{
	struct guest *guest = guest_named(name);
	struct op *op, *kill;

	(void)service;
	(void)data;
	if (!guest) {
		op = op_for(op_destroy_foreign, "destroy", NULL, name, call);
		answer_late(op);
		op_submit_quick(&xylemd.urgent, op);
		return TRUE;
	}
	g_atomic_int_set(&guest->doomed, 1);
	storeio_wake(xylemd.io);
	op = op_new(op_destroy, "destroy", guest, call);
	answer_late(op);
	kill = op_new(op_kill, "destroy", guest, NULL);
	kill->then = op;
	op_submit_quick(&xylemd.urgent, kill);
	guest_unref(guest);
	return TRUE;
}

/* Only of a guest that can still hear it: one that stops by itself, or is built anew, has not been asked. */
static void op_shutdown(struct op *op)
{
	const char *mode = g_variant_get_string(op->argument, NULL);
	g_autofree char *path = NULL;
	g_autoptr(GError) error = NULL;
	struct xyl_dominfo info;
	char *pending;

	if (!find_target(op, &info, &error)) {
		op_fail(op, error);
		return;
	}
	path = g_strdup_printf("/local/domain/%u/control/shutdown", info.domid);
	pending = xyl_store_read(storeio_store(xylemd.io), XYL_TX_NONE, path, NULL);
	if (!info.domid)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "domain 0 is this host itself");
	else if (info.dying)
		xd_fail(&error, XD_ERROR_NOT_FOUND, "domain %u is dying", info.domid);
	else if (info.shutdown)
		xd_fail(&error, XD_ERROR_BUSY, "domain %u has stopped already", info.domid);
	else if (pending && *pending && !strcmp(pending, mode))
		xd_fail(&error, XD_ERROR_BUSY, "domain %u has not yet taken an earlier request to %s",
		        info.domid, mode);
	else if (xyl_store_write(storeio_store(xylemd.io), XYL_TX_NONE, path, mode, strlen(mode)))
		xd_fail(&error, XD_ERROR_STORE, "domain %u: %s: %s", info.domid, path, xyl_error());
	else if (xyl_domain_info(xylemd.xen, info.domid, &info) || info.dying ||
	         (info.shutdown && info.shutdown_reason != (strcmp(mode, "reboot") ? XYL_SHUTDOWN_POWEROFF
	                                                                           : XYL_SHUTDOWN_REBOOT)))
		xd_fail(&error, XD_ERROR_BUSY, "the guest stopped by itself before it could be asked");
	free(pending);
	if (error)
		op_fail(op, error);
	else
		op_succeed(op);
}

static gboolean handle_shutdown(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                const char *mode, gpointer data)
{
	struct guest *guest = guest_named(name);
	GError *error = NULL;
	struct op *op;

	(void)service;
	(void)data;
	if (strcmp(mode, "poweroff") && strcmp(mode, "reboot")) {
		guest_unref(guest);
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "mode \"%.32s\": poweroff or reboot is wanted",
		        mode);
		return answer_error(call, error);
	}
	op = op_for(op_shutdown, "", guest, name, call);
	op->argument = g_variant_ref_sink(g_variant_new_string(mode));
	op_submit_quick(&xylemd.quick, op);
	guest_unref(guest);
	return TRUE;
}

/* Pauses are counted by the hypervisor: one of ours at a time. */
static void pause_foreign(struct op *op, bool pause)
{
	g_autoptr(GError) error = NULL;
	struct xyl_dominfo info;

	if (find_foreign(op->target, &info, &error)) {
		if (!info.domid)
			xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "domain 0 is this host itself");
		else if (info.paused != pause && (pause ? xyl_domain_pause(xylemd.xen, info.domid)
		                                        : xyl_domain_unpause(xylemd.xen, info.domid)))
			xd_fail(&error, XD_ERROR_HYPERVISOR, "domain %u: %s", info.domid, xyl_error());
	}
	if (error)
		op_fail(op, error);
	else
		op_succeed(op);
}

static void op_pause_foreign(struct op *op)
{
	pause_foreign(op, true);
}

static void op_unpause_foreign(struct op *op)
{
	pause_foreign(op, false);
}

/* Queues what is done with a guest (live: with its domain); it takes the argument, which may be NULL. */
static gboolean submit(GDBusMethodInvocation *call, const char *name, op_fn *run, const char *operation,
                       GVariant *argument, bool live)
{
	struct guest *guest = guest_named(name);
	GError *error = NULL;
	struct op *op;

	if (argument)
		g_variant_ref_sink(argument);
	if (!guest) {
		if (argument)
			g_variant_unref(argument);
		xd_fail(&error, XD_ERROR_NOT_FOUND, "\"%.64s\" is no guest of xylemd", name);
		return answer_error(call, error);
	}
	op = op_new(run, operation, guest, call);
	op->live = live;
	op->argument = argument;
	op_submit(op);
	guest_unref(guest);
	return TRUE;
}

static gboolean submit_live(GDBusMethodInvocation *call, const char *name, op_fn *run, const char *operation,
                            GVariant *argument)
{
	return submit(call, name, run, operation, argument, true);
}

static gboolean submit_pause(GDBusMethodInvocation *call, const char *name, bool pause)
{
	struct guest *guest = guest_named(name);

	guest_unref(guest);
	if (guest)
		return submit_live(call, name, pause ? op_pause : op_unpause, pause ? "pause" : "unpause",
		                   NULL);
	op_submit_quick(&xylemd.quick,
	                op_for(pause ? op_pause_foreign : op_unpause_foreign, "", NULL, name, call));
	return TRUE;
}

static gboolean handle_resume(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                              gpointer data)
{
	(void)service;
	(void)data;
	return submit(call, name, op_resume, "resume", NULL, false);
}

static gboolean handle_pause(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name, gpointer data)
{
	(void)service;
	(void)data;
	return submit_pause(call, name, true);
}

static gboolean handle_unpause(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                               gpointer data)
{
	(void)service;
	(void)data;
	return submit_pause(call, name, false);
}

static gboolean handle_attach(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                              GVariant *device, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_attach, "attach", device);
}

static gboolean handle_detach(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                              GVariant *device, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_detach, "detach", device);
}

static gboolean handle_resize_disk(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                   const char *vdev, guint64 bytes, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_resize, "resize", g_variant_new("(st)", vdev, bytes));
}

static gboolean handle_set_disk_limits(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                       const char *vdev, GVariant *limits, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_set_disk_limits, "limits",
	                   g_variant_new("(s@a{st})", vdev, limits));
}

static gboolean handle_set_memory(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                  guint64 kib, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_set_memory, "memory", g_variant_new_uint64(kib));
}

static gboolean handle_set_vcpus(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                 guint vcpus, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_set_vcpus, "vcpus", g_variant_new_uint32(vcpus));
}

static gboolean handle_set_scheduler(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                     GVariant *settings, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_set_scheduler, "scheduler", settings);
}

static gboolean handle_set_affinity(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                    guint vcpu, GVariant *cpumap, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_set_affinity, "affinity", g_variant_new("(u@ay)", vcpu, cpumap));
}

static gboolean handle_set_link(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                const char *mac, gboolean up, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_set_link, "link", g_variant_new("(sb)", mac, up));
}

static gboolean handle_release_nic(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                   guint domid, const char *mac, gpointer data)
{
	struct guest *guest = guest_named(name);
	GError *error = NULL;
	struct op *op;

	(void)service;
	(void)data;
	if (!guest) {
		xd_fail(&error, XD_ERROR_NOT_FOUND, "\"%.64s\" is no guest of xylemd", name);
		return answer_error(call, error);
	}
	op = op_new(op_release_nic, "release", guest, call);
	op->live = true;
	op->domid = domid ? domid : G_MAXUINT32;
	op->argument = g_variant_ref_sink(g_variant_new_string(mac));
	op_submit(op);
	guest_unref(guest);
	return TRUE;
}

static gboolean handle_dirty_rate(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                  guint64 duration_us, gpointer data)
{
	GError *error = NULL;

	(void)service;
	(void)data;
	if (duration_us && duration_us <= DIRTYRATE_US_MAX)
		return submit_live(call, name, op_dirty_rate, "dirty-rate",
		                   g_variant_new_uint64(duration_us));
	xd_fail(&error, XD_ERROR_INVALID_ARGUMENT,
	        "duration_us %" G_GUINT64_FORMAT " is outside 1..%" G_GUINT64_FORMAT, duration_us,
	        (guint64)DIRTYRATE_US_MAX);
	return answer_error(call, error);
}

static gboolean handle_set_policy(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                  const char *event, const char *action, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_set_policy, "policy-change", g_variant_new("(ss)", event, action));
}

static gboolean handle_screenshot(XdXylemd1 *service, GDBusMethodInvocation *call, GUnixFDList *fds,
                                  const char *name, gpointer data)
{
	(void)service;
	(void)fds;
	(void)data;
	return submit_live(call, name, op_screenshot, "screenshot", NULL);
}

static gboolean handle_send_keys(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                 guint hold_ms, GVariant *keys, gpointer data)
{
	(void)service;
	(void)data;
	return submit_live(call, name, op_send_keys, "keys", g_variant_new("(u@au)", hold_ms, keys));
}

/* The socket stays in the call, of which it is taken when the guest's turn comes. */
static gboolean handle_open_screen(XdXylemd1 *service, GDBusMethodInvocation *call, GUnixFDList *fds,
                                   const char *name, GVariant *sock, gboolean skip_auth, gpointer data)
{
	(void)service;
	(void)fds;
	(void)data;
	return submit_live(call, name, op_open_screen, "open-screen",
	                   g_variant_new("(@hb)", sock, skip_auth));
}

static const char *state_name(const struct xyl_dominfo *info)
{
	if (info->dying)
		return "dying";
	if (info->shutdown)
		return info->shutdown_reason == XYL_SHUTDOWN_CRASH ? "crashed" : "shutdown";
	return info->paused ? "paused" : "running";
}

static const char *reason_name(const struct xyl_dominfo *info)
{
	static const char *const names[] = { "poweroff", "reboot",   "suspend",
		                             "crash",    "watchdog", "soft-reset" };

	if (!info->shutdown)
		return "";
	if (info->shutdown_reason < 0 || (guint)info->shutdown_reason >= G_N_ELEMENTS(names))
		return "other";
	return names[info->shutdown_reason];
}

static char *store_text(uint32_t domid, const char *leaf)
{
	char *text =
	        xyl_store_readf(storeio_store(xylemd.io), XYL_TX_NONE, "/local/domain/%u/%s", domid, leaf);
	g_autofree char *cut = text ? g_strndup(text, 255) : g_strdup("");

	free(text);
	return g_utf8_make_valid(cut, -1);
}

/* Whatever the guest does: it is of no concern to it. */
static gboolean handle_set_opaque(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name,
                                  const char *opaque, gpointer data)
{
	(void)service;
	(void)data;
	return submit(call, name, op_set_opaque, "opaque", g_variant_new_string(opaque), false);
}

/* The guest's devices, and which of them the guest uses. */
static GVariant *describe_devices(GVariant *devices, uint32_t domid)
{
	GVariantBuilder list;
	gsize i;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < g_variant_n_children(devices); i++) {
		g_autoptr(GVariant) device = g_variant_get_child_value(devices, i);
		g_autofree char *back = NULL;
		const char *class = device_disk.name, *format = NULL;
		GVariantDict dict;
		guint32 devid = 0;

		g_variant_lookup(device, "class", "&s", &class);
		g_variant_lookup(device, "devid", "u", &devid);
		/* Of a disk that QEMU serves. */
		g_variant_lookup(device, "format", "&s", &format);
		back = g_strdup_printf("/local/domain/0/backend/%s/%u/%u",
		                       format ? device_disk.second_type : device_class_named(class)->type,
		                       domid, devid);
		g_variant_dict_init(&dict, device);
		g_variant_dict_insert(&dict, "connected", "b",
		                      storeio_backend_state(xylemd.io, back) == BACKEND_CONNECTED);
		g_variant_builder_add_value(&list, g_variant_dict_end(&dict));
	}
	return g_variant_builder_end(&list);
}

/* Floating; NULL: the guest has none. */
static GVariant *describe_job(struct guest *guest)
{
	GVariantBuilder b;
	struct job job;

	g_mutex_lock(&xylemd.lock);
	job = guest->job;
	g_mutex_unlock(&xylemd.lock);
	if (!job.what)
		return NULL;
	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "what", g_variant_new_string(job.what));
	g_variant_builder_add(&b, "{sv}", "elapsed_us",
	                      g_variant_new_uint64((guint64)(g_get_monotonic_time() - job.since_us)));
	g_variant_builder_add(&b, "{sv}", "pages_total", g_variant_new_uint64(job.progress.pages_total));
	g_variant_builder_add(&b, "{sv}", "pages_done", g_variant_new_uint64(job.progress.pages_done));
	g_variant_builder_add(&b, "{sv}", "bytes_done", g_variant_new_uint64(job.progress.bytes_done));
	if (job.progress.round) {
		g_variant_builder_add(&b, "{sv}", "round", g_variant_new_uint32(job.progress.round));
		g_variant_builder_add(&b, "{sv}", "dirty_pages",
		                      g_variant_new_uint64(job.progress.dirty_pages));
		g_variant_builder_add(&b, "{sv}", "rate", g_variant_new_uint64(job.progress.rate));
		g_variant_builder_add(&b, "{sv}", "throttle", g_variant_new_uint32(job.progress.throttle));
	}
	if (job.progress.downtime_us)
		g_variant_builder_add(&b, "{sv}", "downtime_us",
		                      g_variant_new_uint64(job.progress.downtime_us));
	return g_variant_builder_end(&b);
}

static void add_ours(GVariantBuilder *b, struct guest *guest, const struct xyl_dominfo *info, bool full)
{
	g_autoptr(GVariant) config = NULL;
	g_autoptr(GVariant) devices = NULL;
	const char *operation, *phase;
	GVariant *job;

	g_mutex_lock(&xylemd.lock);
	config = g_variant_ref(guest->snapshot);
	devices = g_variant_ref(guest->devices);
	operation = guest->operation;
	phase = guest->phase;
	g_mutex_unlock(&xylemd.lock);
	if (!phase)
		phase = info->domid ? state_name(info) : "stopping";
	g_variant_builder_add(b, "{sv}", "name", g_variant_new_string(guest->name));
	g_variant_builder_add(b, "{sv}", "owner", g_variant_new_string("xylemd"));
	g_variant_builder_add(b, "{sv}", "operation", g_variant_new_string(operation));
	g_variant_builder_add(b, "{sv}", "state", g_variant_new_string(phase));
	if (full) {
		g_autofree char *tty = info->domid ? store_text(info->domid, "console/tty") : g_strdup("");

		g_variant_builder_add(b, "{sv}", "config", config);
		g_variant_builder_add(b, "{sv}", "devices", describe_devices(devices, info->domid));
		g_variant_builder_add(b, "{sv}", "console_tty", g_variant_new_string(tty));
		job = describe_job(guest);
		if (job)
			g_variant_builder_add(b, "{sv}", "job", job);
	}
}

static void add_other(GVariantBuilder *b, const struct xyl_dominfo *info, bool full)
{
	g_autofree char *name = store_text(info->domid, "name");
	g_autofree char *tty = full ? store_text(info->domid, "console/tty") : NULL;

	g_variant_builder_add(b, "{sv}", "name", g_variant_new_string(name));
	g_variant_builder_add(b, "{sv}", "owner", g_variant_new_string("other"));
	g_variant_builder_add(b, "{sv}", "operation", g_variant_new_string(""));
	g_variant_builder_add(b, "{sv}", "state", g_variant_new_string(state_name(info)));
	if (full)
		g_variant_builder_add(b, "{sv}", "console_tty", g_variant_new_string(tty));
}

/* guest: whose domain it is, or NULL; without a domain info is all zero but for the UUID. */
static GVariant *describe(const struct xyl_dominfo *info, struct guest *guest, bool full)
{
	g_autofree char *uuid = uuid_to_text(info->uuid);
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "domid", g_variant_new_uint32(info->domid));
	g_variant_builder_add(&b, "{sv}", "uuid", g_variant_new_string(uuid));
	if (info->shutdown)
		g_variant_builder_add(&b, "{sv}", "shutdown_reason", g_variant_new_string(reason_name(info)));
	g_variant_builder_add(&b, "{sv}", "memory_kib", g_variant_new_uint64(info->memory_pages * 4));
	/* Pages without a limit (dom0) are all ones. */
	g_variant_builder_add(&b, "{sv}", "max_memory_kib",
	                      g_variant_new_uint64(info->max_memory_pages > UINT64_MAX / 4
	                                                   ? UINT64_MAX
	                                                   : info->max_memory_pages * 4));
	g_variant_builder_add(&b, "{sv}", "vcpus", g_variant_new_uint32(info->online_vcpus));
	g_variant_builder_add(&b, "{sv}", "max_vcpus", g_variant_new_uint32(info->max_vcpus));
	g_variant_builder_add(&b, "{sv}", "cpu_time_ns", g_variant_new_uint64(info->cpu_time_ns));
	if (guest)
		add_ours(&b, guest, info, full);
	else
		add_other(&b, info, full);
	return g_variant_builder_end(&b);
}

/* The guest whose present domain this is, a reference, or NULL. */
static struct guest *owner_of(const struct xyl_dominfo *info)
{
	struct guest *guest = guest_by_domid(info->domid);

	if (guest && memcmp(guest->id, info->uuid, 16)) {
		guest_unref(guest);
		guest = NULL;
	}
	return guest;
}

/* Guests of ours that stand for no domain of the list. */
static void list_without_domain(GVariantBuilder *list, GHashTable *listed)
{
	g_autoptr(GPtrArray) rest = g_ptr_array_new_with_free_func((GDestroyNotify)guest_unref);
	GHashTableIter iter;
	gpointer value;
	guint i;

	g_mutex_lock(&xylemd.lock);
	g_hash_table_iter_init(&iter, xylemd.by_uuid);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		if (!g_hash_table_contains(listed, value))
			g_ptr_array_add(rest, guest_ref(value));
	}
	g_mutex_unlock(&xylemd.lock);
	for (i = 0; i < rest->len; i++) {
		struct guest *guest = g_ptr_array_index(rest, i);
		struct xyl_dominfo none = { 0 };

		memcpy(none.uuid, guest->id, 16);
		g_variant_builder_add_value(list, describe(&none, guest, false));
	}
}

static void op_list(struct op *op)
{
	g_autoptr(GHashTable) listed = g_hash_table_new(g_direct_hash, g_direct_equal);
	struct xyl_dominfo *domains = NULL;
	int count = xyl_domain_list_all(xylemd.xen, &domains), i;
	g_autoptr(GError) error = NULL;
	GDBusMethodInvocation *call;
	GVariantBuilder list;

	if (count < 0) {
		xd_fail(&error, XD_ERROR_HYPERVISOR, "listing domains: %s", xyl_error());
		op_fail(op, error);
		return;
	}
	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < count; i++) {
		struct guest *guest = owner_of(&domains[i]);

		g_variant_builder_add_value(&list, describe(&domains[i], guest, false));
		if (guest)
			g_hash_table_add(listed, guest);
		guest_unref(guest);
	}
	free(domains);
	list_without_domain(&list, listed);
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_list(xylemd.service, call, g_variant_builder_end(&list));
	else
		g_variant_builder_clear(&list);
}

static gboolean handle_list(XdXylemd1 *service, GDBusMethodInvocation *call, gpointer data)
{
	(void)service;
	(void)data;
	op_submit_quick(&xylemd.quick, op_new(op_list, "", NULL, call));
	return TRUE;
}

static void op_get(struct op *op)
{
	g_autoptr(GError) error = NULL;
	GDBusMethodInvocation *call;
	struct xyl_dominfo info;
	uint32_t domid;

	if (op->guest) {
		g_mutex_lock(&xylemd.lock);
		domid = op->guest->domid;
		g_mutex_unlock(&xylemd.lock);
		if (!domid || xyl_domain_info(xylemd.xen, domid, &info) ||
		    memcmp(info.uuid, op->guest->id, 16)) {
			memset(&info, 0, sizeof(info));
			memcpy(info.uuid, op->guest->id, 16);
		}
	} else if (!find_foreign(op->target, &info, &error)) {
		op_fail(op, error);
		return;
	}
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_get(xylemd.service, call, describe(&info, op->guest, true));
}

static gboolean handle_get(XdXylemd1 *service, GDBusMethodInvocation *call, const char *name, gpointer data)
{
	struct guest *guest = guest_named(name);

	(void)service;
	(void)data;
	op_submit_quick(&xylemd.quick, op_for(op_get, "", guest, name, call));
	guest_unref(guest);
	return TRUE;
}

void service_start(XdXylemd1 *service)
{
	g_signal_connect(service, "handle-create", G_CALLBACK(handle_create), NULL);
	g_signal_connect(service, "handle-save", G_CALLBACK(handle_save), NULL);
	g_signal_connect(service, "handle-set-migration", G_CALLBACK(handle_set_migration), NULL);
	g_signal_connect(service, "handle-dump", G_CALLBACK(handle_dump), NULL);
	g_signal_connect(service, "handle-dirty-rate", G_CALLBACK(handle_dirty_rate), NULL);
	g_signal_connect(service, "handle-resume", G_CALLBACK(handle_resume), NULL);
	g_signal_connect(service, "handle-restore", G_CALLBACK(handle_restore), NULL);
	g_signal_connect(service, "handle-cancel", G_CALLBACK(handle_cancel), NULL);
	g_signal_connect(service, "handle-destroy", G_CALLBACK(handle_destroy), NULL);
	g_signal_connect(service, "handle-shutdown", G_CALLBACK(handle_shutdown), NULL);
	g_signal_connect(service, "handle-pause", G_CALLBACK(handle_pause), NULL);
	g_signal_connect(service, "handle-unpause", G_CALLBACK(handle_unpause), NULL);
	g_signal_connect(service, "handle-attach-device", G_CALLBACK(handle_attach), NULL);
	g_signal_connect(service, "handle-detach-device", G_CALLBACK(handle_detach), NULL);
	g_signal_connect(service, "handle-resize-disk", G_CALLBACK(handle_resize_disk), NULL);
	g_signal_connect(service, "handle-set-disk-limits", G_CALLBACK(handle_set_disk_limits), NULL);
	g_signal_connect(service, "handle-set-memory", G_CALLBACK(handle_set_memory), NULL);
	g_signal_connect(service, "handle-set-vcpus", G_CALLBACK(handle_set_vcpus), NULL);
	g_signal_connect(service, "handle-set-scheduler", G_CALLBACK(handle_set_scheduler), NULL);
	g_signal_connect(service, "handle-set-affinity", G_CALLBACK(handle_set_affinity), NULL);
	g_signal_connect(service, "handle-set-link", G_CALLBACK(handle_set_link), NULL);
	g_signal_connect(service, "handle-release-nic", G_CALLBACK(handle_release_nic), NULL);
	g_signal_connect(service, "handle-set-policy", G_CALLBACK(handle_set_policy), NULL);
	g_signal_connect(service, "handle-set-opaque", G_CALLBACK(handle_set_opaque), NULL);
	g_signal_connect(service, "handle-screenshot", G_CALLBACK(handle_screenshot), NULL);
	g_signal_connect(service, "handle-send-keys", G_CALLBACK(handle_send_keys), NULL);
	g_signal_connect(service, "handle-open-screen", G_CALLBACK(handle_open_screen), NULL);
	g_signal_connect(service, "handle-list", G_CALLBACK(handle_list), NULL);
	g_signal_connect(service, "handle-get", G_CALLBACK(handle_get), NULL);
}
