/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Save, restore and dump by the library, for tests/system/test-save, which starts it in a dom0:
 *	save_live suspend DOMID                asks the guest to suspend, and waits until it has
 *	save_live save DOMID FILE|-
 *	save_live live DOMID FILE|-            saves a guest that runs, and has it suspend for the last of it
 *	save_live dump DOMID FILE|-
 *	save_live restore FILE|- NAME VCPUS    makes a new domain, with a console, and lets it run; prints its number
 *	save_live refuse FILE VCPUS            the same for a stream that is not right: says why, and destroys the domain
 *	save_live destroy DOMID
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libxenctrl/include/xenctrl.h"

#define WAIT_S 120

static struct xyl *x;
static struct xyl_store *store;

static void die(const char *what)
{
	fprintf(stderr, "save_live: %s: %s (errno %d)\n", what, xyl_error(), errno);
	exit(1);
}

static bool tell(const struct xyl_progress *p, void *data)
{
	uint64_t *calls = data;

	(void)p;
	++*calls;
	return true;
}

static int open_file(const char *path, bool write)
{
	int fd;

	if (strcmp(path, "-") == 0)
		return write ? STDOUT_FILENO : STDIN_FILENO;
	fd = write ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
	           : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void suspend(uint32_t domid)
{
	struct xyl_dominfo info;
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/control/shutdown", domid);
	if (xyl_store_printf(store, XYL_TX_NONE, path, "suspend") < 0)
		die("suspend");
	for (int i = 0; i < WAIT_S * 1000; i++) {
		if (xyl_domain_info(x, domid, &info) < 0)
			die("suspend");
		if (info.shutdown) {
			if (info.shutdown_reason == XYL_SHUTDOWN_SUSPEND)
				return;
			fprintf(stderr, "save_live: it stopped for reason %d\n", info.shutdown_reason);
			exit(1);
		}
		usleep(1000);
	}
	fprintf(stderr, "save_live: it did not suspend\n");
	exit(1);
}

static void save(uint32_t domid, const char *file, bool dump)
{
	uint64_t calls = 0;
	int fd = open_file(file, true);

	if ((dump ? xyl_domain_dump(x, domid, fd, tell, &calls)
	          : xyl_domain_save(x, domid, fd, tell, &calls)) < 0)
		die(dump ? "dump" : "save");
	if (close(fd) < 0)
		die(file);
	fprintf(stderr, "save_live: saved, %llu calls for progress\n", (unsigned long long)calls);
}

static bool suspend_now(void *data)
{
	suspend(*(uint32_t *)data);
	return true;
}

static bool tell_rounds(const struct xyl_progress *p, void *data)
{
	static uint32_t round;

	(void)data;
	if (p->round != round)
		fprintf(stderr,
		        "save_live: round %u: %llu pages, %llu bytes so far, %llu bytes/s, down %llu us\n",
		        p->round, (unsigned long long)p->dirty_pages, (unsigned long long)p->bytes_done,
		        (unsigned long long)p->rate, (unsigned long long)p->downtime_us);
	round = p->round;
	return true;
}

static void save_running(uint32_t domid, const char *file)
{
	static const struct xyl_live how = { .suspend = suspend_now };
	int fd = open_file(file, true);

	if (xyl_domain_save_live(x, domid, fd, &how, tell_rounds, &domid) < 0)
		die("live");
	if (close(fd) < 0)
		die(file);
	fprintf(stderr, "save_live: saved\n");
}

/* What the guest and xenconsoled find in the store. */
static void enter(uint32_t domid, const char *name, uint32_t vcpus, const struct xyl_pv_restore *how,
                  const struct xyl_pv_restored *made)
{
	const struct xyl_perms perms[] = { { domid, XYL_PERM_NONE } };
	char home[32], path[96];
	int bad = 0;

	snprintf(home, sizeof(home), "/local/domain/%u", domid);
#define PUT(key, ...)                                                           \
	do {                                                                    \
		snprintf(path, sizeof(path), "%s/%s", home, key);               \
		bad |= xyl_store_printf(store, XYL_TX_NONE, path, __VA_ARGS__); \
		bad |= xyl_store_set_perms(store, XYL_TX_NONE, path, perms, 1); \
	} while (0)
	PUT("name", "%s", name);
	bad |= xyl_store_set_perms(store, XYL_TX_NONE, home, perms, 1);
	PUT("domid", "%u", domid);
	PUT("memory/target", "%llu", (unsigned long long)made->pages * 4);
	PUT("control/shutdown", "%s", "");
	PUT("control/platform-feature-multiprocessor-suspend", "1");
	PUT("console/type", "xenconsoled");
	PUT("console/limit", "1048576");
	PUT("console/ring-ref", "%llu", (unsigned long long)made->console_mfn);
	PUT("console/port", "%u", how->console_port);
	for (uint32_t i = 0; i < vcpus; i++) {
		char key[48];

		snprintf(key, sizeof(key), "cpu/%u/availability", i);
		PUT(key, "online");
	}
#undef PUT
	if (bad || xyl_store_introduce(store, domid, made->store_mfn, how->store_port) < 0)
		die("xenstore");
}

static void restore(const char *file, const char *name, uint32_t vcpus)
{
	struct xyl_create create = { .max_vcpus = vcpus, .max_grant_frames = -1, .max_maptrack_frames = -1 };
	struct xyl_pv_restore how = { 0 };
	struct xyl_pv_restored made;
	struct xyl_dominfo info;
	uint64_t calls = 0;
	uint32_t domid;
	int console, xs, rc;

	if (xyl_domain_create(x, &create, &domid) < 0)
		die("create");
	console = xyl_evtchn_alloc(x, domid, 0);
	xs = xyl_evtchn_alloc(x, domid, 0);
	if (console < 0 || xs < 0)
		die("ports");
	how.console_port = (uint32_t)console;
	how.store_port = (uint32_t)xs;
	rc = xyl_domain_restore(x, domid, open_file(file, false), &how, &made, tell, &calls);
	if (rc < 0 || !name) {
		printf("%s\n", rc < 0 ? xyl_error() : "it was restored");
		xyl_domain_destroy(x, domid);
		exit((rc < 0) == !name ? 0 : 1);
	}
	if (xyl_domain_info(x, domid, &info) < 0 || !info.paused || info.memory_pages != made.pages ||
	    info.max_memory_pages != made.pages) {
		fprintf(stderr, "save_live: %llu pages restored, %llu owned, %llu at most, %s\n",
		        (unsigned long long)made.pages, (unsigned long long)info.memory_pages,
		        (unsigned long long)info.max_memory_pages, info.paused ? "paused" : "running");
		exit(1);
	}
	enter(domid, name, vcpus, &how, &made);
	if (xyl_domain_unpause(x, domid) < 0)
		die("unpause");
	printf("%u\n", domid);
	fprintf(stderr, "save_live: restored, %llu calls for progress\n", (unsigned long long)calls);
}

static void destroy(uint32_t domid)
{
	char home[64];

	if (xyl_domain_destroy(x, domid) < 0)
		die("destroy");
	(void)!xyl_store_release(store, domid); /* xenstored may have noticed by itself */
	snprintf(home, sizeof(home), "/local/domain/%u", domid);
	if (xyl_store_rm(store, XYL_TX_NONE, home) < 0)
		die("destroy");
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	x = xyl_open();
	store = x ? xyl_store_open(NULL) : NULL;
	if (!store)
		die("open");
	if (strcmp(what, "suspend") == 0)
		suspend((uint32_t)atoi(argv[2]));
	else if (strcmp(what, "save") == 0 && argc == 4)
		save((uint32_t)atoi(argv[2]), argv[3], false);
	else if (strcmp(what, "live") == 0 && argc == 4)
		save_running((uint32_t)atoi(argv[2]), argv[3]);
	else if (strcmp(what, "dump") == 0 && argc == 4)
		save((uint32_t)atoi(argv[2]), argv[3], true);
	else if (strcmp(what, "restore") == 0 && argc == 5)
		restore(argv[2], argv[3], (uint32_t)atoi(argv[4]));
	else if (strcmp(what, "refuse") == 0 && argc == 4)
		restore(argv[2], NULL, (uint32_t)atoi(argv[3]));
	else if (strcmp(what, "destroy") == 0)
		destroy((uint32_t)atoi(argv[2]));
	else
		return 2;
	xyl_store_close(store);
	xyl_close(x);
	return 0;
}
