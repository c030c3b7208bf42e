/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenstored's transactions against a reference model.
 *
 * The model is a flat map from path to value without transactions. Random clients run random requests, inside and
 * outside of transactions, on a tree so small that they collide all the time. Then:
 *  1. requests outside transactions answer as the model does;
 *  2. a transaction that commits is as if it had run alone at its commit: its requests, replayed on the model then,
 *     give the very answers that its client saw;
 *  3. one that ends with EAGAIN had a reason: something changed since it began; one that was aborted left no trace;
 *  4. after each step that changed something a watch on the tree has an event, after others it has none;
 *  5. the whole tree equals the model.
 */
#include "xenstored_util.h"
#include "../../libxenctrl/xenstored/tree.h"

#define CLIENTS 3
#define STEPS   60000

struct step {
	uint32_t type;
	char path[16];
	char value[8];
	GString *answer;
};

static GHashTable *model; /* path -> value */
static unsigned int model_changes;
static uint32_t random_state = 1;

static uint32_t rnd(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return (random_state >> 3) % below;
}

static void model_set(const char *path, const char *value)
{
	const char *before = g_hash_table_lookup(model, path);

	(void)before;
	g_hash_table_insert(model, g_strdup(path), g_strdup(value));
	model_changes++;
}

static void model_make(const char *path, const char *value)
{
	g_autofree char *up = path_parent(path);

	if (up && !g_hash_table_contains(model, up))
		model_make(up, "");
	model_set(path, value);
}

static gboolean is_below(gpointer key, gpointer value, gpointer top)
{
	size_t len = strlen(top);

	(void)value;
	return !strncmp(key, top, len) && (((char *)key)[len] == '/' || !((char *)key)[len]);
}

static gint by_name(gconstpointer x, gconstpointer y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

/* A list of names as one text, whatever their order. */
static GString *sorted(GPtrArray *names)
{
	GString *out = g_string_new("L:");

	g_ptr_array_sort(names, by_name);
	for (guint i = 0; i < names->len; i++)
		g_string_append_printf(out, "%s,", (char *)names->pdata[i]);
	g_ptr_array_free(names, TRUE);
	return out;
}

static GString *model_list(const char *path)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	GHashTableIter it;
	gpointer key;

	g_hash_table_iter_init(&it, model);
	while (g_hash_table_iter_next(&it, &key, NULL)) {
		g_autofree char *up = path_parent(key);

		if (up && !strcmp(up, path))
			g_ptr_array_add(names, g_strdup(strrchr(key, '/') + 1));
	}
	return sorted(names);
}

/* What the model answers, and does. */
static GString *model_step(const struct step *st)
{
	const char *value = g_hash_table_lookup(model, st->path);
	g_autofree char *up = path_parent(st->path);

	switch (st->type) {
	case XS_READ:
		if (!value)
			return g_string_new("ENOENT");
		return g_string_new(value);
	case XS_DIRECTORY:
		return value ? model_list(st->path) : g_string_new("ENOENT");
	case XS_WRITE:
		model_make(st->path, st->value);
		return g_string_new("OK");
	case XS_MKDIR:
		if (!value)
			model_make(st->path, "");
		return g_string_new("OK");
	default: /* XS_RM */
		if (value) {
			g_hash_table_foreach_remove(model, is_below, (gpointer)st->path);
			model_changes++;
		} else if (!g_hash_table_contains(model, up)) {
			return g_string_new("ENOENT");
		}
		return g_string_new("OK");
	}
}

static GString *store_step(struct conn *c, uint32_t tx, const struct step *st)
{
	struct answer a;
	char text[64];

	if (st->type == XS_WRITE) {
		int len = snprintf(text, sizeof(text), "%s", st->path) + 1;

		memcpy(text + len, st->value, strlen(st->value));
		call(c, st->type, tx, text, len + strlen(st->value), &a);
	} else {
		call(c, st->type, tx, st->path, strlen(st->path) + 1, &a);
	}
	if (st->type == XS_DIRECTORY && a.type == XS_DIRECTORY) {
		GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

		for (uint32_t at = 0; at < a.len; at += strlen(a.data + at) + 1)
			g_ptr_array_add(names, g_strdup(a.data + at));
		return sorted(names);
	}
	return g_string_new(a.data);
}

static struct step random_step(void)
{
	static const uint32_t types[] = {
		XS_READ, XS_READ, XS_DIRECTORY, XS_WRITE, XS_WRITE, XS_MKDIR, XS_RM
	};
	struct step st = { .type = types[rnd(G_N_ELEMENTS(types))] };
	uint32_t depth = 1 + rnd(3);
	char *at = st.path + snprintf(st.path, sizeof(st.path), "/t");

	while (depth--)
		at += snprintf(at, 3, "/%c", 'a' + (int)rnd(3));
	snprintf(st.value, sizeof(st.value), "%u", rnd(1000));
	return st;
}

struct open_txn {
	uint32_t id;
	unsigned int changes_at_start;
	GArray *steps;
};

struct client {
	struct conn *c;
	struct open_txn txns[2];
};

static void forget(struct open_txn *t)
{
	for (guint i = 0; i < t->steps->len; i++)
		g_string_free(g_array_index(t->steps, struct step, i).answer, TRUE);
	g_array_free(t->steps, TRUE);
	memset(t, 0, sizeof(*t));
}

static unsigned int commits, conflicts, wrong_answers, wrong_replays, baseless, event_faults, tree_faults;

static void end_txn(struct client *cl, struct open_txn *t)
{
	struct answer a;
	int err;

	if (!rnd(5)) {
		calls(cl->c, XS_TRANSACTION_END, t->id, "F", &a);
		forget(t);
		return;
	}
	err = calls(cl->c, XS_TRANSACTION_END, t->id, "T", &a);
	if (err == EAGAIN) {
		conflicts++;
		baseless += model_changes == t->changes_at_start;
	} else if (err) {
		wrong_answers++;
	} else {
		commits++;
		for (guint i = 0; i < t->steps->len; i++) {
			struct step *st = &g_array_index(t->steps, struct step, i);
			GString *now = model_step(st);

			wrong_replays += !g_string_equal(now, st->answer);
			g_string_free(now, TRUE);
		}
	}
	forget(t);
}

static void one_step(struct client *cl)
{
	struct open_txn *t = &cl->txns[rnd(2)];
	struct step st = random_step();
	uint32_t what = rnd(10);

	if (what < 3) {
		GString *model_says = model_step(&st), *store_says = store_step(cl->c, 0, &st);

		wrong_answers += !g_string_equal(model_says, store_says);
		g_string_free(model_says, TRUE);
		g_string_free(store_says, TRUE);
	} else if (!t->id) {
		t->id = begin(cl->c);
		t->changes_at_start = model_changes;
		t->steps = g_array_new(FALSE, FALSE, sizeof(struct step));
	} else if (what < 8 && t->steps->len < 12) {
		st.answer = store_step(cl->c, t->id, &st);
		g_array_append_val(t->steps, st);
	} else {
		end_txn(cl, t);
	}
}

static void compare_trees(struct store *s)
{
	GHashTableIter it;
	gpointer key, value;
	size_t count = 0;

	g_hash_table_iter_init(&it, model);
	while (g_hash_table_iter_next(&it, &key, &value)) {
		struct node *n = tree_find(s, key);

		count++;
		tree_faults += !n || n->content->value_len != strlen(value) ||
		               memcmp(content_value(n->content), value, strlen(value));
	}
	for (size_t b = 0; b < s->nodes.bucket_count; b++)
		for (struct pathent *e = s->nodes.buckets[b]; e; e = e->next)
			count -= !strncmp(e->path, "/t/", 3) || !strcmp(e->path, "/t");
	tree_faults += count != 1; /* "/" is in the model too */
}

int main(void)
{
	struct store *s = store_new(&fake_host);
	struct client clients[CLIENTS] = { 0 };
	struct conn *watcher = conn_new(s, s->dom0, true, "watcher", NULL);
	struct answer a;
	char *wrong;

	if (getenv("SEED"))
		random_state = strtoul(getenv("SEED"), NULL, 10) | 1;
	model = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_hash_table_insert(model, g_strdup("/"), g_strdup(""));
	g_hash_table_insert(model, g_strdup("/t"), g_strdup(""));
	for (int i = 0; i < CLIENTS; i++)
		clients[i].c = conn_new(s, s->dom0, true, "client", NULL);
	calls(clients[0].c, XS_MKDIR, 0, "/t", &a);
	callb(watcher, XS_WATCH, 0, "/t|w|", &a);
	drain(watcher);
	for (unsigned int i = 0; i < STEPS; i++) {
		unsigned int before = model_changes;

		one_step(&clients[rnd(CLIENTS)]);
		event_faults += (model_changes != before) != (watcher->out_first != NULL);
		drain(watcher);
		if (i % 1000 == 0)
			compare_trees(s);
	}
	printf("# %u commits, %u conflicts\n", commits, conflicts);
	ok(commits > 1000 && conflicts > 1000, "transactions committed and collided");
	ok(!wrong_answers, "requests outside transactions answer as the model does");
	ok(!wrong_replays, "each commit is as if it had run alone at its end");
	ok(!baseless, "each conflict had a reason");
	ok(!event_faults, "events come with changes, and only with them");
	compare_trees(s);
	ok(!tree_faults, "the tree equals the model");
	wrong = store_check(s);
	ok(!wrong, "the tree is sound");
	g_free(wrong);
	for (int i = 0; i < CLIENTS; i++) {
		for (int k = 0; k < 2; k++)
			if (clients[i].txns[k].id)
				forget(&clients[i].txns[k]);
		conn_free(clients[i].c);
	}
	conn_free(watcher);
	store_free(s);
	g_hash_table_destroy(model);
	return tap_end();
}
