/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end: message, registers, stack with names, current domain; then reboot or halt. The other CPUs are
 * stopped first, so that nothing changes and nobody else prints.
 */
#include "hw/panic.h"
#include "hw/console.h"
#include "hw/cpu.h"
#include "hw/options.h"
#include "hw/power.h"
#include "hw/symbols.h"
#include "hw/time.h"
#include "hw/trap.h"
#include "lib/log.h"
#include "lib/string.h"

#define REBOOT_SECONDS 5

void (*panic_describe)(void);

static void print(const char *fmt, ...) __printf(1, 2);

static void print(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = snprintf(line, sizeof(line), "(xylem) ");
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = MIN(n, (int)sizeof(line) - 2);
	line[n++] = '\n';
	console_write(line, (size_t)n);
}

void regs_print(const struct cpu_user_regs *r)
{
	struct symbol_hit hit;

	if (symbol_find(r->rip, &hit))
		print("rip %04x:%016llx %s+0x%llx", r->cs, (unsigned long long)r->rip, hit.name,
		      (unsigned long long)hit.offset);
	else
		print("rip %04x:%016llx", r->cs, (unsigned long long)r->rip);
	print("rsp %04x:%016llx  rflags %08llx  vector %u error %04x", r->ss, (unsigned long long)r->rsp,
	      (unsigned long long)r->rflags, r->entry_vector, r->error_code);
#define R(name) (unsigned long long)r->name
	print("rax %016llx rbx %016llx rcx %016llx", R(rax), R(rbx), R(rcx));
	print("rdx %016llx rsi %016llx rdi %016llx", R(rdx), R(rsi), R(rdi));
	print("rbp %016llx r8  %016llx r9  %016llx", R(rbp), R(r8), R(r9));
	print("r10 %016llx r11 %016llx r12 %016llx", R(r10), R(r11), R(r12));
	print("r13 %016llx r14 %016llx r15 %016llx", R(r13), R(r14), R(r15));
#undef R
	print("cr0 %016llx cr2 %016llx cr3 %016llx cr4 %016llx", (unsigned long long)cr0_read(),
	      (unsigned long long)cr2_read(), (unsigned long long)cr3_read(), (unsigned long long)cr4_read());
}

/* What looks like a return address on the hypervisor's stack, up to its end. */
static void stack_print(uint64_t sp)
{
	uint64_t end = (sp & ~(uint64_t)(HV_STACK_SIZE - 1)) + HV_STACK_SIZE - sizeof(struct cpu_info);
	struct symbol_hit hit;

	print("stack from %016llx:", (unsigned long long)sp);
	for (sp &= ~7ull; sp < end; sp += 8) {
		uint64_t value = *(const uint64_t *)sp;

		if (symbol_find(value, &hit))
			print("  %016llx %s+0x%llx", (unsigned long long)value, hit.name,
			      (unsigned long long)hit.offset);
	}
}

static void finish(void) __noreturn;

static void finish(void)
{
	if (panic_describe)
		panic_describe();
	if (options.noreboot) {
		print("halting machine: reset it by hand (noreboot)");
		machine_halt();
	}
	print("the machine reboots in %u seconds", REBOOT_SECONDS);
	for (unsigned i = 0; i < REBOOT_SECONDS * 1000; i++)
		udelay(1000);
	machine_reboot();
}

/* Only one CPU gets through; one that panics while it panics halts at once. */
static void begin(void)
{
	static int panicking;

	irq_disable();
	if (__atomic_exchange_n(&panicking, 1, __ATOMIC_SEQ_CST))
		for (;;)
			__asm__ volatile("cli; hlt");
	smp_stop_others();
	console_panic_mode();
}

void panic(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	begin();
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	print("****************************************");
	print("Panic on CPU %u: %s", this_cpu(), line);
	stack_print((uintptr_t)__builtin_frame_address(0));
	finish();
}

void panic_with(struct cpu_user_regs *regs, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	begin();
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	print("****************************************");
	print("Panic on CPU %u: %s", this_cpu(), line);
	regs_print(regs);
	if (!(regs->cs & 3))
		stack_print(regs->rsp);
	finish();
}
