/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that take a guest to a file and back. */
#include "xenctl.h"
#include "guestfile.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A list with this descriptor, which it takes. */
static GUnixFDList *list_of(int fd)
{
	return g_unix_fd_list_new_from_array(&fd, 1);
}

static int sync_folder(const char *path)
{
	g_autofree char *folder = g_path_get_dirname(path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* A file that is complete is durable before the guest goes, or goes on; one that is not is removed. */
static int finish(struct context *ctx, const char *id, int fd, const char *path, bool goes_on)
{
	GError *error = NULL;
	int rc = 0;

	if (fsync(fd) < 0 || sync_folder(path) < 0) {
		rc = fail("%s: %s", path, g_strerror(errno));
		unlink(path);
		goes_on = true;
	}
	if (goes_on ? !xd_xylemd1_call_resume_sync(ctx->daemon, id, NULL, &error)
	            : !xd_xylemd1_call_destroy_sync(ctx->daemon, id, NULL, &error))
		rc = fail_error(error);
	return rc;
}

/* The options before the last two arguments. */
static bool save_options(int argc, char **argv, guint *flags, bool *goes_on)
{
	*flags = 0;
	*goes_on = false;
	for (int i = 0; i < argc - 2; i++)
		if (!strcmp(argv[i], "--live"))
			*flags = 1;
		else if (!strcmp(argv[i], "--checkpoint"))
			*goes_on = true;
		else
			return false;
	return true;
}

int cmd_save(struct context *ctx, int argc, char **argv)
{
	const char *path = argv[argc - 1], *id;
	g_autoptr(GUnixFDList) fds = NULL;
	GError *error = NULL;
	int fd, copy, rc;
	bool goes_on;
	guint flags;

	if (!save_options(argc, argv, &flags, &goes_on)) {
		fprintf(stderr, "usage: xenctl save [--live] [--checkpoint] DOMAIN FILE\n");
		return EXIT_USAGE;
	}
	if (!find_guest(ctx, argv[argc - 2], &id, NULL))
		return 1;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail("%s: %s", path, g_strerror(errno));
	copy = dup(fd);
	if (copy < 0) {
		unlink(path);
		close(fd);
		return fail("%s: %s", path, g_strerror(errno));
	}
	fds = list_of(copy);
	if (!xd_xylemd1_call_save_sync(ctx->daemon, id, g_variant_new_handle(0), flags, fds, NULL, NULL,
	                               &error)) {
		unlink(path);
		rc = fail_error(error);
	} else {
		rc = finish(ctx, id, fd, path, goes_on);
	}
	close(fd);
	return rc;
}

int cmd_resume(struct context *ctx, int argc, char **argv)
{
	GError *error = NULL;
	const char *id;

	(void)argc;
	if (!find_guest(ctx, argv[0], &id, NULL))
		return 1;
	if (!xd_xylemd1_call_resume_sync(ctx->daemon, id, NULL, &error))
		return fail_error(error);
	return 0;
}

int cmd_restore(struct context *ctx, int argc, char **argv)
{
	gboolean paused = argc == 3 && !strcmp(argv[0], "-p");
	g_autoptr(GUnixFDList) fds = NULL;
	g_autoptr(GVariant) guest = NULL;
	GError *error = NULL;
	guint domid;
	int fd;

	if (argc == 3 && !paused) {
		fprintf(stderr, "usage: xenctl restore [-p] FILE DESCRIPTION\n");
		return EXIT_USAGE;
	}
	guest = guestfile_read(argv[argc - 1], &error);
	if (!guest)
		return fail_error(error);
	fd = open(argv[argc - 2], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail("%s: %s", argv[argc - 2], g_strerror(errno));
	fds = list_of(fd);
	if (!context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_restore_sync(ctx->daemon, guest, g_variant_new_handle(0), paused ? 1 : 0, fds,
	                                  &domid, NULL, NULL, NULL, &error))
		return fail_error(error);
	printf("%u\n", domid);
	return 0;
}
