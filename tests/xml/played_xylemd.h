/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An xylemd and a hypervisor that do what they are asked, at once or when the test lets them, with one guest that has
 * always the same number. Nothing happens in it by itself.
 */
#ifndef PLAYED_XYLEMD_H
#define PLAYED_XYLEMD_H

#include "played.h"

#define PLAYED_DOMID 7
/* The hypervisor has this one. */
#define PLAYED_UUID "5f2b7e10-0000-4000-8000-000000000001"

extern struct played_xylemd {
	GMutex gate; /* held by the test: calls to xylemd wait */
	gint inside; /* such calls */
	gint calls;  /* all in all */
	gint creations, kills;
	bool refuses;     /* whatever it is called for */
	char asked[16];   /* what for a guest was asked last: "poweroff", "reboot" */
	int forced;       /* detaches that do not wait for the guest */
	int links_down;   /* set by calls */
	int destroy_code; /* of the error with which Destroy fails; 0: it succeeds */
	bool dying;
	bool answers, has_guest; /* when it is asked for a guest */
	const char *guest;       /* what it says of it, as text of a{sv}; or NULL */
} xylemd;

#endif
