/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Long lists are carried out to the end, however often they are interrupted */
#include "guest.h"

const char test_name[] = "long-operations";

static struct mmu_update updates[2048];

static void on_event(struct regs *r)
{
	(void)r;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	shared->vcpu_info[0].evtchn_pending_sel = 0;
	for (unsigned i = 0; i < 64; i++)
		shared->evtchn_pending[i] = 0;
}

void run(void)
{
	char *page = page_alloc();
	struct evtchn_bind_virq timer = { .virq = VIRQ_TIMER, .vcpu = 0 };
	struct vcpu_set_periodic_timer period = { .period_ns = 1000000 };
	static struct multicall_entry calls[16];
	unsigned done = 0;

	event_hook = on_event;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &timer), 0);
	shared->evtchn_mask[timer.port / 64] &= ~(1ul << (timer.port % 64));
	EXPECT_EQ(HC(vcpu_op, VCPUOP_set_periodic_timer, 0, &period), 0);
	events_enable(true);
	for (unsigned i = 0; i < 2048; i++)
		updates[i] = (struct mmu_update){ entry_maddr(page, 1),
			                          i & 1 ? PTE(mfn_of(page)) : PTE_RO(mfn_of(page)) };
	for (unsigned round = 0; round < 20; round++) {
		EXPECT_EQ(HC(mmu_update, updates, 2048, &done, DOMID_SELF), 0);
		EXPECT_EQ(done, 2048);
	}
	for (unsigned i = 0; i < 16; i++) {
		calls[i].op = __HYPERVISOR_mmu_update;
		calls[i].args[0] = (unsigned long)updates;
		calls[i].args[1] = 2048;
		calls[i].args[3] = DOMID_SELF;
	}
	EXPECT_EQ(HC(multicall, calls, 16), 0);
	for (unsigned i = 0; i < 16; i++)
		EXPECT_EQ(calls[i].result, 0);
	EXPECT(*entry_of(page, 1) & RW);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_stop_periodic_timer, 0, NULL), 0);
}
