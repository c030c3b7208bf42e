/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bring-up, in order:
 *
 *  1. the loader's information and options are copied, since they lie in memory that will be used;
 *  2. console, CPU features, speculation policy;
 *  3. memory map, bring-up allocator, final page tables; then this CPU's own stack and descriptors;
 *  4. ACPI, local APIC, I/O APICs, clocks;
 *  5. frame table and heap; the other CPUs;
 *  6. dom0; then this CPU idles, and the scheduler runs dom0's vcpu on it.
 */
#include "boot/boot.h"
#include "dom/domain.h"
#include "dom/evtchn.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "hw/acpi.h"
#include "hw/apic.h"
#include "hw/bootmem.h"
#include "hw/desc.h"
#include "hw/features.h"
#include "hw/irq.h"
#include "hw/lock.h"
#include "hw/options.h"
#include "hw/paging.h"
#include "hw/panic.h"
#include "hw/smp.h"
#include "hw/spec.h"
#include "hw/time.h"
#include "hypercall/sysctl.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/boot.h"
#include "mm/heap.h"
#include "mm/l4copy.h"
#include "pv/address.h"
#include "pv/cpuid.h"

extern char image_start[], image_end[];

/* dom0's machine: who is where in a panic. */
static void describe_current(void)
{
	const struct vcpu *v = current_vcpu();

	if (!v)
		log_err("no domain runs yet");
	else if (v->is_idle)
		log_err("the CPU was idle");
	else
		log_err("current: domain %u vcpu %u, its registers:", v->domain->domid, v->id);
	if (v && !v->is_idle)
		regs_print(&cpu_info()->regs);
}

/* Input of the serial port is dom0's. */
static void console_input(void)
{
	evtchn_send_global_virq(VIRQ_CONSOLE);
}

static void read_memory_map(void)
{
	struct memory_region busy[BOOT_MODULES_MAX + 2];
	uint64_t beyond = e820_ram_above(boot_info.map, boot_info.map_count, DIRECTMAP_SIZE);
	unsigned n = 0, left_out;

	memory_map_count = e820_sanitise(boot_info.map, boot_info.map_count, MIN(options.mem, DIRECTMAP_SIZE),
	                                 memory_map, ARRAY_SIZE(memory_map), &left_out);
	if (beyond)
		log_warn(
		        "%llu MiB of memory above %llu GiB are not used: the hypervisor's direct map ends there",
		        (unsigned long long)beyond >> 20, (unsigned long long)DIRECTMAP_SIZE >> 30);
	if (left_out || boot_info.map_left_out)
		log_warn("the memory map has too many pieces: %u are not used",
		         left_out + boot_info.map_left_out);
	for (unsigned i = 0; i < memory_map_count; i++)
		log_debug("memory map: %012llx-%012llx type %u", (unsigned long long)memory_map[i].start,
		          (unsigned long long)memory_map[i].end, memory_map[i].type);
	/* The first MiB has the trampoline and what firmware left there. */
	busy[n++] = (struct memory_region){ 0, 1u << 20, 0 };
	busy[n++] = (struct memory_region){ (uintptr_t)image_start - IMAGE_BASE,
		                            (uintptr_t)image_end - IMAGE_BASE, 0 };
	for (unsigned i = 0; i < boot_info.module_count; i++)
		busy[n++] =
		        (struct memory_region){ boot_info.modules[i].start,
			                        boot_info.modules[i].start + boot_info.modules[i].bytes, 0 };
	boot_alloc_init(busy, n);
}

static void check_modules(void)
{
	if (!boot_info.module_count)
		panic("no dom0 kernel: menu.lst needs a line \"module /boot/vmlinuz ...\"");
	if (boot_info.module_count > 2)
		log_warn("%u modules are ignored: the first is dom0's kernel, the second its initrd",
		         boot_info.module_count - 2 + boot_info.modules_left_out);
	for (unsigned i = 0; i < boot_info.module_count; i++)
		boot_info.modules[i].data =
		        (const char *)mfn_map(MFN(boot_info.modules[i].start >> PAGE_SHIFT)) +
		        (boot_info.modules[i].start & (PAGE_SIZE - 1));
}

static void free_modules(void)
{
	for (unsigned i = 0; i < boot_info.module_count; i++) {
		uint64_t first = boot_info.modules[i].start >> PAGE_SHIFT;
		uint64_t end = (boot_info.modules[i].start + boot_info.modules[i].bytes + PAGE_SIZE - 1) >>
		               PAGE_SHIFT;

		/* Two modules may share a page: the earlier one has it. */
		for (unsigned j = 0; j < i; j++)
			if ((boot_info.modules[j].start + boot_info.modules[j].bytes - 1) >> PAGE_SHIFT ==
			    first)
				first++;
		if (first < end)
			heap_add(MFN(first), end - first);
	}
}

static void idle(void) __noreturn;

static void idle(void)
{
	for (;;) {
		irq_enable();
		work_run();
		irq_disable();
		if (!work_pending())
			cpu_halt();
	}
}

static void ap_main(void)
{
	unsigned cpu = this_cpu();

	timers_init_cpu(cpu);
	sched_init_cpu(cpu);
	stack_reset_and_call(idle);
}

static void init_idle(unsigned cpu)
{
	struct vcpu *v = idle_vcpu_create(cpu);

	if (!v)
		panic("no memory for the idle vcpu of CPU %u", cpu);
	cpu_info_of(cpu)->current = v;
}

static void start_dom0(void)
{
	const struct boot_module *kernel = &boot_info.modules[0];

	check_modules();
	if (dom0_build(kernel, boot_info.module_count > 1 ? &boot_info.modules[1] : NULL, kernel->cmdline))
		panic("dom0 was not built");
	free_modules();
	console_on_input(console_input);
	console_input_init();
	lock_check_interrupts();
	log_info("dom0 starts");
	console_release_vga();
	if (domain_controller_unpause(dom0))
		panic("dom0 is not paused");
}

/* On this CPU's own stack. */
static void boot_on_stack(void)
{
	traps_init_cpu(0);
	cpu_init();
	acpi_init();
	pic_disable();
	apic_init();
	irq_init();
	time_init();
	machine_own_init();
	smp_prepare();
	/* Their memory comes from the bring-up allocator. */
	for (unsigned cpu = 0; (spec_policy.xpti_dom0 || spec_policy.xpti_domu) && cpu < cpu_count; cpu++)
		(void)hv_reduced_l3(cpu);
	mm_init();
	cpuid_init();
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		cpu_info_of(cpu)->spec_flags = spec_policy.flags;
		init_idle(cpu);
		pt_copies_init(cpu);
		if (spec_policy.xpti_dom0 || spec_policy.xpti_domu)
			pv_address_init(cpu);
	}
	timers_init_cpu(0);
	sched_init_cpu(0);
	sched_init();
	panic_describe = describe_current;
	smp_start(ap_main);
	irq_enable();
	tbuf_start(options.tbuf_pages, options.tevt_mask);
	start_dom0();
	stack_reset_and_call(idle);
}

static void switch_stack(void (*fn)(void)) __noreturn;

static void switch_stack(void (*fn)(void))
{
	uintptr_t top = (uintptr_t)cpu_info_of(0) & ~15ul;

	__asm__ volatile("mov %0, %%rsp; xor %%ebp, %%ebp; call *%1; ud2" : : "r"(top), "r"(fn) : "memory");
	__builtin_unreachable();
}

void boot_main(uint32_t multiboot_address)
{
	bool has_map;

	desc_early_init();
	has_map = multiboot_read(multiboot_address);
	cmdline_parse(boot_info.cmdline);
	console_early_init(options.console, options.com1);
	log_info("Xylem " XYLEM_VERSION ", loaded by %s",
	         *boot_info.loader ? boot_info.loader : "an unnamed loader");
	log_info("command line: %s", boot_info.cmdline);
	if (boot_info.cmdline_cut)
		log_warn("a command line was longer than %u characters and was cut", BOOT_CMDLINE_MAX - 1);
	cmdline_report(boot_info.cmdline);
	cpu_features_init();
	spec_init();
	if (!has_map)
		panic("the boot loader passed no memory map");
	read_memory_map();
	paging_init();
	spec_apply();
	console_late_init();
	cpu_area_init(0);
	desc_prepare_cpu(0);
	switch_stack(boot_on_stack);
}
