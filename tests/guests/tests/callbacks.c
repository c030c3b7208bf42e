/* SPDX-License-Identifier: GPL-2.0-or-later */
/* callback_op and set_callbacks refuse what could not be entered */
#include "guest.h"

const char test_name[] = "callbacks";

void run(void)
{
	struct callback_register r = { .type = CALLBACKTYPE_event, .address = 0x1234000000000000 };
	struct trap_info bad[2] = { { .vector = 77, .cs = 0xe033, .address = 0x8000000000000000 }, { 0 } };

	EXPECT_EQ(HC(callback_op, CALLBACKOP_register, &r), -EINVAL);
	EXPECT_EQ(HC(set_trap_table, bad), -EINVAL);
	r.type = 77;
	r.address = (unsigned long)run;
	EXPECT_EQ(HC(callback_op, CALLBACKOP_register, &r), -ENOSYS);
	EXPECT_EQ(HC(callback_op, 99, &r), -ENOSYS);
	EXPECT_EQ(HC(vm_assist, VMASST_CMD_enable, 77), -EINVAL);
}
