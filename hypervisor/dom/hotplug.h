/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUs that are taken out of use, and put back. */
#ifndef DOM_HOTPLUG_H
#define DOM_HOTPLUG_H

#include "lib/types.h"

/* domctl_lock, for all. 0; -EINVAL: no such CPU, or CPU 0, which stays; -EEXIST: it is so already; -ENODEV: it is in a pool
 * other than Pool-0; -ERESTART_HV. */
int cpu_take_out(unsigned cpu) __must_check;
int cpu_put_back(unsigned cpu) __must_check;

#endif
