/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nettest.c plays of libvirt's functions whose arguments differ by the release; those are in release/. */
#ifndef NETTEST_H
#define NETTEST_H

#include "internal.h"
#include "virnetdevbandwidth.h"

/* as_guest_sees: what the limits call inbound is inbound for the guest, and all that was there before is replaced. */
int play_limits(const char *ifname, const virNetDevBandwidth *limits, bool as_guest_sees);
int play_enter(const char *ifname);

#endif
