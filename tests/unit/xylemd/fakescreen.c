/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The screens of fakehost.h's host. */
#include "fakehost.h"

#include <fcntl.h>

#include "error.h"
#include "screen.h"

struct screen {
	uint32_t port, domid;
	struct screen_owner owner;
};

/* The one that was started last; guarded by fake_lock(), as the next two are. */
static struct screen *last_screen;
static bool screen_died;
int fake_screens;
int fake_images;
int fake_quits;
bool fake_no_image, fake_unsynced;
guint64 fake_limit;

bool screen_check(const struct screen_conf *conf, const char *guest, GError **error)
{
	(void)conf;
	(void)guest;
	(void)error;
	return true;
}

/* It serves what is in the store. */
static void serve(uint32_t domid)
{
	static const char *const types[] = { "vfb", "vkbd" };
	int i;

	for (i = 0; i < 2; i++) {
		g_autofree char *state =
		        g_strdup_printf("/local/domain/0/backend/%s/%u/0/state", types[i], domid);

		fake_write(state, "2");
	}
}

struct screen *screen_start(const struct screen_conf *conf, const struct screen_identity *who, uint32_t port,
                            const gint *cancelled, const struct screen_owner *owner, GError **error)
{
	struct screen *screen = g_new0(struct screen, 1);

	(void)cancelled;
	(void)error;
	screen->port = !conf ? 0 : conf->port ? conf->port : MAX(port, 5901);
	screen->owner = *owner;
	screen->domid = who->domid;
	if (conf)
		serve(who->domid);
	fake_lock();
	fake_screens++;
	last_screen = screen;
	screen_died = false;
	fake_unlock();
	return screen;
}

struct screen *screen_adopt(const struct screen_identity *who, uint32_t port,
                            const struct screen_owner *owner)
{
	(void)who;
	(void)port;
	owner->free(owner->data);
	return NULL;
}

void fake_screen_dies(void)
{
	struct screen *screen;

	fake_lock();
	screen = last_screen;
	screen_died = true;
	fake_unlock();
	if (screen)
		screen->owner.ended(screen->owner.data);
}

bool screen_has_ended(struct screen *screen, char **how)
{
	bool died;

	fake_lock();
	died = screen == last_screen && screen_died;
	fake_unlock();
	if (died)
		*how = g_strdup("it has died");
	return died;
}

uint32_t screen_port(const struct screen *screen)
{
	return screen->port;
}

void screen_forget(struct screen *screen)
{
	if (!screen)
		return;
	fake_lock();
	if (last_screen == screen)
		last_screen = NULL;
	fake_unlock();
	screen->owner.free(screen->owner.data);
	g_free(screen);
}

void screen_kill(struct screen *screen)
{
	(void)screen;
}

void screen_end(const char *uuid, const char *guest)
{
	(void)uuid;
	(void)guest;
	fake_lock();
	fake_screens = 0;
	fake_unlock();
}

void screen_quit(struct screen *screen)
{
	fake_lock();
	if (screen)
		fake_quits++;
	fake_unlock();
}

static char *image_state(const struct screen *screen, uint32_t devid)
{
	return g_strdup_printf("/local/domain/0/backend/qdisk/%u/%u/state", screen->domid, devid);
}

bool screen_image_add(struct screen *screen, const struct screen_image *image, const gint *cancelled,
                      GError **error)
{
	g_autofree char *state = image_state(screen, image->devid);

	(void)cancelled;
	fake_lock();
	fake_images++;
	fake_limit = image->limits.value[IO_RATE];
	fake_unlock();
	if (fake_no_image)
		return xd_fail(error, XD_ERROR_DEVICE, "it does not answer in time");
	fake_write(state, fake_frontends ? "4" : "2");
	return true;
}

bool screen_image_remove(struct screen *screen, uint32_t devid, const gint *cancelled, GError **error)
{
	(void)screen, (void)devid, (void)cancelled, (void)error;
	fake_lock();
	fake_images--;
	fake_unlock();
	return true;
}

bool screen_image_resize(struct screen *screen, uint32_t devid, uint64_t bytes, const gint *cancelled,
                         GError **error)
{
	(void)screen, (void)devid, (void)bytes, (void)cancelled, (void)error;
	return true;
}

bool screen_image_limit(struct screen *screen, uint32_t devid, const struct io_limits *limits,
                        const gint *cancelled, GError **error)
{
	(void)screen, (void)devid, (void)cancelled;
	if (fake_no_image)
		return xd_fail(error, XD_ERROR_DEVICE, "it does not answer in time");
	fake_lock();
	fake_limit = limits->value[IO_RATE];
	fake_unlock();
	return true;
}

bool screen_settle(struct screen *screen, const gint *cancelled, GError **error)
{
	(void)screen, (void)cancelled, (void)error;
	return true;
}

int screen_shoot(struct screen *screen, const gint *cancelled, GError **error)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)screen;
	(void)cancelled;
	if (fd < 0)
		xd_fail(error, XD_ERROR_DEVICE, "no /dev/null");
	return fd;
}

bool screen_send_keys(struct screen *screen, const uint32_t *keys, gsize count, uint32_t hold_ms,
                      const gint *cancelled, GError **error)
{
	(void)screen;
	(void)keys;
	(void)count;
	(void)hold_ms;
	(void)cancelled;
	(void)error;
	return true;
}

bool screen_serve(struct screen *screen, int fd, bool skip_auth, const gint *cancelled, GError **error)
{
	(void)screen;
	(void)fd;
	(void)skip_auth;
	(void)cancelled;
	(void)error;
	return true;
}
