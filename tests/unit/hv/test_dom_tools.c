/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls of Xen's tools: hypfs_op, mca, idle states, and the numbers of what is refused. Each argument is tried at the
 * edges of its range; what is written beyond an answer's end shows.
 */
#include "dom/cpupool.h"
#include "hw/options.h"
#include "hypercall/domctl.h"
#include "hypercall/settings.h"
#include "fake/machine.h"
#include "hw/smp.h"
#include "hypercall/sysctl.h"
#include "hypercall/unavailable.h"
#include <xen/arch-x86/xen-mca.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hypfs.h>

#define PATH_AT 0
#define DATA_AT 4096

spinlock_t domctl_lock = SPINLOCK(RANK_DOMCTL);
unsigned default_grant_frames = 64, default_maptrack_frames = 1024;
static struct domain *guest;

/* What rarer hardware and other files supply. */
struct cpu_ids cpu_ids[NR_CPUS];

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = 0;
	return -EFAULT;
}

static int64_t call(hc_fn *fn, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	struct hc_args a = { { a0, a1, a2, a3, a4 } };

	return fn(&a);
}

/* ---- hypfs ---- */

static int64_t hypfs(unsigned op, const char *path, uint64_t room)
{
	size_t n = strlen(path) + 1;
	gva_t at = machine_put(PATH_AT, path, n);

	return call(hc_hypfs_op, op, at.v, n, DATA_AT, room);
}

static const struct xen_hypfs_direntry *answer(void)
{
	return (const void *)(fake_guest + DATA_AT);
}

static const char *content(void)
{
	return (const char *)fake_guest + DATA_AT + sizeof(struct xen_hypfs_direntry);
}

static int64_t hypfs_write(const char *path, const char *value, size_t n)
{
	(void)machine_put(DATA_AT, value, n);
	return hypfs(XEN_HYPFS_OP_write_contents, path, n);
}

/* Whether the answer's list has that name, with offsets that stay inside of it. */
static bool listed(const char *name)
{
	size_t at = 0, end = answer()->content_len;

	while (at + offsetof(struct xen_hypfs_dirlistentry, name) < end) {
		const char *is = content() + at + offsetof(struct xen_hypfs_dirlistentry, name);
		uint16_t next;

		memcpy(&next, content() + at + offsetof(struct xen_hypfs_dirlistentry, off_next),
		       sizeof(next));
		if (is + strnlen(is, end) >= content() + end)
			return false;
		if (!strcmp(is, name))
			return true;
		if (!next)
			return false;
		at += next;
	}
	return false;
}

static void test_hypfs_read(void)
{
	tap_ok(call(hc_hypfs_op, XEN_HYPFS_OP_get_version, 0, 0, 0, 0) == XEN_HYPFS_VERSION,
	       "hypfs tells its version");
	tap_ok(call(hc_hypfs_op, XEN_HYPFS_OP_get_version, 1, 0, 0, 0) == -EINVAL &&
	               call(hc_hypfs_op, XEN_HYPFS_OP_get_version, 0, 0, 0, ~0ull) == -EINVAL,
	       "with arguments it does not");
	tap_ok(!hypfs(XEN_HYPFS_OP_read, "/", 4096) && answer()->type == XEN_HYPFS_TYPE_DIR &&
	               listed("buildinfo") && listed("cpupool") && listed("params") && !listed("compileinfo"),
	       "the root lists what lies in it, and not what lies deeper");
	tap_ok(!hypfs(XEN_HYPFS_OP_read, "/buildinfo/version/minor", 4096) &&
	               answer()->type == XEN_HYPFS_TYPE_UINT && answer()->content_len == 4 &&
	               *(const uint32_t *)(const void *)content() == XEN_RELEASE_MINOR,
	       "a number is read");
	tap_ok(!hypfs(XEN_HYPFS_OP_read, "/params/loglvl", 4096) && answer()->type == XEN_HYPFS_TYPE_STRING &&
	               answer()->max_write_len && !strcmp(content(), "none/none"),
	       "a setting is read");
	tap_ok(hypfs(XEN_HYPFS_OP_read, "/params/loglvl", sizeof(struct xen_hypfs_direntry) - 1) == -EINVAL,
	       "a buffer too small for anything is refused");
	tap_ok(hypfs(XEN_HYPFS_OP_read, "/params/loglvl", sizeof(struct xen_hypfs_direntry) + 9) ==
	                       -ENOBUFS &&
	               answer()->content_len == 10,
	       "one that lacks a byte learns the length");
	tap_ok(!hypfs(XEN_HYPFS_OP_read, "/params/loglvl", sizeof(struct xen_hypfs_direntry) + 10),
	       "one that fits is filled");
	tap_ok(hypfs(XEN_HYPFS_OP_read, "/nosuch", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "/param", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "/params/", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "//", 4096) == -ENOENT,
	       "what is not there is not found");
	tap_ok(hypfs(XEN_HYPFS_OP_read, "/params/loglvl/x", 4096) == -ENOENT, "nothing lies below a file");
	tap_ok(hypfs(XEN_HYPFS_OP_read, "params", 4096) == -EINVAL &&
	               hypfs(XEN_HYPFS_OP_read, "", 4096) == -EINVAL,
	       "a path is absolute");
	tap_ok(hypfs(~0u, "/params", 4096) == -EOPNOTSUPP, "an unknown command is refused");
}

static void test_hypfs_arguments(void)
{
	(void)machine_put(PATH_AT, "/params\0x", 10);
	tap_ok(call(hc_hypfs_op, XEN_HYPFS_OP_read, 0, 0, DATA_AT, 4096) == -EINVAL &&
	               call(hc_hypfs_op, XEN_HYPFS_OP_read, 0, 7, DATA_AT, 4096) == -EINVAL &&
	               call(hc_hypfs_op, XEN_HYPFS_OP_read, 0, 10, DATA_AT, 4096) == -EINVAL &&
	               call(hc_hypfs_op, XEN_HYPFS_OP_read, 0, XEN_HYPFS_MAX_PATHLEN + 1, DATA_AT, 4096) ==
	                       -EINVAL &&
	               call(hc_hypfs_op, XEN_HYPFS_OP_read, 0, ~0ull, DATA_AT, 4096) == -EINVAL,
	       "a path has its end at its length, and there alone");
	tap_ok(call(hc_hypfs_op, XEN_HYPFS_OP_read, ~0ull, 8, DATA_AT, 4096) == -EFAULT &&
	               call(hc_hypfs_op, XEN_HYPFS_OP_read, 0, 8, ~0ull, 4096) == -EFAULT &&
	               call(hc_hypfs_op, XEN_HYPFS_OP_write_contents, 0, 8, ~0ull, 4096) == -EACCES,
	       "addresses that nobody has end in -EFAULT");
	machine_become(0, guest->vcpus[0]);
	tap_ok(call(hc_hypfs_op, XEN_HYPFS_OP_get_version, 0, 0, 0, 0) == -EPERM &&
	               hypfs(XEN_HYPFS_OP_read, "/", 4096) == -EPERM,
	       "a guest may not look");
	machine_become(0, dom0->vcpus[0]);
}

static void test_hypfs_write(void)
{
	char long_value[40];

	memset(long_value, 'x', sizeof(long_value));
	tap_ok(!hypfs_write("/params/loglvl", "warning", 8) && options.loglvl_print == 2 &&
	               options.loglvl_rate == 2,
	       "a level is set");
	tap_ok(!hypfs_write("/params/guest_loglvl", "none/all", 9) && options.guest_loglvl_print == 0 &&
	               options.guest_loglvl_rate == 4,
	       "and two for guests");
	tap_ok(hypfs_write("/params/loglvl", "loud", 5) == -EINVAL && options.loglvl_print == 2,
	       "nonsense changes nothing");
	tap_ok(!hypfs_write("/params/gnttab_max_frames", "128", 4) && default_grant_frames == 128,
	       "a count is set");
	tap_ok(hypfs_write("/params/gnttab_max_frames", "0", 2) == -EINVAL &&
	               hypfs_write("/params/gnttab_max_frames", "-1", 3) == -EINVAL &&
	               hypfs_write("/params/gnttab_max_frames", "257", 4) == -EINVAL &&
	               hypfs_write("/params/gnttab_max_maptrack_frames", "1025", 5) == -EINVAL &&
	               hypfs_write("/params/gnttab_max_frames", "18446744073709551616", 21) == -EINVAL &&
	               default_grant_frames == 128,
	       "counts outside of their range are refused");
	tap_ok(hypfs_write("/params/loglvl", "info", 4) == -EINVAL &&
	               hypfs_write("/params/loglvl", "in\0o", 5) == -EINVAL &&
	               hypfs_write("/params/loglvl", "", 0) == -EINVAL,
	       "a value has its end at its length");
	tap_ok(hypfs_write("/params/loglvl", long_value, sizeof(long_value)) == -ENOSPC,
	       "a long value is refused");
	tap_ok(hypfs_write("/buildinfo/version/major", "5", 2) == -EACCES &&
	               hypfs_write("/params", "5", 2) == -EACCES,
	       "facts and folders cannot be written");
	tap_ok(hypfs_write("/cpupool/0/sched-gran", "core", 5) == -EBUSY &&
	               hypfs_write("/cpupool/0/sched-gran", "banana", 7) == -EINVAL,
	       "a pool with CPUs keeps its granularity");
	options.loglvl_print = options.loglvl_rate = options.guest_loglvl_print = options.guest_loglvl_rate =
	        0;
}

/* A machine whose cores have so many threads each. */
static void machine_cores(unsigned threads)
{
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		cpu_ids[cpu] = (struct cpu_ids){ .core = cpu / threads };
}

static void test_hypfs_pools(void)
{
	struct cpupool *p[3];
	char path[64];

	tap_ok(!hypfs(XEN_HYPFS_OP_read, "/cpupool", 4096) && listed("0") && !listed("*") &&
	               hypfs(XEN_HYPFS_OP_read, "/cpupool/1", 4096) == -ENOENT,
	       "a pool that is not there has no folder");
	if (cpupool_create(1, XEN_SCHEDULER_CREDIT2, &p[0]) ||
	    cpupool_create(1234567, XEN_SCHEDULER_CREDIT, &p[1]) ||
	    cpupool_create(CPUPOOL_ANY - 1, XEN_SCHEDULER_CREDIT, &p[2]))
		abort();
	tap_ok(!hypfs(XEN_HYPFS_OP_read, "/cpupool", 4096) && listed("0") && listed("1") &&
	               listed("1234567") && listed("4294967294"),
	       "one that is has");
	tap_ok(!hypfs(XEN_HYPFS_OP_read, "/cpupool",
	              sizeof(struct xen_hypfs_direntry) + answer()->content_len) &&
	               hypfs(XEN_HYPFS_OP_read, "/cpupool",
	                     sizeof(struct xen_hypfs_direntry) + answer()->content_len - 1) == -ENOBUFS,
	       "the list takes as much as it says");
	snprintf(path, sizeof(path), "/cpupool/%u/sched-gran", p[1]->id);
	tap_ok(!hypfs(XEN_HYPFS_OP_read, "/cpupool/1", 4096) && listed("sched-gran") &&
	               !hypfs(XEN_HYPFS_OP_read, path, 4096) && !strcmp(content(), "cpu"),
	       "with its granularity");
	tap_ok(hypfs(XEN_HYPFS_OP_read, "/cpupool/", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "/cpupool/*", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "/cpupool/1x", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "/cpupool/4294967295", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "/cpupool/18446744073709551617", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "/cpupool/1/nosuch", 4096) == -ENOENT &&
	               hypfs(XEN_HYPFS_OP_read, "/cpupool/1/sched-gran/x", 4096) == -ENOENT,
	       "other names do not exist");
	machine_cores(1);
	tap_ok(!hypfs_write(path, "core", 5) && !hypfs(XEN_HYPFS_OP_read, path, 4096) &&
	               !strcmp(content(), "core") && !hypfs_write(path, "cpu", 4),
	       "an empty pool may be by cores, where these are CPUs");
	machine_cores(cpu_count);
	tap_ok(hypfs_write(path, "core", 5) == -EOPNOTSUPP && !hypfs_write(path, "cpu", 4),
	       "but not where they are several");
	machine_cores(1);
	cpu_ids[0].package = 7;
	tap_ok(hypfs_write(path, "socket", 7) == -EINVAL, "nor where they differ");
	machine_cores(1);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		if (cpupool_destroy(p[i]))
			abort();
}

/* ---- machine checks ---- */

static int64_t mca(struct xen_mc *op)
{
	int64_t rc;

	op->interface_version = XEN_MCA_INTERFACE_VERSION;
	rc = call(hc_mca, machine_put(0, op, sizeof(*op)).v, 0, 0, 0, 0);
	memcpy(op, fake_guest, sizeof(*op));
	return rc;
}

static int64_t fetch(struct xen_mc *op, uint32_t flags, uint64_t id)
{
	memset(op, 0, sizeof(*op));
	op->cmd = XEN_MC_fetch;
	op->u.mc_fetch.flags = flags;
	op->u.mc_fetch.fetch_id = id;
	op->u.mc_fetch.data.p = (void *)(uintptr_t)DATA_AT;
	return mca(op);
}

static int64_t inject(struct xen_mc *op, unsigned cmd, uint32_t cpu, uint32_t count, uint64_t reg,
                      uint64_t value)
{
	memset(op, 0, sizeof(*op));
	op->cmd = cmd;
	if (cmd == XEN_MC_mceinject) {
		op->u.mc_mceinject.mceinj_cpunr = cpu;
		return mca(op);
	}
	op->u.mc_msrinject.mcinj_cpunr = cpu;
	op->u.mc_msrinject.mcinj_count = count;
	op->u.mc_msrinject.mcinj_msr[0].reg = reg;
	op->u.mc_msrinject.mcinj_msr[0].value = value;
	return mca(op);
}

static void test_mca(void)
{
	const struct mc_info *info = (const void *)(fake_guest + DATA_AT);
	const struct mcinfo_bank *bank =
	        (const void *)((const char *)info->mi_data + sizeof(struct mcinfo_global));
	struct xen_mc op = { .cmd = XEN_MC_physcpuinfo };
	uint64_t id;
	unsigned n = 0;

	tap_ok(!mca(&op) && op.u.mc_physcpuinfo.ncpus == 3, "the number of processors is told");
	op.u.mc_physcpuinfo.info.p = (void *)(uintptr_t)DATA_AT;
	op.u.mc_physcpuinfo.ncpus = 2;
	tap_ok(!mca(&op) && op.u.mc_physcpuinfo.ncpus == 2, "and as many described as there is room for");
	op.u.mc_physcpuinfo.ncpus = 0;
	tap_ok(mca(&op) == -EINVAL, "room for none is refused");
	op.u.mc_physcpuinfo.ncpus = ~0u;
	tap_ok(mca(&op) == -EINVAL, "less than none too");
	tap_ok(!fetch(&op, XEN_MC_URGENT, 0) && op.u.mc_fetch.flags == XEN_MC_NODATA &&
	               !op.u.mc_fetch.fetch_id,
	       "there is no telemetry");
	tap_ok(fetch(&op, 0, 0) == -EINVAL && fetch(&op, XEN_MC_URGENT | XEN_MC_NONURGENT, 0) == -EINVAL &&
	               fetch(&op, ~0u, 0) == -EINVAL,
	       "a fetch names one class");
	tap_ok(!fetch(&op, XEN_MC_URGENT | XEN_MC_ACK, ~0ull), "what nobody fetched may be acknowledged");
	tap_ok(inject(&op, XEN_MC_msrinject, 3, 1, 0x401, 1) == -EINVAL &&
	               inject(&op, XEN_MC_msrinject, ~0u, 1, 0x401, 1) == -EINVAL &&
	               inject(&op, XEN_MC_msrinject, 0, 9, 0x401, 1) == -EINVAL &&
	               inject(&op, XEN_MC_msrinject, 0, ~0u, 0x401, 1) == -EINVAL &&
	               inject(&op, XEN_MC_msrinject, 0, 1, 0x3ff, 1) == -EINVAL &&
	               inject(&op, XEN_MC_msrinject, 0, 1, 0x480, 1) == -EINVAL &&
	               inject(&op, XEN_MC_msrinject, 0, 1, ~0ull, 1) == -EINVAL &&
	               inject(&op, XEN_MC_mceinject, 3, 0, 0, 0) == -EINVAL &&
	               inject(&op, XEN_MC_mceinject, ~0u, 0, 0, 0) == -EINVAL,
	       "CPUs, counts and registers that are not there are refused");
	tap_ok(!inject(&op, XEN_MC_msrinject, 1, 1, 0x409, 0xbd00000000000000ull) &&
	               !inject(&op, XEN_MC_msrinject, 1, 1, 0x40a, 0x1000) &&
	               !inject(&op, XEN_MC_mceinject, 1, 0, 0, 0),
	       "an error of bank 2 is injected");
	tap_ok(!fetch(&op, XEN_MC_NONURGENT, 0) && op.u.mc_fetch.flags == XEN_MC_NODATA,
	       "it is no corrected one");
	tap_ok(!fetch(&op, XEN_MC_URGENT, 0) && op.u.mc_fetch.flags == XEN_MC_OK && info->mi_nentries == 2 &&
	               bank->common.type == MC_TYPE_BANK && bank->mc_bank == 2 &&
	               bank->mc_status == 0xbd00000000000000ull && bank->mc_addr == 0x1000,
	       "and fetched with its bank");
	id = op.u.mc_fetch.fetch_id;
	tap_ok(!fetch(&op, XEN_MC_URGENT | XEN_MC_ACK, id) && !fetch(&op, XEN_MC_URGENT, 0) &&
	               op.u.mc_fetch.flags == XEN_MC_NODATA,
	       "once acknowledged it is gone");
	while (n < 100 && !inject(&op, XEN_MC_mceinject, 0, 0, 0, 0))
		n++;
	tap_ok(n && n < 100 && inject(&op, XEN_MC_mceinject, 0, 0, 0, 0) == -EBUSY,
	       "what nobody fetches is bounded");
	op.cmd = ~0u;
	tap_ok(mca(&op) == -EINVAL, "an unknown command is refused");
	machine_become(0, guest->vcpus[0]);
	tap_ok(mca(&op) == -EPERM, "a guest may not ask");
	machine_become(0, dom0->vcpus[0]);
	tap_ok(call(hc_mca, ~0ull, 0, 0, 0, 0) == -EFAULT, "an address that nobody has");
}

/* ---- idle states ---- */

static void test_pm(void)
{
	struct xen_sysctl_get_pmstat s = { .type = PMSTAT_get_max_cx };
	struct xen_sysctl_pm_op p = { .cmd = XEN_SYSCTL_pm_op_get_max_cstate };

	tap_ok(!pm_stat(&s) && s.u.getcx.nr == 2, "there are two idle states");
	s.type = PMSTAT_get_cxstat;
	s.u.getcx.nr = ~0u;
	s.u.getcx.triggers.p = (void *)(uintptr_t)DATA_AT;
	s.u.getcx.residencies.p = (void *)(uintptr_t)(DATA_AT + 64);
	tap_ok(!pm_stat(&s) && s.u.getcx.nr == 2 && s.u.getcx.last == 1, "whose times are told");
	s.cpuid = 3;
	tap_ok(pm_stat(&s) == -EINVAL, "of CPUs that are there");
	s.cpuid = ~0u;
	tap_ok(pm_stat(&s) == -EINVAL, "and of no others");
	s.cpuid = 0;
	s.type = PMSTAT_get_max_px;
	tap_ok(pm_stat(&s) == -ENODEV, "there is no driver for frequencies");
	s.type = ~0u;
	tap_ok(pm_stat(&s) == -ENODEV, "nor for what is unknown");
	tap_ok(!pm_op(&p) && p.u.get_max_cstate == options.max_cstate, "the limit of idle states is read");
	p.cmd = XEN_SYSCTL_pm_op_set_max_cstate;
	p.u.set_max_cstate = 1;
	tap_ok(!pm_op(&p) && options.max_cstate == 1, "and set");
	p.cpuid = 2;
	tap_ok(pm_op(&p) == -EINVAL, "there are two such limits");
	p = (struct xen_sysctl_pm_op){ .cmd = XEN_SYSCTL_pm_op_set_sched_opt_smt };
	p.u.set_sched_opt_smt = 1;
	tap_ok(!pm_op(&p) && p.u.set_sched_opt_smt == 0 && !pm_op(&p) && p.u.set_sched_opt_smt == 1,
	       "the option for threads tells what it was");
	p.cmd = GET_CPUFREQ_PARA;
	tap_ok(pm_op(&p) == -EINVAL, "frequencies are refused as without a driver");
	p.cmd = XEN_SYSCTL_pm_op_enable_turbo;
	tap_ok(pm_op(&p) == -EACCES, "turbo mode is nobody's to switch");
	p.cmd = ~0u;
	tap_ok(pm_op(&p) == -EINVAL || pm_op(&p) == -ENOSYS, "and what is unknown");
}

/* ---- refusals ---- */

static int domctl(struct domain *d, unsigned cmd)
{
	struct xen_domctl op = { .cmd = cmd };
	bool out = false;

	return domctl_unavailable(d, &op, &out);
}

static int without_domain(domid_t domid, unsigned cmd)
{
	struct xen_domctl op = { .cmd = cmd, .domain = domid };
	bool out = false;

	if (cmd == XEN_DOMCTL_vm_event_op)
		op.u.vm_event_op.op = XEN_VM_EVENT_GET_VERSION;
	return domctl_without_domain(&op, &out);
}

static void test_upload(void)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_livepatch_op,
		                 .u.livepatch.cmd = XEN_SYSCTL_LIVEPATCH_UPLOAD };
	int text, elf, cut;

	op.u.livepatch.u.upload.payload.p = (void *)machine_put(0, "hostname", 8).v;
	op.u.livepatch.u.upload.size = 8;
	text = sysctl_unavailable(&op);
	(void)machine_put(0, "\177ELF....", 8);
	elf = sysctl_unavailable(&op);
	op.u.livepatch.u.upload.size = 3;
	cut = sysctl_unavailable(&op);
	op.u.livepatch.u.upload.size = 8;
	op.u.livepatch.u.upload.payload.p = (void *)~0ull;
	tap_ok(text == -EINVAL && elf == -EOPNOTSUPP && cut == -EINVAL && sysctl_unavailable(&op) == -EFAULT,
	       "a live patch is no ELF file, or is not supported");
}

/* Each frame of RAM by the memory map, also those that no guest can have, is on line. */
static void test_page_status(void)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_page_offline_op };
	struct xen_sysctl_page_offline_op *q = &op.u.page_offline;
	unsigned count = memory_map_count;
	uint32_t status[3] = { 9, 9, 9 };
	int rc[3];

	memory_map_count = 2;
	memory_map[0] = (struct memory_region){ .start = 0, .end = 0x9fc00, .type = 1 };
	memory_map[1] = (struct memory_region){ .start = 0xf0000, .end = 0x100000, .type = 2 };
	q->status.p = (void *)(uintptr_t)DATA_AT;
	for (unsigned cmd = 0; cmd < 3; cmd++) {
		static const uint8_t cmds[] = { sysctl_query_page_offline, sysctl_page_online,
			                        sysctl_page_offline };

		q->cmd = cmds[cmd];
		q->start = q->end = 0x10;
		rc[cmd] = sysctl_unavailable(&op);
		memcpy(&status[cmd], fake_guest + DATA_AT, sizeof(status[cmd]));
	}
	tap_ok(!rc[0] && !status[0] && !rc[1] && !status[1] && rc[2] == -EOPNOTSUPP,
	       "RAM is on line, and is not taken off");
	q->cmd = sysctl_query_page_offline;
	q->start = q->end = 0x9f; /* the last frame of which a part is RAM only */
	rc[0] = sysctl_unavailable(&op);
	q->start = q->end = 0xf0;
	rc[1] = sysctl_unavailable(&op);
	tap_ok(rc[0] == -EINVAL && rc[1] == -EINVAL, "what is no RAM has no state");
	memory_map_count = count;
}

static void test_refusals(void)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_perfc_op };
	struct xen_hvm_param param = { .domid = 1 };

	tap_ok(without_domain(DOMID_IO, XEN_DOMCTL_deassign_device) == -EOPNOTSUPP &&
	               without_domain(DOMID_INVALID, XEN_DOMCTL_deassign_device) == -ESRCH &&
	               without_domain(DOMID_INVALID, XEN_DOMCTL_test_assign_device) == -EOPNOTSUPP &&
	               without_domain(DOMID_INVALID, XEN_DOMCTL_vm_event_op) == 0 &&
	               without_domain(DOMID_IO, XEN_DOMCTL_vm_event_op) == -ESRCH &&
	               without_domain(4242, XEN_DOMCTL_getvcpuinfo) == -ESRCH,
	       "operations that name no domain are refused as they are with one, all others name a domain");
	tap_ok(domctl(guest, XEN_DOMCTL_psr_cmt_op) == -ENODEV &&
	               domctl(guest, XEN_DOMCTL_vmtrace_op) == -EINVAL &&
	               domctl(guest, XEN_DOMCTL_mem_sharing_op) == -ENOSYS &&
	               domctl(guest, XEN_DOMCTL_assign_device) == -EOPNOTSUPP &&
	               domctl(guest, 0) == -ENOSYS && domctl(guest, ~0u) == -ENOSYS,
	       "domctl refuses by Xen's numbers");
	tap_ok(sysctl_unavailable(&op) == -ENOSYS, "performance counters are of special builds");
	op.cmd = XEN_SYSCTL_psr_alloc;
	tap_ok(sysctl_unavailable(&op) == -ENODEV, "resource monitoring is of other processors");
	op = (struct xen_sysctl){ .cmd = XEN_SYSCTL_livepatch_op };
	op.u.livepatch.cmd = XEN_SYSCTL_LIVEPATCH_LIST;
	op.u.livepatch.u.list.nr = 1024;
	tap_ok(!sysctl_unavailable(&op) && !op.u.livepatch.u.list.nr, "the list of live patches is empty");
	op.u.livepatch.u.list.nr = 1025;
	tap_ok(sysctl_unavailable(&op) == -E2BIG, "and not asked for without bound");
	/* Padding, or flags: it has other names in other releases. */
	memset(&op.u.livepatch.cmd + 1, 0xff, sizeof(uint32_t));
	tap_ok(sysctl_unavailable(&op) == -EINVAL,
	       "the word behind the command has no bits that mean nothing");
	test_upload();
	test_page_status();
	op = (struct xen_sysctl){ .cmd = XEN_SYSCTL_page_offline_op };
	op.u.page_offline.cmd = sysctl_query_page_offline;
	op.u.page_offline.start = op.u.page_offline.end = ~0u;
	op.u.page_offline.status.p = (void *)(uintptr_t)DATA_AT;
	tap_ok(sysctl_unavailable(&op) == -EINVAL, "a frame that is no RAM has no state");
	tap_ok(call(hc_hvm_op, HVMOP_get_param, machine_put(0, &param, sizeof(param)).v, 0, 0, 0) == -EINVAL,
	       "a paravirtual domain has no HVM parameters");
	param.domid = 999;
	tap_ok(call(hc_hvm_op, HVMOP_get_param, machine_put(0, &param, sizeof(param)).v, 0, 0, 0) == -ESRCH &&
	               call(hc_hvm_op, HVMOP_get_param, ~0ull, 0, 0, 0) == -EFAULT &&
	               call(hc_hvm_op, ~0ull, 0, 0, 0, 0) == -ENOSYS,
	       "nor has a domain that is not there");
}

int main(void)
{
	tap_plan(12 + 3 + 9 + 8 + 16 + 13 + 13);
	machine_init(4096, 3);
	dom0 = machine_domain(0, 1);
	guest = machine_domain(1, 1);
	machine_become(0, dom0->vcpus[0]);
	test_hypfs_read();
	test_hypfs_arguments();
	test_hypfs_write();
	test_hypfs_pools();
	test_mca();
	test_pm();
	test_refusals();
	return tap_end();
}
