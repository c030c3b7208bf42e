/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations of hypercall/sysctl.c that are files of their own. */
#ifndef HYPERCALL_SYSCTL_H
#define HYPERCALL_SYSCTL_H

#include "lib/types.h"
#include <xen/sysctl.h>

/* 0, -EFAULT, -E2BIG, -ENOMEM, -EIO (the audit found something), -ERESTART_HV. */
int debug_keys(const struct xen_sysctl_debug_keys *k) __must_check;
/* XEN_SYSCTL_get_pmstat and XEN_SYSCTL_pm_op. */
int pm_stat(struct xen_sysctl_get_pmstat *q) __must_check;
int pm_op(struct xen_sysctl_pm_op *q) __must_check;
/* domctl_lock. */
int sysctl_cpupool(struct xen_sysctl_cpupool_op *q) __must_check;
int tbuf_op(struct xen_sysctl_tbuf_op *q) __must_check;
/* tbuf_size= and tevt_mask=: records from now on, before there is a dom0. pages of each buffer, 0: none; events 0: all.
 * Interrupts on. */
void tbuf_start(unsigned pages, uint32_t events);

#endif
