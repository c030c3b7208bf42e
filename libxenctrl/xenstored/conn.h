/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection: input, output, what it holds. */
#ifndef XENSTORED_CONN_H
#define XENSTORED_CONN_H

#include "store.h"

static inline bool conn_privileged(const struct conn *c)
{
	return c->dom->domid == 0;
}

struct conn *conn_new(struct store *s, struct domain *d, bool is_socket, const char *name, void *io);
void conn_free(struct conn *c);
/* Drops watches, transactions, partial input and unsent output. */
void conn_reset(struct conn *c);
/* Warns of what the client did, in a sentence that begins with its name; a few times for each connection,
 * since a client decides how often it happens. */
void conn_complain(struct conn *c, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Where the next input bytes go and how many are wanted (at least 1). */
size_t conn_input_want(struct conn *c, char **where);
/* n bytes were put there; processes the message when it is complete. EPROTO: the connection is beyond repair. */
int conn_input_got(struct conn *c, size_t n);
/* False while its owner must read replies before more requests are taken. */
bool conn_may_process(const struct conn *c);
size_t conn_output(struct conn *c, struct iovec *iov, size_t max);
void conn_output_done(struct conn *c, size_t bytes);
struct message *conn_message(struct conn *c, uint32_t type, uint32_t req_id, uint32_t tx_id, const void *data,
                             uint32_t len);
void conn_unqueue(struct conn *c, struct message *m);

#endif
