/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One guest's console: its ring, its terminal, its log.
 *
 * The daemon's main loop calls console_event() when the guest's event channel fired. Nothing here waits for
 * anybody: output that nobody takes is dropped, input that the guest does not take stays with whoever types;
 * the log is written by a thread. A guest that writes, or only kicks, without end is looked at so many times a second:
 * its channel stays masked in between, so that it costs dom0 nothing then.
 */
#ifndef XENCONSOLED_CONSOLE_H
#define XENCONSOLED_CONSOLE_H

#include "xenctrl.h"

#include <glib.h>

#include "consring.h"
#include "logwriter.h"
#include "output.h"

struct daemon {
	struct xyl *xyl;
	struct xyl_evtchn *evtchn;
	struct xyl_gnt *gnt;
	struct xyl_store *store;
	GHashTable *ports;   /* local port -> struct console */
	GHashTable *domains; /* domid -> struct console */
	GQueue work;         /* consoles that may have more output */
	guint idle;
	const char *log_dir; /* NULL: no logs of guests */
	struct log_limits limits;
	struct logwriter *writer;
	struct log *hv_log;
	int hv_port;
	uint32_t hv_index;
};

struct console {
	struct daemon *d;
	uint32_t domid;
	uint8_t uuid[16];
	char *path; /* /local/domain/N/console */
	struct xyl_watch *watch;

	struct consring ring;
	bool granted; /* mapped by grant */
	uint32_t remote_port;
	int port; /* 0: not attached */
	bool ring_complained;

	int master, slave;
	char *tty;
	bool locked; /* the terminal carries the mark of xyl_console_lock() */
	guint in_source, out_source;
	struct backlog backlog;

	struct log *log; /* NULL: none */
	bool queued;
	GList link;

	struct throttle throttle;
	bool paid;      /* the next look has been taken from the throttle */
	guint held;     /* timer: its output is not looked at until then */
	bool masked;    /* and its channel stays masked */
	bool throttled; /* has been logged */
};

struct console *console_new(struct daemon *d, const struct xyl_dominfo *info);
void console_free(struct console *c);
/* The event channel fired: the guest has written, or has read. Returns whether to unmask it: not while the guest is
 * held because it keeps the daemon too busy. */
bool console_event(struct console *c);
/* Has the console's output looked at soon, after all others that wait. */
void console_queue(struct console *c);
void console_run(struct daemon *d);

#endif
