/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the driver's files share: the driver's state, what is kept for each domain, and the calls between the
 * files.
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
#include "compat.h"
#include "datatypes.h"
#include "domain_event.h"
#include "driver.h"
#include "virchrdev.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "viraccessapicheck.h"
#include "virerror.h"
#include "virlog.h"
#include "virthread.h"
#include "viruuid.h"

#include <xenctrl.h>

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

/* Kept for each domain; guarded by the domain object's lock. */
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
	unsigned long long max_speed_mib, max_downtime_ms; /* of its migration; 0: as it comes */
	unsigned long long sending_mib; /* what the client of the present one gave it alone; 0 */
};

/* ---- domain.c: objects, jobs, slots, hooks ---- */
/* For a thread that is no client's: libvirt's other drivers, and who decides what a caller may, ask who it is. */
void act_as_libvirtd(void);
extern virDomainXMLPrivateDataCallbacks domain_private_data;
/* The object of a client's handle, locked and referenced (virDomainObjEndAPI); NULL and VIR_ERR_NO_DOMAIN. */
virDomainObj *domain_get(virDomainPtr dom);
bool domain_is_dom0(const virDomainObj *vm);
/* -1 with an error when it is Domain-0, which the operation is not for. */
int domain_refuse_dom0(virDomainObj *vm, const char *operation);
/* As libvirt's, but waiting for another call's job takes a slot; 0 or -1. */
int domain_begin_job(virDomainObj *vm, virDomainJob job);
/* Also cleans up after a domain that ended meanwhile. */
void domain_end_job(virDomainObj *vm);
/* Writes the state file of a running domain; failures are logged. */
void domain_save_status(virDomainObj *vm);
int domain_save_config(virDomainDef *def);
/*
 * What a client changes: what a guest has when it starts next (AFFECT_CONFIG), the running guest (AFFECT_LIVE), or both;
 * flags: either, or none for what there is. The caller has the job.
 *
 * The definition is changed in a copy, which takes its place when its file has been written: where anything fails before,
 * the definition is what it was, in memory and on the disk. Of both, the copy comes first, since that fails easily; then
 * the guest; then the copy is saved. Where that last step fails the guest has what its definition has not.
 */
struct domain_change {
	/* Changes a definition, a copy; 0, or -1 with an error. Called again for another copy, must not use itself up. */
	int (*edit)(virDomainDef *def, void *data);
	/* Changes the running guest, vm->def and its state file; 0, or -1 with an error. May unlock the object. */
	int (*live)(virDomainObj *vm, void *data);
};
int domain_change(virDomainObj *vm, unsigned int flags, const struct domain_change *change, void *data);
/* Runs the hook script; the object is unlocked meanwhile. 0, or -1 when the script says no. */
int domain_hook(virDomainObj *vm, virDomainDef *def, int op, int subop);
int domain_hook_xml(virDomainObj *vm, const char *xml, int op, int subop);
void domain_event(virObjectEvent *event);
/*
 * Only so many calls wait at once, so that some of libvirtd's workers are always free, and those that wait
 * for guests do not keep others from being started. slot_take waits a while for a slot, with the object
 * unlocked if there is one; -1 and VIR_ERR_OPERATION_FAILED when there is none.
 *
 * What another host waits for waits for no slot: its calls have slots of that host, which this host's calls may wait for.
 * Such a call does without one where slot_try() says that there is none.
 */
int slot_take(enum slot kind, virDomainObj *vm);
bool slot_try(enum slot kind);
void slot_give(enum slot kind);
/* Whoever starts it gives up, also one that waits for a slot or in aside(). */
void domain_doom(virDomainObj *vm);
/* One more or one less running guest; tells libvirtd whether it may go to sleep. */
void domain_count_active(int change);
/* Brings the state up to date with what the hypervisor says, unless somebody is at work on it. */
void domain_refresh(virDomainObj *vm, const struct xyl_dominfo *info);
/* What names a running domain in xylemd: its UUID, or its number when others made it. */
void domain_handle(const virDomainObj *vm, char handle[VIR_UUID_STRING_BUFLEN]);
/* The hypervisor's word on an active domain: 0; 1 for a guest that has none just now, with what its next one begins with;
 * -1 with a libvirt error. */
int domain_query(const virDomainObj *vm, struct xyl_dominfo *info);
/* The state that clients are told; of a guest that was killed and is still held, that it shuts down. reason: or NULL. */
int domain_state(virDomainObj *vm, const struct xyl_dominfo *info, int *reason);

/* The file of its managed save, whether there is one or not; to be freed with g_free(). */
char *domain_save_file(const virDomainObj *vm);
/* Whether it is there and of use. Looks at the disk; vm->hasManagedSave is what is known of it. */
bool domain_look_for_save(const char *file);
void domain_know_save(virDomainObj *vm, bool there);
/* 0, or -1 with an error; none to remove is no error. The object is unlocked meanwhile; the caller has a slot. */
int domain_remove_save(virDomainObj *vm);

/* ---- aside.c: what a start waits for and may never get ---- */
/* run: 0, or -1 with an error. undo: of what is not wanted any more; ret: what run gave. Takes the data. */
typedef int aside_run_fn(void *data);
typedef void aside_undo_fn(void *data, int ret);
/*
 * run(*data) on a thread of its own, with the object unlocked: what it gives; or -1 and VIR_ERR_OPERATION_ABORTED when the start
 * was given up first. Then *data is NULL, and undo() will get it. Between process_begin() and process_finish().
 */
int aside(virDomainObj *vm, aside_run_fn *run, aside_undo_fn *undo, void **data);
/* The same, of no guest, and for so long: -1 with an error when it is not over by then, and undo() gets, or has got, the data. */
int aside_briefly(unsigned int wait_ms, aside_run_fn *run, aside_undo_fn *undo, void *data);
/* Whether a thread has stayed behind, which uses the driver still. */
bool aside_busy(void);

/* ---- halfway.c: what a libvirtd that died has left, or an xylemd that does not answer ---- */
/* A start, or a detach, takes or gives back locks and ports of networks from here on; def: as its devices are then. */
void halfway_begin(const virDomainDef *def);
/* The same for an attach. */
void halfway_begin_device(virDomainObj *vm, virDomainDeviceDef *dev);
/* The outcome is in the state file. */
void halfway_end(const virDomainDef *def);
/* Before a device comes or goes: what is left of an earlier libvirtd's comes first. The caller has the job; unlocks the object
 * meanwhile. 0, or -1 with an error. */
int halfway_settle(virDomainObj *vm);
/* At start, when state files are loaded and xylemd can be asked, and before the hypervisor's domains are looked at; and again
 * until it is true: nothing is left. No object is locked. */
bool halfway_recover(bool at_start);
/* Before a start: what is left of another one. Unlocks the object meanwhile. 0, or -1 with an error: xylemd does not tell, or has
 * started it. */
int halfway_recover_start(virDomainObj *vm);
/* Whether it is not known yet what is to become of a guest that runs. */
bool halfway_claims(const unsigned char *uuid);
/* What a guest that ends may have besides, or NULL. It is given back then; unlocks the object meanwhile. */
virDomainDef *halfway_rest(const virDomainDef *have);
void halfway_drop_rest(virDomainObj *vm, virDomainDef *rest);

/* ---- process.c: a guest begins and ends ---- */
/*
 * A start, of any kind, lies between these two: it has a slot, unless it comes from another host or with this one, and can be
 * given up (domain_doom). The caller has the job; both may unlock the object. 0, or -1 with an error and nothing to finish.
 */
int process_begin(virDomainObj *vm);
void process_finish(virDomainObj *vm);
/* Starts the domain. detail: virDomainEventStartedDetailType. 0 or -1 with an error. */
int process_start(virDomainObj *vm, bool paused, int detail);
/* The same with its memory from a stream (savefile.h). def: what it has then, instead of its own; taken. NULL: its own.
 * once: the file, which is marked as used before the guest runs; NULL: it may be restored again. */
int process_restore(virDomainObj *vm, virDomainDef *def, bool paused, int stream, const char *once);
/* The same for a guest that comes from another host: it is paused, its disks are not locked yet, and it is marked, here and
 * with xylemd, as one that must not run. */
int process_receive(virDomainObj *vm, int stream);
/* What xylemd keeps of a guest begins with this as long as it must not run. */
#define PROCESS_INCOMING_MARK "<!-- incoming -->\n"
/* Locks its disks, if there is a lock manager and they are not; 0, or -1 with an error. And gives them back. The caller has
 * the job; the object is unlocked meanwhile. */
int process_lock(virDomainObj *vm);
void process_unlock(virDomainObj *vm);
/* The "release" script of a start that nobody waits for any more: waited for a while, then left to itself. No object is locked. */
void process_release_script(virDomainDef *def);
/* The domain domid has ended: cleans up, at once or at the end of the present job. Locked, no job. */
void process_gone(virDomainObj *vm, int domid, int reason, int detail);
/* It was killed without xylemd's word that its devices are gone. If its disks are locked they stay so until that comes, or the
 * kernel does not serve them any more, and it is shown as one that shuts down; else it has ended. Locked, no job. */
void process_killed(virDomainObj *vm);
/* process_gone() for somebody who has the job. Afterwards the object may have left the list. */
void process_stopped(virDomainObj *vm, int reason, int detail);
/* Binds a running domain to an object which was not active. */
void process_adopt(virDomainObj *vm, virDomainDef *live, const struct xyl_dominfo *info, bool foreign);
/* An active object that was taken for foreign is xylemd's; live: what it has really, or NULL. Locked, no job. */
void process_own(virDomainObj *vm, virDomainDef *live);
/* Rebuilt by xylemd under a new number; devices: as monitor_create() gives them, or NULL. */
void process_renumber(virDomainObj *vm, int domid, GVariant *devices);
/* Gives the interfaces the names that xylemd tells of, aa{sv} or NULL. */
void process_name_interfaces(virDomainDef *def, GVariant *devices);
/* What follows from a reboot, and may take long: the hooks of an end and of a start. Locked, no job; not the event
 * thread. life: the one in which it rebooted. */
void process_rebooted(virDomainObj *vm, unsigned long life);
/* Its definition has changed while it runs: xylemd keeps it, for a libvirtd that has lost its state file. Unlocks the
 * object meanwhile. */
void process_keep_definition(virDomainObj *vm);
/* The same, which must succeed, without a slot: 0, or -1 with an error. */
int process_put_definition(virDomainObj *vm);
/* Finds bridges of networks and files of volumes; 0 or -1. */
int process_resolve(virDomainDef *def, virDomainDeviceDef *dev);
/* Logs when a running guest has the interface's address too. No object may be locked. */
void process_warn_mac(const virDomainDef *def, const virDomainNetDef *net);
void process_release_net(virDomainDef *def, virDomainNetDef *net);

/* ---- autostart.c: the guests that start with the host ---- */
/* Begins with it, in threads of its own; late_ms: after which one that does not get started keeps no others waiting. */
void autostart_begin(unsigned int late_ms);
/* Whether it is under way. */
bool autostart_busy(void);

/* ---- net.c: what the host does for interfaces beyond their bridge ---- */
/* Gives an interface with a filter the name that it keeps; 0, or -1 with an error. */
int net_name(virDomainNetDef *net);
/* Nobody else gets the names of a running guest's, also while it reboots and has none. */
void net_reserve_names(const virDomainDef *def);
/* Sets up the interface that xylemd has made in this domain of the guest, and releases it; nothing for one that nothing is to
 * be done for. net: nobody else's. No object may be locked. */
int net_plug(const virDomainDef *def, virDomainNetDef *net, unsigned int domid);
int net_plug_all(const virDomainDef *def);
/* As much of an interface as net_plug() looks at; the caller's own. */
virDomainNetDef *net_copy(const virDomainNetDef *net);
/* What xylemd holds in the present domain of the guest is set up and released, on a thread of its own. Locked, stays so. */
void net_plug_later(virDomainObj *vm);
/* Of a running guest's interface; NULL: none. The caller has the job; unlocks the object meanwhile. */
int net_change_limits(virDomainObj *vm, virDomainNetDef *net, const virNetDevBandwidth *limits);
/* What is left of it when the interface of this guest goes. */
void net_unplug(const virDomainDef *def, virDomainNetDef *net);

/* ---- screen.c ---- */
/* A running guest's screen listens where xylemd tells, aa{sv} or NULL. */
void screen_take_port(virDomainDef *def, GVariant *devices);

/* ---- monitor.c: xylemd's socket ---- */
typedef void monitor_event_fn(unsigned int domid, const char *uuid, const char *name, const char *event,
                              const char *detail);
/* on_event and on_connected run in context. */
struct monitor *monitor_new(struct _GMainContext *context, monitor_event_fn *on_event,
                            void (*on_connected)(void));
/* Before the event thread runs: waits until the first attempt has succeeded or failed. */
void monitor_wait_first(struct monitor *m);
void monitor_free(struct monitor *m);
bool monitor_connected(struct monitor *m);
/* xylemd was asked and has not answered: it may have done it, or do it yet. */
#define MONITOR_LOST (-2)
/* All wait for the answer; 0, or with a libvirt error -1, when xylemd was not asked or has refused, or MONITOR_LOST. No lock may
 * be held. Floating variants are consumed. */
/* handle: domain_handle(). *devices: what became of its devices, aa{sv}, or NULL; owned by the caller. */
int monitor_create(struct monitor *m, GVariant *guest, bool paused, unsigned int *domid, GVariant **devices);
/* As monitor_create(). The descriptor stays the caller's. */
int monitor_restore(struct monitor *m, GVariant *guest, bool paused, int stream, unsigned int *domid,
                    GVariant **devices);
/* The flags of xylemd's Save: */
#define MONITOR_SAVE_LIVE          1u /* it runs until little is left */
#define MONITOR_SAVE_ZEROS_BY_TYPE 2u /* for a destination whose cookie says so */
/* Until all is written, however long that takes; the guest is suspended then. how: a set of these. */
int monitor_save(struct monitor *m, const char *handle, int stream, unsigned int how);
/* Of a live save, before it or while it is under way; bandwidth: bytes per second, 0: no limit. */
int monitor_set_migration(struct monitor *m, const char *handle, unsigned long long bandwidth,
                          unsigned long long max_downtime_us);
/* A core file; live: the guest runs on meanwhile. */
int monitor_dump(struct monitor *m, const char *handle, int file, bool live);
int monitor_resume(struct monitor *m, const char *handle);
/* Of a save or a restore. */
int monitor_cancel(struct monitor *m, const char *handle);
int monitor_destroy(struct monitor *m, const char *handle);
int monitor_shutdown(struct monitor *m, const char *handle, const char *mode);
int monitor_pause(struct monitor *m, const char *handle, bool pause);
/* *made: the device as it became, a{sv}; owned by the caller. */
int monitor_attach(struct monitor *m, const char *handle, GVariant *device, GVariant **made);
int monitor_detach(struct monitor *m, const char *handle, GVariant *device);
int monitor_set_memory(struct monitor *m, const char *handle, unsigned long long memory_kib);
int monitor_set_vcpus(struct monitor *m, const char *handle, unsigned int vcpus);
int monitor_set_scheduler(struct monitor *m, const char *handle, const struct xyl_sched *sched);
int monitor_set_affinity(struct monitor *m, const char *handle, unsigned int vcpu, const unsigned char *map,
                         size_t map_bytes);
/* Of the interface with this address, in this domain of the guest alone. */
int monitor_release_nic(struct monitor *m, const char *handle, unsigned int domid, const char *mac);
/* vdev: the target of a disk. */
int monitor_resize(struct monitor *m, const char *handle, const char *vdev, unsigned long long bytes);
/* Of the interface with this address. */
int monitor_set_link(struct monitor *m, const char *handle, const char *mac, bool up);
/* event: "poweroff", "reboot", "crash". */
int monitor_set_policy(struct monitor *m, const char *handle, const char *event, const char *action);
/* A descriptor of a picture, at its beginning; or -1. */
int monitor_screenshot(struct monitor *m, const char *handle);
int monitor_send_keys(struct monitor *m, const char *handle, unsigned int hold_ms, const uint32_t *keys,
                      size_t count);
int monitor_open_screen(struct monitor *m, const char *handle, int fd, bool skip_auth);
int monitor_set_opaque(struct monitor *m, const char *handle, const char *text);
/* The domain's dictionary, owned by the caller; NULL without an error set when there is none. *known (or NULL): whether
 * that is xylemd's word. */
GVariant *monitor_get(struct monitor *m, const char *handle, bool *known);

/* ---- events.c: what happens without a client ---- */
int events_start(void);
void events_stop(void);
/* Makes objects and hypervisor agree; called before the event thread runs, and by it. */
void events_reconcile(bool at_start);
/* Does work that may wait on a thread of its own, with vm locked. life: as it is now. vm is locked, and stays so. */
typedef void events_work_fn(virDomainObj *vm, unsigned long life);
void events_later(virDomainObj *vm, events_work_fn *work);
/* Xylemd is asked again, until it tells, what came of what is halfway (halfway_recover). Any thread. */
void events_settle_later(void);

/* ---- host.c ---- */
int host_init(void);
int host_add_dom0(void);
/* The library's last error becomes libvirt's; -1. */
static inline int host_report_xyl(void)
{
	virReportError(VIR_ERR_OPERATION_FAILED, "%s", xyl_error());
	return -1;
}
/* Refuses what capabilities may be asked for and guests cannot be; each may be NULL. 0 or -1. */
int host_check_kind(const char *emulator, const char *arch, const char *machine, const char *type);

/* ---- cpu.c ---- */
/* Finds out the host's CPU for its capabilities. */
void cpu_probe(virNodeInfo *node);

/* ---- locks.c ---- */
/* Reads the stock driver's file; logs each setting that has no effect here, and returns how many there are. */
unsigned int locks_read_conf(const char *file);
void locks_close(void);
/* The locks of a guest's disks, or of one; NULL when there are none to be taken. Later changes of def are of no concern. */
struct disk_locks *locks_new(const virDomainDef *def, virStorageSource *only);
void locks_free(struct disk_locks *locks);
/* All or none, 0 or -1 with an error. Asks another process: no object may be locked. locks may be NULL in both. */
int locks_take(struct disk_locks *locks);
/* Whether the kernel still serves a disk of a domain that xylemd does not tell of: what is on its way is written yet. */
bool locks_needed(int domid);
/* The same of a guest's disks that QEMU serves. */
bool locks_image_served(const virDomainDef *def);
extern const char *locks_backends_dir; /* where it shows that; the tests' is another one */
extern const char *locks_qemus_dir;    /* of xylemd's folders of QEMUs, likewise */
/* What cannot be released is logged. */
void locks_drop(struct disk_locks *locks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(disk_locks_t, locks_free)

/* ---- the calls of the driver table, by file ---- */
/* define.c */
virDomainPtr define_xml_flags(virConnectPtr conn, const char *xml, unsigned int flags);
virDomainPtr define_xml(virConnectPtr conn, const char *xml);
int define_undefine_flags(virDomainPtr dom, unsigned int flags);
int define_undefine(virDomainPtr dom);
/* A persistent guest is so no more. 0, or -1 with an error. The caller has the job. */
int define_forget(virDomainObj *vm);
int define_has_save(virDomainPtr dom, unsigned int flags);
int define_remove_save(virDomainPtr dom, unsigned int flags);
int define_get_autostart(virDomainPtr dom, int *autostart);
int define_set_autostart(virDomainPtr dom, int autostart);
char *define_get_xml(virDomainPtr dom, unsigned int flags);
int define_is_active(virDomainPtr dom);
int define_is_persistent(virDomainPtr dom);
int define_is_updated(virDomainPtr dom);
char *define_get_os_type(virDomainPtr dom);
virDomainPtr define_lookup_id(virConnectPtr conn, int id);
virDomainPtr define_lookup_uuid(virConnectPtr conn, const unsigned char *uuid);
virDomainPtr define_lookup_name(virConnectPtr conn, const char *name);
int define_list_ids(virConnectPtr conn, int *ids, int max);
int define_count_ids(virConnectPtr conn);
int define_list_names(virConnectPtr conn, char **const names, int max);
int define_count_names(virConnectPtr conn);
int define_list_all(virConnectPtr conn, virDomainPtr **domains, unsigned int flags);
/* Makes or removes the link by which a domain starts at boot; 0 or -1. */
int define_autostart_link(const char *name, bool on);
/* screen.c */
char *screen_shoot(virDomainPtr dom, virStreamPtr stream, unsigned int screen, unsigned int flags);
int screen_send_key(virDomainPtr dom, unsigned int codeset, unsigned int holdtime, unsigned int *keycodes,
                    int nkeycodes, unsigned int flags);
int screen_open(virDomainPtr dom, unsigned int index, int fd, unsigned int flags);
int screen_open_fd(virDomainPtr dom, unsigned int index, unsigned int flags);
/* meta.c */
int meta_set(virDomainPtr dom, int type, const char *metadata, const char *key, const char *uri,
             unsigned int flags);
char *meta_get(virDomainPtr dom, int type, const char *uri, unsigned int flags);
int meta_rename(virDomainPtr dom, const char *new_name, unsigned int flags);
int meta_control_info(virDomainPtr dom, virDomainControlInfoPtr info, unsigned int flags);
/* job.c */
void job_free(struct job *job);
int job_info(virDomainPtr dom, virDomainJobInfoPtr info);
int job_stats(virDomainPtr dom, int *type, virTypedParameterPtr *params, int *count, unsigned int flags);
int job_set_speed(virDomainPtr dom, unsigned long mib, unsigned int flags);
int job_get_speed(virDomainPtr dom, unsigned long *mib, unsigned int flags);
int job_set_downtime(virDomainPtr dom, unsigned long long ms, unsigned int flags);
int job_get_downtime(virDomainPtr dom, unsigned long long *ms, unsigned int flags);
/* convert.c */
char *convert_from_native(virConnectPtr conn, const char *format_name, const char *text, unsigned int flags);
char *convert_to_native(virConnectPtr conn, const char *format_name, const char *xml, unsigned int flags);
/* lifecycle.c */
/* Whether it ends with a client's connection. */
bool lifecycle_is_autodestroyed(virDomainObj *vm);
virDomainPtr lifecycle_create_xml(virConnectPtr conn, const char *xml, unsigned int flags);
int lifecycle_create_flags(virDomainPtr dom, unsigned int flags);
int lifecycle_create(virDomainPtr dom);
int lifecycle_suspend(virDomainPtr dom);
int lifecycle_resume(virDomainPtr dom);
int lifecycle_shutdown_flags(virDomainPtr dom, unsigned int flags);
int lifecycle_shutdown(virDomainPtr dom);
int lifecycle_reboot(virDomainPtr dom, unsigned int flags);
int lifecycle_destroy_flags(virDomainPtr dom, unsigned int flags);
int lifecycle_destroy(virDomainPtr dom);
int lifecycle_set_action(virDomainPtr dom, unsigned int type, unsigned int action, unsigned int flags);
int lifecycle_reset(virDomainPtr dom, unsigned int flags);
int lifecycle_inject_nmi(virDomainPtr dom, unsigned int flags);
int lifecycle_abort_job(virDomainPtr dom);
int lifecycle_abort_job_flags(virDomainPtr dom, unsigned int flags);
int lifecycle_get_state(virDomainPtr dom, int *state, int *reason, unsigned int flags);
/* Enters a definition into the list and begins a job; what is running already is refused. */
virDomainObj *lifecycle_add(virDomainDef **def);
/* Ends that; good: it has been started. */
void lifecycle_added(virDomainObj **vm, bool good);
/* What xylemd writes or reads of the guest ends: 0, or -1 with an error. Locked, unlocks meanwhile. */
int lifecycle_cancel(virDomainObj *vm);
/* save.c */
/* Starts the guest, which the caller has the job of: from its managed save if it has one; fresh: that is thrown away. */
int save_start(virDomainObj *vm, bool paused, bool fresh, int detail);
/* At the start of libvirtd: which guests have a managed save. What is not known by then is found out later; until then they are
 * taken to have one. */
void save_find_all(unsigned int wait_ms);
/* What became of a save that libvirtd, or xylemd, has not lived to see the end of. Locked, no job; events_work_fn. */
void save_recover(virDomainObj *vm, unsigned long life);
/*
 * The parts of a save, which a migration has too. -1 with an error. The caller has the job. Whether the guest can be saved;
 * done: what is done to it. The definition for who gets the guest, and the client's XML instead of it, if the guest's
 * devices are the same by it.
 */
int save_check(virDomainObj *vm, const char *done);
char *save_format(virDomainDef *def);
virDomainDef *save_changed_def(virDomainDef *def, const char *xml);
/* Writes its memory; unlocks the object meanwhile. The guest is suspended then. The caller has a slot, also for what follows. */
int save_write(virDomainObj *vm, int fd, unsigned int how);
bool save_is_suspended(const virDomainObj *vm);
/* The guest goes on, wherever the save has come to; unlocks the object meanwhile. False where xylemd cannot be asked; the
 * error stays what it was. */
bool save_go_on(virDomainObj *vm);
/* The guest, which is suspended or paused, ends here. Unlocks the object meanwhile. */
int save_end(virDomainObj *vm, int reason, int detail);
int save_to(virDomainPtr dom, const char *to);
int save_to_flags(virDomainPtr dom, const char *to, const char *dxml, unsigned int flags);
int save_params(virDomainPtr dom, virTypedParameterPtr params, int count, unsigned int flags);
int save_managed(virDomainPtr dom, unsigned int flags);
int save_restore(virConnectPtr conn, const char *from);
int save_restore_flags(virConnectPtr conn, const char *from, const char *dxml, unsigned int flags);
int save_restore_params(virConnectPtr conn, virTypedParameterPtr params, int count, unsigned int flags);
char *save_image_get_xml(virConnectPtr conn, const char *file, unsigned int flags);
int save_image_define(virConnectPtr conn, const char *file, const char *dxml, unsigned int flags);
/* dump.c */
int dump_core(virDomainPtr dom, const char *to, unsigned int flags);
int dump_core_format(virDomainPtr dom, const char *to, unsigned int format, unsigned int flags);
/* migrate.c */
char *migrate_begin(virDomainPtr dom, virTypedParameterPtr params, int count, char **cookie,
                    int *cookie_length, unsigned int flags);
int migrate_prepare(virConnectPtr conn, virTypedParameterPtr params, int count, const char *cookie_in,
                    int cookie_in_length, char **cookie, int *cookie_length, char **uri_out,
                    unsigned int flags);
int migrate_prepare_tunnel(virConnectPtr conn, virStreamPtr stream, virTypedParameterPtr params, int count,
                           const char *cookie_in, int cookie_in_length, char **cookie, int *cookie_length,
                           unsigned int flags);
int migrate_perform(virDomainPtr dom, const char *dest_uri, virTypedParameterPtr params, int count,
                    const char *cookie_in, int cookie_in_length, char **cookie, int *cookie_length,
                    unsigned int flags);
virDomainPtr migrate_finish(virConnectPtr conn, virTypedParameterPtr params, int count, const char *cookie_in,
                            int cookie_in_length, char **cookie, int *cookie_length, unsigned int flags,
                            int cancelled);
int migrate_confirm(virDomainPtr dom, virTypedParameterPtr params, int count, const char *cookie_in,
                    int cookie_in_length, unsigned int flags, int cancelled);
/* The guest was destroyed, or is to be while it is built: no client's next call is waited for. Whether one was. Locked, no
 * job; may unlock. */
bool migrate_release(virDomainObj *vm);
/* Ends a migration from here, whatever it has come to: 0; -1, without an error: there is none that could be ended. Locked;
 * unlocks the object meanwhile. */
int migrate_abort(virDomainObj *vm);
/* What became of a migration that libvirtd, or xylemd, has not lived to see the end of. As save_recover(). */
void migrate_recover(virDomainObj *vm, unsigned long life);
/* Whether guests are coming at this moment. */
bool migrate_busy(void);
/* save.c */
char *save_managed_get_xml(virDomainPtr dom, unsigned int flags);
int save_managed_define(virDomainPtr dom, const char *dxml, unsigned int flags);
/* devices.c */
int devices_attach_flags(virDomainPtr dom, const char *xml, unsigned int flags);
int devices_attach(virDomainPtr dom, const char *xml);
int devices_detach_flags(virDomainPtr dom, const char *xml, unsigned int flags);
int devices_detach(virDomainPtr dom, const char *xml);
int devices_update_flags(virDomainPtr dom, const char *xml, unsigned int flags);
int devices_resize(virDomainPtr dom, const char *path, unsigned long long size, unsigned int flags);
int devices_detach_alias(virDomainPtr dom, const char *alias, unsigned int flags);
/* Gives each disk and interface of a running guest the name by which clients and events mean it. */
void devices_name(virDomainDef *def);
/* net.c */
int net_set_parameters(virDomainPtr dom, const char *device, virTypedParameterPtr params, int count,
                       unsigned int flags);
int net_get_parameters(virDomainPtr dom, const char *device, virTypedParameterPtr params, int *count,
                       unsigned int flags);
int net_addresses(virDomainPtr dom, virDomainInterfacePtr **interfaces, unsigned int source,
                  unsigned int flags);
char *net_hostname(virDomainPtr dom, unsigned int flags);
/* tune.c */
int tune_set_vcpus_flags(virDomainPtr dom, unsigned int count, unsigned int flags);
int tune_set_vcpus(virDomainPtr dom, unsigned int count);
int tune_get_vcpus_flags(virDomainPtr dom, unsigned int flags);
int tune_get_max_vcpus(virDomainPtr dom);
int tune_pin_vcpu_flags(virDomainPtr dom, unsigned int vcpu, unsigned char *map, int map_bytes,
                        unsigned int flags);
int tune_pin_vcpu(virDomainPtr dom, unsigned int vcpu, unsigned char *map, int map_bytes);
int tune_get_pin_info(virDomainPtr dom, int count, unsigned char *maps, int map_bytes, unsigned int flags);
int tune_get_vcpus(virDomainPtr dom, virVcpuInfoPtr info, int count, unsigned char *maps, int map_bytes);
int tune_set_memory_flags(virDomainPtr dom, unsigned long kib, unsigned int flags);
int tune_set_memory(virDomainPtr dom, unsigned long kib);
int tune_set_max_memory(virDomainPtr dom, unsigned long kib);
unsigned long long tune_get_max_memory(virDomainPtr dom);
char *tune_get_scheduler_type(virDomainPtr dom, int *count);
int tune_get_scheduler_flags(virDomainPtr dom, virTypedParameterPtr params, int *count, unsigned int flags);
int tune_get_scheduler(virDomainPtr dom, virTypedParameterPtr params, int *count);
int tune_set_scheduler_flags(virDomainPtr dom, virTypedParameterPtr params, int count, unsigned int flags);
int tune_set_scheduler(virDomainPtr dom, virTypedParameterPtr params, int count);
/* stats.c */
int stats_get_info(virDomainPtr dom, virDomainInfoPtr info);
int stats_block(virDomainPtr dom, const char *path, virDomainBlockStatsPtr stats);
int stats_block_flags(virDomainPtr dom, const char *path, virTypedParameterPtr params, int *count,
                      unsigned int flags);
int stats_block_info(virDomainPtr dom, const char *path, virDomainBlockInfoPtr info, unsigned int flags);
int stats_interface(virDomainPtr dom, const char *device, virDomainInterfaceStatsPtr stats);
/* Of all CPUs together (start -1) only; the hypervisor does not count a guest's time on each. */
int stats_cpu(virDomainPtr dom, virTypedParameterPtr params, unsigned int count, int start, unsigned int cpus,
              unsigned int flags);
int stats_memory(virDomainPtr dom, virDomainMemoryStatPtr stats, unsigned int count, unsigned int flags);
int stats_all(virConnectPtr conn, virDomainPtr *doms, unsigned int count, unsigned int stats,
              virDomainStatsRecordPtr **records, unsigned int flags);
/* console.c */
int console_open(virDomainPtr dom, const char *device, virStreamPtr stream, unsigned int flags);
int console_open_channel(virDomainPtr dom, const char *name, virStreamPtr stream, unsigned int flags);
/* Reads the ttys' names from the store into the live definition; unlocks the object meanwhile. */
void console_find_ttys(virDomainObj *vm, unsigned int wait_ms);
/* Its next domain has others. */
void console_forget_ttys(virDomainDef *def);
/* Aliases, and the sockets of channels that have none: 0, or -1 with an error. */
int console_complete(virDomainDef *def);
/* host.c */
char *host_capabilities(virConnectPtr conn);
char *host_domain_capabilities(virConnectPtr conn, const char *emulator, const char *arch,
                               const char *machine, const char *type, unsigned int flags);
int host_node_info(virConnectPtr conn, virNodeInfoPtr info);
int host_max_vcpus(virConnectPtr conn, const char *type);
unsigned long long host_free_memory(virConnectPtr conn);
int host_cells_free(virConnectPtr conn, unsigned long long *free_bytes, int start, int max);
int host_cpu_map(virConnectPtr conn, unsigned char **map, unsigned int *online, unsigned int flags);
int host_version(virConnectPtr conn, unsigned long *version);
char *host_sysinfo(virConnectPtr conn, unsigned int flags);
int host_memory_stats(virConnectPtr conn, int cell, virNodeMemoryStatsPtr params, int *count,
                      unsigned int flags);
int host_security_model(virConnectPtr conn, virSecurityModelPtr model);
int host_free_pages(virConnectPtr conn, unsigned int size_count, unsigned int *sizes_kib, int start,
                    unsigned int max, unsigned long long *counts, unsigned int flags);
/* cpu.c */
int cpu_compare(virConnectPtr conn, const char *xml, unsigned int flags);
int cpu_compare_hypervisor(virConnectPtr conn, const char *emulator, const char *arch, const char *machine,
                           const char *type, const char *xml, unsigned int flags);
char *cpu_baseline(virConnectPtr conn, const char **xmls, unsigned int count, unsigned int flags);
char *cpu_baseline_hypervisor(virConnectPtr conn, const char *emulator, const char *arch, const char *machine,
                              const char *type, const char **xmls, unsigned int count, unsigned int flags);
int cpu_models(virConnectPtr conn, const char *name, char ***models, unsigned int flags);
int cpu_node_stats(virConnectPtr conn, int cpu, virNodeCPUStatsPtr params, int *count, unsigned int flags);

#endif
