/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: the connection to xenstored under store.c. */
#ifndef XYLEM_LIBXENCTRL_STORE_CONN_H
#define XYLEM_LIBXENCTRL_STORE_CONN_H

#include "private.h"
#include <xen/io/xs_wire.h>

/* A part of a request's payload. */
struct store_part {
	const void *data;
	size_t bytes;
};

/*
 * Sends a request and waits. *reply (or NULL when only success matters) is NUL-terminated, to be freed with
 * free(). Returns 0, or -1 with errno and the message "xenstore: cannot WHAT SUBJECT: ...".
 */
XYL_HIDDEN int store_call(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts,
                          unsigned count, char **reply, size_t *reply_bytes, const char *what,
                          const char *subject);
/*
 * As store_call within a transaction, without waiting for an answer that does not matter: an error is
 * reported by the next of these calls or by store_end.
 */
XYL_HIDDEN int store_defer(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts,
                           unsigned count, const char *what, const char *subject);
/* Sends a request whose answer goes to done in the main context; done may be NULL: nobody cares. */
XYL_HIDDEN int store_send(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts,
                          unsigned count, xyl_store_done_fn *done, void *data);
/* Begins a transaction; its handle names the connection on which it was begun. */
XYL_HIDDEN int store_begin(struct xyl_store *s, xyl_tx *tx);
/* Waits for what was deferred, then ends the transaction; aborts it when any of that failed. */
XYL_HIDDEN int store_end(struct xyl_store *s, xyl_tx tx, bool commit);

#endif
