/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest begins and ends. */
#ifndef XYLEM_PROCESS_H
#define XYLEM_PROCESS_H

#include "internal.h"
#include "domain_conf.h"

#include <xenctrl.h>

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

#endif
