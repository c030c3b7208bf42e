/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clock of hw/time.c on a machine that is paused now and then, by system management code or a hypervisor
 * below: anywhere, also between two reads that belong together. It must stay near to the platform timer and
 * never go back.
 */
#include "hw/time.c"
#include "../../lib/tap.h"
#include <stdio.h>
#include <stdlib.h>

#define TSC_MHZ  2600
#define HPET_HZ  100000000ull
#define PAUSE_MS 40

struct options options;
struct cpu_features cpu_features;
cpumask_t cpus_online;
unsigned cpu_count = 1;

static uint64_t real_ns;
static bool pauses;
static uint64_t seed = 7;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Time passes; once in twenty steps the machine is paused. */
static void pass(unsigned ns)
{
	real_ns += ns;
	if (pauses && !rnd(20))
		real_ns += rnd(PAUSE_MS * 1000000);
}

uint64_t rdtsc(void)
{
	uint64_t now;

	pass(10);
	now = real_ns * TSC_MHZ / 1000;
	pass(10);
	return now;
}

uint64_t platform_timer_read(void)
{
	uint64_t now;

	pass(500);
	now = real_ns / 10;
	pass(500);
	return now;
}

uint64_t platform_timer_ns(void)
{
	return platform_timer_read() * 10;
}

uint64_t platform_timer_hz(void)
{
	return HPET_HZ;
}

uint64_t platform_timer_mask(void)
{
	return 0xffffffff;
}

bool platform_timer_lasting(void)
{
	return true;
}

const char *platform_timer_name(void)
{
	return "test";
}

void platform_timer_init(const char *wanted)
{
	(void)wanted;
}

void platform_timer_start(void)
{
}

static uint64_t apic_from_ns;

void apic_timer_start(uint32_t count)
{
	(void)count;
	apic_from_ns = real_ns;
}

uint32_t apic_timer_count(void)
{
	return ~0u - (uint32_t)((real_ns - apic_from_ns) / 16);
}

void apic_timer_deadline_mode(void)
{
}

void wrmsr(uint32_t msr, uint64_t value)
{
	(void)msr;
	(void)value;
}

unsigned this_cpu(void)
{
	return 0;
}

uint64_t irq_save(void)
{
	return 0;
}

void irq_restore(uint64_t flags)
{
	(void)flags;
}

uint64_t spin_lock_irqsave(spinlock_t *l)
{
	(void)l;
	return 0;
}

void spin_unlock_irqrestore(spinlock_t *l, uint64_t flags)
{
	(void)l;
	(void)flags;
}

void work_raise(unsigned cpu, unsigned bit)
{
	(void)cpu;
	(void)bit;
}

uint64_t cmos_read_seconds(void)
{
	return 1700000000;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void panic(const char *fmt, ...)
{
	printf("Bail out! panic: %s\n", fmt);
	exit(1);
}

/* Ten minutes. How far the clock was ever from the platform timer, and whether it went back. */
static uint64_t worst(bool *back)
{
	uint64_t last = 0, most = 0;

	for (unsigned i = 0; i < 6000; i++) {
		uint64_t before, now, after;

		real_ns += 90000000 + rnd(20000000);
		time_interrupt();
		before = real_ns;
		now = time_now_ns();
		after = real_ns;
		*back |= now < last;
		last = now;
		most = MAX(most, now < before ? before - now : now > after ? now - after : 0);
	}
	return most;
}

int main(void)
{
	bool back = false;
	uint64_t off;

	time_init();
	off = worst(&back);
	printf("# %lu ns\n", (unsigned long)off);
	tap_ok(off < 100000, "a clock that nobody disturbs is within 0.1 ms of the platform timer");
	tap_ok(!back, "and never goes back");
	pauses = true;
	off = worst(&back);
	printf("# %lu ns\n", (unsigned long)off);
	tap_ok(off < 2000000, "on a machine that is paused anywhere it is within 2 ms");
	tap_ok(!back, "and never goes back");
	return tap_end();
}
