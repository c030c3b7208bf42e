/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host for xylemd's operations that a test plays: hypervisor, store, backends, disks and nics. What may wait on a real
 * host waits at a gate here, while the test holds it shut.
 */
#ifndef XYLEMD_FAKEHOST_H
#define XYLEMD_FAKEHOST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "xenctrl.h"

#define FAKE_DOMAINS 256

enum gate {
	GATE_UNPACK,
	GATE_BUILD,
	GATE_BACKEND,
	GATE_GONE,
	GATE_ADOPT,
	GATE_SAVE,
	GATE_ROUNDS,
	GATE_THROTTLED,
	GATE_COUNT,
	GATE_DISK,
	GATES
};

struct fake_domain {
	bool there, dying, shutdown;
	int reason;
	unsigned int pauses;
	uint8_t uuid[16];
	uint32_t weight, cap, cpupool;
	uint8_t affinity[2]; /* of the first vcpus */
	uint64_t max_kib;
	bool link_down;
	int64_t time_offset_s;
	enum xyl_tsc tsc;
	uint32_t hidden; /* what ECX of the last leaf does not show */
	bool logging;    /* which pages it changes */
	uint64_t memory_pages;
};

/* By number; 0 is domain 0. Look at them with fake_lock() held. */
extern struct fake_domain fake_domains[FAKE_DOMAINS];
extern bool fake_reboots_at_once; /* the next guest that is let run */
extern bool fake_held;            /* another guest maps a page of each domain that dies now: none goes */
extern uint64_t fake_free_pages, fake_claimed_pages;
extern const char *fake_bad_image; /* "kernel" or "ramdisk": it cannot be used, as its inode tells */
extern gint fake_unpacked;         /* kernels and ramdisks that are held in memory; atomic */
extern unsigned fake_lists;        /* how often all domains were listed; fake_lock() */
extern bool fake_console_refused;  /* xenconsoled cannot have what a console ends at */
extern const char *fake_unread;    /* what the store cannot read or remove: paths that end so; NULL: none */
extern gint fake_refusals;         /* how often it could not; atomic */
extern bool fake_frontends;        /* guests have drivers, which take what is offered */

extern gint fake_image_users;   /* builds that have images of kernels now */
extern gint fake_image_patient; /* the last one to begin may wait for one as long as it takes */
/* FAKE_SECOND: the first request is acknowledged and no more, the second one done. */
enum fake_suspend { FAKE_SUSPENDS, FAKE_ACKNOWLEDGES, FAKE_IGNORES, FAKE_SECOND };
extern enum fake_suspend fake_suspend; /* what guests do that are asked to suspend */
extern uint32_t fake_suspend_port;     /* of their event channel for that, if any */
extern bool fake_no_event;             /* none can be sent */
extern gint fake_asks;                 /* how often guests were asked; atomic */
extern int fake_channels;              /* handles that are open */
extern int fake_save_error;            /* xyl_domain_save() fails with it; 0: it writes FAKE_STREAM */
extern void (*fake_late)(void);        /* called when a stream is complete, before its call returns */
extern bool fake_no_rename;            /* xyl_domain_set_uuid() fails */
extern bool fake_no_log;               /* the hypervisor cannot tell which pages guests change */
extern int fake_count_error;           /* a count of them fails with it */
extern uint64_t fake_count_us;         /* for how long the last one was to be */
extern bool fake_zeros_by_type;        /* the last live save was to be so, or a send was made */
extern bool fake_no_caps;              /* xyl_sched_set() fails */
extern struct xyl_live_limits fake_live_limits; /* of the live save that was last asked for them */
#define FAKE_STREAM "a guest's memory"
extern int fake_screens;   /* how many were started since the last was taken down */
extern int fake_images;    /* how many they were given, less those that were taken back */
extern int fake_quits;     /* how often one was told to end by itself */
extern bool fake_no_image; /* QEMU has an image, and does not say so in time */
extern guint64 fake_limit; /* total_bytes_sec of the image that was limited last */
extern bool fake_unsynced; /* what was written to an image is lost */

void fake_lock(void);
void fake_unlock(void);
void fake_gate(enum gate gate, bool open);
/* How many threads wait there. */
int fake_waiting(enum gate gate);
/* The domain with this UUID that lives; 0: none. */
uint32_t fake_find(const uint8_t uuid[16]);
/* The guest stops by itself. */
void fake_stop(uint32_t domid, int reason);
/* The value, or NULL; free with g_free(). */
char *fake_read(const char *path);
void fake_write(const char *path, const char *value);

/* In the main context. */
void fake_screen_dies(void);

#endif
