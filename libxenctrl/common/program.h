/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The course of a small daemon: options, background, start, main loop until a signal, end. */
#ifndef XYLEM_DAEMON_PROGRAM_H
#define XYLEM_DAEMON_PROGRAM_H

#include <glib.h>
#include <stdbool.h>

struct daemon_program {
	const char *name;
	const char *summary;
	const GOptionEntry *options; /* its own; those of all daemons are added */
	/* Another name for --foreground, and its letter, by which Xen's own daemon knows it. */
	const char *foreground;
	char foreground_letter;
	bool (*start)(void *data); /* false after it has logged why */
	void (*stop)(void *data);
};

/* The program's exit status. */
int daemon_program_run(const struct daemon_program *p, void *data, int argc, char **argv);

#endif
