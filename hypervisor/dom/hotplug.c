/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs that are taken out of use, and put back ("xen-hptool cpu-offline").
 *
 * A CPU that is free or in Pool-0 may go: it leaves the pool (cpupool.c), so that nobody is placed there any more, and who is
 * there goes elsewhere. Vcpus that may run on no other CPU may run on all, permanently, as on Xen. It comes back into Pool-0.
 *
 * The CPU then sleeps in its idle loop. It stays in cpus_online: it still takes part in flushes and in other calls across
 * CPUs, so nothing that it has cached can become stale, and it is back at once.
 */
#include "dom/hotplug.h"
#include "dom/cpupool.h"
#include "dom/evtchn.h"
#include "dom/sched.h"
#include "hw/cpu.h"
#include "lib/errno.h"
#include "lib/log.h"

int cpu_take_out(unsigned cpu)
{
	int rc;

	if (!cpu || cpu >= cpu_count || !cpumask_test(&cpus_online, cpu))
		return -EINVAL;
	if (!cpumask_test(&cpus_in_use, cpu) && !cpumask_test(&cpus_leaving, cpu))
		return -EEXIST;
	if (cpumask_test(&cpus_in_use, cpu)) {
		rc = cpupool_unplug(cpu);
		if (rc)
			return rc;
		cpumask_set(&cpus_leaving, cpu);
		cpumask_clear(&cpus_in_use, cpu);
	}
	rc = cpupool_vacate(cpu);
	if (rc)
		return rc;
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
	cpupool_plug(cpu);
	log_info("CPU %u is in use again", cpu);
	evtchn_send_global_virq(VIRQ_PCPU_STATE);
	return 0;
}
