/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest brings its second vcpu up, the two talk by events and memory, one goes down and comes up again */
#include "pair.h"

const char test_name[] = "pair-vcpus";

static struct child child;
static char stack[8192] __attribute__((aligned(4096)));
static volatile unsigned long rounds, stage, ipis;

static void second(void)
{
	entry_points();
	for (;;) {
		stage = 1;
		while (stage == 1) {
			rounds++;
			HC(sched_op, SCHEDOP_yield, NULL);
		}
		/* Down until vcpu 0 brings it up again. */
		stage = 3;
		HC(vcpu_op, VCPUOP_down, 1, NULL);
		stage = 4;
		while (stage == 4)
			HC(sched_op, SCHEDOP_yield, NULL);
	}
}

static void bring_up(void)
{
	static struct vcpu_guest_context c;

	EXPECT_EQ(HC(vcpu_op, VCPUOP_is_up, 1, NULL), 0);
	EXPECT(HC(vcpu_op, VCPUOP_up, 1, NULL) < 0); /* no context yet */
	c.ctrlreg[3] = mfn_of((void *)start_info->pt_base) << 12;
	c.user_regs.rip = 1ul << 62; /* not canonical: refused, as bad tables are */
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), -EINVAL);
	c.user_regs.rip = (uint64_t)second;
	c.user_regs.rsp = (uint64_t)stack + sizeof(stack) - 8;
	c.user_regs.cs = 0xe033;
	c.user_regs.ss = 0xe02b;
	c.ctrlreg[3] = 0xfffffffffffff000;
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), -EINVAL);
	c.ctrlreg[3] = mfn_of((void *)start_info->pt_base) << 12;
	c.flags = VGCF_in_kernel;
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), 0);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), -EEXIST);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_is_up, 1, NULL), 0);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_up, 1, NULL), 0);
	while (stage != 1)
		HC(sched_op, SCHEDOP_yield, NULL);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_is_up, 1, NULL), 1);
}

static void count_event(struct regs *r)
{
	(void)r;
	struct vcpu_info *v = &shared->vcpu_info[0];

	v->evtchn_upcall_pending = 0;
	v->evtchn_pending_sel = 0;
	ipis++;
}

/* An IPI channel, bound to vcpu 0 and sent by it; the other vcpu has one of its own. */
static void ipi(void)
{
	struct evtchn_bind_ipi b = { .vcpu = 0 }, other = { .vcpu = 1 }, bad = { .vcpu = 2 };
	struct evtchn_send send;
	struct evtchn_status status = { .dom = DOMID_SELF };

	event_hook = count_event;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &b), 0);
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &other), 0);
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_ipi, &bad), -ENOENT);
	send.port = b.port;
	shared->evtchn_mask[b.port / 64] &= ~(1ul << (b.port % 64));
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), 0);
	events_enable(true);
	while (!ipis)
		HC(sched_op, SCHEDOP_yield, NULL);
	events_enable(false);
	status.port = other.port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_status, &status), 0);
	EXPECT_EQ(status.status, EVTCHNSTAT_ipi);
	EXPECT_EQ(status.vcpu, 1);
}

void child_run(void)
{
	struct vcpu_runstate_info state;
	unsigned long before;

	bring_up();
	for (before = rounds; rounds < before + 100;)
		HC(sched_op, SCHEDOP_yield, NULL);
	ipi();
	stage = 2;
	while (HC(vcpu_op, VCPUOP_is_up, 1, NULL))
		HC(sched_op, SCHEDOP_yield, NULL);
	EXPECT_EQ(stage, 3);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, 1, &state), 0);
	child_step(1);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_up, 1, NULL), 0);
	while (stage != 4)
		HC(sched_op, SCHEDOP_yield, NULL);
	child_step(2);
	/* Both run when it ends. */
}

void run(void)
{
	unsigned long free_before = free_pages();

	for (unsigned i = 0; i < 3; i++) {
		child_build(&child, 0, 2);
		child_unpause(&child);
		child_wait_step(&child, 2);
		EXPECT_EQ(child_wait_end(&child), SHUTDOWN_poweroff);
		recount();
		child_destroy(&child);
		while (child_exists(&child))
			HC(sched_op, SCHEDOP_yield, NULL);
	}
	recount();
	EXPECT(free_pages() + 32 >= free_before);
}
