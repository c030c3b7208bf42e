/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this processor can do: found on the first CPU, and held against it on the others. */
#ifndef HW_FEATURES_H
#define HW_FEATURES_H

#include "lib/types.h"

void cpu_features_init(void);  /* CPUID of the boot CPU */
bool cpu_features_match(void); /* each other CPU: whether it has what the first one has */

#endif
