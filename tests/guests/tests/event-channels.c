/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event channels: life of a port, delivery, and bad arguments */
#include "guest.h"

const char test_name[] = "event-channels";

static volatile unsigned upcalls;

static void on_event(struct regs *r)
{
	(void)r;
	upcalls++;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
}

static bool pending(unsigned port)
{
	return shared->evtchn_pending[port / 64] >> (port % 64) & 1;
}

static void clear(unsigned port)
{
	__atomic_fetch_and(&shared->evtchn_pending[port / 64], ~(1ul << (port % 64)), __ATOMIC_SEQ_CST);
	shared->vcpu_info[0].evtchn_pending_sel = 0;
}

void run(void)
{
	struct evtchn_bind_ipi ipi = { .vcpu = 0 };
	struct evtchn_alloc_unbound unbound = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
	struct evtchn_bind_interdomain inter = { .remote_dom = DOMID_SELF };
	struct evtchn_send send;
	struct evtchn_status status = { .dom = DOMID_SELF };
	struct evtchn_close close;
	struct evtchn_unmask unmask;

	event_hook = on_event;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &ipi), 0);
	EXPECT(ipi.port > 0);
	status.port = ipi.port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_status, &status), 0);
	EXPECT_EQ(status.status, EVTCHNSTAT_ipi);
	shared->evtchn_mask[ipi.port / 64] &= ~(1ul << (ipi.port % 64));
	send.port = ipi.port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), 0);
	EXPECT(pending(ipi.port));
	EXPECT_EQ(upcalls, 0);
	events_enable(true);
	EXPECT_EQ(upcalls, 1);
	clear(ipi.port);
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), 0);
	EXPECT_EQ(upcalls, 2);
	events_enable(false);
	clear(ipi.port);
	/* Masked: pending is set, nobody is told, until it is unmasked. */
	shared->evtchn_mask[ipi.port / 64] |= 1ul << (ipi.port % 64);
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), 0);
	EXPECT(pending(ipi.port));
	EXPECT_EQ(shared->vcpu_info[0].evtchn_upcall_pending, 0);
	unmask.port = ipi.port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_unmask, &unmask), 0);
	EXPECT_EQ(shared->vcpu_info[0].evtchn_upcall_pending, 1);
	/* A loop within the domain. */
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &unbound), 0);
	inter.remote_port = unbound.port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_interdomain, &inter), 0);
	send.port = inter.local_port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), 0);
	EXPECT(pending(unbound.port));
	close.port = inter.local_port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_close, &close), 0);
	status.port = unbound.port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_status, &status), 0);
	EXPECT_EQ(status.status, EVTCHNSTAT_unbound);
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_close, &close), -EINVAL);
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), -EINVAL);
	send.port = 4096 * 64;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), -EINVAL);
	send.port = ~0u;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), -EINVAL);
	ipi.vcpu = 500;
	EXPECT(HC(event_channel_op, EVTCHNOP_bind_ipi, &ipi) < 0);
	EXPECT_EQ(HC(event_channel_op, 999, &send), -ENOSYS);
}
