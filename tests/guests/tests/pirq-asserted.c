/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line that its device asserts all the time is taken and given back, and the machine goes on */
#include "guest.h"

const char test_name[] = "pirq-asserted";

#define RTC_IRQ         8
#define REGISTER_A      0x0a
#define REGISTER_B      0x0b
#define REGISTER_C      0x0c /* reading it takes the interrupt back */
#define PERIODIC        0x40u
#define RATE_MASK       0x0fu
#define RATE_8192_HZ    3u
#define TIMES           40u
#define WAIT_NS         (20 * 1000000000ull)
#define LEVEL_TRIGGERED 1
#define ACTIVE_HIGH     0

static uint8_t cmos_read(uint8_t at)
{
	uint8_t value;

	__asm__ volatile("outb %1, $0x70; inb $0x71, %0" : "=a"(value) : "a"(at));
	return value;
}

static void cmos_write(uint8_t at, uint8_t value)
{
	__asm__ volatile("outb %0, $0x70" : : "a"(at));
	__asm__ volatile("outb %0, $0x71" : : "a"(value));
}

static bool comes(unsigned port)
{
	uint64_t until = system_time_ns() + WAIT_NS;

	while (!(__atomic_load_n(&shared->evtchn_pending[port / 64], __ATOMIC_SEQ_CST) >> (port % 64) & 1))
		if (system_time_ns() > until)
			return false;
	return true;
}

void run(void)
{
	struct physdev_set_iopl iopl = { .iopl = 1 };
	struct physdev_setup_gsi gsi = { .gsi = RTC_IRQ,
		                         .triggering = LEVEL_TRIGGERED,
		                         .polarity = ACTIVE_HIGH };
	struct physdev_map_pirq map = {
		.domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = RTC_IRQ, .pirq = -1
	};
	uint8_t a, b;

	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_setup_gsi, &gsi), 0);
	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_map_pirq, &map), 0);
	a = cmos_read(REGISTER_A);
	b = cmos_read(REGISTER_B);
	cmos_write(REGISTER_A, (uint8_t)((a & ~RATE_MASK) | RATE_8192_HZ));
	cmos_write(REGISTER_B, (uint8_t)(b | PERIODIC));
	for (unsigned i = 0; i < TIMES; i++) {
		struct evtchn_bind_pirq bind = { .pirq = (uint32_t)map.pirq };
		struct physdev_eoi eoi = { .irq = (uint32_t)map.pirq };
		struct evtchn_close close;

		EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_pirq, &bind), 0);
		EXPECT(comes(bind.port));
		if (i % 2)
			EXPECT_EQ(HC(physdev_op, PHYSDEVOP_eoi, &eoi), 0);
		close.port = bind.port;
		EXPECT_EQ(HC(event_channel_op, EVTCHNOP_close, &close), 0);
	}
	cmos_write(REGISTER_B, b);
	cmos_write(REGISTER_A, a);
	(void)cmos_read(REGISTER_C);
}
