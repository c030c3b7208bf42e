/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirtd's workers always suffice: its real pool of threads, as large as its own, is given 25 calls of a kind that wait
 * for something that never answers, each for another guest. Meanwhile others list, ask for states and statistics, and give up
 * what hangs. libvirt's real objects and this driver; an xylemd and a hypervisor that the test plays.
 */
#include "xylem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "aside.h"
#include "datatypes.h"
#include "define.h"
#include "devices.h"
#include "domain.h"
#include "dump.h"
#include "iotune.h"
#include "lifecycle.h"
#include "locking/domain_lock.h"
#include "monitor.h"
#include "played.h"
#include "save.h"
#include "stats.h"
#include "tune.h"
#include "virerror.h"
#include "virthread.h"
#include "virthreadpool.h"
#include "virtypedparam.h"

#define GUESTS 25
#define WELL   GUESTS /* the number of one that nobody has trouble with */
/* What answers "at once" may take as long as a call that is to be refused: a second, and the machine's load. */
#define WAIT_US (20 * G_USEC_PER_SEC)
/* libvirtd's settings (src/remote/remote_daemon_config.c), but min_workers as docs/driver.md advises: with 5, libvirt's pool
 * does not grow any more when two calls come at once and all threads are at work (virThreadPoolSendJob() of 9.0.0 and 11.3.0
 * subtracts the queue's length from the free threads without sign). */
#define WORKERS_MIN  20
#define WORKERS_MAX  20
#define WORKERS_PRIO 5

#define XML                                                                                                                        \
	"<domain type='xen'><name>guest%02d</name><uuid>5f2b7e10-0000-4000-8000-0000000000%02x</uuid>"                             \
	"<memory unit='KiB'>65536</memory><vcpu current='1'>2</vcpu><os><type>linux</type><kernel>/k"                              \
	"</kernel></os><devices><disk type='block'><source dev='/dead/disk'/><target dev='xvda' bus='xen'/>"                       \
	"</disk><disk type='file'><driver name='qemu' type='qcow2'/><source file='/q'/>"                                           \
	"<target dev='xvdq' bus='xen'/></disk><interface type='bridge'><mac address='00:16:3e:00:00:%02x'/><source bridge='br0'/>" \
	"</interface></devices></domain>"

static virDomainPtr doms[GUESTS + 1];

/* ---- the guests as xylemd and the hypervisor have them ---- */

static GMutex lock;
static GCond changed;
static bool hung;           /* calls to xylemd wait; guarded by lock */
static bool only_builds;    /* but only those that build a guest; guarded by lock */
static bool dead;           /* the disk; guarded by lock */
static unsigned int inside; /* how many calls wait; guarded by lock */
static struct guest {
	bool exists, known, suspended, doomed;
} guests[GUESTS + 1]; /* guarded by lock */

static unsigned int number_of(const char *handle)
{
	return (unsigned int)g_ascii_strtoull(handle + strlen(handle) - 2, NULL, 16);
}

static int fail(int code, const char *what)
{
	virReportError(code, "%s, says the test's xylemd", what);
	return -1;
}

/* lock is held. Where the call hangs, until the test lets it go or its guest is destroyed. */
static int pass(const char *handle, bool build)
{
	struct guest *g = &guests[number_of(handle)];

	if (g == &guests[WELL])
		return 0;
	inside++;
	g_cond_broadcast(&changed);
	while (hung && (build || !only_builds) && !g->doomed)
		g_cond_wait(&changed, &lock);
	inside--;
	return g->doomed ? fail(VIR_ERR_OPERATION_ABORTED, "it was destroyed") : 0;
}

static int call(const char *handle)
{
	int ret;

	g_mutex_lock(&lock);
	ret = pass(handle, false);
	g_mutex_unlock(&lock);
	return ret;
}

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused G_GNUC_UNUSED,
                   unsigned int *domid, GVariant **devices)
{
	const char *uuid = "";
	int ret;

	*devices = NULL;
	g_variant_ref_sink(config);
	g_variant_lookup(config, "uuid", "&s", &uuid);
	g_mutex_lock(&lock);
	guests[number_of(uuid)].known = true;
	guests[number_of(uuid)].doomed = false;
	ret = pass(uuid, true);
	*domid = number_of(uuid) + 1;
	guests[number_of(uuid)].exists = guests[number_of(uuid)].known = ret == 0;
	g_mutex_unlock(&lock);
	g_variant_unref(config);
	return ret;
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle)
{
	struct guest *g = &guests[number_of(handle)];
	int ret = 0;

	g_mutex_lock(&lock);
	if (!g->known)
		ret = fail(VIR_ERR_OPERATION_INVALID, "there is no such guest");
	else if (hung && only_builds)
		g->doomed = true;
	else
		ret = pass(handle, false);
	if (ret == 0)
		g->exists = g->known = false;
	g_cond_broadcast(&changed);
	g_mutex_unlock(&lock);
	return ret;
}

#define HANGS(name, ...)                                                           \
	int name(struct monitor *m G_GNUC_UNUSED, const char *handle, __VA_ARGS__) \
	{                                                                          \
		return call(handle);                                               \
	}

HANGS(monitor_shutdown, const char *mode G_GNUC_UNUSED)
HANGS(monitor_pause, bool pause G_GNUC_UNUSED)
HANGS(monitor_set_memory, unsigned long long kib G_GNUC_UNUSED)
HANGS(monitor_set_vcpus, unsigned int vcpus G_GNUC_UNUSED)
HANGS(monitor_set_scheduler, const struct xyl_sched *sched G_GNUC_UNUSED)
HANGS(monitor_set_affinity, unsigned int vcpu G_GNUC_UNUSED, const unsigned char *map G_GNUC_UNUSED,
      size_t bytes G_GNUC_UNUSED)
HANGS(monitor_set_link, const char *mac G_GNUC_UNUSED, bool up G_GNUC_UNUSED)
HANGS(monitor_resize, const char *vdev G_GNUC_UNUSED, unsigned long long bytes G_GNUC_UNUSED)

int monitor_set_disk_limits(struct monitor *m G_GNUC_UNUSED, const char *handle,
                            const char *vdev G_GNUC_UNUSED, GVariant *limits)
{
	g_variant_unref(g_variant_ref_sink(limits));
	return call(handle);
}

HANGS(monitor_set_policy, const char *event G_GNUC_UNUSED, const char *action G_GNUC_UNUSED)
HANGS(monitor_set_opaque, const char *text G_GNUC_UNUSED)
HANGS(monitor_save, int stream G_GNUC_UNUSED, unsigned int how G_GNUC_UNUSED)
HANGS(monitor_dump, int stream G_GNUC_UNUSED, bool live G_GNUC_UNUSED)

int monitor_resume(struct monitor *m G_GNUC_UNUSED, const char *handle)
{
	return call(handle);
}

int monitor_cancel(struct monitor *m G_GNUC_UNUSED, const char *handle)
{
	return call(handle);
}

int monitor_attach(struct monitor *m G_GNUC_UNUSED, const char *handle, GVariant *device, GVariant **made)
{
	*made = g_variant_ref_sink(device);
	return call(handle);
}

int monitor_detach(struct monitor *m G_GNUC_UNUSED, const char *handle, GVariant *device)
{
	g_variant_unref(g_variant_ref_sink(device));
	return call(handle);
}

/* As the real one: a short wait, and no answer. */
GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	if (known)
		*known = false;
	return NULL;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return true;
}

static void fill(unsigned int number, struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = number + 1;
	info->online_vcpus = info->max_vcpus = 1;
	info->shutdown = guests[number].suspended;
	info->shutdown_reason = XYL_SHUTDOWN_SUSPEND;
	memcpy(info->uuid, doms[number]->uuid, VIR_UUID_BUFLEN);
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, struct xyl_dominfo *info)
{
	bool found;

	g_mutex_lock(&lock);
	found = domid > 0 && domid <= GUESTS + 1 && guests[domid - 1].exists;
	if (found)
		fill(domid - 1, info);
	g_mutex_unlock(&lock);
	errno = found ? 0 : ESRCH;
	return found ? 0 : -1;
}

int xyl_domain_list_all(struct xyl *x G_GNUC_UNUSED, struct xyl_dominfo **infos)
{
	unsigned int i;
	int count = 0;

	*infos = calloc(GUESTS + 1, sizeof(**infos));
	g_mutex_lock(&lock);
	for (i = 0; i <= GUESTS; i++) {
		if (guests[i].exists)
			fill(i, &(*infos)[count++]);
	}
	g_mutex_unlock(&lock);
	return count;
}

int xyl_domain_destroy(struct xyl *x G_GNUC_UNUSED, uint32_t domid)
{
	g_mutex_lock(&lock);
	guests[domid - 1].exists = false;
	g_mutex_unlock(&lock);
	return 0;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 3;
	return 0;
}

int xyl_vcpu_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid G_GNUC_UNUSED, uint32_t vcpu G_GNUC_UNUSED,
                  struct xyl_vcpuinfo *info)
{
	memset(info, 0, sizeof(*info));
	return 0;
}

int xyl_scheduler_id(struct xyl *x G_GNUC_UNUSED, enum xyl_scheduler *id)
{
	*id = XYL_SCHED_CREDIT2;
	return 0;
}

int xyl_sched_get(struct xyl *x G_GNUC_UNUSED, uint32_t domid G_GNUC_UNUSED, struct xyl_sched *sched)
{
	memset(sched, 0, sizeof(*sched));
	return 0;
}

/* ---- a file system that does not answer: /dead, and where saved guests are kept ---- */

static char *save_dir;
static bool saves_dead; /* guarded by lock */

/* Whether the path is one of it, and what is asked fails at last. */
static bool hangs(const char *path)
{
	bool hung_here;

	g_mutex_lock(&lock);
	hung_here = STRPREFIX(path, "/dead/") || (saves_dead && STRPREFIX(path, save_dir));
	if (hung_here) {
		inside++;
		g_cond_broadcast(&changed);
		while (dead)
			g_cond_wait(&changed, &lock);
		inside--;
	}
	g_mutex_unlock(&lock);
	errno = EIO;
	return hung_here;
}

int stat(const char *path, struct stat *st)
{
	return hangs(path) ? -1 : fstatat(AT_FDCWD, path, st, 0);
}

int lstat(const char *path, struct stat *st)
{
	return hangs(path) ? -1 : fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int access(const char *path, int mode)
{
	return hangs(path) ? -1 : faccessat(AT_FDCWD, path, mode, 0);
}

int unlink(const char *path)
{
	return hangs(path) ? -1 : unlinkat(AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode)
{
	return hangs(path) ? -1 : mkdirat(AT_FDCWD, path, mode);
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return hangs(path) ? -1 : openat(AT_FDCWD, path, flags, mode);
}

/* ---- a lock manager, of which the same is true ---- */

static unsigned int locks_held; /* guarded by lock */

int virDomainLockImageAttach(virLockManagerPlugin *plugin G_GNUC_UNUSED, const char *uri G_GNUC_UNUSED,
                             virDomainObj *vm G_GNUC_UNUSED, virStorageSource *src G_GNUC_UNUSED)
{
	g_mutex_lock(&lock);
	inside++;
	g_cond_broadcast(&changed);
	while (dead)
		g_cond_wait(&changed, &lock);
	inside--;
	locks_held++;
	g_mutex_unlock(&lock);
	return 0;
}

int virDomainLockImageDetach(virLockManagerPlugin *plugin G_GNUC_UNUSED, virDomainObj *vm G_GNUC_UNUSED,
                             virStorageSource *src G_GNUC_UNUSED)
{
	g_mutex_lock(&lock);
	locks_held--;
	g_mutex_unlock(&lock);
	return 0;
}

/* ---- calls, as libvirtd makes them ---- */

static int do_start(virDomainPtr dom)
{
	return lifecycle_create(dom);
}

static int do_destroy(virDomainPtr dom)
{
	return lifecycle_destroy(dom);
}

static int do_block_info(virDomainPtr dom)
{
	virDomainBlockInfo info;

	return stats_block_info(dom, "xvda", &info, 0);
}

static int do_reboot(virDomainPtr dom)
{
	return lifecycle_reboot(dom, 0);
}

static int do_memory(virDomainPtr dom)
{
	return tune_set_memory_flags(dom, 65536, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_vcpus(virDomainPtr dom)
{
	return tune_set_vcpus_flags(dom, 2, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_scheduler(virDomainPtr dom)
{
	virTypedParameter param = { .field = VIR_DOMAIN_SCHEDULER_WEIGHT, .type = VIR_TYPED_PARAM_UINT };

	param.value.ui = 1000;
	return tune_set_scheduler_flags(dom, &param, 1, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_pin(virDomainPtr dom)
{
	unsigned char map = 4;

	return tune_pin_vcpu_flags(dom, 0, &map, 1, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_attach(virDomainPtr dom)
{
	return devices_attach(dom,
	                      "<disk type='block'><source dev='/b'/><target dev='xvdb' bus='xen'/></disk>");
}

static int do_detach(virDomainPtr dom)
{
	return devices_detach(dom,
	                      "<disk type='block'><source dev='/b'/><target dev='xvda' bus='xen'/></disk>");
}

static int do_link(virDomainPtr dom)
{
	g_autofree char *xml = g_strdup_printf(
	        "<interface type='bridge'><mac address='00:16:3e:00:00:%02x'/><source bridge='br0'/>"
	        "<link state='down'/></interface>",
	        dom->uuid[VIR_UUID_BUFLEN - 1]);

	return devices_update_flags(dom, xml, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_resize(virDomainPtr dom)
{
	return devices_resize(dom, "xvda", 1 << 20, VIR_DOMAIN_BLOCK_RESIZE_BYTES);
}

static int do_limit(virDomainPtr dom)
{
	virTypedParameter param = { .field = VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC,
		                    .type = VIR_TYPED_PARAM_ULLONG };

	param.value.ul = 100;
	return iotune_set(dom, "xvdq", &param, 1, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_policy(virDomainPtr dom)
{
	return lifecycle_set_action(dom, VIR_DOMAIN_LIFECYCLE_CRASH, VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE,
	                            VIR_DOMAIN_AFFECT_LIVE);
}

static int do_save(virDomainPtr dom)
{
	return save_managed(dom, 0);
}

static int do_dump(virDomainPtr dom)
{
	g_autofree char *path = g_strdup_printf("%s/%s.core", xylem->save_dir, dom->name);

	return dump_core(dom, path, 0);
}

static int do_start_fresh(virDomainPtr dom)
{
	return lifecycle_create_flags(dom, VIR_DOMAIN_START_FORCE_BOOT);
}

static int do_undefine(virDomainPtr dom)
{
	return define_undefine_flags(dom, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE);
}

static int do_remove_save(virDomainPtr dom)
{
	return define_remove_save(dom, 0);
}

static int do_restore(virDomainPtr dom G_GNUC_UNUSED)
{
	return save_restore(conn, "/dead/saved");
}

static int do_image_xml(virDomainPtr dom G_GNUC_UNUSED)
{
	g_autofree char *xml = save_image_get_xml(conn, "/dead/saved", 0);

	return xml ? 0 : -1;
}

static int do_image_define(virDomainPtr dom G_GNUC_UNUSED)
{
	return save_image_define(conn, "/dead/saved", "<domain/>", 0);
}

static int do_managed_xml(virDomainPtr dom)
{
	g_autofree char *xml = save_managed_get_xml(dom, 0);

	return xml ? 0 : -1;
}

static int do_managed_define(virDomainPtr dom)
{
	return save_managed_define(dom, "<domain/>", 0);
}

static int do_has_save(virDomainPtr dom)
{
	return define_has_save(dom, 0) < 0 ? -1 : 0;
}

static int do_state(virDomainPtr dom)
{
	int state, reason;

	return lifecycle_get_state(dom, &state, &reason, 0);
}

static int do_info(virDomainPtr dom)
{
	virDomainInfo info;

	return stats_get_info(dom, &info);
}

static int do_list(virDomainPtr dom G_GNUC_UNUSED)
{
	virDomainPtr *all = NULL;
	int count = define_list_all(conn, &all, 0), i;

	for (i = 0; i < count; i++)
		virObjectUnref(all[i]);
	g_free(all);
	return count == GUESTS + 1 ? 0 : -1;
}

static int do_stats(virDomainPtr dom G_GNUC_UNUSED)
{
	virDomainStatsRecordPtr *records = NULL;
	int count = stats_all(conn, NULL, 0, 0, &records, 0);

	virDomainStatsRecordListFree(records);
	return count == GUESTS + 1 ? 0 : -1;
}

struct job {
	int (*call)(virDomainPtr dom);
	virDomainPtr dom;
	gint done;
	int ret;
	char *error;
};

static virThreadPool *pool;

static void work(void *data, void *opaque G_GNUC_UNUSED)
{
	struct job *job = data;
	int ret = job->call(job->dom);

	job->error = ret < 0 ? g_strdup(virGetLastErrorMessage()) : NULL;
	job->ret = ret;
	virResetLastError();
	g_atomic_int_set(&job->done, 1);
}

/* high: libvirtd's workers for calls that never wait take it too (src/remote/remote_protocol.x). */
static struct job *begin(int (*fn)(virDomainPtr), virDomainPtr dom, bool high)
{
	struct job *job = g_new0(struct job, 1);

	job->call = fn;
	job->dom = dom;
	if (virThreadPoolSendJob(pool, high, job) < 0)
		abort();
	return job;
}

static bool ended(struct job *job)
{
	gint64 until = g_get_monotonic_time() + WAIT_US;

	while (!g_atomic_int_get(&job->done) && g_get_monotonic_time() < until)
		g_usleep(1000);
	return g_atomic_int_get(&job->done);
}

static void forget(struct job *job)
{
	g_free(job->error);
	g_free(job);
}

/* It is answered, and well, although so much hangs. */
static bool answered(int (*fn)(virDomainPtr), virDomainPtr dom, bool high, const char *what)
{
	gint64 since = g_get_monotonic_time();
	struct job *job = begin(fn, dom, high);
	bool good = ended(job) && job->ret == 0;

	printf("# %s: %s after %d ms%s%s\n", what,
	       !job->done ? "no answer"
	       : good     ? "answered"
	                  : "refused",
	       (int)((g_get_monotonic_time() - since) / 1000), job->error ? ": " : "",
	       job->error ? job->error : "");
	/* One that is not answered uses it later. */
	if (g_atomic_int_get(&job->done))
		forget(job);
	return good;
}

static bool others_go_on(void)
{
	bool good = answered(do_list, NULL, true, "list");

	good &= answered(do_state, doms[WELL], true, "state");
	good &= answered(do_stats, NULL, false, "domstats");
	good &= answered(do_info, doms[WELL], false, "info");
	return good;
}

/* ---- */

static void must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s: %s\n", what, virGetLastErrorMessage());
	exit(1);
}

static void set_hung(bool now, bool builds)
{
	g_mutex_lock(&lock);
	hung = dead = now;
	only_builds = builds;
	g_cond_broadcast(&changed);
	g_mutex_unlock(&lock);
}

static void wait_inside(unsigned int count)
{
	gint64 until = g_get_monotonic_time() + WAIT_US;

	g_mutex_lock(&lock);
	while (inside < count)
		must(g_cond_wait_until(&changed, &lock, until), "so many calls wait");
	g_mutex_unlock(&lock);
}

/* All guests, or only the one that is well, run. */
static void set_running(bool all)
{
	unsigned int i;

	for (i = 0; i <= GUESTS; i++) {
		bool wanted = all || i == WELL;

		g_mutex_lock(&lock);
		guests[i].doomed = guests[i].suspended = false;
		guests[i].known = guests[i].exists = define_is_active(doms[i]) == 1;
		g_mutex_unlock(&lock);
		if (define_is_active(doms[i]) == wanted)
			continue;
		ignore_value(define_remove_save(doms[i], 0));
		must((wanted ? lifecycle_create(doms[i]) : lifecycle_destroy(doms[i])) == 0,
		     "start or destroy");
	}
}

static void end_all(struct job **jobs, size_t count)
{
	size_t i;

	set_hung(false, false);
	for (i = 0; i < count; i++) {
		must(ended(jobs[i]), "a call ends when what it waits for does");
		forget(jobs[i]);
	}
}

/* 25 calls for 25 guests hang, or are refused. */
static void begin_all(struct job *jobs[GUESTS], int (*fn)(virDomainPtr), bool high)
{
	unsigned int i;

	for (i = 0; i < GUESTS; i++)
		jobs[i] = begin(fn, doms[i], high);
}

static const struct kind {
	const char *name;
	int (*call)(virDomainPtr dom);
	bool high, running;
} kinds[] = {
	{ "starts", do_start, false, false },
	{ "destroys", do_destroy, true, true },
	{ "block info", do_block_info, false, true },
	{ "shutdowns", lifecycle_shutdown, false, true },
	{ "reboots", do_reboot, false, true },
	{ "suspends", lifecycle_suspend, false, true },
	{ "changes of memory", do_memory, false, true },
	{ "changes of vcpus", do_vcpus, false, true },
	{ "changes of weight", do_scheduler, false, true },
	{ "pinnings", do_pin, false, true },
	{ "attaches", do_attach, false, true },
	{ "detaches", do_detach, false, true },
	{ "changes of a link", do_link, false, true },
	{ "resizes", do_resize, false, true },
	{ "limits of disks", do_limit, false, true },
	{ "changes of policy", do_policy, false, true },
	{ "saves", do_save, false, true },
	{ "dumps", do_dump, false, true },
};

/* The same where it is the disk that does not answer; each of them fails at last. */
static const struct kind of_files[] = {
	{ "starts", do_start, false, false },
	{ "starts that throw a managed save away", do_start_fresh, false, false },
	{ "undefines", do_undefine, false, false },
	{ "removals of managed saves", do_remove_save, false, false },
	{ "looks into managed saves", do_managed_xml, false, false },
	{ "changes of managed saves", do_managed_define, false, false },
	{ "looks into files of saved guests", do_image_xml, false, false },
	{ "changes of files of saved guests", do_image_define, false, false },
	{ "restores", do_restore, false, false },
	{ "saves", do_save, false, true },
	{ "dumps", do_dump, false, true },
};

static void test_kind(size_t kind)
{
	struct job *jobs[GUESTS];

	set_running(kinds[kind].running);
	set_hung(true, false);
	begin_all(jobs, kinds[kind].call, kinds[kind].high);
	wait_inside(1);
	tap_ok(others_go_on(), "25 %s that hang: others are answered", kinds[kind].name);
	end_all(jobs, GUESTS);
}

/* Guests that are off have a managed save, as far as is known. */
static void set_saves(bool on)
{
	unsigned int i;

	for (i = 0; i < GUESTS; i++) {
		virDomainObj *vm = domain_get(doms[i]);

		vm->hasManagedSave = on;
		virDomainObjEndAPI(&vm);
	}
	g_mutex_lock(&lock);
	saves_dead = on;
	g_mutex_unlock(&lock);
}

static void test_files(const struct kind *kind)
{
	struct job *jobs[GUESTS];
	bool good;

	set_running(kind->running);
	set_saves(true);
	set_hung(true, false);
	begin_all(jobs, kind->call, kind->high);
	wait_inside(1);
	good = others_go_on();
	good &= answered(do_state, doms[0], true, "its own state");
	good &= answered(do_info, doms[0], false, "its own info");
	good &= answered(do_has_save, doms[0], false, "whether it has a managed save");
	tap_ok(good, "25 %s on a dead disk: others are answered, and about the guest itself", kind->name);
	end_all(jobs, GUESTS);
	set_saves(false);
}

/* Five starts wait for the disk of a managed save, or for the lock manager; three more are in line. */
static void test_given_up_early(bool of_locks)
{
	int (*const ways[])(virDomainPtr) = { lifecycle_abort_job, do_destroy };
	unsigned int way, i, given_up = 0, ends = 0, left = 0;
	const char *what = of_locks ? "the lock manager" : "a dead disk";
	static char manager;
	struct job *jobs[GUESTS];

	set_running(false);
	xylem->lock_manager = of_locks ? (virLockManagerPlugin *)&manager : NULL;
	set_saves(!of_locks);
	set_hung(true, true);
	begin_all(jobs, do_start, false);
	wait_inside(5);
	must(others_go_on(), "others are answered");
	for (i = 0, way = 0; i < GUESTS; i++) {
		if (g_atomic_int_get(&jobs[i]->done))
			continue;
		given_up += answered(ways[way % 2], doms[i], way % 2, way % 2 ? "destroy" : "abort");
		way++;
		ends += ended(jobs[i]) && jobs[i]->ret < 0 && strstr(jobs[i]->error, "given up");
	}
	tap_ok(way == 8 && given_up == 8 && ends == 8 && aside_busy(),
	       "starts that wait for %s end when they are given up", what);
	end_all(jobs, GUESTS);
	for (i = 0; i < 1000 && (i == 0 || left); i++) {
		g_usleep(1000);
		virMutexLock(&xylem->lock);
		left = xylem->left_count;
		virMutexUnlock(&xylem->lock);
	}
	for (i = 0; i < GUESTS; i++)
		given_up -= guests[i].exists || define_is_active(doms[i]) != 0;
	tap_ok(!left && given_up == 8 && !locks_held, "nothing runs, and nothing is held, when %s answers",
	       what);
	xylem->lock_manager = NULL;
	set_saves(false);
}

/* libvirtd begins, and the folder of managed saves is on it. */
static void test_begin_on_dead_disk(void)
{
	unsigned int i;

	set_running(false);
	set_saves(true);
	set_hung(true, true);
	save_find_all(20);
	tap_ok(aside_busy() && define_has_save(doms[0], 0) == 1 && others_go_on(),
	       "managed saves on a dead disk: libvirtd begins, and takes guests to have one");
	set_hung(false, false);
	for (i = 0; i < 10000 && aside_busy(); i++)
		g_usleep(1000);
	tap_ok(!aside_busy() && define_has_save(doms[0], 0) == 0, "and knows better when it answers");
	set_saves(false);
}

/* A guest that was suspended and has stayed so is let run again. */
static void test_resumes(void)
{
	struct job *jobs[GUESTS];
	unsigned int i;

	set_running(true);
	g_mutex_lock(&lock);
	for (i = 0; i < GUESTS; i++)
		guests[i].suspended = true;
	g_mutex_unlock(&lock);
	set_hung(true, false);
	begin_all(jobs, lifecycle_resume, false);
	wait_inside(1);
	tap_ok(others_go_on(), "25 resumes of suspended guests that hang: others are answered");
	end_all(jobs, GUESTS);
}

/* Of 25 starts some are with xylemd, some in line, the others refused. Each of the first two can be given up. */
static void test_given_up(void)
{
	int (*const ways[])(virDomainPtr) = { lifecycle_abort_job, do_destroy };
	unsigned int way, i, refused = 0, given_up = 0, ends = 0;
	struct job *jobs[GUESTS];

	set_running(false);
	set_hung(true, true);
	begin_all(jobs, do_start, false);
	wait_inside(5);
	tap_ok(others_go_on(), "25 starts that hang, and an xylemd that answers: others are answered");
	for (i = 0; i < GUESTS; i++)
		refused += g_atomic_int_get(&jobs[i]->done);
	tap_ok(refused == GUESTS - 8 && inside == 5,
	       "five of them are with xylemd, three in line, 17 were refused");
	for (i = 0, way = 0; i < GUESTS; i++) {
		if (g_atomic_int_get(&jobs[i]->done))
			continue;
		given_up += answered(ways[way % 2], doms[i], way % 2, way % 2 ? "destroy" : "abort");
		way++;
		ends += ended(jobs[i]) && jobs[i]->ret < 0;
	}
	tap_ok(given_up == 8 && ends == 8, "abort and destroy end each of them, in line or not");
	for (i = 0; i < GUESTS; i++)
		must(define_is_active(doms[i]) == 0, "a start that was given up leaves no guest");
	end_all(jobs, GUESTS);
}

/* Until so many of them have ended, or for as long as that may take. */
static void wait_done(struct job *jobs[GUESTS], unsigned int wanted)
{
	gint64 until = g_get_monotonic_time() + WAIT_US;
	unsigned int i, done = 0;

	while (done < wanted && g_get_monotonic_time() < until) {
		g_usleep(1000);
		for (i = 0, done = 0; i < GUESTS; i++)
			done += g_atomic_int_get(&jobs[i]->done) != 0;
	}
}

/* Destroy never says no: what cannot wait for xylemd is killed. */
static void test_destroys(void)
{
	unsigned int i, killed = 0, refused = 0;
	struct job *jobs[GUESTS];

	set_running(true);
	set_hung(true, false);
	begin_all(jobs, do_destroy, true);
	wait_inside(4);
	must(others_go_on(), "others are answered");
	wait_done(jobs, GUESTS - 4);
	for (i = 0; i < GUESTS; i++) {
		if (!g_atomic_int_get(&jobs[i]->done))
			continue;
		killed += jobs[i]->ret == 0 && !guests[i].exists && define_is_active(doms[i]) == 0;
		refused += jobs[i]->ret < 0;
	}
	tap_ok(killed == GUESTS - 4 && !refused,
	       "of 25 destroys four wait for an xylemd that hangs, the other guests are killed without it");
	end_all(jobs, GUESTS);
	for (i = 0, killed = 0; i < GUESTS; i++)
		killed += define_is_active(doms[i]) == 0;
	tap_ok(killed == GUESTS, "and all 25 are off at last");
}

/* All kinds at once. */
static void test_all(void)
{
	struct job *jobs[G_N_ELEMENTS(kinds)][GUESTS];
	size_t kind;

	set_running(true);
	set_hung(true, false);
	for (kind = 0; kind < G_N_ELEMENTS(kinds); kind++)
		begin_all(jobs[kind], kinds[kind].call, kinds[kind].high);
	wait_inside(4);
	tap_ok(others_go_on(), "25 calls of each kind at once: others are answered");
	set_hung(false, false);
	for (kind = 0; kind < G_N_ELEMENTS(kinds); kind++)
		end_all(jobs[kind], GUESTS);
}

static void define_all(void)
{
	unsigned int i;

	for (i = 0; i <= GUESTS; i++) {
		g_autofree char *xml = g_strdup_printf(XML, i, i, i);

		doms[i] = define_xml(conn, xml);
		must(doms[i] != NULL, "a guest is defined");
	}
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-starve-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	size_t kind;

	if (!dir || !played_setup(dir)) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	pool = virThreadPoolNewFull(WORKERS_MIN, WORKERS_MAX, WORKERS_PRIO, work, "rpc", NULL, NULL);
	must(pool != NULL, "libvirt's pool of threads");
	define_all();
	save_dir = xylem->save_dir;
	for (kind = 0; kind < G_N_ELEMENTS(kinds); kind++)
		test_kind(kind);
	for (kind = 0; kind < G_N_ELEMENTS(of_files); kind++)
		test_files(&of_files[kind]);
	test_given_up_early(false);
	test_given_up_early(true);
	test_begin_on_dead_disk();
	test_resumes();
	test_given_up();
	test_destroys();
	test_all();
	return tap_end() || system(remove) ? 1 : 0;
}
