/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One-shot timers and the clock behind them */
#include "guest.h"

const char test_name[] = "timers";

static volatile unsigned upcalls;

static void on_event(struct regs *r)
{
	(void)r;
	upcalls++;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	shared->vcpu_info[0].evtchn_pending_sel = 0;
	for (unsigned i = 0; i < 64; i++)
		shared->evtchn_pending[i] = 0;
}

/* What is over is an event at once. So is, nearly, what an old kernel's counter has wrapped to, and what is further away
 * than anybody waits for: such kernels would wait for ever. */
static void odd_times(evtchn_port_t port)
{
	static const uint64_t odd[] = { 1, 1ul << 55, 1ul << 63, ~0ul - 1, ~0ul };
	struct sched_poll poll = { .nr_ports = 1 };

	set_xen_guest_handle(poll.ports, &port);
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		shared->evtchn_pending[port / 64] = 0;
		shared->vcpu_info[0].evtchn_upcall_pending = 0;
		EXPECT_EQ(HC(set_timer_op, odd[i]), 0);
		poll.timeout = system_time_ns() + 3000000000;
		EXPECT_EQ(HC(sched_op, SCHEDOP_poll, &poll), 0);
		if (!(shared->evtchn_pending[port / 64] >> port % 64 & 1))
			FAIL("no event for %#lx", odd[i]);
	}
	EXPECT_EQ(HC(set_timer_op, 0), 0);
}

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}

/* By the TSC and its present rate alone, not by the clock that the timers go by. */
static uint64_t ns_since(uint64_t then)
{
	volatile struct vcpu_time_info *t = &shared->vcpu_info[0].time;
	uint64_t ticks = tsc() - then;

	ticks = t->tsc_shift >= 0 ? ticks << t->tsc_shift : ticks >> -t->tsc_shift;
	return (uint64_t)(((unsigned __int128)ticks * t->tsc_to_system_mul) >> 32);
}

static void set_timer(uint64_t when)
{
	unsigned before = upcalls;

	EXPECT_EQ(HC(set_timer_op, when), 0);
	HC(sched_op, SCHEDOP_block, NULL);
	events_enable(true);
	EXPECT(upcalls > before);
	events_enable(false);
}

static void single_shot(uint64_t when)
{
	struct vcpu_set_singleshot_timer single = { .timeout_abs_ns = when, .flags = VCPU_SSHOTTMR_future };
	unsigned before = upcalls;
	long rc = HC(vcpu_op, VCPUOP_set_singleshot_timer, 0, &single);

	if (rc == -ETIME && !is_xylem())
		return; /* its clock went on in between */
	EXPECT_EQ(rc, 0);
	HC(sched_op, SCHEDOP_block, NULL);
	events_enable(true);
	EXPECT(upcalls > before);
	events_enable(false);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_stop_singleshot_timer, 0, NULL), 0);
}

static void poll(uint64_t when)
{
	struct sched_poll poll = { .nr_ports = 0, .timeout = when };

	EXPECT_EQ(HC(sched_op, SCHEDOP_poll, &poll), 0);
}

/* On a busy host stock Xen moves its clock by 5, and by more than 50 ms, when it compares it with another one in its first
 * second, and a timer may come twice there: one good wait in ten is asked of it, of ours the first. */
static void takes_20ms(void (*wait)(uint64_t when))
{
	for (unsigned i = 0; i < (is_xylem() ? 1 : 10); i++) {
		uint64_t ticks = tsc();

		wait(system_time_ns() + 20000000);
		if (ns_since(ticks) >= 10000000)
			return;
	}
	FAIL("a wait of 20 ms ended before 10 ms");
}

void run(void)
{
	struct evtchn_bind_virq timer = { .virq = VIRQ_TIMER, .vcpu = 0 };
	uint64_t begin;

	event_hook = on_event;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &timer), 0);
	shared->evtchn_mask[timer.port / 64] &= ~(1ul << (timer.port % 64));
	begin = system_time_ns();
	EXPECT(system_time_ns() >= begin);
	takes_20ms(set_timer);
	EXPECT(upcalls == 1 || !is_xylem());
	takes_20ms(single_shot);
	EXPECT(upcalls == 2 || !is_xylem());
	takes_20ms(poll);
	odd_times(timer.port);
}
