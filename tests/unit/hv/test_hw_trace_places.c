/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places of trace_on() that change while threads run over them: real code of this program, a real SIGTRAP for INT3, and
 * membarrier(2) in cpu_call()'s place. No thread may see anything but a no-op or the jump.
 */
#define _GNU_SOURCE
#define TRACE_PLACES       /* as the hypervisor has them; the linker's names of the section's ends */
#define trace_places_start __start___trace_places
#define trace_places_end   __stop___trace_places
#include "hw/trace_places.c"
#include "../../lib/tap.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define THREADS 3
#define ROUNDS  2000

cpumask_t cpus_online = { { 1 } };
static unsigned long traps, calls;
static int stage; /* 0: it is not told, 1: off, 2: on, 3: the end */

/* ---- the stub layer ---- */

void cpu_call(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	(void)mask;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0)) {
		printf("Bail out! membarrier\n");
		exit(1);
	}
	calls++;
	fn(arg);
}

void text_write(void *at, const uint8_t *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		WRITE_ONCE(((uint8_t *)at)[i], bytes[i]);
}

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	return (struct cpuid_regs){ .eax = leaf };
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	struct cpu_user_regs regs = { .rip = (uint64_t)c->uc_mcontext.gregs[REG_RIP] };

	(void)number;
	(void)info;
	__atomic_fetch_add(&traps, 1, __ATOMIC_RELAXED);
	if (!trace_places_breakpoint(&regs))
		_exit(3);
	c->uc_mcontext.gregs[REG_RIP] = (greg_t)regs.rip;
}

/* ---- who asks ---- */

static __attribute__((noinline)) unsigned ask_once(void)
{
	return trace_on() ? 1 : 0;
}

/* Places at several distances from what they jump to, and at several offsets in the cache line. */
static __attribute__((noinline)) unsigned ask_often(unsigned x)
{
	unsigned on = 0;

	for (unsigned i = 0; i < x % 7 + 1; i++) {
		if (trace_on())
			on += 1;
		__asm__ volatile(".nops 3");
		if (trace_on())
			on += 100;
		__asm__ volatile(".nops 200");
		if (trace_on())
			on += 10000;
	}
	return on / (x % 7 + 1);
}

static void *runner(void *wrong)
{
	for (unsigned x = 0;; x++) {
		int before = __atomic_load_n(&stage, __ATOMIC_SEQ_CST);
		unsigned once = ask_once(), often = ask_often(x);
		int after = __atomic_load_n(&stage, __ATOMIC_SEQ_CST);

		if (before == 3)
			return NULL;
		if (before == after && before == 1 && (once || often))
			__atomic_store_n((bool *)wrong, true, __ATOMIC_RELAXED);
		if (before == after && before == 2 && (!once || often != 10101))
			__atomic_store_n((bool *)wrong, true, __ATOMIC_RELAXED);
	}
}

static void tell(bool on)
{
	/* stage is 0 while it changes: what is asked then may be answered either way. */
	__atomic_store_n(&stage, 0, __ATOMIC_SEQ_CST);
	trace_places_set(on);
	__atomic_store_n(&stage, on ? 2 : 1, __ATOMIC_SEQ_CST);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	struct cpu_user_regs elsewhere = { .rip = (uintptr_t)ask_once };
	long page = sysconf(_SC_PAGESIZE);
	pthread_t threads[THREADS];
	bool wrong = false, one = true;
	unsigned n = 0;

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) ||
	    sigaction(SIGTRAP, &action, NULL)) {
		printf("Bail out! membarrier or sigaction\n");
		return 1;
	}
	for (const struct trace_place *p = trace_places_start; p < trace_places_end; p++, n++) {
		uintptr_t from = (uintptr_t)place_at(p) & ~(uintptr_t)(page - 1);

		if (mprotect((void *)from, 2 * (size_t)page, PROT_READ | PROT_WRITE | PROT_EXEC)) {
			printf("Bail out! mprotect\n");
			return 1;
		}
	}
	tap_ok(n >= 4, "%u places", n);
	tap_ok(!ask_once() && !ask_often(3), "off as built");
	tell(true);
	one &= ask_once() == 1 && ask_often(3) == 10101 && !traps;
	tell(true);
	one &= ask_once() == 1 && ask_often(3) == 10101 && !traps;
	tell(false);
	one &= !ask_once() && !ask_often(3) && !traps;
	tap_ok(one && calls == 9, "on, on again, off; every CPU serialises three times for each");

	/* A place that is being changed. */
	for (const struct trace_place *p = trace_places_start; p < trace_places_end; p++)
		*(volatile uint8_t *)place_at(p) = INT3;
	tap_ok(!ask_once() && !ask_often(0) && traps == 4, "INT3 is passed over, as if off");
	tell(false);
	tap_ok(!trace_places_breakpoint(&elsewhere) && elsewhere.rip == (uintptr_t)ask_once,
	       "a breakpoint elsewhere is not taken for a place");

	traps = 0;
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, runner, &wrong))
			return 1;
	for (unsigned i = 0; i < ROUNDS || (!__atomic_load_n(&traps, __ATOMIC_RELAXED) && i < 100 * ROUNDS);
	     i++)
		tell(i & 1);
	__atomic_store_n(&stage, 3, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	tap_ok(!wrong && traps, "changed under %u threads, %lu breakpoints", THREADS, traps);
	return tap_end();
}
