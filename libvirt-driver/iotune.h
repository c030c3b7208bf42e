/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of a disk's requests, of the running guest and of its definition. */
#ifndef XYLEM_IOTUNE_H
#define XYLEM_IOTUNE_H

#include "internal.h"

/* path: target or source of a disk. What is said of bytes or of requests a second, in all or of one direction, stands for all three. */
int iotune_set(virDomainPtr dom, const char *path, virTypedParameterPtr params, int count,
               unsigned int flags);
int iotune_get(virDomainPtr dom, const char *path, virTypedParameterPtr params, int *count,
               unsigned int flags);

#endif
