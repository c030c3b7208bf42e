/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An xylemd that has guests, two at most, for tests of what happens to them when they are sent and received. What does not
 * go well is the test's choice.
 */
#ifndef PLAYED_GUESTS_H
#define PLAYED_GUESTS_H

#include "xylem.h"

#define UUID1  "5f2b7e10-0000-4000-8000-000000000001"
#define UUID2  "5f2b7e10-0000-4000-8000-000000000002"
#define GUESTS 2
/* What is sent of a guest. */
#define STREAM "a guest's memory"

struct guest {
	const char *uuid;
	bool exists, suspended, paused, live, zeros_by_type;
	unsigned int domid, saves, resumes, destroys, restores;
	unsigned long long bandwidth, downtime_us;
	unsigned int throttle_initial, throttle_increment;
	bool saving;
	char *opaque;
};

extern struct guest guests[GUESTS];
extern unsigned int last_domid;

extern struct played_failures {
	bool save, save_late, restore, pause, destroy, opaque, away, lock, resume;
	bool no_manager; /* of locks */
	bool served;     /* a disk of any domain's, by the kernel */
} fails;

/* Guests whose disks are locked. */
extern int locks_held;
extern unsigned int locks_takes; /* how often any were taken */
extern void (*on_drop)(void);    /* before they are let go */

/* A save waits for it; until then 40 pages of 100 are done, in the second round. */
extern GMutex save_gate;

/* Reports that; -1. */
int played_fail(const char *why);

#endif
