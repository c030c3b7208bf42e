/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much of its memory a guest changes; see dirtyrate.c. */
#ifndef XYLEM_DIRTYRATE_H
#define XYLEM_DIRTYRATE_H

#include "internal.h"
#include "domain_conf.h"

#include "virtypedparam.h"

int dirtyrate_start(virDomainPtr dom, int seconds, unsigned int flags);
/* What is known of it, of a guest that runs; the object is locked. */
void dirtyrate_add_stats(virTypedParamList *list, virDomainObj *vm);
/* Whether a thread still waits for xylemd, which uses the driver. */
bool dirtyrate_busy(void);

#endif
