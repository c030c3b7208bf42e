/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * platform_op: what dom0 does for the machine (xen/platform.h): wall clock, sleep states, facts about
 * processors. Firmware of the PC BIOS kind has no more to tell (-ESRCH ends the caller's enumeration).
 */
#include "hypercall/domctl.h"
#include "dom/domtable.h"
#include "dom/vcpu.h"
#include "hypercall/hypercall.h"
#include "dom/hotplug.h"
#include "dom/sched.h"
#include "hw/power.h"
#include "hw/smp.h"
#include "hw/time.h"
#include "lib/log.h"
#include "lib/string.h"
#include <xen/platform.h>

static int set_time(uint64_t sec, uint32_t nsec, uint64_t system_ns)
{
	struct domain *d;

	if (nsec >= 1000000000u)
		return -EINVAL;
	time_wallclock_set(sec, nsec, system_ns);
	for (d = domain_get_next(0); d;) {
		uint32_t next = d->domid + 1u;

		domain_wallclock_update(d);
		domain_put(d);
		d = next <= DOMID_FIRST_RESERVED ? domain_get_next((uint16_t)next) : NULL;
	}
	return 0;
}

/* Indices, sources and kinds; only the keyboard's shift state and disks' BIOS data are asked for without EFI. */
static int firmware_info(struct xenpf_firmware_info *info)
{
	switch (info->type) {
	case XEN_FW_KBD_SHIFT_FLAGS:
		info->u.kbd_shift_flags = 0;
		return info->index ? -ESRCH : 0;
	case XEN_FW_DISK_INFO:
	case XEN_FW_DISK_MBR_SIGNATURE:
	case XEN_FW_VBEDDC_INFO:
	case XEN_FW_EFI_INFO:
		return -ESRCH;
	}
	return -EINVAL;
}

static int enter_sleep(const struct xenpf_enter_acpi_sleep *s)
{
	if (s->sleep_state != 5) {
		log_warn("dom0 asked for sleep state S%u: only S5 (power off) is supported", s->sleep_state);
		return -EOPNOTSUPP;
	}
	if (s->flags & XENPF_ACPI_SLEEP_EXTENDED)
		return -EOPNOTSUPP;
	return acpi_enter_s5(s->val_a, s->val_b);
}

static int cpu_info_get(struct xenpf_pcpuinfo *info)
{
	info->max_present = cpu_count - 1;
	if (info->xen_cpuid >= cpu_count) {
		info->flags = XEN_PCPU_FLAGS_INVALID;
		return 0;
	}
	info->flags = cpumask_test(&cpus_in_use, info->xen_cpuid) ? XEN_PCPU_FLAGS_ONLINE : 0;
	info->apic_id = cpu_apic_id(info->xen_cpuid);
	info->acpi_id = cpu_acpi_id(info->xen_cpuid);
	return 0;
}

static int cpu_version_get(struct xenpf_pcpu_version *info)
{
	info->max_present = cpu_count - 1;
	if (info->xen_cpuid >= cpu_count)
		return -EINVAL;
	memcpy(info->vendor_id, cpu_features.vendor, sizeof(info->vendor_id));
	info->family = cpu_features.family;
	info->model = cpu_features.model;
	info->stepping = cpu_features.stepping;
	return 0;
}

static int idle_time_get(struct xenpf_getidletime *get)
{
	uint8_t map[NR_CPUS / 8] = { 0 };
	unsigned count = MIN(get->cpumap_nr_cpus, (uint32_t)NR_CPUS);

	if (copy_from_handle(map, get->cpumap_bitmap, 0, (count + 7) / 8))
		return -EFAULT;
	for (unsigned cpu = 0; cpu < count; cpu++) {
		uint64_t ns;

		if (!(map[cpu / 8] >> (cpu % 8) & 1))
			continue;
		if (cpu >= cpu_count) {
			map[cpu / 8] &= (uint8_t) ~(1u << (cpu % 8));
			continue;
		}
		ns = cpu_idle_ns(cpu);
		if (copy_to_handle(get->idletime, cpu, &ns, 1))
			return -EFAULT;
	}
	get->now = time_now_ns();
	return copy_to_handle(get->cpumap_bitmap, 0, map, (count + 7) / 8);
}

/* As by sysctl, but for what is said when there is nothing to do. */
static int cpu_switch(uint32_t cmd, uint32_t cpu)
{
	int rc;

	if (cmd == XENPF_cpu_offline && !cpu)
		return -EOPNOTSUPP;
	if (!spin_trylock(&domctl_lock))
		return -ERESTART_HV;
	rc = cmd == XENPF_cpu_online ? cpu_put_back(cpu) : cpu_take_out(cpu);
	spin_unlock(&domctl_lock);
	return rc == -EEXIST ? 0 : rc;
}

/* Power management by what dom0 reads in ACPI's tables: C1 alone is used. Linux takes -EINVAL for "no such CPU". */
static int pminfo(const struct xenpf_set_processor_pminfo *q)
{
	if (q->type > XEN_PM_PX)
		return -EINVAL;
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		if (cpu_acpi_id(cpu) == q->id)
			return -EOPNOTSUPP;
	return -EINVAL;
}

/* Lists of MSRs to be read and written. None may be: the first entry says so, and none is done. */
static int resource_op(const struct xenpf_resource_op *q)
{
	xenpf_resource_entry_t e;

	if (!q->nr_entries)
		return 0;
	if (q->nr_entries > 3)
		return -EINVAL;
	if (copy_from_handle(&e, q->entries, 0, 1))
		return -EFAULT;
	if (e.rsvd || (e.u.cmd <= XEN_RESOURCE_OP_MSR_WRITE && e.idx >> 32))
		e.u.ret = (uint32_t)-EINVAL;
	else
		e.u.ret = (uint32_t)(e.u.cmd <= XEN_RESOURCE_OP_MSR_WRITE ? -EPERM : -EOPNOTSUPP);
	return copy_to_handle(q->entries, 0, &e, 1);
}

/* The firmware's microcode stays: none is found to be newer. A file that is none at all is told so: Intel's begins with
 * header version 1 and has loader revision 1 at byte 20 (SDM Vol. 3, 10.11), AMD's is a container with a magic number. */
static int microcode_update(const struct xenpf_microcode_update *q)
{
	const uint32_t amd_container = 0x00414d44;
	uint32_t header[12];

	if (!q->length && !cpu_features.is_amd)
		return -ENOENT;
	if (q->length < sizeof(header))
		return -EINVAL;
	if (guest_copy_in(header, GVA((uintptr_t)q->data.p), sizeof(header)))
		return -EFAULT;
	if (cpu_features.is_amd)
		return header[0] == amd_container ? -ENOENT : -EINVAL;
	return header[0] == 1 && header[5] == 1 ? -ENOENT : -EINVAL;
}

/* platform_op(op): struct xen_platform_op, read and, where something comes back, written. dom0 only. */
int64_t hc_platform_op(struct hc_args *a)
{
	struct xen_platform_op op;
	int err;

	if (!current_domain()->privileged)
		return -EPERM;
	if (guest_copy_in(&op, GVA(a->arg[0]), sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XENPF_INTERFACE_VERSION)
		return -EACCES;
	switch (op.cmd) {
	case XENPF_settime32:
		return set_time(op.u.settime32.secs, op.u.settime32.nsecs, op.u.settime32.system_time);
	case XENPF_settime64:
		if (op.u.settime64.mbz)
			return -EINVAL;
		return set_time(op.u.settime64.secs, op.u.settime64.nsecs, op.u.settime64.system_time);
	case XENPF_enter_acpi_sleep:
		return enter_sleep(&op.u.enter_acpi_sleep);
	case XENPF_firmware_info:
		err = firmware_info(&op.u.firmware_info);
		break;
	case XENPF_get_cpuinfo:
		err = cpu_info_get(&op.u.pcpu_info);
		break;
	case XENPF_get_cpu_version:
		err = cpu_version_get(&op.u.pcpu_version);
		break;
	case XENPF_getidletime:
		err = idle_time_get(&op.u.getidletime);
		break;
	case XENPF_cpu_online:
	case XENPF_cpu_offline:
		return cpu_switch(op.cmd, op.u.cpu_ol.cpuid);
	case XENPF_set_processor_pminfo:
		return pminfo(&op.u.set_pminfo);
	case XENPF_cpu_hotadd:
	case XENPF_mem_hotadd:
	case XENPF_core_parking:
		return -EOPNOTSUPP;
	case XENPF_resource_op:
		return resource_op(&op.u.resource_op);
	case XENPF_microcode_update:
		return microcode_update(&op.u.microcode);
	default:
		return -ENOSYS;
	}
	if (!err && guest_copy_out(GVA(a->arg[0]), &op, sizeof(op)))
		return -EFAULT;
	return err;
}
