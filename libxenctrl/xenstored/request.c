/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request in, one reply out: the messages of xen/io/xs_wire.h, as Xen's docs/misc/xenstore.txt describes
 * them and as the clients of Xen 4.17 expect them.
 *
 * The payload is the connection's own copy and is followed by a NUL. Each handler decodes and checks first,
 * then acts; it returns an errno value, or 0 after it has queued its reply.
 */
#include "request.h"
#include "conn.h"
#include "domain.h"
#include "store.h"
#include "tree.h"
#include "view.h"
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#define DOMID_MAX (DOMID_FIRST_RESERVED - 1)

struct request {
	struct conn *c;
	struct txn *t;
	const struct xsd_sockmsg *hdr;
	char *payload;
	uint32_t len;
};

static int reply(struct request *r, const void *data, uint32_t len)
{
	if (len > XENSTORE_PAYLOAD_MAX)
		return E2BIG;
	conn_message(r->c, r->hdr->type, r->hdr->req_id, r->hdr->tx_id, data, len);
	return 0;
}

static int reply_ok(struct request *r)
{
	return reply(r, "OK", 3);
}

static int reply_string(struct request *r, const char *text)
{
	return reply(r, text, strlen(text) + 1);
}

static void reply_error(struct request *r, int err)
{
	const char *name = "EINVAL";

	for (size_t i = 0; i < G_N_ELEMENTS(xsd_errors); i++)
		if (xsd_errors[i].errnum == err)
			name = xsd_errors[i].errstring;
	conn_message(r->c, XS_ERROR, r->hdr->req_id, r->hdr->tx_id, name, strlen(name) + 1);
}

/* The whole payload as one string, or NULL. */
static char *one_string(struct request *r)
{
	return r->len && strlen(r->payload) == r->len - 1 ? r->payload : NULL;
}

/* The first n strings of the payload; false when there are fewer. */
static bool strings(struct request *r, char **vec, size_t n)
{
	uint32_t at = 0;

	for (size_t i = 0; i < n; i++) {
		char *end = at < r->len ? memchr(r->payload + at, '\0', r->len - at) : NULL;

		if (!end)
			return false;
		vec[i] = r->payload + at;
		at = end + 1 - r->payload;
	}
	return true;
}

/* The payload as n strings and nothing else. */
static bool just_strings(struct request *r, char **vec, size_t n)
{
	return strings(r, vec, n) && vec[n - 1] + strlen(vec[n - 1]) + 1 == r->payload + r->len;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
	gchar *end;
	guint64 v;

	if (!g_ascii_isdigit(*text))
		return false;
	errno = 0;
	v = g_ascii_strtoull(text, &end, 10);
	if (errno || *end || v > max)
		return false;
	*out = v;
	return true;
}

/* ---- paths --------------------------------------------------------------------------------------- */

static bool path_char(char ch)
{
	return g_ascii_isalnum(ch) || ch == '-' || ch == '/' || ch == '_' || ch == '@';
}

/* How much of the path is "/local/domain/<id>/", which quotas do not count. */
static size_t base_length(const char *path)
{
	static const char base[] = "/local/domain/";
	size_t n = sizeof(base) - 1, digits = 0;

	if (strncmp(path, base, n))
		return 0;
	while (g_ascii_isdigit(path[n + digits]) && digits < 5)
		digits++;
	return digits && path[n + digits] == '/' ? n + digits + 1 : 0;
}

static bool path_valid(const struct conn *c, const char *path)
{
	const struct quotas *q = &c->store->quotas;
	size_t max_bytes = conn_privileged(c) ? XENSTORE_REL_PATH_MAX : q->path_bytes;
	size_t max_depth = conn_privileged(c) ? DOM0_PATH_DEPTH : q->path_depth;
	size_t len = strlen(path), depth = 0;

	if (path[0] != '/' || len > XENSTORE_ABS_PATH_MAX || len > base_length(path) + max_bytes)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!path_char(path[i]))
			return false;
		if (path[i] != '/')
			continue;
		if (path[i + 1] == '/' || (path[i + 1] == '\0' && len > 1))
			return false;
		depth++;
	}
	return depth <= max_depth;
}

/*
 * The absolute path of what the client wrote, in a fresh string; NULL when it is none, or when it begins with
 * "@" as the names of special watches do. strip, if wanted: how much to take off again in events for this
 * client.
 */
static char *path_resolve(struct conn *c, const char *path, uint32_t *strip)
{
	char *full;

	if (strip)
		*strip = 0;
	if (path[0] == '@')
		return NULL;
	if (path[0] == '/') {
		full = g_strdup(path);
	} else {
		full = g_strdup_printf("/local/domain/%u/%s", c->dom->domid, path);
		if (strip)
			*strip = strlen(full) - strlen(path);
	}
	if (path_valid(c, full))
		return full;
	g_free(full);
	return NULL;
}

/* "/", what lies below it on the way to path, and path itself, in one pass over it. */
static GArray *path_way(const char *path)
{
	GArray *way = g_array_sized_new(FALSE, FALSE, sizeof(struct pathref), 16);
	struct pathref at = { path, 0, pathtab_hash_start() };

	while (path[at.len]) {
		at.hash = pathtab_hash_step(at.hash, path[at.len++]);
		if (at.len == 1 || path[at.len] == '/' || !path[at.len])
			g_array_append_val(way, at);
	}
	return way;
}

/* The nearest ancestor that exists; missing counts the path itself and the ancestors that do not. */
static int nearest(struct request *r, const char *path, char **where, struct content **content,
                   unsigned int *missing)
{
	g_autoptr(GArray) way = path_way(path);
	const struct pathref *at;
	int err;

	*missing = 0;
	do {
		at = &g_array_index(way, struct pathref, way->len - 1 - *missing);
		err = view_get_at(r->c, r->t, at, content);
	} while (!err && !*content && ++*missing < way->len);
	if (!err)
		*where = g_strndup(path, at->len);
	return err;
}

/*
 * Finds a node on which the client has the rights `need`. ENOENT only for clients whose rights on the nearest
 * ancestor let them know so much; EACCES for all others.
 */
static int node_access(struct request *r, const char *path, unsigned int need, struct content **out)
{
	g_autofree char *up = NULL;
	struct content *above;
	unsigned int missing;
	int err = view_get(r->c, r->t, path, out);

	if (err)
		return err;
	if (*out)
		return (perm_for(r->c, *out) & need) == need ? 0 : EACCES;
	err = nearest(r, path, &up, &above, &missing);
	if (err)
		return err;
	return perm_for(r->c, above) & need ? ENOENT : EACCES;
}

static void changed(struct request *r, const char *path, const struct content *before,
                    const struct content *after)
{
	struct store *s = r->c->store;
	g_autofree char *up = path_parent(path);
	struct node *parent;

	if (r->t) {
		txn_changed(r->t, path);
		return;
	}
	parent = up ? tree_find(s, up) : NULL;
	watch_fire(s, path, false, before, after, parent ? parent->content : NULL);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int do_read(struct request *r)
{
	const char *arg = one_string(r);
	g_autofree char *path = arg ? path_resolve(r->c, arg, NULL) : NULL;
	struct content *content;
	int err;

	if (!path)
		return EINVAL;
	err = node_access(r, path, PERM_READ, &content);
	return err ? err : reply(r, content_value(content), content->value_len);
}

static int do_directory(struct request *r)
{
	const char *arg = one_string(r);
	g_autofree char *path = arg ? path_resolve(r->c, arg, NULL) : NULL;
	struct content *content;
	const char *names;
	GString *made;
	size_t bytes;
	uint64_t gen;
	int err;

	if (!path)
		return EINVAL;
	err = node_access(r, path, PERM_READ, &content);
	if (err)
		return err;
	made = g_string_new(NULL);
	err = view_list(r->c, r->t, path, made, &names, &bytes, &gen);
	if (!err)
		err = reply(r, names, bytes);
	g_string_free(made, TRUE);
	return err;
}

/* As many whole names as fit, from a byte offset on; one more NUL says that the list ends here. */
static int do_directory_part(struct request *r)
{
	char *arg[2];
	g_autofree char *path = NULL;
	struct content *content;
	uint64_t offset, gen;
	GString *made, *out;
	const char *names;
	size_t room, bytes, used = 0;
	int err;

	if (!just_strings(r, arg, 2) || !parse_number(arg[1], G_MAXUINT32, &offset))
		return EINVAL;
	path = path_resolve(r->c, arg[0], NULL);
	if (!path)
		return EINVAL;
	err = node_access(r, path, PERM_READ, &content);
	if (err)
		return err;
	made = g_string_new(NULL);
	err = view_list(r->c, r->t, path, made, &names, &bytes, &gen);
	if (err) {
		g_string_free(made, TRUE);
		return err;
	}
	out = g_string_new(NULL);
	g_string_append_printf(out, "%" G_GUINT64_FORMAT, gen);
	g_string_append_c(out, '\0');
	room = XENSTORE_PAYLOAD_MAX - out->len - 1;
	while (offset + used < bytes) {
		size_t n = strlen(names + offset + used) + 1;

		if (used + n > room)
			break;
		used += n;
	}
	if (used)
		g_string_append_len(out, names + offset, used);
	if (offset + used >= bytes)
		g_string_append_c(out, '\0');
	err = reply(r, out->str, out->len);
	g_string_free(out, TRUE);
	g_string_free(made, TRUE);
	return err;
}

/* ---- permissions --------------------------------------------------------------------------------- */

static struct content **special_perms(struct store *s, const char *path)
{
	if (!strcmp(path, PATH_INTRODUCE))
		return &s->special[0];
	if (!strcmp(path, PATH_RELEASE))
		return &s->special[1];
	return NULL;
}

static char perm_letter(unsigned int bits)
{
	return "nrwb"[bits & (PERM_READ | PERM_WRITE)];
}

static int do_get_perms(struct request *r)
{
	const char *arg = one_string(r);
	struct store *s = r->c->store;
	struct content *content;
	GString *out;
	int err;

	if (!arg)
		return EINVAL;
	if (arg[0] == '@') {
		struct content **special = special_perms(s, arg);

		if (!special)
			return EINVAL;
		content = *special;
	} else {
		g_autofree char *path = path_resolve(r->c, arg, NULL);

		if (!path)
			return EINVAL;
		err = node_access(r, path, PERM_READ, &content);
		if (err)
			return err;
	}
	out = g_string_new(NULL);
	for (unsigned int i = 0; i < content->perm_count; i++) {
		const struct perm *p = &content->perms[i];
		const struct domain *d = p->domid <= DOMID_MAX ? domain_find(s, p->domid) : NULL;

		/* A right that an earlier domain of that number had is not the present one's. */
		if (i && d && d->serial != p->serial)
			continue;
		g_string_append_printf(out, "%c%u", perm_letter(p->bits), p->domid);
		g_string_append_c(out, '\0');
	}
	err = reply(r, out->str, out->len);
	g_string_free(out, TRUE);
	return err;
}

static int parse_perm(struct store *s, const char *text, struct perm *p)
{
	static const char letters[] = "nrwb";
	const char *letter = *text ? strchr(letters, *text) : NULL;
	const struct domain *d;
	uint64_t domid;

	/* As in Xen, a right may name any number: what is no domain's is nobody's right. */
	if (!letter || !parse_number(text + 1, G_MAXUINT32, &domid))
		return EINVAL;
	d = domid <= DOMID_MAX ? domain_get(s, domid) : NULL;
	p->bits = letter - letters;
	p->domid = domid;
	p->serial = d ? d->serial : 0;
	return 0;
}

static int set_special_perms(struct request *r, const char *path, const struct perm *perms,
                             unsigned int count)
{
	struct content **special = special_perms(r->c->store, path);

	if (!special)
		return EINVAL;
	if (!conn_privileged(r->c))
		return EACCES;
	content_unref(*special);
	*special = content_new(perms, count, "", 0);
	return reply_ok(r);
}

/* Gives path, whose content is before, another one, and answers. Takes over the reference to after. */
static int replace(struct request *r, const char *path, struct content *before, struct content *after)
{
	int err;

	after->writer = r->c->dom->domid;
	content_ref(before);
	content_ref(after);
	err = view_put(r->c, r->t, path, after);
	if (!err) {
		changed(r, path, before, after);
		err = reply_ok(r);
	}
	content_unref(after);
	content_unref(before);
	return err;
}

static int set_node_perms(struct request *r, const char *name, const struct perm *perms, unsigned int count)
{
	g_autofree char *path = path_resolve(r->c, name, NULL);
	struct content *before;
	int err;

	if (!path)
		return EINVAL;
	err = node_access(r, path, PERM_WRITE | PERM_OWNER, &before);
	if (err)
		return err;
	if (!conn_privileged(r->c) &&
	    (perms[0].domid != before->perms[0].domid || perms[0].serial != before->perms[0].serial))
		return EPERM;
	if (!quota_memory(r->c, count * sizeof(*perms)))
		return ENOMEM;
	return replace(r, path, before, content_new(perms, count, content_value(before), before->value_len));
}

static int do_set_perms(struct request *r)
{
	struct perm *perms;
	unsigned int count = 0, i = 0;
	char *at;
	int err = 0;

	if (!r->len || r->payload[r->len - 1])
		return EINVAL;
	for (uint32_t k = 0; k < r->len; k++)
		count += r->payload[k] == '\0';
	if (count < 2)
		return EINVAL;
	count--;
	if (!conn_privileged(r->c) && count > r->c->store->quotas.perms)
		return ENOSPC;
	perms = g_new0(struct perm, count);
	for (at = r->payload + strlen(r->payload) + 1; i < count && !err; at += strlen(at) + 1)
		err = parse_perm(r->c->store, at, &perms[i++]);
	if (!err && !perms[0].serial)
		err = ENOENT; /* nobody can be made the owner who does not exist */
	if (!err)
		err = r->payload[0] == '@' ? set_special_perms(r, r->payload, perms, count)
		                           : set_node_perms(r, r->payload, perms, count);
	g_free(perms);
	return err;
}

/* ---- writing ------------------------------------------------------------------------------------- */

/* Permissions of a node made below one with `above`: inherited, but guests own what they make. */
static struct content *inherit(struct conn *c, const struct content *above, const void *value, uint32_t len)
{
	struct content *made = content_new(above->perms, above->perm_count, value, len);

	made->writer = c->dom->domid;
	if (!conn_privileged(c)) {
		made->perms[0].domid = c->dom->domid;
		made->perms[0].serial = c->dom->serial;
	}
	return made;
}

/* Makes path with this value, and all that is missing above it, without a value. */
static int make_node(struct request *r, const char *path, const void *value, uint32_t len)
{
	g_autofree char *top = NULL;
	struct content *above, *made = NULL;
	unsigned int missing;
	size_t bytes, at;
	int err = nearest(r, path, &top, &above, &missing);

	if (err)
		return err;
	if (!quota_nodes(r->c, missing))
		return ENOSPC;
	bytes = missing * (sizeof(struct node) + strlen(path) + content_bytes(above)) + len;
	if (!quota_memory(r->c, bytes))
		return ENOMEM;
	content_ref(above);
	at = strlen(top);
	while (!err && missing--) {
		const char *slash = strchr(path + at + 1, '/');
		g_autofree char *part = slash ? g_strndup(path, slash - path) : g_strdup(path);

		made = inherit(r->c, above, value, slash ? 0 : len);
		content_unref(above);
		above = content_ref(made);
		err = view_put(r->c, r->t, part, made);
		at = strlen(part);
	}
	if (!err)
		changed(r, path, NULL, above);
	content_unref(above);
	return err;
}

static int do_write(struct request *r)
{
	char *arg;
	g_autofree char *path = NULL;
	struct content *before;
	uint32_t at, len;
	int err;

	if (!strings(r, &arg, 1))
		return EINVAL;
	path = path_resolve(r->c, arg, NULL);
	if (!path)
		return EINVAL;
	at = strlen(arg) + 1;
	len = r->len - at;
	if (!conn_privileged(r->c) && len > r->c->store->quotas.value_bytes)
		return ENOSPC;
	err = node_access(r, path, PERM_WRITE, &before);
	if (err == ENOENT) {
		err = make_node(r, path, r->payload + at, len);
		return err ? err : reply_ok(r);
	}
	if (err)
		return err;
	if (!quota_memory(r->c, len))
		return ENOMEM;
	return replace(r, path, before, content_new(before->perms, before->perm_count, r->payload + at, len));
}

static int do_mkdir(struct request *r)
{
	const char *arg = one_string(r);
	g_autofree char *path = arg ? path_resolve(r->c, arg, NULL) : NULL;
	struct content *content;
	int err;

	if (!path)
		return EINVAL;
	err = node_access(r, path, PERM_WRITE, &content);
	if (err == ENOENT)
		err = make_node(r, path, "", 0);
	return err ? err : reply_ok(r);
}

static int do_rm(struct request *r)
{
	const char *arg = one_string(r);
	g_autofree char *path = arg ? path_resolve(r->c, arg, NULL) : NULL;
	g_autofree char *up = NULL;
	struct content *content;
	int err;

	if (!path)
		return EINVAL;
	err = node_access(r, path, PERM_WRITE, &content);
	up = path_parent(path);
	if (err == ENOENT && up) {
		err = view_get(r->c, r->t, up, &content);
		if (!err && !content)
			err = ENOENT;
		return err ? err : reply_ok(r);
	}
	if (err)
		return err;
	if (!up)
		return EINVAL; /* "/" stays */
	err = view_remove(r->c, r->t, path);
	return err ? err : reply_ok(r);
}

/* ---- watches and transactions -------------------------------------------------------------------- */

static char *watch_path_arg(struct conn *c, const char *arg, uint32_t *strip)
{
	if (arg[0] != '@')
		return path_resolve(c, arg, strip);
	*strip = 0;
	return strlen(arg) <= XENSTORE_REL_PATH_MAX ? g_strdup(arg) : NULL;
}

static int do_watch(struct request *r)
{
	struct conn *c = r->c;
	char *arg[2];
	g_autofree char *path = NULL;
	uint32_t strip;
	int err;

	if (!just_strings(r, arg, 2))
		return EINVAL;
	path = watch_path_arg(c, arg[0], &strip);
	if (!path)
		return EINVAL;
	/* An event carries the token and a path of any length. */
	if (strlen(arg[1]) + 1 + XENSTORE_ABS_PATH_MAX + 1 > XENSTORE_PAYLOAD_MAX)
		return E2BIG;
	err = watch_add(c, path, arg[1], strip);
	if (err)
		return err;
	err = reply_ok(r);
	watch_first_event(c);
	return err;
}

static int do_unwatch(struct request *r)
{
	char *arg[2];
	g_autofree char *path = NULL;
	uint32_t strip;
	int err;

	if (!just_strings(r, arg, 2))
		return EINVAL;
	path = watch_path_arg(r->c, arg[0], &strip);
	if (!path)
		return EINVAL;
	err = watch_remove(r->c, path, arg[1]);
	return err ? err : reply_ok(r);
}

static int do_reset_watches(struct request *r)
{
	watch_remove_all(r->c);
	txn_abort_all(r->c);
	return reply_ok(r);
}

static int do_transaction_start(struct request *r)
{
	struct conn *c = r->c;
	char text[16];
	uint32_t id;

	if (r->t)
		return EBUSY;
	if (!conn_privileged(c) && c->dom->txn_count >= c->store->quotas.transactions)
		return ENOSPC;
	txn_start(c, &id);
	g_snprintf(text, sizeof(text), "%u", id);
	return reply_string(r, text);
}

static int do_transaction_end(struct request *r)
{
	const char *arg = one_string(r);
	int err = 0;

	if (!arg || (strcmp(arg, "T") && strcmp(arg, "F")))
		return EINVAL;
	if (!r->t)
		return ENOENT;
	if (arg[0] == 'T')
		err = txn_commit(r->t);
	else
		txn_abort(r->t);
	r->t = NULL;
	return err ? err : reply_ok(r);
}

/* ---- domains ------------------------------------------------------------------------------------- */

static bool domid_arg(const char *arg, uint64_t *domid)
{
	return arg && parse_number(arg, G_MAXUINT16, domid);
}

static int do_introduce(struct request *r)
{
	char *arg[3], *end;
	uint64_t domid, port;
	int64_t gfn;
	int err;

	if (!strings(r, arg, 3) || !domid_arg(arg[0], &domid) || !parse_number(arg[2], G_MAXUINT32, &port))
		return EINVAL;
	gfn = g_ascii_strtoll(arg[1], &end, 10); /* clients send it signed */
	if (*end || !domid || domid > DOMID_MAX || !port)
		return EINVAL;
	err = domain_introduce(r->c->store, domid, (uint64_t)gfn, port);
	return err ? err : reply_ok(r);
}

static int do_release(struct request *r)
{
	uint64_t domid;
	int err;

	if (!domid_arg(one_string(r), &domid) || !domid)
		return EINVAL;
	err = domain_release(r->c->store, domid);
	return err ? err : reply_ok(r);
}

static int do_resume(struct request *r)
{
	struct domain *d;
	uint64_t domid;

	if (!domid_arg(one_string(r), &domid) || !domid)
		return EINVAL;
	d = domain_find(r->c->store, domid);
	if (!d || !d->introduced)
		return ENOENT;
	d->shutdown = false;
	return reply_ok(r);
}

static int do_set_target(struct request *r)
{
	struct domain *d, *target;
	uint64_t domid, target_id;
	char *arg[2];

	if (!strings(r, arg, 2) || !domid_arg(arg[0], &domid) || !domid_arg(arg[1], &target_id))
		return EINVAL;
	d = domain_find(r->c->store, domid);
	target = domain_find(r->c->store, target_id);
	if (!d || !d->introduced || !target || !target->introduced)
		return ENOENT;
	if (!d->conn || !domid || !target_id)
		return EINVAL;
	d->conn->target = target;
	return reply_ok(r);
}

static int do_is_domain_introduced(struct request *r)
{
	struct domain *d;
	uint64_t domid;

	if (!domid_arg(one_string(r), &domid))
		return EINVAL;
	d = domain_find(r->c->store, domid == DOMID_SELF ? r->c->dom->domid : domid);
	return reply_string(r, d && d->introduced ? "T" : "F");
}

static int do_get_domain_path(struct request *r)
{
	char text[32];
	uint64_t domid;

	if (!domid_arg(one_string(r), &domid))
		return EINVAL;
	g_snprintf(text, sizeof(text), "/local/domain/%u", (unsigned int)domid);
	return reply_string(r, text);
}

/* ---- CONTROL ------------------------------------------------------------------------------------- */

static int control_quota(struct request *r, const char *domid_text)
{
	struct store *s = r->c->store;
	const struct quotas *q = &s->quotas;
	g_autofree char *text = NULL;
	struct domain *d;
	uint64_t domid;

	if (!domid_text) {
		text = g_strdup_printf("nodes                : %u\nwatches              : %u\n"
		                       "transactions         : %u\nvalue-bytes          : %u\n"
		                       "permissions          : %u\ntransaction-nodes    : %u\n"
		                       "path-bytes           : %u\npath-depth           : %u\n"
		                       "memory-bytes         : %u\nevents               : %u\n"
		                       "replies              : %u\n",
		                       q->nodes, q->watches, q->transactions, q->value_bytes, q->perms,
		                       q->transaction_nodes, q->path_bytes, q->path_depth, q->memory_bytes,
		                       q->events, q->replies);
		return reply_string(r, text);
	}
	if (!parse_number(domid_text, DOMID_MAX, &domid))
		return EINVAL;
	d = domain_find(s, domid);
	if (!d)
		return ENOENT;
	text = g_strdup_printf("Domain %u:\nnodes                : %u\nwatches              : %u\n"
	                       "transactions         : %u\nmemory-bytes         : %zu\n"
	                       "unsent-events        : %u\nmerged-events        : %" G_GUINT64_FORMAT "\n",
	                       d->domid, d->node_count, d->watch_count, d->txn_count, d->memory_bytes,
	                       d->conn ? d->conn->event_count : 0, d->conn ? d->conn->merged_events : 0);
	return reply_string(r, text);
}

static int do_control(struct request *r)
{
	char *arg[2] = { NULL, NULL };
	bool two = strings(r, arg, 2);

	if (!two && !strings(r, arg, 1))
		return EINVAL;
	if (!strcmp(arg[0], "help"))
		return reply_string(r, "check\nlog on|off\nquota [<domid>]\nprint <string>\nhelp\n");
	if (!strcmp(arg[0], "check")) {
		g_autofree char *wrong = store_check(r->c->store);

		if (wrong)
			store_log(r->c->store, LOG_ERR, "check: %s", wrong);
		return reply_string(r, wrong ? wrong : "OK");
	}
	if (!strcmp(arg[0], "log") && two && (!strcmp(arg[1], "on") || !strcmp(arg[1], "off"))) {
		r->c->store->log_requests = !strcmp(arg[1], "on");
		return reply_ok(r);
	}
	if (!strcmp(arg[0], "quota"))
		return control_quota(r, two ? arg[1] : NULL);
	if (!strcmp(arg[0], "print") && two) {
		store_log(r->c->store, LOG_INFO, "client says: %s", arg[1]);
		return reply_ok(r);
	}
	/* xenstore-control tells what help lists then. */
	return EINVAL;
}

/* ---- dispatch ------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*handle)(struct request *r);
	bool privileged, no_txn;
} requests[XS_TYPE_COUNT] = {
	[XS_CONTROL] = { "CONTROL", do_control, .privileged = true },
	[XS_DIRECTORY] = { "DIRECTORY", do_directory },
	[XS_READ] = { "READ", do_read },
	[XS_GET_PERMS] = { "GET_PERMS", do_get_perms },
	[XS_WATCH] = { "WATCH", do_watch, .no_txn = true },
	[XS_UNWATCH] = { "UNWATCH", do_unwatch, .no_txn = true },
	[XS_TRANSACTION_START] = { "TRANSACTION_START", do_transaction_start },
	[XS_TRANSACTION_END] = { "TRANSACTION_END", do_transaction_end },
	[XS_INTRODUCE] = { "INTRODUCE", do_introduce, .privileged = true },
	[XS_RELEASE] = { "RELEASE", do_release, .privileged = true },
	[XS_GET_DOMAIN_PATH] = { "GET_DOMAIN_PATH", do_get_domain_path },
	[XS_WRITE] = { "WRITE", do_write },
	[XS_MKDIR] = { "MKDIR", do_mkdir },
	[XS_RM] = { "RM", do_rm },
	[XS_SET_PERMS] = { "SET_PERMS", do_set_perms },
	[XS_IS_DOMAIN_INTRODUCED] = { "IS_DOMAIN_INTRODUCED", do_is_domain_introduced, .privileged = true },
	[XS_RESUME] = { "RESUME", do_resume, .privileged = true },
	[XS_SET_TARGET] = { "SET_TARGET", do_set_target, .privileged = true },
	[XS_RESET_WATCHES] = { "RESET_WATCHES", do_reset_watches },
	[XS_DIRECTORY_PART] = { "DIRECTORY_PART", do_directory_part },
};

const char *request_name(uint32_t type)
{
	return type < XS_TYPE_COUNT && requests[type].name ? requests[type].name : "?";
}

/* Quotas are there to be met by mistake too: say so. A list that is too long for a message is none. */
static void complain(struct request *r, int err)
{
	g_autofree char *path = NULL;

	if (conn_privileged(r->c) || r->hdr->type == XS_DIRECTORY ||
	    (err != ENOSPC && err != E2BIG && err != ENOMEM))
		return;
	path = g_strndup(r->payload, MIN(r->len, 256));
	g_strcanon(path, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_@/", '?');
	conn_complain(r->c, "%s %s refused: over quota", request_name(r->hdr->type), path);
}

/* Requests that are logged in a second, while CONTROL has them logged: guests must not fill the log. */
#define LOGGED_MAX 500

static void log_request(struct request *r, int err)
{
	gint64 second = g_get_monotonic_time() / G_USEC_PER_SEC;
	struct store *s = r->c->store;
	g_autofree char *path = NULL;

	if (second != s->log_second) {
		s->log_second = second;
		s->log_count = 0;
	}
	if (++s->log_count > LOGGED_MAX) {
		if (s->log_count == LOGGED_MAX + 1)
			store_log(s, LOG_INFO, "further requests of this second are not logged");
		return;
	}
	path = g_strndup(r->payload, MIN(r->len, 256));
	g_strcanon(path, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_@/", '?');
	store_log(s, LOG_INFO, "%s: %s %s: %s", r->c->name, request_name(r->hdr->type), path,
	          err ? g_strerror(err) : "ok");
}

/* So many bytes of a request, most of them a path's, cost as much as a short request. */
#define BYTES_PER_WORK 128

void request_process(struct conn *c, const struct xsd_sockmsg *hdr, char *payload)
{
	struct request r = { .c = c, .hdr = hdr, .payload = payload, .len = hdr->len };
	uint64_t work = c->store->work;
	int err = 0;

	if (hdr->type >= XS_TYPE_COUNT || !requests[hdr->type].handle)
		err = ENOSYS;
	else if (requests[hdr->type].privileged && !conn_privileged(c))
		err = EACCES;
	if (!err && hdr->tx_id && !requests[hdr->type].no_txn) {
		r.t = txn_find(c, hdr->tx_id);
		if (!r.t)
			err = ENOENT;
	}
	if (!err)
		err = requests[hdr->type].handle(&r);
	if (err) {
		complain(&r, err);
		reply_error(&r, err);
	}
	if (c->store->log_requests)
		log_request(&r, err);
	c->work = 1 + MIN(c->store->work - work + hdr->len / BYTES_PER_WORK, G_MAXUINT16);
}
