/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A screen's process is started: what it is given, and what it cannot do. */
#ifndef XYLEMD_SCREEN_SPAWN_H
#define XYLEMD_SCREEN_SPAWN_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct screen_spawn {
	char *const *argv; /* argv[0] is the program's path */
	int log;           /* its standard output and error */
	int lock;          /* becomes its descriptor 3, which it can only read */
	bool images;       /* it is for disks: files that it writes may have any size */
	int number;        /* its number is written there before it runs; it does not get this */
};

/* Starts it; *pidfd is a descriptor of it. Errors: XD_ERROR_DEVICE. */
bool screen_spawn(const struct screen_spawn *spawn, pid_t *pid, int *pidfd, GError **error);
/* A descriptor of the process, or -1. */
int screen_pidfd_open(pid_t pid);
/* Whether the process ended within that time. */
bool screen_pidfd_ended(int pidfd, int timeout_ms);

#endif
