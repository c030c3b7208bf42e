/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event channels: binding rules, delivery, hostile numbers, closing, reset, polling, lock order between two domains. */
#include "fake/machine.h"
#include "dom/domtable.h"
#include "dom/sched.h"
#include "hw/smp.h"
#include "mm/heap.h"
#include "mm/validate.h"
#include <pthread.h>

static struct domain *a, *b, *c;

static bool pending(struct domain *d, evtchn_port_t port)
{
	return evtchn_poll(d, port) > 0;
}

static void ack(struct domain *d, evtchn_port_t port)
{
	struct vcpu_info *info = d->vcpus[0]->info;

	bit_clear((uint64_t *)d->shared_info->evtchn_pending, port);
	info->evtchn_upcall_pending = 0;
	info->evtchn_pending_sel = 0;
}

static void as(struct domain *d)
{
	machine_become(0, d->vcpus[0]);
}

/* A channel from b (unbound, offered to a) that a has bound. */
static void connect(evtchn_port_t *pa, evtchn_port_t *pb)
{
	as(b);
	if (evtchn_alloc_unbound(b, a->domid, pb))
		abort();
	as(a);
	if (evtchn_bind_interdomain(b->domid, *pb, pa))
		abort();
	ack(a, *pa);
}

static void test_interdomain(void)
{
	evtchn_port_t pa, pb, p;
	struct evtchn_status st;

	as(b);
	tap_ok(!evtchn_alloc_unbound(b, a->domid, &pb) && pb,
	       "an unbound port is allocated, and it is not 0");
	tap_ok(!evtchn_send(b, pb), "an event to nobody is dropped without an error");
	as(c);
	tap_ok(evtchn_bind_interdomain(b->domid, pb, &p) == -EINVAL, "a third domain cannot bind it");
	as(a);
	tap_ok(evtchn_bind_interdomain(b->domid, pb + 1, &p) == -EINVAL, "a free port cannot be bound");
	tap_ok(evtchn_bind_interdomain(77, pb, &p) == -ESRCH,
	       "a domain that is not there cannot be bound to");
	tap_ok(!evtchn_bind_interdomain(b->domid, pb, &pa) && pending(a, pa),
	       "the one it was offered to binds it and looks once");
	tap_ok(evtchn_bind_interdomain(b->domid, pb, &p) == -EINVAL, "a bound port cannot be bound again");
	ack(a, pa);
	tap_ok(!evtchn_send(a, pa) && pending(b, pb) && !pending(a, pa), "a sends, b gets it");
	tap_ok(b->vcpus[0]->info->evtchn_upcall_pending &&
	               b->vcpus[0]->info->evtchn_pending_sel == 1ul << pb / 64,
	       "the upcall and the selector word are set");
	ack(b, pb);
	bit_set((uint64_t *)a->shared_info->evtchn_mask, pa);
	tap_ok(!evtchn_send(b, pb) && pending(a, pa) && !a->vcpus[0]->info->evtchn_upcall_pending,
	       "a masked port becomes pending without an upcall");
	as(a);
	tap_ok(!evtchn_unmask(pa) && a->vcpus[0]->info->evtchn_upcall_pending,
	       "unmasking delivers what is pending");
	st = (struct evtchn_status){ .dom = DOMID_SELF, .port = pa };
	tap_ok(!evtchn_status(&st) && st.status == EVTCHNSTAT_interdomain &&
	               st.u.interdomain.dom == b->domid && st.u.interdomain.port == pb,
	       "status tells the other end");
	st = (struct evtchn_status){ .dom = b->domid, .port = pb };
	tap_ok(evtchn_status(&st) == -EPERM, "a guest cannot ask about another domain's ports");
	ack(a, pa);
	tap_ok(!evtchn_close(a, pa) && evtchn_send(a, pa) == -EINVAL, "a closed port cannot send");
	st = (struct evtchn_status){ .dom = DOMID_SELF, .port = pb };
	as(b);
	tap_ok(!evtchn_status(&st) && st.status == EVTCHNSTAT_unbound && st.u.unbound.dom == a->domid,
	       "the other end is unbound again");
	tap_ok(!evtchn_close(b, pb) && evtchn_close(b, pb) == -EINVAL, "a port is closed once");
}

static void test_hostile_numbers(void)
{
	static const uint32_t bad[] = { 0, 4095, 4096, 5000, 0x7fffffff, 0x80000000, 0xffffffff };
	evtchn_port_t p;
	bool refused = true;

	as(a);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		refused &= evtchn_send(a, bad[i]) == -EINVAL;
		refused &= evtchn_close(a, bad[i]) == -EINVAL;
		refused &= evtchn_bind_vcpu(bad[i], 0) == -EINVAL;
		refused &= evtchn_bind_interdomain(b->domid, bad[i], &p) == -EINVAL;
	}
	tap_ok(refused, "ports that are not there are refused everywhere");
	refused = true;
	for (unsigned i = 2; i < ARRAY_SIZE(bad); i++) {
		refused &= evtchn_bind_ipi(bad[i], &p) == -ENOENT;
		refused &= evtchn_bind_virq(VIRQ_TIMER, bad[i], &p) == -ENOENT;
		refused &= evtchn_bind_virq(bad[i], 0, &p) == -EINVAL;
		refused &= evtchn_bind_pirq(bad[i], false, &p) != 0;
	}
	tap_ok(refused, "vcpus, virqs and pirqs that are not there are refused");
	tap_ok(evtchn_bind_pirq(3, false, &p) != 0, "a guest without rights binds no interrupt");
	evtchn_raise_pirq(a, 0xffffffff);
	evtchn_send_vcpu_virq(a->vcpus[0], 0xffffffff);
	tap_ok(!a->shared_info->evtchn_pending[0], "raising what is not there does nothing");
}

static void test_virqs(void)
{
	evtchn_port_t t0 = 0, t1 = 0, e, p;

	as(a);
	tap_ok(!evtchn_bind_virq(VIRQ_TIMER, 0, &t0) && !evtchn_bind_virq(VIRQ_TIMER, 1, &t1),
	       "each vcpu binds its timer");
	tap_ok(evtchn_bind_virq(VIRQ_TIMER, 0, &p) == -EEXIST, "a virq is bound once");
	tap_ok(evtchn_bind_vcpu(t0, 1) == -EINVAL, "a vcpu's own virq stays with it");
	evtchn_send_vcpu_virq(a->vcpus[1], VIRQ_TIMER);
	tap_ok(pending(a, t1) && !pending(a, t0) && a->vcpus[1]->info->evtchn_upcall_pending,
	       "it reaches that vcpu alone");
	tap_ok(evtchn_bind_virq(VIRQ_DOM_EXC, 1, &p) == -EINVAL, "a global virq is bound by vcpu 0");
	as(b);
	tap_ok(!evtchn_bind_virq(VIRQ_DOM_EXC, 0, &e), "any domain may bind a global virq");
	evtchn_send_global_virq(VIRQ_DOM_EXC);
	tap_ok(!pending(b, e), "but it goes to dom0 at first");
	tap_ok(!evtchn_set_global_virq_handler(b, VIRQ_DOM_EXC), "dom0 may hand it to another domain");
	evtchn_send_global_virq(VIRQ_DOM_EXC);
	tap_ok(pending(b, e), "which gets it then");
	tap_ok(evtchn_set_global_virq_handler(b, VIRQ_TIMER) == -EINVAL,
	       "a vcpu's virq has no global handler");
	if (evtchn_set_global_virq_handler(dom0, VIRQ_DOM_EXC))
		abort();
	tap_ok(!evtchn_close(b, e), "and its port can be closed");
	as(a);
	tap_ok(!evtchn_close(a, t0) && !evtchn_bind_virq(VIRQ_TIMER, 0, &t0),
	       "a closed virq can be bound again");
	if (evtchn_close(a, t0) || evtchn_close(a, t1))
		abort();
}

static void test_ipi_and_poll(void)
{
	evtchn_port_t ipi, ports[2];
	uint64_t *flags = &a->vcpus[0]->pause_flags;

	as(a);
	tap_ok(!evtchn_bind_ipi(1, &ipi) && !evtchn_send(a, ipi) && pending(a, ipi) &&
	               a->vcpus[1]->info->evtchn_upcall_pending,
	       "an IPI reaches its vcpu");
	ports[0] = ipi;
	tap_ok(!vcpu_poll(ports, 1, 0) && !bit_test(flags, PAUSE_POLL),
	       "polling a pending port returns at once");
	ack(a, ipi);
	a->vcpus[0]->info->evtchn_upcall_mask = 1;
	tap_ok(!vcpu_poll(ports, 1, 0) && bit_test(flags, PAUSE_POLL), "polling an idle port waits");
	(void)!evtchn_send(a, ipi);
	tap_ok(!bit_test(flags, PAUSE_POLL), "its event ends the wait, also when it is delivered elsewhere");
	ack(a, ipi);
	ports[1] = 4096;
	tap_ok(vcpu_poll(ports, 2, 0) == -EINVAL && !bit_test(flags, PAUSE_POLL), "a bad port ends the poll");
	tap_ok(!vcpu_poll(ports, 1, fake_time_ns + 100) && bit_test(flags, PAUSE_POLL),
	       "a poll with a time-out waits");
	fake_time_ns += 200;
	work_raise(0, WORK_TIMER);
	machine_run(0);
	tap_ok(!bit_test(flags, PAUSE_POLL), "and ends at the time-out");
	as(a);
	if (evtchn_close(a, ipi))
		abort();
}

static void test_quota_and_reset(void)
{
	evtchn_port_t p, pa, pb;
	unsigned n = 0;

	connect(&pa, &pb);
	as(c);
	while (!evtchn_alloc_unbound(c, a->domid, &p))
		n++;
	tap_ok(n == 4095, "a domain has 4,095 ports");
	tap_ok(evtchn_alloc_unbound(c, a->domid, &p) == -ENOSPC, "and not one more");
	fake_preempt = 1;
	n = 0;
	while (evtchn_reset(c) == -ERESTART_HV)
		n++;
	fake_preempt = 0;
	tap_ok(n > 10, "reset can be preempted");
	tap_ok(!evtchn_alloc_unbound(c, a->domid, &p) && p == 1, "and leaves no port behind");
	if (evtchn_reset(c) || evtchn_reset(a))
		abort();
	as(b);
	tap_ok(!evtchn_send(b, pb), "a peer of a reset domain is unbound, not dangling");
	if (evtchn_close(b, pb))
		abort();
}

/* Two domains open and close channels to each other at once, on two CPUs. */
static void *storm(void *data)
{
	struct domain *own = data == (void *)1 ? a : b, *other = own == a ? b : a;
	unsigned cpu = own == a ? 0 : 1;
	evtchn_port_t port, offer;

	machine_become(cpu, own->vcpus[0]);
	for (unsigned i = 0; i < 20000; i++) {
		if (!evtchn_alloc_unbound(own, other->domid, &offer) && i % 3 == 0)
			(void)!evtchn_close(own, offer);
		if (!evtchn_bind_interdomain(other->domid, 1 + i % 40, &port)) {
			(void)!evtchn_send(own, port);
			if (i % 2)
				(void)!evtchn_close(own, port);
		}
		(void)!evtchn_close(own, 1 + i * 7 % 60);
	}
	return NULL;
}

static void test_two_domains(void)
{
	pthread_t t[2];

	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, storm, (void *)(i + 1));
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	as(a);
	tap_ok(!evtchn_reset(a) && !evtchn_reset(b),
	       "two domains bind and close each other's ports at once without a deadlock");
	tap_ok(a->refcount == b->refcount, "and no reference is left over");
}

static void test_death(void)
{
	evtchn_port_t pa, pb;
	uint64_t before = heap_free_pages();
	struct domain *d = machine_domain(9, 1);

	as(d);
	if (evtchn_alloc_unbound(d, a->domid, &pb))
		abort();
	as(a);
	if (evtchn_bind_interdomain(9, pb, &pa))
		abort();
	machine_destroy(d);
	machine_run(0);
	as(a);
	tap_ok(!evtchn_send(a, pa), "sending to a dead peer is quiet");
	tap_ok(!domain_get(9) && evtchn_close(a, pa) == 0, "the dead domain is gone in spite of the channel");
	tap_ok(heap_free_pages() >= before, "and its memory is back");
}

#define IO_FRAMES 0xf0000ull /* a device's; those of the frame before are the hypervisor's */

static unsigned interrupts;

/* A device asserts the line all the time: as often as interrupts are on and it is open. */
static void assert_line(void)
{
	fake_irq_hook = NULL;
	while (interrupts < 100 && machine_irq_open(5)) {
		interrupts++;
		machine_irq_fire(5);
	}
	fake_irq_hook = assert_line;
}

/* Taken from its last guest a line is masked before there is nobody who owes its EOI: else the CPU comes to nothing more. */
static void test_asserted(bool owes)
{
	evtchn_port_t p;
	bool closed;

	interrupts = 0;
	if (evtchn_bind_pirq(5, true, &p))
		abort();
	if (owes)
		machine_irq_fire(5);
	fake_irq_hook = assert_line;
	closed = !evtchn_close(dom0, p);
	fake_irq_hook = NULL;
	tap_ok(closed && interrupts <= 1 && !machine_irq_bound(5),
	       "closing a line that is asserted all the time%s: %u interrupts",
	       owes ? ", and owed an EOI" : "", interrupts);
}

static void test_pirqs(void)
{
	const struct {
		uint64_t base;
		uint16_t entry;
		int answer;
		const char *what;
	} tables[] = {
		{ FAKE_RAM_FIRST << PAGE_SHIFT, 0, -EINVAL, "in memory is refused" },
		{ (FAKE_RAM_FIRST << PAGE_SHIFT) - 32, 2, -EINVAL, "behind a table that ends there too" },
		{ (FAKE_RAM_FIRST << PAGE_SHIFT) - 8, 0, -EINVAL, "half in memory too" },
		{ IO_FRAMES << PAGE_SHIFT | 4, 0, -EINVAL, "at an odd place too" },
		{ (IO_FRAMES << PAGE_SHIFT) - 8, 0, -EINVAL, "half in registers of the hypervisor's too" },
		{ (IO_FRAMES - 1) << PAGE_SHIFT, 0, -EINVAL, "in those too" },
		{ ~0ull << 4, 2, -EINVAL, "behind the end of addresses too" },
		{ IO_FRAMES << PAGE_SHIFT | 8, 255, -EINVAL,
		  "over the end of the page that is mapped for it too" },
		{ IO_FRAMES << PAGE_SHIFT | 0x808, 3, 0, "in registers of a device is taken" },
	};
	struct physdev_map_pirq map = { .type = MAP_PIRQ_TYPE_GSI, .index = 5, .pirq = -1 };
	evtchn_port_t p, q;

	if (mm_iomem_permit(&dom0->mm, 0, (1ull << 34) - 1, true) ||
	    mm_iomem_permit(&dom0->mm, IO_FRAMES - 1, IO_FRAMES - 1, false))
		abort();
	as(dom0);
	machine_irq_level[5] = true;
	tap_ok(!pirq_map(dom0, &map) && map.pirq == 5, "dom0 maps a GSI under its own number");
	tap_ok(!evtchn_bind_pirq(5, true, &p) && machine_irq_bound(5), "binding it takes the line");
	tap_ok(evtchn_bind_pirq(5, true, &q) == -EEXIST, "a pirq is bound once");
	tap_ok(pirq_status(dom0, 5) & XENIRQSTAT_needs_eoi, "a level line needs an EOI");
	machine_irq_fire(5);
	tap_ok(pending(dom0, p) && !machine_irq_eois[5], "the interrupt arrives and stays masked");
	tap_ok(!pirq_eoi(dom0, 5) && machine_irq_eois[5] == 1, "EOI opens the line");
	tap_ok(!pirq_eoi(dom0, 5) && machine_irq_eois[5] == 1, "a second EOI does nothing");
	tap_ok(pirq_unmap(dom0, 5) == -EBUSY, "a bound pirq cannot be unmapped");
	machine_irq_fire(5);
	tap_ok(!evtchn_close(dom0, p) && machine_irq_eois[5] == 2 && !machine_irq_bound(5),
	       "closing pays the EOI that is owed and frees the line");
	test_asserted(false);
	test_asserted(true);
	tap_ok(!pirq_unmap(dom0, 5) && pirq_unmap(dom0, 5) == -EINVAL, "then it can, once");
	for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		map = (struct physdev_map_pirq){ .type = MAP_PIRQ_TYPE_MSI,
			                         .pirq = -1,
			                         .entry_nr = tables[i].entry,
			                         .table_base = tables[i].base };
		tap_ok(pirq_map(dom0, &map) == tables[i].answer, "an MSI-X entry %s", tables[i].what);
	}
	map = (struct physdev_map_pirq){ .type = MAP_PIRQ_TYPE_MULTI_MSI, .entry_nr = 4, .pirq = -1 };
	tap_ok(!pirq_map(dom0, &map) && map.pirq >= 24, "four MSIs get consecutive numbers");
	tap_ok(!evtchn_bind_pirq((unsigned)map.pirq + 3, false, &p), "each can be bound");
	tap_ok(pirq_unmap(dom0, map.pirq) == -EBUSY, "the group stays while one is bound");
	tap_ok(!evtchn_close(dom0, p) && !pirq_unmap(dom0, map.pirq), "and goes as one");
	map = (struct physdev_map_pirq){ .type = MAP_PIRQ_TYPE_GSI, .index = 6, .pirq = -1 };
	tap_ok(pirq_map(a, &map) == -EPERM, "a guest maps nothing that it was not permitted");
	tap_ok(!pirq_permit(a, 6, true) && !pirq_map(a, &map), "but what it was");
	map = (struct physdev_map_pirq){ .type = MAP_PIRQ_TYPE_MSI, .pirq = -1 };
	tap_ok(pirq_map(a, &map) == -EPERM, "and never an MSI");
}

/* One line under two numbers of one domain. */
static void test_two_numbers(void)
{
	struct physdev_map_pirq one = { .type = MAP_PIRQ_TYPE_GSI, .index = 7, .pirq = 7 };
	struct physdev_map_pirq two = { .type = MAP_PIRQ_TYPE_GSI, .index = 7, .pirq = 300 };
	evtchn_port_t p = 0, q = 0;
	unsigned eois;

	as(dom0);
	machine_irq_level[7] = true;
	tap_ok(!pirq_map(dom0, &one) && !pirq_map(dom0, &two) && !evtchn_bind_pirq(7, true, &p),
	       "a line has two numbers");
	machine_irq_fire(7);
	eois = machine_irq_eois[7];
	tap_ok(!evtchn_bind_pirq(300, true, &q) && !pirq_eoi(dom0, 7) && machine_irq_eois[7] == eois + 1,
	       "an EOI by the one that owes it opens the line");
	ack(dom0, p);
	tap_ok(!evtchn_close(dom0, p), "one of them is closed");
	machine_irq_fire(7);
	tap_ok(pending(dom0, q) && !pending(dom0, p), "and the interrupt goes to the other");
	tap_ok(!evtchn_close(dom0, q) && !machine_irq_bound(7) && !pirq_unmap(dom0, 7) &&
	               !pirq_unmap(dom0, 300),
	       "the line is free when both are");
}

static bool stop_remapping;

static void *remap(void *data)
{
	struct physdev_map_pirq map;

	fake_set_cpu(1);
	while (!__atomic_load_n(&stop_remapping, __ATOMIC_SEQ_CST)) {
		if (pirq_unmap(data, 8))
			continue;
		map = (struct physdev_map_pirq){ .type = MAP_PIRQ_TYPE_GSI, .index = 8, .pirq = 8 };
		if (pirq_map(data, &map))
			abort();
	}
	return NULL;
}

/* One vcpu binds and closes while the other unmaps and maps. */
static void test_unmap_race(void)
{
	struct physdev_map_pirq map = { .type = MAP_PIRQ_TYPE_GSI, .index = 8, .pirq = 8 };
	evtchn_port_t p;
	pthread_t other;
	unsigned left = 0;

	as(dom0);
	if (pirq_map(dom0, &map) || pthread_create(&other, NULL, remap, dom0))
		abort();
	for (unsigned i = 0; i < 300000 && !left; i++) {
		if (evtchn_bind_pirq(8, false, &p))
			continue;
		if (evtchn_close(dom0, p))
			abort();
		left += machine_irq_bound(8);
	}
	__atomic_store_n(&stop_remapping, true, __ATOMIC_SEQ_CST);
	pthread_join(other, NULL);
	tap_ok(!left, "a pirq that is unmapped while it is bound leaves no line behind");
}

static void test_dead_pirqs(void)
{
	struct physdev_map_pirq map = { .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = 9 };
	struct domain *d = machine_domain(10, 1);

	if (pirq_permit(d, 9, true))
		abort();
	domain_ref(d);
	machine_destroy(d);
	tap_ok(d->pirq && !pirq_map(d, &map) && !pirq_unmap(d, 9),
	       "the table of a dead domain is there for who refers to it");
	domain_put(d);
	machine_run(0);
	as(dom0);
}

int main(void)
{
	tap_plan(16 + 4 + 12 + 7 + 5 + 2 + 3 + 28 + 5 + 1 + 1);
	machine_init(4096, 2);
	dom0 = machine_domain(0, 1);
	a = machine_domain(1, 2);
	b = machine_domain(2, 1);
	c = machine_domain(3, 1);
	test_interdomain();
	test_hostile_numbers();
	test_virqs();
	test_ipi_and_poll();
	test_quota_and_reset();
	test_two_domains();
	test_death();
	test_pirqs();
	test_two_numbers();
	test_unmap_race();
	test_dead_pirqs();
	return tap_end();
}
