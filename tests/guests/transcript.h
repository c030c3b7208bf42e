/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests that print what a call leaves in the memory of its arguments, as one line for each call and way to fail:
 *
 *      args: NAME: RESULT PAGE+OFFSET=BYTES ...
 *
 * with the bytes that changed ("??" where their value is the machine's affair). compare.py compares the
 * transcript of our hypervisor with stock Xen's, line by line.
 */
#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#include "guest.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

/* Three pages for arguments, each with a page behind it that is not mapped. Compared around each call. */
enum { PAGE_A, PAGE_B, PAGE_C, PAGES };
extern char *const tr_page[PAGES];

/* Pages and their unmapped neighbours; two more domains; the first call. */
void tr_begin(void);
/* All three pages get a pattern; masks are forgotten. */
void tr_clear(void);
/* The value of these bytes is not compared, only whether they changed. */
void tr_mask(const void *at, size_t n);
/* The result is told by its sign only. */
void tr_mask_result(void);
/* Makes a page read-only or writable for what follows. */
void tr_read_only(unsigned page, bool on);
/* The call, its line printed. The name is printf's. */
long tr_call(unsigned nr, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e,
             const char *name, ...) __attribute__((format(printf, 7, 8)));
void tr_end(void);

/* ---- operations on one structure, tried in every way to fail ---- */
enum tr_shape {
	CMD_ARG,
	CMD_ARG_ONE,
	CMD_VCPU_ARG,
	ARG
}; /* where the structure's address is passed; ONE: count 1 */
struct tr_op {
	const char *name;
	unsigned nr;       /* the hypercall */
	unsigned long cmd; /* its first argument */
	enum tr_shape shape;
	unsigned size; /* of the structure */
	int domid_at;  /* offset of a domid_t in it, or -1 */
	void (*fill)(char *arg);
	struct {
		uint16_t at, n;
	} mask[4]; /* bytes that are the machine's affair */
	bool mask_result;
	bool no_self; /* not to be called with the caller's own number, or as it is filled */
};
void tr_try(const struct tr_op *op);
#define TR_TRY(ops)                                                      \
	for (unsigned i_ = 0; i_ < sizeof(ops) / sizeof((ops)[0]); i_++) \
	tr_try(&(ops)[i_])

/* ---- domains ---- */
#define DOM_FRESH  5  /* made by tr_begin(), without vcpus, memory or life */
#define DOM_ZOMBIE 6  /* destroyed, and still there because we map a frame of it */
#define DOM_ABSENT 77 /* never was */
struct tr_domid {
	uint16_t domid;
	const char *name;
};
#define TR_DOMIDS 12
extern const struct tr_domid tr_domids[TR_DOMIDS];
extern unsigned long tr_zombie_mfn; /* a frame of DOM_ZOMBIE */

#endif
