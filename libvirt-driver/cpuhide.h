/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <cpu><feature>: what a guest does not see of the host's CPU. */
#ifndef XYLEM_CPUHIDE_H
#define XYLEM_CPUHIDE_H

#include "internal.h"
#include "cpu_conf.h"

/* Xylemd's cpu_hidden, floating; NULL where nothing is hidden. Of features that cpuhide_check() takes. */
GVariant *cpuhide_variant(const virCPUDef *cpu);
/* -1 with an error that names the feature. */
int cpuhide_check(const virCPUDef *cpu);

#endif
