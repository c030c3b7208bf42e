/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handle: hypercalls through /dev/xen/privcmd, and memory for their arguments.
 *
 * The hypervisor reads and writes arguments by the caller's page tables and cannot wait for a page fault, so
 * they must lie in memory that the kernel neither moves nor write-protects (on fork): mappings of
 * /dev/xen/hypercall, or on old kernels locked memory that is not inherited.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "private.h"
#include <xen/memory.h>
#include <xen/sys/privcmd.h>

#define PRIVCMD_PATH     "/dev/xen/privcmd"
#define HYPERCALL_PATH   "/dev/xen/hypercall"

#define BUFFERS          (sizeof(((struct xyl *)NULL)->buffers) / sizeof(((struct xyl *)NULL)->buffers[0]))
#define BUFFER_PAGES_MAX 256u /* larger ones are not kept */

/* The control interface of another version answers every call with EACCES. */
static int check_interface(struct xyl *x)
{
	struct xen_sysctl host = { .cmd = XEN_SYSCTL_sched_id };
	struct xen_domctl dom0 = { .cmd = XEN_DOMCTL_getdomaininfo };

	if (xyl_sysctl(x, &host, "ask for the scheduler") == 0 &&
	    xyl_domctl(x, &dom0, "ask for Domain-0") == 0)
		return 0;
	if (errno == EACCES)
		return xyl_fail_text(
		        EPROTO,
		        "the hypervisor's control interface differs from this library's, which was built "
		        "for domctl version %#x and sysctl version %#x",
		        XEN_DOMCTL_INTERFACE_VERSION, XEN_SYSCTL_INTERFACE_VERSION);
	if (errno == EPERM)
		return xyl_fail_text(EPERM,
		                     "the hypervisor refuses control calls: this is not the control domain");
	/* Any other answer came from an interface that we share. */
	return 0;
}

struct xyl *xyl_open(void)
{
	struct xyl *x = calloc(1, sizeof(*x));

	if (!x) {
		xyl_fail(ENOMEM, "cannot open the hypervisor");
		return NULL;
	}
	x->privcmd = open(PRIVCMD_PATH, O_RDWR | O_CLOEXEC);
	if (x->privcmd < 0) {
		int error = errno;

		free(x);
		if (error == ENOENT || error == ENODEV || error == ENXIO)
			xyl_fail_text(error,
			              "%s: not there: not running on the hypervisor, or the kernel module "
			              "xen_privcmd is not loaded",
			              PRIVCMD_PATH);
		else
			xyl_fail(error, "%s", PRIVCMD_PATH);
		return NULL;
	}
	x->hypercall = open(HYPERCALL_PATH, O_RDWR | O_CLOEXEC);
	pthread_mutex_init(&x->lock, NULL);
	if (check_interface(x) < 0) {
		int error = errno;

		xyl_close(x);
		errno = error;
		return NULL;
	}
	return x;
}

static void *buffer_map(struct xyl *x, size_t bytes)
{
	void *p;

	if (x->hypercall >= 0)
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, x->hypercall, 0);
	else
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1,
		         0);
	if (p == MAP_FAILED)
		return NULL;
	if (x->hypercall < 0 && madvise(p, bytes, MADV_DONTFORK) < 0) {
		munmap(p, bytes);
		return NULL;
	}
	memset(p, 0, bytes); /* populates it: the hypervisor cannot take a fault */
	return p;
}

/* NULL: there is none of that size. */
static void *take_cached(struct xyl *x, size_t pages)
{
	void *p = NULL;

	pthread_mutex_lock(&x->lock);
	if (pages == 1 && x->cached)
		p = x->cache[--x->cached];
	for (unsigned i = 0; i < BUFFERS && pages > 1 && !p; i++) {
		if (x->buffers[i].pages != pages)
			continue;
		p = x->buffers[i].memory;
		x->buffers[i].pages = 0;
	}
	pthread_mutex_unlock(&x->lock);
	return p;
}

/* False: there is no place. */
static bool keep_cached(struct xyl *x, void *memory, size_t pages)
{
	bool kept = false;

	pthread_mutex_lock(&x->lock);
	if (pages == 1 && x->cached < XYL_PAGE_CACHE) {
		x->cache[x->cached++] = memory;
		kept = true;
	}
	for (unsigned i = 0; i < BUFFERS && pages > 1 && pages <= BUFFER_PAGES_MAX && !kept; i++) {
		if (x->buffers[i].pages)
			continue;
		x->buffers[i].memory = memory;
		x->buffers[i].pages = pages;
		kept = true;
	}
	pthread_mutex_unlock(&x->lock);
	return kept;
}

void *xyl_hypercall_alloc(struct xyl *x, size_t bytes)
{
	size_t pages = xyl_pages(bytes ? bytes : 1);
	void *p = take_cached(x, pages);

	if (p) {
		memset(p, 0, pages * XYL_PAGE_BYTES);
		return p;
	}
	p = buffer_map(x, pages * XYL_PAGE_BYTES);
	if (!p)
		xyl_fail(errno, "cannot allocate %zu bytes of hypercall memory", bytes);
	return p;
}

void xyl_hypercall_free(struct xyl *x, void *memory, size_t bytes)
{
	size_t pages = xyl_pages(bytes ? bytes : 1);
	int saved = errno;

	if (memory && !keep_cached(x, memory, pages))
		munmap(memory, pages * XYL_PAGE_BYTES);
	errno = saved;
}

void xyl_close(struct xyl *x)
{
	if (!x)
		return;
	for (unsigned i = 0; i < x->cached; i++)
		munmap(x->cache[i], XYL_PAGE_BYTES);
	for (unsigned i = 0; i < BUFFERS; i++)
		if (x->buffers[i].pages)
			munmap(x->buffers[i].memory, x->buffers[i].pages * XYL_PAGE_BYTES);
	if (x->hypercall >= 0)
		close(x->hypercall);
	close(x->privcmd);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

long xyl_raw(struct xyl *x, unsigned op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	struct privcmd_hypercall call = { .op = op, .arg = { a0, a1, a2, a3, a4 } };

	return ioctl(x->privcmd, IOCTL_PRIVCMD_HYPERCALL, &call);
}

long xyl_hypercall(struct xyl *x, unsigned op, const uint64_t args[5])
{
	long rc = xyl_raw(x, op, args[0], args[1], args[2], args[3], args[4]);

	if (rc < 0)
		xyl_fail(errno, "hypercall %u failed", op);
	return rc;
}

/* Copies arg into hypercall memory, calls, copies back. The argument is number which of the call. */
static long bounce(struct xyl *x, unsigned hypercall, int cmd, void *arg, size_t bytes)
{
	void *page = xyl_hypercall_alloc(x, XYL_PAGE_BYTES);
	uint64_t p = (uintptr_t)page;
	long rc;

	if (!page)
		return -1;
	memcpy(page, arg, bytes);
	rc = cmd < 0 ? xyl_raw(x, hypercall, p, 0, 0, 0, 0)
	             : xyl_raw(x, hypercall, (unsigned)cmd, p, 0, 0, 0);
	memcpy(arg, page, bytes);
	xyl_hypercall_free(x, page, XYL_PAGE_BYTES);
	return rc;
}

long xyl_struct_op(struct xyl *x, unsigned hypercall, unsigned cmd, void *arg, size_t bytes)
{
	return bounce(x, hypercall, (int)cmd, arg, bytes);
}

long xyl_arg_op(struct xyl *x, unsigned hypercall, void *arg, size_t bytes)
{
	return bounce(x, hypercall, -1, arg, bytes);
}

long xyl_memory_op(struct xyl *x, unsigned cmd, void *arg, size_t bytes)
{
	return bounce(x, __HYPERVISOR_memory_op, (int)cmd, arg, bytes);
}

int xyl_domctl(struct xyl *x, struct xen_domctl *op, const char *what)
{
	int error;

	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	if (bounce(x, __HYPERVISOR_domctl, -1, op, sizeof(*op)) >= 0)
		return 0;
	error = errno;
	if (error == ESRCH)
		return xyl_fail_text(error, "domain %u: cannot %s: no such domain", op->domain, what);
	return xyl_fail(error, "domain %u: cannot %s", op->domain, what);
}

int xyl_sysctl(struct xyl *x, struct xen_sysctl *op, const char *what)
{
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	if (bounce(x, __HYPERVISOR_sysctl, -1, op, sizeof(*op)) >= 0)
		return 0;
	return xyl_fail(errno, "cannot %s", what);
}
