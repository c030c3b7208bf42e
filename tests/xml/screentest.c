/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Screens of guests: where they listen, as clients are told, and what is asked of them. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "define.h"
#include "events.h"
#include "lifecycle.h"
#include "monitor.h"
#include "played.h"
#include "screen.h"
#include "virerror.h"
#include "virkeycode.h"
#include "viruuid.h"

#define UUID  "5f2b7e10-0000-4000-8000-000000000001"
#define OTHER "5f2b7e10-0000-4000-8000-000000000002"
#define XML(name, uuid, devices)                                                                         \
	"<domain type='xen'><name>" name "</name><uuid>" uuid "</uuid><memory unit='KiB'>65536</memory>" \
	"<vcpu>1</vcpu><os><type>linux</type><kernel>/k</kernel></os><devices>" devices                  \
	"</devices></domain>"
#define PICTURE "P6\n1 1\n255\nabc"

static void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# last error: %s\n", virGetLastErrorMessage());
}

/* ---- xylemd ---- */

static unsigned int domid;
static guint32 port = 5903;
static uint32_t pressed[16];
static size_t pressed_count;
static int served;

static GVariant *devices_now(void)
{
	GVariantBuilder list;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	g_variant_builder_open(&list, G_VARIANT_TYPE("a{sv}"));
	g_variant_builder_add(&list, "{sv}", "class", g_variant_new_string("screen"));
	if (port)
		g_variant_builder_add(&list, "{sv}", "port", g_variant_new_uint32(port));
	g_variant_builder_close(&list);
	return g_variant_ref_sink(g_variant_builder_end(&list));
}

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *guest, bool paused G_GNUC_UNUSED,
                   unsigned int *number, GVariant **devices)
{
	g_variant_unref(g_variant_ref_sink(guest));
	*devices = devices_now();
	*number = ++domid;
	return 0;
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	return 0;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return true;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	g_autoptr(GVariant) devices = devices_now();
	GVariantDict dict;

	if (known)
		*known = true;
	g_variant_dict_init(&dict, NULL);
	g_variant_dict_insert_value(&dict, "devices", devices);
	return g_variant_ref_sink(g_variant_dict_end(&dict));
}

int monitor_screenshot(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	int fd = memfd_create("picture", MFD_CLOEXEC);

	if (write(fd, PICTURE, strlen(PICTURE)) != (ssize_t)strlen(PICTURE))
		abort();
	return fd;
}

int monitor_send_keys(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                      unsigned int hold_ms G_GNUC_UNUSED, const uint32_t *keys, size_t count)
{
	memcpy(pressed, keys, count * sizeof(*keys));
	pressed_count = count;
	return 0;
}

int monitor_open_screen(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, int fd,
                        bool skip_auth)
{
	served += skip_auth ? 1 : 100;
	return write(fd, "RFB", 3) == 3 ? 0 : -1;
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t number, struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = number;
	ignore_value(virUUIDParse(UUID, info->uuid));
	return 0;
}

int xyl_domain_list_all(struct xyl *x, struct xyl_dominfo **infos)
{
	*infos = calloc(1, sizeof(**infos));
	if (!*infos)
		abort();
	return domid ? 1 + xyl_domain_info(x, domid, *infos) : 0;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 1;
	return 0;
}

/* ---- tests ---- */

static bool says(virDomainPtr dom, unsigned int flags, const char *text)
{
	g_autofree char *xml = define_get_xml(dom, flags);

	return xml && strstr(xml, text);
}

static void test_port(virDomainPtr dom)
{
	ok(says(dom, 0, "port='5903' autoport='yes' listen='127.0.0.1'"), "the running guest's port is told");
	ok(says(dom, VIR_DOMAIN_XML_INACTIVE, "port='-1' autoport='yes'"), "its definition has none");
	port = 5904;
	played_say(UUID, domid, "config", "screen");
	played_heard();
	ok(says(dom, 0, "port='5904'"), "a new one is told when xylemd tells it");
	port = 0;
	played_say(UUID, domid, "config", "screen");
	played_heard();
	ok(says(dom, 0, "port='-1'"), "one that has gone is not told");
}

static void test_picture(virDomainPtr dom)
{
	virStreamPtr stream = virStreamNew(conn, 0);
	g_autofree char *type = screen_shoot(dom, stream, 0, 0);
	char bytes[64] = "";
	int count = type ? virStreamRecv(stream, bytes, sizeof(bytes)) : -1;

	ok(type && STREQ(type, "image/x-portable-pixmap") && count == (int)strlen(PICTURE) &&
	           STREQ(bytes, PICTURE) && virStreamRecv(stream, bytes, sizeof(bytes)) == 0,
	   "a picture comes by the stream, to its end");
	ignore_value(virStreamFinish(stream));
	virObjectUnref(stream);
	stream = virStreamNew(conn, 0);
	ok(!screen_shoot(dom, stream, 1, 0) && virGetLastErrorCode() == VIR_ERR_INVALID_ARG,
	   "there is no second screen");
	virObjectUnref(stream);
}

static void test_keys(virDomainPtr dom)
{
	unsigned int linux_keys[] = { 29, 56, 111 }, bad[] = { 60000 };

	ok(screen_send_key(dom, VIR_KEYCODE_SET_LINUX, 0, linux_keys, 3, 0) == 0 && pressed_count == 3 &&
	           pressed[0] == 0x1d && pressed[1] == 0x38 && pressed[2] == 0xd3,
	   "keys are translated");
	pressed_count = 0;
	ok(screen_send_key(dom, VIR_KEYCODE_SET_LINUX, 0, bad, 1, 0) < 0 && !pressed_count,
	   "what is no key is an error");
	ok(screen_send_key(dom, VIR_KEYCODE_SET_LINUX, 0, linux_keys, 17, 0) < 0 && !pressed_count,
	   "so are more than there are fingers");
}

static void test_viewers(virDomainPtr dom)
{
	char bytes[4] = "";
	int ends[2], fd = screen_open_fd(dom, 0, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH);

	ok(fd >= 0 && served == 1 && read(fd, bytes, 3) == 3 && STREQ(bytes, "RFB"),
	   "a viewer is given a socket");
	if (fd >= 0)
		close(fd);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		abort();
	ok(screen_open(dom, 0, ends[0], 0) == 0 && served == 101 && read(ends[1], bytes, 3) == 3,
	   "or brings its own");
	close(ends[0]);
	close(ends[1]);
	ok(screen_open_fd(dom, 1, 0) < 0, "there is no second screen for it");
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-screen-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	virDomainPtr dom, other;

	if (!dir || !played_setup(dir) || events_start() < 0 ||
	    !(dom = define_xml(conn, XML("one", UUID, "<graphics type='vnc' port='-1'/>"))) ||
	    !(other = define_xml(conn, XML("two", OTHER, ""))) || lifecycle_create(dom) < 0) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	test_port(dom);
	test_picture(dom);
	test_keys(dom);
	test_viewers(dom);
	ok(screen_open_fd(other, 0, 0) < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID,
	   "a guest that is off shows nothing");
	virObjectUnref(dom);
	virObjectUnref(other);
	events_stop();
	return tap_end() || system(remove) ? 1 : 0;
}
