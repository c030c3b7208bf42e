/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xen 4.17: domctl and sysctl 0x15 (Debian 12). lib/release_4_20.h tells what each is for. */
#ifndef LIB_RELEASE_4_17_H
#define LIB_RELEASE_4_17_H

#include "lib/types.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

_Static_assert(XEN_DOMCTL_INTERFACE_VERSION == 0x15, "the headers of another release want a file like this");

#define XEN_RELEASE_MAJOR 4
#define XEN_RELEASE_MINOR 17

static inline bool release_options_good(const struct xen_domctl_createdomain *c)
{
	(void)c;
	return true;
}

static inline bool release_livepatch_good(const struct xen_sysctl_livepatch_op *q)
{
	return !q->pad;
}

static inline int release_long_text(uint32_t command)
{
	(void)command;
	return -1;
}

#endif
