/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects, jobs, slots, hooks. */
#ifndef XYLEM_DOMAIN_H
#define XYLEM_DOMAIN_H

#include "internal.h"
#include "domain_conf.h"

#include "object_event.h"
#include "virdomainjob.h"
#include "viruuid.h"
#include "xylem.h"

#include <xenctrl.h>

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
/* The same with the word of xylemd that it has ended (XYL_SHUTDOWN_*): the hypervisor may have it as dying already. */
void domain_ended(virDomainObj *vm, unsigned int domid, int shutdown_reason);
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

#endif
