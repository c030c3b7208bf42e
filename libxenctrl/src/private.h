/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libxenctrl share among themselves; nothing of it is visible outside of the library.
 */
#ifndef XYLEM_LIBXENCTRL_PRIVATE_H
#define XYLEM_LIBXENCTRL_PRIVATE_H

#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__ 1
#endif

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/platform.h>

#include "../include/xenctrl.h"

#define XYL_HIDDEN     __attribute__((visibility("hidden")))
#define XYL_PAGE_CACHE 8 /* hypercall pages that a handle keeps for its next calls */

struct xyl {
	int privcmd;
	int hypercall;        /* /dev/xen/hypercall for memory that the kernel does not move, or -1 */
	pthread_mutex_t lock; /* guards the caches */
	void *cache[XYL_PAGE_CACHE];
	unsigned cached;
	/* As many as a migration within the host has at a time: to map one and let it go costs more than to use it. */
	struct {
		void *memory;
		size_t pages;
	} buffers[2];
};

/*
 * Sets errno to error and this thread's message to the text made from format, to which ": " and the error's
 * own words are added. Always returns -1.
 */
XYL_HIDDEN int xyl_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As xyl_fail, for causes that the text names by itself: adds nothing. */
XYL_HIDDEN int xyl_fail_text(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A hypercall that sets errno and no message. */
XYL_HIDDEN long xyl_raw(struct xyl *x, unsigned op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                        uint64_t a4);
/*
 * Control calls: op is copied through hypercall memory both ways. Pointers in it must be to hypercall memory.
 * On failure the message begins with "domain N: cannot WHAT" or "cannot WHAT".
 */
XYL_HIDDEN int xyl_domctl(struct xyl *x, struct xen_domctl *op, const char *what);
XYL_HIDDEN int xyl_sysctl(struct xyl *x, struct xen_sysctl *op, const char *what);
/* memory_op with an argument of bytes (at most a page), copied both ways; sets errno only. */
XYL_HIDDEN long xyl_memory_op(struct xyl *x, unsigned cmd, void *arg, size_t bytes);
/* Any call whose first and only argument is one structure of at most a page; sets errno only. */
XYL_HIDDEN long xyl_arg_op(struct xyl *x, unsigned hypercall, void *arg, size_t bytes);
/* Any call whose second (at) argument is one structure of at most a page; sets errno only. */
XYL_HIDDEN long xyl_struct_op(struct xyl *x, unsigned hypercall, unsigned cmd, void *arg, size_t bytes);

#define XYL_BATCH \
	1024u /* frames that are typed, mapped and moved at once; the most that the hypervisor types */
/*
 * The types of up to XYL_BATCH frames of a domain: XEN_DOMCTL_PFINFO_* shifted down by 28, 15: it is not the domain's own.
 */
XYL_HIDDEN int xyl_page_types(struct xyl *x, uint32_t domid, const uint64_t *mfns, uint8_t *types,
                              unsigned count);

static inline size_t xyl_pages(size_t bytes)
{
	return (bytes + XYL_PAGE_BYTES - 1) / XYL_PAGE_BYTES;
}

#endif
