/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log files written by threads of their own: the kernel may block a write for as long as a disk takes, and a
 * guest whose ring nobody empties spins. A file that does not answer keeps its own thread waiting, and no other file.
 *
 * Whoever has something to log hands it over and goes on. What waits is bounded for each log; beyond that the
 * newest is dropped and counted, and the log says how much when it goes on. Threads are bounded, too, and so are logs that
 * have been ended and wait.
 */
#ifndef XENCONSOLED_LOGWRITER_H
#define XENCONSOLED_LOGWRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output.h"

struct logwriter;
struct log;

struct logwriter *logwriter_new(void);
/* Waits for what is still to be written, but not longer than that; false: the disk does not take it, and the
 * threads are left to the end of the process. */
bool logwriter_free(struct logwriter *w, int64_t at_most_us);

/* The file is opened by a thread, which also reports what goes wrong. limits stay the caller's. At most
 * waiting_max bytes wait. */
struct log *log_new(struct logwriter *w, const char *path, const struct log_limits *limits,
                    size_t waiting_max);
/* Never waits. l may be NULL: no log is kept. */
void log_put(struct log *l, const char *bytes, size_t n);
/* Never waits: a thread closes the file behind what is still to be written. */
void log_end(struct log *l);

/* DIR/guest-NAME.log, whatever the name: it is no path, no way to fake a line, and not too long for a file. */
char *log_path(const char *dir, const char *name);

#endif
