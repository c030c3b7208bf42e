/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections: input is assembled here byte by byte, output waits here until the transport takes it.
 *
 * Bounds: one request at a time; requests are taken only while few replies wait (conn_may_process), watch
 * events are merged by watch.c. The transport must not free the connection while it is inside
 * conn_input_got().
 */
#include "conn.h"
#include "domain.h"
#include "request.h"
#include "store.h"
#include "tree.h"
#include "view.h"
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

struct conn *conn_new(struct store *s, struct domain *d, bool is_socket, const char *name, void *io)
{
	struct conn *c = g_new0(struct conn, 1);

	c->store = s;
	c->dom = d;
	c->is_socket = is_socket;
	c->name = g_strdup(name);
	c->io = io;
	c->txns = g_hash_table_new(NULL, NULL);
	return c;
}

void conn_reset(struct conn *c)
{
	txn_abort_all(c);
	watch_remove_all(c);
	while (c->out_first)
		conn_unqueue(c, c->out_first);
	c->in_have = 0;
}

void conn_free(struct conn *c)
{
	conn_reset(c);
	g_hash_table_destroy(c->txns);
	g_free(c->name);
	g_free(c);
}

#define COMPLAINTS_MAX 10

static char *describe(const struct conn *c)
{
	g_autofree char *path = g_strdup_printf("/local/domain/%u/name", c->dom->domid);
	struct node *n = c->dom->domid ? tree_find(c->store, path) : NULL;
	const struct content *name = n ? n->content : NULL;

	/* The name may be the guest's own writing: only what it can do no harm with goes to the log. */
	if (!name || !name->value_len)
		return g_strdup(c->name);
	g_autofree char *text = g_strndup(content_value(name), MIN(name->value_len, 64));
	g_strcanon(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_.+:", '?');
	return g_strdup_printf("%s (%s)", c->name, text);
}

void conn_complain(struct conn *c, const char *fmt, ...)
{
	g_autofree char *who = NULL, *text = NULL;
	va_list ap;

	if (c->complaints >= COMPLAINTS_MAX)
		return;
	c->complaints++;
	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	who = describe(c);
	store_log(c->store, LOG_WARNING, "%s: %s%s", who, text,
	          c->complaints == COMPLAINTS_MAX ? " (no more is said about it)" : "");
}

size_t conn_input_want(struct conn *c, char **where)
{
	if (c->in_have < sizeof(c->in_hdr)) {
		*where = (char *)&c->in_hdr + c->in_have;
		return sizeof(c->in_hdr) - c->in_have;
	}
	*where = c->in + (c->in_have - sizeof(c->in_hdr));
	return sizeof(c->in_hdr) + c->in_hdr.len - c->in_have;
}

int conn_input_got(struct conn *c, size_t n)
{
	c->in_have += n;
	if (c->in_have < sizeof(c->in_hdr))
		return 0;
	if (c->in_hdr.len > XENSTORE_PAYLOAD_MAX) {
		conn_complain(c, "a request of %u bytes exceeds the protocol's limit", c->in_hdr.len);
		return EPROTO;
	}
	if (c->in_have < sizeof(c->in_hdr) + c->in_hdr.len)
		return 0;
	c->in[c->in_hdr.len] = '\0';
	c->in_have = 0;
	request_process(c, &c->in_hdr, c->in);
	return 0;
}

bool conn_may_process(const struct conn *c)
{
	return !c->broken && c->reply_count < (conn_privileged(c) ? DOM0_REPLIES : c->store->quotas.replies);
}

size_t conn_output(struct conn *c, struct iovec *iov, size_t max)
{
	size_t n = 0;

	for (struct message *m = c->out_first; m && n < max; m = m->next, n++) {
		iov[n].iov_base = m->data + m->sent;
		iov[n].iov_len = m->len - m->sent;
	}
	return n;
}

void conn_output_done(struct conn *c, size_t bytes)
{
	while (bytes) {
		struct message *m = c->out_first;
		size_t n = MIN(bytes, (size_t)(m->len - m->sent));

		watch_event_begun(m);
		m->sent += n;
		bytes -= n;
		if (m->sent == m->len)
			conn_unqueue(c, m);
	}
}

struct message *conn_message(struct conn *c, uint32_t type, uint32_t req_id, uint32_t tx_id, const void *data,
                             uint32_t len)
{
	struct xsd_sockmsg hdr = { .type = type, .req_id = req_id, .tx_id = tx_id, .len = len };
	struct message *m = g_malloc(sizeof(*m) + sizeof(hdr) + len);
	bool was_empty = !c->out_first;

	memset(m, 0, sizeof(*m));
	m->len = sizeof(hdr) + len;
	m->event = type == XS_WATCH_EVENT;
	memcpy(m->data, &hdr, sizeof(hdr));
	if (data)
		memcpy(m->data + sizeof(hdr), data, len);
	m->prev = c->out_last;
	if (c->out_last)
		c->out_last->next = m;
	else
		c->out_first = m;
	c->out_last = m;
	if (m->event)
		c->event_count++;
	else
		c->reply_count++;
	if (was_empty)
		c->store->host->output_ready(c->store->host->arg, c);
	return m;
}

void conn_unqueue(struct conn *c, struct message *m)
{
	watch_event_begun(m);
	if (m->prev)
		m->prev->next = m->next;
	else
		c->out_first = m->next;
	if (m->next)
		m->next->prev = m->prev;
	else
		c->out_last = m->prev;
	if (m->event)
		c->event_count--;
	else
		c->reply_count--;
	g_free(m);
}
