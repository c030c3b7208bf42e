/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's machine protocol, for a QEMU that may be hung or in a guest's hands: each conversation has a time by which it is
 * over, and no line is longer or deeper than what we ask for can take. It waits, so it belongs on an operation's thread.
 *
 * A conversation is one connection. QEMU talks to one client at a time; a second one waits for the first.
 */
#ifndef XYLEMD_QMP_H
#define XYLEMD_QMP_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#define QMP_LINE_MAX  (64 * 1024) /* bytes */
#define QMP_DEPTH_MAX 16
#define QMP_WAIT_MS   5000 /* for what QEMU answers at once */

struct qmp;

/* what names the guest in messages. Stops when *cancelled is not 0. Errors: XD_ERROR_TIMEOUT, XD_ERROR_DEVICE. */
struct qmp *qmp_open(const char *path, const char *what, int timeout_ms, const gint *cancelled,
                     GError **error);
void qmp_close(struct qmp *qmp);
/* What QEMU is to write to, a memfd that may be sealed: while a command is waited for it grows beyond so many bytes by what is
 * written in a few ms, and the command fails then. */
void qmp_limit(struct qmp *qmp, int memory, goffset max_bytes);
/*
 * One command. Takes arguments, which may be NULL; fd goes with it, or -1. The answer, when it is wanted, is what QEMU
 * returned, to be freed with json_node_unref(). Errors: those of qmp_open(), and XD_ERROR_DEVICE with QEMU's own words.
 */
bool qmp_call(struct qmp *qmp, const char *command, JsonObject *arguments, int fd, JsonNode **answer,
              GError **error);

/* Whether brackets of a JSON text nest so little that it can be parsed; pure. */
bool qmp_is_shallow(const char *text, gsize bytes);

#endif
