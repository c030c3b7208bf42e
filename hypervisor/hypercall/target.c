/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may name which domain in a hypercall: the one place where that is decided, also in the host tests. */
#include "hypercall/hypercall.h"
#include "dom/domain.h"
#include "lib/errno.h"

int hc_target_domain(uint16_t domid, struct domain **d)
{
	*d = domain_get_self_or(domid);
	if (!*d)
		return -ESRCH;
	if (*d == current_domain() || current_domain()->privileged)
		return 0;
	domain_put(*d);
	*d = NULL;
	return -EPERM;
}
