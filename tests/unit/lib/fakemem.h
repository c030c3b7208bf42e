/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's memory in a test: pages of the host's heap, filled with a pattern, with scattered machine
 * frames. The map callback counts what is mapped, so that a leak or a third mapping at once fails.
 */
#ifndef XYLEM_TEST_FAKEMEM_H
#define XYLEM_TEST_FAKEMEM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/lib/pvbuild.h"

#define FAKEMEM_BASE    0x123456u /* frames begin somewhere */
#define FAKEMEM_PATTERN 0xc2

struct fakemem {
	uint64_t pages;      /* of the domain */
	uint64_t used_pages; /* those that may be mapped */
	uint8_t *memory;
	unsigned mapped;
	unsigned mapped_most;
	uint64_t fail_at; /* the map callback fails at this call, counted from 1; 0: never */
	uint64_t maps;
};

/* Pairs of frames are swapped, so that order in pfns is not order in mfns. */
static inline uint64_t fakemem_mfn(void *ctx, uint64_t pfn)
{
	struct fakemem *m = ctx;

	if (pfn >= m->pages)
		abort();
	return FAKEMEM_BASE + (pfn ^ 1);
}

static inline void fakemem_mfns(void *ctx, uint64_t pfn, uint64_t count, uint64_t *out)
{
	for (uint64_t i = 0; i < count; i++)
		out[i] = fakemem_mfn(ctx, pfn + i);
}

static inline uint64_t fakemem_pfn(uint64_t mfn)
{
	return (mfn - FAKEMEM_BASE) ^ 1;
}

static inline void *fakemem_map(void *ctx, uint64_t pfn)
{
	struct fakemem *m = ctx;

	if (pfn >= m->used_pages)
		abort();
	if (++m->maps == m->fail_at)
		return NULL;
	if (++m->mapped > m->mapped_most)
		m->mapped_most = m->mapped;
	return m->memory + pfn * PV_PAGE_BYTES;
}

static inline void fakemem_unmap(void *ctx, uint64_t pfn, void *page)
{
	struct fakemem *m = ctx;

	if (page != m->memory + pfn * PV_PAGE_BYTES || !m->mapped)
		abort();
	m->mapped--;
}

static inline struct pv_ops fakemem_ops(struct fakemem *m)
{
	return (struct pv_ops){ .ctx = m, .map = fakemem_map, .unmap = fakemem_unmap, .mfns = fakemem_mfns };
}

static inline void fakemem_init(struct fakemem *m, uint64_t pages, uint64_t used_pages)
{
	memset(m, 0, sizeof(*m));
	m->pages = pages;
	m->used_pages = used_pages;
	m->memory = malloc(used_pages * PV_PAGE_BYTES);
	if (!m->memory)
		abort();
	memset(m->memory, FAKEMEM_PATTERN, used_pages * PV_PAGE_BYTES);
}

#endif
