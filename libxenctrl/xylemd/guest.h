/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The heart of xylemd: the guests it owns, and the operations on them.
 *
 * Each operation runs on a thread of a crew, one at a time for each guest and in the order of arrival; an
 * operation that waits for its guest's earlier ones occupies no thread. A thread that is stuck in the kernel
 * (a dead disk) holds itself and its guest, nothing else: a thread that has been at work for longer than
 * STUCK_AFTER_US is replaced in its crew. Numbers of running and of waiting operations are bounded.
 *
 * A guest is named by its UUID, and what a client asks of it is asked of the guest, whatever its domain's number is
 * when its turn comes. What needs a living domain (struct op, live) waits for the end of a restart.
 *
 * Locks: daemon.lock guards the tables and the fields of struct guest that say so; it is never held across a
 * call that may wait. What "belongs to the operation" is touched only by the operation that runs on that
 * guest.
 */
#ifndef XYLEMD_GUEST_H
#define XYLEMD_GUEST_H

#include <gio/gio.h>
#include <stdbool.h>

#include "journal.h"
#include "xenctrl.h"
#include "xylemd1.h"

#define OPERATIONS_RUNNING_MAX 64
#define OPERATIONS_WAITING_MAX 256
#define STUCK_AFTER_US         (3 * G_USEC_PER_SEC)
#define STUCK_MAX              2048 /* threads that are replaced */
#define GUESTS_MAX             4096

/* What a domain may own beyond its memory: the balloon driver's rounding. */
#define GUEST_MEMORY_SLACK_KIB 1024

/* A long operation that tells how far it has come, and can be cancelled: save, restore, dump, a count of pages. Guarded by daemon.lock. */
struct job {
	const char *what; /* NULL: none */
	gint64 since_us;  /* g_get_monotonic_time() */
	struct xyl_progress progress;
	gint cancelled; /* atomic */
};

struct screen;
struct storeio;
struct worker;

struct guest {
	gint refs;
	char *name;     /* immutable */
	char *uuid;     /* immutable, lower case */
	char *kept_of;  /* immutable; of whom this is the ended domain, as the journal has it; NULL: none */
	uint8_t id[16]; /* the same, as bytes */
	gint doomed;    /* atomic: somebody called Destroy; no way back */

	/* guarded by daemon.lock */
	uint32_t domid;    /* 0: none at present */
	const char *phase; /* "building" or "restarting" until its domain is complete; NULL: it is */
	const char *operation;
	GQueue waiting; /* struct op */
	bool busy;
	uint32_t stopped_domid; /* the domain whose shutdown or death is being dealt with */
	bool saving;            /* it may suspend: op_save() looks at its stop */
	bool preparing;         /* a build waits for disks and kernel, and has made nothing yet */
	struct op *creating;    /* the build, if it is no restart's; NULL */
	struct job job;
	struct xyl_live_limits limits; /* of live saves of this domain */
	GVariant *snapshot;            /* its configuration, for Get and the journal */
	GVariant *devices;             /* its devices as they became, for Get */

	/* belongs to the operation */
	struct journal *journal;
	GPtrArray *disks;       /* struct disk, one for each of journal->conf->disks */
	struct screen *screen;  /* NULL: it has none at present */
	gint64 screen_since_us; /* when that began */
	guint screen_quick;     /* how many ended soon, in a row */
	uint32_t settled_domid; /* the domain that has stopped and is kept */
	bool gone;              /* torn down; later operations answer NotFound */
};

struct crew;

struct op;
typedef void op_fn(struct op *op);

struct op {
	gint refs;
	op_fn *run;
	const char *name; /* for "operation" in Get */
	struct guest *guest;
	GDBusMethodInvocation *call; /* guarded by daemon.lock; NULL: nobody waits, or it was answered */
	guint timer;                 /* guarded by daemon.lock: answers for it when it takes too long */
	GVariant *argument;
	int fd;          /* of the client's stream, or -1; closed with the operation */
	char *target;    /* what the client named, of operations beside the guests' */
	void *data;      /* what run wants, likewise */
	struct op *then; /* op_kill: the operation to be queued afterwards */
	uint32_t number; /* flags, domid, reason: as run wants it */
	uint32_t domid;  /* the domain it was meant for; 0: the guest, whatever its domain */
	bool live;       /* needs a domain that has not stopped */
	bool again;      /* set by run: the guest has stopped meanwhile, wait for what becomes of it */
	bool bounded;    /* counts in daemon.outstanding */
	struct crew *crew;
	gint64 since_us; /* when it began to run, or 0; guarded by daemon.lock */
};

/* Threads that run operations. */
struct crew {
	GThreadPool *threads;
	guint base;         /* threads, without those that are stuck */
	GPtrArray *running; /* struct op; guarded by daemon.lock */
};

struct daemon {
	GMutex lock;
	GCond scanned; /* a scan has ended, or a job is to end: broadcast */
	struct xyl *xen;
	struct storeio *io;
	struct worker *worker;
	XdXylemd1 *service;
	char *journal_dir;
	char *dump_dir;      /* where core files of guests that ended go */
	GHashTable *by_uuid; /* struct guest, holds the reference */
	GHashTable *by_name;
	GHashTable *by_domid; /* key: GUINT_TO_POINTER */
	struct crew ops;      /* operations on guests */
	struct crew urgent;   /* kills */
	struct crew quick;    /* calls that wait for the store alone */
	guint outstanding; /* operations that clients asked for and that have not finished; guarded by lock */
	guint stuck;       /* those of them that have been at work for long; guarded by lock */
};

extern struct daemon xylemd;

/* guest.c: the tables */
struct guest *guest_new(struct journal *journal); /* takes the journal */
struct guest *guest_ref(struct guest *guest);
void guest_unref(struct guest *guest);
/* Exists when name or uuid is taken, Limit when there are too many. */
bool guest_register(struct guest *guest, GError **error);
void guest_unregister(struct guest *guest);
/* References, or NULL. */
struct guest *guest_by_domid(uint32_t domid);
struct guest *guest_by_uuid(const char *uuid);
void guest_set_domid(struct guest *guest, uint32_t domid);
/* Gives the domain to another guest, for which it is one whose stop has been dealt with. */
void guest_give_domid(struct guest *guest, struct guest *to);
/* The guest that is the ended domain of this one, a reference, or NULL. */
struct guest *guest_kept_of(const struct guest *guest);
/* Takes a new snapshot of configuration and devices, for Get and for the journal: after each change of them. */
void guest_publish(struct guest *guest);
void guest_set_phase(struct guest *guest, const char *phase);
/* Saves the journal; a failure is logged: the guest runs, and is not worth killing for that. */
void guest_save(struct guest *guest, enum journal_phase phase);
/* The same, for a guest that does not yet run: false with an error. */
bool guest_try_save(struct guest *guest, enum journal_phase phase, GError **error);
void guest_event(const struct guest *guest, uint32_t domid, const char *event, const char *detail);
/* False with Device "was destroyed meanwhile" when the guest is doomed. */
bool guest_alive(struct guest *guest, GError **error);

/* ---- operations ---- */
struct op *op_ref(struct op *op);
void op_unref(struct op *op);
struct op *op_new(op_fn *run, const char *name, struct guest *guest, GDBusMethodInvocation *call);
/* Queues it on its guest. False (and the caller is answered) when there are too many operations. */
bool op_submit(struct op *op);
/* Runs it now, beside the guest's operations: op->guest may be NULL, and nothing that belongs to the
 * operation is touched. */
void op_submit_quick(struct crew *crew, struct op *op);
/* Between these two the guest's operations wait. */
void guest_hold(struct guest *guest);
void guest_release(struct guest *guest);
/* Of a guest that is doomed: a build that waits for a disk is answered at once, although its thread stays with the disk.
 * Whether there was one: nothing of the guest runs then, nor will. */
bool op_give_up_build(struct guest *guest);
/* The call to be answered, once; NULL afterwards. */
GDBusMethodInvocation *op_take_call(struct op *op);
void op_fail(struct op *op, const GError *error);
/* Answers a call that has no results. */
void op_succeed(struct op *op);
void daemon_init(const char *journal_dir, const char *dump_dir);
/* Text of a UUID, lower case; free with g_free(). */
char *uuid_to_text(const uint8_t id[16]);
/* Of the host's free memory what nobody has claimed; others' claims may be ahead of what is free. */
uint64_t unclaimed_pages(const struct xyl_hostinfo *host);
/* CLOCK_BOOTTIME, which a restart of this process does not set back. */
int64_t boottime_us(void);

#endif
