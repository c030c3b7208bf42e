/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether this CPU is inside of an interrupt handler. */
#ifndef HW_IRQ_CONTEXT_H
#define HW_IRQ_CONTEXT_H

#include "lib/types.h"

bool irq_context_active(void);

#endif
