/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The library's calls, one by one, against the hypervisor that this runs on (tests/system/test-libxenctrl
 * starts it in a dom0); speaks TAP. With a kernel and a RAM disk it also builds guests, starts one, and reads
 * its console until the test guest says that it is up:  xenctrl_live [KERNEL RAMDISK]
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/sysctl.h>
#include <xen/io/console.h>

#include "libxenctrl/include/xenctrl.h"
#include "../../lib/tap.h"

#define GUEST_KIB    (96u * 1024)
#define GUEST_WAIT_S 300

static struct xyl *x;
static struct xyl_evtchn *evtchn;
static struct xyl_gnt *gnt;
static struct xyl_store *store;

/* A verdict on a library call: its message is shown when it fails. */
static bool check(bool ok, const char *name)
{
	tap_ok(ok, "%s", name);
	if (!ok)
		printf("# %s (errno %d)\n", xyl_error(), errno);
	return ok;
}

static void test_host(void)
{
	static struct xyl_version version;
	struct xyl_numanode nodes[64];
	struct xyl_cputopo cpus[256];
	uint64_t idle[256], now = 0, free_all = 0, free_low = 0;
	enum xyl_scheduler scheduler;
	struct xyl_hostinfo host;
	int n;

	check(xyl_host_info(x, &host) == 0 && host.cpus > 0 && host.cpu_khz > 1000 &&
	              host.total_pages > host.free_pages && host.cap_pv && host.cap_gnttab_v1,
	      "host: CPUs, memory, capabilities");
	check(xyl_host_version(x, &version) == 0 && version.major == 4 && version.minor >= 17 &&
	              strstr(version.capabilities, "xen-3.0-x86_64") && version.page_bytes == XYL_PAGE_BYTES,
	      "host: version 4.17 or a later one that runs 64-bit PV guests");
	printf("# %u.%u%s, options \"%s\"\n", version.major, version.minor, version.extra,
	       version.commandline);
	n = xyl_host_cputopo(x, cpus, 256);
	check(n >= (int)host.cpus && cpus[0].core != UINT32_MAX, "host: CPU topology");
	n = xyl_host_numa(x, nodes, NULL, 64);
	check(n >= 1 && nodes[0].size_bytes > nodes[0].free_bytes, "host: NUMA nodes");
	check(xyl_host_cpu_times(x, idle, 256, &now) == 0 && now > 0 && idle[0] <= now, "host: idle times");
	check(xyl_host_free_memory(x, -1, 0, &free_all) == 0 && free_all > 0, "host: free memory");
	check(xyl_host_free_memory(x, -1, 32, &free_low) == 0 ? free_low <= free_all : errno == EOPNOTSUPP,
	      "host: free memory below 4 GiB, where the hypervisor can tell");
	check(xyl_scheduler_id(x, &scheduler) == 0 && strcmp(xyl_scheduler_name(scheduler), "unknown") != 0,
	      "host: scheduler");
}

static void test_console_ring(void)
{
	static char text[1 << 16];
	uint32_t index = 0;
	int n, more = 0;

	n = xyl_console_read(x, text, sizeof(text), false, &index);
	check(n > 0, "console ring: read from the beginning");
	while (n > 0)
		n = xyl_console_read(x, text, sizeof(text), false, &index);
	check(n == 0, "console ring: then nothing is new");
	check(xyl_debug_keys(x, "h") == 0, "console ring: debug key h");
	for (int i = 0; i < 100 && more == 0; i++) {
		more = xyl_console_read(x, text, sizeof(text), false, &index);
		usleep(more ? 0 : 100000);
	}
	check(more > 0, "console ring: its answer is new");
}

static void test_self(void)
{
	uint8_t hard[32], soft[32];
	struct xyl_vcpuinfo vcpu;
	struct xyl_dominfo info, *all;
	struct xyl_sched sched, again;
	int n = xyl_domain_list_all(x, &all);

	check(n >= 1 && all[0].domid == 0 && all[0].memory_pages > 0 && all[0].cpu_time_ns > 0,
	      "domain 0 is in the list");
	if (n >= 0)
		free(all);
	check(xyl_domain_info(x, 0, &info) == 0 && info.online_vcpus >= 1 && !info.dying,
	      "domain 0: described");
	check(xyl_domain_info(x, 31999, &info) < 0 && errno == ESRCH && strstr(xyl_error(), "31999"),
	      "a domain that is not there is ESRCH, and named");
	check(xyl_vcpu_info(x, 0, 0, &vcpu) == 0 && vcpu.online && vcpu.cpu_time_ns > 0, "domain 0: vcpu 0");
	check(xyl_vcpu_info(x, 0, 4000, &vcpu) < 0, "a vcpu that is not there is an error");
	check(xyl_vcpu_get_affinity(x, 0, 0, hard, soft, sizeof(hard)) == 0 && hard[0], "domain 0: affinity");
	check(xyl_vcpu_set_affinity(x, 0, 0, hard, NULL, sizeof(hard)) == 0,
	      "domain 0: the same affinity again");
	check(xyl_memory_get_nodes(x, 0, hard, sizeof(hard)) == 0 && (hard[0] & 1),
	      "domain 0: the first node is among those of its memory");
	check(xyl_sched_get(x, 0, &sched) == 0 && sched.weight > 0, "domain 0: weight");
	sched.weight = 300;
	check(xyl_sched_set(x, 0, &sched) == 0 && xyl_sched_get(x, 0, &again) == 0 && again.weight == 300,
	      "domain 0: another weight");
	sched.weight = 256;
	check(xyl_sched_set(x, 0, &sched) == 0, "domain 0: the usual weight");
	sched.weight = 0;
	check(xyl_sched_set(x, 0, &sched) < 0 && errno == EINVAL, "a weight of 0 is refused");
}

static void test_events(void)
{
	struct pollfd p = { .fd = xyl_evtchn_fd(evtchn), .events = POLLIN };
	int here = xyl_evtchn_bind_unbound(evtchn, 0), there, port;

	check(here > 0, "events: a port for ourselves");
	there = xyl_evtchn_bind_interdomain(evtchn, 0, (uint32_t)here);
	check(there > 0, "events: its other end");
	/* binding raises an event at each end: take those first */
	while (poll(&p, 1, 500) == 1 && (port = xyl_evtchn_pending(evtchn)) > 0)
		(void)!xyl_evtchn_unmask(evtchn, (uint32_t)port);
	check(xyl_evtchn_pending(evtchn) < 0 && errno == EAGAIN, "events: none pending is EAGAIN");
	check(xyl_evtchn_notify(evtchn, (uint32_t)there) == 0 && poll(&p, 1, 30000) == 1 &&
	              xyl_evtchn_pending(evtchn) == here,
	      "events: a notification arrives at the right port");
	check(xyl_evtchn_unmask(evtchn, (uint32_t)here) == 0, "events: unmask");
	check(xyl_evtchn_unbind(evtchn, (uint32_t)there) == 0 &&
	              xyl_evtchn_unbind(evtchn, (uint32_t)here) == 0,
	      "events: unbind");
	check(xyl_evtchn_notify(evtchn, (uint32_t)here) < 0, "events: a closed port is an error");
}

static int body_runs;

static int write_twice(struct xyl_store *s, xyl_tx tx, void *data)
{
	(void)data;
	if (++body_runs == 1) {
		/* what another client would do meanwhile */
		if (xyl_store_write(s, XYL_TX_NONE, "/test-xenctrl/a", "interference", 12) < 0)
			return -1;
	}
	free(xyl_store_read(s, tx, "/test-xenctrl/a", NULL));
	return xyl_store_printf(s, tx, "/test-xenctrl/a", "run %d", body_runs);
}

static GMainLoop *loop;
static int fired;

static void on_change(struct xyl_store *s, const char *path, void *data)
{
	(void)s;
	(void)data;
	if (++fired == 1)
		(void)!xyl_store_write(s, XYL_TX_NONE, path, "from the callback", 17);
	else
		g_main_loop_quit(loop);
}

static gboolean give_up(gpointer data)
{
	(void)data;
	g_main_loop_quit(loop);
	return G_SOURCE_CONTINUE;
}

static void test_store(void)
{
	const struct xyl_perms perms[] = { { 0, XYL_PERM_NONE }, { 5, XYL_PERM_READ } };
	struct xyl_perms *got;
	struct xyl_watch *w;
	size_t n = 0;
	char **list;
	char *value;
	guint timer;

	check(xyl_store_printf(store, XYL_TX_NONE, "/test-xenctrl/a", "%s %d", "hello", 3) == 0,
	      "store: write");
	value = xyl_store_readf(store, XYL_TX_NONE, "/test-xenctrl/%s", "a");
	check(value && strcmp(value, "hello 3") == 0, "store: read");
	free(value);
	check(!xyl_store_read(store, XYL_TX_NONE, "/test-xenctrl/none", NULL) && errno == ENOENT,
	      "store: ENOENT");
	check(xyl_store_set_perms(store, XYL_TX_NONE, "/test-xenctrl/a", perms, 2) == 0,
	      "store: set permissions");
	got = xyl_store_get_perms(store, XYL_TX_NONE, "/test-xenctrl/a", &n);
	check(got && n == 2 && got[1].domid == 5 && got[1].perm == XYL_PERM_READ, "store: get permissions");
	free(got);
	check(xyl_store_transaction(store, write_twice, NULL) == 0, "store: a transaction");
	value = xyl_store_read(store, XYL_TX_NONE, "/test-xenctrl/a", NULL);
	tap_ok(value && body_runs >= 1 && strncmp(value, "run ", 4) == 0 && atoi(value + 4) == body_runs,
	       "store: its last run counts (%d runs)", body_runs);
	free(value);
	for (int i = 0; i < 900; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/test-xenctrl/many/child-number-%d", i);
		if (xyl_store_mkdir(store, XYL_TX_NONE, path) < 0)
			break;
	}
	list = xyl_store_directory(store, XYL_TX_NONE, "/test-xenctrl/many", &n);
	check(list && n == 900, "store: a directory that is longer than a message");
	free(list);
	loop = g_main_loop_new(NULL, FALSE);
	w = xyl_store_watch(store, "/test-xenctrl/a", on_change, NULL);
	check(w != NULL, "store: a watch");
	timer = g_timeout_add_seconds(60, give_up, NULL);
	g_main_loop_run(loop);
	g_source_remove(timer);
	g_main_loop_unref(loop);
	tap_ok(fired == 2, "store: it fires at first and at a change");
	check(w && xyl_store_unwatch(store, w) == 0, "store: unwatch");
	value = xyl_store_domain_path(store, 7);
	check(value && strcmp(value, "/local/domain/7") == 0, "store: a domain's path");
	free(value);
	check(xyl_store_rm(store, XYL_TX_NONE, "/test-xenctrl") == 0, "store: rm");
}

struct file {
	const void *data;
	size_t bytes;
};

static struct file slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct file f = { 0 };
	struct stat st;
	void *p;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p != MAP_FAILED)
			f = (struct file){ p, (size_t)st.st_size };
	}
	if (fd >= 0)
		close(fd);
	return f;
}

static bool gone(uint32_t domid)
{
	struct xyl_dominfo info;

	for (int i = 0; i < 600; i++) {
		if (xyl_domain_info(x, domid, &info) < 0)
			return errno == ESRCH;
		usleep(100000);
	}
	return false;
}

/* Waits for a word on the guest's console, which it also shows. */
static bool wait_console(struct xencons_interface *ring, uint32_t port, const char *word)
{
	gint64 end = g_get_monotonic_time() + GUEST_WAIT_S * G_USEC_PER_SEC;
	char line[1024] = "# ";
	size_t n = 2;

	while (g_get_monotonic_time() < end) {
		struct pollfd p = { .fd = xyl_evtchn_fd(evtchn), .events = POLLIN };
		uint32_t prod = __atomic_load_n(&ring->out_prod, __ATOMIC_ACQUIRE), cons = ring->out_cons;

		for (; cons != prod; cons++) {
			line[n] = ring->out[MASK_XENCONS_IDX(cons, ring->out)];
			if (line[n] != '\n' && n < sizeof(line) - 2) {
				n++;
				continue;
			}
			line[n + 1] = '\0';
			fputs(line, stdout);
			if (strstr(line, word))
				return true;
			n = 2;
		}
		__atomic_store_n(&ring->out_cons, cons, __ATOMIC_RELEASE);
		if (xyl_evtchn_notify(evtchn, port) < 0)
			return false;
		if (poll(&p, 1, 1000) == 1 && xyl_evtchn_pending(evtchn) == (int)port)
			(void)!xyl_evtchn_unmask(evtchn, port);
	}
	return false;
}

static void test_console(uint32_t domid, uint32_t guest_port)
{
	const uint32_t ref = GNTTAB_RESERVED_CONSOLE, other = 100;
	int port = xyl_evtchn_bind_interdomain(evtchn, domid, guest_port);
	struct xencons_interface *ring = xyl_gnt_map(gnt, domid, &ref, 1, PROT_READ | PROT_WRITE);

	check(port > 0, "guest: console port");
	check(ring != NULL, "guest: console page by grant");
	check(!xyl_gnt_map(gnt, domid, &other, 1, PROT_READ),
	      "guest: a reference that it does not grant is refused");
	check(xyl_domain_unpause(x, domid) == 0, "guest: unpause");
	if (ring && port > 0) {
		tap_ok(wait_console(ring, (uint32_t)port, "xylem-guest: up"), "guest: it is up");
		check(xyl_gnt_unmap(gnt, ring, 1) == 0, "guest: unmap the console page");
		check(xyl_evtchn_unbind(evtchn, (uint32_t)port) == 0, "guest: unbind the console port");
	}
}

/* By the hypervisor's log, which Debian's Xen is built without. */
static void test_dirty(uint32_t domid)
{
	static struct xyl_version version;
	bool has_log = xyl_host_version(x, &version) == 0 && strstr(version.extra, "-xylem");
	struct xyl_dirty dirty = { 0 };
	int rc = xyl_domain_dirty_pages(x, domid, 1000000, &dirty, NULL, NULL);

	check(has_log ? rc == 0 && dirty.elapsed_us >= 1000000 && dirty.pages < GUEST_KIB / 4
	              : rc < 0 && errno == ENOTSUP,
	      "guest: pages that it changes are counted, where the hypervisor can tell");
	printf("# %llu in %llu us\n", (unsigned long long)dirty.pages, (unsigned long long)dirty.elapsed_us);
	check(xyl_domain_pause(x, domid) == 0, "guest: pause");
	dirty.pages = 0;
	rc = xyl_domain_dirty_pages(x, domid, 100000, &dirty, NULL, NULL);
	check((has_log ? rc == 0 : rc < 0 && errno == ENOTSUP) && dirty.pages == 0,
	      "guest: none while it is paused");
	check(xyl_domain_unpause(x, domid) == 0, "guest: and it goes on");
}

static void test_stop(uint32_t domid)
{
	struct xyl_dominfo info;

	check(xyl_domain_pause(x, domid) == 0 && xyl_domain_info(x, domid, &info) == 0 && info.paused,
	      "guest: pause");
	check(xyl_domain_shutdown(x, domid, XYL_SHUTDOWN_CRASH) == 0 &&
	              xyl_domain_info(x, domid, &info) == 0 && info.shutdown &&
	              info.shutdown_reason == XYL_SHUTDOWN_CRASH,
	      "guest: made to crash");
	check(xyl_domain_destroy(x, domid) == 0, "guest: destroy");
}

/* Frames of the guest, its grant table, and memory given and taken; all before it runs. */
static void test_memory(uint32_t domid, const struct xyl_pv_built *built)
{
	static const char zero[XYL_PAGE_BYTES];
	uint64_t frames[2] = { built->console_mfn, UINT64_C(1) << 40 }, more[4], done = 0, now = 0;
	int errors[2] = { 0, 0 };
	const uint32_t *entry;
	char *page;

	page = xyl_foreign_map(x, domid, PROT_READ, frames, 1, NULL);
	check(page && memcmp(page, zero, sizeof(zero)) == 0, "memory: the console page is mapped, and zero");
	check(page && xyl_foreign_unmap(x, page, 1) == 0, "memory: unmapped");
	check(!xyl_foreign_map(x, domid, PROT_READ, frames, 2, NULL),
	      "memory: one frame that is not there fails the call");
	page = xyl_foreign_map(x, domid, PROT_READ, frames, 2, errors);
	check(page && !errors[0] && errors[1], "memory: or is told of by itself");
	check(page && xyl_foreign_unmap(x, page, 2) == 0, "memory: unmapped");
	entry = xyl_grant_table_map(x, domid, 0, 1);
	/* an entry: 16 bits of flags, 16 of domain, 32 of frame */
	check(entry && (entry[0] & 0xffff) == GTF_permit_access && entry[1] == built->console_mfn &&
	              entry[3] == built->store_mfn,
	      "memory: its grant table begins with console and store");
	check(entry && xyl_foreign_unmap(x, (void *)(uintptr_t)entry, 1) == 0, "memory: unmapped");
	check(xyl_memory_increase(x, domid, 4, 0, more, &done) == 0 && done == 4, "memory: four pages more");
	check(xyl_memory_reservation(x, domid, &now, NULL, NULL) == 0 && now == built->pages + 4,
	      "memory: they count");
	check(xyl_memory_decrease(x, domid, 4, 0, more, &done) == 0 && done == 4,
	      "memory: and are taken away");
	check(xyl_memory_decrease(x, domid, 1, 0, more, &done) < 0 && done == 0, "memory: not twice");
	check(xyl_memory_claim(x, domid, built->pages + 16) == 0 && xyl_memory_claim(x, domid, 0) == 0,
	      "memory: set aside and released");
}

static void test_guest(const struct file *kernel, const struct file *ramdisk)
{
	struct xyl_create create = {
		.uuid = { 0xaa, 1 }, .max_vcpus = 2, .max_grant_frames = -1, .max_maptrack_frames = -1
	};
	struct xyl_pv_build build = { .kernel = kernel->data,
		                      .kernel_bytes = kernel->bytes,
		                      .ramdisk = ramdisk->data,
		                      .ramdisk_bytes = ramdisk->bytes,
		                      .memory_kib = GUEST_KIB,
		                      .max_memory_kib = GUEST_KIB + 8192,
		                      .cmdline = "console=hvc0 earlyprintk=xen name=live" };
	struct vcpu_guest_context context;
	struct xyl_pv_built built;
	uint64_t now = 0, most = 0;
	struct xyl_dominfo info;
	bool introduced = false;
	char path[64];
	uint32_t domid;
	int console, xs;

	if (!check(xyl_domain_create(x, &create, &domid) == 0, "guest: create"))
		return;
	check(xyl_domain_info(x, domid, &info) == 0 && info.paused && info.max_vcpus == 2 &&
	              memcmp(info.uuid, create.uuid, 16) == 0,
	      "guest: described as created");
	console = xyl_evtchn_alloc(x, domid, 0);
	xs = xyl_evtchn_alloc(x, domid, 0);
	check(console > 0 && xs > 0, "guest: ports for console and store");
	build.console_port = (uint32_t)console;
	build.store_port = (uint32_t)xs;
	if (!check(xyl_domain_build_pv(x, domid, &build, &built) == 0, "guest: build")) {
		xyl_domain_destroy(x, domid);
		return;
	}
	check(xyl_memory_reservation(x, domid, &now, &most, NULL) == 0 && now == GUEST_KIB / 4 &&
	              most == (GUEST_KIB + 8192) / 4,
	      "guest: memory and its limit");
	check(xyl_vcpu_get_context(x, domid, 0, &context) == 0 && context.user_regs.rip == built.entry,
	      "guest: vcpu 0 stands at the kernel's entry");
	test_memory(domid, &built);
	check(xyl_domain_set_time_offset(x, domid, 3600) == 0, "guest: clock offset");
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	check(xyl_store_mkdir(store, XYL_TX_NONE, path) == 0 &&
	              xyl_store_introduce(store, domid, built.store_mfn, (uint32_t)xs) == 0 &&
	              xyl_store_is_introduced(store, domid, &introduced) == 0 && introduced,
	      "guest: introduced to xenstored");
	test_console(domid, (uint32_t)console);
	test_dirty(domid);
	test_stop(domid);
	(void)!xyl_store_release(store, domid); /* stock xenstored may have noticed by itself */
	check(xyl_store_rm(store, XYL_TX_NONE, path) == 0, "guest: removed from the store");
	check(gone(domid), "guest: nothing holds it any more");
}

/* What cannot work is refused, and each half-built domain can be destroyed. */
static void test_bad_builds(const struct file *kernel, const struct file *packed)
{
	static const char junk[8192] = "not a kernel";
	struct xyl_pv_build good = { .kernel = kernel->data,
		                     .kernel_bytes = kernel->bytes,
		                     .memory_kib = GUEST_KIB };
	const struct {
		const char *name;
		struct xyl_pv_build build;
		int error;
	} bad[] = {
		{ "junk as a kernel",
		  { .kernel = junk, .kernel_bytes = sizeof(junk), .memory_kib = GUEST_KIB },
		  ENOEXEC },
		{ "half a kernel",
		  { .kernel = packed->data, .kernel_bytes = packed->bytes / 2, .memory_kib = GUEST_KIB },
		  ENOEXEC },
		{ "too little memory",
		  { .kernel = kernel->data, .kernel_bytes = kernel->bytes, .memory_kib = 4096 },
		  E2BIG },
		{ "more memory than the host has",
		  { .kernel = kernel->data, .kernel_bytes = kernel->bytes, .memory_kib = UINT64_C(1) << 30 },
		  ENOMEM },
	};
	struct xyl_create create = { .max_vcpus = 1, .max_grant_frames = -1, .max_maptrack_frames = -1 };
	struct xyl_hostinfo before, after;
	struct xyl_pv_built built;
	uint32_t domid;

	(void)!xyl_host_info(x, &before);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int rc = xyl_domain_create(x, &create, &domid);

		tap_ok(rc == 0 && xyl_domain_build_pv(x, domid, &bad[i].build, &built) < 0 &&
		               errno == bad[i].error,
		       "refused: %s", bad[i].name);
		printf("# %s\n", xyl_error());
		tap_ok(rc == 0 && xyl_domain_destroy(x, domid) == 0 && gone(domid), "and destroyed again");
	}
	for (int i = 0; i < 5; i++) {
		if (xyl_domain_create(x, &create, &domid) < 0 ||
		    xyl_domain_build_pv(x, domid, &good, &built) < 0 || xyl_domain_destroy(x, domid) < 0 ||
		    !gone(domid))
			break;
	}
	check(xyl_host_info(x, &after) == 0 && before.free_pages - after.free_pages < 64,
	      "no memory is lost by all that");
	printf("# free pages %llu before, %llu after\n", (unsigned long long)before.free_pages,
	       (unsigned long long)after.free_pages);
}

/* One operation on CPU pools, for which the library has no call; returns the pool's number or -1. */
static long pool_op(uint32_t op, uint32_t id)
{
	struct xen_sysctl *s = xyl_hypercall_alloc(x, sizeof(*s));
	uint64_t args[5] = { (uintptr_t)s };
	long rc;

	s->cmd = XEN_SYSCTL_cpupool_op;
	s->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	s->u.cpupool_op.op = op;
	s->u.cpupool_op.cpupool_id = id;
	s->u.cpupool_op.cpu = 1;
	s->u.cpupool_op.sched_id = XEN_SCHEDULER_CREDIT;
	rc = xyl_hypercall(x, __HYPERVISOR_sysctl, args) < 0 ? -1 : (long)s->u.cpupool_op.cpupool_id;
	xyl_hypercall_free(x, s, sizeof(*s));
	return rc;
}

/* A domain in a pool whose scheduler is not the host's. */
static void test_pool(void)
{
	struct xyl_create create = { .max_vcpus = 1, .max_grant_frames = -1, .max_maptrack_frames = -1 };
	struct xyl_sched sched = { .weight = 300 }, again;
	struct xyl_dominfo info;
	long id = pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, XEN_SYSCTL_CPUPOOL_PAR_ANY);
	uint32_t domid;

	if (!check(id > 0, "a pool is created"))
		return;
	create.cpupool = (uint32_t)id + 1;
	check(xyl_domain_create(x, &create, &domid) < 0 && errno == ESRCH,
	      "pool: no domain where there is none");
	create.cpupool = (uint32_t)id;
	check(xyl_domain_create(x, &create, &domid) < 0 && errno == ENODEV, "pool: nor without a CPU");
	check(pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0) == 0 &&
	              pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, create.cpupool) == id,
	      "pool: it gets CPU 1");
	if (check(xyl_domain_create(x, &create, &domid) == 0, "pool: a domain is created there")) {
		check(xyl_domain_info(x, domid, &info) == 0 && info.cpupool == create.cpupool,
		      "pool: where it is");
		check(xyl_sched_set(x, domid, &sched) == 0 && xyl_sched_get(x, domid, &again) == 0 &&
		              again.weight == 300,
		      "pool: its weight, by the pool's scheduler");
		check(xyl_domain_destroy(x, domid) == 0 && gone(domid), "pool: it is destroyed");
	}
	check(pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, create.cpupool) == id &&
	              pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, create.cpupool) == id &&
	              pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0) == 0,
	      "pool: and all is as before");
}

int main(int argc, char **argv)
{
	x = xyl_open();
	if (!check(x != NULL, "open the hypervisor"))
		return tap_end();
	evtchn = xyl_evtchn_open();
	gnt = xyl_gnt_open();
	store = xyl_store_open(NULL);
	if (!check(evtchn != NULL, "open event channels") || !check(gnt != NULL, "open grants") ||
	    !check(store != NULL, "connect to xenstored"))
		return tap_end();
	test_host();
	test_console_ring();
	test_self();
	test_events();
	test_store();
	test_pool();
	if (argc == 3) {
		struct file kernel = slurp(argv[1]), ramdisk = slurp(argv[2]), elf = { 0 };
		void *unpacked = NULL;

		tap_ok(kernel.data && ramdisk.data, "read kernel and RAM disk");
		if (check(xyl_kernel_unpack(kernel.data, kernel.bytes, 0, &unpacked, &elf.bytes) == 0,
		          "unpack the kernel")) {
			elf.data = unpacked;
			test_bad_builds(&elf, &kernel);
			test_guest(&elf, &ramdisk);
			free(unpacked);
		}
	}
	xyl_store_close(store);
	xyl_gnt_close(gnt);
	xyl_evtchn_close(evtchn);
	xyl_close(x);
	return tap_end();
}
