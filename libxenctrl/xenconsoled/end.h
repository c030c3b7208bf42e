/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a guest's console ends in dom0: a pseudo-terminal, a file, or a socket with one client at a time.
 *
 * Nothing here waits for anybody. What a client sent before it went waits for the guest, up to 256 KiB, and goes before
 * what the next one sends. Of what nobody takes the newest 64 KiB are kept. An end that is reliable keeps nothing
 * for a client that is to come, and loses nothing for one that is there: end_takes() says when it may be given more.
 * A file is written as a log is, by the threads of logwriter.c and with the limits of logs.
 */
#ifndef XENCONSOLED_END_H
#define XENCONSOLED_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logwriter.h"

enum end_kind {
	END_PTY,
	END_FILE,
	END_UNIX,
	END_TCP,
};

struct end_conf {
	enum end_kind kind;
	const char *path;           /* file, UNIX socket */
	const char *host, *service; /* TCP: in figures */
	bool listens;               /* sockets: otherwise it connects, again and again until it succeeds */
	bool reliable;              /* sockets */
};

/* What the end asks of its owner; each gets the owner's data. */
struct end_owner {
	size_t (*room)(void *data); /* how many bytes of input are taken at present */
	void (*input)(void *data, const char *bytes, size_t n);
	void (*takes)(void *data);  /* end_takes() has become true */
	void (*stands)(void *data); /* it listens, which it could not until now */
};

struct end;

/* what: names the console in messages; all texts are copied. */
struct end *end_new(const struct end_conf *conf, uint32_t domid, const char *what, struct logwriter *writer,
                    const struct log_limits *limits, const struct end_owner *owner, void *data);
void end_free(struct end *e);
/* Why it does not stand, or NULL. A socket is tried again each second meanwhile. */
const char *end_error(const struct end *e);
/* Whether that is because somebody else listens there, who may let go. */
bool end_is_taken(const struct end *e);
/* The guest's output. */
void end_put(struct end *e, const char *bytes, size_t n);
bool end_takes(const struct end *e);
/* The owner may have room for input again. */
void end_input_wanted(struct end *e);
/* The pseudo-terminal's name, or NULL; *locked: whether it carries the mark of xyl_console_lock(). */
const char *end_tty(const struct end *e, bool *locked);

#endif
