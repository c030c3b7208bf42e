/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The release of Xen whose public headers the hypervisor is built with, and whose tools it serves: its number, and what the
 * headers of one release have and those of another have not. One file for each, found by the control interface's version.
 */
#ifndef LIB_RELEASE_H
#define LIB_RELEASE_H

#include <xen/domctl.h>

#if XEN_DOMCTL_INTERFACE_VERSION == 0x17
#include "lib/release_4_20.h"
#else
#include "lib/release_4_17.h"
#endif

#endif
