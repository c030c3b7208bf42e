/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one public header of libxenctrl (soname libxenctrl.so.0, pkg-config xylem-xenctrl).
 *
 * It talks to the hypervisor through the Linux kernel's /dev/xen devices, and to xenstored through its
 * socket. It works on Xylem and on Xen 4.17, whose interface they share. All symbols begin with xyl_, so that
 * the library can be loaded beside Xen's own libxenctrl.
 *
 * Errors. A function that returns int answers 0 (or a count, where that is said), or -1 with errno set; one
 * that returns a pointer answers NULL with errno set. In both cases xyl_error() then gives a sentence for a
 * person, which names the domain, the call and what can be done. The message belongs to the calling thread.
 *
 * Threads. Every handle may be used by several threads at once, except that closing one is the last use of
 * it.
 *
 * Units. Sizes carry theirs in the name: _kib, _pages (4 KiB each), _bytes, _ns, _ms. Domains are named by
 * their number.
 */
#ifndef XYLEM_XENCTRL_H
#define XYLEM_XENCTRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef console_mfn /* xen/xen.h has it for programs of before interface 0x00030203 */
#error "with the headers of xen/, define __XEN_TOOLS__, as the flags of pkg-config xylem-xenctrl do"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define XYL_API                  __attribute__((visibility("default")))
#define XYL_MUST_USE             __attribute__((warn_unused_result))

#define XYL_PAGE_BYTES           4096u
#define XYL_DOMID_SELF           0x7ff0u
#define XYL_DOMID_FIRST_RESERVED 0x7ff0u    /* ordinary domains have smaller numbers */
#define XYL_PAGE_NONE            UINT64_MAX /* "no such frame" */

struct xyl;        /* the hypervisor */
struct xyl_evtchn; /* event channels of this process */
struct xyl_gnt;    /* grants mapped by this process */
struct xyl_store;  /* a connection to xenstored */

/* What went wrong in the last call of this thread that failed; never NULL. Valid until its next failing call. */
XYL_API const char *xyl_error(void);

/* ---- the handle ---- */

/*
 * Opens /dev/xen/privcmd (and /dev/xen/hypercall where the kernel has it).
 * Errors: ENOENT or ENODEV not running in a Xen dom0, EACCES not root, EPROTO the hypervisor's control
 * interface has another version than this library (domctl and sysctl 0x15 for Xen 4.17, domctl 0x17 and
 * sysctl 0x15 for Xen 4.20).
 */
XYL_API struct xyl *xyl_open(void);
XYL_API void xyl_close(struct xyl *x);

/*
 * One hypercall as it is; args are passed on unread, so memory that they point to must come from
 * xyl_hypercall_alloc(). Returns the hypervisor's answer when that is not negative, or -1 with errno.
 */
XYL_API long xyl_hypercall(struct xyl *x, unsigned op, const uint64_t args[5]);
/* Memory that the hypervisor can read and write at any time: zeroed, whole pages. */
XYL_API void *xyl_hypercall_alloc(struct xyl *x, size_t bytes);
XYL_API void xyl_hypercall_free(struct xyl *x, void *memory, size_t bytes);

/* ---- domains ---- */

enum xyl_shutdown { /* SHUTDOWN_* of xen/sched.h */
	            XYL_SHUTDOWN_POWEROFF = 0,
	            XYL_SHUTDOWN_REBOOT = 1,
	            XYL_SHUTDOWN_SUSPEND = 2,
	            XYL_SHUTDOWN_CRASH = 3,
	            XYL_SHUTDOWN_WATCHDOG = 4,
	            XYL_SHUTDOWN_SOFT_RESET = 5,
};

struct xyl_dominfo {
	uint32_t domid;
	bool dying;    /* destroyed, but something still holds its memory */
	bool shutdown; /* the guest has stopped by itself; reason below */
	bool paused;   /* by the toolstack */
	bool blocked;  /* all vcpus wait */
	bool running;  /* a vcpu is on a CPU */
	bool hvm;
	bool xenstore;
	int shutdown_reason; /* enum xyl_shutdown, or -1 */
	uint64_t memory_pages;
	uint64_t max_memory_pages;
	uint64_t outstanding_pages; /* claimed, not yet allocated */
	uint64_t shared_info_mfn;
	uint64_t cpu_time_ns; /* of all its vcpus */
	uint32_t online_vcpus;
	uint32_t max_vcpus; /* highest vcpu number + 1; 0 before xyl_domain_set_max_vcpus */
	uint32_t cpupool;
	uint8_t uuid[16];
};

struct xyl_create {
	uint32_t domid; /* 0: the hypervisor picks one */
	uint8_t uuid[16];
	uint32_t max_vcpus;          /* at least 1 */
	uint32_t max_event_ports;    /* 0: 1,024 */
	int32_t max_grant_frames;    /* -1: the hypervisor's default */
	int32_t max_maptrack_frames; /* -1: the hypervisor's default */
	bool iommu;                  /* devices may be passed through */
	uint32_t cpupool;            /* its CPU pool, of which there must be one, with a CPU; 0: Pool-0 */
};

/*
 * Creates a 64-bit paravirtual domain without memory, paused, and gives it its vcpus (offline).
 * *domid is the new number. Errors: EEXIST number taken, ENOMEM, EINVAL, ESRCH no such pool, ENODEV no CPU in it.
 */
XYL_API int xyl_domain_create(struct xyl *x, const struct xyl_create *config, uint32_t *domid) XYL_MUST_USE;
/*
 * Kills a domain and frees what it owns; goes on by itself where the hypervisor interrupts the work. The
 * domain stays in the list as dying until backends and daemons have dropped their mappings. Error: ESRCH.
 */
XYL_API int xyl_domain_destroy(struct xyl *x, uint32_t domid);
XYL_API int xyl_domain_pause(struct xyl *x, uint32_t domid) XYL_MUST_USE;
/* Takes back one pause; a new domain starts with one. */
XYL_API int xyl_domain_unpause(struct xyl *x, uint32_t domid) XYL_MUST_USE;
/* Stops the domain at once as if it had done so itself (a crash with XYL_SHUTDOWN_CRASH). */
XYL_API int xyl_domain_shutdown(struct xyl *x, uint32_t domid, enum xyl_shutdown reason) XYL_MUST_USE;
/*
 * Lets a domain that has stopped by itself run again. One that had shut down for suspend is told that the suspend was given
 * up: its call answers 1, as kernels with the note XEN_ELFNOTE_SUSPEND_CANCEL (xen/elfnote.h) expect. xenstored is told
 * with xyl_store_resume. EOPNOTSUPP a suspended HVM guest.
 */
XYL_API int xyl_domain_resume(struct xyl *x, uint32_t domid) XYL_MUST_USE;

/* Fills info for one domain. Error: ESRCH no such domain. */
XYL_API int xyl_domain_info(struct xyl *x, uint32_t domid, struct xyl_dominfo *info) XYL_MUST_USE;
/* Fills up to max entries for domains with numbers from first on, in one hypercall; returns how many. */
XYL_API int xyl_domain_list(struct xyl *x, uint32_t first, struct xyl_dominfo *info,
                            uint32_t max) XYL_MUST_USE;
/* All domains, in a block to be freed with free(); returns how many. */
XYL_API int xyl_domain_list_all(struct xyl *x, struct xyl_dominfo **info) XYL_MUST_USE;

XYL_API int xyl_domain_set_max_vcpus(struct xyl *x, uint32_t domid, uint32_t count) XYL_MUST_USE;
XYL_API int xyl_domain_set_uuid(struct xyl *x, uint32_t domid, const uint8_t uuid[16]) XYL_MUST_USE;
/* 64 (or 32, which Xylem refuses with EINVAL). */
XYL_API int xyl_domain_set_address_size(struct xyl *x, uint32_t domid, uint32_t bits) XYL_MUST_USE;
/* The guest's wall clock runs seconds ahead of the host's UTC. */
XYL_API int xyl_domain_set_time_offset(struct xyl *x, uint32_t domid, int64_t seconds) XYL_MUST_USE;
/* Of a domain that has not run: how it reads the CPU's time-stamp counter. By default the hypervisor decides (docs/abi.md). */
enum xyl_tsc {
	XYL_TSC_DEFAULT = 0,
	XYL_TSC_EMULATE =
	        1, /* each reading is answered by the hypervisor, at a rate that it keeps on other hosts */
	XYL_TSC_NATIVE = 2, /* the CPU's own, whatever becomes of it on another host */
};
XYL_API int xyl_domain_set_tsc(struct xyl *x, uint32_t domid, enum xyl_tsc mode) XYL_MUST_USE;
/* Returns an enum xyl_tsc, or -1. */
XYL_API int xyl_domain_get_tsc(struct xyl *x, uint32_t domid) XYL_MUST_USE;
/* Bits of what CPUID answers at one leaf and subleaf (0 where the leaf has none). */
struct xyl_cpuid {
	uint32_t leaf, subleaf, eax, ebx, ecx, edx;
};
/*
 * Takes features of the processor away from what a domain sees of it: what is set in one of the count masks reads as 0, and so
 * does what cannot be without it. Before the domain has run. A feature that it does not see is none to take away.
 * Errors: EINVAL a bit that is no feature (xen/arch-x86/cpufeatureset.h), or one that the hypervisor answers by itself; those of
 * the hypervisor for a domain that runs.
 */
XYL_API int xyl_domain_hide_features(struct xyl *x, uint32_t domid, const struct xyl_cpuid *off,
                                     size_t count) XYL_MUST_USE;
/* Has the hypervisor write the hypercall page into the domain's frame mfn. */
XYL_API int xyl_domain_hypercall_init(struct xyl *x, uint32_t domid, uint64_t mfn) XYL_MUST_USE;

/* ---- vcpus ---- */

struct xyl_vcpuinfo {
	uint32_t vcpu;
	bool online;
	bool blocked;
	bool running;
	uint32_t cpu; /* the host CPU that it runs or last ran on */
	uint64_t cpu_time_ns;
};

/* Error: ESRCH no such domain or vcpu. */
XYL_API int xyl_vcpu_info(struct xyl *x, uint32_t domid, uint32_t vcpu,
                          struct xyl_vcpuinfo *info) XYL_MUST_USE;
/* Sends the vcpu a non-maskable interrupt. */
XYL_API int xyl_vcpu_nmi(struct xyl *x, uint32_t domid, uint32_t vcpu) XYL_MUST_USE;
/* context is xen/xen.h's struct vcpu_guest_context; the domain should be paused. */
struct vcpu_guest_context;
XYL_API int xyl_vcpu_get_context(struct xyl *x, uint32_t domid, uint32_t vcpu,
                                 struct vcpu_guest_context *context) XYL_MUST_USE;
XYL_API int xyl_vcpu_set_context(struct xyl *x, uint32_t domid, uint32_t vcpu,
                                 const struct vcpu_guest_context *context) XYL_MUST_USE;
/*
 * The host CPUs that a vcpu may run on (hard) or prefers (soft): bitmaps, bit n of byte n/8 is CPU n,
 * map_bytes long. NULL leaves one out. Set: EINVAL when no online CPU remains.
 */
XYL_API int xyl_vcpu_get_affinity(struct xyl *x, uint32_t domid, uint32_t vcpu, uint8_t *hard, uint8_t *soft,
                                  size_t map_bytes) XYL_MUST_USE;
XYL_API int xyl_vcpu_set_affinity(struct xyl *x, uint32_t domid, uint32_t vcpu, const uint8_t *hard,
                                  const uint8_t *soft, size_t map_bytes) XYL_MUST_USE;

/* ---- memory of domains ---- */

/* The most that the domain may ever own. */
XYL_API int xyl_memory_set_max(struct xyl *x, uint32_t domid, uint64_t max_kib) XYL_MUST_USE;
/*
 * The NUMA nodes that the hypervisor takes the domain's pages from, in turn, while these have any: a bitmap, bit n of byte n/8
 * is node n, map_bytes long. On Xen they are those of its vcpus' affinity. Errors: ESRCH, EINVAL no map of that size.
 */
XYL_API int xyl_memory_get_nodes(struct xyl *x, uint32_t domid, uint8_t *map, size_t map_bytes) XYL_MUST_USE;
/* The memory map that a PV guest reads at boot: one RAM range from 0 to max_kib. */
XYL_API int xyl_memory_set_map(struct xyl *x, uint32_t domid, uint64_t max_kib) XYL_MUST_USE;
/*
 * Gives the domain count extents of 2^order pages; extents holds their first pfns and receives their first mfns.
 * *done is how many worked when it fails. Error: ENOMEM the host, or the domain's limit, is exhausted.
 */
XYL_API int xyl_memory_populate(struct xyl *x, uint32_t domid, uint64_t count, unsigned order,
                                uint64_t *extents, uint64_t *done) XYL_MUST_USE;
/* Takes count extents of 2^order pages away; mfns names them. */
XYL_API int xyl_memory_decrease(struct xyl *x, uint32_t domid, uint64_t count, unsigned order,
                                const uint64_t *mfns, uint64_t *done) XYL_MUST_USE;
/* Gives the domain count extents without a place in its p2m; mfns receives them. */
XYL_API int xyl_memory_increase(struct xyl *x, uint32_t domid, uint64_t count, unsigned order, uint64_t *mfns,
                                uint64_t *done) XYL_MUST_USE;
/* Pages that the domain owns now, the most it may own, and its highest pfn; NULL leaves one out. */
XYL_API int xyl_memory_reservation(struct xyl *x, uint32_t domid, uint64_t *current_pages,
                                   uint64_t *max_pages, uint64_t *max_pfn) XYL_MUST_USE;
/* Sets aside pages for a domain that is going to be built, so that two builds cannot both succeed half. 0 drops it. */
XYL_API int xyl_memory_claim(struct xyl *x, uint32_t domid, uint64_t pages) XYL_MUST_USE;

/*
 * Maps count frames of a domain into this process, in order, for PROT_READ and perhaps PROT_WRITE. errors (or
 * NULL) receives 0 or an errno value for each; without it one bad frame fails the whole call. Unmap with
 * xyl_foreign_unmap.
 */
XYL_API void *xyl_foreign_map(struct xyl *x, uint32_t domid, int prot, const uint64_t *mfns, size_t count,
                              int *errors);
XYL_API int xyl_foreign_unmap(struct xyl *x, void *address, size_t count);
/* Maps frames first.. of the domain's grant table (v1). Error: EOPNOTSUPP where kernel or hypervisor cannot. */
XYL_API void *xyl_grant_table_map(struct xyl *x, uint32_t domid, uint32_t first, uint32_t count);
/*
 * Enters the console and store pages into the domain's first reserved grants (GNTTAB_RESERVED_CONSOLE and
 * _XENSTORE), so that the daemons in console_domid and store_domid can map them.
 */
XYL_API int xyl_grant_seed(struct xyl *x, uint32_t domid, uint64_t console_mfn, uint32_t console_domid,
                           uint64_t store_mfn, uint32_t store_domid) XYL_MUST_USE;

/* ---- building a PV guest ---- */

/*
 * Unpacks a kernel (bzImage with gzip, xz or zstd, gzipped ELF, or plain ELF) into *out, to be freed with
 * free(), and checks that it is a 64-bit PV kernel. Needs no handle and no file: a confined process may call
 * it. max_bytes bounds the result (0: 256 MiB). Errors: ENOEXEC no kernel or a damaged one, EFBIG, ENOMEM.
 */
XYL_API int xyl_kernel_unpack(const void *image, size_t image_bytes, size_t max_bytes, void **out,
                              size_t *out_bytes) XYL_MUST_USE;
/* Checks that an ELF image, where it is, is a 64-bit PV kernel. ENOEXEC: it is none, or it is packed. */
XYL_API int xyl_kernel_check(const void *image, size_t image_bytes) XYL_MUST_USE;

struct xyl_pv_build {
	const void *kernel; /* as for xyl_kernel_unpack; best unpacked already */
	size_t kernel_bytes;
	const void *ramdisk; /* NULL: none */
	size_t ramdisk_bytes;
	const char *cmdline; /* at most 1,023 characters; NULL: empty */
	uint64_t memory_kib;
	uint64_t max_memory_kib; /* 0: memory_kib; the guest may balloon up to this */
	uint32_t console_port;   /* the guest's end of its console's event channel (xyl_evtchn_alloc) */
	uint32_t store_port;     /* the guest's end of its store's event channel */
	uint32_t console_domid;  /* where xenconsoled runs, normally 0 */
	uint32_t store_domid;    /* where xenstored runs, normally 0 */
};

struct xyl_pv_built {
	uint64_t console_mfn; /* for xenstore's console/ring-ref */
	uint64_t store_mfn;   /* for xyl_store_introduce */
	uint64_t pages;
	uint64_t entry; /* virtual address at which vcpu 0 begins */
};

/*
 * Fills a domain that xyl_domain_create made: memory, kernel, ramdisk, start-of-day pages, page tables
 * (pinned), vcpu 0's registers, grants for console and store. It is left paused. Errors: ENOEXEC unusable
 * kernel, ENOMEM, E2BIG the kernel and its ramdisk do not fit into memory_kib, EINVAL. After an error the
 * caller destroys the domain. Kernel and ramdisk must not change meanwhile: memory of the caller's own, not
 * the mapping of a file that somebody else can write.
 */
XYL_API int xyl_domain_build_pv(struct xyl *x, uint32_t domid, const struct xyl_pv_build *build,
                                struct xyl_pv_built *built) XYL_MUST_USE;

/* ---- save, restore and core dumps ---- */

struct xyl_progress {
	uint64_t pages_total; /* 0: not known, as in a restore */
	uint64_t pages_done;
	uint64_t bytes_done; /* of the stream or file */
	/* of xyl_domain_save_live; pages_total grows there by what is to be sent again */
	uint32_t round;       /* from 1 on */
	uint64_t dirty_pages; /* that were still to be sent when the round began */
	uint64_t rate;        /* bytes per second, in this round or the one before */
	uint64_t downtime_us; /* since the guest was asked to suspend; 0: it was not */
	uint32_t throttle;    /* percent of its CPU time that the guest is denied at present */
};
/*
 * Called now and then: at least every 1,024 pages, and each second while a pipe or socket gives or takes little. true: go
 * on; false: stop, and the call fails with ECANCELED.
 */
typedef bool xyl_progress_fn(const struct xyl_progress *progress, void *data);

/*
 * Writes memory and state of a PV domain that has shut down for suspend to fd (a file, pipe or socket): what libxl writes
 * and reads, its stream of version 2 around libxc's of version 3. The domain is left as it is: xyl_domain_resume lets it go
 * on, xyl_domain_destroy ends it. progress may be NULL. Errors: EBUSY the domain runs, or ran before all was written, or has
 * mapped what is not its own; EINVAL its own description of its memory is unusable, or its vcpu 0 is offline; ENOTSUP;
 * ECANCELED; those of write(2), with SIGPIPE as the caller has it.
 */
XYL_API int xyl_domain_save(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress,
                            void *data) XYL_MUST_USE;
/*
 * As xyl_domain_save, but of pages of zeros the stream has the type alone. A record says so, by which all others refuse it than
 * an xyl_domain_restore of a library that has this function.
 */
XYL_API int xyl_domain_send(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress,
                            void *data) XYL_MUST_USE;

struct xyl_live_limits {
	uint64_t bandwidth; /* bytes per second while the guest runs; 0: no limit */
	uint64_t
	        max_downtime_us; /* the guest is suspended when the rest can be sent in this time; 0: 300,000 */
	uint32_t max_rounds;     /* it is suspended after as many all the same; 0: 30 */
	/* Percent of its CPU time, 1 to 99, that a guest is denied which changes its memory faster than it is sent; 0: of none.
	 * And how much more each time that this is not enough; 0: 10. */
	uint32_t throttle_initial, throttle_increment;
};
struct xyl_live {
	/* Has the guest suspended; false: the save is given up. */
	bool (*suspend)(void *data);
	/* May be NULL; asked after each batch of pages, so that limits can change meanwhile. They come with zeros. */
	void (*limits)(struct xyl_live_limits *limits, void *data);
	/* Denies the guest so many percent of its CPU time; 0: none, which is always the last call, before it suspends or when
	 * the save has failed. May be NULL, as long as the limits ask for no such thing. false: it cannot be. */
	bool (*throttle)(unsigned percent, void *data);
	/* The stream is that of xyl_domain_send. */
	bool zeros_by_type;
};

/*
 * As xyl_domain_save, of a domain that runs: its memory is sent while it does, and in rounds what it has changed since,
 * until that is little, or max_rounds are over, or three times its memory was sent (unless it is throttled). It is throttled
 * when it has changed, in two rounds in a row, half as much as was sent meanwhile, or more. Then how->suspend is called, on this
 * thread, and the rest is sent. data: of all the functions. On return the domain is suspended if suspend has returned
 * true. Errors, besides: ENOTSUP the hypervisor cannot tell which pages change; EBUSY the domain has stopped by itself;
 * ECANCELED suspend has returned false.
 */
XYL_API int xyl_domain_save_live(struct xyl *x, uint32_t domid, int fd, const struct xyl_live *how,
                                 xyl_progress_fn *progress, void *data) XYL_MUST_USE;
/* Ends the hypervisor's watch over a domain's pages, which a process leaves on that ends within xyl_domain_save_live or
 * xyl_domain_dirty_pages. */
XYL_API int xyl_domain_save_live_end(struct xyl *x, uint32_t domid) XYL_MUST_USE;

struct xyl_dirty {
	uint64_t pages;      /* that were changed, each counted once */
	uint64_t elapsed_us; /* in this time: duration_us, or somewhat more */
};

/*
 * Counts the pages that a PV domain changes in duration_us microseconds, 1 to 60,000,000, by the log that a live save has, for
 * which it costs the guest as much. So are pages counted that somebody else changes, and those that may be written to unseen: a
 * live save would send them again. Of a domain that does not run in all that time, as a paused one, the count is 0. progress (or
 * NULL) is called about 20 times a second, with zeros. Errors: EINVAL duration_us; ESRCH; ENOTSUP the hypervisor cannot tell
 * which pages change; ENOMEM; EBUSY the domain has stopped, or was destroyed meanwhile; ECANCELED. The watch is off again after
 * each of them. There is one watch of a domain: this one and xyl_domain_save_live end each other's.
 * Source: xen/domctl.h (struct xen_domctl_shadow_op).
 */
XYL_API int xyl_domain_dirty_pages(struct xyl *x, uint32_t domid, uint64_t duration_us, struct xyl_dirty *out,
                                   xyl_progress_fn *progress, void *data) XYL_MUST_USE;

struct xyl_pv_restore {
	uint32_t console_port; /* as in xyl_pv_build */
	uint32_t store_port;
	uint32_t console_domid;
	uint32_t store_domid;
	uint64_t max_memory_kib; /* 0: as much as was saved */
};

struct xyl_pv_restored {
	uint64_t console_mfn; /* as in xyl_pv_built */
	uint64_t store_mfn;
	uint64_t pages;
};

/*
 * Fills a new domain (made by xyl_domain_create, with at least the vcpus of the old one) from a stream that
 * xyl_domain_save, xyl_domain_send or libxl wrote, up to its END and not a byte further. It is left paused. The stream is not trusted.
 * Errors: EBADMSG it is damaged, or none; ENOTSUP it is of a guest that cannot run here; EINVAL the domain is not new, or
 * the hypervisor refuses a state; ENOMEM; ECANCELED; those of read(2). After an error the caller destroys the domain.
 */
XYL_API int xyl_domain_restore(struct xyl *x, uint32_t domid, int fd, const struct xyl_pv_restore *how,
                               struct xyl_pv_restored *out, xyl_progress_fn *progress,
                               void *data) XYL_MUST_USE;

/*
 * Writes a core file of a PV domain (an ELF file in Xen's dump-core format, which the program crash reads) to fd, from its
 * beginning to its end. The domain should be paused, or have crashed: what it changes meanwhile may be seen or not. Errors:
 * EINVAL it has not told where its memory is (a kernel does so early in its boot); ENOTSUP; ECANCELED; those of write(2).
 */
XYL_API int xyl_domain_dump(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress,
                            void *data) XYL_MUST_USE;

/* ---- scheduler ---- */

enum xyl_scheduler { /* XEN_SCHEDULER_* of xen/domctl.h */
	             XYL_SCHED_CREDIT = 5,
	             XYL_SCHED_CREDIT2 = 6,
	             XYL_SCHED_ARINC653 = 7,
	             XYL_SCHED_RTDS = 8,
	             XYL_SCHED_NULL = 9,
};

struct xyl_sched {
	uint32_t weight; /* share against other domains; 256 is usual, 1..65535 */
	uint32_t cap;    /* most CPU time in percent of one CPU; 0: unlimited */
};

XYL_API int xyl_scheduler_id(struct xyl *x, enum xyl_scheduler *id) XYL_MUST_USE;
/* "credit", "credit2", ...; "unknown" for others. */
XYL_API const char *xyl_scheduler_name(enum xyl_scheduler id);
/* Error: EOPNOTSUPP its scheduler knows no weights. */
XYL_API int xyl_sched_get(struct xyl *x, uint32_t domid, struct xyl_sched *params) XYL_MUST_USE;
XYL_API int xyl_sched_set(struct xyl *x, uint32_t domid, const struct xyl_sched *params) XYL_MUST_USE;

/* ---- the host ---- */

struct xyl_hostinfo {
	uint32_t cpus; /* online */
	uint32_t max_cpu_id;
	uint32_t nodes;
	uint32_t max_node_id;
	uint32_t threads_per_core;
	uint32_t cores_per_socket;
	uint32_t cpu_khz;
	uint64_t total_pages;
	uint64_t free_pages; /* includes those still to be scrubbed */
	uint64_t scrub_pages;
	uint64_t outstanding_pages; /* claimed */
	uint64_t max_mfn;
	bool cap_pv;
	bool cap_hvm;
	bool cap_iommu;
	bool cap_gnttab_v1;
	bool cap_gnttab_v2;
	uint32_t hw_cap[8]; /* CPUID words, as Xen orders them */
};

struct xyl_version {
	uint32_t major;
	uint32_t minor;
	char extra[16];
	char capabilities[1024]; /* "xen-3.0-x86_64 ..." */
	char changeset[64];
	char compiler[64];
	char compile_by[16];
	char compile_domain[32];
	char compile_date[32];
	char commandline[1024]; /* the hypervisor's own */
	uint32_t page_bytes;
	uint64_t virt_start;
	uint8_t build_id[32];
	uint32_t build_id_bytes; /* 0: none */
};

struct xyl_cputopo {
	uint32_t core; /* UINT32_MAX: offline */
	uint32_t socket;
	uint32_t node;
};

struct xyl_numanode {
	uint64_t size_bytes; /* 0: absent */
	uint64_t free_bytes;
};

XYL_API int xyl_host_info(struct xyl *x, struct xyl_hostinfo *info) XYL_MUST_USE;
XYL_API int xyl_host_version(struct xyl *x, struct xyl_version *version) XYL_MUST_USE;
/* Fill up to max entries; return how many. */
XYL_API int xyl_host_cputopo(struct xyl *x, struct xyl_cputopo *cpus, uint32_t max) XYL_MUST_USE;
/* distance (or NULL) is max * max entries, row by row. */
XYL_API int xyl_host_numa(struct xyl *x, struct xyl_numanode *nodes, uint32_t *distance,
                          uint32_t max) XYL_MUST_USE;
/* For how long each of the CPUs 0 .. max - 1 has been idle, UINT64_MAX for one that is not online, and for how long the
 * hypervisor has run; on a Xen that does not tell (without cpufreq=dom0-kernel), for how long dom0 has. */
XYL_API int xyl_host_cpu_times(struct xyl *x, uint64_t *idle_ns, uint32_t max, uint64_t *now_ns) XYL_MUST_USE;
/*
 * Free memory below 2^max_bits (0: all) on node (-1: all). Error: EOPNOTSUPP the hypervisor (Xylem) tells
 * only of all addresses together.
 */
XYL_API int xyl_host_free_memory(struct xyl *x, int node, unsigned max_bits, uint64_t *bytes) XYL_MUST_USE;

/*
 * Reads the hypervisor's console ring. With index NULL from its beginning; otherwise from *index, which is
 * moved on, so that the next call reads only what is new (begin with 0). clear empties the ring for
 * everybody. Returns how many bytes were put into buffer (not terminated).
 */
XYL_API int xyl_console_read(struct xyl *x, char *buffer, size_t bytes, bool clear,
                             uint32_t *index) XYL_MUST_USE;
/* As if the keys had been pressed on the hypervisor's console. */
XYL_API int xyl_debug_keys(struct xyl *x, const char *keys) XYL_MUST_USE;

/* ---- event channels ---- */

/* A new port of domid that remote_domid may bind; used for guests before they run. Returns the port. */
XYL_API int xyl_evtchn_alloc(struct xyl *x, uint32_t domid, uint32_t remote_domid) XYL_MUST_USE;

/* The process's own ports, through /dev/xen/evtchn. Closing the handle closes its ports. */
XYL_API struct xyl_evtchn *xyl_evtchn_open(void);
XYL_API void xyl_evtchn_close(struct xyl_evtchn *e);
/* Readable when a port is pending; non-blocking. */
XYL_API int xyl_evtchn_fd(struct xyl_evtchn *e);
/* These return the local port, a positive number. Errors: EEXIST virq taken by another, ESRCH, EINVAL. */
XYL_API int xyl_evtchn_bind_unbound(struct xyl_evtchn *e, uint32_t remote_domid) XYL_MUST_USE;
XYL_API int xyl_evtchn_bind_interdomain(struct xyl_evtchn *e, uint32_t remote_domid,
                                        uint32_t remote_port) XYL_MUST_USE;
XYL_API int xyl_evtchn_bind_virq(struct xyl_evtchn *e, uint32_t virq) XYL_MUST_USE;
XYL_API int xyl_evtchn_unbind(struct xyl_evtchn *e, uint32_t port);
XYL_API int xyl_evtchn_notify(struct xyl_evtchn *e, uint32_t port) XYL_MUST_USE;
/* The next pending port, which stays masked until xyl_evtchn_unmask; -1 with EAGAIN when there is none. */
XYL_API int xyl_evtchn_pending(struct xyl_evtchn *e) XYL_MUST_USE;
XYL_API int xyl_evtchn_unmask(struct xyl_evtchn *e, uint32_t port) XYL_MUST_USE;

/* ---- grants ---- */

XYL_API struct xyl_gnt *xyl_gnt_open(void);
XYL_API void xyl_gnt_close(struct xyl_gnt *g);
/* Maps count grants of a domain side by side. Errors: EINVAL or ENOENT a reference is not granted to us. */
XYL_API void *xyl_gnt_map(struct xyl_gnt *g, uint32_t domid, const uint32_t *refs, uint32_t count, int prot);
/*
 * As xyl_gnt_map; besides, when the mapping goes (by us or by our death) the kernel zeroes the byte at offset
 * clear_offset (UINT32_MAX: none) and notifies our local port notify_port (0: none).
 */
XYL_API void *xyl_gnt_map_notify(struct xyl_gnt *g, uint32_t domid, uint32_t ref, int prot,
                                 uint32_t clear_offset, uint32_t notify_port);
XYL_API int xyl_gnt_unmap(struct xyl_gnt *g, void *address, uint32_t count);

/* ---- xenstore ---- */

/*
 * A connection to xenstored: its socket $XENSTORED_PATH or /run/xenstored/socket. A path below /dev is the
 * kernel's device (/dev/xen/xenbus), for a xenstored in another domain; outside of the control domain that is
 * tried by itself where there is no socket.
 *
 * Calls wait for the answer, at most the time-out (ETIMEDOUT). The _async ones answer through a callback that
 * runs in the main context given at opening, as watches do. When the daemon goes away the connection comes
 * back by itself: outstanding requests are sent again, watches are registered again (and fire once, as new
 * ones do), transactions that were open end with EAGAIN.
 *
 * A callback may make any call, also xyl_store_unwatch of its own watch. Errors are those of the wire
 * protocol: ENOENT no such node, EACCES, EINVAL malformed path, ENOSPC or E2BIG quota, EAGAIN transaction
 * conflict.
 */
typedef uint64_t xyl_tx; /* a transaction; XYL_TX_NONE outside of one */
#define XYL_TX_NONE ((xyl_tx)0)

struct _GMainContext;
struct xyl_watch;

/*
 * context: where callbacks run; NULL is the process's default main context. A program without a main loop can
 * use all calls but watches and _async. Errors: ENOENT or ECONNREFUSED no xenstored.
 */
XYL_API struct xyl_store *xyl_store_open(struct _GMainContext *context);
/* As xyl_store_open, on a socket path of the caller's choice, and without waiting: it connects when it can. */
XYL_API struct xyl_store *xyl_store_open_path(struct _GMainContext *context, const char *socket_path);
XYL_API void xyl_store_close(struct xyl_store *s);
/* How long calls may wait, in milliseconds; 30,000 at first. */
XYL_API void xyl_store_set_timeout(struct xyl_store *s, unsigned timeout_ms);
XYL_API bool xyl_store_connected(struct xyl_store *s);

/* The value, NUL-terminated and to be freed with free(); *bytes (or NULL) is its length, NULs within it counted. */
XYL_API char *xyl_store_read(struct xyl_store *s, xyl_tx tx, const char *path, size_t *bytes);
/* As xyl_store_read, the path made as by printf. */
XYL_API char *xyl_store_readf(struct xyl_store *s, xyl_tx tx, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
XYL_API int xyl_store_write(struct xyl_store *s, xyl_tx tx, const char *path, const void *value,
                            size_t bytes) XYL_MUST_USE;
/* Writes a string made as by printf. */
XYL_API int xyl_store_printf(struct xyl_store *s, xyl_tx tx, const char *path, const char *format, ...)
        __attribute__((format(printf, 4, 5))) XYL_MUST_USE;
XYL_API int xyl_store_mkdir(struct xyl_store *s, xyl_tx tx, const char *path) XYL_MUST_USE;
/* Removes the node and all below it; a missing one is no error unless its parent is missing too (ENOENT). */
XYL_API int xyl_store_rm(struct xyl_store *s, xyl_tx tx, const char *path) XYL_MUST_USE;
/* The children's names: one block, NULL-terminated, to be freed with free(); *count (or NULL) how many. EAGAIN also when they
 * change all the time and are too many for one answer. */
XYL_API char **xyl_store_directory(struct xyl_store *s, xyl_tx tx, const char *path, size_t *count);

enum xyl_perm { XYL_PERM_NONE = 0, XYL_PERM_READ = 1, XYL_PERM_WRITE = 2, XYL_PERM_BOTH = 3 };
struct xyl_perms {
	uint32_t domid; /* first entry: the owner, its perm is everybody else's */
	enum xyl_perm perm;
};
XYL_API int xyl_store_set_perms(struct xyl_store *s, xyl_tx tx, const char *path,
                                const struct xyl_perms *perms, size_t count) XYL_MUST_USE;
/* A block to be freed with free(). */
XYL_API struct xyl_perms *xyl_store_get_perms(struct xyl_store *s, xyl_tx tx, const char *path,
                                              size_t *count);

/*
 * A transaction by hand: start, use *tx, then end. EAGAIN at the end: somebody else wrote, do it all again.
 * Within a transaction write, printf, mkdir and set_perms do not wait for their answers: when one fails, the
 * next of them or the end says so, and the transaction is aborted. What was begun must be ended.
 */
XYL_API int xyl_store_begin(struct xyl_store *s, xyl_tx *tx) XYL_MUST_USE;
XYL_API int xyl_store_end(struct xyl_store *s, xyl_tx tx, bool commit) XYL_MUST_USE;
/*
 * Runs body within a transaction, again and again while its end conflicts. body returns 0 to commit, or -1
 * with errno to abort (EAGAIN: begin again). It must be able to run several times.
 */
XYL_API int xyl_store_transaction(struct xyl_store *s,
                                  int (*body)(struct xyl_store *s, xyl_tx tx, void *data),
                                  void *data) XYL_MUST_USE;

/*
 * fn(path, data) runs in the main context when path or anything below it changes, and once at first. path is
 * the node that changed; the watched path itself also means "look again at all of it" (after a reconnection,
 * or when events came faster than they were taken). Special paths: "@introduceDomain", "@releaseDomain".
 */
typedef void xyl_watch_fn(struct xyl_store *s, const char *path, void *data);
XYL_API struct xyl_watch *xyl_store_watch(struct xyl_store *s, const char *path, xyl_watch_fn *fn,
                                          void *data);
/* After its return fn does not begin any more (called from the context's own thread). */
XYL_API int xyl_store_unwatch(struct xyl_store *s, struct xyl_watch *w);

/* done(s, error, value, bytes, data): error 0 or an errno value; value is NUL-terminated and lives during the call. */
typedef void xyl_store_done_fn(struct xyl_store *s, int error, const char *value, size_t bytes, void *data);
XYL_API int xyl_store_read_async(struct xyl_store *s, xyl_tx tx, const char *path, xyl_store_done_fn *done,
                                 void *data) XYL_MUST_USE;
XYL_API int xyl_store_write_async(struct xyl_store *s, xyl_tx tx, const char *path, const void *value,
                                  size_t bytes, xyl_store_done_fn *done, void *data) XYL_MUST_USE;
XYL_API int xyl_store_rm_async(struct xyl_store *s, xyl_tx tx, const char *path, xyl_store_done_fn *done,
                               void *data) XYL_MUST_USE;

/*
 * The terminal of the domain's console: opened into *fd (non-blocking) and checked to be that of this domain now, as far
 * as the xenconsoled that serves it lets one tell (ours: for certain). Keep *fd open while the returned name, to be freed
 * with free(), is used: until then it names this terminal. Errors: ENOENT there is none yet, ESTALE the store's is of an
 * xenconsoled that is gone, ENXIO it is no pseudo-terminal.
 */
XYL_API char *xyl_console_tty(struct xyl_store *s, uint32_t domid, int *fd);
/* The same for a console that is the domain's device of this number; 0: xyl_console_tty(). The domain is checked, the
 * number is not: after an xenconsoled that was killed it may be another console of the same domain for a moment. */
XYL_API char *xyl_console_device_tty(struct xyl_store *s, uint32_t domid, uint32_t number, int *fd);
/* For an xenconsoled: marks the terminal as the domain's, until it is closed. It writes console/tty-lock besides. */
XYL_API int xyl_console_lock(int tty, uint32_t domid) XYL_MUST_USE;

/* Tells xenstored about a new domain: it maps the page (by the reserved grant) and binds the guest's port. */
XYL_API int xyl_store_introduce(struct xyl_store *s, uint32_t domid, uint64_t store_mfn,
                                uint32_t store_port) XYL_MUST_USE;
XYL_API int xyl_store_release(struct xyl_store *s, uint32_t domid) XYL_MUST_USE;
/* The domain runs again after it had shut down: its next stop is told by @releaseDomain. */
XYL_API int xyl_store_resume(struct xyl_store *s, uint32_t domid) XYL_MUST_USE;
XYL_API int xyl_store_is_introduced(struct xyl_store *s, uint32_t domid, bool *introduced) XYL_MUST_USE;
/* "/local/domain/<domid>" in a block to be freed with free(). */
XYL_API char *xyl_store_domain_path(struct xyl_store *s, uint32_t domid);

#ifdef __cplusplus
}
#endif
#endif
