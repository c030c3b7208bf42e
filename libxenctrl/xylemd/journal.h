/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xylemd must remember about a guest when it is killed: one small file per guest in /run/xylem/guests,
 * named by UUID and replaced atomically. /run is lost with the host's reboot, as the guests are.
 *
 * The file is a magic line and a serialised a{sv}. A file that cannot be decoded is an error of its own,
 * never a crash; the caller sets it aside.
 */
#ifndef XYLEMD_JOURNAL_H
#define XYLEMD_JOURNAL_H

#include <glib.h>

#include "guestconf.h"
#include "policy.h"

enum journal_phase {
	JOURNAL_BUILDING, /* after a kill: take everything down */
	JOURNAL_RUNNING,  /* after a kill: adopt */
	JOURNAL_TEARDOWN, /* after a kill: take everything down */
	JOURNAL_RESTART,  /* after a kill: take everything down, then build again */
};

struct journal {
	enum journal_phase phase;
	uint32_t domid;          /* 0: not known yet */
	bool unpaused;           /* has run */
	bool saving;             /* it may have been asked to suspend */
	bool asked_again;        /* while saving: and it had taken that when it was asked a second time */
	bool counting;           /* the hypervisor may watch which pages it changes */
	bool paused_before_save; /* of one that is saved, and is paused again when it goes on */
	uint32_t
	        abandoned_domid; /* its domain, if that may still suspend because it was asked to, in vain; or 0 */
	uint32_t abandoned;      /* how often it may; of one that is saved, when it is resumed */
	uint32_t cpupool;        /* where its domain was when it was taken down, for the next one */
	struct policy_state policy;
	struct guestconf *conf;
	char *kept_of;        /* UUID of the guest that has left its ended domain here; NULL: none */
	uint32_t screen_port; /* of its last screen, for the next one; 0: none yet, or a socket */
	GArray *nic_devids;   /* uint32_t, one for each of conf->nics */
};

/* The journal of a new guest, in the phase "building"; takes the configuration. */
struct journal *journal_new(struct guestconf *conf);
/* The nics of a new domain are numbered from 0, in their order. */
void journal_number_nics(struct journal *journal);
/* All return false (NULL) with an XD_ERROR_INTERNAL that names the file. */
/* conf: what guestconf_to_variant() made of journal->conf. */
bool journal_save(const char *dir, const struct journal *journal, GVariant *conf, GError **error);
struct journal *journal_load(const char *path, GError **error);
bool journal_remove(const char *dir, const char *uuid, GError **error);
void journal_free(struct journal *journal);

#endif
