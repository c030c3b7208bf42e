/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xylemd's socket. */
#ifndef XYLEM_MONITOR_H
#define XYLEM_MONITOR_H

#include "internal.h"

#include <xenctrl.h>

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
/* Limits of a live save (docs/xylemd-protocol.md). */
struct monitor_limits {
	unsigned long long bandwidth; /* bytes per second, 0: no limit */
	unsigned long long max_downtime_us;
	unsigned int throttle_initial,
	        throttle_increment; /* percent; 0: it is not throttled; xylemd's default */
};
/* Before it or while it is under way. */
int monitor_set_migration(struct monitor *m, const char *handle, const struct monitor_limits *limits);
/* A core file; live: the guest runs on meanwhile. */
int monitor_dump(struct monitor *m, const char *handle, int file, bool live);
/* How many of its pages it changes in so many microseconds, and in how many they were counted; an xylemd that is at other work for
 * the guest is waited for a while more. */
int monitor_dirty_rate(struct monitor *m, const char *handle, unsigned long long duration_us,
                       unsigned long long *pages, unsigned long long *elapsed_us);
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
/* Of that disk, all of them: an a{st}. */
int monitor_set_disk_limits(struct monitor *m, const char *handle, const char *vdev, GVariant *limits);
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

#endif
