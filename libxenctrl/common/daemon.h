/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the small daemons share: logging, pid file, going into the background, telling systemd. */
#ifndef XYLEM_DAEMON_H
#define XYLEM_DAEMON_H

#include <stdbool.h>
#include <syslog.h>

/* Logs to stderr in the foreground, else to syslog under name. Verbose lets LOG_DEBUG pass. */
void daemon_log_open(const char *name, bool foreground, bool verbose);
void daemon_log(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Forks into the background. The parent stays until daemon_ready() or the child's death, and exits with 0 or
 * 1, so that whoever started the daemon knows. Does nothing in the foreground. Returns 0 or an errno value.
 */
int daemon_background(bool foreground);

/* Writes the pid file (path may be NULL) and reports success to the parent and to systemd. */
int daemon_ready(const char *pid_file);

/* Takes the pid file away again and notifies systemd that we stop. */
void daemon_done(const char *pid_file);

#endif
