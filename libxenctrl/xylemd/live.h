/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of a running guest, which hold after its restart. */
#ifndef XYLEMD_LIVE_H
#define XYLEMD_LIVE_H

#include "guest.h"

void op_set_memory(struct op *op);
void op_set_vcpus(struct op *op);
void op_set_scheduler(struct op *op);
void op_set_affinity(struct op *op);
void op_set_link(struct op *op);
void op_release_nic(struct op *op);
void op_set_policy(struct op *op);
void op_set_opaque(struct op *op);
void op_pause(struct op *op);
void op_unpause(struct op *op);

#endif
