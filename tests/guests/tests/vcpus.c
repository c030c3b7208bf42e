/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vcpu_op: states, run-state area, info page, and numbers out of range */
#include "guest.h"

const char test_name[] = "vcpus";

void run(void)
{
	struct vcpu_runstate_info state;
	static struct vcpu_runstate_info area;
	struct vcpu_register_runstate_memory_area reg = { .addr.v = &area };
	char *page = page_alloc();
	struct vcpu_register_vcpu_info info = { .mfn = mfn_of(page), .offset = 128 };

	EXPECT_EQ(HC(vcpu_op, VCPUOP_is_up, 0, NULL), 1);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_is_up, 8000, NULL), -ENOENT);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_up, 8000, NULL), -ENOENT);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, 0, &state), 0);
	EXPECT_EQ(state.state, RUNSTATE_running);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &reg), 0);
	EXPECT_EQ(area.state, RUNSTATE_running);
	info.offset = 4090;
	EXPECT_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 0, &info), -ENXIO);
	info.offset = 128;
	info.mfn = mfn_of((void *)start_info->pt_base);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 0, &info), -EINVAL);
	info.mfn = mfn_of(page);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 0, &info), 0);
	EXPECT_EQ(((struct vcpu_info *)(page + 128))->evtchn_upcall_mask, 1);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, 0, &info), -EINVAL);
	EXPECT_EQ(HC(vcpu_op, 99, 0, NULL), -ENOSYS);
}
