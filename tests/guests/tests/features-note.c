/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel whose older note XEN_ELFNOTE_FEATURES says nothing of dom0 may be dom0: only SUPPORTED_FEATURES, which this one
 * has not, could deny it. Its notes: start.S, OLDER_FEATURES_NOTE.
 */
#include "guest.h"

const char test_name[] = "features-note";

void run(void)
{
	EXPECT((start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN)) == (SIF_PRIVILEGED | SIF_INITDOMAIN));
}
