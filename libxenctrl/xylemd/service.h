/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The calls of xylemd's socket. */
#ifndef XYLEMD_SERVICE_H
#define XYLEMD_SERVICE_H

#include "xylemd1.h"

void service_start(XdXylemd1 *service);

#endif
