/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: what build.c needs of kernel.c. */
#ifndef XYLEM_LIBXENCTRL_KERNEL_H
#define XYLEM_LIBXENCTRL_KERNEL_H

#include "private.h"
#include "hypervisor/lib/pvbuild.h"

/* The errno value that stands for an error of the PV builder. */
XYL_HIDDEN int xyl_kernel_errno(int pv_error);

#endif
