/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's consoles: number 0, whose ring the start info names, and those that are devices (device/console/N).
 *
 * The daemon's main loop calls console_event() when one's event channel fired. Nothing here waits for
 * anybody: output that nobody takes is dropped (but see end.h for those that are reliable), input that the guest does
 * not take stays with whoever types, or with the end when that client goes; the log is written by threads. A guest that writes, or
 * only kicks, or rewrites its nodes without end is looked at so many times a second, all of its consoles together: their
 * channels stay masked in between, so that it costs dom0 nothing then.
 */
#ifndef XENCONSOLED_CONSOLE_H
#define XENCONSOLED_CONSOLE_H

#include "xenctrl.h"

#include <glib.h>

#include <xen/io/xenbus.h>

#include "../src/guestlimits.h"
#include "consring.h"
#include "end.h"
#include "logwriter.h"
#include "output.h"

struct daemon {
	struct xyl *xyl;
	struct xyl_evtchn *evtchn;
	struct xyl_gnt *gnt;
	struct xyl_store *store;
	GHashTable *ports;   /* local port -> struct console */
	GHashTable *domains; /* domid -> struct guest */
	GQueue work;         /* consoles that may have more output, or another state */
	guint idle;
	const char *log_dir; /* NULL: no logs of guests */
	struct log_limits limits;
	struct logwriter *writer;
	struct log *hv_log;
	int hv_port;
	uint32_t hv_index;
};

struct guest {
	struct daemon *d;
	uint32_t domid;
	uint8_t uuid[16];
	struct console *consoles[1 + GUEST_CONSOLES_MAX];
	char *backends; /* path of those that are devices */
	struct xyl_watch *watch;

	bool unread; /* the store did not answer something, which is not known then */
	bool store_complained;
	guint retry; /* timer: all is looked at again */

	struct throttle throttle;
	guint held;     /* timer: its consoles are not looked at until then */
	bool throttled; /* has been logged */
};

struct console {
	struct guest *guest;
	unsigned int id;
	char *what; /* for messages */
	char *path; /* where its terminal is announced: /local/domain/N/console, or its backend */
	struct xyl_watch *watch;

	struct consring ring;
	bool granted;      /* mapped by grant */
	uint32_t ring_ref; /* of devices */
	uint32_t remote_port;
	int port; /* 0: not attached */
	bool ring_complained;
	struct end *end; /* NULL: not yet */
	struct log *log; /* NULL: none */

	/* devices */
	char *front;
	enum xenbus_state state; /* the backend's */
	bool front_changed;      /* its state is to be looked at */
	bool attach_complained;
	guint patience; /* timer: it is not offered yet, because somebody else has its end */

	bool queued;
	GList link;
	bool paid;   /* the next look has been taken from the throttle */
	bool masked; /* its channel stays masked while the guest is held */
};

struct console *console_new(struct guest *g, unsigned int id);
void console_free(struct console *c);
/* The event channel fired: the guest has written, or has read. Returns whether to unmask it: not while the guest is
 * held because it keeps the daemon too busy. */
bool console_event(struct console *c);
/* Number 0: attaches, if the store says where. */
void console_attach(struct console *c);
/* Has the console looked at soon, after all others that wait. */
void console_queue(struct console *c);
void console_unmask(struct console *c);
void console_run(struct daemon *d);
struct end *console_end_new(struct console *c, const struct end_conf *conf);
/* The ring's page becomes the console's; bind: false, and logged. */
void console_adopt(struct console *c, struct xencons_interface *page, bool granted);
bool console_bind(struct console *c, uint32_t remote_port);
/* Takes what there is and gives up the ring and its channel. */
void console_detach(struct console *c);
/* Writes the terminal's name where clients look for it. */
void console_announce(struct console *c);

#endif
