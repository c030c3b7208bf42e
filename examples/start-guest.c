/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts a paravirtual guest with nothing but libxenctrl, shows its console until it stops, and removes it:
 *	start-guest KERNEL RAMDISK MEMORY-MIB "COMMAND LINE"
 * It has no disks and no network: those are xylemd's business. It wants Xen's headers, of libxen-dev.
 * Build: cc start-guest.c $(pkg-config --cflags --libs xylem-xenctrl)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/io/console.h>
#include <xenctrl.h>

struct handles {
	struct xyl *x;
	struct xyl_evtchn *evtchn;
	struct xyl_gnt *gnt;
	struct xyl_store *store;
};

struct file {
	const void *data;
	size_t bytes;
};

static int map_file(const char *path, struct file *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		return -1;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED) {
		perror(path);
		return -1;
	}
	f->data = p;
	f->bytes = (size_t)st.st_size;
	return 0;
}

/* Takes what the guest has written. The guest writes out_prod: it is read once and not trusted beyond the
 * ring's size. */
static void drain(struct xencons_interface *ring)
{
	uint32_t prod = __atomic_load_n(&ring->out_prod, __ATOMIC_ACQUIRE);
	uint32_t cons = ring->out_cons;

	if (prod - cons > sizeof(ring->out))
		cons = prod - (uint32_t)sizeof(ring->out);
	for (; cons != prod; cons++)
		putchar(ring->out[MASK_XENCONS_IDX(cons, ring->out)]);
	fflush(stdout);
	__atomic_store_n(&ring->out_cons, cons, __ATOMIC_RELEASE);
}

/* Shows the console until the guest stops; returns the reason, or -1. */
static int show(struct handles *h, uint32_t domid, uint32_t guest_port)
{
	const uint32_t ref = GNTTAB_RESERVED_CONSOLE;
	struct xencons_interface *ring = xyl_gnt_map(h->gnt, domid, &ref, 1, PROT_READ | PROT_WRITE);
	int port = xyl_evtchn_bind_interdomain(h->evtchn, domid, guest_port);
	struct xyl_dominfo info = { .shutdown_reason = -1 };

	if (!ring || port < 0 || xyl_domain_unpause(h->x, domid) < 0)
		return -1;
	do {
		struct pollfd p = { .fd = xyl_evtchn_fd(h->evtchn), .events = POLLIN };

		/* Its end is no event of this process: look now and then. */
		poll(&p, 1, 200);
		if (xyl_evtchn_pending(h->evtchn) == port && xyl_evtchn_unmask(h->evtchn, (uint32_t)port) < 0)
			break;
		drain(ring);
		if (xyl_evtchn_notify(h->evtchn, (uint32_t)port) < 0 ||
		    xyl_domain_info(h->x, domid, &info) < 0)
			break;
	} while (!info.shutdown);
	drain(ring);
	xyl_gnt_unmap(h->gnt, ring, 1);
	return info.shutdown_reason;
}

/* What a guest finds of itself in xenstore; its kernel waits at boot until xenstored knows it. */
static int enter(struct handles *h, uint32_t domid, const struct xyl_pv_built *built, uint32_t port)
{
	const struct xyl_perms perms[] = { { domid, XYL_PERM_NONE } };
	char home[32], path[64];

	snprintf(home, sizeof(home), "/local/domain/%u", domid);
	snprintf(path, sizeof(path), "%s/name", home);
	if (xyl_store_printf(h->store, XYL_TX_NONE, path, "start-guest") < 0 ||
	    xyl_store_set_perms(h->store, XYL_TX_NONE, home, perms, 1) < 0)
		return -1;
	return xyl_store_introduce(h->store, domid, built->store_mfn, port);
}

/* Builds a new domain; its number, or -1. */
static int make(struct handles *h, struct xyl_pv_build *build)
{
	struct xyl_create create = { .max_vcpus = 1, .max_grant_frames = -1, .max_maptrack_frames = -1 };
	struct xyl_pv_built built;
	int console, store;
	uint32_t domid;

	if (xyl_domain_create(h->x, &create, &domid) < 0)
		return -1;
	console = xyl_evtchn_alloc(h->x, domid, 0);
	store = xyl_evtchn_alloc(h->x, domid, 0);
	build->console_port = (uint32_t)console;
	build->store_port = (uint32_t)store;
	if (console >= 0 && store >= 0 && xyl_domain_build_pv(h->x, domid, build, &built) == 0 &&
	    enter(h, domid, &built, build->store_port) == 0)
		return (int)domid;
	fprintf(stderr, "start-guest: %s\n", xyl_error());
	xyl_domain_destroy(h->x, domid);
	exit(1);
}

static void clean_up(struct handles *h, uint32_t domid)
{
	char home[32];

	xyl_domain_destroy(h->x, domid);
	/* xenstored may have noticed its end and released it already */
	if (xyl_store_release(h->store, domid) < 0 && errno != ENOENT && errno != EINVAL)
		fprintf(stderr, "start-guest: %s\n", xyl_error());
	snprintf(home, sizeof(home), "/local/domain/%u", domid);
	if (xyl_store_rm(h->store, XYL_TX_NONE, home) < 0)
		fprintf(stderr, "start-guest: %s\n", xyl_error());
}

static int open_all(struct handles *h)
{
	h->x = xyl_open();
	h->evtchn = h->x ? xyl_evtchn_open() : NULL;
	h->gnt = h->evtchn ? xyl_gnt_open() : NULL;
	h->store = h->gnt ? xyl_store_open(NULL) : NULL;
	return h->store ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct handles h = { 0 };
	struct xyl_pv_build build = { 0 };
	struct file kernel, ramdisk;
	int domid = -1, reason = -1;

	if (argc != 5) {
		fprintf(stderr, "usage: start-guest KERNEL RAMDISK MEMORY-MIB \"COMMAND LINE\"\n");
		return 2;
	}
	if (map_file(argv[1], &kernel) < 0 || map_file(argv[2], &ramdisk) < 0)
		return 1;
	build.kernel = kernel.data;
	build.kernel_bytes = kernel.bytes;
	build.ramdisk = ramdisk.data;
	build.ramdisk_bytes = ramdisk.bytes;
	build.memory_kib = strtoull(argv[3], NULL, 10) * 1024;
	build.cmdline = argv[4];
	if (open_all(&h) == 0)
		domid = make(&h, &build);
	if (domid >= 0) {
		fprintf(stderr, "start-guest: domain %d\n", domid);
		reason = show(&h, (uint32_t)domid, build.console_port);
		if (reason >= 0)
			fprintf(stderr, "start-guest: it stopped (%d)\n", reason);
	}
	if (reason < 0)
		fprintf(stderr, "start-guest: %s\n", xyl_error());
	if (domid >= 0)
		clean_up(&h, (uint32_t)domid);
	xyl_store_close(h.store);
	xyl_gnt_close(h.gnt);
	xyl_evtchn_close(h.evtchn);
	xyl_close(h.x);
	return reason == XYL_SHUTDOWN_POWEROFF ? 0 : 1;
}
