/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Saved guests: files that clients name, and managed saves. */
#ifndef XYLEM_SAVE_H
#define XYLEM_SAVE_H

#include "internal.h"
#include "domain_conf.h"

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
char *save_managed_get_xml(virDomainPtr dom, unsigned int flags);
int save_managed_define(virDomainPtr dom, const char *dxml, unsigned int flags);

#endif
