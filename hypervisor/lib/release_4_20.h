/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xen 4.20: domctl 0x17, sysctl 0x15 (Debian 13). */
#ifndef LIB_RELEASE_4_20_H
#define LIB_RELEASE_4_20_H

#include "lib/types.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#define XEN_RELEASE_MAJOR 4
#define XEN_RELEASE_MINOR 20

/* Options of a new domain that this release has besides: a paravirtual one has no alternative page tables. */
static inline bool release_options_good(const struct xen_domctl_createdomain *c)
{
	return !c->altp2m_opts;
}

/* Flags of a live patch's operation, or that there are none. */
static inline bool release_livepatch_good(const struct xen_sysctl_livepatch_op *q)
{
	return !(q->flags & ~LIVEPATCH_FLAGS_MASK);
}

/* A command of xen_version that gives a text of any length: the one that gives the same cut off; -1 for others. */
static inline int release_long_text(uint32_t command)
{
	switch (command) {
	case XENVER_extraversion2:
		return XENVER_extraversion;
	case XENVER_capabilities2:
		return XENVER_capabilities;
	case XENVER_changeset2:
		return XENVER_changeset;
	case XENVER_commandline2:
		return XENVER_commandline;
	}
	return -1;
}

#endif
