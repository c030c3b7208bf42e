/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty logs, a tree of three levels: 256 branches, 512 leaves on each, 32,768 bits on a leaf. Branches and leaves are made
 * when a log is switched on and stay until the domain goes, so that a bit can be set without a lock from any context. A pfn
 * beyond what was made has no bit: the toolstack sized the log by what the guest said of itself, and a page whose number
 * it did not mention is no page that can be copied.
 */
#include "mm/dirtylog.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "mm/heap.h"

#define BRANCHES    256
#define LEAVES      512 /* of a branch */
#define LEAF_PFNS   (PAGE_SIZE * 8)
#define LEAF_WORDS  (PAGE_SIZE / sizeof(uint64_t))
#define BRANCH_PFNS (LEAVES * LEAF_PFNS)

struct dirty_log {
	uint64_t limit;              /* a multiple of LEAF_PFNS */
	uint64_t **branch[BRANCHES]; /* [LEAVES], each [LEAF_WORDS] */
};

unsigned dirty_logs;

int dirty_log_make(struct domain_mm *d, uint64_t count)
{
	struct dirty_log *log = d->log;

	if (!log)
		d->log = log = hv_alloc(sizeof(*log));
	if (!log)
		return -ENOMEM;
	count = MIN(count, BRANCHES * BRANCH_PFNS);
	while (log->limit < count) {
		uint64_t ***branch = &log->branch[log->limit / BRANCH_PFNS], *leaf;

		if (!*branch)
			*branch = hv_alloc(LEAVES * sizeof(**branch));
		leaf = *branch ? hv_alloc(PAGE_SIZE) : NULL;
		if (!leaf)
			return -ENOMEM;
		(*branch)[log->limit / LEAF_PFNS % LEAVES] = leaf;
		__atomic_store_n(&log->limit, log->limit + LEAF_PFNS, __ATOMIC_RELEASE);
		if (log->limit % (64 * LEAF_PFNS) == 0 && work_pending())
			return -ERESTART_HV;
	}
	return 0;
}

void dirty_log_start(struct domain_mm *d)
{
	if (d->logged)
		return;
	__atomic_fetch_add(&dirty_logs, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&d->logged, true, __ATOMIC_SEQ_CST);
}

void dirty_log_stop(struct domain_mm *d)
{
	if (!d->logged)
		return;
	__atomic_store_n(&d->logged, false, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&dirty_logs, 1, __ATOMIC_SEQ_CST);
}

void dirty_log_free(struct domain_mm *d)
{
	struct dirty_log *log = d->log;

	dirty_log_stop(d);
	d->log = NULL;
	for (unsigned i = 0; log && i < BRANCHES; i++) {
		for (unsigned j = 0; log->branch[i] && j < LEAVES; j++)
			hv_free(log->branch[i][j]);
		hv_free(log->branch[i]);
	}
	hv_free(log);
}

uint64_t dirty_log_limit(const struct domain_mm *d)
{
	return d->log ? __atomic_load_n(&d->log->limit, __ATOMIC_ACQUIRE) : 0;
}

/* Where the bit of a pfn stands, or NULL. */
static uint64_t *word_of(const struct domain_mm *d, uint64_t pfn)
{
	uint64_t limit = dirty_log_limit(d);

	if (pfn >= limit)
		return NULL;
	pfn = index_nospec(pfn, limit);
	return d->log->branch[pfn / BRANCH_PFNS][pfn / LEAF_PFNS % LEAVES] + pfn / BITS_PER_WORD % LEAF_WORDS;
}

uint64_t dirty_log_word(struct domain_mm *d, uint64_t first, bool clear)
{
	uint64_t *word = word_of(d, first);

	if (!word || !READ_ONCE(*word))
		return 0;
	return clear ? __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST) : READ_ONCE(*word);
}

void dirty_log_restore(struct domain_mm *d, uint64_t first, uint64_t bits)
{
	uint64_t *word = word_of(d, first);

	if (word && bits)
		__atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

void dirty_log_mark(struct domain_mm *d, mfn_t mfn)
{
	uint64_t pfn, *word;

	if (!READ_ONCE(d->logged))
		return;
	pfn = m2p_get(mfn);
	word = word_of(d, pfn);
	/* Also where it is set: the store that is logged comes before whoever clears it now. */
	if (word)
		__atomic_fetch_or(word, 1ull << pfn % BITS_PER_WORD, __ATOMIC_SEQ_CST);
}

bool dirty_log_is_marked(const struct domain_mm *d, mfn_t mfn)
{
	uint64_t pfn = m2p_get(mfn), *word = READ_ONCE(d->logged) ? word_of(d, pfn) : NULL;

	return !word || (READ_ONCE(*word) & 1ull << pfn % BITS_PER_WORD);
}

void dirty_log_frame(mfn_t mfn)
{
	struct domain_mm *owner = frame_owner(mfn);

	if (owner)
		dirty_log_mark(owner, mfn);
}
