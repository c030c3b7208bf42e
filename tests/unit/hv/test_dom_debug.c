/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug keys: what each shows of a made-up machine, how much it writes at most, and what it must not touch. */
#include "hypercall/domctl.h"
#include "hw/trace.h"
#include "hypercall/debugdump.h"
#include "hw/irq_table.h"
#include "hw/layout.h"
#include "hw/snapshot.h"
#include "hypercall/sysctl.h"
#include "lib/log.h"
#include "fake/look.h"
#include "fake/machine.h"

#define LINES_MAX 2000
#define CPUS      2

spinlock_t domctl_lock = SPINLOCK(RANK_DOMCTL);

static struct domain *guest;
static char written[LINES_MAX][400];
static unsigned count;

/* The hypervisor's stacks, with what stands at their tops. */
static uint8_t stacks[FAKE_CPUS][HV_STACK_SIZE] __attribute__((aligned(HV_STACK_SIZE)));

struct cpu_info *cpu_info(void)
{
	return (struct cpu_info *)(stacks[this_cpu()] + HV_STACK_SIZE) - 1;
}

static void keep(const char *line)
{
	if (count < LINES_MAX)
		snprintf(written[count], sizeof(written[0]), "%s", line);
	count++;
}

static unsigned lines_with(const char *text)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MIN(count, (unsigned)LINES_MAX); i++)
		n += strstr(written[i], text) != NULL;
	return n;
}

static int press(const char *keys)
{
	struct xen_sysctl_debug_keys k = { .nr_keys = (uint32_t)strlen(keys) };
	int rc;

	(void)machine_put(0, keys, k.nr_keys);
	set_xen_guest_handle(k.keys, (char *)0);
	count = 0;
	rc = debug_keys(&k);
	if (fake_locks_held())
		panic("keys %s leave a lock held", keys);
	return rc;
}

static bool shows(const char *keys, const char *text)
{
	bool good = !press(keys) && lines_with(text);

	for (unsigned i = 0; !good && i < MIN(count, 30u); i++)
		printf("# %s\n", written[i]);
	return good;
}

/* ---- each key ---- */

static void test_each(void)
{
	static const char keys[] = "0acdegHiMmqrstuz";
	evtchn_port_t port;
	char one[2] = { 0 }, text[64];
	bool all = true, listed = true;

	machine_become(0, guest->vcpus[0]);
	if (evtchn_alloc_unbound(guest, 0, &port))
		panic("no port");
	machine_become(0, dom0->vcpus[0]);
	dom0->vcpus[1]->initialised = true;
	dom0->vcpus[1]->regs.rip = 0x1234567;
	irq_table[9].handler = (void (*)(unsigned irq, void *data))(uintptr_t)0xc0de42;
	irq_table[9].vector = 0x55;
	irq_table[30] = irq_table[9];
	irq_table[30].msi = (struct msi_device *)(void *)&irq_table;

	tap_ok(shows("0", "0000000001234567"), "0: registers of dom0's vcpus");
	tap_ok(shows("q", "d1: alive") && lines_with("vcpu 0: CPU") >= 2, "q: domains and vcpus");
	snprintf(text, sizeof(text), "%u: vcpu 0, unbound for d0", port);
	tap_ok(shows("e", text), "e: event channels");
	tap_ok(shows("g", "d1: frames"), "g: grants");
	tap_ok(shows("H", "free"), "H: the heap");
	tap_ok(shows("i", "irq 9: vector 55") && lines_with("irq 30"), "i: interrupts");
	tap_ok(shows("M", "irq 30: vector 55, CPU 0, MSI") && !lines_with("irq 9:"), "M: MSI alone");
	tap_ok(shows("z", "GSI 2: 01000000000080a2: vector a2, APIC 1, level high") && !lines_with("GSI 1:"),
	       "z: the I/O APIC's entries that are in use");
	tap_ok(shows("r", "CPU 1: idle"), "r: run queues");
	tap_ok(shows("t", "TSC 1000000 kHz") && shows("s", "TSC 1000000 kHz"), "s, t: clocks");
	tap_ok(shows("u", "node 0"), "u: NUMA");
	tap_ok(shows("c", "CPU 1: idle"), "c: idle states");
	tap_ok(shows("m", "0 frames with wrong counts") && lines_with("d1: frames"),
	       "m: memory, and a recount");
	tap_ok(shows("h", "this list"), "h: the list");
	for (const char *k = keys; *k; k++) {
		snprintf(text, sizeof(text), "  %c  ", *k);
		listed = listed && lines_with(text) == 1;
	}
	tap_ok(listed, "h names each");
	for (const char *k = keys; *k; k++) {
		one[0] = *k;
		all = all && !press(one) && count > 1 && !lines_with("has no meaning");
	}
	tap_ok(all, "each answers");
	tap_ok(shows("Q", "key Q (0x51) has no meaning here") && shows("\x1b", "key . (0x1b)"),
	       "what has no meaning is said to have none");
	tap_ok(shows("hq", "this list") && lines_with("d1: alive"), "several keys in one call");
	MACHINE_EXPECT_POWER((void)press("R"));
	tap_ok(machine_power && !strcmp(machine_power, "reboot"), "R: reboot");
	memset(irq_table, 0, sizeof(irq_table));
}

/* ---- registers ---- */

static void test_snapshot(void)
{
	uint64_t *top = (uint64_t *)(void *)((struct cpu_info *)(void *)(stacks[1] + HV_STACK_SIZE) - 1);
	struct cpu_user_regs *r = &look_regs[1];

	r->cs = 0xe033;
	r->rip = 0x400123;
	r->rsp = 0x7fff0000;
	tap_ok(shows("d", "CPU 1 runs a guest") && lines_with("0000000000400123") &&
	               !lines_with("fake_symbol"),
	       "d: registers of another CPU, by NMI");
	top[-2] = 0xc0de77;
	r->cs = 0xe008;
	r->rip = 0xc0de01;
	r->rsp = (uintptr_t)(top - 8);
	tap_ok(shows("d", "CPU 1 is in the hypervisor") && lines_with("fake_symbol+0x1") &&
	               lines_with("fake_symbol+0x77"),
	       "with the callers of one that is in the hypervisor");
	/* The first instructions of an entry run on what the guest left in RSP. */
	r->rsp = 0x10;
	tap_ok(shows("d", "fake_symbol+0x1") && !lines_with("fake_symbol+0x77"),
	       "a guest's stack pointer is not followed");
	r->rsp = ~7ull;
	tap_ok(shows("d", "fake_symbol+0x1") && !lines_with("fake_symbol+0x77"),
	       "nor one at the end of memory");
	r->rsp = (uintptr_t)stacks[1];
	tap_ok(shows("d", "fake_symbol+0x1") && !lines_with("fake_symbol+0x77"),
	       "nor one below the guard page");
	r->rsp = (uintptr_t)stacks[0] + HV_STACK_SIZE - 1024;
	tap_ok(shows("d", "fake_symbol+0x1") && !lines_with("fake_symbol+0x77"),
	       "nor one on another CPU's stack");
	cpumask_set(&look_deaf, 1);
	tap_ok(shows("d", "CPU 1 does not answer"), "a CPU that does not answer is said not to");
	cpumask_clear(&look_deaf, 1);
}

/* ---- timers ---- */

static void nothing(void *data)
{
	(void)data;
}

/* timers_look() finds each timer of a CPU once, whatever shape its heap has got, and the next one first. */
static void test_timers_look(void)
{
	static struct timer timers[200];
	static struct timer_view views[300];
	uint64_t seed = 1;
	char text[40];
	unsigned before = timers_look(1, views, 300), n;
	bool good = before <= 300;

	for (unsigned i = 0; i < 200; i++)
		timer_init(&timers[i], nothing, &timers[i], 1);
	for (unsigned step = 0; step < 5000 && good; step++) {
		unsigned i, set = 0, found = 0;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		i = (unsigned)(seed >> 33) % 200;
		if (seed >> 60 < 5)
			timer_stop(&timers[i]);
		else
			timer_set(&timers[i], fake_time_ns + 1000000 + (seed >> 50));
		n = timers_look(1, views, 300);
		for (unsigned k = 0; k < 200; k++)
			set += timers[k].active;
		for (unsigned k = 0; k < n; k++) {
			const struct timer *t = views[k].data;

			good = good && views[k].expires_ns >= views[0].expires_ns;
			for (unsigned j = 0; j < k; j++)
				good = good && views[j].data != views[k].data;
			if (views[k].fn == nothing)
				found += t->active && t->expires_ns == views[k].expires_ns;
		}
		good = good && n == set + before && found == set;
	}
	tap_ok(good, "timers_look() finds each timer once, the next one first");
	n = timers_look(1, views, 3);
	tap_ok(n > 3, "and counts those that it has no room for");
	snprintf(text, sizeof(text), "CPU 1: %u timers", n);
	tap_ok(shows("a", text) && lines_with("in 1") == 16, "a: timers, 16 of each CPU");
	for (unsigned i = 0; i < 200; i++)
		timer_kill(&timers[i]);
	tap_ok(timers_look(1, views, 300) == before, "and none that is gone");
}

/* ---- bounds ---- */

static void test_bounds(void)
{
	evtchn_port_t port;
	char many[18] = { 0 };
	struct xen_sysctl_debug_keys k = { .nr_keys = 17 };

	machine_become(0, guest->vcpus[0]);
	while (!evtchn_alloc_unbound(guest, 0, &port))
		;
	machine_become(0, dom0->vcpus[0]);
	tap_ok(shows("e", "the rest is left out") && count <= 242 && count > 200,
	       "4,000 event channels do not write more than 240 lines");
	tap_ok(shows("*", "the rest is left out") && count <= 240 + 3 * 16, "nor do all keys at once");
	memset(many, '*', 16);
	tap_ok(!press(many) && count <= 240 + 16 * 3 * 16, "nor all of all");
	memset(many, 'e', 16);
	tap_ok(!press(many) && count <= 240 + 3 * 16, "nor one key many times");
	tap_ok(debug_keys(&k) == -E2BIG, "17 keys are refused");
	k.nr_keys = 2;
	set_xen_guest_handle(k.keys, (char *)(sizeof(fake_guest) - 1));
	tap_ok(debug_keys(&k) == -EFAULT, "keys that cannot be read are refused");
	k.nr_keys = 0;
	tap_ok(!debug_keys(&k), "no keys are no error");
}

int main(void)
{
	tap_plan(19 + 7 + 4 + 7);
	machine_init(4096, CPUS);
	dom0 = machine_domain(0, 2);
	machine_start(dom0);
	guest = machine_domain(1, 2);
	machine_start(guest);
	machine_become(0, dom0->vcpus[0]);
	fake_answer = keep;
	test_each();
	test_snapshot();
	test_timers_look();
	test_bounds();
	return tap_end();
}
