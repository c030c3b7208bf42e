/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hypercalls with their arguments and the fields of their structures at the edges of their ranges. One description for
 * two users: the host test of the pure core (tests/unit/hv/test_hypercall_edges.c) and the PV guest (tests/guests/tests/
 * hypercall-edges.c). What is made depends on the seed and on what the caller says of himself alone.
 */
#ifndef EDGES_H
#define EDGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGES_FRAMES 8

/* What a caller owns and may name; the edges come by themselves. */
struct edges_env {
	uint64_t seed;
	uint8_t *mem; /* where arguments are written */
	uint64_t
	        base; /* the same memory as a hypercall's argument; what follows its size bytes is not mapped */
	uint32_t size;
	uint32_t used; /* of mem, by the call that is made */
	bool privileged;
	uint64_t pages[EDGES_FRAMES];   /* frames that may be lost */
	uint64_t tables[EDGES_FRAMES];  /* frames that are or may become tables of level 1 .. 4, in turn */
	uint64_t foreign[EDGES_FRAMES]; /* of other domains and of the hypervisor */
	uint64_t root;                  /* an L4 that the caller can live on */
	uint64_t va[EDGES_FRAMES];      /* addresses that may be remapped */
	uint64_t code[EDGES_FRAMES];    /* addresses of code, to be entered at any time */
	uint16_t domids[4];             /* of all domains that exist */
	uint32_t vcpus;                 /* of the caller's */
	uint64_t now_ns;
};

struct edges_call {
	const char *name;
	uint32_t op; /* index of the operation: below edges_op_count() */
	uint32_t number;
	uint64_t arg[6];
};

unsigned edges_op_count(void);
const char *edges_op_name(unsigned op);
uint32_t edges_random(struct edges_env *e, uint32_t n);
/* A value at an edge of something. */
uint64_t edges_value(struct edges_env *e);
/* Whether an edge is the number of this frame, or an address in it. */
bool edges_name_frame(uint64_t mfn);
/* Makes a call: of that operation, or of any where op is ~0. */
void edges_make(struct edges_env *e, uint32_t op, struct edges_call *c);

#endif
