/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In a guest that is migrated: a beat (opcount.c) each millisecond. The longest way between two is what its users miss. */
#include <unistd.h>

int main(void)
{
	for (;;) {
		__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x03, 0x00, 0x41, 0x4d");
		usleep(1000);
	}
}
