/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System time is the TSC, scaled. How far the TSC can be trusted decides the rest:
 *
 *  - It runs at one rate (invariant TSC, or clocksource=tsc) and no CPU was seen behind another at bring-up: one scale for all
 *    CPUs, measured once against the platform timer. It is reported to guests as stable.
 *  - Otherwise each CPU looks at the platform timer (HPET or ACPI PM timer) once a second and steers its scale towards it,
 *    never backwards.
 *
 * The timer interrupt is the local APIC's, by TSC deadline where there is one, else one-shot.
 */
#include "hw/time.h"
#include "hw/apic.h"
#include "hw/cpu.h"
#include "hw/lock.h"
#include "hw/msr.h"
#include "hw/options.h"
#include "hw/platform_timer.h"
#include "hw/smp.h"
#include "lib/log.h"
#include "lib/string.h"

#define SECOND_NS    1000000000ull
#define CALIBRATE_NS 50000000ull
#define STEER_NS     SECOND_NS
#define ARM_MAX_NS   (2 * SECOND_NS)
#define WARP_ROUNDS  2000

/* One CPU's clock. Written by that CPU with interrupts off; version is odd meanwhile. */
struct cpu_clock {
	uint32_t version;
	uint64_t tsc_stamp, system_ns;
	uint32_t mul;
	int8_t shift;
	uint64_t tsc_hz;                       /* in force */
	uint64_t steer_tsc, steer_platform_ns; /* at the last look at the platform timer */
	uint64_t deadline_ns;                  /* what timer_hw_set() asked for; 0: nothing */
} __aligned_to(64);
static struct cpu_clock clocks[NR_CPUS];

static uint64_t tsc_khz, apic_khz;
static bool tsc_stable, steering, use_deadline;

/* Wall-clock time at system time 0. */
static spinlock_t wall_lock = SPINLOCK(RANK_TIME);
static uint64_t wall_ns;

/* ---- scale ---- */

static void scale_set(struct cpu_clock *c, uint64_t hz)
{
	time_scale_of_rate(hz, &c->mul, &c->shift);
	c->tsc_hz = hz;
}

static uint64_t scale(uint64_t ticks, uint32_t mul, int8_t shift)
{
	ticks = shift >= 0 ? ticks << shift : ticks >> -shift;
	return (uint64_t)((unsigned __int128)ticks * mul >> 32);
}

static uint64_t clock_at(const struct cpu_clock *c, uint64_t tsc)
{
	/* A TSC behind the stamp: another CPU's, within the warp bound. */
	return c->system_ns + (tsc > c->tsc_stamp ? scale(tsc - c->tsc_stamp, c->mul, c->shift) : 0);
}

uint64_t time_now_ns(void)
{
	const struct cpu_clock *c = &clocks[this_cpu()];
	uint32_t version;
	uint64_t now;

	/* The writer is this CPU's own timer interrupt. */
	do {
		version = READ_ONCE(c->version);
		__asm__ volatile("" : : : "memory");
		now = clock_at(c, rdtsc());
		__asm__ volatile("" : : : "memory");
	} while (unlikely(version != READ_ONCE(c->version)));
	return now;
}

struct time_scale time_scale_read(void)
{
	const struct cpu_clock *c = &clocks[this_cpu()];
	uint64_t flags = irq_save();
	struct time_scale s = { c->tsc_stamp, c->system_ns, c->mul, c->shift, tsc_stable };

	irq_restore(flags);
	return s;
}

uint64_t time_tsc_khz(void)
{
	return tsc_khz;
}

void udelay(unsigned us)
{
	uint64_t start, ticks = (uint64_t)us * (tsc_khz ? tsc_khz : 4000000) / 1000;

	/* Before calibration: as if at 4 GHz, so never too short. */
	for (start = rdtsc(); rdtsc() - start < ticks;)
		cpu_relax();
}

/* ---- calibration ---- */

/* The platform timer and the TSC at one instant: the best of some tries, since system management code or a
 * hypervisor below us may pause us. */
static void read_pair(uint64_t (*read)(void), uint64_t *ticks, uint64_t *tsc)
{
	uint64_t best = ~0ull;

	*ticks = *tsc = 0;
	for (unsigned i = 0; i < 5; i++) {
		uint64_t before = rdtsc(), t = read(), after = rdtsc();

		if (after - before < best) {
			best = after - before;
			*ticks = t;
			*tsc = before + (after - before) / 2;
		}
	}
}

static void calibrate(void)
{
	uint64_t hz = platform_timer_hz(), want = CALIBRATE_NS * hz / SECOND_NS, t0, t1, tsc0, tsc1;
	uint32_t count;

	apic_timer_start(~0u);
	read_pair(platform_timer_read, &t0, &tsc0);
	count = apic_timer_count();
	do
		t1 = platform_timer_read();
	while (((t1 - t0) & platform_timer_mask()) < want);
	read_pair(platform_timer_read, &t1, &tsc1);
	count -= apic_timer_count();
	apic_timer_start(0);
	t1 = (t1 - t0) & platform_timer_mask();
	tsc_khz = (tsc1 - tsc0) * hz / t1 / 1000;
	apic_khz = (uint64_t)count * hz / t1 / 1000;
	if (!tsc_khz || !apic_khz)
		panic("the TSC or the APIC timer does not run (%llu, %llu kHz)", (unsigned long long)tsc_khz,
		      (unsigned long long)apic_khz);
}

/* ---- steering ---- */

static void clock_rebase(struct cpu_clock *c, uint64_t tsc, uint64_t ns, uint64_t hz)
{
	c->version++;
	__asm__ volatile("" : : : "memory");
	c->tsc_stamp = tsc;
	c->system_ns = ns;
	scale_set(c, hz);
	__asm__ volatile("" : : : "memory");
	c->version++;
}

/* Interrupts off. Aims at no difference one period from now; time that is behind by much jumps forward. */
static void steer(struct cpu_clock *c)
{
	uint64_t tsc, platform, local, ticks, elapsed, hz = c->tsc_hz;
	int64_t error;

	read_pair(platform_timer_ns, &platform, &tsc);
	local = clock_at(c, tsc);
	ticks = tsc - c->steer_tsc;
	elapsed = platform - c->steer_platform_ns;
	error = (int64_t)(platform - local);
	if (elapsed < STEER_NS / 2)
		return;
	/* The true rate since the last look, taken only when it is near what was measured at boot. */
	if (elapsed < 4 * SECOND_NS)
		hz = ticks * 1000000 / (elapsed / 1000);
	if (hz < tsc_khz * 500 || hz > tsc_khz * 2000)
		hz = tsc_khz * 1000;
	if (error > 100000000) {
		local = platform;
		error = 0;
	}
	error = MAX(error, -(int64_t)(SECOND_NS / 4));
	hz -= (uint64_t)((int64_t)(hz / 1000) * (error / 1000) / 1000);
	clock_rebase(c, tsc, local, hz);
	c->steer_tsc = tsc;
	c->steer_platform_ns = platform;
}

/* ---- timer ---- */

static void arm(struct cpu_clock *c)
{
	uint64_t now = time_now_ns(), delta = ARM_MAX_NS;

	if (c->deadline_ns)
		delta = c->deadline_ns > now ? MIN(c->deadline_ns - now, delta) : 1;
	if (steering)
		delta = MIN(delta, STEER_NS);
	else if (!c->deadline_ns)
		delta = 0;
	if (use_deadline) {
		wrmsr(MSR_TSC_DEADLINE, delta ? rdtsc() + delta * tsc_khz / 1000000 + 1 : 0);
	} else {
		uint64_t count = delta * apic_khz / 1000000 + 1;

		apic_timer_start(delta ? (uint32_t)MIN(count, 0xffffffffull) : 0);
	}
}

void timer_hw_set(uint64_t deadline_ns)
{
	uint64_t flags = irq_save();
	struct cpu_clock *c = &clocks[this_cpu()];

	c->deadline_ns = deadline_ns;
	arm(c);
	irq_restore(flags);
}

void time_interrupt(void)
{
	struct cpu_clock *c = &clocks[this_cpu()];

	if (steering)
		steer(c);
	if (c->deadline_ns && time_now_ns() >= c->deadline_ns) {
		c->deadline_ns = 0;
		work_raise(this_cpu(), WORK_TIMER);
	}
	arm(c);
}

/* ---- wall clock ---- */

void time_wallclock(uint64_t *sec, uint32_t *nsec)
{
	uint64_t flags = spin_lock_irqsave(&wall_lock), ns = wall_ns;

	spin_unlock_irqrestore(&wall_lock, flags);
	*sec = ns / SECOND_NS;
	*nsec = (uint32_t)(ns % SECOND_NS);
}

void time_wallclock_set(uint64_t sec, uint32_t nsec, uint64_t system_ns)
{
	uint64_t flags = spin_lock_irqsave(&wall_lock);

	wall_ns = sec * SECOND_NS + nsec - system_ns;
	spin_unlock_irqrestore(&wall_lock, flags);
}

/* ---- bring-up ---- */

void time_init(void)
{
	struct cpu_clock *c = &clocks[0];
	bool asked_for_tsc = !strcmp(options.clocksource, "tsc");

	platform_timer_init(options.clocksource);
	calibrate();
	platform_timer_start();
	tsc_stable = cpu_features.tsc_invariant || asked_for_tsc;
	steering = !tsc_stable && platform_timer_lasting();
	if (!steering)
		tsc_stable = true;
	use_deadline = cpu_features.tsc_deadline;
	if (use_deadline)
		apic_timer_deadline_mode();
	c->steer_tsc = rdtsc();
	c->steer_platform_ns = platform_timer_ns();
	clock_rebase(c, c->steer_tsc, c->steer_platform_ns, tsc_khz * 1000);
	time_wallclock_set(cmos_read_seconds(), 0, time_now_ns());
	log_info("time: TSC %llu.%03llu MHz by %s, %s; timer: %s", (unsigned long long)tsc_khz / 1000,
	         (unsigned long long)tsc_khz % 1000, platform_timer_name(),
	         steering ? "steered, since its rate is not known to be constant" : "constant",
	         use_deadline ? "TSC deadline" : "APIC, one shot");
}

/* Both CPUs read the TSC in turns; how far behind the other one's last value one of them ever was. */
static struct {
	spinlock_t lock;
	uint64_t last, warp;
	unsigned arrived, done;
} warp = { .lock = SPINLOCK(RANK_TIME) };

static void warp_check(void)
{
	__atomic_fetch_add(&warp.arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&warp.arrived, __ATOMIC_SEQ_CST) < 2)
		cpu_relax();
	for (unsigned i = 0; i < WARP_ROUNDS; i++) {
		uint64_t flags = spin_lock_irqsave(&warp.lock), now = rdtsc();

		if (now < warp.last)
			warp.warp = MAX(warp.warp, warp.last - now);
		warp.last = now;
		spin_unlock_irqrestore(&warp.lock, flags);
	}
	__atomic_fetch_add(&warp.done, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&warp.done, __ATOMIC_SEQ_CST) < 2)
		cpu_relax();
}

void time_init_cpu(unsigned cpu)
{
	struct cpu_clock *c = &clocks[cpu];

	warp_check();
	if (!__atomic_load_n(&warp.warp, __ATOMIC_SEQ_CST)) {
		c->steer_tsc = clocks[0].steer_tsc;
		c->steer_platform_ns = clocks[0].steer_platform_ns;
		clock_rebase(c, clocks[0].tsc_stamp, clocks[0].system_ns, clocks[0].tsc_hz);
	} else {
		c->steer_tsc = rdtsc();
		c->steer_platform_ns = platform_timer_ns();
		clock_rebase(c, c->steer_tsc, c->steer_platform_ns, tsc_khz * 1000);
	}
	arm(c);
	__atomic_fetch_add(&warp.done, 1, __ATOMIC_SEQ_CST);
}

void time_sync_with(unsigned cpu)
{
	/* The clock of CPU 0 does not move while the other one copies it. */
	uint64_t flags = irq_save();

	warp_check();
	while (__atomic_load_n(&warp.done, __ATOMIC_SEQ_CST) < 3)
		cpu_relax();
	irq_restore(flags);
	if (warp.warp && !steering) {
		log_warn("time: TSC of CPU %u is up to %llu ticks off: each CPU's is steered", cpu,
		         (unsigned long long)warp.warp);
		tsc_stable = false;
		steering = platform_timer_lasting();
		if (!steering)
			log_err("time: there is no HPET and no PM timer to steer by; clocks of CPUs will differ");
	}
	warp.last = warp.warp = 0;
	warp.arrived = warp.done = 0;
}
