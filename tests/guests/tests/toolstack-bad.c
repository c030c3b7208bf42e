/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domctl and sysctl with the wrong version, for nobody, and for oneself */
#include "guest.h"

const char test_name[] = "toolstack-bad";

#include <xen/domctl.h>
#include <xen/sysctl.h>

void run(void)
{
	static struct xen_domctl d;
	static struct xen_sysctl s;

	d.cmd = XEN_DOMCTL_getdomaininfo;
	d.interface_version = 1;
	d.domain = 0;
	EXPECT_EQ(HC(domctl, &d), -EACCES);
	d.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	EXPECT_EQ(HC(domctl, &d), 0);
	EXPECT_EQ(d.domain, 0);
	EXPECT(d.u.getdomaininfo.tot_pages > 0);
	d.cmd = XEN_DOMCTL_pausedomain;
	d.domain = 0;
	EXPECT_EQ(HC(domctl, &d), -EINVAL);
	d.cmd = XEN_DOMCTL_destroydomain;
	EXPECT_EQ(HC(domctl, &d), -EINVAL);
	d.domain = 99;
	EXPECT_EQ(HC(domctl, &d), -ESRCH);
	d.cmd = 9999;
	EXPECT(HC(domctl, &d) < 0);
	s.cmd = XEN_SYSCTL_physinfo;
	s.interface_version = 1;
	EXPECT_EQ(HC(sysctl, &s), -EACCES);
	s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	EXPECT_EQ(HC(sysctl, &s), 0);
	EXPECT(s.u.physinfo.nr_cpus >= 1);
	s.cmd = 9999;
	EXPECT(HC(sysctl, &s) < 0);
}
