/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest brings its second vcpu up, with FPU state and without; the two talk by events and memory, one goes down and comes up
 * again */
#include "pair.h"

const char test_name[] = "pair-vcpus";

static struct child child;
static char stack[8192] __attribute__((aligned(4096)));
static volatile unsigned long rounds, stage, ipis;

/* As FXSAVE writes it and a vcpu context has it (SDM Vol. 1, 10.5.1), but for where the last instruction was. */
struct fpu {
	uint16_t control, status;
	uint8_t tags, unused;
	uint16_t opcode;
	uint64_t instruction, data;
	uint32_t mxcsr, mxcsr_mask;
	uint64_t st[8][2], xmm[16][2];
	uint8_t rest[96];
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct fpu) == 512, "FXSAVE area");
static struct fpu given, found;

/* One value on the x87 stack, other modes than the initial ones, a pattern in each SSE register. */
static void fill_fpu(struct fpu *f)
{
	f->control = 0x027f;
	f->status = 7 << 11;
	f->tags = 0x80;
	f->st[0][0] = 0xc000000000000000;
	f->st[0][1] = 0x4000;
	f->mxcsr = 0x3f80;
	for (unsigned i = 0; i < 16; i++) {
		f->xmm[i][0] = 0x0123456789abcdef * (i + 1);
		f->xmm[i][1] = ~f->xmm[i][0] << 1;
	}
}

static void fresh_fpu(struct fpu *f)
{
	f->control = 0x037f;
	f->mxcsr = 0x1f80;
}

static void same_fpu(void)
{
	EXPECT_EQ(found.control, given.control);
	EXPECT_EQ(found.status, given.status);
	EXPECT_EQ(found.tags, given.tags);
	EXPECT_EQ(found.mxcsr, given.mxcsr);
	EXPECT_EQ(found.st[0][0], given.st[0][0]);
	EXPECT_EQ(found.st[0][1] & 0xffff, given.st[0][1]);
	for (unsigned i = 0; i < 16; i++) {
		EXPECT_EQ(found.xmm[i][0], given.xmm[i][0]);
		EXPECT_EQ(found.xmm[i][1], given.xmm[i][1]);
	}
}

static void second(void)
{
	__asm__ volatile("fxsave %0" : "=m"(found));
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
	if (box->word[0]) {
		fill_fpu(&given);
		c.flags |= VGCF_I387_VALID;
		memcpy(&c.fpu_ctxt, &given, sizeof(given));
	} else {
		fresh_fpu(&given);
		fill_fpu((struct fpu *)&c.fpu_ctxt); /* which is not looked at */
	}
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), 0);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), -EEXIST);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_is_up, 1, NULL), 0);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_up, 1, NULL), 0);
	while (stage != 1)
		HC(sched_op, SCHEDOP_yield, NULL);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_is_up, 1, NULL), 1);
	same_fpu();
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
		child.box->word[0] = i % 2; /* its second vcpu gets FPU state */
		child_unpause(&child);
		child_wait_step(&child, 2);
		EXPECT_EQ(child_wait_end(&child), SHUTDOWN_poweroff);
		recount();
		child_destroy(&child);
		while (child_exists(&child))
			HC(sched_op, SCHEDOP_yield, NULL);
	}
	recount();
	EXPECT(pages_come_back(free_before));
}
