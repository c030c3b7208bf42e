/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical interrupts as guests see them.
 *
 * A domain maps a pirq (its own number) to an irq (hw/irq.h), then binds it to an event channel. A
 * level-triggered line may be bound by several guests: it is masked from the interrupt until each of them has
 * said EOI.
 *
 * Locks: a line's lock (RANK_PIRQ, irqsave) guards its guests and who still owes an EOI; the handler takes
 * it. The mapping is guarded by the table's lock (RANK_PIRQ too; never held together with a line's). The
 * caller of pirq_bind and pirq_unbind holds the domain's event channel lock: those two cannot race for one
 * domain.
 */
#include "dom/pirq.h"
#include "dom/evtchn.h"
#include "hw/msi.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "mm/dirtylog.h"
#include "mm/heap.h"
#include "hw/irq.h"
#include "mm/ptype.h"
#include "mm/validate.h"

#define LINE_GUESTS 7

struct pirq {
	int irq;                       /* -1: not mapped; -2: number reserved */
	unsigned msi_first, msi_count; /* of the group that was set up together; count 0: a GSI */
	bool bound;                    /* set under the table's lock; evtchn lock too */
};

struct pirq_table {
	spinlock_t lock;
	struct pirq pirq[PIRQS_MAX];
	uint64_t *eoi_map; /* the guest's page; bit set: needs EOI. Atomic */
	mfn_t eoi_mfn;
	bool eoi_unmasks;
	uint64_t permitted[BITMAP_WORDS(IRQ_MAX)];
};

struct line {
	spinlock_t lock;
	unsigned guest_count;
	struct {
		struct domain *d;
		unsigned pirq;
		bool owes_eoi;
	} guest[LINE_GUESTS];
	bool claimed; /* irq_bind() succeeded or is on its way */
};

static struct line lines[IRQ_MAX];

/* ---- lines ---- */

static void line_interrupt(unsigned irq, void *data)
{
	struct line *l = data;
	bool level = irq_is_level(irq);
	uint64_t flags = spin_lock_irqsave(&l->lock);

	for (unsigned i = 0; i < l->guest_count; i++) {
		l->guest[i].owes_eoi = level;
		evtchn_raise_pirq(l->guest[i].d, l->guest[i].pirq);
	}
	if (level && !l->guest_count)
		irq_eoi(irq);
	spin_unlock_irqrestore(&l->lock, flags);
}

/* A domain may have the line under more than one number: each is one of its guests. */
static bool line_guest_is(const struct line *l, unsigned i, const struct domain *d, unsigned pirq)
{
	return l->guest[i].d == d && l->guest[i].pirq == pirq;
}

/* Line locked. */
static void line_eoi(struct line *l, unsigned irq, const struct domain *d, unsigned pirq)
{
	bool owed = false, did = false;

	for (unsigned i = 0; i < l->guest_count; i++) {
		if (line_guest_is(l, i, d, pirq)) {
			did = l->guest[i].owes_eoi;
			l->guest[i].owes_eoi = false;
		}
		owed |= l->guest[i].owes_eoi;
	}
	if (did && !owed)
		irq_eoi(irq);
}

static int line_add(unsigned irq, struct domain *d, unsigned pirq, bool share)
{
	struct line *l = &lines[irq];
	uint64_t flags = spin_lock_irqsave(&l->lock);
	bool first = !l->guest_count;
	int rc = 0;

	if (first ? l->claimed : !share || l->guest_count == LINE_GUESTS) {
		rc = -EBUSY;
	} else {
		l->guest[l->guest_count].d = d;
		l->guest[l->guest_count].pirq = pirq;
		l->guest[l->guest_count].owes_eoi = false;
		l->guest_count++;
		l->claimed = true;
	}
	spin_unlock_irqrestore(&l->lock, flags);
	if (rc || !first)
		return rc;
	rc = irq_bind(irq, line_interrupt, l);
	if (!rc) {
		irq_unmask(irq);
		return 0;
	}
	flags = spin_lock_irqsave(&l->lock);
	l->guest_count = 0;
	l->claimed = false;
	spin_unlock_irqrestore(&l->lock, flags);
	return rc;
}

static void line_remove(unsigned irq, struct domain *d, unsigned pirq)
{
	struct line *l = &lines[irq];
	uint64_t flags = spin_lock_irqsave(&l->lock);
	bool last;

	/* Masked while somebody owes its EOI: what asserts it all the time would leave this CPU no time for anything else. */
	if (l->guest_count == 1 && line_guest_is(l, 0, d, pirq))
		irq_mask(irq);
	line_eoi(l, irq, d, pirq);
	for (unsigned i = 0; i < l->guest_count; i++) {
		if (!line_guest_is(l, i, d, pirq))
			continue;
		l->guest[i] = l->guest[--l->guest_count];
		break;
	}
	last = !l->guest_count && l->claimed;
	spin_unlock_irqrestore(&l->lock, flags);
	if (!last)
		return;
	irq_unbind(irq);
	flags = spin_lock_irqsave(&l->lock);
	l->claimed = false;
	spin_unlock_irqrestore(&l->lock, flags);
}

/* ---- bits of the guest's page ---- */

static void eoi_map_set(struct pirq_table *t, unsigned pirq, bool needs)
{
	uint64_t *map = READ_ONCE(t->eoi_map);

	if (!map)
		return;
	if (needs)
		bit_set(map, pirq);
	else
		bit_clear(map, pirq);
}

static bool needs_eoi(const struct pirq *p)
{
	return p->irq >= 0 && p->bound && irq_is_level((unsigned)p->irq);
}

int pirq_set_eoi_map(struct domain *d, mfn_t mfn, bool unmask)
{
	struct pirq_table *t = d->pirq;
	uint64_t *map, flags;
	int rc = t ? frame_get_type(mfn, &d->mm, PTYPE_WRITABLE) : -EPERM;

	if (rc)
		return rc;
	map = frame_map_to_write(mfn);
	flags = spin_lock_irqsave(&t->lock);
	if (t->eoi_map) {
		rc = -EBUSY;
	} else {
		t->eoi_mfn = mfn;
		t->eoi_unmasks = unmask;
		for (unsigned i = 0; i < PIRQS_MAX; i++)
			if (needs_eoi(&t->pirq[i]))
				bit_set(map, i);
		__atomic_store_n(&t->eoi_map, map, __ATOMIC_SEQ_CST);
	}
	spin_unlock_irqrestore(&t->lock, flags);
	if (rc)
		frame_put_type(mfn);
	return rc;
}

void pirq_log_mapped(struct domain *d)
{
	struct pirq_table *t = d->pirq;
	uint64_t flags;

	if (!t)
		return;
	flags = spin_lock_irqsave(&t->lock);
	if (t->eoi_map)
		frame_written(t->eoi_mfn);
	spin_unlock_irqrestore(&t->lock, flags);
}

/* ---- mapping ---- */

/* Count consecutive free numbers, from the top: the low ones are the GSIs' own. Table locked. */
static int free_numbers(const struct pirq_table *t, unsigned count)
{
	unsigned run = 0;

	for (unsigned i = PIRQS_MAX; i-- > irq_gsi_count;) {
		run = t->pirq[i].irq == -1 ? run + 1 : 0;
		if (run == count)
			return (int)i;
	}
	return -ENOSPC;
}

int pirq_free_number(struct domain *d, int *pirq)
{
	struct pirq_table *t = d->pirq;
	uint64_t flags;

	if (!t)
		return -EPERM;
	flags = spin_lock_irqsave(&t->lock);
	*pirq = free_numbers(t, 1);
	if (*pirq >= 0)
		t->pirq[*pirq].irq = -2;
	spin_unlock_irqrestore(&t->lock, flags);
	return *pirq < 0 ? *pirq : 0;
}

/* Enters count irqs from first on. *pirq < 0: any numbers. */
static int map_range(struct pirq_table *t, int *pirq, unsigned first, unsigned count, bool msi)
{
	uint64_t flags = spin_lock_irqsave(&t->lock);
	int rc = 0, at = *pirq;

	if (at < 0)
		at = free_numbers(t, count);
	if (at < 0)
		rc = at;
	for (unsigned i = 0; !rc && i < count; i++)
		if ((unsigned)at + i >= PIRQS_MAX || t->pirq[(unsigned)at + i].irq >= 0)
			rc = -EINVAL;
	for (unsigned i = 0; !rc && i < count; i++) {
		struct pirq *p = &t->pirq[(unsigned)at + i];

		p->irq = (int)(first + i);
		p->msi_first = first;
		p->msi_count = msi ? count : 0;
	}
	spin_unlock_irqrestore(&t->lock, flags);
	*pirq = at;
	return rc;
}

static int map_gsi(struct domain *d, struct physdev_map_pirq *map)
{
	struct pirq_table *t = d->pirq;
	unsigned gsi;
	uint64_t flags;
	bool same;

	gsi = (unsigned)index_nospec((unsigned)map->index, irq_gsi_count);
	if (!d->privileged && !bit_test(t->permitted, gsi))
		return -EPERM;
	if (map->pirq < 0)
		map->pirq = map->index;
	if ((unsigned)map->pirq >= PIRQS_MAX)
		return -EINVAL;
	flags = spin_lock_irqsave(&t->lock);
	same = t->pirq[map->pirq].irq == (int)gsi;
	spin_unlock_irqrestore(&t->lock, flags);
	return same ? 0 : map_range(t, &map->pirq, gsi, 1, false);
}

/*
 * Whether an MSI-X entry may be here (PCI 3.0, 6.8.2: 16 bytes, tables are aligned to 8): not in memory, where what is
 * written lands in somebody's page, not in what the hypervisor keeps for itself, and within the one page that is mapped for it.
 */
static bool is_device_table(struct domain *d, uint64_t table, unsigned number)
{
	uint64_t entry = table + number * 16ull;
	mfn_t page = maddr_to_mfn(MADDR(entry));

	return !(entry & 7) && entry + 15 > table && mfn_eq(page, maddr_to_mfn(MADDR(entry + 15))) &&
	       !mfn_is_ram(page) && mm_iomem_contains(&d->mm, page.m, page.m);
}

static int map_msi(struct domain *d, struct physdev_map_pirq *map)
{
	struct msi_request req = { .count = 1 };
	unsigned first;
	int rc;

	if (!d->privileged) /* devices are not given to guests: there is no IOMMU support */
		return -EPERM;
	if (map->pirq >= PIRQS_MAX)
		return -EINVAL;
	req.bus = (uint8_t)map->bus;
	req.devfn = (uint8_t)map->devfn;
	if (map->type != MAP_PIRQ_TYPE_MSI)
		req.segment = (uint16_t)((uint32_t)map->bus >> 16);
	if (map->type == MAP_PIRQ_TYPE_MULTI_MSI) {
		if (map->entry_nr < 1 || map->entry_nr > 32)
			return -EINVAL;
		req.count = (unsigned)map->entry_nr;
	} else {
		req.entry = (uint16_t)map->entry_nr;
		req.table_base = map->table_base;
		if (map->table_base && !is_device_table(d, map->table_base, req.entry))
			return -EINVAL;
	}
	rc = msi_setup(&req, &first);
	if (rc)
		return rc;
	rc = map_range(d->pirq, &map->pirq, first, req.count, true);
	if (rc)
		msi_teardown(first);
	return rc;
}

int pirq_map(struct domain *d, struct physdev_map_pirq *map)
{
	switch (map->type) {
	case MAP_PIRQ_TYPE_GSI:
		if (map->index < 0 || (unsigned)map->index >= irq_gsi_count)
			return -EINVAL;
		return d->pirq ? map_gsi(d, map) : -EPERM;
	case MAP_PIRQ_TYPE_MSI:
	case MAP_PIRQ_TYPE_MSI_SEG:
	case MAP_PIRQ_TYPE_MULTI_MSI:
		return d->pirq ? map_msi(d, map) : -EPERM;
	default:
		return -EINVAL;
	}
}

int pirq_unmap(struct domain *d, int pirq)
{
	struct pirq_table *t = d->pirq;
	unsigned first, count, group = 0;
	uint64_t flags;
	int rc = 0;

	if (pirq < 0 || pirq >= PIRQS_MAX || !t)
		return -EINVAL;
	pirq = (int)index_nospec((unsigned)pirq, PIRQS_MAX);
	flags = spin_lock_irqsave(&t->lock);
	first = t->pirq[pirq].msi_first;
	count = t->pirq[pirq].msi_count;
	if (t->pirq[pirq].irq == -1)
		rc = -EINVAL;
	/* MSIs that were set up together are torn down together, by their first. */
	for (unsigned i = 0; !rc && i < MAX(count, 1); i++) {
		if ((unsigned)pirq + i >= PIRQS_MAX ||
		    (count && t->pirq[pirq + (int)i].irq != (int)(first + i)))
			rc = -EINVAL;
		else if (t->pirq[pirq + (int)i].bound)
			rc = -EBUSY;
		group++;
	}
	for (unsigned i = 0; !rc && i < group; i++)
		t->pirq[pirq + (int)i] = (struct pirq){ .irq = -1 };
	spin_unlock_irqrestore(&t->lock, flags);
	if (!rc && count)
		msi_teardown(first);
	return rc;
}

/* ---- binding ---- */

static int mapped_irq(struct domain *d, unsigned pirq)
{
	if (pirq >= PIRQS_MAX || !d->pirq)
		return -1;
	return READ_ONCE(d->pirq->pirq[index_nospec(pirq, PIRQS_MAX)].irq);
}

int pirq_bind(struct domain *d, unsigned pirq, bool share)
{
	int irq = mapped_irq(d, pirq), rc;
	struct pirq *p;
	uint64_t flags;

	if (irq < 0)
		return -EINVAL;
	p = &d->pirq->pirq[pirq];
	/* From here on its mapping stays: another vcpu may have been about to take it away. */
	flags = spin_lock_irqsave(&d->pirq->lock);
	irq = p->irq;
	p->bound = irq >= 0;
	spin_unlock_irqrestore(&d->pirq->lock, flags);
	if (irq < 0)
		return -EINVAL;
	rc = line_add((unsigned)irq, d, pirq, share);
	if (rc)
		p->bound = false;
	else
		eoi_map_set(d->pirq, pirq, needs_eoi(p));
	return rc;
}

void pirq_unbind(struct domain *d, unsigned pirq)
{
	struct pirq *p;

	if (mapped_irq(d, pirq) < 0)
		return;
	p = &d->pirq->pirq[pirq];
	if (!p->bound)
		return;
	line_remove((unsigned)p->irq, d, pirq);
	p->bound = false;
	eoi_map_set(d->pirq, pirq, false);
}

void pirq_follow_vcpu(struct domain *d, unsigned pirq, const struct vcpu *v)
{
	int irq = mapped_irq(d, pirq);

	if (irq >= 0)
		irq_set_affinity((unsigned)irq, READ_ONCE(v->cpu));
}

int pirq_eoi(struct domain *d, unsigned pirq)
{
	int irq = mapped_irq(d, pirq);
	uint64_t flags;

	if (irq < 0)
		return -EINVAL;
	flags = spin_lock_irqsave(&lines[irq].lock);
	if (lines[irq].guest_count && irq_is_level((unsigned)irq))
		line_eoi(&lines[irq], (unsigned)irq, d, pirq);
	spin_unlock_irqrestore(&lines[irq].lock, flags);
	if (d->pirq->eoi_unmasks)
		return evtchn_unmask_pirq(d, pirq);
	return 0;
}

int pirq_eoi_all(struct domain *d)
{
	int rc = 0;

	if (!d->pirq)
		return -EPERM;
	for (unsigned i = 0; i < PIRQS_MAX && !rc; i++)
		if (mapped_irq(d, i) >= 0)
			rc = pirq_eoi(d, i);
	return rc;
}

uint32_t pirq_status(struct domain *d, unsigned pirq)
{
	int irq = mapped_irq(d, pirq);
	uint32_t status = 0;

	if (irq < 0)
		return 0;
	if (irq_is_level((unsigned)irq))
		status |= XENIRQSTAT_needs_eoi;
	if ((unsigned)irq < irq_gsi_count)
		status |= XENIRQSTAT_shared;
	return status;
}

/* ---- life ---- */

static int pirq_table_create(struct domain *d)
{
	struct pirq_table *t = hv_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->lock = SPINLOCK(RANK_PIRQ);
	t->eoi_mfn = INVALID_MFN;
	for (unsigned i = 0; i < PIRQS_MAX; i++)
		t->pirq[i].irq = -1;
	__atomic_store_n(&d->pirq, t, __ATOMIC_RELEASE);
	return 0;
}

/* A guest gets its table when it is permitted its first interrupt; dom0 at once. */
int pirq_domain_init(struct domain *d)
{
	if (!d->privileged)
		return 0;
	for (unsigned i = 0; i < IRQ_MAX; i++)
		lines[i].lock.rank = RANK_PIRQ;
	return pirq_table_create(d);
}

/* Caller serialises (RANK_DOMCTL). */
int pirq_permit(struct domain *d, unsigned gsi, bool allow)
{
	int rc;

	if (gsi >= irq_gsi_count)
		return -EINVAL;
	gsi = (unsigned)index_nospec(gsi, irq_gsi_count);
	if (!d->pirq) {
		rc = allow ? pirq_table_create(d) : 0;
		if (rc || !allow)
			return rc;
	}
	if (allow)
		bit_set(d->pirq->permitted, gsi);
	else
		bit_clear(d->pirq->permitted, gsi);
	return 0;
}

/* Nothing is bound any more, and the domain's vcpus are gone. */
void pirq_domain_relinquish(struct domain *d)
{
	struct pirq_table *t = d->pirq;
	mfn_t eoi_mfn;
	uint64_t flags;

	if (!t)
		return;
	for (unsigned i = 0; i < PIRQS_MAX; i++)
		if (t->pirq[i].msi_count && t->pirq[i].irq == (int)t->pirq[i].msi_first &&
		    pirq_unmap(d, (int)i))
			log_err("domain %u: pirq %u is still in use", d->domid, i);
	flags = spin_lock_irqsave(&t->lock);
	eoi_mfn = t->eoi_mfn;
	t->eoi_map = NULL;
	t->eoi_mfn = INVALID_MFN;
	spin_unlock_irqrestore(&t->lock, flags);
	if (!mfn_eq(eoi_mfn, INVALID_MFN))
		frame_put_type(eoi_mfn);
}

void pirq_domain_free(struct domain *d)
{
	pirq_domain_relinquish(d);
	hv_free(d->pirq);
	d->pirq = NULL;
}
