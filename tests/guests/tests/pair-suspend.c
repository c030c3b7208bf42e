/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The suspend event (XEN_DOMCTL_subscribe): dom0 is told of a guest's suspend, also where the guest has named that reason
 * beforehand and then crashes, on a way through the hypervisor that has interrupts off.
 */
#include "pair.h"
#include <xen/domctl.h>

const char test_name[] = "pair-suspend";

static struct child child;

/* ---- the guest ---- */

static void iret_without_stack(void)
{
	__asm__ volatile("mov %0, %%rsp\n"
	                 "mov %1, %%eax\n"
	                 "syscall"
	                 :
	                 : "r"(0x7000ul), "i"(__HYPERVISOR_iret)
	                 : "memory");
}

void child_run(void)
{
	struct sched_shutdown s = { .reason = SHUTDOWN_suspend };

	child_step(1);
	child_wait_go(1);
	if (box->word[0])
		EXPECT_EQ(HC(sched_op, SCHEDOP_shutdown, &s), 0);
	EXPECT_EQ(HC(sched_op, SCHEDOP_shutdown_code, &s), 0);
	iret_without_stack();
}

/* ---- dom0 ---- */

static bool told(void)
{
	uint64_t *word = &shared->evtchn_pending[child.local_port / 64], bit = 1ul << child.local_port % 64;

	return __atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST) & bit;
}

/* The other end of the guest's store port. */
static void subscribe(void)
{
	struct evtchn_status status = { .dom = DOMID_SELF, .port = child.local_port };
	static struct xen_domctl op;

	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_status, &status), 0);
	EXPECT_EQ(status.status, EVTCHNSTAT_interdomain);
	op = (struct xen_domctl){ .cmd = XEN_DOMCTL_subscribe,
		                  .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
		                  .domain = child.domid };
	op.u.subscribe.port = status.u.interdomain.port;
	EXPECT_EQ(HC(domctl, &op), 0);
}

void run(void)
{
	for (unsigned by_itself = 0; by_itself < 2; by_itself++) {
		child_build(&child, 0, 1);
		child.box->word[0] = by_itself;
		subscribe();
		child_unpause(&child);
		child_wait_step(&child, 1);
		(void)told();
		child.box->go = 1;
		EXPECT_EQ(child_wait_end(&child), SHUTDOWN_suspend);
		rest();
		EXPECT(told());
		child_destroy(&child);
		while (child_exists(&child))
			rest();
	}
}
