/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mca (xen/arch-x86/xen-mca.h): what dom0 asks of machine checks. dom0 only.
 *
 * A machine check itself stops the hypervisor, with the banks' contents on the console (hw/trap.c); nothing is
 * recovered from and no corrected errors are polled. So what dom0 can fetch is what was injected for a test:
 * XEN_MC_msrinject gathers values of a CPU's bank registers, XEN_MC_mceinject makes them one report of that CPU, which
 * is queued and announced by VIRQ_MCA. No register of the machine is written.
 */
#include "hypercall/hypercall.h"
#include "dom/evtchn.h"
#include "hw/cpu.h"
#include "hw/lock.h"
#include "hw/smp.h"
#include "lib/log.h"
#include "lib/string.h"
#include <xen/arch-x86/xen-mca.h>

#define MSR_MCG_CAP    0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MC0_CTL    0x400
#define BANKS_MAX      32
#define REPORTS_MAX    8

static spinlock_t lock = SPINLOCK(RANK_PIRQ); /* what stands below here */
static struct {
	uint64_t gathered[4 * BANKS_MAX], status; /* XEN_MC_msrinject's */
	uint32_t written[4];                      /* which of them, one bit for a register */
	unsigned cpu;
	struct {
		uint64_t id; /* 0: free */
		struct mc_info info;
	} reports[REPORTS_MAX];
	uint64_t last_id;
} mca;

/* ---- telemetry ---- */

static int fetch(struct xen_mc_fetch *q, bool *out)
{
	uint32_t class = q->flags & (XEN_MC_NONURGENT | XEN_MC_URGENT);
	struct mc_info info = { 0 };
	unsigned oldest = REPORTS_MAX;

	if (class != XEN_MC_NONURGENT && class != XEN_MC_URGENT)
		return -EINVAL;
	if (!(q->flags & XEN_MC_ACK) && handle_is_null(q->data))
		return -EINVAL;
	spin_lock(&lock);
	for (unsigned i = 0; i < REPORTS_MAX; i++) {
		if ((q->flags & XEN_MC_ACK) && mca.reports[i].id == q->fetch_id)
			mca.reports[i].id = 0;
		if (class == XEN_MC_URGENT && mca.reports[i].id &&
		    (oldest == REPORTS_MAX || mca.reports[i].id < mca.reports[oldest].id))
			oldest = i;
	}
	if (oldest < REPORTS_MAX)
		info = mca.reports[oldest].info;
	if (!(q->flags & XEN_MC_ACK))
		q->fetch_id = oldest < REPORTS_MAX ? mca.reports[oldest].id : 0;
	spin_unlock(&lock);
	if (q->flags & XEN_MC_ACK)
		return 0;
	*out = true;
	q->flags = q->fetch_id ? XEN_MC_OK : XEN_MC_NODATA;
	if (!q->fetch_id)
		return 0;
	if (copy_to_handle(q->data, 0, &info, 1)) {
		q->flags = XEN_MC_FETCHFAILED;
		q->fetch_id = 0;
		return -EFAULT;
	}
	return 0;
}

/* ---- processors ---- */

static void describe_cpu(unsigned cpu, struct mcinfo_logical_cpu *c)
{
	uint64_t capabilities = 0;

	memset(c, 0, sizeof(*c));
	c->mc_cpunr = cpu;
	c->mc_chipid = 0;
	c->mc_coreid = (uint16_t)cpu;
	c->mc_apicid = c->mc_clusterid = cpu_apic_id(cpu);
	c->mc_ncores = c->mc_ncores_active = cpu_count;
	c->mc_nthreads = 1;
	c->mc_cpuid_level = (int32_t)cpu_features.max_leaf;
	c->mc_family = cpu_features.family;
	c->mc_model = cpu_features.model;
	c->mc_step = cpu_features.stepping;
	memcpy(c->mc_vendorid, cpu_features.vendor, sizeof(cpu_features.vendor));
	if (!rdmsr_safe(MSR_MCG_CAP, &capabilities)) {
		c->mc_nmsrvals = 1;
		c->mc_msrvalues[0].reg = MSR_MCG_CAP;
		c->mc_msrvalues[0].value = capabilities;
	}
}

static int physcpuinfo(struct xen_mc_physcpuinfo *q)
{
	unsigned n = 0, cpu, online = 0;

	for_each_cpu_in(cpu, &cpus_online)
		online++;
	if (handle_is_null(q->info)) {
		q->ncpus = online;
		return 0;
	}
	if ((int32_t)q->ncpus <= 0)
		return -EINVAL;
	for_each_cpu_in(cpu, &cpus_online) {
		struct mcinfo_logical_cpu c;

		if (n == q->ncpus)
			break;
		describe_cpu(cpu, &c);
		if (copy_to_handle(q->info, n, &c, 1))
			return -EFAULT;
		n++;
	}
	q->ncpus = n;
	return 0;
}

/* ---- injection ---- */

static bool cpu_valid(uint32_t cpu)
{
	return cpu < cpu_count && cpumask_test(&cpus_online, cpu);
}

/* Gathers values; nothing is taken where one of them names what is no register of a bank. */
static int msrinject(const struct xen_mc_msrinject *q)
{
	if (!cpu_valid(q->mcinj_cpunr))
		return -EINVAL;
	if (q->mcinj_flags & MC_MSRINJ_F_GPADDR) /* a guest's frames are machine frames to it */
		return -EINVAL;
	if (q->mcinj_count > MC_MSRINJ_MAXMSRS)
		return -EINVAL;
	for (unsigned i = 0; i < q->mcinj_count; i++) {
		uint64_t reg = q->mcinj_msr[i].reg;

		if (reg != MSR_MCG_STATUS && (reg < MSR_MC0_CTL || reg >= MSR_MC0_CTL + 4 * BANKS_MAX))
			return -EINVAL;
	}
	spin_lock(&lock);
	if (mca.cpu != q->mcinj_cpunr) {
		memset(mca.written, 0, sizeof(mca.written));
		mca.status = 0;
	}
	mca.cpu = q->mcinj_cpunr;
	for (unsigned i = 0; i < q->mcinj_count; i++) {
		uint64_t reg = q->mcinj_msr[i].reg - MSR_MC0_CTL;

		if (q->mcinj_msr[i].reg == MSR_MCG_STATUS) {
			mca.status = q->mcinj_msr[i].value;
			continue;
		}
		reg = index_nospec(reg, 4 * BANKS_MAX);
		mca.gathered[reg] = q->mcinj_msr[i].value;
		mca.written[reg / 32] |= 1u << reg % 32;
	}
	spin_unlock(&lock);
	return 0;
}

/* The value of a bank's register that was injected, or 0. lock. */
static uint64_t injected(unsigned bank, unsigned reg)
{
	unsigned at = bank * 4 + reg;

	return mca.written[at / 32] >> at % 32 & 1 ? mca.gathered[at] : 0;
}

/* Appends an entry of the given size; false where it does not fit. */
static bool append(struct mc_info *info, size_t *at, const void *entry, size_t size)
{
	if (*at + size > sizeof(info->mi_data))
		return false;
	memcpy((char *)info->mi_data + *at, entry, size);
	*at += size;
	info->mi_nentries++;
	return true;
}

static void make_report(struct mc_info *info, unsigned cpu)
{
	struct mcinfo_global g = { .common = { MC_TYPE_GLOBAL, sizeof(g) },
		                   .mc_domid = DOMID_SELF,
		                   .mc_vcpuid = XEN_MC_VCPUID_INVALID,
		                   .mc_coreid = (uint16_t)cpu,
		                   .mc_apicid = cpu_apic_id(cpu),
		                   .mc_flags = MC_FLAG_MCE | MC_FLAG_RECOVERABLE,
		                   .mc_gstatus = mca.status };
	size_t at = 0;

	memset(info, 0, sizeof(*info));
	(void)append(info, &at, &g, sizeof(g));
	for (unsigned bank = 0; bank < BANKS_MAX; bank++) {
		struct mcinfo_bank b = { .common = { MC_TYPE_BANK, sizeof(b) },
			                 .mc_bank = (uint16_t)bank,
			                 .mc_domid = DOMID_SELF,
			                 .mc_status = injected(bank, 1),
			                 .mc_addr = injected(bank, 2),
			                 .mc_misc = injected(bank, 3) };

		if (b.mc_status && !append(info, &at, &b, sizeof(b)))
			break;
	}
}

static int mceinject(uint32_t cpu)
{
	unsigned slot;

	if (!cpu_valid(cpu))
		return -EINVAL;
	spin_lock(&lock);
	for (slot = 0; slot < REPORTS_MAX && mca.reports[slot].id; slot++)
		;
	if (slot < REPORTS_MAX) {
		if (mca.cpu != cpu)
			memset(mca.written, 0, sizeof(mca.written));
		make_report(&mca.reports[slot].info, cpu);
		mca.reports[slot].id = ++mca.last_id;
		memset(mca.written, 0, sizeof(mca.written));
		mca.status = 0;
	}
	spin_unlock(&lock);
	if (slot == REPORTS_MAX)
		return -EBUSY; /* dom0 does not fetch them */
	log_warn("machine check injected on CPU %u for a test", cpu);
	evtchn_send_global_virq(VIRQ_MCA);
	return 0;
}

/* One CPU, or all where it says so. */
static int inject_v2(const struct xen_mc_inject_v2 *q)
{
	uint64_t map = 0;
	unsigned cpu, bits;

	if ((q->flags & XEN_MC_INJECT_TYPE_MASK) !=
	    XEN_MC_INJECT_TYPE_MCE) /* neither CMCI nor LMCE is used */
		return -EINVAL;
	if (q->flags & XEN_MC_INJECT_CPU_BROADCAST)
		return mceinject(0);
	bits = MIN(q->cpumap.nr_bits, BITS_PER_WORD);
	if (guest_copy_in(&map, handle_gva(q->cpumap.bitmap), (bits + 7) / 8))
		return -EFAULT;
	cpu = bit_next(&map, bits, 0);
	return cpu < bits ? mceinject(cpu) : -EINVAL;
}

/* mca(op): struct xen_mc, read and, where something comes back, written. */
int64_t hc_mca(struct hc_args *a)
{
	struct xen_mc op;
	bool out = false;
	int rc;

	if (!current_domain()->privileged)
		return -EPERM;
	if (guest_copy_in(&op, GVA(a->arg[0]), sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_MCA_INTERFACE_VERSION)
		return -EACCES;
	switch (op.cmd) {
	case XEN_MC_fetch:
		rc = fetch(&op.u.mc_fetch, &out);
		break;
	case XEN_MC_physcpuinfo:
		rc = physcpuinfo(&op.u.mc_physcpuinfo);
		out = !rc;
		break;
	case XEN_MC_msrinject:
		return msrinject(&op.u.mc_msrinject);
	case XEN_MC_mceinject:
		return mceinject(op.u.mc_mceinject.mceinj_cpunr);
	case XEN_MC_inject_v2:
		return inject_v2(&op.u.mc_inject_v2);
	default:
		return -EINVAL;
	}
	if (out && guest_copy_out(GVA(a->arg[0]), &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
