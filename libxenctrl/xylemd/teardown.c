/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking guests down.
 *
 *	1. the domain is killed in the hypervisor: nothing of the guest runs any more
 *	2. all its nodes, and those of its backends, go from the store in one transaction
 *	3. the backends notice and let go; each is waited for, as long as it takes; then the disks are closed (loop devices
 *	   go with their last user)
 *	4. the domain is waited for a while: it stays as long as somebody maps its memory. That may be for ever, since another
 *	   guest may map what this one granted; nothing that the guest's next domain needs is left in it by then
 *
 * What devices there are is read from the store and not remembered, so that a half-built guest, one that xylemd did not
 * see end, and one that another toolstack made are all taken down by the same steps. A store that does not answer is asked
 * again for as long as it takes: what it does not tell of is not gone, and a backend lets go only of nodes that are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "teardown.h"
#include "backdev.h"
#include "device.h"
#include "storeio.h"

#define GONE_POLL_FIRST_US 500
#define GONE_POLL_LAST_US  1000000
/* Between two questions to a store that fails. */
#define STORE_POLL_FIRST_US 1000
#define STORE_POLL_LAST_US  1000000
/* Before it goes on although the domain's last page is still mapped. */
#define GONE_US (INT64_C(10) * 1000000)

/* One of the domain's devices. */
struct device {
	char *type;
	uint32_t devid;
};

static void device_free(gpointer data)
{
	struct device *device = data;

	g_free(device->type);
	g_free(device);
}

/* Tells of it the first time; pause_us is 0 then. */
static void wait_for_store(const char *what, const char *why, gulong *pause_us)
{
	if (!*pause_us)
		g_warning("%s: its teardown waits for xenstore: %s", what, why);
	*pause_us = *pause_us ? MIN(*pause_us * 2, STORE_POLL_LAST_US) : STORE_POLL_FIRST_US;
	g_usleep(*pause_us);
}

/* The names below a directory; NULL: there are none. Free with free(). */
static char **list(const char *dir, size_t *count, const char *what)
{
	gulong pause_us = 0;
	char **names;

	*count = 0;
	while (!(names = xyl_store_directory(storeio_store(xylemd.io), XYL_TX_NONE, dir, count)) &&
	       errno != ENOENT)
		wait_for_store(what, xyl_error(), &pause_us);
	return names;
}

static void find_devices_of_type(GPtrArray *devices, uint32_t domid, const char *type, const char *what)
{
	g_autofree char *dir = g_strdup_printf("/local/domain/0/backend/%s/%u", type, domid);
	size_t count, i;
	char **names = list(dir, &count, what);

	for (i = 0; names && i < count; i++) {
		struct device *device;
		guint64 devid;

		if (!g_ascii_string_to_unsigned(names[i], 10, 0, UINT32_MAX, &devid, NULL))
			continue;
		device = g_new0(struct device, 1);
		device->type = g_strdup(type);
		device->devid = (uint32_t)devid;
		g_ptr_array_add(devices, device);
	}
	free(names);
}

/* Ours have devices of our classes; another toolstack's domain may have anything. */
static GPtrArray *find_devices(uint32_t domid, bool ours, const char *what)
{
	GPtrArray *devices = g_ptr_array_new_with_free_func(device_free);
	size_t count, i;
	char **types;

	if (ours) {
		for (i = 0; device_classes[i]; i++)
			find_devices_of_type(devices, domid, device_classes[i]->type, what);
		for (i = 0; device_classes[i]; i++)
			if (device_classes[i]->second_type)
				find_devices_of_type(devices, domid, device_classes[i]->second_type, what);
		return devices;
	}
	types = list("/local/domain/0/backend", &count, what);
	for (i = 0; types && i < count; i++) {
		/* The console's backend is a daemon without states. */
		if (strcmp(types[i], "console"))
			find_devices_of_type(devices, domid, types[i], what);
	}
	free(types);
	return devices;
}

static void add_backends(GPtrArray *paths, uint32_t domid, GPtrArray *devices)
{
	g_autoptr(GHashTable) types = g_hash_table_new(g_str_hash, g_str_equal);
	guint i;

	for (i = 0; i < devices->len; i++) {
		struct device *device = g_ptr_array_index(devices, i);

		if (!g_hash_table_add(types, device->type))
			continue;
		g_ptr_array_add(paths, g_strdup_printf("/local/domain/0/backend/%s/%u", device->type, domid));
		g_ptr_array_add(paths,
		                g_strdup_printf("/local/domain/0/error/backend/%s/%u", device->type, domid));
	}
	g_ptr_array_add(paths, g_strdup_printf("/local/domain/0/device-model/%u", domid));
	/* A QEMU that ends removes what is its own, and not the directory. */
	g_ptr_array_add(paths,
	                g_strdup_printf("/local/domain/0/backend/%s/%u", device_disk.second_type, domid));
}

static void remove_paths(GPtrArray *paths, const char *what)
{
	g_autoptr(GError) error = NULL;
	gulong pause_us = 0;

	g_ptr_array_add(paths, NULL);
	while (!storeio_remove(xylemd.io, (const char *const *)paths->pdata, what, &error)) {
		wait_for_store(what, error->message, &pause_us);
		g_clear_error(&error);
	}
}

/* Step 2 */
static void remove_nodes(uint32_t domid, const char *uuid, GPtrArray *devices, const char *what)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

	add_backends(paths, domid, devices);
	g_ptr_array_add(paths, g_strdup_printf("/local/domain/0/backend/console/%u", domid));
	g_ptr_array_add(paths, g_strdup_printf("/local/domain/%u", domid));
	g_ptr_array_add(paths, g_strdup_printf("/libxl/%u", domid));
	if (uuid)
		g_ptr_array_add(paths, g_strconcat("/vm/", uuid, NULL));
	remove_paths(paths, what);
}

/* Step 4. There is no event for a domain's last page, so it is looked at with growing pauses. */
static void wait_domain_gone(uint32_t domid, const uint8_t id[16], const char *what)
{
	gint64 deadline = g_get_monotonic_time() + GONE_US;
	gulong pause_us = GONE_POLL_FIRST_US;
	struct xyl_dominfo info;

	while (!xyl_domain_info(xylemd.xen, domid, &info)) {
		/* The number may be another domain's by now. */
		if (id && memcmp(info.uuid, id, 16))
			return;
		if (!info.dying && id && xyl_domain_destroy(xylemd.xen, domid))
			g_warning("domain %u: %s", domid, xyl_error());
		/* One of ours that lives is not given up. */
		if ((info.dying || !id) && g_get_monotonic_time() > deadline) {
			g_warning("%s: domain %u is dead, but somebody keeps some of its memory", what,
			          domid);
			return;
		}
		g_usleep(pause_us);
		pause_us = MIN(pause_us * 2, GONE_POLL_LAST_US);
	}
}

/* Whether the number is that of a domain with another UUID. */
static bool is_anothers(uint32_t domid, const uint8_t id[16])
{
	struct xyl_dominfo info;

	return !xyl_domain_info(xylemd.xen, domid, &info) && memcmp(info.uuid, id, 16);
}

static void kill_domain(uint32_t domid)
{
	if (xyl_domain_destroy(xylemd.xen, domid) && errno != ESRCH)
		g_warning("domain %u: %s", domid, xyl_error());
}

/* Step 3. Closes the listener. */
static void wait_devices_gone(int listener, uint32_t domid, GPtrArray *devices)
{
	guint i;

	for (i = 0; i < devices->len; i++) {
		struct device *device = g_ptr_array_index(devices, i);

		backdev_wait_gone(listener, device->type, domid, device->devid);
	}
	if (listener >= 0)
		close(listener);
}

static void teardown_common(uint32_t domid, const char *uuid, bool ours, const char *what)
{
	g_autoptr(GPtrArray) devices = NULL;
	int listener;

	kill_domain(domid);
	devices = find_devices(domid, ours, what);
	listener = devices->len ? backdev_listen() : -1;
	remove_nodes(domid, uuid, devices, what);
	wait_devices_gone(listener, domid, devices);
}

void teardown_devices(struct guest *guest)
{
	g_autofree char *what = g_strdup_printf("guest \"%s\"", guest->name);
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	uint32_t domid = guest->journal->domid;
	g_autoptr(GPtrArray) devices = find_devices(domid, true, what);
	int listener = devices->len ? backdev_listen() : -1;

	device_screen_end(guest);
	add_backends(paths, domid, devices);
	g_ptr_array_add(paths, g_strdup_printf("/local/domain/%u/device", domid));
	remove_paths(paths, what);
	wait_devices_gone(listener, domid, devices);
}

void teardown_domain(uint32_t domid, const char *uuid)
{
	g_autofree char *what = g_strdup_printf("domain %u", domid);

	teardown_common(domid, uuid, false, what);
	wait_domain_gone(domid, NULL, what);
}

/* One that is dying already is in Pool-0, wherever it was. */
static void remember_pool(struct journal *journal)
{
	struct xyl_dominfo info;

	if (!xyl_domain_info(xylemd.xen, journal->domid, &info) && !info.dying)
		journal->cpupool = info.cpupool;
}

void teardown_guest(struct guest *guest, bool keep_disks, const char *detail)
{
	g_autofree char *what = g_strdup_printf("guest \"%s\"", guest->name);
	uint32_t domid = guest->journal->domid;
	g_autoptr(GError) error = NULL;

	/* Found by its journal alone, the number may have been given to another domain, which is spared. */
	if (domid && is_anothers(domid, guest->id))
		domid = 0;
	if (domid) {
		remember_pool(guest->journal);
		guest_save(guest, keep_disks ? JOURNAL_RESTART : JOURNAL_TEARDOWN);
		kill_domain(domid);
	}
	device_screen_end(guest);
	if (domid)
		teardown_common(domid, guest->uuid, true, what);
	if (!keep_disks)
		g_ptr_array_set_size(guest->disks, 0);
	if (domid)
		wait_domain_gone(domid, guest->id, what);
	if (keep_disks) {
		guest_set_domid(guest, 0);
		guest_event(guest, domid, "died", detail);
		return;
	}
	if (!journal_remove(xylemd.journal_dir, guest->uuid, &error))
		g_warning("%s", error->message);
	guest->gone = true;
	guest_unregister(guest);
	if (domid)
		guest_event(guest, domid, "died", detail);
}

/* The domain is killed already, and the guest doomed. */
void op_destroy(struct op *op)
{
	guest_event(op->guest, op->guest->journal->domid, "destroyed", "request");
	teardown_guest(op->guest, false, "request");
	op_succeed(op);
}

/* Somebody else killed it. A Destroy that waits behind this operation does the rest. */
void op_lost(struct op *op)
{
	if (g_atomic_int_get(&op->guest->doomed))
		return;
	guest_event(op->guest, op->guest->journal->domid, "destroyed", "other");
	teardown_guest(op->guest, false, "other");
}
