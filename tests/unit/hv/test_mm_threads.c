/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Four threads as vcpus of two domains change types, tables and ownership of the same frames at once. What
 * each does may succeed or be refused; at the end every count must be exact and all memory must come back.
 */
#include "mm/internal.h"
#include "fake/dom.h"
#include "mm/audit.h"
#include "mm/heap.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include <pthread.h>

#define POOL    24 /* frames of each domain */
#define THREADS 4

static uint64_t pool[2][POOL];
static unsigned long rounds = 40000, done[THREADS], built[THREADS], refused[THREADS];

struct random {
	uint64_t state;
};

static unsigned next(struct random *r, unsigned n)
{
	r->state = r->state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(r->state >> 33) % n;
}

static mfn_t pick(struct random *r, unsigned d)
{
	return MFN(READ_ONCE(pool[d][next(r, POOL)]));
}

static void store(struct domain_mm *d, mfn_t mfn, unsigned index, uint64_t value)
{
	if (frame_get_type(mfn, d, PTYPE_WRITABLE))
		return;
	WRITE_ONCE(((uint64_t *)mfn_map_own(mfn))[index], value);
	frame_put_type(mfn);
}

static int until_done(struct domain_mm *d, mfn_t mfn, enum ptype level, bool pin)
{
	int rc;

	do {
		rc = pin ? pt_pin(d, mfn, level) : pt_get(d, mfn, level, true);
	} while (rc == -ERESTART_HV);
	return rc;
}

static void use_tree(struct random *r, struct domain_mm *d, unsigned which, unsigned long *count,
                     unsigned long *refusals)
{
	uint64_t flags = PTE_P | PTE_US | PTE_RW;
	mfn_t t[4];

	for (unsigned i = 0; i < 4; i++)
		t[i] = pick(r, which);
	store(d, t[0], next(r, 4), pick(r, which).m << PAGE_SHIFT | PTE_P | (next(r, 2) ? PTE_RW : 0));
	for (unsigned i = 1; i < 4; i++)
		store(d, t[i], next(r, 3), t[i - 1].m << PAGE_SHIFT | flags);
	if (until_done(d, t[3], PTYPE_L4, false))
		return;
	(*count)++;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t e =
		        next(r, 3) ? pick(r, which).m << PAGE_SHIFT | PTE_P | (next(r, 2) ? PTE_RW : 0) : 0;

		*refusals += !!pt_entry_write(d, d, MADDR(t[i % 3].m << PAGE_SHIFT | next(r, 4) * 8), e,
		                              next(r, 2) ? PT_WRITE : PT_WRITE_PRESERVE_AD, NULL);
	}
	if (pt_put(d, t[3], next(r, 2)))
		abort();
}

static void *vcpu_main(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg, which = self % 2;
	struct domain_mm *d = &fake_domains[which].mm, *other = &fake_domains[!which].mm;
	struct random r = { 7919 * (self + 1) };

	fake_set_cpu(self);
	for (unsigned long i = 0; i < rounds; i++, done[self]++) {
		mfn_t mfn = pick(&r, which), fresh;
		enum ptype type = next(&r, 2) ? PTYPE_WRITABLE : PTYPE_SEGDESC;

		switch (next(&r, 6)) {
		case 0:
			use_tree(&r, d, which, &built[self], &refused[self]);
			break;
		case 1:
			if (!until_done(d, mfn, PTYPE_L1 + next(&r, 4), true))
				refused[self] += !!pt_unpin(d, mfn); /* or the other vcpu was quicker */
			break;
		case 2:
			if (!frame_get_type(mfn, d, type))
				frame_put_type(mfn);
			break;
		case 3:
			/* The other domain's frame: general, and through a mapping of ours. */
			mfn = pick(&r, !which);
			if (frame_get(mfn, other))
				frame_put(mfn);
			break;
		case 4:
			if (!domain_frame_release(d, mfn) && !domain_frame_alloc(d, 0, 0, &fresh))
				for (unsigned n = 0; n < POOL; n++) {
					uint64_t old = mfn.m;

					if (word_cas(&pool[which][n], &old, fresh.m))
						break;
				}
			break;
		default:
			if (!domain_frame_steal(d, mfn))
				domain_frame_return(d, mfn);
			break;
		}
	}
	return NULL;
}

int main(void)
{
	struct domain_mm *domains[2] = { &fake_domains[0].mm, &fake_domains[1].mm };
	pthread_t threads[THREADS];
	unsigned long total = 0, trees = 0;
	uint64_t free_before;
	bool good = true;

	tap_plan(4);
	fake_init(1024, 0);
	fake_tlb_enable(false);
	free_before = heap_free_pages();
	for (unsigned d = 0; d < 2; d++) {
		fake_domain_create(d, 200);
		for (unsigned i = 0; i < POOL; i++) {
			mfn_t mfn;

			if (domain_frame_alloc(domains[d], 0, 0, &mfn))
				abort();
			pool[d][i] = mfn.m;
		}
	}
	fake_preempt = 3;
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, vcpu_main, (void *)(uintptr_t)i))
			abort();
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		total += done[i];
		trees += built[i];
	}
	tap_ok(total == THREADS * rounds, "all vcpus came to their end");
	printf("# %lu trees were in use\n", trees);
	tap_ok(trees > 10, "trees were built meanwhile");
	tap_ok(mm_audit(domains, 2, NULL, 0, true) == 0, "every count is exact");
	for (unsigned d = 0; d < 2; d++) {
		while (domain_mm_relinquish(domains[d]) == -ERESTART_HV)
			;
		good &= !domains[d]->tot_pages;
		domain_mm_destroy(domains[d]);
	}
	tap_ok(good && heap_free_pages() == free_before, "all memory is back");
	return tap_end();
}
