/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel worker: a few processes that unpack and check guests' kernels, one at a time each, confined by seccomp to
 * computing, their memory and one socket. A kernel that breaks one costs an error message; the next kernel gets
 * a new one.
 *
 * Files reach it as sealed memfds (never as file names or as open files, whose disk might be dead or whose
 * end might be cut off), and the unpacked kernel comes back in a memfd that is sealed before it is read.
 */
#ifndef XYLEMD_WORKER_H
#define XYLEMD_WORKER_H

#include <glib.h>

#include "image.h"

#define WORKER_ARGUMENT           "--kernel-worker"
#define WORKER_SOCKET_FD          3
#define WORKER_MAX_UNPACKED_BYTES (UINT64_C(512) << 20)

/* How long a worker that has nothing to do is kept: a kernel that it was made to unpack may have taken it over. */
#define WORKER_REST_US (60 * G_USEC_PER_SEC)

struct worker;
/* Starts the process from the executable at `program` (this program: /proc/self/exe). */
struct worker *worker_new(const char *program);
void worker_free(struct worker *worker);
/* Reads the kernel at path and has it unpacked. Callers wait while as many kernels are at work as there may be. Errors: XD_ERROR_KERNEL,
 * XD_ERROR_INTERNAL. */
gboolean worker_unpack(struct worker *worker, const char *path, const char *guest, struct image *image,
                       GError **error);

/* Ends the processes that have had nothing to do for rest_us. Does not wait. True when there is none now. */
gboolean worker_rest(struct worker *worker, gint64 rest_us);

/* The process's own side: serves WORKER_SOCKET_FD until it closes. Returns the exit status. */
int worker_main(void);

#endif
