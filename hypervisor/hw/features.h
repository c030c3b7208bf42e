/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this processor can do: found on the first CPU, and held against it on the others. */
#ifndef HW_FEATURES_H
#define HW_FEATURES_H

#include "lib/types.h"

void cpu_features_init(void); /* CPUID of the boot CPU */
/* In cpu_init(): guests, dom0 too, see what their policy says, by whichever way they ask. Where a CPU refuses it, it is no
 * feature of the machine's. */
void cpu_features_enforce(void);
bool cpu_features_match(void); /* each other CPU: whether it has what the first one has */

#endif
