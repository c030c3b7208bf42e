/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store's connections to the world; see io.c. */
#ifndef XENSTORED_IO_H
#define XENSTORED_IO_H

#include <stdbool.h>

#include "ring.h"
#include "store.h"

struct host;
struct io;

/*
 * Makes a store and serves it on socket_path; with domains also dom0's kernel and guests on the hypervisor.
 * Returns NULL after it has logged why.
 */
struct io *io_start(const char *socket_path, bool domains);
struct store *io_store(struct io *io);
void io_stop(struct io *io);

/* One connection's transport: kept in conn.io. */
struct transport {
	struct io *io;
	struct conn *conn;
	bool queued; /* in io's queue of connections that have work */
	GList link;

	int fd;               /* sockets, else -1 */
	uint32_t waiting_for; /* EPOLL* */
	char ahead[1024];     /* read from the socket in one call, and not looked at yet: */
	size_t ahead_at, ahead_end;

	struct store_ring ring; /* page NULL: a socket */
	enum { MAP_NONE, MAP_GRANT, MAP_FOREIGN, MAP_KERNEL } mapped;
	uint32_t remote_port;
	int port;
	bool notify; /* the ring's indices have moved */

	unsigned int debt; /* work of its last turns beyond what a turn may cost */
	guint held;        /* timer: no requests are taken until then */
	guint held_ms;     /* how long, the last time */
	gint64 held_until; /* when that was over, g_get_monotonic_time() */
};

struct transport *transport_new(struct io *io, struct conn *c);
void transport_free(struct transport *t);
/* Has the transport's work done soon. */
void transport_queue(struct transport *t);
/* Does all queued work that is there now. */
void io_run(struct io *io);

struct host *io_host(struct io *io);

#endif
