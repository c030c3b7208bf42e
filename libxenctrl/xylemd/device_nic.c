/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network interfaces as a class of devices (device.h). What one is by itself, without a guest: nic.c. */
#include "device.h"
#include "error.h"
#include "layout.h"
#include "nic.h"
#include "storeio.h"

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

static void list_nics(const struct guest *guest, GVariantBuilder *list)
{
	const struct journal *journal = guest->journal;
	guint i;

	for (i = 0; i < journal->conf->nics->len; i++)
		g_variant_builder_add_value(
		        list, describe_nic(g_ptr_array_index(journal->conf->nics, i), journal->domid,
		                           g_array_index(journal->nic_devids, uint32_t, i)));
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
	g_autofree char *back = layout_backend(domid, device_nic.type, devid);
	g_autofree char *status = g_strconcat(back, "/hotplug-status", NULL);
	g_autoptr(GArray) nodes = layout_new();
	struct nic_waiter *waiter = nic_waiter_open(guest->name, error);
	bool ok;

	if (!waiter)
		return false;
	layout_add_nic(nodes, domid, nic, devid, mtu);
	ok = storeio_write(xylemd.io, nodes, domid, what, error) &&
	     nic_connect(waiter, nic, domid, devid, mtu, DEVICE_BACKEND_MS, &guest->doomed, guest->name,
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
		if (ok || !device_undo(guest, device_nic.type, devid)) {
			g_ptr_array_add(conf->nics, nic);
			g_array_append_val(guest->journal->nic_devids, devid);
			device_publish(guest, "attach");
			if (ok) {
				*made = describe_nic(nic, guest->journal->domid, devid);
				device_watch_taken(guest, device_nic.type, devid, nic->mac_text);
			}
			return ok;
		}
	}
	nic_conf_free(nic);
	return false;
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
	if (!device_release(guest, device_nic.type, devid, nic->mac_text, ref->force, error))
		return false;
	g_ptr_array_remove_index(conf->nics, index);
	g_array_remove_index(guest->journal->nic_devids, index);
	return true;
}

const struct device_class device_nic = {
	.name = "nic",
	.type = "vif",
	.list = list_nics,
	.attach = attach_nic,
	.detach = detach_nic,
};
