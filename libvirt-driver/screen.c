/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The screen of a running guest, which a QEMU of its own serves: pictures, keys, and viewers that come through libvirt.
 * All goes through xylemd, which answers in time also where that QEMU is hung.
 */
#include "screen.h"
#include "domain.h"
#include "monitor.h"
#include "xylem.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "datatypes.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virfdstream.h"
#include "virfile.h"
#include "virkeycode.h"
#include "viruuid.h"

#define KEYS_MAX 16

void screen_take_port(virDomainDef *def, GVariant *devices)
{
	virDomainGraphicsDef *graphics = def->ngraphics ? def->graphics[0] : NULL;
	virDomainGraphicsListenDef *listen = graphics && graphics->nListens ? &graphics->listens[0] : NULL;
	gsize i;

	if (!graphics || !devices)
		return;
	if (graphics->data.vnc.autoport)
		graphics->data.vnc.port = 0;
	for (i = 0; i < g_variant_n_children(devices); i++) {
		g_autoptr(GVariant) device = g_variant_get_child_value(devices, i);
		const char *class = "";
		guint32 port;

		if (g_variant_lookup(device, "class", "&s", &class) && STREQ(class, "screen") &&
		    g_variant_lookup(device, "port", "u", &port))
			graphics->data.vnc.port = (int)port;
	}
	/* Where xylemd lets it listen unless it is told. */
	if (listen && listen->type == VIR_DOMAIN_GRAPHICS_LISTEN_TYPE_ADDRESS && !listen->address)
		listen->address = g_strdup("127.0.0.1");
}

/* What is done with the screen; data: the caller's. No object is locked. */
typedef int screen_fn(const char *handle, void *data);

static int with_screen(virDomainPtr dom, int (*acl)(virConnectPtr, virDomainDef *), unsigned int index,
                       screen_fn *fn, void *data)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (acl(dom->conn, vm->def) < 0 || domain_refuse_dom0(vm, "asked for a screen") < 0 ||
	    domain_begin_job(vm, VIR_JOB_QUERY) < 0)
		goto cleanup;
	if (virDomainObjCheckActive(vm) < 0)
		goto endjob;
	if (index >= vm->def->ngraphics) {
		virReportError(VIR_ERR_INVALID_ARG, "domain %s has no screen %u", vm->def->name, index);
		goto endjob;
	}
	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		goto endjob;
	virObjectUnlock(vm);
	ret = fn(handle, data);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
endjob:
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

static int shoot(const char *handle, void *data)
{
	int *fd = data;

	*fd = monitor_screenshot(xylem->monitor, handle);
	return *fd < 0 ? -1 : 0;
}

char *screen_shoot(virDomainPtr dom, virStreamPtr stream, unsigned int screen, unsigned int flags)
{
	g_autofree char *path = NULL;
	char *type = NULL;
	int fd = -1;

	virCheckFlags(0, NULL);

	if (with_screen(dom, virDomainScreenshotEnsureACL, screen, shoot, &fd) < 0)
		return NULL;
	/* A file in memory, which the stream opens for itself. */
	path = g_strdup_printf("/proc/self/fd/%d", fd);
	if (virFDStreamOpenFile(stream, path, 0, 0, O_RDONLY) == 0)
		type = g_strdup("image/x-portable-pixmap");
	VIR_FORCE_CLOSE(fd);
	return type;
}

struct keys {
	uint32_t numbers[KEYS_MAX];
	int count;
	unsigned int hold_ms;
};

static int send_keys(const char *handle, void *data)
{
	const struct keys *keys = data;

	return monitor_send_keys(xylem->monitor, handle, keys->hold_ms, keys->numbers, (size_t)keys->count);
}

int screen_send_key(virDomainPtr dom, unsigned int codeset, unsigned int holdtime, unsigned int *keycodes,
                    int nkeycodes, unsigned int flags)
{
	struct keys keys = { .hold_ms = holdtime, .count = nkeycodes };
	int i;

	virCheckFlags(0, -1);

	if (nkeycodes < 1 || nkeycodes > KEYS_MAX) {
		virReportError(VIR_ERR_INVALID_ARG, "1 to %d keys are pressed at once", KEYS_MAX);
		return -1;
	}
	for (i = 0; i < nkeycodes; i++) {
		int number = (int)keycodes[i];

		if (codeset != VIR_KEYCODE_SET_QNUM)
			number = virKeycodeValueTranslate((virKeycodeSet)codeset, VIR_KEYCODE_SET_QNUM,
			                                  number);
		if (number < 0) {
			virReportError(VIR_ERR_INVALID_ARG, "keycode %u of codeset %u has no key",
			               keycodes[i], codeset);
			return -1;
		}
		keys.numbers[i] = (uint32_t)number;
	}
	return with_screen(dom, virDomainSendKeyEnsureACL, 0, send_keys, &keys);
}

struct viewer {
	int fd;
	bool skip_auth;
};

static int serve(const char *handle, void *data)
{
	const struct viewer *viewer = data;

	return monitor_open_screen(xylem->monitor, handle, viewer->fd, viewer->skip_auth);
}

int screen_open(virDomainPtr dom, unsigned int index, int fd, unsigned int flags)
{
	struct viewer viewer = { fd, flags & VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH };

	virCheckFlags(VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH, -1);

	return with_screen(dom, virDomainOpenGraphicsEnsureACL, index, serve, &viewer);
}

int screen_open_fd(virDomainPtr dom, unsigned int index, unsigned int flags)
{
	struct viewer viewer = { .skip_auth = flags & VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH };
	int ends[2], ret;

	virCheckFlags(VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH, -1);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		virReportSystemError(errno, "%s", "no pair of sockets");
		return -1;
	}
	viewer.fd = ends[1];
	ret = with_screen(dom, virDomainOpenGraphicsFdEnsureACL, index, serve, &viewer);
	VIR_FORCE_CLOSE(ends[1]);
	if (ret < 0) {
		VIR_FORCE_CLOSE(ends[0]);
		return -1;
	}
	return ends[0];
}
