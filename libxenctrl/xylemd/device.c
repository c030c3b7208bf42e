/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks and nics that come and go while the guest runs.
 *
 * Attaching waits for dom0's side, which must answer, and not for the guest's, which may have no driver: when that
 * takes the device, an event says so (watch_taken). Detaching asks the guest to let go; one that does not is left
 * alone. By force the guest has a moment, and then loses the device under its hands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backdev.h"
#include "guest.h"
#include "layout.h"
#include "nic.h"

#define BACKEND_TIMEOUT_MS 60000
#define DETACH_TIMEOUT_MS  30000
#define FORCE_TIMEOUT_MS   1000
/* How long what a callback may still look at is kept: longer than any answer of the store takes. */
#define TAKING_REST_S  60

#define CLOSED_STATES  (1u << BACKEND_CLOSED | 1u << BACKEND_GONE)
#define OFFERED_STATES (1u << BACKEND_INIT_WAIT | 1u << BACKEND_INITIALISED | 1u << BACKEND_CONNECTED)

bool device_wait_offered(struct guest *guest, const char *type, uint32_t devid, const char *name,
                         GError **error)
{
	g_autofree char *back = layout_backend(guest->journal->domid, type, devid);
	unsigned failed = 1u << BACKEND_CLOSING | CLOSED_STATES;
	enum backend_state state =
	        storeio_wait(xylemd.io, back, OFFERED_STATES | failed, BACKEND_TIMEOUT_MS, &guest->doomed);
	g_autofree char *reason = NULL;

	if (OFFERED_STATES & 1u << state)
		return true;
	if (!guest_alive(guest, error))
		return false;
	if (state == BACKEND_INITIALISING)
		return xd_fail(error, XD_ERROR_TIMEOUT,
		               "guest \"%s\", %s: no backend driver took it (is xen-blkback loaded?)",
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
static bool undo_device(struct guest *guest, const char *type, uint32_t devid)
{
	g_autoptr(GError) error = NULL;
	bool ok = remove_device(guest, type, devid, &error);

	if (!ok)
		g_warning("%s; the device stays until it is detached", error->message);
	return ok;
}

const char *device_type(const char *class)
{
	return !strcmp(class, "disk") ? "vbd" : "vif";
}

static GVariant *describe_disk(const struct disk_conf *conf, const struct disk *disk)
{
	g_autofree char *path = disk_path(disk, conf);
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "class", g_variant_new_string("disk"));
	g_variant_builder_add(&b, "{sv}", "vdev", g_variant_new_string(conf->vdev));
	g_variant_builder_add(&b, "{sv}", "devid", g_variant_new_uint32(conf->devid));
	g_variant_builder_add(&b, "{sv}", "device", g_variant_new_string(path));
	return g_variant_builder_end(&b);
}

static GVariant *describe_nic(const struct nic_conf *conf, uint32_t domid, uint32_t devid)
{
	g_autofree char *ifname = nic_ifname(conf, domid, devid);
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "class", g_variant_new_string("nic"));
	g_variant_builder_add(&b, "{sv}", "mac", g_variant_new_string(conf->mac_text));
	g_variant_builder_add(&b, "{sv}", "devid", g_variant_new_uint32(devid));
	g_variant_builder_add(&b, "{sv}", "ifname", g_variant_new_string(ifname));
	return g_variant_builder_end(&b);
}

GVariant *device_list(const struct guest *guest)
{
	const struct journal *journal = guest->journal;
	GVariantBuilder list;
	guint i;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	/* Of a guest whose disks are not open yet there is nothing to tell. */
	for (i = 0; journal->domid && i < journal->conf->disks->len && i < guest->disks->len; i++) {
		if (g_ptr_array_index(guest->disks, i))
			g_variant_builder_add_value(&list,
			                            describe_disk(g_ptr_array_index(journal->conf->disks, i),
			                                          g_ptr_array_index(guest->disks, i)));
	}
	for (i = 0; journal->domid && i < journal->conf->nics->len; i++)
		g_variant_builder_add_value(
		        &list, describe_nic(g_ptr_array_index(journal->conf->nics, i), journal->domid,
		                            g_array_index(journal->nic_devids, uint32_t, i)));
	return g_variant_builder_end(&list);
}

/* One disk of somebody else's domain: an error when it is the same block device and one of the two writes. */
static bool stranger_disk_agrees(struct guest *guest, const struct disk_conf *conf, const struct disk *disk,
                                 const char *domid, const char *devid, GError **error)
{
	struct xyl_store *store = storeio_store(xylemd.io);
	char *device = xyl_store_readf(store, XYL_TX_NONE,
	                               "/local/domain/0/backend/vbd/%s/%s/physical-device", domid, devid);
	char *mode =
	        xyl_store_readf(store, XYL_TX_NONE, "/local/domain/0/backend/vbd/%s/%s/mode", domid, devid);
	unsigned major, minor;
	bool same = device && sscanf(device, "%x:%x", &major, &minor) == 2 && major == disk_major(disk) &&
	            minor == disk_minor(disk);
	bool both_read = conf->readonly && mode && mode[0] == 'r';

	free(device);
	free(mode);
	if (same && !both_read)
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: domain %s uses %s already",
		               guest->name, conf->vdev, domid, conf->source);
	return true;
}

bool device_check_strangers(struct guest *guest, const struct disk_conf *conf, const struct disk *disk,
                            GError **error)
{
	struct xyl_store *store = storeio_store(xylemd.io);
	size_t domain_count = 0, disk_count, i, j;
	char **domains, **disks;
	bool ok = true;

	/* Files: whoever writes to one has it open, which disk_open() has seen. */
	if (conf->is_file || conf->shareable)
		return true;
	domains = xyl_store_directory(store, XYL_TX_NONE, "/local/domain/0/backend/vbd", &domain_count);
	for (i = 0; domains && ok && i < domain_count; i++) {
		g_autofree char *path = g_strconcat("/local/domain/0/backend/vbd/", domains[i], NULL);
		guint64 domid;
		struct guest *ours;

		if (!g_ascii_string_to_unsigned(domains[i], 10, 1, XYL_DOMID_FIRST_RESERVED - 1, &domid,
		                                NULL))
			continue;
		ours = guest_by_domid((uint32_t)domid);
		guest_unref(ours);
		if (ours)
			continue;
		disk_count = 0;
		disks = xyl_store_directory(store, XYL_TX_NONE, path, &disk_count);
		for (j = 0; disks && ok && j < disk_count; j++)
			ok = stranger_disk_agrees(guest, conf, disk, domains[i], disks[j], error);
		free(disks);
	}
	free(domains);
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

static void watch_taken(struct guest *guest, const char *type, uint32_t devid, const char *name)
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
static void publish_change(struct guest *guest, const char *detail)
{
	guest_publish(guest);
	guest_save(guest, JOURNAL_RUNNING);
	guest_event(guest, guest->journal->domid, "config", detail);
}

static bool attach_disk(struct guest *guest, GVariant *dict, GVariant **made, GError **error)
{
	struct guestconf *conf = guest->journal->conf;
	g_autofree char *what = g_strdup_printf("guest \"%s\", disk", guest->name);
	struct disk_conf *disk = disk_conf_parse(dict, what, error);
	g_autoptr(GArray) nodes = layout_new();
	struct disk *opened = NULL;
	bool ok = true;
	guint i;

	if (!disk)
		return false;
	for (i = 0; i < conf->disks->len; i++) {
		if (((struct disk_conf *)g_ptr_array_index(conf->disks, i))->devid == disk->devid) {
			xd_fail(error, XD_ERROR_EXISTS, "guest \"%s\": it has a disk %s already", guest->name,
			        disk->vdev);
			goto fail;
		}
	}
	if (conf->disks->len >= GUEST_DISKS_MAX) {
		xd_fail(error, XD_ERROR_LIMIT, "guest \"%s\": it has %d disks already", guest->name,
		        GUEST_DISKS_MAX);
		goto fail;
	}
	opened = disk_open(disk, guest->name, error);
	if (!opened || !device_check_strangers(guest, disk, opened, error))
		goto fail;
	layout_add_disk(nodes, guest->journal->domid, disk, disk_major(opened), disk_minor(opened));
	if (!storeio_write(xylemd.io, nodes, guest->journal->domid, what, error))
		goto fail;
	if (!device_wait_offered(guest, "vbd", disk->devid, disk->vdev, error)) {
		if (undo_device(guest, "vbd", disk->devid))
			goto fail;
		ok = false;
	}
	g_ptr_array_add(conf->disks, disk);
	g_ptr_array_add(guest->disks, opened);
	publish_change(guest, "attach");
	if (ok) {
		*made = describe_disk(disk, opened);
		watch_taken(guest, "vbd", disk->devid, disk->vdev);
	}
	return ok;
fail:
	disk_close(opened);
	disk_conf_free(disk);
	return false;
}

/* The lowest number that none of its nics has. */
static uint32_t free_nic_devid(const struct journal *journal)
{
	uint32_t devid = 0;
	guint i;

	for (i = 0; i < journal->nic_devids->len;) {
		if (g_array_index(journal->nic_devids, uint32_t, i) == devid) {
			devid++;
			i = 0;
		} else {
			i++;
		}
	}
	return devid;
}

/* The backend's and the frontend's part of attaching a nic; its nodes are removed by the caller when it fails. */
static bool connect_nic(struct guest *guest, const struct nic_conf *nic, uint32_t devid, uint32_t mtu,
                        GError **error)
{
	uint32_t domid = guest->journal->domid;
	g_autofree char *what = g_strdup_printf("guest \"%s\", nic %s", guest->name, nic->mac_text);
	g_autofree char *back = layout_backend(domid, "vif", devid);
	g_autofree char *status = g_strconcat(back, "/hotplug-status", NULL);
	g_autoptr(GArray) nodes = layout_new();
	struct nic_waiter *waiter = nic_waiter_open(guest->name, error);
	bool ok;

	if (!waiter)
		return false;
	layout_add_nic(nodes, domid, nic, devid, mtu);
	ok = storeio_write(xylemd.io, nodes, domid, what, error) &&
	     nic_connect(waiter, nic, domid, devid, mtu, BACKEND_TIMEOUT_MS, &guest->doomed, guest->name,
	                 error) &&
	     storeio_set(xylemd.io, what, error, status, "connected", NULL);
	nic_waiter_close(waiter);
	return ok;
}

static bool attach_nic(struct guest *guest, GVariant *dict, GVariant **made, GError **error)
{
	struct guestconf *conf = guest->journal->conf;
	g_autofree char *what = g_strdup_printf("guest \"%s\", nic", guest->name);
	struct nic_conf *nic = nic_conf_parse(dict, what, error);
	uint32_t devid = free_nic_devid(guest->journal), mtu = 0;
	bool ok;

	if (!nic)
		return false;
	if (guestconf_find_nic(conf, nic->mac_text, NULL))
		xd_fail(error, XD_ERROR_EXISTS, "guest \"%s\": it has a nic %s already", guest->name,
		        nic->mac_text);
	else if (conf->nics->len >= GUEST_NICS_MAX)
		xd_fail(error, XD_ERROR_LIMIT, "guest \"%s\": it has %d nics already", guest->name,
		        GUEST_NICS_MAX);
	else if (nic_check(nic, guest->name, &mtu, error)) {
		if (nic->mtu)
			mtu = nic->mtu;
		ok = connect_nic(guest, nic, devid, mtu, error);
		if (ok || !undo_device(guest, "vif", devid)) {
			g_ptr_array_add(conf->nics, nic);
			g_array_append_val(guest->journal->nic_devids, devid);
			publish_change(guest, "attach");
			if (ok) {
				*made = describe_nic(nic, guest->journal->domid, devid);
				watch_taken(guest, "vif", devid, nic->mac_text);
			}
			return ok;
		}
	}
	nic_conf_free(nic);
	return false;
}

void op_attach(struct op *op)
{
	g_autoptr(GError) error = NULL;
	const char *class = device_class(op->argument, &error);
	g_autoptr(GVariant) made = NULL;
	GDBusMethodInvocation *call;
	bool ok = false;

	if (class)
		ok = !strcmp(class, "disk") ? attach_disk(op->guest, op->argument, &made, &error)
		                            : attach_nic(op->guest, op->argument, &made, &error);
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
static bool release_device(struct guest *guest, const char *type, uint32_t devid, const char *name,
                           bool force, GError **error)
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

static bool detach_disk(struct guest *guest, const struct device_ref *ref, GError **error)
{
	struct guestconf *conf = guest->journal->conf;
	guint index = 0;
	struct disk_conf *disk = guestconf_find_disk(conf, ref->vdev, &index);

	if (!disk)
		return xd_fail(error, XD_ERROR_NOT_FOUND, "guest \"%s\": it has no disk %.64s", guest->name,
		               ref->vdev);
	if (!release_device(guest, "vbd", disk->devid, disk->vdev, ref->force, error))
		return false;
	g_ptr_array_remove_index(guest->disks, index);
	g_ptr_array_remove_index(conf->disks, index);
	return true;
}

static bool detach_nic(struct guest *guest, const struct device_ref *ref, GError **error)
{
	struct guestconf *conf = guest->journal->conf;
	guint index = 0;
	struct nic_conf *nic = guestconf_find_nic(conf, ref->mac_text, &index);
	uint32_t devid;

	if (!nic)
		return xd_fail(error, XD_ERROR_NOT_FOUND, "guest \"%s\": it has no nic %s", guest->name,
		               ref->mac_text);
	devid = g_array_index(guest->journal->nic_devids, uint32_t, index);
	if (!release_device(guest, "vif", devid, nic->mac_text, ref->force, error))
		return false;
	g_ptr_array_remove_index(conf->nics, index);
	g_array_remove_index(guest->journal->nic_devids, index);
	return true;
}

void op_detach(struct op *op)
{
	g_autoptr(GError) error = NULL;
	struct device_ref ref;
	bool ok = device_ref_parse(op->argument, &ref, &error);

	if (ok)
		ok = ref.vdev ? detach_disk(op->guest, &ref, &error) : detach_nic(op->guest, &ref, &error);
	device_ref_clear(&ref);
	if (!ok) {
		op_fail(op, error);
		return;
	}
	publish_change(op->guest, "detach");
	op_succeed(op);
}
