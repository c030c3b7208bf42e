/* SPDX-License-Identifier: GPL-2.0-or-later */
/* platform_op: who may, versions, the wall clock of all domains, sleep, facts about processors, idle times. */
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
#include "../../lib/tap.h"
#include <xen/platform.h>

#define OP     64
#define BITMAP 1024
#define TIMES  2048
#define CPUS   3

static uint8_t memory[4096];
static size_t unwritable;
static struct domain caller, others[2];
static struct vcpu vcpu = { .domain = &caller };
static struct xen_platform_op op;

unsigned cpu_count = CPUS;
struct cpu_ids cpu_ids[NR_CPUS] = { { .apic_id = 0, .acpi_id = 10 },
	                            { .apic_id = 2, .acpi_id = 11 },
	                            { .apic_id = 4, .acpi_id = 12 } };
struct cpu_features cpu_features = { .vendor = "GenuineIntel", .family = 6, .model = 85, .stepping = 4 };

static uint64_t clock_sec, clock_system;
static uint32_t clock_nsec;
static unsigned clock_sets, updates, references;
static uint32_t slept_a, slept_b;
static unsigned slept;

/* ---- the stub layer ---- */

struct vcpu *current_vcpu(void)
{
	return &vcpu;
}

size_t guest_copy_in(void *dst, gva_t src, size_t n)
{
	size_t have = src.v < sizeof(memory) ? MIN(n, sizeof(memory) - src.v) : 0;

	memcpy(dst, memory + (have ? src.v : 0), have);
	return n - have;
}

size_t guest_copy_out(gva_t dst, const void *src, size_t n)
{
	if (dst.v >= unwritable || n > unwritable - dst.v)
		return n;
	memcpy(memory + dst.v, src, n);
	return 0;
}

void time_wallclock_set(uint64_t sec, uint32_t nsec, uint64_t system_ns)
{
	clock_sec = sec;
	clock_nsec = nsec;
	clock_system = system_ns;
	clock_sets++;
}

uint64_t time_now_ns(void)
{
	return 123456789;
}

/* Domains 200 and the last number that one can have. */
struct domain *domain_get_next(uint16_t domid)
{
	for (unsigned i = 0; i < 2; i++)
		if (others[i].domid >= domid) {
			references++;
			return &others[i];
		}
	return NULL;
}

void domain_put(struct domain *d)
{
	references -= d == &others[0] || d == &others[1];
}

void domain_wallclock_update(struct domain *d)
{
	updates += d == &others[0] ? 1 : 100;
}

int acpi_enter_s5(uint16_t a, uint16_t b)
{
	slept_a = a;
	slept_b = b;
	slept++;
	return -EIO;
}

uint64_t cpu_idle_ns(unsigned cpu)
{
	return 1000 * (cpu + 1);
}

/* CPUs that are taken out of use: the last one is busy the first time, CPU 1 is out. */
cpumask_t cpus_in_use = { { 5 } };
spinlock_t domctl_lock;
static bool locked;
static unsigned taken, put;

bool spin_trylock(spinlock_t *l)
{
	return l == &domctl_lock && !locked;
}

void spin_unlock(spinlock_t *l)
{
	(void)l;
}

int cpu_take_out(unsigned cpu)
{
	taken = cpu;
	return cpu == 1 ? -EEXIST : cpu >= CPUS ? -EINVAL : 0;
}

int cpu_put_back(unsigned cpu)
{
	put = cpu;
	return cpu == 0 ? -EEXIST : cpu >= CPUS ? -EINVAL : 0;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

/* ---- cases ---- */

static void begin(uint32_t cmd)
{
	memset(memory, 0, sizeof(memory));
	unwritable = sizeof(memory);
	caller.privileged = true;
	op = (struct xen_platform_op){ .cmd = cmd, .interface_version = XENPF_INTERFACE_VERSION };
	clock_sets = updates = slept = 0;
}

static int64_t call(void)
{
	struct hc_args a = { { OP } };
	int64_t rc;

	memcpy(memory + OP, &op, sizeof(op));
	rc = hc_platform_op(&a);
	memcpy(&op, memory + OP, sizeof(op));
	return rc;
}

static void entry(void)
{
	struct hc_args bad = { { sizeof(memory) - sizeof(op) + 1 } };
	int64_t unprivileged, version, address;
	static const uint32_t refused[] = { XENPF_cpu_offline, /* of CPU 0 */
		                            XENPF_cpu_hotadd, XENPF_mem_hotadd, XENPF_core_parking };
	bool good = true;

	begin(XENPF_settime64);
	caller.privileged = false;
	unprivileged = call();
	tap_ok(unprivileged == -EPERM && !clock_sets, "dom0 alone");
	begin(XENPF_settime64);
	op.interface_version++;
	version = call();
	address = hc_platform_op(&bad);
	tap_ok(version == -EACCES && address == -EFAULT && !clock_sets,
	       "another version of the interface, a bad address");
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
		begin(refused[i]);
		good = call() == -EOPNOTSUPP && good;
	}
	/* States of a processor that is there, of none, of no kind that is known. */
	begin(XENPF_set_processor_pminfo);
	op.u.set_pminfo.id = 11;
	good = call() == -EOPNOTSUPP && good;
	op.u.set_pminfo.id = 1;
	good = call() == -EINVAL && good;
	op.u.set_pminfo.id = 11;
	op.u.set_pminfo.type = 9;
	good = call() == -EINVAL && good;
	begin(0);
	good = call() == -ENOSYS && good;
	begin(0xffffffff);
	tap_ok(call() == -ENOSYS && good, "what is not there says so, each by its number");
}

static void wall_clock(void)
{
	int64_t rc;

	begin(XENPF_settime64);
	op.u.settime64.secs = 1ull << 33;
	op.u.settime64.nsecs = 999999999;
	op.u.settime64.system_time = 42;
	rc = call();
	tap_ok(rc == 0 && clock_sec == 1ull << 33 && clock_nsec == 999999999 && clock_system == 42,
	       "the clock is set");
	tap_ok(updates == 101 && !references,
	       "every domain learns it, the last number's too, and no reference is kept");
	begin(XENPF_settime64);
	op.u.settime64.nsecs = 1000000000;
	rc = call();
	tap_ok(rc == -EINVAL && !clock_sets && !updates, "a nanosecond too many is refused");
	begin(XENPF_settime64);
	op.u.settime64.mbz = 1;
	tap_ok(call() == -EINVAL && !clock_sets, "and what must be zero");
	begin(XENPF_settime32);
	op.u.settime32.secs = 0xffffffff;
	op.u.settime32.nsecs = 5;
	op.u.settime32.system_time = 7;
	rc = call();
	tap_ok(rc == 0 && clock_sec == 0xffffffff && clock_nsec == 5 && clock_system == 7,
	       "seconds of 32 bits have no sign");
}

static void sleep_states(void)
{
	bool good = true;

	for (uint32_t state = 0; state < 8; state++) {
		begin(XENPF_enter_acpi_sleep);
		op.u.enter_acpi_sleep.sleep_state = (uint16_t)state;
		op.u.enter_acpi_sleep.val_a = 0x2001;
		op.u.enter_acpi_sleep.val_b = 0x2002;
		if (state == 5)
			good = call() == -EIO && slept == 1 && slept_a == 0x2001 && slept_b == 0x2002 && good;
		else
			good = call() == -EOPNOTSUPP && !slept && good;
	}
	begin(XENPF_enter_acpi_sleep);
	op.u.enter_acpi_sleep.sleep_state = 5;
	op.u.enter_acpi_sleep.flags = XENPF_ACPI_SLEEP_EXTENDED;
	tap_ok(call() == -EOPNOTSUPP && !slept && good, "of the sleep states S5 alone, with both values");
}

#define DATA 2048

/* Files of 64 bytes that begin so. */
static int64_t microcode(uint32_t first, uint32_t loader, bool amd)
{
	uint32_t file[16] = { first, [5] = loader };
	int64_t rc;

	begin(XENPF_microcode_update);
	memcpy(memory + DATA, file, sizeof(file));
	op.u.microcode.data.p = (void *)DATA;
	op.u.microcode.length = sizeof(file);
	cpu_features.is_amd = amd;
	rc = call();
	cpu_features.is_amd = false;
	return rc;
}

static void microcodes(void)
{
	int64_t cut, unmapped, empty;

	begin(XENPF_microcode_update);
	empty = call();
	begin(XENPF_microcode_update);
	op.u.microcode.length = 47;
	cut = call();
	begin(XENPF_microcode_update);
	op.u.microcode.data.p = (void *)sizeof(memory);
	op.u.microcode.length = 64;
	unmapped = call();
	tap_ok(microcode(1, 1, false) == -ENOENT && microcode(0x00414d44, 0, true) == -ENOENT &&
	               microcode(0x00414d44, 0, false) == -EINVAL && microcode(1, 2, false) == -EINVAL &&
	               microcode(1, 1, true) == -EINVAL && cut == -EINVAL && unmapped == -EFAULT &&
	               empty == -ENOENT,
	       "no microcode is newer, and what is none is told so, by vendor");
}

/* The result, and in *ret what the entry says. */
static int64_t resource(uint32_t entries, uint32_t cmd, uint64_t idx, int *ret)
{
	xenpf_resource_entry_t e = { .u.cmd = cmd, .idx = idx };
	int64_t rc;

	begin(XENPF_resource_op);
	memcpy(memory + DATA, &e, sizeof(e));
	op.u.resource_op.nr_entries = entries;
	op.u.resource_op.entries.p = (void *)DATA;
	rc = call();
	memcpy(&e, memory + DATA, sizeof(e));
	*ret = (int)e.u.ret;
	return rc;
}

static void resources(void)
{
	int ret[5];

	tap_ok(resource(1, XEN_RESOURCE_OP_MSR_READ, 0x122, &ret[0]) == 0 && ret[0] == -EPERM &&
	               resource(3, XEN_RESOURCE_OP_MSR_WRITE, 0xc90, &ret[1]) == 0 && ret[1] == -EPERM &&
	               resource(1, XEN_RESOURCE_OP_MSR_READ, 1ull << 32, &ret[2]) == 0 && ret[2] == -EINVAL &&
	               resource(1, 2, 0, &ret[3]) == 0 && ret[3] == -EOPNOTSUPP &&
	               resource(0, 0, 0, &ret[4]) == 0 && resource(4, 0, 0, &ret[4]) == -EINVAL,
	       "no MSR is read or written for dom0, and the first entry of the list says so");
}

static void processors(void)
{
	int64_t rc;

	begin(XENPF_get_cpuinfo);
	op.u.pcpu_info.xen_cpuid = CPUS - 1;
	rc = call();
	tap_ok(rc == 0 && op.u.pcpu_info.max_present == CPUS - 1 &&
	               op.u.pcpu_info.flags == XEN_PCPU_FLAGS_ONLINE && op.u.pcpu_info.apic_id == 4 &&
	               op.u.pcpu_info.acpi_id == 12,
	       "a processor's numbers");
	begin(XENPF_get_cpuinfo);
	op.u.pcpu_info.xen_cpuid = CPUS;
	rc = call();
	tap_ok(rc == 0 && op.u.pcpu_info.flags == XEN_PCPU_FLAGS_INVALID &&
	               op.u.pcpu_info.max_present == CPUS - 1,
	       "one that is not there is invalid");
	begin(XENPF_get_cpu_version);
	op.u.pcpu_version.xen_cpuid = 0;
	rc = call();
	tap_ok(rc == 0 && !memcmp(op.u.pcpu_version.vendor_id, "GenuineIntel", 12) &&
	               op.u.pcpu_version.family == 6 && op.u.pcpu_version.model == 85 &&
	               op.u.pcpu_version.stepping == 4,
	       "its version");
	begin(XENPF_get_cpu_version);
	op.u.pcpu_version.xen_cpuid = CPUS;
	tap_ok(call() == -EINVAL, "of none there is no version");
	begin(XENPF_get_cpuinfo);
	op.u.pcpu_info.xen_cpuid = 1;
	rc = call();
	tap_ok(rc == 0 && !op.u.pcpu_info.flags && op.u.pcpu_info.apic_id == 2,
	       "one that is out of use is not on line");
	begin(XENPF_cpu_online);
	op.u.cpu_ol.cpuid = CPUS - 1;
	rc = call();
	op.u.cpu_ol.cpuid = 0;
	tap_ok(rc == 0 && put == CPUS - 1 && call() == 0,
	       "a processor comes back; one that is there is no error");
	op.u.cpu_ol.cpuid = CPUS;
	tap_ok(call() == -EINVAL, "no others come");
	begin(XENPF_cpu_offline);
	op.u.cpu_ol.cpuid = 2;
	rc = call();
	op.u.cpu_ol.cpuid = 1;
	tap_ok(rc == 0 && taken == 2 && call() == 0, "a processor goes; one that is out is no error");
	locked = true;
	tap_ok(call() == -ERESTART_HV, "the call waits for other toolstack operations");
	locked = false;
	begin(XENPF_get_cpuinfo);
	unwritable = OP;
	tap_ok(call() == -EFAULT, "an answer that cannot be written is told");
}

static void idle_ask(uint32_t count, uint8_t map)
{
	begin(XENPF_getidletime);
	memory[BITMAP] = map;
	op.u.getidletime.cpumap_nr_cpus = count;
	op.u.getidletime.cpumap_bitmap.p = (void *)(uintptr_t)BITMAP;
	op.u.getidletime.idletime.p = (void *)(uintptr_t)TIMES;
}

static uint64_t idle_of(unsigned cpu)
{
	uint64_t ns;

	memcpy(&ns, memory + TIMES + 8 * cpu, 8);
	return ns;
}

static void idle_times(void)
{
	int64_t rc;

	idle_ask(8, 0xf5);
	rc = call();
	tap_ok(rc == 0 && op.u.getidletime.now == 123456789 && idle_of(0) == 1000 && idle_of(1) == 0 &&
	               idle_of(2) == 3000 && idle_of(3) == 0 && memory[BITMAP] == 0x05,
	       "idle times of the processors that were asked for; those that are not there leave the map");
	idle_ask(1, 0xff);
	rc = call();
	tap_ok(rc == 0 && idle_of(0) == 1000 && idle_of(1) == 0, "as many as the caller said");
	idle_ask(0xffffffff, 0x01);
	rc = call();
	tap_ok(rc == 0 && idle_of(0) == 1000, "a count beyond all processors");
	idle_ask(8, 1);
	op.u.getidletime.cpumap_bitmap.p = (void *)(uintptr_t)sizeof(memory);
	tap_ok(call() == -EFAULT, "a map that cannot be read");
	idle_ask(8, 4);
	unwritable = TIMES + 16;
	tap_ok(call() == -EFAULT, "times that cannot be written");
}

static int64_t firmware(uint32_t type, uint32_t index)
{
	begin(XENPF_firmware_info);
	op.u.firmware_info.type = type;
	op.u.firmware_info.index = index;
	op.u.firmware_info.u.kbd_shift_flags = 0xff;
	return call();
}

static void firmware_facts(void)
{
	tap_ok(firmware(XEN_FW_KBD_SHIFT_FLAGS, 0) == 0 && op.u.firmware_info.u.kbd_shift_flags == 0 &&
	               firmware(XEN_FW_KBD_SHIFT_FLAGS, 1) == -ESRCH,
	       "the keyboard's state, once");
	tap_ok(firmware(XEN_FW_DISK_INFO, 0) == -ESRCH && firmware(XEN_FW_DISK_MBR_SIGNATURE, 0) == -ESRCH &&
	               firmware(XEN_FW_VBEDDC_INFO, 0) == -ESRCH && firmware(XEN_FW_EFI_INFO, 0) == -ESRCH &&
	               firmware(0, 0) == -EINVAL && firmware(99, 0) == -EINVAL,
	       "nothing else of the firmware, and no kinds that are none");
}

int main(void)
{
	others[0].domid = 200;
	others[1].domid = DOMID_FIRST_RESERVED - 1;
	entry();
	wall_clock();
	sleep_states();
	microcodes();
	resources();
	processors();
	idle_times();
	firmware_facts();
	return tap_end();
}
