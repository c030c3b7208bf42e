/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the driver's files share: the driver's state, and what is kept for each domain. The functions of a file are declared in
 * the header of its name.
 *
 * Locks, in this order: a domain object (libvirt's), then driver.lock. Neither is held across a call to
 * xylemd, to xenstored or to a hook script. A job (domain_begin_job) is held instead: whoever has it may drop
 * the object's lock and finds vm->def still there when he takes it again.
 */
#ifndef XYLEM_DRIVER_H
#define XYLEM_DRIVER_H

#include "internal.h"
#include "domain_conf.h"

#include "capabilities.h"
#include "driver.h"
#include "object_event.h"
#include "virchrdev.h"
#include "virdomainobjlist.h"
#include "virthread.h"

#define VIR_FROM_THIS VIR_FROM_XEN

struct monitor;
struct outgoing;
struct incoming;
struct job;
typedef struct disk_locks disk_locks_t;

/*
 * How far the migration of a guest has come: at the source that it was begun, that its memory is sent, that all of it was
 * (from then on it may run at the destination), that it runs there and is to end here; at the destination that it is not
 * to run yet. All but the first of them stand in the state file.
 */
enum migration {
	MIGRATION_NONE,
	MIGRATION_BEGUN,
	MIGRATION_SENDING,
	MIGRATION_SENT,
	MIGRATION_LEFT,
	MIGRATION_INCOMING
};

/*
 * What a waiting call waits for: xylemd building a guest, which ends by itself; a guest, or the operations on one, which
 * may never end; another call for the same guest, so that all calls for one guest take one place of SLOT_GUEST; xylemd
 * alone; a disk; a guest's end.
 */
enum slot { SLOT_BUILD, SLOT_GUEST, SLOT_JOB, SLOT_ASK, SLOT_DISK, SLOT_END, SLOT_KINDS };

struct xylem_driver {
	/* Immutable after initialisation; these have locks of their own. */
	virDomainObjList *domains;
	virDomainXMLOption *xmlopt;
	virObjectEventState *events;
	virCaps *caps;
	struct xyl *xen;
	struct xyl_store *store;
	struct monitor *monitor;
	struct _GMainContext *context; /* the event thread's */
	unsigned long version;         /* of the hypervisor, as libvirt counts */
	char *config_dir;
	char *autostart_dir;
	char *state_dir;
	char *save_dir; /* managed saves, where libvirt's own driver has them too */
	struct _virPortAllocatorRange *migration_ports;
	char *pvgrub;                               /* the kernel of guests that boot from their own disk */
	char *conf_base_dir;                        /* of the lock manager's own settings */
	struct _virLockManagerPlugin *lock_manager; /* NULL: disks are not locked */
	char *lock_refusal;                         /* why no guest can be started; NULL */
	int lock_fd;
	virStateInhibitCallback inhibit;
	void *inhibit_opaque;

	virMutex lock;
	virCond slot_free;
	unsigned int active_count; /* running guests, without Domain-0; guarded by lock */
	unsigned int
	        left_count; /* threads that starts which were given up have left behind; guarded by lock */
	struct {
		unsigned int taken;          /* calls that wait for a guest or for xylemd */
		unsigned int awaited;        /* calls that wait for such a slot */
		unsigned long long moved_ms; /* when one was taken or given back */
	} slots[SLOT_KINDS];                 /* guarded by lock */
};

/* The one instance; NULL while the driver is not active. */
extern struct xylem_driver *xylem;

/* How much of its memory a guest changes (dirtyrate.c). */
struct dirty_rate {
	int status;          /* virDomainDirtyRateStatus; MEASURING: a thread waits for xylemd */
	unsigned long life;  /* of which this is */
	long long started_s; /* since 1970 */
	int seconds;
	long long mib_per_s;
};

/* Kept for each domain; guarded by the domain object's lock. */
/* What a client asks of one migration, live. */
struct send_limits {
	unsigned long long bandwidth_mib; /* 0: none of its own */
	unsigned int throttle_initial,
	        throttle_increment; /* percent, 0: no --auto-converge; xylemd's default */
};

struct domain_private {
	virChrdevs *chrdevs;
	bool starting; /* a call is at work on its start, see process_begin() */
	bool in_slot;  /* which has a slot */
	bool doomed; /* another call has destroyed it, and that one gives up; guarded by driver.lock besides: set with
	                  both held (domain_doom), read with either */
	bool unhurried;  /* who starts it is no client's call, and needs no slot */
	bool rebuilding; /* xylemd takes it down in order to start it again */
	bool foreign;    /* not made by xylemd */
	bool untold;     /* foreign, because xylemd did not say whose it is */
	bool locked;     /* its disks have been locked */
	bool held;       /* xylemd holds interfaces of it down in each of its lives, or may do so */
	bool gone;       /* it ended while somebody had the job, who now cleans up */
	int gone_domid;
	int why_reason; /* virDomainShutoffReason of the end that has begun, or -1 */
	int why_detail; /* virDomainEventStoppedDetailType, likewise */
	unsigned long long
	        missing_ms; /* since when nobody knows it: the hypervisor does not list it, xylemd is away; or 0 */
	unsigned long life; /* counts its starts */
	bool dumping;       /* a core file is written */
	bool save_unknown;  /* whether it has a managed save, and it is taken to have one */
	char *save_file;    /* to which it is being saved, or was when libvirtd ended; NULL */
	enum migration migration;
	struct outgoing *outgoing; /* NULL: no client, nor a call, is at work on its migration */
	struct incoming *incoming; /* likewise */
	struct job *job;           /* one that takes long, and what became of the last one; NULL */
	struct job *completed;
	struct dirty_rate dirty_rate;
	unsigned long long max_speed_mib, max_downtime_ms; /* of its migration; 0: as it comes */
	struct send_limits sending; /* what the client of the present one gave it alone */
};

#endif
