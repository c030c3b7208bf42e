/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs that are taken out of use, and put back ("xen-hptool cpu-offline").
 *
 * 1. The scheduler places nobody on the CPU any more: it is no longer in cpus_in_use. Vcpus that may run on no other CPU
 *    may run on all, for good, as on Xen.
 * 2. Vcpus that wait or sleep there get another CPU. The one that runs gets one when it gives the CPU up, to which it is
 *    told; until then the call is continued, for it may be the caller itself.
 * 3. When the CPU is idle, the timers of vcpus and domains and the interrupts of devices are moved to CPU 0.
 *
 * The CPU then sleeps in its idle loop. It stays in cpus_online: it still takes part in flushes and in other calls across
 * CPUs, so nothing that it has cached can become stale, and it is back at once.
 */
#include "dom/hotplug.h"
#include "dom/evtchn.h"
#include "dom/sched.h"
#include "hw/cpu.h"
#include "hw/irq.h"
#include "lib/errno.h"
#include "lib/log.h"

static void vcpu_timers_move(struct vcpu *v, unsigned cpu)
{
	if (v->singleshot_timer.cpu == cpu)
		timer_migrate(&v->singleshot_timer, 0);
	if (v->periodic_timer.cpu == cpu)
		timer_migrate(&v->periodic_timer, 0);
	if (v->poll_timer.cpu == cpu)
		timer_migrate(&v->poll_timer, 0);
}

static void unpin(struct vcpu *v)
{
	cpumask_t usable = cpumask_and(&v->hard_affinity, &cpus_in_use), all = cpumask_all();

	if (!cpumask_empty(&usable))
		return;
	log_info("d%uv%u: its CPUs are out of use, it may run on all", v->domain->domid, v->id);
	if (vcpu_set_affinity(v, &all, &v->soft_affinity))
		log_warn("d%uv%u: no CPU is left", v->domain->domid, v->id);
}

static void vcpus_leave(unsigned cpu, bool timers)
{
	struct domain *d;

	for (unsigned id = 0; (d = domain_get_next((uint16_t)id)); id = d->domid + 1u) {
		for (unsigned i = 0; i < d->max_vcpus; i++) {
			struct vcpu *v = READ_ONCE(d->vcpus[i]);

			if (!v)
				continue;
			unpin(v);
			vcpu_leave_cpu(v, cpu);
			if (timers)
				vcpu_timers_move(v, cpu);
		}
		for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog) && timers; i++)
			if (d->watchdog[i].cpu == cpu)
				timer_migrate(&d->watchdog[i], 0);
		domain_put(d);
	}
}

int cpu_take_out(unsigned cpu)
{
	if (!cpu || cpu >= cpu_count || !cpumask_test(&cpus_online, cpu))
		return -EINVAL;
	if (!cpumask_test(&cpus_in_use, cpu) && !cpumask_test(&cpus_leaving, cpu))
		return -EEXIST;
	cpumask_set(&cpus_leaving, cpu);
	cpumask_clear(&cpus_in_use, cpu);
	vcpus_leave(cpu, false);
	if (!sched_cpu_idle(cpu)) {
		work_raise(cpu, WORK_SCHEDULE);
		return -ERESTART_HV;
	}
	/* Who left the CPU since by falling asleep is still named to be there. */
	vcpus_leave(cpu, true);
	irqs_leave_cpu(cpu, 0);
	cpumask_clear(&cpus_leaving, cpu);
	log_info("CPU %u is out of use", cpu);
	evtchn_send_global_virq(VIRQ_PCPU_STATE);
	return 0;
}

int cpu_put_back(unsigned cpu)
{
	if (cpu >= cpu_count || !cpumask_test(&cpus_online, cpu))
		return -EINVAL;
	if (cpumask_test(&cpus_in_use, cpu))
		return -EEXIST;
	cpumask_clear(&cpus_leaving, cpu);
	cpumask_set(&cpus_in_use, cpu);
	work_raise(cpu, WORK_SCHEDULE);
	log_info("CPU %u is in use again", cpu);
	evtchn_send_global_virq(VIRQ_PCPU_STATE);
	return 0;
}
