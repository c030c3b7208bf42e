/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dom0 reaches the machine's ports when its IOPL allows it */
#include "guest.h"

const char test_name[] = "io-ports";

static void in_cmos(void *p)
{
	uint8_t v;

	__asm__ volatile("outb %1, $0x70; inb $0x71, %0" : "=a"(v) : "a"((uint8_t)0));
	*(uint8_t *)p = v;
}

void run(void)
{
	struct physdev_set_iopl iopl = { .iopl = 1 };
	uint32_t id;
	uint8_t seconds = 0xff;

	iopl.iopl = 0;
	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
	EXPECT_EQ(guarded(in_cmos, &seconds).vector, 13);
	iopl.iopl = 1;
	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
	EXPECT_EQ(guarded(in_cmos, &seconds).vector, -1);
	EXPECT(seconds != 0xff);
	__asm__ volatile("outl %0, %1" : : "a"(0x80000000), "d"((uint16_t)0xcf8));
	__asm__ volatile("inl %1, %0" : "=a"(id) : "d"((uint16_t)0xcfc));
	EXPECT_EQ(id & 0xffff, 0x8086); /* the host bridge of QEMU's machines */
	iopl.iopl = 4;
	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &iopl), -EINVAL);
}
