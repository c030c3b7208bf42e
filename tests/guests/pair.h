/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of two domains: a small dom0 of our own builds unprivileged guests with the project's PV builder, through domctl.
 * Both sides are one file, tests/pair-NAME.c: its run() is called in dom0's place, its child_run() in each guest. run.py
 * hands the file itself to dom0 as its RAM disk.
 */
#ifndef PAIR_H
#define PAIR_H

#include "guest.h"

#define CHILD_PAGES 2048 /* 8 MiB */

/* The guest's store page, which dom0 sees too. */
struct mailbox {
	volatile uint32_t step;    /* what the guest has come to */
	volatile uint32_t go;      /* what it may come to */
	volatile uint64_t word[8]; /* the test's own */
	volatile uint32_t failed;
	char text[256]; /* why */
};

struct child {
	domid_t domid;
	uint32_t local_port; /* dom0's end of the guest's store port */
	struct mailbox *box;
	unsigned long p2m[CHILD_PAGES];
};

/* ---- in dom0 ---- */
/* A guest with that many vcpus, paused; the n-th one's box and windows are the n-th (0 or 1). */
void child_build(struct child *c, unsigned n, unsigned vcpus);
void child_unpause(struct child *c);
/* Waits until its step is at least that; what it fails of is dom0's failure. */
void child_wait_step(struct child *c, uint32_t step);
/* The same where it may also end: false, it has. */
bool child_comes_to(struct child *c, uint32_t step);
/* Whether it has shut down, whatever it fails of. */
bool child_has_ended(struct child *c);
/* Waits until it has shut down; the reason. */
unsigned child_wait_end(struct child *c);
/* Begins or goes on; the guest is gone, or dies until its references are dropped. */
void child_destroy(struct child *c);
bool child_exists(struct child *c);
/* XEN_DOMCTL_shadow_op; *mb is what it answers. */
long shadow_op(struct child *c, uint32_t what, uint32_t *mb);
/* XENMEM/sysctl figures of the machine. */
unsigned long free_pages(void);
/* Waits until as many are free as before, but for a few that Xen keeps. It frees a domain's after the domain is off the list. */
bool pages_come_back(unsigned long before);
/* The debug key that has our hypervisor recount all references; nothing on stock Xen. */
void recount(void);
/* A window of dom0's onto a frame of the guest's, and its end. */
void *foreign_map(struct child *c, unsigned long mfn, void *va);

/* ---- in the guest ---- */
void child_run(void);
extern struct mailbox *box;
void child_step(uint32_t step);    /* tells it, and sends an event */
void child_wait_go(uint32_t step); /* until dom0 has set go that high */
/* Its vcpu 1 runs that, which does not return, on a stack that ends there; once. */
void child_second_vcpu(void (*entry)(void), void *stack_end);

#endif
