/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: the hypervisor's log of the pages that a domain changes, begun and ended; xyl_domain_save_live_end() ends it, too. */
#ifndef XYLEM_LIBXENCTRL_DIRTYLOG_H
#define XYLEM_LIBXENCTRL_DIRTYLOG_H

#include "private.h"

/*
 * Begins it, anew where somebody who ended meanwhile has left it on. *on: it is to be ended, also after an error. Errors: ENOTSUP
 * the hypervisor has none; ENOMEM; ESRCH.
 */
XYL_HIDDEN int dirtylog_begin(struct xyl *x, uint32_t domid, bool *on) XYL_MUST_USE;
/* Ends it, behind what gave rc: that is returned, with its errno and its message; where it was 0, whether the log is off. */
XYL_HIDDEN int dirtylog_finish(struct xyl *x, uint32_t domid, int rc) XYL_MUST_USE;

#endif
