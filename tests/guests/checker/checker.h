/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory checker: a guest that knows each byte of its pages, changes them and its page tables all the time, and goes on
 * after each suspend. What it finds wrong stands on its console; how far it is, there and in xenstore (data/checker).
 *
 *	main.c      workers (one for each vcpu), their rounds, suspend and resume
 *	pages.c     pages, what is in them, and what is done to them
 *	tables.c    trees of page tables: made, pinned, loaded, changed, unpinned
 *	registers.c vector registers and control words, which nothing else uses
 *	rings.c     console and xenstore
 *
 * What the format of a saved PV guest asks (xen's docs/specs/libxc-migration-stream.pandoc, xen/arch-x86/xen.h): all frame
 * numbers stand in page tables that are pinned, in the p2m list and its frame lists, or in start_info as pfns. So workers are
 * stopped where they hold none.
 */
#ifndef CHECKER_H
#define CHECKER_H

#include "../guest.h"

#define WORKERS    4u
#define PAGES_MAX  16384ul /* 64 MiB */
#define WINDOW     16u     /* pages of a worker's where it maps what it likes */
#define TREE_PAGES 64u     /* that a tree maps */
#define TREE_VA    (2ul << 39)
#define NO_PAGE    (~0ul)
#define RETIRED    64u /* pages that were tables and are empty for a while */

struct tree {
	unsigned long table[4]; /* pfns of L1 .. L4 */
	unsigned long data[TREE_PAGES];
	bool pinned, l1_pinned;
};

/* One vcpu. Only it writes here, but for what the others ask. */
struct worker {
	unsigned id;
	uint64_t random;
	volatile uint64_t rounds;
	char *window[WINDOW];
	struct tree tree;               /* the one that is loaded; table[0] NO_PAGE: none */
	unsigned long retired[RETIRED]; /* a ring */
	unsigned retired_count, retired_first;
	uint64_t retired_ns[RETIRED];
	unsigned long granted; /* the page that domain 0 may see, or NO_PAGE */
	unsigned long swept;   /* how far the sweep has come */
	volatile bool stopped;
	volatile uint32_t timer_port;
	volatile uint64_t ticked_ns; /* its last timer event */
};

/* ---- main.c ---- */
extern struct worker workers[WORKERS];
extern unsigned worker_count;
extern grant_entry_v1_t *grants;
extern domid_t me;
extern uint64_t retire_ns; /* for how long */
void say(const char *fmt, ...)
        __attribute__((format(printf, 1, 2))); /* a line on the console, by any worker */
uint64_t random_next(struct worker *w);

/* ---- pages.c ---- */
void pages_init(void);
unsigned long pages_count(void);
uint64_t pages_wrong(void); /* how many checks have failed */
void *page_va(unsigned long pfn);
unsigned long page_mfn(unsigned long pfn);
/* Takes one of the worker's pages out of those that are worked on, and puts it back with what belongs into it. */
unsigned long page_take(struct worker *w);
void page_put(unsigned long pfn, bool rewrite);
void page_check(unsigned long pfn, const void *at, const char *by);
void page_write(unsigned long pfn, void *at); /* the next generation */
void page_protect(unsigned long pfn, bool read_only);
void pages_round(struct worker *w);
void pages_regrant(struct worker *w); /* what domain 0 may see, after the grant table was lost */

/* ---- tables.c ---- */
void tree_fork(struct worker *w);
void tree_change(struct worker *w);
void tree_pin(struct worker *w);                 /* before a suspend */
unsigned long tree_root(const struct worker *w); /* the frame of the L4 that it runs on */

/* ---- registers.c ---- */
void registers_begin(struct worker *w); /* on its vcpu: its numbers into its registers */
void registers_check(struct worker *w);
bool registers_wide(void);      /* whether the guest has AVX */
uint64_t registers_wrong(void); /* how many checks have failed */

/* ---- rings.c ---- */
void rings_init(void); /* after start_info was written anew, too */
void store_watch(bool on);
bool store_event(void); /* whether a watch has fired */
bool store_read(const char *path, char *value, size_t bytes);
bool store_write(const char *path, const char *value);

#endif
