/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting a guest.
 *
 *	1. what can be refused without a domain, the cheap things first: sizes, bridges looked at, disks opened and claimed,
 *	   kernel and ramdisk read
 *	2. the domain: created, limits, memory claimed, kernel put into it
 *	3. its part of the store with all devices, in one transaction; introduced to xenstored
 *	4. the backends: they work on their own meanwhile; waited for, interfaces entered into their bridges
 *	5. unpaused
 *
 * A guest that is restored has its memory from a stream instead of a kernel in step 2. What the store says of it without its
 * memory and its devices is written before that comes: it stands still when the stream ends, and each instruction counts. Its
 * devices follow afterwards: a backend that opened a disk earlier would read what the source is still writing.
 *
 * The kernel and the ramdisk are let go of as soon as they are in the domain: a backend may take long.
 *
 * The journal says "building" from before step 2 until 5 is done, so that a build which was cut off is taken down.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "build.h"
#include "device.h"
#include "disk.h"
#include "error.h"
#include "image.h"
#include "layout.h"
#include "nic.h"
#include "save.h"
#include "storeio.h"
#include "teardown.h"
#include "worker.h"

#define VIF_TIMEOUT_MS 60000

struct build {
	struct guest *guest;
	struct op *op; /* NULL: a restart's */
	const struct guestconf *conf;
	struct image kernel;
	struct image ramdisk;
	bool uses_images;
	struct layout_ids ids;
	uint32_t mtus[GUEST_NICS_MAX];
	struct nic_waiter *nics;
	int stream; /* from which its memory comes; -1: it boots its kernel */
};

static bool fail_call(struct build *b, const char *call, GError **error)
{
	enum xd_error code = errno == ENOMEM ? XD_ERROR_NO_MEMORY : XD_ERROR_HYPERVISOR;

	return xd_fail(error, code, "guest \"%s\": %s: %s", b->conf->name, call, xyl_error());
}

/* After a restart they are open already; not so the loop devices of a guest that was found running, which
 * went with its old backends. */
static bool open_disks(struct build *b, GError **error)
{
	GPtrArray *disks = b->guest->disks;
	guint i;

	for (i = 0; i < b->conf->disks->len; i++) {
		const struct disk_conf *wanted = g_ptr_array_index(b->conf->disks, i);
		struct disk *disk = i < disks->len ? g_ptr_array_index(disks, i) : NULL;

		if (disk && disk_is_open(disk))
			continue;
		if (i < disks->len)
			g_ptr_array_index(disks, i) = NULL;
		else
			g_ptr_array_add(disks, NULL);
		disk_close(disk);
		disk = disk_open(wanted, b->conf->name, error);
		if (!disk)
			return false;
		g_ptr_array_index(disks, i) = disk;
		if (!device_check_foreign(b->guest, wanted, disk, error))
			return false;
	}
	return true;
}

static bool fail_host_memory(struct build *b, const struct xyl_hostinfo *host, GError **error)
{
	return xd_fail(error, XD_ERROR_NO_MEMORY,
	               "guest \"%s\": its memory is %" G_GUINT64_FORMAT
	               " KiB, the host has %" G_GUINT64_FORMAT " KiB free",
	               b->conf->name, b->conf->memory_kib, unclaimed_pages(host) * 4);
}

static bool check_images(const struct guestconf *conf, GError **error)
{
	/* A kernel's file may hold more than goes into memory: what debuggers read. */
	if (!image_check(conf->kernel, IMAGE_MAX_KERNEL_BYTES, G_MAXUINT64, conf->name, "kernel", error))
		return false;
	return !conf->ramdisk || image_check(conf->ramdisk, IMAGE_MAX_RAMDISK_BYTES, conf->memory_kib,
	                                     conf->name, "ramdisk", error);
}

/* What needs no file's content. The claim decides on memory: here a new guest that has no chance is told so before its
 * kernel is unpacked. That of a restart still has what its former domain is about to give back. */
static bool check_sizes(struct build *b, GError **error)
{
	const struct guestconf *conf = b->conf;
	struct xyl_hostinfo host;

	if (b->stream < 0 && !check_images(conf, error))
		return false;
	if (b->guest->journal->phase == JOURNAL_RESTART || xyl_host_info(xylemd.xen, &host))
		return true;
	return unclaimed_pages(&host) >= conf->memory_kib / 4 || fail_host_memory(b, &host, error);
}

/* Whoever destroys the guest answers for it meanwhile: it waits for disks. */
static void set_preparing(struct build *b, bool preparing)
{
	g_mutex_lock(&xylemd.lock);
	b->guest->preparing = preparing;
	b->guest->creating = preparing ? b->op : NULL;
	g_mutex_unlock(&xylemd.lock);
}

static bool look_at_all(struct build *b, GError **error)
{
	const struct guestconf *conf = b->conf;
	guint i;

	if (!check_sizes(b, error))
		return false;
	for (i = 0; i < conf->nics->len; i++) {
		const struct nic_conf *nic = g_ptr_array_index(conf->nics, i);

		if (!nic_check(nic, conf->name, &b->mtus[i], error))
			return false;
		if (nic->mtu)
			b->mtus[i] = nic->mtu;
	}
	if (!device_screen_check(b->guest, error) || !open_disks(b, error))
		return false;
	if (b->stream >= 0)
		return true;
	image_use_begin(&b->guest->doomed, b->op ? NULL : conf->name);
	b->uses_images = true;
	if (!worker_unpack(xylemd.worker, conf->kernel, conf->name, &b->kernel, error))
		return false;
	return !conf->ramdisk ||
	       image_read(&b->ramdisk, conf->ramdisk, IMAGE_MAX_RAMDISK_BYTES, conf->name, "ramdisk", error);
}

/* Step 1 */
static bool prepare(struct build *b, GError **error)
{
	bool ok;

	set_preparing(b, true);
	/* From here on a Destroy finds it there; one that came before is found here. */
	ok = guest_alive(b->guest, error) && look_at_all(b, error);
	set_preparing(b, false);
	return ok;
}

static const enum xyl_tsc tsc_of[] = {
	[TSC_DEFAULT] = XYL_TSC_DEFAULT,
	[TSC_EMULATE] = XYL_TSC_EMULATE,
	[TSC_NATIVE] = XYL_TSC_NATIVE,
};

/* Seconds between dom0's UTC and the guest's clock. */
static int64_t clock_offset(const struct guestconf *conf)
{
	time_t now = time(NULL);
	struct tm local;

	if (conf->clock_base != CLOCK_LOCALTIME)
		return conf->clock_adjustment_s;
	/* The host's zone may be another one than when this daemon started. */
	tzset();
	if (!localtime_r(&now, &local))
		return conf->clock_adjustment_s;
	return conf->clock_adjustment_s + local.tm_gmtoff;
}

static bool set_affinity(struct build *b, uint32_t vcpu, GBytes *map, GError **error)
{
	gsize bytes;
	const uint8_t *cpus = g_bytes_get_data(map, &bytes);

	if (!xyl_vcpu_set_affinity(xylemd.xen, b->ids.domid, vcpu, cpus, NULL, bytes))
		return true;
	/* It was moved to a CPU pool that has none of them, and ran on all CPUs of that. */
	if (errno == EINVAL && b->guest->journal->cpupool) {
		g_warning(
		        "guest \"%s\": vcpu %u may run on all CPUs of its CPU pool: it has none of those that it is bound to",
		        b->conf->name, vcpu);
		return true;
	}
	return xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": CPUs of vcpu %u (cpumap, vcpu_pins): %s",
	               b->conf->name, vcpu, xyl_error());
}

static bool set_scheduling(struct build *b, GError **error)
{
	const struct guestconf *conf = b->conf;
	struct xyl_sched sched = { .weight = conf->weight, .cap = conf->cap };
	uint32_t vcpu;
	guint i;

	for (vcpu = 0; conf->cpumap && vcpu < conf->max_vcpus; vcpu++) {
		if (!set_affinity(b, vcpu, conf->cpumap, error))
			return false;
	}
	for (i = 0; i < conf->pins->len; i++) {
		const struct vcpu_pin *pin = &g_array_index(conf->pins, struct vcpu_pin, i);

		if (!set_affinity(b, pin->vcpu, pin->cpumap, error))
			return false;
	}
	/* New domains have the default already. */
	if (conf->weight == 256 && !conf->cap)
		return true;
	if (xyl_sched_set(xylemd.xen, b->ids.domid, &sched))
		return xd_fail(error, errno == EOPNOTSUPP ? XD_ERROR_NOT_SUPPORTED : XD_ERROR_HYPERVISOR,
		               "guest \"%s\": weight %u, cap %u: %s", conf->name, conf->weight, conf->cap,
		               xyl_error());
	return true;
}

/* Before its first vcpu has a context. */
static bool hide_cpu(struct build *b, GError **error)
{
	const GArray *hidden = b->conf->cpu_hidden;

	if (!hidden->len ||
	    !xyl_domain_hide_features(xylemd.xen, b->ids.domid,
	                              (const struct xyl_cpuid *)(void *)hidden->data, hidden->len))
		return true;
	return xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": features of its CPU (cpu_hidden): %s",
	               b->conf->name, xyl_error());
}

static bool claim_memory(struct build *b, GError **error)
{
	uint64_t pages = b->conf->memory_kib / 4;
	struct xyl_hostinfo host;

	if (!xyl_memory_claim(xylemd.xen, b->ids.domid, pages))
		return true;
	if (errno != ENOMEM || xyl_host_info(xylemd.xen, &host))
		return fail_call(b, "claiming its memory", error);
	return fail_host_memory(b, &host, error);
}

/* Numbers come again: nothing of an earlier domain may be left under this one. */
static bool clear_store(struct build *b, GError **error)
{
	g_autofree char *what = g_strdup_printf("guest \"%s\"", b->conf->name);
	g_autofree char *stale = g_strdup_printf("/local/domain/%u", b->ids.domid);
	const char *const old[] = { stale, NULL };

	return storeio_remove(xylemd.io, old, what, error);
}

static bool write_store(struct build *b, GArray *nodes, GError **error)
{
	g_autofree char *what = g_strdup_printf("guest \"%s\"", b->conf->name);

	return storeio_write(xylemd.io, nodes, b->ids.domid, what, error);
}

static bool fill_from_kernel(struct build *b, uint64_t *pages, GError **error)
{
	const struct guestconf *conf = b->conf;
	struct xyl_pv_build request = { .kernel = b->kernel.data,
		                        .kernel_bytes = b->kernel.bytes,
		                        .ramdisk = b->ramdisk.data,
		                        .ramdisk_bytes = b->ramdisk.bytes,
		                        .cmdline = conf->cmdline,
		                        .memory_kib = conf->memory_kib,
		                        .max_memory_kib = conf->max_memory_kib,
		                        .store_port = b->ids.store_port,
		                        .console_port = b->ids.console_port };
	struct xyl_pv_built built;

	if (xyl_domain_build_pv(xylemd.xen, b->ids.domid, &request, &built)) {
		if (errno == ENOEXEC || errno == E2BIG || errno == EFBIG || errno == EINVAL)
			return xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": kernel %s: %s", conf->name,
			               conf->kernel, xyl_error());
		return fail_call(b, "building", error);
	}
	b->ids.store_mfn = built.store_mfn;
	b->ids.console_mfn = built.console_mfn;
	*pages = built.pages;
	return true;
}

/* The first half of step 3 for a guest that is restored. */
static bool begin_store(struct build *b, GError **error)
{
	g_autoptr(GArray) nodes = layout_new();

	if (!clear_store(b, error))
		return false;
	layout_add_guest(nodes, b->conf, b->ids.domid);
	layout_add_restored(nodes, b->ids.domid);
	return write_store(b, nodes, error);
}

static bool fill_from_stream(struct build *b, uint64_t *pages, GError **error)
{
	struct xyl_pv_restore how = { .console_port = b->ids.console_port,
		                      .store_port = b->ids.store_port,
		                      .max_memory_kib = b->conf->max_memory_kib + GUEST_MEMORY_SLACK_KIB };
	struct xyl_pv_restored restored;
	int rc;

	if (!begin_store(b, error) || !job_begin(b->guest, "restore", error))
		return false;
	rc = xyl_domain_restore(xylemd.xen, b->ids.domid, b->stream, &how, &restored, job_progress, b->guest);
	if (rc)
		job_fail(b->guest, "restoring", error);
	if (job_end(b->guest) && !rc) {
		job_fail_cancelled(b->guest, "restoring", error);
		rc = -1;
	}
	b->ids.store_mfn = restored.store_mfn;
	b->ids.console_mfn = restored.console_mfn;
	*pages = restored.pages;
	return !rc;
}

/* Step 2 */
static bool make_domain(struct build *b, GError **error)
{
	const struct guestconf *conf = b->conf;
	struct xyl_create create = { .max_vcpus = conf->max_vcpus,
		                     .max_grant_frames = -1,
		                     .max_maptrack_frames = -1,
		                     .cpupool = b->guest->journal->cpupool };
	int64_t offset = clock_offset(conf);
	uint64_t pages = 0;
	int port;

	memcpy(create.uuid, b->guest->id, sizeof(create.uuid));
	if (xyl_domain_create(xylemd.xen, &create, &b->ids.domid))
		return fail_call(b, "creating the domain", error);
	guest_set_domid(b->guest, b->ids.domid);
	/* A build that belongs to a restart stays one: cut off, it is begun again. A new guest that cannot be
	 * remembered would be a foreign domain to the next xylemd, which nobody would take down. */
	if (b->guest->journal->phase == JOURNAL_RESTART)
		guest_save(b->guest, JOURNAL_RESTART);
	else if (!guest_try_save(b->guest, JOURNAL_BUILDING, error))
		return false;
	/* No claim goes beyond the limit. */
	if (xyl_memory_set_max(xylemd.xen, b->ids.domid, conf->max_memory_kib + GUEST_MEMORY_SLACK_KIB))
		return fail_call(b, "setting its memory limit", error);
	if (!claim_memory(b, error) || !set_scheduling(b, error) || !hide_cpu(b, error))
		return false;
	if (offset && xyl_domain_set_time_offset(xylemd.xen, b->ids.domid, offset))
		return fail_call(b, "setting its clock", error);
	/* A restored guest's stream tells how it has read it so far. */
	if (tsc_of[conf->tsc] != XYL_TSC_DEFAULT &&
	    xyl_domain_set_tsc(xylemd.xen, b->ids.domid, tsc_of[conf->tsc]))
		return fail_call(b, "setting how it reads the TSC", error);
	port = xyl_evtchn_alloc(xylemd.xen, b->ids.domid, 0);
	if (port < 0)
		return fail_call(b, "event channel of the store", error);
	b->ids.store_port = (uint32_t)port;
	port = xyl_evtchn_alloc(xylemd.xen, b->ids.domid, 0);
	if (port < 0)
		return fail_call(b, "event channel of the console", error);
	b->ids.console_port = (uint32_t)port;
	if (!(b->stream >= 0 ? fill_from_stream(b, &pages, error) : fill_from_kernel(b, &pages, error)))
		return false;
	/* The builder allows max_memory_kib; a balloon grows when SetMemory says so. */
	if (xyl_memory_set_max(xylemd.xen, b->ids.domid,
	                       MAX(conf->memory_kib, pages * 4) + GUEST_MEMORY_SLACK_KIB))
		return fail_call(b, "setting its memory limit", error);
	if (xyl_memory_claim(xylemd.xen, b->ids.domid, 0))
		return fail_call(b, "returning what was claimed in excess", error);
	return true;
}

/* Step 3 */
static bool fill_store(struct build *b, GError **error)
{
	const struct guestconf *conf = b->conf;
	g_autoptr(GArray) nodes = layout_new();
	guint i;

	if (b->stream < 0) {
		if (!clear_store(b, error))
			return false;
		layout_add_guest(nodes, conf, b->ids.domid);
	}
	layout_add_rings(nodes, conf, &b->ids);
	for (i = 0; i < conf->disks->len; i++) {
		const struct disk *disk = g_ptr_array_index(b->guest->disks, i);

		layout_add_disk(nodes, b->ids.domid, g_ptr_array_index(conf->disks, i), disk_major(disk),
		                disk_minor(disk));
	}
	journal_number_nics(b->guest->journal);
	for (i = 0; i < conf->nics->len; i++)
		layout_add_nic(nodes, b->ids.domid, g_ptr_array_index(conf->nics, i), i, b->mtus[i]);
	for (i = 0; i < conf->consoles->len; i++)
		layout_add_console(nodes, b->ids.domid, g_ptr_array_index(conf->consoles, i));
	if (conf->screen)
		layout_add_screen(nodes, b->ids.domid);
	if (conf->nics->len) {
		b->nics = nic_waiter_open(conf->name, error);
		if (!b->nics)
			return false;
	}
	if (!write_store(b, nodes, error))
		return false;
	if (xyl_store_introduce(storeio_store(xylemd.io), b->ids.domid, b->ids.store_mfn, b->ids.store_port))
		return xd_fail(error, XD_ERROR_STORE, "guest \"%s\": introducing it to xenstored: %s",
		               conf->name, xyl_error());
	return true;
}

/* Step 4 */
static bool connect_backends(struct build *b, GError **error)
{
	const struct guestconf *conf = b->conf;
	g_autofree char *what = g_strdup_printf("guest \"%s\"", conf->name);
	guint i;

	for (i = 0; i < conf->nics->len; i++) {
		struct nic_conf *nic = g_ptr_array_index(conf->nics, i);
		g_autofree char *back = layout_backend(b->ids.domid, device_nic.type, i);
		g_autofree char *status = g_strconcat(back, "/hotplug-status", NULL);

		nic->released = false;
		if (!nic_connect(b->nics, nic, b->ids.domid, i, b->mtus[i], VIF_TIMEOUT_MS, &b->guest->doomed,
		                 conf->name, error) ||
		    !storeio_set(xylemd.io, what, error, status, "connected", NULL))
			return false;
	}
	for (i = 0; i < conf->disks->len; i++) {
		const struct disk_conf *disk = g_ptr_array_index(conf->disks, i);

		if (disk->format == DISK_RAW &&
		    !device_wait_offered(b->guest, device_disk.type, disk->devid, disk->vdev, error))
			return false;
	}
	return device_console_connect(b->guest, error) && device_screen_connect(b->guest, error);
}

static void clear_images(struct build *b)
{
	image_clear(&b->kernel);
	image_clear(&b->ramdisk);
	if (b->uses_images)
		image_use_end();
	b->uses_images = false;
}

static bool build_steps(struct build *b, GError **error)
{
	static const struct {
		bool (*run)(struct build *b, GError **error);
		const char *done;
	} steps[] = { { prepare, "disks, bridges and kernel are there" },
		      { make_domain, "the domain is built" },
		      { fill_store, "the store is filled" },
		      { connect_backends, "the backends are connected" } };
	guint i;

	for (i = 0; i < G_N_ELEMENTS(steps); i++) {
		if (!steps[i].run(b, error) || !guest_alive(b->guest, error))
			return false;
		if (steps[i].run == make_domain)
			clear_images(b);
		g_debug("guest \"%s\": %s", b->conf->name, steps[i].done);
	}
	return true;
}

static bool start_guest(struct guest *guest, struct op *op, bool paused, const char *started_event,
                        int stream, GError **error)
{
	struct build b = { .guest = guest, .op = op, .conf = guest->journal->conf, .stream = stream };
	bool ok = build_steps(&b, error);

	clear_images(&b);
	nic_waiter_close(b.nics);
	if (!ok)
		return false;
	guest->journal->unpaused = !paused;
	guest_publish(guest);
	/* Its last run ended earlier: a core file may have been written since, and devices waited for. */
	guest->journal->policy.started_us = boottime_us();
	guest_save(guest, JOURNAL_RUNNING);
	guest_set_phase(guest, NULL);
	guest_event(guest, b.ids.domid, "created", "");
	if (paused)
		return true;
	if (xyl_domain_unpause(xylemd.xen, b.ids.domid))
		return fail_call(&b, "letting it run", error);
	guest_event(guest, b.ids.domid, "started", started_event);
	return true;
}

bool build_guest(struct guest *guest, bool paused, const char *started_event, GError **error)
{
	return start_guest(guest, NULL, paused, started_event, -1, error);
}

/* No domain of somebody else has this name or UUID. Ours are in the tables. */
static bool check_foreign(struct guest *guest, GError **error)
{
	struct xyl_dominfo *domains = NULL;
	int count = xyl_domain_list_all(xylemd.xen, &domains), i;
	bool ok = true;

	if (count < 0)
		return xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": listing domains: %s", guest->name,
		               xyl_error());
	for (i = 0; i < count && ok; i++) {
		struct guest *ours = guest_by_domid(domains[i].domid);
		char *name;

		guest_unref(ours);
		if (ours || !domains[i].domid || domains[i].dying)
			continue;
		name = xyl_store_readf(storeio_store(xylemd.io), XYL_TX_NONE, "/local/domain/%u/name",
		                       domains[i].domid);
		if (!memcmp(domains[i].uuid, guest->id, 16))
			ok = xd_fail(error, XD_ERROR_EXISTS,
			             "guest \"%s\": domain %u has the uuid %s already", guest->name,
			             domains[i].domid, guest->uuid);
		else if (name && !strcmp(name, guest->name))
			ok = xd_fail(error, XD_ERROR_EXISTS, "guest \"%s\": domain %u has this name already",
			             guest->name, domains[i].domid);
		free(name);
	}
	free(domains);
	return ok;
}

/* number: flags of Create and Restore. False: answered with an error, and nothing is left. */
static bool create(struct op *op, const char *started_event)
{
	struct guest *guest = op->guest;
	g_autoptr(GError) error = NULL;

	if (check_foreign(guest, &error) &&
	    start_guest(guest, op, op->number & 1, started_event, op->fd, &error))
		return true;
	teardown_guest(guest, false, g_atomic_int_get(&guest->doomed) ? "request" : "failed");
	op_fail(op, error);
	return false;
}

void op_create(struct op *op)
{
	GDBusMethodInvocation *call;

	if (!create(op, ""))
		return;
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_create(xylemd.service, call, op->guest->journal->domid,
		                           device_list(op->guest));
}

void op_restore(struct op *op)
{
	GDBusMethodInvocation *call;

	if (!create(op, "restored"))
		return;
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_restore(xylemd.service, call, NULL, op->guest->journal->domid,
		                            device_list(op->guest));
}
