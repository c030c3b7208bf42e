/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layers above mm, as far as the memory hypercalls need them: domains without anything but memory. */
#include "hypercall/hypercall.h"
#include "dom/domtable.h"
#include "hw/upward.h"
#include "lib/string.h"
#include "dom/grant.h"
#include "dom.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "pv/address.h"
#include <stdlib.h>

struct domain fake_domains[FAKE_DOMAINS];
struct domain *dom0 = &fake_domains[0];
int fake_holds[FAKE_DOMAINS];
unsigned fake_crashes;

static struct vcpu fake_vcpus[FAKE_CPUS];

void fake_domain_create(unsigned i, uint64_t max_pages)
{
	struct domain *d = &fake_domains[i];
	static struct shared_info shared[FAKE_DOMAINS];

	memset(d, 0, sizeof(*d));
	d->domid = (uint16_t)i;
	d->privileged = i == 0;
	d->max_vcpus = 1;
	d->shared_info = &shared[i];
	domain_mm_init(&d->mm, (uint16_t)i, i == 0);
	d->mm.max_pages = max_pages;
}

void fake_dirty_all(void)
{
	uint64_t n = 0, free_frames = heap_free_pages();
	mfn_t *taken = calloc(free_frames, sizeof(*taken));

	while (n < free_frames && !mfn_eq(taken[n] = heap_alloc(0, HEAP_NOSCRUB), INVALID_MFN))
		n++;
	for (uint64_t i = 0; i < n; i++)
		memset(mfn_map_own(taken[i]), 0xee, PAGE_SIZE);
	while (n)
		heap_free(taken[--n], 0);
	free(taken);
}

struct vcpu *fake_vcpu(unsigned cpu, unsigned domain)
{
	struct vcpu *v = &fake_vcpus[cpu];

	v->domain = &fake_domains[domain];
	v->cpu = cpu;
	v->l4_kernel = v->l4_user = INVALID_MFN;
	v->pv.kernel_mode = true;
	fake_domains[domain].vcpus[0] = v;
	return v;
}

struct domain *domain_get_self_or(uint16_t domid)
{
	if (domid == DOMID_SELF)
		return current_domain();
	return domid < FAKE_DOMAINS ? &fake_domains[domid] : NULL;
}

struct domain *domain_get(uint16_t domid)
{
	return domid < FAKE_DOMAINS ? &fake_domains[domid] : NULL;
}

uint64_t rdtsc(void)
{
	return fake_time_ns;
}

uint32_t trace_who(void)
{
	return current_domain()->domid;
}

void domain_put(struct domain *d)
{
	(void)d;
}

void mm_owner_hold(struct domain_mm *mm)
{
	fake_holds[mm->domid]++;
}

void mm_owner_drop(struct domain_mm *mm)
{
	fake_holds[mm->domid]--;
}

void mm_domain_crash(struct domain_mm *mm, const char *reason)
{
	(void)mm;
	(void)reason;
	fake_crashes++;
}

void pv_load_address_space(struct vcpu *v)
{
	fake_load(this_cpu(), &v->domain->mm, v->l4_kernel);
}

mfn_t fake_offered[2];

void pv_fastpath_tables(const struct vcpu *v)
{
	fake_offered[0] = v->l4_user;
	fake_offered[1] = v->l4_kernel;
}

int pv_set_ldt(struct vcpu *v, gva_t base, unsigned entries)
{
	(void)v;
	(void)base;
	return entries ? -EINVAL : 0;
}

int grant_table_frame(struct domain *d, unsigned index, mfn_t *mfn)
{
	(void)d;
	(void)index;
	*mfn = MFN(FAKE_RAM_FIRST);
	return 0;
}

unsigned grant_table_frames_max(const struct domain *d)
{
	(void)d;
	return 64;
}
