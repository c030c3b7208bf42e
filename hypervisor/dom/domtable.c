/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of domains by number, and references to them.
 *
 * A domain is found as long as it is in the table, that is until its last reference goes. Every guest can ask for
 * domains as often as it likes (grants, event channels), so that a look-up takes no lock:
 *
 *  1. with interrupts off, the pointer is read from the table and the reference is taken, unless there is none left;
 *  2. whoever frees a domain takes it out of the table first and then calls all CPUs (domtable_wait()). A CPU answers
 *     with interrupts on, so that it is in no look-up then, and any later one does not find the domain.
 *
 * Memory of a domain is therefore valid as long as a CPU that found it is between 1's two steps. A bit per number
 * tells which are in use, for whoever walks all of them.
 */
#include "dom/domtable.h"
#include "dom/domain.h"
#include "hw/cpu.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "lib/log.h"

static struct domain *table[DOMID_FIRST_RESERVED];        /* atomic */
static uint64_t used[BITMAP_WORDS(DOMID_FIRST_RESERVED)]; /* set after, cleared before the entry; atomic */

int domtable_add(struct domain *d)
{
	struct domain *none = NULL;

	if (!__atomic_compare_exchange_n(&table[d->domid], &none, d, false, __ATOMIC_SEQ_CST,
	                                 __ATOMIC_SEQ_CST))
		return -EEXIST;
	bit_set(used, d->domid);
	return 0;
}

void domtable_remove(struct domain *d)
{
	bit_clear(used, d->domid);
	__atomic_store_n(&table[d->domid], NULL, __ATOMIC_SEQ_CST);
}

static void nothing(void *arg)
{
	(void)arg;
}

void domtable_wait(void)
{
	cpu_call(&cpus_online, nothing, NULL);
}

static bool ref_unless_zero(struct domain *d)
{
	int n = READ_ONCE(d->refcount);

	while (n > 0)
		if (__atomic_compare_exchange_n(&d->refcount, &n, n + 1, false, __ATOMIC_SEQ_CST,
		                                __ATOMIC_SEQ_CST))
			return true;
	return false;
}

struct domain *domain_get(uint16_t domid)
{
	struct domain *d;
	uint64_t flags;

	if (domid >= DOMID_FIRST_RESERVED)
		return NULL;
	domid = (uint16_t)index_nospec(domid, DOMID_FIRST_RESERVED);
	flags = irq_save();
	d = __atomic_load_n(&table[domid], __ATOMIC_SEQ_CST);
	if (d && !ref_unless_zero(d))
		d = NULL;
	irq_restore(flags);
	return d;
}

struct domain *domain_get_next(uint16_t domid)
{
	unsigned id;

	for (id = bit_next(used, DOMID_FIRST_RESERVED, domid); id < DOMID_FIRST_RESERVED;
	     id = bit_next(used, DOMID_FIRST_RESERVED, id + 1)) {
		struct domain *d = domain_get((uint16_t)id);

		if (d)
			return d;
	}
	return NULL;
}

unsigned domain_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BITMAP_WORDS(DOMID_FIRST_RESERVED); i++)
		for (uint64_t word = READ_ONCE(used[i]); word; word &= word - 1)
			n++;
	return n;
}

void domain_ref(struct domain *d)
{
	int n = __atomic_fetch_add(&d->refcount, 1, __ATOMIC_SEQ_CST);

	CHECK(n > 0);
}
