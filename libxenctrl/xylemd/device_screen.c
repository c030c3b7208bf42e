/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Screens as a class of devices (device.h). What one is by itself, without a guest: screen.c.
 *
 * A screen comes with each domain of the guest and goes with it. Its QEMU may die before: the guest runs on, and another
 * one takes the backends over, unless several in a row died soon. The same QEMU serves disks (device_image.c), which
 * nobody takes over.
 */
#include <gio/gunixfdlist.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "error.h"
#include "layout.h"
#include "screen.h"
#include "storeio.h"

#define QUICK_US  (10 * G_USEC_PER_SEC) /* a shorter life was a quick one */
#define QUICK_MAX 5                     /* quick lives in a row before it is given up */
#define NAME      "screen"
#define DISKS     "disks"

static const char *const types[] = { "vfb", "vkbd" };

static bool needs_qemu(const struct guest *guest)
{
	return guest->journal->conf->screen || guestconf_has_images(guest->journal->conf);
}

static struct screen_identity identity(const struct guest *guest)
{
	return (struct screen_identity){ .guest = guest->name,
		                         .uuid = guest->uuid,
		                         .part = guest->journal->conf->screen ? NAME : DISKS,
		                         .domid = guest->journal->domid };
}

static void list_screens(const struct guest *guest, GVariantBuilder *list)
{
	const struct screen_conf *conf = guest->journal->conf->screen;
	GVariantBuilder b;

	if (!conf)
		return;
	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "class", g_variant_new_string("screen"));
	g_variant_builder_add(&b, "{sv}", "devid", g_variant_new_uint32(0));
	if (guest->screen && screen_port(guest->screen))
		g_variant_builder_add(&b, "{sv}", "port", g_variant_new_uint32(screen_port(guest->screen)));
	g_variant_builder_add_value(list, g_variant_builder_end(&b));
}

static bool attach_screen(struct guest *guest, GVariant *dict, GVariant **made, GError **error)
{
	(void)dict;
	(void)made;
	return xd_fail(error, XD_ERROR_NOT_SUPPORTED, "guest \"%s\": a screen comes with the guest's start",
	               guest->name);
}

static bool detach_screen(struct guest *guest, const struct device_ref *ref, GError **error)
{
	(void)ref;
	return xd_fail(error, XD_ERROR_NOT_SUPPORTED, "guest \"%s\": a screen goes with the guest",
	               guest->name);
}

/* ---- QEMU's death ---- */

static void op_screen_ended(struct op *op);

/* In the main context. */
static void qemu_ended(void *data)
{
	op_submit(op_new(op_screen_ended, "screen", data, NULL));
}

static struct screen_owner owner(struct guest *guest)
{
	return (struct screen_owner){ .ended = qemu_ended,
		                      .data = guest_ref(guest),
		                      .free = (GDestroyNotify)(void (*)(void))guest_unref };
}

static bool start(struct guest *guest, GError **error)
{
	struct journal *journal = guest->journal;
	struct screen_identity who = identity(guest);
	struct screen_owner told = owner(guest);
	guint i;

	guest->screen =
	        screen_start(journal->conf->screen, &who, journal->screen_port, &guest->doomed, &told, error);
	if (!guest->screen)
		return false;
	guest->screen_since_us = g_get_monotonic_time();
	journal->screen_port = screen_port(guest->screen);
	if (!journal->conf->screen)
		return true;
	for (i = 0; i < G_N_ELEMENTS(types); i++)
		if (!device_wait_offered(guest, types[i], 0, NAME, error))
			return false;
	return true;
}

/* QEMU takes over only what is as new; the frontends, connected already, do not mind. */
static bool make_new(struct guest *guest, GError **error)
{
	uint32_t domid = guest->journal->domid;
	g_autofree char *vfb = layout_backend(domid, types[0], 0);
	g_autofree char *vkbd = layout_backend(domid, types[1], 0);
	g_autofree char *vfb_state = g_strconcat(vfb, "/state", NULL);
	g_autofree char *vkbd_state = g_strconcat(vkbd, "/state", NULL);
	g_autofree char *what = g_strdup_printf("guest \"%s\", screen", guest->name);

	return storeio_set(xylemd.io, what, error, vfb_state, "1", vkbd_state, "1", NULL);
}

enum domain_state { DOMAIN_ENDS, DOMAIN_LIVES, DOMAIN_SUSPENDED };

static enum domain_state domain_state(const struct guest *guest)
{
	struct xyl_dominfo info;

	if (!guest->journal->domid || g_atomic_int_get(&guest->doomed) ||
	    xyl_domain_info(xylemd.xen, guest->journal->domid, &info) ||
	    memcmp(info.uuid, guest->id, sizeof(info.uuid)) || info.dying)
		return DOMAIN_ENDS;
	if (!info.shutdown)
		return DOMAIN_LIVES;
	return info.shutdown_reason == XYL_SHUTDOWN_SUSPEND ? DOMAIN_SUSPENDED : DOMAIN_ENDS;
}

static bool domain_lives(const struct guest *guest)
{
	return domain_state(guest) == DOMAIN_LIVES;
}

static void begin_again(struct guest *guest)
{
	g_autoptr(GError) error = NULL;

	if (make_new(guest, &error) && start(guest, &error)) {
		g_message("guest \"%s\": it has its screen again", guest->name);
	} else {
		device_screen_end(guest);
		g_warning("guest \"%s\": it goes on without its screen: %s", guest->name, error->message);
	}
	device_publish(guest, NAME);
}

static void op_screen_ended(struct op *op)
{
	struct guest *guest = op->guest;
	g_autofree char *how = NULL;
	enum domain_state state;

	/* It may be another one's by now, whose turn has not come. */
	if (!guest->screen || !screen_has_ended(guest->screen, &how))
		return;
	g_warning("guest \"%s\", %s: QEMU: %s", guest->name, guest->journal->conf->screen ? NAME : DISKS,
	          how);
	if (g_get_monotonic_time() - guest->screen_since_us >= QUICK_US)
		guest->screen_quick = 0;
	else
		guest->screen_quick++;
	g_clear_pointer(&guest->screen, screen_forget);
	state = domain_state(guest);
	/* One that is suspended may be resumed. */
	if (device_images_lost(guest, state != DOMAIN_ENDS))
		device_publish(guest, DISKS);
	if (state != DOMAIN_LIVES)
		return;
	if (!guest->journal->conf->screen) {
		device_screen_end(guest);
	} else if (guest->screen_quick >= QUICK_MAX) {
		device_screen_end(guest);
		g_warning("guest \"%s\": it goes on without its screen, which ended %d times within %d s",
		          guest->name, QUICK_MAX, (int)(QUICK_US / G_USEC_PER_SEC));
		device_publish(guest, NAME);
	} else {
		begin_again(guest);
	}
}

/* ---- for a guest's beginning and end ---- */

bool device_screen_check(struct guest *guest, GError **error)
{
	return !needs_qemu(guest) || screen_check(guest->journal->conf->screen, guest->name, error);
}

bool device_screen_connect(struct guest *guest, GError **error)
{
	guest->screen_quick = 0;
	return !needs_qemu(guest) || (start(guest, error) && device_images_serve(guest, error));
}

bool device_screen_need(struct guest *guest, GError **error)
{
	return guest->screen ||
	       (screen_check(guest->journal->conf->screen, guest->name, error) && start(guest, error));
}

void device_screen_adopt(struct guest *guest)
{
	struct screen_identity who = identity(guest);
	struct screen_owner told;

	if (!needs_qemu(guest))
		return;
	told = owner(guest);
	guest->screen = screen_adopt(&who, guest->journal->screen_port, &told);
	guest->screen_since_us = g_get_monotonic_time();
	device_images_adopt(guest);
	if (guest->screen || !domain_lives(guest))
		return;
	g_warning("guest \"%s\": its QEMU has ended meanwhile", guest->name);
	device_images_lost(guest, true);
	if (guest->journal->conf->screen)
		begin_again(guest);
	else
		device_screen_end(guest);
}

/* What is in QEMU of the guest's disks is written, whoever had it started. */
static void quit(struct guest *guest)
{
	struct screen_identity who = identity(guest);
	struct screen_owner told;

	if (!guestconf_has_images(guest->journal->conf))
		return;
	if (!guest->screen) {
		told = owner(guest);
		guest->screen = screen_adopt(&who, 0, &told);
	}
	screen_quit(guest->screen);
	(void)device_images_lost(guest, false);
}

static void end(struct guest *guest)
{
	/* By what we hold of it; its folder tells only of one that an earlier xylemd has left. */
	screen_kill(guest->screen);
	g_clear_pointer(&guest->screen, screen_forget);
	screen_end(guest->uuid, guest->name);
}

void device_screen_end(struct guest *guest)
{
	quit(guest);
	/* Also where an xylemd has died while it attached a disk. */
	end(guest);
}

void device_screen_spare(struct guest *guest)
{
	if (guest->screen && !needs_qemu(guest)) {
		screen_quit(guest->screen);
		end(guest);
	}
}

/* ---- calls ---- */

static struct screen *screen_of(struct op *op, GError **error)
{
	struct guest *guest = op->guest;

	if (!guest->journal->conf->screen) {
		xd_fail(error, XD_ERROR_NOT_FOUND, "guest \"%s\": it has no screen", guest->name);
		return NULL;
	}
	if (!guest->screen)
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\": its screen has ended", guest->name);
	return guest->screen;
}

void op_screenshot(struct op *op)
{
	g_autoptr(GError) error = NULL;
	struct screen *screen = screen_of(op, &error);
	int picture = screen ? screen_shoot(screen, &op->guest->doomed, &error) : -1;
	g_autoptr(GUnixFDList) fds = NULL;
	GDBusMethodInvocation *call;

	if (picture < 0) {
		op_fail(op, error);
		return;
	}
	fds = g_unix_fd_list_new_from_array(&picture, 1);
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_screenshot(xylemd.service, call, fds, g_variant_new_handle(0));
}

void op_send_keys(struct op *op)
{
	g_autoptr(GError) error = NULL;
	struct screen *screen = screen_of(op, &error);
	g_autoptr(GVariant) list = NULL;
	const uint32_t *keys;
	uint32_t hold_ms;
	gsize count;

	g_variant_get(op->argument, "(u@au)", &hold_ms, &list);
	keys = g_variant_get_fixed_array(list, &count, sizeof(*keys));
	if (screen && (!count || count > GUEST_KEYS_MAX))
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\": 1 to %d keys are pressed at once",
		        op->guest->name, GUEST_KEYS_MAX);
	else if (screen && hold_ms > GUEST_HOLD_MAX_MS)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\": keys are held for up to %d ms",
		        op->guest->name, GUEST_HOLD_MAX_MS);
	else if (screen)
		screen_send_keys(screen, keys, count, hold_ms, &op->guest->doomed, &error);
	if (error)
		op_fail(op, error);
	else
		op_succeed(op);
}

void op_open_screen(struct op *op)
{
	g_autoptr(GError) error = NULL;
	struct screen *screen = screen_of(op, &error);
	GDBusMessage *message = op->call ? g_dbus_method_invocation_get_message(op->call) : NULL;
	GUnixFDList *fds = message ? g_dbus_message_get_unix_fd_list(message) : NULL;
	gboolean skip_auth;
	gint32 handle;
	int fd;

	g_variant_get(op->argument, "(hb)", &handle, &skip_auth);
	fd = screen && fds && handle >= 0 && handle < g_unix_fd_list_get_length(fds)
	             ? g_unix_fd_list_get(fds, handle, &error)
	             : -1;

	if (screen && fd < 0 && !error)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\": a connected socket is wanted",
		        op->guest->name);
	if (fd >= 0) {
		screen_serve(screen, fd, skip_auth, &op->guest->doomed, &error);
		close(fd);
	}
	if (error)
		op_fail(op, error);
	else
		op_succeed(op);
}

const struct device_class device_screen = {
	.name = "screen",
	.type = "vfb",
	.second_type = "vkbd",
	.list = list_screens,
	.attach = attach_screen,
	.detach = detach_screen,
};
