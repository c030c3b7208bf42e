/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks that are images, and the QEMU of a guest's own that serves them, through xylemd's socket. */
#include "lifecycle.h"

static void counts(int *screens, int *images, int *quits)
{
	fake_lock();
	*screens = fake_screens;
	*images = fake_images;
	*quits = fake_quits;
	fake_unlock();
}

static char *image_state(uint32_t domid)
{
	g_autofree char *path = g_strdup_printf("/local/domain/0/backend/qdisk/%u/51712/state", domid);

	return fake_read(path);
}

static GVariant *image_argument(void)
{
	return g_variant_new_parsed(
	        "{'class': <'disk'>, 'vdev': <'xvdb'>, 'source': <'/d'>, 'type': <'file'>, 'format': <'qcow2'>}");
}

static GVariant *image_key(void)
{
	return g_variant_new_parsed("{'class': <'disk'>, 'vdev': <'xvdb'>}");
}

/* Disks that QEMU serves come and go with it, which a guest has for them alone. */
static void test_image(void)
{
	int screens, images, quits, before;
	g_autofree char *state = NULL;
	g_autofree char *dead = NULL;
	g_autofree char *left = NULL;
	struct test_guest g;
	struct call *call;
	uint32_t domid;

	with_image = true;
	new_guest(&g);
	create(&g, false);
	with_image = false;
	domid = fake_find(g.id);
	state = image_state(domid);
	counts(&screens, &images, &before);
	tap_ok(screens == 1 && images == 1 && !g_strcmp0(state, "4"), "a guest with an image has a QEMU");
	call = make("Screenshot", g_variant_new("(s)", g.uuid));
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.NotFound"), "and no screen");
	end(call);
	end(make("AttachDevice", g_variant_new("(s@a{sv})", g.uuid, image_argument())));
	counts(&screens, &images, &quits);
	tap_ok(screens == 1 && images == 2, "another image is served by it, too");
	call = make("DetachDevice", g_variant_new("(s@a{sv})", g.uuid, image_key()));
	counts(&screens, &images, &quits);
	tap_ok(call->good && screens == 1 && images == 1, "and goes");
	end(call);
	fake_stop(domid, XYL_SHUTDOWN_REBOOT);
	settle(&g);
	UNTIL(fake_find(g.id) && fake_find(g.id) != domid);
	settle(&g);
	domid = fake_find(g.id);
	counts(&screens, &images, &quits);
	tap_ok(screens == 1 && images == 2 && quits == before + 1,
	       "rebooted: QEMU was told to end by itself, and another one has the image");
	fake_screen_dies();
	settle(&g);
	dead = image_state(domid);
	counts(&screens, &images, &quits);
	tap_ok(!screens && !g_strcmp0(dead, "6") && fake_find(g.id) == domid,
	       "QEMU died: the guest is told, and runs on without it");
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
	left = image_state(domid);
	tap_ok(!left, "its nodes go with it");
	new_guest(&g);
	create(&g, false);
	counts(&screens, &images, &before);
	tap_ok(!screens, "a guest with a raw disk has no QEMU");
	call = make("AttachDevice", g_variant_new("(s@a{sv})", g.uuid, image_argument()));
	counts(&screens, &images, &quits);
	tap_ok(call->good && screens == 1, "it is given one for an image that is attached");
	end(call);
	call = make("DetachDevice", g_variant_new("(s@a{sv})", g.uuid, image_key()));
	counts(&screens, &images, &quits);
	tap_ok(call->good && !screens && quits == before + 1, "which ends when that is detached");
	end(call);
	fake_no_image = true;
	before = images;
	call = make("AttachDevice", g_variant_new("(s@a{sv})", g.uuid, image_argument()));
	counts(&screens, &images, &quits);
	tap_ok(!call->good && !screens && images == before,
	       "and one that was started in vain, too; it has not kept what it did not say that it has");
	end(call);
	fake_no_image = false;
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

static struct call *limit(const struct test_guest *g, const char *vdev, const char *limits)
{
	return make("SetDiskLimits",
	            g_variant_new("(ss@a{st})", g->uuid, vdev, g_variant_new_parsed(limits)));
}

static guint64 limit_now(void)
{
	guint64 now;

	fake_lock();
	now = fake_limit;
	fake_unlock();
	return now;
}

/* Limits of an image: of the running guest at once, and of each domain that follows. */
static void test_limits(void)
{
	struct test_guest g;
	struct call *call;
	uint32_t domid;

	new_guest(&g);
	create(&g, false);
	call = limit(&g, "xvda", "@a{st} {'total_bytes_sec': 5}");
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.NotSupported"),
	       "a disk that the kernel serves has no limits");
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
	with_image = true;
	new_guest(&g);
	create(&g, false);
	with_image = false;
	domid = fake_find(g.id);
	tap_ok(!limit_now(), "an image begins without limits");
	call = limit(&g, "xvda", "@a{st} {'total_bytes_sec': 1000}");
	tap_ok(call->good && limit_now() == 1000, "and is given some");
	end(call);
	call = limit(&g, "xvda", "@a{st} {'total_bytes_sec': 2000, 'read_bytes_sec': 5}");
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.InvalidArgument") &&
	               limit_now() == 1000,
	       "none that exclude each other");
	end(call);
	call = limit(&g, "xvdz", "@a{st} {}");
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.NotFound"), "no other disk is");
	end(call);
	fake_no_image = true;
	call = limit(&g, "xvda", "@a{st} {'total_bytes_sec': 3000}");
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.Device"),
	       "what QEMU does not take is an error");
	end(call);
	fake_no_image = false;
	fake_limit = 0;
	fake_stop(domid, XYL_SHUTDOWN_REBOOT);
	settle(&g);
	UNTIL(fake_find(g.id) && fake_find(g.id) != domid);
	settle(&g);
	tap_ok(limit_now() == 1000, "what it took holds after a reboot");
	call = limit(&g, "xvda", "@a{st} {}");
	tap_ok(call->good && !limit_now(), "until it is taken back");
	end(call);
	fake_screen_dies();
	settle(&g);
	call = limit(&g, "xvda", "@a{st} {'total_bytes_sec': 1}");
	tap_ok(!call->good && !g_strcmp0(call->error, "org.xylem.Error.Device"),
	       "an image that is gone with its QEMU has none");
	end(call);
	end(make("Destroy", g_variant_new("(s)", g.uuid)));
}

int main(void)
{
	g_log_set_writer_func(quiet, NULL, NULL);
	set_up();
	test_image();
	test_limits();
	g_rmdir(dir);
	g_rmdir(dump_dir);
	g_free(dump_dir);
	g_free(dir);
	return tap_end();
}
