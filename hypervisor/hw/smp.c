/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other CPUs: INIT-SIPI-SIPI (SDM Vol. 3, 8.4), work bits, and calls on other CPUs.
 *
 * CPUs are started one after the other; the one being started finds its stack and tables in ap_*, which
 * hw/trampoline.S reads.
 */
#include "hw/smp.h"
#include "hw/acpi.h"
#include "hw/apic.h"
#include "hw/cpu.h"
#include "hw/desc.h"
#include "hw/features.h"
#include "hw/lock.h"
#include "hw/mem.h"
#include "hw/options.h"
#include "hw/paging.h"
#include "hw/time.h"
#include "hw/trace.h"
#include "hw/upward.h"
#include "hw/vectors.h"
#include "lib/log.h"
#include "lib/string.h"

#define TRAMPOLINE    0x8000 /* page below 1 MiB; boot/main.c keeps it out of the heap */
#define START_WAIT_MS 10000

struct cpu_ids cpu_ids[NR_CPUS];

/* ---- work ---- */

static void (*work_handlers[WORK_COUNT])(void);

void work_register(unsigned bit, void (*handler)(void))
{
	work_handlers[bit] = handler;
}

void work_raise(unsigned cpu, unsigned bit)
{
	uint32_t before = __atomic_fetch_or(&cpu_info_of(cpu)->work, 1u << bit, __ATOMIC_SEQ_CST);

	/* Whoever set a bit first sent the interrupt. */
	if (!before && cpu != this_cpu())
		apic_send_ipi(cpu_ids[cpu].apic_id, VECTOR_WORK);
}

bool work_pending(void)
{
	return READ_ONCE(cpu_info()->work);
}

void work_run(void)
{
	struct cpu_info *info = cpu_info();
	uint32_t work;

	while ((work = READ_ONCE(info->work))) {
		unsigned bit = (unsigned)__builtin_ctz(work);

		__atomic_fetch_and(&info->work, ~(1u << bit), __ATOMIC_SEQ_CST);
		if (work_handlers[bit])
			work_handlers[bit]();
	}
}

/* ---- calls ---- */

static spinlock_t call_lock = SPINLOCK(RANK_TLB);
static struct {
	cpumask_t pending;
	void (*fn)(void *);
	void *arg;
} call;

void cpu_call_interrupt(void)
{
	unsigned cpu = this_cpu();

	if (!cpumask_test(&call.pending, cpu))
		return;
	call.fn(call.arg);
	cpumask_clear(&call.pending, cpu);
}

void cpu_call(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	cpumask_t others = cpumask_and(mask, &cpus_online);
	unsigned cpu, self = this_cpu();
	bool here = cpumask_test(&others, self);

	cpumask_clear(&others, self);
	if (!cpumask_empty(&others)) {
		CHECK(irq_enabled());
		spin_lock(&call_lock);
		call.fn = fn;
		call.arg = arg;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		for_each_cpu_in(cpu, &others)
			cpumask_set(&call.pending, cpu);
		for_each_cpu_in(cpu, &others)
			apic_send_ipi(cpu_ids[cpu].apic_id, VECTOR_CALL);
		while (!cpumask_empty(&call.pending))
			cpu_relax();
		spin_unlock(&call_lock);
	}
	if (here) {
		uint64_t flags = irq_save();

		fn(arg);
		irq_restore(flags);
	}
}

/* ---- start ---- */

extern char trampoline_start[], trampoline_end[], trampoline_cr3[], trampoline_efer[];

void smp_ap_start(void) __noreturn;

uint64_t ap_cr3, ap_stack;
struct {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed)) ap_gdt_pointer;

static void (*ap_main_hook)(void);
static int ap_state; /* 0 not here, 1 here, 2 refused */

static unsigned low_bits(unsigned count)
{
	return count > 1 ? 32u - (unsigned)__builtin_clz(count - 1) : 0;
}

/* Package and core from the APIC id's bit fields (SDM Vol. 3, 9.9; APM Vol. 3, Fn8000_0008). */
static void topology(struct cpu_ids *ids)
{
	unsigned thread_bits = 0, package_bits = 0;

	if (cpu_features.max_leaf >= 11 && cpuid(11, 0).ebx) {
		thread_bits = cpuid(11, 0).eax & 31;
		package_bits = cpuid(11, 1).eax & 31;
	} else if (cpu_features.is_amd && cpu_features.max_ext_leaf >= 0x80000008) {
		struct cpuid_regs r = cpuid(0x80000008, 0);

		package_bits = r.ecx >> 12 & 15 ? r.ecx >> 12 & 15 : low_bits((r.ecx & 0xff) + 1);
	} else if (cpu_features.max_leaf >= 4 && (cpuid(1, 0).edx >> 28 & 1)) {
		unsigned logical = cpuid(1, 0).ebx >> 16 & 0xff, cores = (cpuid(4, 0).eax >> 26) + 1;

		package_bits = low_bits(logical);
		thread_bits = logical > cores ? low_bits(logical / cores) : 0;
	}
	if (package_bits < thread_bits)
		package_bits = thread_bits;
	ids->package = ids->apic_id >> package_bits;
	ids->core = (ids->apic_id & ((1u << package_bits) - 1)) >> thread_bits;
}

static unsigned cpu_limit(void)
{
	unsigned limit = options.maxcpus ? MIN(options.maxcpus, (unsigned)NR_CPUS) : NR_CPUS;

	return limit;
}

void smp_prepare(void)
{
	unsigned n = 1, left_out = 0;

	cpu_ids[0].apic_id = apic_id();
	for (unsigned i = 0; i < acpi_info.cpu_count; i++) {
		if (acpi_info.cpus[i].apic_id == cpu_ids[0].apic_id) {
			cpu_ids[0].acpi_id = acpi_info.cpus[i].acpi_id;
			continue;
		}
		if (n >= cpu_limit()) {
			if (n == NR_CPUS) /* the first one was not among as many */
				log_warn("CPU with APIC id %u is beyond the limit of %u",
				         acpi_info.cpus[i].apic_id, NR_CPUS);
			else
				left_out++;
			continue;
		}
		cpu_ids[n].apic_id = acpi_info.cpus[i].apic_id;
		cpu_ids[n++].acpi_id = acpi_info.cpus[i].acpi_id;
	}
	for (unsigned cpu = 0; cpu < n; cpu++) {
		topology(&cpu_ids[cpu]);
		if (cpu)
			cpu_area_init(cpu);
	}
	cpu_count = n;
	if (left_out)
		log_info("%u CPUs are left out by maxcpus", left_out);
}

/* The first C code of another CPU, on its own stack. */
void smp_ap_start(void)
{
	unsigned cpu = this_cpu();

	traps_init_cpu(cpu);
	if (!cpu_features_match()) {
		__atomic_store_n(&ap_state, 2, __ATOMIC_SEQ_CST);
		for (;;)
			__asm__ volatile("cli; hlt");
	}
	cpu_init();
	apic_init_cpu();
	cpumask_set(&cpus_online, cpu);
	__atomic_store_n(&ap_state, 1, __ATOMIC_SEQ_CST);
	time_init_cpu(cpu);
	ap_main_hook();
	panic("CPU %u has nothing to do", cpu);
}

/* Puts a CPU that did not start at the end, so that numbers stay dense. */
static void forget_cpu(unsigned cpu)
{
	cpu_count--;
	for (unsigned i = cpu; i < cpu_count; i++)
		cpu_ids[i] = cpu_ids[i + 1];
}

static bool start_one(unsigned cpu)
{
	uint64_t page = TRAMPOLINE >> PAGE_SHIFT;

	ap_state = 0;
	ap_stack = (uintptr_t)cpu_info_of(cpu) & ~15ull;
	ap_gdt_pointer.base = CPU_AREA(cpu) + CPU_AREA_GDT_PAGE * PAGE_SIZE - GDT_HV_OFFSET;
	ap_gdt_pointer.limit = GDT_HV_OFFSET + PAGE_SIZE - 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	apic_send_init(cpu_ids[cpu].apic_id);
	udelay(10000);
	for (unsigned attempt = 0; attempt < 2 && !__atomic_load_n(&ap_state, __ATOMIC_SEQ_CST); attempt++) {
		apic_send_startup(cpu_ids[cpu].apic_id, (unsigned)page);
		udelay(attempt ? 1000 : 300);
	}
	for (unsigned ms = 0; ms < START_WAIT_MS; ms++) {
		if (__atomic_load_n(&ap_state, __ATOMIC_SEQ_CST))
			break;
		udelay(1000);
	}
	if (ap_state == 2)
		log_err("CPU with APIC id %u lacks features of the first one: it is not used",
		        cpu_ids[cpu].apic_id);
	else if (!ap_state)
		log_err("CPU with APIC id %u did not start", cpu_ids[cpu].apic_id);
	return ap_state == 1;
}

static void install_trampoline(void)
{
	char *page = mfn_map_own(MFN(TRAMPOLINE >> PAGE_SHIFT));
	uint64_t cr3 = (uintptr_t)boot_l4 - IMAGE_BASE;

	memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	memcpy(page + (trampoline_cr3 - trampoline_start), &cr3, 8);
	memcpy(page + (trampoline_efer - trampoline_start), &boot_efer, 8);
	ap_cr3 = mfn_to_maddr(hv_l4_mfn()).a;
}

void smp_start(void (*ap_main)(void))
{
	ap_main_hook = ap_main;
	cpumask_set(&cpus_online, 0);
	if (cpu_count == 1)
		return;
	install_trampoline();
	for (unsigned cpu = 1; cpu < cpu_count;) {
		desc_prepare_cpu(cpu);
		if (start_one(cpu)) {
			time_sync_with(cpu);
			cpu++;
		} else {
			forget_cpu(cpu);
		}
	}
	log_info("%u CPU%s", cpu_count, cpu_count > 1 ? "s" : "");
}
