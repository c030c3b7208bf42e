/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Domains and their virtual CPUs.
 *
 * A domain lives as long as somebody holds a reference. It is alive, dying (its memory is being given back),
 * or dead (only references are left: mappings by other domains). Field comments name the guard of each field;
 * "create" means immutable after domain_create() or vcpu_create().
 */
#ifndef DOM_DOMAIN_H
#define DOM_DOMAIN_H

#include "lib/list.h"
#include "hw/cpu.h"
#include "hw/lock.h"
#include "hw/rflags.h"
#include "mm/frame.h"
#include "dom/timer.h"
#include "dom/vtsc.h"
#include <xen/xen.h>
#include <xen/vcpu.h>
#include <xen/sched.h>
#include <xen/callback.h>
#include <xen/domctl.h>

#define VCPUS_MAX          128
#define GDT_PAGES_MAX      14
#define SHUTDOWN_CODE_NONE (~0u)

/* A guest's trap gate (set_trap_table). */
struct trap_gate {
	uint64_t address; /* 0: none */
	uint16_t cs;
	uint8_t dpl;
	bool mask_events;
};

/* State of a paravirtual vcpu that is not in a register frame. Guard: the vcpu itself, or it is paused. */
#define MCE_BANKS 2 /* machine-check banks of a guest */

struct pv_vcpu {
	struct trap_gate traps[256];
	uint64_t event_callback, failsafe_callback, syscall_callback;
	uint64_t syscall32_callback, sysenter_callback, nmi_callback;
	uint16_t syscall32_cs, sysenter_cs;
	bool failsafe_masks_events, syscall_masks_events, syscall32_masks_events, sysenter_masks_events;
	uint64_t kernel_sp;
	uint64_t kernel_ss;
	uint64_t fs_base, gs_base_kernel, gs_base_user; /* valid while the vcpu is not running */
	uint16_t ds, es, fs, gs;                        /* likewise */
	mfn_t gdt_frames[16];
	unsigned gdt_entries;
	mfn_t ldt_frames[16];
	gva_t ldt_base;
	unsigned ldt_entries;
	uint64_t cr0_ts_em; /* the guest's CR0.TS (bit 3) and EM */
	uint64_t cr2, cr4;
	uint64_t dr[8];
	uint64_t xcr0;
	unsigned iopl;
	XEN_GUEST_HANDLE(uint8) iobmp;
	unsigned iobmp_limit; /* ports covered */
	bool kernel_mode;     /* guest kernel, not guest user, runs or ran */
	/* MSRs that belong to the guest */
	uint64_t spec_ctrl, tsc_aux;
	bool nmi_pending;
	/* For the fast paths (pv/fastpath.S), which take neither: looked at together. iopl_in_frames: domain lock */
	bool nmi_masked, iopl_in_frames;
	/* Likewise, the vcpu's own (pv_fastpath_update()): where SYSCALL's frame begins on the kernel's stack; 0: not there. */
	uint64_t syscall_frame;
	bool failsafe_pending; /* a segment register could not be loaded: ds .. gs say what it was */
	bool areas_missed;     /* an access that may not wait has failed: pv_publish_again() */
	uint64_t mcg_status, mci_ctl2[MCE_BANKS]; /* likewise the guest's (mce.c) */
};

enum vcpu_state {
	VCPU_RUNNING = RUNSTATE_running,
	VCPU_RUNNABLE = RUNSTATE_runnable,
	VCPU_BLOCKED = RUNSTATE_blocked,
	VCPU_OFFLINE = RUNSTATE_offline
};

/* vcpu.pause_flags: each alone keeps a vcpu from running */
enum {
	PAUSE_DOWN,    /* not brought up (VCPUOP_up) */
	PAUSE_BLOCKED, /* SCHEDOP_block */
	PAUSE_POLL,    /* SCHEDOP_poll */
};

struct vcpu {
	unsigned id;           /* create */
	struct domain *domain; /* create */
	bool is_idle;          /* create */
	bool initialised;      /* has a context; domain lock */
	bool resetting;        /* it goes, with its tables; domain lock */

	struct vcpu_info *info; /* the guest's page, mapped; domain lock. Never NULL: a private one before
	                           registration */
	mfn_t info_mfn; /* frame with a writable reference that info lies in, INVALID_MFN: in shared_info */
	struct vcpu_info *private_info; /* of a vcpu beyond shared_info's, kept until the end; create */
	XEN_GUEST_HANDLE(vcpu_runstate_info_t) runstate_area; /* the vcpu itself */
	XEN_GUEST_HANDLE(vcpu_time_info_t) time_area;

	/* scheduling (dom/sched.c); run-queue lock of .cpu unless it says otherwise */
	unsigned cpu;         /* where it runs or will run */
	uint64_t pause_flags; /* atomic bits */
	int pause_count;      /* atomic */
	bool running;         /* its registers are on a CPU; cleared with release when they are saved */
	struct list run_link;
	cpumask_t hard_affinity, soft_affinity;
	struct vcpu_runstate_info runstate;
	void *sched_private;
	unsigned poll_port; /* one port, or 0 when it polls several */

	/* timers */
	struct timer periodic_timer, singleshot_timer, poll_timer;
	uint64_t periodic_ns, periodic_last_ns;
	uint32_t virq_port[NR_VIRQS]; /* evtchn lock */

	/* the saved registers of a vcpu that does not run; of the running one they are in cpu_info */
	struct cpu_user_regs regs;
	void *fpu_area;
	struct pv_vcpu pv;
	mfn_t l4_kernel, l4_user; /* typed references; changed by the vcpu itself or while it is paused */
};

enum domain_life { DOMAIN_ALIVE, DOMAIN_DYING, DOMAIN_DEAD };

struct guest_kind;   /* dom/guest.h */
struct evtchn_table; /* dom/evtchn.c */
struct grant_table;  /* dom/grant.c */
struct pirq_table;   /* dom/pirq.c */
struct cpupool;      /* dom/cpupool.h */

struct domain {
	struct domain *reap_next;      /* in the list of those to be freed; atomic */
	uint16_t domid;                /* create */
	bool privileged;               /* create: dom0 */
	const struct guest_kind *kind; /* create */
	int refcount;                  /* atomic; one until it is dead, one while it owns frames */
	enum domain_life life;         /* domain lock to change */
	spinlock_t lock;               /* RANK_DOMAIN */
	struct domain_mm mm;
	xen_domain_handle_t handle; /* domain lock */
	uint32_t ssidref;

	unsigned max_vcpus;              /* create */
	struct vcpu *vcpus[VCPUS_MAX];   /* set once each */
	struct shared_info *shared_info; /* create; domain lock to change it when the domain dies */
	mfn_t shared_info_mfn;

	int pause_count;            /* atomic; sum of all reasons */
	int controller_pause_count; /* those by the toolstack; domain lock */
	bool paused_at_creation;    /* until it is let run; domctl_lock */
	bool shutting_down;         /* atomic */
	bool shut_down;             /* no vcpu will run; atomic */
	uint32_t shutdown_code;     /* SHUTDOWN_*, or SHUTDOWN_CODE_NONE; atomic */
	uint32_t suspend_port;      /* of its own, on which a suspend is told; 0: none; atomic */
	bool suspend_untold;        /* atomic; it is in the list of those about to be */
	struct domain *untold_next;

	uint64_t poll_mask[BITMAP_WORDS(VCPUS_MAX)]; /* vcpus in SCHEDOP_poll; atomic */
	struct timer watchdog[2];
	uint64_t watchdog_used; /* bits; domain lock */

	struct evtchn_table *evtchn;
	struct grant_table *grant;
	struct pirq_table *pirq;
	uint64_t *ioports;             /* bitmap of 65,536 permitted ports; NULL: none */
	uint32_t pci_config_address;   /* what it wrote to port 0xCF8; its own vcpus */
	uint64_t vm_assist;            /* VMASST_TYPE_* bits; domain lock */
	int64_t time_offset_seconds;   /* domain lock */
	struct sched_domain *sched;    /* weight, cap */
	struct cpupool *pool;          /* domctl_lock; changed while no vcpu runs or waits */
	struct cpu_policy *cpu_policy; /* CPUID and MSRs as this domain sees them; domctl_lock, changed while
	                                  it is paused_at_creation */
	bool xpti;                     /* create */
	/* A read of its dirty log (domctl_shadow.c), for which it is paused; domctl_lock */
	struct log_read {
		uint32_t op;    /* XEN_DOMCTL_SHADOW_OP_*, 0: none is under way */
		uint32_t dirty; /* bits found */
		unsigned grant; /* those before it have marked what they map */
		uint64_t done;  /* pfns; also of clearing it before it is switched on */
	} log_read;
	uint32_t relinquish_step;
	struct vtsc vtsc;
};

/* ---- by number, and references (domtable.c) ---- */
extern struct domain *dom0;
void domain_put(struct domain *d);
/* Number of the caller's FOREIGNDOM-style argument: DOMID_SELF or another one; with a reference, or NULL. */
struct domain *domain_get_self_or(uint16_t domid);

static inline struct domain *current_domain(void)
{
	return current_vcpu()->domain;
}

/* ---- life ---- */
void domains_init(void); /* bring-up; sched_init()'s */
struct domain_config {
	const struct guest_kind *kind;
	uint16_t domid;
	bool privileged;
	unsigned max_vcpus, max_evtchn_port, max_grant_frames, max_maptrack_frames;
	xen_domain_handle_t handle;
	uint32_t ssidref, cpupool_id;
};
/* Paused (one controller pause). 0, -EEXIST, -EINVAL, -ENOMEM, -ESRCH and -ENODEV for its pool (cpupool.h). *out holds a
 * reference for the list. */
int domain_create(const struct domain_config *config, struct domain **out) __must_check;
/* Domctl and the domain's own death: preemptible; 0 when dead, -ERESTART_HV, -EINVAL for dom0 itself. */
int domain_destroy(struct domain *d) __must_check;

/* Guest's own or toolstack's: all vcpus stop, the toolstack is notified (VIRQ_DOM_EXC). dom0: the machine follows. */
void domain_shutdown(struct domain *d, unsigned reason);
int domain_resume(struct domain *d) __must_check;
/* The guest broke its contract: logs domain and reason, then SHUTDOWN_crash. Safe in any context but NMI. */
void domain_crash(struct domain *d, const char *fmt, ...) __printf(2, 3);

int domain_controller_pause(struct domain *d) __must_check;   /* domctl: counted */
int domain_controller_unpause(struct domain *d) __must_check; /* -EINVAL: was not paused */

/* info page of a vcpu; also marks an event as pending (used by evtchn.c and timers). */
static inline bool vcpu_event_pending(const struct vcpu *v)
{
	return READ_ONCE(v->info->evtchn_upcall_pending) && !READ_ONCE(v->info->evtchn_upcall_mask);
}
/* Whether an NMI waits that the guest has a handler for (SCHEDOP_block returns at once then). */
static inline bool vcpu_nmi_due(const struct vcpu *v)
{
	return READ_ONCE(v->pv.nmi_pending) && !v->pv.nmi_masked && v->pv.traps[TRAP_NMI].address;
}
/* SCHEDOP_watchdog: 0 or the number given, -EINVAL, -ENOSPC (none free). */
int domain_watchdog(struct domain *d, uint32_t id, uint32_t seconds) __must_check;

#endif
