/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xylemd's use of xenstore: a guest's nodes in one transaction, and waiting for backends.
 *
 * Waiting watches one state node; the callback runs in the main context and only wakes, the waiting thread
 * reads the state itself.
 */
#ifndef XYLEMD_STOREIO_H
#define XYLEMD_STOREIO_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "xenctrl.h"

/* enum xenbus_state of xen/io/xenbus.h, and one for a node that is gone. */
enum backend_state {
	BACKEND_GONE = 0, /* also XenbusStateUnknown */
	BACKEND_INITIALISING = 1,
	BACKEND_INIT_WAIT = 2,
	BACKEND_INITIALISED = 3,
	BACKEND_CONNECTED = 4,
	BACKEND_CLOSING = 5,
	BACKEND_CLOSED = 6,
	BACKEND_UNREAD = 7, /* the store does not tell */
};

struct storeio;

/* Connects; XD_ERROR_STORE when there is no xenstored. */
struct storeio *storeio_open(GError **error);
void storeio_close(struct storeio *io);
struct xyl_store *storeio_store(struct storeio *io);

/* Writes all nodes of a layout (struct layout_node) in one transaction. `what` names the guest in the error. */
bool storeio_write(struct storeio *io, const GArray *nodes, uint32_t domid, const char *what, GError **error);
/* Removes the NULL-terminated paths, in one transaction if they are several; missing ones are no error. */
bool storeio_remove(struct storeio *io, const char *const *paths, const char *what, GError **error);
/* Writes path/leaf = value for pairs of a NULL-terminated list (path, value, path, value ...), one transaction. */
bool storeio_set(struct storeio *io, const char *what, GError **error, ...) G_GNUC_NULL_TERMINATED;

/* The state in dir/state; BACKEND_GONE when there is none or it is no number of 0..6, BACKEND_UNREAD when the store fails. */
enum backend_state storeio_backend_state(struct storeio *io, const char *dir);
/*
 * Waits until the state of the backend in dir is one of the bits in `wanted` (1u << state), `cancelled` (or
 * NULL) becomes non-zero (call storeio_wake() after setting it), or timeout_ms have passed. Returns the last
 * state seen; the caller looks whether it is a wanted one.
 */
enum backend_state storeio_wait(struct storeio *io, const char *dir, unsigned wanted, int timeout_ms,
                                const gint *cancelled);
void storeio_wake(struct storeio *io);
/* What a backend wrote about its failure, or NULL; free with g_free(). */
char *storeio_backend_error(struct storeio *io, const char *dir);

#endif
