/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The D-Bus interface: arguments in, operations queued, answers out. Handlers run in the main loop and never
 * wait.
 */
#include <errno.h>
#include <string.h>

#include "guest.h"

/* How long a Destroy may go unanswered. The teardown goes on afterwards. */
#define DESTROY_ANSWER_S 60

static gboolean answer_error(GDBusMethodInvocation *call, GError *error)
{
	g_dbus_method_invocation_take_error(call, error);
	return TRUE;
}

static gboolean answer_not_found(GDBusMethodInvocation *call, uint32_t domid)
{
	GError *error = NULL;

	xd_fail(&error, XD_ERROR_NOT_FOUND, "domain %u is no guest of xylemd", domid);
	return answer_error(call, error);
}

static gboolean handle_create(XdXylemd1 *service, GDBusMethodInvocation *call, GVariant *dict, guint flags,
                              gpointer data)
{
	GError *error = NULL;
	struct guestconf *conf;
	struct guest *guest;
	struct op *op;

	(void)service;
	(void)data;
	if (flags & ~1u) {
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "flags 0x%x: only bit 0 has a meaning", flags);
		return answer_error(call, error);
	}
	conf = guestconf_parse(dict, &error);
	if (!conf)
		return answer_error(call, error);
	guest = guest_new(journal_new(conf));
	if (!guest_register(guest, &error)) {
		guest_unref(guest);
		return answer_error(call, error);
	}
	op = op_new(op_create, "create", guest, call);
	op->number = flags;
	if (!op_submit(op))
		guest_unregister(guest);
	guest_unref(guest);
	return TRUE;
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

/* On its own thread, before the guest's queue: the kill. */
static void op_kill(struct op *op)
{
	struct xyl_dominfo info;

	/* The number may be another domain's by now. */
	if (!xyl_domain_info(xylemd.xen, op->domid, &info) && !memcmp(info.uuid, op->guest->id, 16) &&
	    xyl_domain_destroy(xylemd.xen, op->domid) && errno != ESRCH)
		g_warning("domain %u: %s", op->domid, xyl_error());
	op_submit(op->then);
}

static void op_destroy_stranger(struct op *op)
{
	struct xyl_dominfo info;
	g_autoptr(GError) error = NULL;

	if (xyl_domain_info(xylemd.xen, op->domid, &info)) {
		xd_fail(&error, XD_ERROR_NOT_FOUND, "there is no domain %u", op->domid);
		op_fail(op, error);
		return;
	}
	teardown_domain(op->domid, NULL);
	op_succeed(op);
}

static gboolean handle_destroy(XdXylemd1 *service, GDBusMethodInvocation *call, guint domid, gpointer data)
{
	struct guest *guest = guest_by_domid(domid);
	GError *error = NULL;
	struct op *op, *kill;

	(void)service;
	(void)data;
	if (!domid || domid >= XYL_DOMID_FIRST_RESERVED) {
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "domain %u cannot be destroyed", domid);
		return answer_error(call, error);
	}
	if (!guest) {
		op = op_new(op_destroy_stranger, "destroy", NULL, call);
		op->domid = domid;
		answer_late(op);
		op_submit_quick(xylemd.urgent, op);
		return TRUE;
	}
	g_atomic_int_set(&guest->doomed, 1);
	storeio_wake(xylemd.io);
	op = op_new(op_destroy, "destroy", guest, call);
	answer_late(op);
	kill = op_new(op_kill, "destroy", guest, NULL);
	kill->domid = domid;
	kill->then = op;
	op_submit_quick(xylemd.urgent, kill);
	guest_unref(guest);
	return TRUE;
}

static void op_shutdown(struct op *op)
{
	g_autofree char *path = g_strdup_printf("/local/domain/%u/control/shutdown", op->domid);
	const char *mode = g_variant_get_string(op->argument, NULL);
	g_autoptr(GError) error = NULL;
	struct xyl_dominfo info;
	char *pending;

	if (xyl_domain_info(xylemd.xen, op->domid, &info) || info.dying || info.shutdown) {
		xd_fail(&error, XD_ERROR_NOT_FOUND, "there is no running domain %u", op->domid);
		op_fail(op, error);
		return;
	}
	pending = xyl_store_read(storeio_store(xylemd.io), XYL_TX_NONE, path, NULL);
	if (pending && *pending && !strcmp(pending, mode))
		xd_fail(&error, XD_ERROR_BUSY, "domain %u has not yet taken an earlier request to %s",
		        op->domid, mode);
	else if (xyl_store_write(storeio_store(xylemd.io), XYL_TX_NONE, path, mode, strlen(mode)))
		xd_fail(&error, XD_ERROR_STORE, "domain %u: %s: %s", op->domid, path, xyl_error());
	free(pending);
	if (error)
		op_fail(op, error);
	else
		op_succeed(op);
}

static gboolean handle_shutdown(XdXylemd1 *service, GDBusMethodInvocation *call, guint domid,
                                const char *mode, gpointer data)
{
	GError *error = NULL;
	struct op *op;

	(void)service;
	(void)data;
	if (!domid || domid >= XYL_DOMID_FIRST_RESERVED ||
	    (strcmp(mode, "poweroff") && strcmp(mode, "reboot"))) {
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT,
		        "domain %u, mode \"%.32s\": a guest and poweroff or reboot are wanted", domid, mode);
		return answer_error(call, error);
	}
	op = op_new(op_shutdown, "", NULL, call);
	op->domid = domid;
	op->argument = g_variant_ref_sink(g_variant_new_string(mode));
	op_submit_quick(xylemd.quick, op);
	return TRUE;
}

static gboolean submit_device(GDBusMethodInvocation *call, guint domid, GVariant *device, op_fn *run,
                              const char *name)
{
	struct guest *guest = guest_by_domid(domid);
	struct op *op;

	if (!guest)
		return answer_not_found(call, domid);
	op = op_new(run, name, guest, call);
	op->domid = domid;
	op->argument = g_variant_ref(device);
	op_submit(op);
	guest_unref(guest);
	return TRUE;
}

static gboolean handle_attach(XdXylemd1 *service, GDBusMethodInvocation *call, guint domid, GVariant *device,
                              gpointer data)
{
	(void)service;
	(void)data;
	return submit_device(call, domid, device, op_attach, "attach");
}

static gboolean handle_detach(XdXylemd1 *service, GDBusMethodInvocation *call, guint domid, GVariant *device,
                              gpointer data)
{
	(void)service;
	(void)data;
	return submit_device(call, domid, device, op_detach, "detach");
}

static void op_set_memory(struct op *op)
{
	struct guestconf *conf = op->guest->journal->conf;
	uint64_t kib = g_variant_get_uint64(op->argument);
	g_autofree char *path = g_strdup_printf("/local/domain/%u/memory/target", op->domid);
	g_autoptr(GError) error = NULL;

	if (kib < 4096 || kib % 4 || kib > conf->max_memory_kib)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT,
		        "guest \"%s\": memory_kib %" G_GUINT64_FORMAT
		        " is not a multiple of 4 from 4096 to %" G_GUINT64_FORMAT,
		        op->guest->name, kib, conf->max_memory_kib);
	else if (xyl_memory_set_max(xylemd.xen, op->domid, kib + 1024))
		xd_fail(&error, XD_ERROR_HYPERVISOR, "guest \"%s\": its memory limit: %s", op->guest->name,
		        xyl_error());
	else if (xyl_store_printf(storeio_store(xylemd.io), XYL_TX_NONE, path, "%" G_GUINT64_FORMAT, kib))
		xd_fail(&error, XD_ERROR_STORE, "guest \"%s\": %s: %s", op->guest->name, path, xyl_error());
	if (error) {
		op_fail(op, error);
		return;
	}
	conf->memory_kib = kib;
	guest_publish(op->guest);
	guest_save(op->guest, JOURNAL_RUNNING);
	op_succeed(op);
}

static gboolean handle_set_memory(XdXylemd1 *service, GDBusMethodInvocation *call, guint domid, guint64 kib,
                                  gpointer data)
{
	g_autoptr(GVariant) argument = g_variant_ref_sink(g_variant_new_uint64(kib));

	(void)service;
	(void)data;
	return submit_device(call, domid, argument, op_set_memory, "memory");
}

static void op_set_vcpus(struct op *op)
{
	struct guestconf *conf = op->guest->journal->conf;
	uint32_t wanted = g_variant_get_uint32(op->argument), vcpu;
	g_autoptr(GError) error = NULL;

	if (wanted < 1 || wanted > conf->max_vcpus)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\": vcpus %u is outside 1..%u",
		        op->guest->name, wanted, conf->max_vcpus);
	for (vcpu = 0; !error && vcpu < conf->max_vcpus; vcpu++) {
		g_autofree char *path =
		        g_strdup_printf("/local/domain/%u/cpu/%u/availability", op->domid, vcpu);

		/* Each change is an event for the guest: only real ones. */
		if ((vcpu < conf->vcpus) == (vcpu < wanted))
			continue;
		if (xyl_store_printf(storeio_store(xylemd.io), XYL_TX_NONE, path, "%s",
		                     vcpu < wanted ? "online" : "offline"))
			xd_fail(&error, XD_ERROR_STORE, "guest \"%s\": %s: %s", op->guest->name, path,
			        xyl_error());
	}
	if (error) {
		op_fail(op, error);
		return;
	}
	conf->vcpus = wanted;
	guest_publish(op->guest);
	guest_save(op->guest, JOURNAL_RUNNING);
	op_succeed(op);
}

static gboolean handle_set_vcpus(XdXylemd1 *service, GDBusMethodInvocation *call, guint domid, guint vcpus,
                                 gpointer data)
{
	g_autoptr(GVariant) argument = g_variant_ref_sink(g_variant_new_uint32(vcpus));

	(void)service;
	(void)data;
	return submit_device(call, domid, argument, op_set_vcpus, "vcpus");
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

static void add_ours(GVariantBuilder *b, struct guest *guest, uint32_t domid, bool full)
{
	g_autoptr(GVariant) config = NULL;
	const char *operation;

	g_mutex_lock(&xylemd.lock);
	config = g_variant_ref(guest->snapshot);
	operation = guest->operation;
	g_mutex_unlock(&xylemd.lock);
	g_variant_builder_add(b, "{sv}", "name", g_variant_new_string(guest->name));
	g_variant_builder_add(b, "{sv}", "owner", g_variant_new_string("xylemd"));
	g_variant_builder_add(b, "{sv}", "operation", g_variant_new_string(operation));
	if (full) {
		g_autofree char *tty = store_text(domid, "console/tty");

		g_variant_builder_add(b, "{sv}", "config", config);
		g_variant_builder_add(b, "{sv}", "console_tty", g_variant_new_string(tty));
	}
}

static GVariant *describe(const struct xyl_dominfo *info, bool full)
{
	struct guest *guest = guest_by_domid(info->domid);
	g_autofree char *uuid = uuid_to_text(info->uuid);
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "domid", g_variant_new_uint32(info->domid));
	g_variant_builder_add(&b, "{sv}", "uuid", g_variant_new_string(uuid));
	g_variant_builder_add(&b, "{sv}", "state", g_variant_new_string(state_name(info)));
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
	if (guest && !memcmp(guest->id, info->uuid, 16)) {
		add_ours(&b, guest, info->domid, full);
	} else {
		g_autofree char *name = store_text(info->domid, "name");
		g_autofree char *tty = full ? store_text(info->domid, "console/tty") : NULL;

		g_variant_builder_add(&b, "{sv}", "name", g_variant_new_string(name));
		g_variant_builder_add(&b, "{sv}", "owner", g_variant_new_string("other"));
		g_variant_builder_add(&b, "{sv}", "operation", g_variant_new_string(""));
		if (full)
			g_variant_builder_add(&b, "{sv}", "console_tty", g_variant_new_string(tty));
	}
	guest_unref(guest);
	return g_variant_builder_end(&b);
}

static void op_list(struct op *op)
{
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
	for (i = 0; i < count; i++)
		g_variant_builder_add_value(&list, describe(&domains[i], false));
	free(domains);
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_list(xylemd.service, call, g_variant_builder_end(&list));
}

static gboolean handle_list(XdXylemd1 *service, GDBusMethodInvocation *call, gpointer data)
{
	(void)service;
	(void)data;
	op_submit_quick(xylemd.quick, op_new(op_list, "", NULL, call));
	return TRUE;
}

static void op_get(struct op *op)
{
	struct xyl_dominfo info;
	g_autoptr(GError) error = NULL;
	GDBusMethodInvocation *call;

	if (xyl_domain_info(xylemd.xen, op->domid, &info)) {
		xd_fail(&error, errno == ESRCH ? XD_ERROR_NOT_FOUND : XD_ERROR_HYPERVISOR, "domain %u: %s",
		        op->domid, xyl_error());
		op_fail(op, error);
		return;
	}
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_get(xylemd.service, call, describe(&info, true));
}

static gboolean handle_get(XdXylemd1 *service, GDBusMethodInvocation *call, guint domid, gpointer data)
{
	struct op *op = op_new(op_get, "", NULL, call);

	(void)service;
	(void)data;
	op->domid = domid;
	op_submit_quick(xylemd.quick, op);
	return TRUE;
}

void service_start(XdXylemd1 *service)
{
	g_signal_connect(service, "handle-create", G_CALLBACK(handle_create), NULL);
	g_signal_connect(service, "handle-destroy", G_CALLBACK(handle_destroy), NULL);
	g_signal_connect(service, "handle-shutdown", G_CALLBACK(handle_shutdown), NULL);
	g_signal_connect(service, "handle-attach-device", G_CALLBACK(handle_attach), NULL);
	g_signal_connect(service, "handle-detach-device", G_CALLBACK(handle_detach), NULL);
	g_signal_connect(service, "handle-set-memory", G_CALLBACK(handle_set_memory), NULL);
	g_signal_connect(service, "handle-set-vcpus", G_CALLBACK(handle_set_vcpus), NULL);
	g_signal_connect(service, "handle-list", G_CALLBACK(handle_list), NULL);
	g_signal_connect(service, "handle-get", G_CALLBACK(handle_get), NULL);
}
