/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen_version: every command, features, and buffers */
#include "guest.h"

const char test_name[] = "version";

void run(void)
{
	struct xen_feature_info f = { .submap_idx = 0 };
	struct xen_platform_parameters p = { 0 };
	xen_capabilities_info_t caps;
	xen_domain_handle_t handle;
	long v = HC(xen_version, XENVER_version, NULL);

	EXPECT_EQ(v >> 16, 4);
	EXPECT_EQ(v & 0xffff, 17);
	EXPECT_EQ(HC(xen_version, XENVER_get_features, &f), 0);
	EXPECT(f.submap & 1u << XENFEAT_dom0);
	EXPECT(f.submap & 1u << XENFEAT_mmu_pt_update_preserve_ad);
	EXPECT(!(f.submap & 1u << XENFEAT_auto_translated_physmap));
	f.submap_idx = 5;
	f.submap = 1;
	if (!HC(xen_version, XENVER_get_features, &f))
		EXPECT_EQ(f.submap, 0);
	EXPECT_EQ(HC(xen_version, XENVER_platform_parameters, &p), 0);
	EXPECT_EQ(p.virt_start, 0xffff800000000000);
	EXPECT_EQ(HC(xen_version, XENVER_capabilities, &caps), 0);
	EXPECT(!memcmp(caps, "xen-3.0-x86_64", 14));
	EXPECT_EQ(HC(xen_version, XENVER_pagesize, NULL), 4096);
	EXPECT_EQ(HC(xen_version, XENVER_guest_handle, handle), 0);
	EXPECT_EQ(HC(xen_version, 99, NULL), -ENOSYS);
}
