/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts, power and switching of the fake hardware layer; the bring-up of the real dom/ on it. */
#include "machine.h"
#include "dom/domtable.h"
#include "dom/sched.h"
#include "dom/switch.h"
#include "dom/vcpu.h"
#include "hw/irq.h"
#include "hw/msi.h"
#include "hw/power.h"
#include "hw/smp.h"

unsigned machine_switches;
void (*machine_on_switch)(const struct vcpu *next);
__thread const char *machine_power;
__thread jmp_buf machine_power_env;
__thread bool machine_power_armed;
static __thread jmp_buf switch_env;
static __thread bool switch_armed;

/* ---- bring-up ---- */

/* Grows with each look, so that records have an order. */
uint64_t rdtsc(void)
{
	static uint64_t tsc;

	return __atomic_add_fetch(&tsc, 1, __ATOMIC_RELAXED);
}

void cpu_set_current(struct vcpu *v)
{
	fake_set_vcpu(v);
}

void machine_init(unsigned frames, unsigned cpus)
{
	fake_init(frames, 0);
	cpu_count = cpus;
	cpus_online = (cpumask_t){ { 0 } };
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		cpumask_set(&cpus_online, cpu);
	for (unsigned cpu = cpus; cpu-- > 0;) {
		fake_set_cpu(cpu);
		timers_init_cpu(cpu);
		(void)idle_vcpu_create(cpu);
		sched_init_cpu(cpu);
	}
	sched_init();
}

static void must(int rc, const char *what)
{
	if (!rc)
		return;
	printf("Bail out! %s: %d\n", what, rc);
	exit(1);
}

struct domain *machine_domain(uint16_t domid, unsigned vcpus)
{
	struct domain_config c = { .kind = &pv_guest,
		                   .domid = domid,
		                   .privileged = !domid,
		                   .max_vcpus = vcpus,
		                   .max_evtchn_port = 4095,
		                   .max_grant_frames = 4,
		                   .max_maptrack_frames = 2 };
	struct domain *d;

	must(domain_create(&c, &d), "domain_create");
	d->mm.max_pages = 1024;
	for (unsigned i = 0; i < vcpus; i++)
		must(vcpu_create(d, i), "vcpu_create");
	return d;
}

void machine_start(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++)
		bit_clear(&d->vcpus[i]->pause_flags, PAUSE_DOWN);
	must(domain_controller_unpause(d), "domain_controller_unpause");
}

void machine_domains(struct domain **doms, unsigned count, unsigned vcpus)
{
	for (unsigned i = 0; i < count; i++) {
		doms[i] = machine_domain((uint16_t)i, vcpus);
		if (!i)
			dom0 = doms[0];
		for (unsigned j = 0; j < vcpus; j++)
			doms[i]->vcpus[j]->initialised = true;
		machine_start(doms[i]);
	}
}

void machine_become(unsigned cpu, struct vcpu *v)
{
	fake_set_cpu(cpu);
	fake_set_vcpu(v);
}

void machine_run(unsigned cpu)
{
	fake_set_cpu(cpu);
	switch_armed = true;
	while (setjmp(switch_env))
		;
	work_run();
	switch_armed = false;
}

void machine_destroy(struct domain *d)
{
	int rc;

	machine_become(0, dom0->vcpus[0]);
	domain_ref(d);
	do
		rc = domain_destroy(d);
	while (rc == -ERESTART_HV);
	must(rc, "domain_destroy");
	domain_put(d);
}

gva_t machine_put(size_t at, const void *data, size_t n)
{
	memcpy(fake_guest + at, data, n);
	return GVA(at);
}

/* ---- interrupts ---- */

unsigned irq_gsi_count = 24;
bool machine_irq_level[64];
unsigned machine_irq_eois[64];
static void (*irq_handler[64])(unsigned irq, void *data);
static void *irq_data[64];
static bool irq_masked[64], irq_in_service[64];

int irq_bind(unsigned irq, void (*handler)(unsigned irq, void *data), void *data)
{
	if (irq >= 64)
		return -EINVAL;
	if (irq_handler[irq])
		return -EBUSY;
	irq_handler[irq] = handler;
	irq_data[irq] = data;
	irq_masked[irq] = irq_in_service[irq] = false;
	return 0;
}

void irq_unbind(unsigned irq)
{
	irq_handler[irq] = NULL;
}

bool machine_irq_bound(unsigned irq)
{
	return irq_handler[irq];
}

bool machine_irq_open(unsigned irq)
{
	return irq_handler[irq] && !irq_masked[irq] && !irq_in_service[irq];
}

void machine_irq_fire(unsigned irq)
{
	if (!irq_handler[irq])
		return;
	irq_in_service[irq] = machine_irq_level[irq];
	irq_handler[irq](irq, irq_data[irq]);
}

void irq_eoi(unsigned irq)
{
	machine_irq_eois[irq]++;
	irq_in_service[irq] = false;
}

void irq_mask(unsigned irq)
{
	irq_masked[irq] = true;
}

void irq_unmask(unsigned irq)
{
	irq_masked[irq] = false;
}

bool irq_is_level(unsigned irq)
{
	return irq < 64 && machine_irq_level[irq];
}

void irq_set_affinity(unsigned irq, unsigned cpu)
{
	(void)irq;
	(void)cpu;
}

unsigned machine_irqs_left;

void irqs_leave_cpu(unsigned cpu, unsigned to)
{
	machine_irqs_left = cpu * 16 + to;
}

static unsigned msi_next = 24;

int msi_setup(const struct msi_request *req, unsigned *first)
{
	if (msi_next + req->count > 64)
		return -ENOSPC;
	*first = msi_next;
	msi_next += req->count;
	return 0;
}

void msi_teardown(unsigned first)
{
	if (first < msi_next)
		msi_next = first;
}

/* ---- power ---- */

static void power(const char *what) __noreturn;
static void power(const char *what)
{
	machine_power = what;
	if (machine_power_armed)
		longjmp(machine_power_env, 1);
	printf("Bail out! machine told to %s\n", what);
	exit(1);
}

void machine_halt(void)
{
	power("halt");
}

void machine_reboot(void)
{
	power("reboot");
}

/* ---- switching ---- */

void vcpu_switch(struct vcpu *prev, struct vcpu *next)
{
	if (prev == next || !next->running || (!next->is_idle && next->cpu != this_cpu())) {
		printf("Bail out! bad switch\n");
		abort();
	}
	machine_switches++;
	if (machine_on_switch)
		machine_on_switch(next);
	fake_set_vcpu(next);
	__atomic_store_n(&prev->running, false, __ATOMIC_RELEASE);
	if (!switch_armed)
		abort();
	longjmp(switch_env, 1);
}

void switch_forget(const struct domain *d)
{
	(void)d;
}
