/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the tests of xenstored's core: a store without a world around it, and a client that speaks the protocol. */
#ifndef XENSTORED_UTIL_H
#define XENSTORED_UTIL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../libxenctrl/xenstored/store.h"
#include "../../libxenctrl/xenstored/conn.h"
#include "../../libxenctrl/xenstored/domain.h"
#include "../lib/tap.h"

static inline void ok(bool good, const char *what)
{
	tap_ok(good, "%s", what);
}

static unsigned int fake_dead_domid = 9; /* the hypervisor knows every domain but this one */
static unsigned int fake_releases;

static inline bool fake_exists(void *arg, uint16_t domid)
{
	(void)arg;
	return domid != fake_dead_domid;
}

static inline int fake_introduce(void *arg, struct conn *c, uint16_t domid, uint64_t gfn, uint32_t port)
{
	(void)arg, (void)c, (void)domid, (void)gfn;
	return port == 666 ? EINVAL : 0;
}

static inline void fake_release(void *arg, struct conn *c)
{
	(void)arg, (void)c;
	fake_releases++;
}

static inline void fake_output(void *arg, struct conn *c)
{
	(void)arg, (void)c;
}

static unsigned int fake_conflicts;
static struct conn *fake_culprit;

static inline void fake_conflict(void *arg, struct conn *c)
{
	(void)arg;
	fake_conflicts++;
	fake_culprit = c;
}

static unsigned int fake_log_lines;
static char fake_log_last[512];

static inline void fake_log(void *arg, int priority, const char *text)
{
	(void)arg, (void)priority;
	fake_log_lines++;
	g_strlcpy(fake_log_last, text, sizeof(fake_log_last));
}

static const struct store_host fake_host = { fake_exists,   fake_introduce, fake_release, fake_output,
	                                     fake_conflict, fake_log,       NULL };

/* Gives bytes to the connection as a transport would, at most step at a time; the protocol's verdict. */
static inline int feed(struct conn *c, const void *bytes, size_t len, size_t step)
{
	const char *at = bytes;

	while (len) {
		char *where;
		size_t want = conn_input_want(c, &where);
		size_t n = MIN(MIN(want, len), step);
		int err;

		memcpy(where, at, n);
		at += n;
		len -= n;
		err = conn_input_got(c, n);
		if (err)
			return err;
	}
	return 0;
}

struct answer {
	uint32_t type, req_id, tx_id, len;
	char data[XENSTORE_PAYLOAD_MAX + 1];
};

/* Takes the next message out of the connection's queue, or returns false. */
static inline bool take(struct conn *c, struct answer *a)
{
	char raw[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
	struct message *m = c->out_first;
	struct xsd_sockmsg hdr;
	size_t len;

	if (!m)
		return false;
	len = m->len;
	memcpy(raw, m->data, len);
	conn_output_done(c, len - m->sent);
	memcpy(&hdr, raw, sizeof(hdr));
	a->type = hdr.type;
	a->req_id = hdr.req_id;
	a->tx_id = hdr.tx_id;
	a->len = hdr.len;
	memcpy(a->data, raw + sizeof(hdr), hdr.len);
	a->data[hdr.len] = '\0';
	return true;
}

static inline void drain(struct conn *c)
{
	while (c->out_first)
		conn_output_done(c, c->out_first->len - c->out_first->sent);
}

/* One request whose answer is the next reply; events before it stay out of the way (they are dropped). */
static inline void call(struct conn *c, uint32_t type, uint32_t tx, const void *data, size_t len,
                        struct answer *a)
{
	static uint32_t req_id = 100;
	struct xsd_sockmsg hdr = { .type = type, .req_id = ++req_id, .tx_id = tx, .len = len };

	feed(c, &hdr, sizeof(hdr), sizeof(hdr));
	if (len)
		feed(c, data, len, len);
	memset(a, 0, sizeof(*a));
	while (take(c, a))
		if (a->type != XS_WATCH_EVENT)
			return;
	a->type = XS_INVALID;
}

/* As call, the payload a string with its NUL; returns an errno value by the reply's name. */
static inline int calls(struct conn *c, uint32_t type, uint32_t tx, const char *text, struct answer *a)
{
	call(c, type, tx, text, strlen(text) + 1, a);
	if (a->type != XS_ERROR)
		return a->type == type ? 0 : -1;
	for (size_t i = 0; i < G_N_ELEMENTS(xsd_errors); i++)
		if (!strcmp(a->data, xsd_errors[i].errstring))
			return xsd_errors[i].errnum;
	return -1;
}

/* Payloads of several strings: '|' stands for NUL, as in the protocol's description. */
static inline int callb(struct conn *c, uint32_t type, uint32_t tx, const char *text, struct answer *a)
{
	char data[XENSTORE_PAYLOAD_MAX + 1];
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		data[i] = text[i] == '|' ? '\0' : text[i];
	call(c, type, tx, data, len, a);
	if (a->type != XS_ERROR)
		return a->type == type ? 0 : -1;
	for (size_t i = 0; i < G_N_ELEMENTS(xsd_errors); i++)
		if (!strcmp(a->data, xsd_errors[i].errstring))
			return xsd_errors[i].errnum;
	return -1;
}

static inline uint32_t begin(struct conn *c)
{
	struct answer a;

	calls(c, XS_TRANSACTION_START, 0, "", &a);
	return strtoul(a.data, NULL, 10);
}

/* Introduces a domain and returns its connection. */
static inline struct conn *guest(struct store *s, unsigned int domid)
{
	if (domain_introduce(s, domid, 1, 1))
		return NULL;
	return domain_find(s, domid)->conn;
}

static inline void guest_home(struct conn *tools, unsigned int domid)
{
	char text[96];
	struct answer a;

	snprintf(text, sizeof(text), "/local/domain/%u|", domid);
	callb(tools, XS_WRITE, 0, text, &a);
	snprintf(text, sizeof(text), "/local/domain/%u|n%u|", domid, domid);
	callb(tools, XS_SET_PERMS, 0, text, &a);
}

#endif
