/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenctl: a person's way to xylemd's socket, and facts of the hypervisor.
 * Each command is a function that prints its own error and returns the exit status: 0, 1 (it failed), 2
 * (wrong usage).
 */
#ifndef XENCTL_H
#define XENCTL_H

#include <gio/gio.h>

#include "xenctrl.h"
#include "xylemd1.h"

#define EXIT_USAGE 2

struct context {
	struct xyl *xen;   /* opened when first wanted */
	XdXylemd1 *daemon; /* likewise */
	const char *socket_path;
	char *id; /* of the last find_guest() */
};

/* NULL after printing why. */
struct xyl *context_xen(struct context *ctx);
XdXylemd1 *context_daemon(struct context *ctx);

/* All domains, as xylemd's List gives them. False after printing why; where xylemd does not answer the program ends. */
gboolean list_domains(struct context *ctx, GVariant **domains);

/* Prints "xenctl: ..." to standard error and returns 1. */
int fail(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* The same for a GError, without D-Bus' decoration; frees it. */
int fail_error(GError *error);

/* The domain that is meant: a number, or a name, or a UUID. False after printing why. */
gboolean find_domain(struct context *ctx, const char *text, guint *domid);

/*
 * The same for xylemd's calls: *id is what names it there, its UUID, or its number when others made it; *ours (or NULL):
 * whether xylemd made it. Valid until the next call.
 */
gboolean find_guest(struct context *ctx, const char *text, const char **id, gboolean *ours);

int cmd_list(struct context *ctx, int argc, char **argv);
int cmd_get(struct context *ctx, int argc, char **argv);
int cmd_create(struct context *ctx, int argc, char **argv);
int cmd_destroy(struct context *ctx, int argc, char **argv);
int cmd_shutdown(struct context *ctx, int argc, char **argv);
int cmd_reboot(struct context *ctx, int argc, char **argv);
int cmd_attach(struct context *ctx, int argc, char **argv);
int cmd_detach(struct context *ctx, int argc, char **argv);
int cmd_memory(struct context *ctx, int argc, char **argv);
int cmd_vcpus(struct context *ctx, int argc, char **argv);
int cmd_link(struct context *ctx, int argc, char **argv);
int cmd_events(struct context *ctx, int argc, char **argv);
int cmd_console(struct context *ctx, int argc, char **argv);

int cmd_save(struct context *ctx, int argc, char **argv);
int cmd_resume(struct context *ctx, int argc, char **argv);
int cmd_restore(struct context *ctx, int argc, char **argv);

int cmd_info(struct context *ctx, int argc, char **argv);
int cmd_dmesg(struct context *ctx, int argc, char **argv);
int cmd_vcpu_list(struct context *ctx, int argc, char **argv);
int cmd_pause(struct context *ctx, int argc, char **argv);
int cmd_unpause(struct context *ctx, int argc, char **argv);
int cmd_pin(struct context *ctx, int argc, char **argv);
int cmd_sched(struct context *ctx, int argc, char **argv);
int cmd_debug_keys(struct context *ctx, int argc, char **argv);

#endif
