/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual interrupts are bound once per vcpu */
#include "guest.h"

const char test_name[] = "virqs";

void run(void)
{
	struct evtchn_bind_virq timer = { .virq = VIRQ_TIMER, .vcpu = 0 }, bad = { .virq = 200, .vcpu = 0 };
	struct evtchn_close close;

	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &timer), 0);
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &timer), -EEXIST);
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &bad), -EINVAL);
	close.port = timer.port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_close, &close), 0);
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &timer), 0);
}
