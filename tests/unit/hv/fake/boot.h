/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What boot/dom0.c and the vcpus of the real pv/ need of hw/ and of the rest of pv/, beside fake/machine.h: nobody runs
 * yet. And who takes memory away.
 */
#ifndef FAKE_BOOT_H
#define FAKE_BOOT_H

#include "lib/types.h"

#define FAKE_SERIAL_PORT 0x3f8
#define FAKE_EATEN_MAX   40960

/* Takes free memory, in blocks of at most that order, until so many frames are left. */
void fake_eat(uint64_t leave, int order);
/* And what small objects fit into slabs that there are. */
void fake_eat_small(void);
void fake_give_back(void);
/* The blocks that were taken; who frees parts of them says so here. */
extern struct fake_block {
	mfn_t first;
	unsigned order;
} fake_eaten[FAKE_EATEN_MAX];
extern unsigned fake_eaten_count;

#endif
