/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Life of domains: list, references, pausing, shutdown, watchdogs, info pages, time, death without a trace. */
#include "fake/machine.h"
#include "dom/domtable.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "hw/options.h"
#include "hw/smp.h"
#include "mm/heap.h"

static evtchn_port_t exc; /* dom0's VIRQ_DOM_EXC */

static bool told(void)
{
	return bit_test_and_clear((uint64_t *)dom0->shared_info->evtchn_pending, exc);
}

static void as_dom0(void)
{
	machine_become(0, dom0->vcpus[0]);
}

static void test_list(void)
{
	struct domain *d7 = machine_domain(7, 1), *d3 = machine_domain(3, 1), *d, *same;
	struct domain_config c = { .kind = &pv_guest, .domid = 7, .max_vcpus = 1 };

	tap_ok(domain_create(&c, &same) == -EEXIST, "a number is given once");
	c.domid = DOMID_SELF;
	tap_ok(domain_create(&c, &same) == -EINVAL, "reserved numbers are refused");
	c = (struct domain_config){ .kind = &pv_guest, .domid = 8, .max_vcpus = VCPUS_MAX + 1 };
	tap_ok(domain_create(&c, &same) == -EINVAL, "too many vcpus are refused");
	d = domain_get_next(1);
	tap_ok(d == d3, "the list is in order of numbers");
	domain_put(d);
	d = domain_get_next(4);
	tap_ok(d == d7, "and is walked by them");
	domain_put(d);
	tap_ok(!domain_get_next(8) && !domain_get(4), "what is not there is not found");
	d = domain_get(7);
	machine_destroy(d7);
	machine_run(0);
	as_dom0();
	tap_ok(d->life == DOMAIN_DEAD && domain_get(7) == d,
	       "a dead domain stays as long as somebody refers to it");
	domain_put(d);
	domain_put(d);
	machine_run(0);
	as_dom0();
	tap_ok(!domain_get(7), "and no longer");
	tap_ok(domain_destroy(dom0) == -EINVAL, "dom0 cannot be destroyed");
	machine_destroy(d3);
	machine_run(0);
	as_dom0();
}

static void test_pause(void)
{
	struct domain *d = machine_domain(4, 2);
	struct vcpu *v = d->vcpus[0];

	tap_ok(!vcpu_runnable(v) && d->paused_at_creation, "a new domain is paused, its vcpus down");
	bit_clear(&v->pause_flags, PAUSE_DOWN);
	tap_ok(!domain_controller_unpause(d) && vcpu_runnable(v), "unpaused it can run");
	tap_ok(domain_controller_unpause(d) == -EINVAL && vcpu_runnable(v),
	       "it cannot be unpaused more often than paused");
	tap_ok(!domain_controller_pause(d) && !domain_controller_pause(d) && !domain_controller_unpause(d) &&
	               !vcpu_runnable(v),
	       "pauses are counted");
	for (unsigned i = 0; i < 254; i++)
		if (domain_controller_pause(d))
			abort();
	tap_ok(domain_controller_pause(d) == -EOVERFLOW, "but not beyond 255");
	for (unsigned i = 0; i < 255; i++)
		if (domain_controller_unpause(d))
			abort();
	tap_ok(vcpu_runnable(v), "and end when all are taken back");
	tap_ok(domain_controller_pause(dom0) == -EINVAL, "nobody pauses himself");
	machine_destroy(d);
	machine_run(0);
	as_dom0();
}

static void test_shutdown(void)
{
	struct domain *d = machine_domain(5, 1);
	struct vcpu *v = d->vcpus[0];

	machine_start(d);
	(void)told();
	domain_shutdown(d, SHUTDOWN_reboot);
	tap_ok(d->shut_down && d->shutdown_code == SHUTDOWN_reboot && !vcpu_runnable(v),
	       "a guest that shuts down stops");
	tap_ok(told(), "and dom0 is told");
	domain_crash(d, "test %d", 1);
	tap_ok(d->shutdown_code == SHUTDOWN_reboot && !told(), "the first reason stays");
	tap_ok(!domain_resume(d) && !d->shut_down && vcpu_runnable(v), "it can be resumed");
	tap_ok(!domain_resume(d) && vcpu_runnable(v), "twice does no harm");
	domain_crash(d, "test %d", 2);
	tap_ok(d->shutdown_code == SHUTDOWN_crash && told(), "a guest that breaks its contract crashes");
	MACHINE_EXPECT_POWER(domain_shutdown(dom0, SHUTDOWN_poweroff));
	tap_ok(machine_power && !strcmp(machine_power, "halt"), "dom0's power-off halts the machine");
	dom0->shutdown_code = SHUTDOWN_CODE_NONE;
	MACHINE_EXPECT_POWER(domain_shutdown(dom0, SHUTDOWN_reboot));
	tap_ok(machine_power && !strcmp(machine_power, "reboot"), "its reboot reboots it");
	dom0->shutdown_code = SHUTDOWN_CODE_NONE;
	options.noreboot = true;
	MACHINE_EXPECT_POWER(domain_shutdown(dom0, SHUTDOWN_crash));
	tap_ok(machine_power && !strcmp(machine_power, "halt"), "its crash halts it under noreboot");
	dom0->shutdown_code = SHUTDOWN_CODE_NONE;
	machine_destroy(d);
	tap_ok(told(), "dom0 is told of a death");
	machine_run(0);
	as_dom0();
	tap_ok(told(), "and when nothing is left");
}

static bool sent(evtchn_port_t port)
{
	return bit_test_and_clear((uint64_t *)dom0->shared_info->evtchn_pending, port);
}

static void shut_down(struct domain *d, unsigned reason)
{
	domain_shutdown(d, reason);
	machine_run(0);
	as_dom0();
}

/* XEN_DOMCTL_subscribe: a port of the guest's, which it may have closed, or used for something else. */
static void test_suspend_event(void)
{
	static const uint32_t bad[] = { 2, 4095, 4096, 1u << 31, ~0u };
	struct domain *d = machine_domain(5, 1);
	evtchn_port_t far, near;

	machine_start(d);
	as_dom0();
	if (evtchn_alloc_unbound(d, dom0->domid, &far) || evtchn_bind_interdomain(d->domid, far, &near))
		abort();
	(void)sent(near);
	shut_down(d, SHUTDOWN_suspend);
	tap_ok(!sent(near) && !domain_resume(d), "nobody has asked to be told of a suspend");
	d->suspend_port = far;
	shut_down(d, SHUTDOWN_suspend);
	tap_ok(sent(near) && !domain_resume(d), "who has is told");
	/* A guest that has named this reason can be crashed where no lock may be taken. */
	d->shutdown_code = SHUTDOWN_suspend;
	domain_crash(d, "test");
	tap_ok(!sent(near), "but not by the one who crashes it");
	machine_run(0);
	as_dom0();
	tap_ok(sent(near) && !domain_resume(d), "but by the CPU's work afterwards");
	d->shutdown_code = SHUTDOWN_suspend;
	domain_crash(d, "test");
	tap_ok(!domain_resume(d), "one that is resumed before");
	shut_down(d, SHUTDOWN_suspend);
	tap_ok(sent(near) && !domain_resume(d), "and suspends again is told of once");
	shut_down(d, SHUTDOWN_poweroff);
	tap_ok(!sent(near) && !domain_resume(d), "and of nothing else");
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		d->suspend_port = bad[i];
		shut_down(d, SHUTDOWN_suspend);
		if (!d->shut_down || domain_resume(d))
			abort();
	}
	tap_ok(!sent(near), "a port that is none is nobody's");
	d->suspend_port = far;
	if (evtchn_close(d, far))
		abort();
	shut_down(d, SHUTDOWN_suspend);
	tap_ok(!sent(near) && d->shut_down, "nor is one that was closed");
	machine_destroy(d);
	machine_run(0);
	as_dom0();
}

static void tick(uint64_t ns)
{
	fake_time_ns += ns;
	work_raise(0, WORK_TIMER);
	machine_run(0);
	as_dom0();
}

static void test_watchdog(void)
{
	struct domain *d = machine_domain(6, 1);
	int one, two;

	machine_start(d);
	one = domain_watchdog(d, 0, 10);
	two = domain_watchdog(d, 0, 20);
	tap_ok(one == 1 && two == 2 && domain_watchdog(d, 0, 10) == -ENOSPC, "a domain has two watchdogs");
	tap_ok(domain_watchdog(d, 3, 10) == -EINVAL && domain_watchdog(d, 0xffffffff, 10) == -EINVAL,
	       "and no third");
	tick(9000000000);
	tap_ok(!d->shut_down && !domain_watchdog(d, 1, 10), "one that is fed in time");
	tick(9000000000);
	tap_ok(!d->shut_down, "does not bite");
	tap_ok(!domain_watchdog(d, 2, 0) && domain_watchdog(d, 2, 5) == -EINVAL,
	       "one that is given back is gone");
	tick(2000000000);
	tap_ok(d->shut_down && d->shutdown_code == SHUTDOWN_watchdog, "one that is not fed bites");
	machine_destroy(d);
	machine_run(0);
	as_dom0();
}

static void test_info_page(void)
{
	struct domain *d = machine_domain(9, 34);
	struct vcpu *v = d->vcpus[1];
	evtchn_port_t p;
	mfn_t page, other;
	struct vcpu_info *info;

	d->mm.max_pages = 10;
	if (domain_frame_alloc(&d->mm, 0, 0, &page) || domain_frame_alloc(&d->mm, 0, 0, &other))
		abort();
	machine_become(0, d->vcpus[0]);
	info = (struct vcpu_info *)((char *)mfn_map_own(page) + 64);
	tap_ok(vcpu_register_info(v, page, 4033) == -ENXIO &&
	               vcpu_register_info(v, page, 0xfffffff0) == -ENXIO &&
	               vcpu_register_info(v, page, 4) == -ENXIO,
	       "an info page that crosses its frame is refused");
	tap_ok(vcpu_register_info(v, dom0->shared_info_mfn, 0) == -EINVAL,
	       "and one in another domain's frame");
	tap_ok(vcpu_register_info(v, MFN(1), 0) == -EINVAL, "and one in no frame");
	d->shared_info->vcpu_info[1].evtchn_upcall_mask = 1;
	tap_ok(!vcpu_register_info(v, page, 64) && v->info == info && info->evtchn_upcall_mask,
	       "the page takes the old one's contents");
	tap_ok(info->evtchn_upcall_pending && info->evtchn_pending_sel == ~0ul,
	       "and all events are looked at once");
	tap_ok(vcpu_register_info(v, other, 0) == -EINVAL, "there is one page per vcpu");
	info->evtchn_upcall_pending = 0;
	info->evtchn_pending_sel = 0;
	if (evtchn_bind_ipi(1, &p) || evtchn_send(d, p))
		abort();
	tap_ok(info->evtchn_upcall_pending && info->evtchn_pending_sel == 1, "events come to it");
	tap_ok(d->vcpus[33]->info != &d->shared_info->vcpu_info[0] && !evtchn_bind_ipi(33, &p) &&
	               !evtchn_send(d, p),
	       "a vcpu that shared_info has no room for has a page too");
	as_dom0();
	vcpu_time_update(v, true);
	tap_ok(info->time.system_time == fake_time_ns && !(info->time.version & 1) && info->time.version,
	       "its time is written under an even version");
	d->time_offset_seconds = -3600;
	domain_wallclock_update(d);
	tap_ok(d->shared_info->wc_sec == 1700000000 - 3600 && !(d->shared_info->wc_version & 1),
	       "wall-clock time has the domain's offset");
	machine_destroy(d);
	machine_run(0);
	as_dom0();
}

static void test_nmi(void)
{
	struct domain *d = machine_domain(12, 1);
	struct vcpu *v = d->vcpus[0];

	machine_become(0, v);
	v->pv.nmi_pending = true;
	vcpu_block();
	tap_ok(bit_test(&v->pause_flags, PAUSE_BLOCKED),
	       "an NMI that a guest has no handler for does not keep it awake");
	bit_clear(&v->pause_flags, PAUSE_BLOCKED);
	v->pv.traps[2].address = 0x1000;
	vcpu_block();
	tap_ok(!bit_test(&v->pause_flags, PAUSE_BLOCKED), "one that waits to be delivered does");
	machine_destroy(d);
	machine_run(0);
	as_dom0();
}

static struct domain *dying;

static void die_meanwhile(void)
{
	struct shared_info *page = dying->shared_info;

	fake_hook = NULL;
	machine_destroy(dying);
	memset(page, 0xaa, PAGE_SIZE); /* somebody else's by now */
}

/* Another vcpu of dom0 sets the wall clock while one destroys the domain. */
static void test_wallclock_of_the_dead(void)
{
	uint8_t *page;
	unsigned written = 0;

	dying = machine_domain(11, 1);
	page = (uint8_t *)dying->shared_info;
	domain_ref(dying);
	fake_hook = die_meanwhile;
	domain_wallclock_update(dying);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		written += page[i] != 0xaa;
	tap_ok(!fake_hook && !written,
	       "the wall clock is not written into a page that a dying domain gave up");
	tap_ok(dying->life == DOMAIN_DEAD, "and the domain is dead");
	domain_put(dying);
	machine_run(0);
	as_dom0();
}

/* Fifty domains of three vcpus: 512 bytes lost by each vcpu are 19 frames. */
static void come_and_go(uint16_t first)
{
	for (unsigned i = 0; i < 50; i++) {
		struct domain *d = machine_domain((uint16_t)(first + i), 3);
		mfn_t m;

		for (unsigned k = 0; k < 20; k++)
			if (domain_frame_alloc(&d->mm, 0, 0, &m))
				abort();
		machine_start(d);
		domain_shutdown(d, SHUTDOWN_poweroff);
		fake_preempt = 1 + i % 3;
		machine_destroy(d);
		fake_preempt = 0;
		machine_run(0);
		as_dom0();
	}
}

static void test_no_trace(void)
{
	uint64_t before;

	come_and_go(100); /* what the first domains leave permanently: the allocator's own pages */
	before = heap_free_pages();
	come_and_go(200);
	tap_ok(heap_free_pages() == before, "fifty domains come and go and leave nothing");
}

int main(void)
{
	tap_plan(9 + 7 + 11 + 9 + 6 + 10 + 2 + 2 + 1);
	machine_init(8192, 2);
	dom0 = machine_domain(0, 1);
	as_dom0();
	if (evtchn_bind_virq(VIRQ_DOM_EXC, 0, &exc))
		abort();
	test_list();
	test_pause();
	test_shutdown();
	test_suspend_event();
	test_watchdog();
	test_info_page();
	test_nmi();
	test_wallclock_of_the_dead();
	test_no_trace();
	return tap_end();
}
