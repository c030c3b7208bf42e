/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A domain's TSC: the processor's, or one that is emulated. Then CR4.TSD makes RDTSC fault in all that the guest runs, and what
 * it reads is system time at a rate of its own, the same after a restore on another host.
 */
#ifndef DOM_VTSC_H
#define DOM_VTSC_H

#include "hw/time.h"

/* The modes of XEN_DOMCTL_settscinfo, as xl.cfg(5) has them. */
enum { VTSC_DEFAULT, VTSC_ALWAYS_EMULATE, VTSC_NEVER_EMULATE };

/* Changed by domctl while no vcpu of the domain runs, but for last_ns. */
struct vtsc {
	bool emulated;
	uint32_t mode, khz, incarnation; /* of domctl */
	uint64_t offset_ns;              /* system time at which it is 0, modulo 2^64 */
	uint64_t last_ns;                /* of the last reading; atomic */
};

#define NS_PER_MS 1000000

static inline uint64_t vtsc_ticks(const struct vtsc *t, uint64_t ns)
{
	return ns / NS_PER_MS * t->khz + ns % NS_PER_MS * t->khz / NS_PER_MS;
}

static inline uint64_t vtsc_at(const struct vtsc *t, uint64_t ns)
{
	int64_t elapsed_ns = (int64_t)(ns - t->offset_ns);

	return elapsed_ns >= 0 ? vtsc_ticks(t, (uint64_t)elapsed_ns) : -vtsc_ticks(t, -(uint64_t)elapsed_ns);
}

/* No two readings of the domain's vcpus are of the same time, nor do they go back. */
static inline uint64_t vtsc_read(struct vtsc *t)
{
	uint64_t last = READ_ONCE(t->last_ns), now = time_now_ns(), ns;

	do
		ns = now > last ? now : last + 1;
	while (!__atomic_compare_exchange_n(&t->last_ns, &last, ns, false, __ATOMIC_SEQ_CST,
	                                    __ATOMIC_SEQ_CST));
	return vtsc_at(t, ns);
}

/* What the guest needs instead of s to compute system time from its TSC. */
static inline void vtsc_scale(const struct vtsc *t, struct time_scale *s)
{
	if (!t->emulated)
		return;
	s->tsc_stamp = vtsc_at(t, s->system_ns);
	time_scale_of_rate(t->khz * 1000ull, &s->tsc_to_ns_mul, &s->tsc_shift);
}

#endif
