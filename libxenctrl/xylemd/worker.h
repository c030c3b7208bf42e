/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel worker: a process for each kernel of a guest that unpacks and checks it, confined by seccomp to computing, its
 * memory and one socket. A kernel that breaks it costs an error message, and one that takes it over finds no other guest's there.
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

struct worker;
/* Its processes are started from the executable at `program` (this program: /proc/self/exe). */
struct worker *worker_new(const char *program);
/* Nobody waits for a kernel any more. */
void worker_free(struct worker *worker);
/* Reads the kernel at path and has it unpacked. Where as many kernels are at work as there may be, callers wait in line, as long as
 * image_may_wait() says. Errors: XD_ERROR_KERNEL, XD_ERROR_NO_MEMORY, XD_ERROR_TIMEOUT, XD_ERROR_INTERNAL. */
gboolean worker_unpack(struct worker *worker, const char *path, const char *guest, struct image *image,
                       GError **error);

/* The process's own side: serves one request of WORKER_SOCKET_FD. Returns the exit status. */
int worker_main(void);

#endif
