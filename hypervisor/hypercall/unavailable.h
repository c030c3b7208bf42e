/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is not there, with the number that Xen refuses it by. */
#ifndef HYPERCALL_UNAVAILABLE_H
#define HYPERCALL_UNAVAILABLE_H

#include "dom/domain.h"
#include "lib/types.h"
#include <xen/sysctl.h>

int domctl_unavailable(struct domain *d, struct xen_domctl *op, bool *out) __must_check;
/* The same for a domain that there is not: 0, or -ESRCH but for the few operations that name none. */
int domctl_without_domain(struct xen_domctl *op, bool *out) __must_check;
int sysctl_unavailable(struct xen_sysctl *op) __must_check;

#endif
