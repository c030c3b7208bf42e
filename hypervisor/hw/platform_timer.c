/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HPET, ACPI PM timer, PIT channel 2; and the CMOS clock. */
#include "hw/platform_timer.h"
#include "hw/acpi.h"
#include "hw/cpu.h"
#include "hw/device_map.h"
#include "hw/lock.h"
#include "hw/time.h"
#include "lib/log.h"
#include "lib/string.h"

#define PIT_HZ       1193182
#define PM_HZ        3579545
#define HPET_CAP     0
#define HPET_CONFIG  0x10
#define HPET_COUNTER 0xf0

struct timer_kind {
	const char *name;
	uint64_t (*read)(void);
	uint64_t hz, mask;
	bool lasting;
};

static volatile uint32_t *hpet;

static uint64_t hpet_read(void)
{
	return hpet[HPET_COUNTER / 4];
}

static uint64_t pm_read(void)
{
	return port_in(acpi_info.pm_timer_port, 4);
}

static uint64_t pit_read(void)
{
	uint32_t low;

	port_out(0x43, 1, 0x80); /* latch channel 2 */
	low = port_in(0x42, 1);
	return 0xffff - (port_in(0x42, 1) << 8 | low);
}

static struct timer_kind kind;

static bool use_hpet(void)
{
	uint32_t period_fs;

	hpet = acpi_info.hpet ? device_map(MADDR(acpi_info.hpet), 1024) : NULL;
	if (!hpet)
		return false;
	period_fs = hpet[HPET_CAP / 4 + 1];
	/* At most 100 ns by the specification; 0 or all ones: nobody there. */
	if (!period_fs || period_fs > 100000000) {
		device_unmap(hpet);
		return false;
	}
	hpet[HPET_CONFIG / 4] |= 1;
	kind = (struct timer_kind){ "HPET", hpet_read, 1000000000000000ull / period_fs, 0xffffffff, true };
	return true;
}

static bool use_pm(void)
{
	if (!acpi_info.pm_timer_port)
		return false;
	kind = (struct timer_kind){ "ACPI PM timer", pm_read, PM_HZ,
		                    acpi_info.pm_timer_32bit ? 0xffffffff : 0xffffff, true };
	return true;
}

static void use_pit(void)
{
	port_out(0x61, 1, (port_in(0x61, 1) & ~2u) | 1); /* gate on, speaker off */
	port_out(0x43, 1, 0xb0);                         /* channel 2, both bytes, mode 0 */
	port_out(0x42, 1, 0xff);
	port_out(0x42, 1, 0xff);
	kind = (struct timer_kind){ "PIT", pit_read, PIT_HZ, 0xffff, false };
}

void platform_timer_init(const char *wanted)
{
	if (!strcmp(wanted, "hpet") && use_hpet())
		return;
	if (!strcmp(wanted, "acpi") && use_pm())
		return;
	if (!strcmp(wanted, "pit")) {
		use_pit();
		return;
	}
	if (*wanted && strcmp(wanted, "tsc"))
		log_warn("clocksource=%s is not there", wanted);
	if (!use_hpet() && !use_pm())
		use_pit();
}

const char *platform_timer_name(void)
{
	return kind.name;
}

uint64_t platform_timer_hz(void)
{
	return kind.hz;
}

uint64_t platform_timer_mask(void)
{
	return kind.mask;
}

uint64_t platform_timer_read(void)
{
	return kind.read();
}

bool platform_timer_lasting(void)
{
	return kind.lasting;
}

static spinlock_t lock = SPINLOCK(RANK_TIME);
static uint64_t last_count, total_ticks;

void platform_timer_start(void)
{
	last_count = kind.read();
	total_ticks = 0;
}

uint64_t platform_timer_ns(void)
{
	uint64_t flags, count, mul = (1000000000ull << 32) / kind.hz, ns;

	if (!kind.lasting)
		return 0;
	flags = spin_lock_irqsave(&lock);
	count = kind.read();
	total_ticks += (count - last_count) & kind.mask;
	last_count = count;
	ns = (uint64_t)((unsigned __int128)total_ticks * mul >> 32);
	spin_unlock_irqrestore(&lock, flags);
	return ns;
}

/* ---- CMOS ---- */

static unsigned cmos_read(unsigned index)
{
	port_out(0x70, 1, index);
	return port_in(0x71, 1);
}

struct cmos_time {
	unsigned second, minute, hour, day, month, year, century;
};

static struct cmos_time cmos_fields(void)
{
	struct cmos_time t = { cmos_read(0),
		               cmos_read(2),
		               cmos_read(4),
		               cmos_read(7),
		               cmos_read(8),
		               cmos_read(9),
		               acpi_info.century ? cmos_read(acpi_info.century) : 0 };

	return t;
}

static unsigned from_bcd(unsigned v)
{
	return (v >> 4) * 10 + (v & 15);
}

/* Days from 1970-01-01 of a date of the Gregorian calendar. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	static const uint16_t before[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
	unsigned y = year - 1;
	uint64_t days = (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 - 719162;

	return days + before[(month - 1) % 12] + (leap && month > 2) + day - 1;
}

uint64_t cmos_read_seconds(void)
{
	struct cmos_time t, again;
	unsigned status, pm;

	/* An update takes 2 ms; two equal readings outside of one are a consistent time. */
	do {
		for (unsigned i = 0; i < 10000 && (cmos_read(10) & 0x80); i++)
			udelay(10);
		t = cmos_fields();
		again = cmos_fields();
	} while (memcmp(&t, &again, sizeof(t)));
	status = cmos_read(11);
	pm = t.hour & 0x80;
	t.hour &= 0x7f;
	if (!(status & 4)) {
		t = (struct cmos_time){ from_bcd(t.second), from_bcd(t.minute), from_bcd(t.hour),
			                from_bcd(t.day),    from_bcd(t.month),  from_bcd(t.year),
			                from_bcd(t.century) };
	}
	if (!(status & 2))
		t.hour = t.hour % 12 + (pm ? 12 : 0);
	if (t.century < 19 || t.century > 29)
		t.century = t.year >= 70 ? 19 : 20;
	t.year += t.century * 100;
	if (t.month < 1 || t.month > 12 || t.year < 1970)
		return 0;
	return days_since_1970(t.year, t.month, t.day) * 86400 + t.hour * 3600 + t.minute * 60 + t.second;
}
