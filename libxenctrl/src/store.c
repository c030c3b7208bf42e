/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls of the xenstore protocol over the connection of store_conn.c. Source: xen/io/xs_wire.h,
 * docs/misc/xenstore.txt of Xen. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_conn.h"

#define TRANSACTION_TRIES 1000
#define NUMBER_ROOM       24

static struct store_part text(const char *s)
{
	return (struct store_part){ s, strlen(s) + 1 };
}

/* A call with one path and an answer that does not matter. */
static int path_call(struct xyl_store *s, uint32_t type, xyl_tx tx, const char *path, const char *what)
{
	struct store_part parts[] = { text(path) };

	/* rm is waited for: a missing node may be no error to its caller */
	if (tx != XYL_TX_NONE && type == XS_MKDIR)
		return store_defer(s, type, tx, parts, 1, what, path);
	return store_call(s, type, tx, parts, 1, NULL, NULL, what, path);
}

char *xyl_store_read(struct xyl_store *s, xyl_tx tx, const char *path, size_t *bytes)
{
	struct store_part parts[] = { text(path) };
	char *value;

	return store_call(s, XS_READ, tx, parts, 1, &value, bytes, "read", path) < 0 ? NULL : value;
}

char *xyl_store_readf(struct xyl_store *s, xyl_tx tx, const char *format, ...)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		xyl_fail(EINVAL, "xenstore: cannot read a path of %d characters", n);
		return NULL;
	}
	return xyl_store_read(s, tx, path, NULL);
}

int xyl_store_write(struct xyl_store *s, xyl_tx tx, const char *path, const void *value, size_t bytes)
{
	struct store_part parts[] = { text(path), { value, bytes } };

	if (tx != XYL_TX_NONE)
		return store_defer(s, XS_WRITE, tx, parts, 2, "write", path);
	return store_call(s, XS_WRITE, tx, parts, 2, NULL, NULL, "write", path);
}

int xyl_store_printf(struct xyl_store *s, xyl_tx tx, const char *path, const char *format, ...)
{
	char value[XENSTORE_PAYLOAD_MAX];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(value, sizeof(value), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(value))
		return xyl_fail(E2BIG, "xenstore: cannot write %s", path);
	return xyl_store_write(s, tx, path, value, (size_t)n);
}

int xyl_store_mkdir(struct xyl_store *s, xyl_tx tx, const char *path)
{
	return path_call(s, XS_MKDIR, tx, path, "make");
}

int xyl_store_rm(struct xyl_store *s, xyl_tx tx, const char *path)
{
	return path_call(s, XS_RM, tx, path, "remove");
}

/* Turns "a\0b\0" into a NULL-terminated array within one block. */
static char **split(const char *names, size_t bytes, size_t *count)
{
	size_t n = 0, i = 0;
	char **list, *copy;

	for (size_t at = 0; at < bytes; at++)
		n += names[at] == '\0';
	list = malloc((n + 1) * sizeof(*list) + bytes + 1);
	if (!list)
		return NULL;
	copy = (char *)(list + n + 1);
	memcpy(copy, names, bytes);
	copy[bytes] = '\0';
	for (size_t at = 0; i < n; at += strlen(copy + at) + 1)
		list[i++] = copy + at;
	list[n] = NULL;
	if (count)
		*count = n;
	return list;
}

/*
 * A directory that does not fit into one message comes in pieces "generation\0name\0name\0"; the last piece
 * ends in an empty name. A changed generation means that the list changed between two pieces: begin again.
 */
/* Whoever may write there could keep a reader busy for ever. */
#define CHANGES_MAX 100u

static int directory_parts(struct xyl_store *s, xyl_tx tx, const char *path, char **names, size_t *bytes)
{
	char offset[NUMBER_ROOM], generation[NUMBER_ROOM] = "";
	char *all = NULL;
	size_t have = 0;
	unsigned changes = 0;

	for (;;) {
		struct store_part parts[2] = { text(path), { offset, 0 } };
		char *reply, *larger, *piece;
		size_t n, skip;
		bool last;

		parts[1].bytes = (size_t)snprintf(offset, sizeof(offset), "%zu", have) + 1;
		if (store_call(s, XS_DIRECTORY_PART, tx, parts, 2, &reply, &n, "list", path) < 0) {
			free(all);
			return -1;
		}
		skip = strlen(reply) + 1;
		piece = reply + (skip < n ? skip : n);
		n = skip < n ? n - skip : 0;
		if (have && strncmp(generation, reply, sizeof(generation) - 1) != 0) {
			have = 0;
			generation[0] = '\0';
			free(reply);
			if (++changes < CHANGES_MAX)
				continue;
			free(all);
			return xyl_fail(EAGAIN, "xenstore: cannot list %s: it has changed %u times meanwhile",
			                path, changes);
		}
		snprintf(generation, sizeof(generation), "%.*s", (int)sizeof(generation) - 1, reply);
		last = !n || (piece[n - 1] == '\0' && (n == 1 || piece[n - 2] == '\0'));
		if (last && n)
			n--;
		larger = realloc(all, have + n + 1);
		if (!larger) {
			free(all);
			free(reply);
			return xyl_fail(ENOMEM, "xenstore: cannot list %s", path);
		}
		all = larger;
		memcpy(all + have, piece, n);
		have += n;
		free(reply);
		if (last)
			break;
	}
	*names = all;
	*bytes = have;
	return 0;
}

char **xyl_store_directory(struct xyl_store *s, xyl_tx tx, const char *path, size_t *count)
{
	struct store_part parts[] = { text(path) };
	char *names, **list;
	size_t bytes;

	if (store_call(s, XS_DIRECTORY, tx, parts, 1, &names, &bytes, "list", path) < 0 &&
	    (errno != E2BIG || directory_parts(s, tx, path, &names, &bytes) < 0))
		return NULL;
	list = split(names, bytes, count);
	free(names);
	if (!list)
		xyl_fail(ENOMEM, "xenstore: cannot list %s", path);
	return list;
}

int xyl_store_set_perms(struct xyl_store *s, xyl_tx tx, const char *path, const struct xyl_perms *perms,
                        size_t count)
{
	static const char letters[] = "nrwb";
	struct store_part parts[2] = { text(path), { NULL, 0 } };
	char *body = malloc(count * NUMBER_ROOM + 1);
	int rc;

	if (!body)
		return xyl_fail(ENOMEM, "xenstore: cannot set the permissions of %s", path);
	for (size_t i = 0; i < count; i++)
		parts[1].bytes += (size_t)snprintf(body + parts[1].bytes, NUMBER_ROOM, "%c%u",
		                                   letters[perms[i].perm & 3], perms[i].domid) +
		                  1;
	parts[1].data = body;
	if (tx != XYL_TX_NONE)
		rc = store_defer(s, XS_SET_PERMS, tx, parts, 2, "set the permissions of", path);
	else
		rc = store_call(s, XS_SET_PERMS, tx, parts, 2, NULL, NULL, "set the permissions of", path);
	free(body);
	return rc;
}

struct xyl_perms *xyl_store_get_perms(struct xyl_store *s, xyl_tx tx, const char *path, size_t *count)
{
	static const char letters[] = "nrwb";
	struct store_part parts[] = { text(path) };
	struct xyl_perms *perms;
	char *reply, **list;
	size_t bytes, n = 0;

	if (store_call(s, XS_GET_PERMS, tx, parts, 1, &reply, &bytes, "read the permissions of", path) < 0)
		return NULL;
	list = split(reply, bytes, &n);
	free(reply);
	perms = calloc(n ? n : 1, sizeof(*perms));
	if (!list || !perms) {
		free(list);
		free(perms);
		xyl_fail(ENOMEM, "xenstore: cannot read the permissions of %s", path);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		const char *letter = list[i][0] ? strchr(letters, list[i][0]) : NULL;

		perms[i].perm = letter ? (enum xyl_perm)(letter - letters) : XYL_PERM_NONE;
		perms[i].domid = list[i][0] ? (uint32_t)strtoul(list[i] + 1, NULL, 10) : 0;
	}
	free(list);
	*count = n;
	return perms;
}

int xyl_store_begin(struct xyl_store *s, xyl_tx *tx)
{
	return store_begin(s, tx);
}

int xyl_store_end(struct xyl_store *s, xyl_tx tx, bool commit)
{
	return store_end(s, tx, commit);
}

int xyl_store_transaction(struct xyl_store *s, int (*body)(struct xyl_store *s, xyl_tx tx, void *data),
                          void *data)
{
	for (int i = 0; i < TRANSACTION_TRIES; i++) {
		xyl_tx tx;
		int error;

		if (xyl_store_begin(s, &tx) < 0)
			return -1;
		if (body(s, tx, data) == 0) {
			if (xyl_store_end(s, tx, true) == 0)
				return 0;
			if (errno != EAGAIN)
				return -1;
			continue;
		}
		error = errno;
		if (error != EAGAIN) {
			char *message = strdup(xyl_error());

			/* The body's own failure is what the caller wants to know. */
			(void)!xyl_store_end(s, tx, false);
			xyl_fail_text(error, "%s", message ? message : "xenstore: a transaction failed");
			free(message);
			return -1;
		}
		(void)!xyl_store_end(s, tx, false);
	}
	return xyl_fail_text(EAGAIN, "xenstore: a transaction conflicted with others %d times",
	                     TRANSACTION_TRIES);
}

int xyl_store_read_async(struct xyl_store *s, xyl_tx tx, const char *path, xyl_store_done_fn *done,
                         void *data)
{
	struct store_part parts[] = { text(path) };

	return store_send(s, XS_READ, tx, parts, 1, done, data);
}

int xyl_store_write_async(struct xyl_store *s, xyl_tx tx, const char *path, const void *value, size_t bytes,
                          xyl_store_done_fn *done, void *data)
{
	struct store_part parts[] = { text(path), { value, bytes } };

	return store_send(s, XS_WRITE, tx, parts, 2, done, data);
}

int xyl_store_rm_async(struct xyl_store *s, xyl_tx tx, const char *path, xyl_store_done_fn *done, void *data)
{
	struct store_part parts[] = { text(path) };

	return store_send(s, XS_RM, tx, parts, 1, done, data);
}

int xyl_store_introduce(struct xyl_store *s, uint32_t domid, uint64_t store_mfn, uint32_t store_port)
{
	char id[NUMBER_ROOM], mfn[NUMBER_ROOM], port[NUMBER_ROOM];
	struct store_part parts[3];

	snprintf(id, sizeof(id), "%u", domid);
	snprintf(mfn, sizeof(mfn), "%llu", (unsigned long long)store_mfn);
	snprintf(port, sizeof(port), "%u", store_port);
	parts[0] = text(id);
	parts[1] = text(mfn);
	parts[2] = text(port);
	return store_call(s, XS_INTRODUCE, XYL_TX_NONE, parts, 3, NULL, NULL, "introduce domain", id);
}

int xyl_store_release(struct xyl_store *s, uint32_t domid)
{
	char id[NUMBER_ROOM];

	snprintf(id, sizeof(id), "%u", domid);
	return path_call(s, XS_RELEASE, XYL_TX_NONE, id, "release domain");
}

int xyl_store_resume(struct xyl_store *s, uint32_t domid)
{
	char id[NUMBER_ROOM];

	snprintf(id, sizeof(id), "%u", domid);
	return path_call(s, XS_RESUME, XYL_TX_NONE, id, "resume domain");
}

int xyl_store_is_introduced(struct xyl_store *s, uint32_t domid, bool *introduced)
{
	char id[NUMBER_ROOM];
	struct store_part parts[1];
	char *reply;

	snprintf(id, sizeof(id), "%u", domid);
	parts[0] = text(id);
	if (store_call(s, XS_IS_DOMAIN_INTRODUCED, XYL_TX_NONE, parts, 1, &reply, NULL, "ask for domain",
	               id) < 0)
		return -1;
	*introduced = strcmp(reply, "T") == 0;
	free(reply);
	return 0;
}

char *xyl_store_domain_path(struct xyl_store *s, uint32_t domid)
{
	char id[NUMBER_ROOM];
	struct store_part parts[1];
	char *reply;

	snprintf(id, sizeof(id), "%u", domid);
	parts[0] = text(id);
	if (store_call(s, XS_GET_DOMAIN_PATH, XYL_TX_NONE, parts, 1, &reply, NULL, "find the path of domain",
	               id) < 0)
		return NULL;
	return reply;
}
