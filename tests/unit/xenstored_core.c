/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xenstored's core, message by message. */
#include "xenstored_util.h"

#include "../../libxenctrl/xenstored/ring.h"

static struct store *s;
static struct conn *tools;
static struct answer a;

static void setup(void)
{
	s = store_new(&fake_host);
	store_init_dom0(s);
	tools = conn_new(s, s->dom0, true, "tools", NULL);
}

static void teardown(const char *what)
{
	char *wrong = store_check(s);

	if (wrong)
		printf("# %s: %s\n", what, wrong);
	ok(!wrong, what);
	g_free(wrong);
	conn_free(tools);
	store_free(s);
}

static bool event_is(struct conn *c, const char *path, const char *token)
{
	return take(c, &a) && a.type == XS_WATCH_EVENT && !strcmp(a.data, path) &&
	       !strcmp(a.data + strlen(path) + 1, token) && a.len == strlen(path) + strlen(token) + 2;
}

static void test_nodes(void)
{
	setup();
	ok(!callb(tools, XS_WRITE, 0, "/a/b/c|hello", &a) && !strcmp(a.data, "OK") && a.len == 3,
	   "WRITE answers OK");
	ok(!calls(tools, XS_READ, 0, "/a/b/c", &a) && a.len == 5 && !memcmp(a.data, "hello", 5),
	   "READ gives it back");
	ok(!calls(tools, XS_READ, 0, "/a/b", &a) && a.len == 0, "parents appear, empty");
	ok(calls(tools, XS_READ, 0, "/nope", &a) == ENOENT, "READ of nothing: ENOENT");
	ok(!calls(tools, XS_MKDIR, 0, "/a/d", &a) && !calls(tools, XS_MKDIR, 0, "/a/b/c", &a),
	   "MKDIR, also again");
	ok(!calls(tools, XS_READ, 0, "/a/b/c", &a) && a.len == 5, "MKDIR leaves a value alone");
	ok(!calls(tools, XS_DIRECTORY, 0, "/a", &a) && a.len == 4 && !memcmp(a.data, "b\0d", 4), "DIRECTORY");
	ok(!calls(tools, XS_DIRECTORY, 0, "/a/d", &a) && a.len == 0, "DIRECTORY of a leaf is empty");
	ok(calls(tools, XS_DIRECTORY, 0, "/x", &a) == ENOENT, "DIRECTORY of nothing: ENOENT");
	ok(!calls(tools, XS_RM, 0, "/a/b", &a) && calls(tools, XS_READ, 0, "/a/b/c", &a) == ENOENT,
	   "RM takes all below");
	ok(!calls(tools, XS_RM, 0, "/a/b", &a), "RM of nothing under a parent is fine");
	ok(calls(tools, XS_RM, 0, "/a/b/c", &a) == ENOENT, "RM of nothing under nothing: ENOENT");
	ok(calls(tools, XS_RM, 0, "/", &a) == EINVAL, "RM of / is refused");
	ok(!calls(tools, XS_READ, 0, "/local/domain/0/name", &a) && !memcmp(a.data, "Domain-0", 8),
	   "Domain-0 has a name");
	teardown("the tree is sound after it");
}

static void test_paths(void)
{
	static const char *const bad[] = { "",     "//",    "/a/",  "/a//b", "/a b",
		                           "/a\n", "/\xff", "/a/.", "@foo",  "/a:b" };
	char path[3200], text[64];
	bool all = true;

	setup();
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		all &= calls(tools, XS_READ, 0, bad[i], &a) == EINVAL;
	ok(all, "malformed paths: EINVAL");
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[2049] = '\0';
	ok(calls(tools, XS_MKDIR, 0, path, &a) == EINVAL, "a path that is too long: EINVAL");
	path[2048] = '\0';
	ok(!calls(tools, XS_MKDIR, 0, path, &a), "the longest path");
	for (int i = 0; i < 65; i++)
		memcpy(path + 2 * i, "/a", 3);
	ok(calls(tools, XS_MKDIR, 0, path, &a) == EINVAL, "a path that is too deep: EINVAL");
	path[128] = '\0';
	ok(!calls(tools, XS_MKDIR, 0, path, &a), "the deepest path");
	ok(calls(tools, 99, 0, "/", &a) == ENOSYS && calls(tools, XS_WATCH_EVENT, 0, "/", &a) == ENOSYS &&
	           calls(tools, 20, 0, "/", &a) == ENOSYS,
	   "unknown requests: ENOSYS");
	call(tools, XS_READ, 0, "/", 1, &a);
	ok(a.type == XS_ERROR && !strcmp(a.data, "EINVAL"), "a string without its end: EINVAL");
	call(tools, XS_READ, 0, NULL, 0, &a);
	ok(a.type == XS_ERROR, "an empty payload: an error");
	snprintf(text, sizeof(text), "/local/domain/0/rel");
	ok(!callb(tools, XS_WRITE, 0, "rel|1", &a) && !calls(tools, XS_READ, 0, text, &a),
	   "relative paths of dom0");
	ok(callb(tools, XS_WRITE, 0, "@x|1", &a) == EINVAL && calls(tools, XS_MKDIR, 0, "@x", &a) == EINVAL &&
	           calls(tools, XS_READ, 0, "@releaseDomain", &a) == EINVAL &&
	           calls(tools, XS_DIRECTORY, 0, "@releaseDomain", &a) == EINVAL &&
	           calls(tools, XS_RM, 0, "@releaseDomain", &a) == EINVAL &&
	           !callb(tools, XS_WRITE, 0, "rel/@x|1", &a),
	   "what begins with @ is no node: EINVAL");
	ok(callb(tools, XS_WATCH, 0, "rel|token|more|", &a) == EINVAL &&
	           callb(tools, XS_UNWATCH, 0, "rel|token|more|", &a) == EINVAL &&
	           callb(tools, XS_DIRECTORY_PART, 0, "rel|0|more|", &a) == EINVAL,
	   "a string more than there should be: EINVAL");
	teardown("the tree is sound after odd paths");
}

static void test_perms(void)
{
	struct conn *g1, *g2;

	setup();
	g1 = guest(s, 1);
	g2 = guest(s, 2);
	guest_home(tools, 1);
	ok(!callb(g1, XS_WRITE, 0, "data/x|7", &a), "a guest writes below its own home, by a relative path");
	ok(!calls(tools, XS_GET_PERMS, 0, "/local/domain/1/data/x", &a) && a.len == 3 &&
	           !strcmp(a.data, "n1"),
	   "what it makes is its own");
	ok(calls(g2, XS_READ, 0, "/local/domain/1/data/x", &a) == EACCES, "another guest may not read it");
	ok(calls(g2, XS_READ, 0, "/local/domain/1/data/nope", &a) == EACCES, "nor learn what is not there");
	ok(calls(g1, XS_READ, 0, "data/nope", &a) == ENOENT, "the owner may");
	ok(callb(g2, XS_WRITE, 0, "/local/domain/1/data/x|8", &a) == EACCES, "nor write");
	ok(callb(g1, XS_WRITE, 0, "/tool/x|8", &a) == EACCES, "guests do not write dom0's nodes");
	ok(!callb(g1, XS_SET_PERMS, 0, "data/x|n1|r2|", &a), "SET_PERMS by the owner");
	ok(!calls(g2, XS_READ, 0, "/local/domain/1/data/x", &a) && a.data[0] == '7', "now the other reads");
	ok(callb(g2, XS_WRITE, 0, "/local/domain/1/data/x|8", &a) == EACCES, "but does not write");
	ok(callb(g1, XS_SET_PERMS, 0, "data/x|n2|", &a) == EPERM, "a guest cannot give a node away");
	ok(callb(g2, XS_SET_PERMS, 0, "/local/domain/1/data/x|n1|b2|", &a) == EACCES, "nor take rights");
	ok(callb(g1, XS_SET_PERMS, 0, "data/x|q1|", &a) == EINVAL &&
	           callb(g1, XS_SET_PERMS, 0, "data/x|n|", &a) == EINVAL &&
	           callb(g1, XS_SET_PERMS, 0, "data/x|n1|r99999999999|", &a) == EINVAL &&
	           calls(g1, XS_SET_PERMS, 0, "data/x", &a) == EINVAL,
	   "malformed permissions: EINVAL");
	ok(callb(tools, XS_SET_PERMS, 0, "/tool|n9|", &a) == ENOENT &&
	           callb(tools, XS_SET_PERMS, 0, "/tool|n65536|", &a) == ENOENT &&
	           callb(g1, XS_SET_PERMS, 0, "data/x|n99999|", &a) == ENOENT,
	   "no domain that does not exist becomes owner, whatever its number");
	ok(!callb(tools, XS_SET_PERMS, 0, "/tool|n0|r9|b65537|n4294967295|", &a) &&
	           !calls(tools, XS_GET_PERMS, 0, "/tool", &a) && a.len == 25 &&
	           !memcmp(a.data, "n0\0r9\0b65537\0n4294967295\0", a.len) &&
	           calls(g1, XS_READ, 0, "/tool", &a) == EACCES,
	   "rights of domains that do not exist are kept and told, and are nobody's");
	callb(tools, XS_SET_PERMS, 0, "/tool|n0|", &a);
	ok(calls(g1, XS_CONTROL, 0, "check", &a) == EACCES &&
	           callb(g1, XS_INTRODUCE, 0, "3|1|1|", &a) == EACCES &&
	           calls(g1, XS_RELEASE, 0, "2", &a) == EACCES &&
	           callb(g1, XS_SET_TARGET, 0, "1|2|", &a) == EACCES &&
	           calls(g1, XS_RESUME, 0, "2", &a) == EACCES &&
	           calls(g1, XS_IS_DOMAIN_INTRODUCED, 0, "2", &a) == EACCES,
	   "dom0's requests are closed to guests");
	ok(!callb(tools, XS_SET_TARGET, 0, "2|1|", &a) &&
	           !callb(g2, XS_WRITE, 0, "/local/domain/1/data/x|8", &a),
	   "SET_TARGET gives a domain its target's rights");
	teardown("the tree is sound after permissions");
}

static void test_watches(void)
{
	struct conn *g1;

	setup();
	g1 = guest(s, 1);
	guest_home(tools, 1);
	drain(g1);
	ok(!callb(tools, XS_WATCH, 0, "/a|tok|", &a), "WATCH");
	ok(event_is(tools, "/a", "tok") && !tools->out_first, "one event at once");
	ok(callb(tools, XS_WATCH, 0, "/a|tok|", &a) == EEXIST, "the same again: EEXIST");
	callb(g1, XS_WRITE, 0, "data/q|1", &a);
	ok(!tools->out_first, "no event from elsewhere");
	{
		struct conn *other = conn_new(s, s->dom0, true, "other", NULL);

		callb(other, XS_WRITE, 0, "/a/b/c|1", &a);
		ok(event_is(tools, "/a/b/c", "tok") && !tools->out_first, "a change below, once");
		callb(other, XS_WRITE, 0, "/ab|1", &a);
		ok(!tools->out_first, "/ab is not below /a");
		callb(tools, XS_WATCH, 0, "/a/b/c|leaf|", &a);
		drain(tools);
		calls(other, XS_RM, 0, "/a", &a);
		ok(event_is(tools, "/a/b/c", "leaf") || tools->out_first,
		   "a watched node that goes with its parent is told");
		drain(tools);
		callb(tools, XS_WATCH, 0, "/|root|", &a);
		drain(tools);
		callb(other, XS_WRITE, 0, "/z|1", &a);
		ok(event_is(tools, "/z", "root"), "a watch on / sees all");
		callb(other, XS_SET_PERMS, 0, "/z|n0|r1|", &a);
		ok(event_is(tools, "/z", "root"), "permissions are a change too");
		ok(!callb(tools, XS_UNWATCH, 0, "/|root|", &a) &&
		           callb(tools, XS_UNWATCH, 0, "/|root|", &a) == ENOENT,
		   "UNWATCH, and not twice");
		callb(other, XS_WRITE, 0, "/z|2", &a);
		ok(!tools->out_first, "and it is quiet");
		conn_free(other);
	}
	callb(g1, XS_WATCH, 0, "data|rel|", &a);
	ok(event_is(g1, "data", "rel"), "relative watches are answered relatively");
	callb(tools, XS_WRITE, 0, "/local/domain/1/data/n|1", &a);
	ok(event_is(g1, "data/n", "rel"), "... also for changes below");
	callb(g1, XS_WATCH, 0, "/tool|secret|", &a);
	drain(g1);
	callb(tools, XS_WRITE, 0, "/tool/x|1", &a);
	ok(!g1->out_first, "no news of what a guest may not read");
	callb(g1, XS_WATCH, 0, "@releaseDomain|r|", &a);
	callb(tools, XS_WATCH, 0, "@releaseDomain|r|", &a);
	callb(tools, XS_WATCH, 0, "@introduceDomain|i|", &a);
	drain(g1);
	drain(tools);
	guest(s, 2);
	ok(event_is(tools, "@introduceDomain", "i") && !tools->out_first, "@introduceDomain");
	domain_shut_down(s, domain_find(s, 2));
	domain_shut_down(s, domain_find(s, 2));
	ok(event_is(tools, "@releaseDomain", "r") && !tools->out_first,
	   "@releaseDomain, once for a shutdown");
	ok(!g1->out_first, "guests do not hear it");
	callb(tools, XS_SET_PERMS, 0, "@releaseDomain|n0|r1|", &a);
	calls(tools, XS_RELEASE, 0, "2", &a);
	ok(event_is(g1, "@releaseDomain", "r"), "unless they were given the right");
	ok(!calls(g1, XS_RESET_WATCHES, 0, "", &a) && !g1->watches, "RESET_WATCHES");
	ok(callb(g1, XS_WATCH, 0, "data|", &a) == EINVAL, "WATCH without a token: EINVAL");
	teardown("the tree is sound after watches");
}

static void test_transactions(void)
{
	struct conn *g1;
	uint32_t t, u;

	setup();
	g1 = guest(s, 1);
	guest_home(tools, 1);
	callb(g1, XS_WATCH, 0, "/local/domain/1|w|", &a);
	drain(g1);
	t = begin(tools);
	callb(tools, XS_WRITE, t, "/local/domain/1/a/b|1", &a);
	ok(calls(tools, XS_READ, 0, "/local/domain/1/a/b", &a) == ENOENT && !g1->out_first,
	   "unseen before its end");
	ok(!calls(tools, XS_READ, t, "/local/domain/1/a/b", &a) && a.data[0] == '1', "seen within");
	ok(!calls(tools, XS_DIRECTORY, t, "/local/domain/1", &a) && !strcmp(a.data, "a"), "listed within");
	ok(!calls(tools, XS_TRANSACTION_END, t, "T", &a) &&
	           !calls(tools, XS_READ, 0, "/local/domain/1/a/b", &a),
	   "commit");
	t = begin(tools);
	callb(tools, XS_WRITE, t, "/order/longest|1", &a);
	callb(tools, XS_WRITE, t, "/order/b/deep|1", &a);
	callb(tools, XS_WRITE, t, "/order/middle|1", &a);
	calls(tools, XS_TRANSACTION_END, t, "T", &a);
	ok(!calls(tools, XS_DIRECTORY, 0, "/order", &a) && a.len == 17 &&
	           !memcmp(a.data, "longest\0b\0middle\0", a.len),
	   "children are listed in the order in which they were made");
	callb(tools, XS_SET_PERMS, 0, "/local/domain/1/a|n1|", &a);
	drain(g1);
	t = begin(tools);
	callb(tools, XS_WRITE, t, "/local/domain/1/a/b|2", &a);
	ok(!calls(tools, XS_TRANSACTION_END, t, "F", &a) &&
	           !calls(tools, XS_READ, 0, "/local/domain/1/a/b", &a) && a.data[0] == '1' && !g1->out_first,
	   "abort");
	t = begin(tools);
	calls(tools, XS_READ, t, "/local/domain/1/a/b", &a);
	callb(tools, XS_WRITE, 0, "/local/domain/1/a/b|3", &a);
	ok(!calls(tools, XS_READ, t, "/local/domain/1/a/b", &a) && a.data[0] == '1', "reads repeat");
	ok(calls(tools, XS_TRANSACTION_END, t, "T", &a) == EAGAIN, "a read that became stale: EAGAIN");
	t = begin(tools);
	u = begin(tools);
	callb(tools, XS_WRITE, t, "/local/domain/1/x|1", &a);
	callb(tools, XS_WRITE, u, "/local/domain/1/y|1", &a);
	ok(!calls(tools, XS_TRANSACTION_END, t, "T", &a) && !calls(tools, XS_TRANSACTION_END, u, "T", &a),
	   "different children of one node do not conflict");
	t = begin(tools);
	calls(tools, XS_DIRECTORY, t, "/local/domain/1", &a);
	callb(tools, XS_WRITE, t, "/tool/seen|1", &a);
	callb(tools, XS_WRITE, 0, "/local/domain/1/z|1", &a);
	ok(calls(tools, XS_TRANSACTION_END, t, "T", &a) == EAGAIN, "a list that became stale: EAGAIN");
	t = begin(tools);
	calls(tools, XS_RM, t, "/local/domain/1", &a);
	callb(tools, XS_WRITE, 0, "/local/domain/1/a/new|1", &a);
	ok(calls(tools, XS_TRANSACTION_END, t, "T", &a) == EAGAIN,
	   "a subtree that grew before its removal: EAGAIN");
	t = begin(tools);
	calls(tools, XS_RM, t, "/local/domain/1/a", &a);
	ok(calls(tools, XS_READ, t, "/local/domain/1/a/b", &a) == ENOENT, "removed within");
	callb(tools, XS_WRITE, t, "/local/domain/1/a/b|again", &a);
	ok(!calls(tools, XS_DIRECTORY, t, "/local/domain/1/a", &a) && a.len == 2 && !strcmp(a.data, "b"),
	   "made again within");
	ok(!calls(tools, XS_TRANSACTION_END, t, "T", &a) &&
	           calls(tools, XS_READ, 0, "/local/domain/1/a/new", &a) == ENOENT &&
	           !calls(tools, XS_READ, 0, "/local/domain/1/a/b", &a) && a.len == 5,
	   "both happen at once");
	ok(calls(tools, XS_READ, 12345, "/", &a) == ENOENT &&
	           calls(tools, XS_TRANSACTION_END, 0, "T", &a) == ENOENT,
	   "no such transaction: ENOENT");
	t = begin(tools);
	ok(calls(tools, XS_TRANSACTION_START, t, "", &a) == EBUSY, "none within another: EBUSY");
	ok(calls(tools, XS_TRANSACTION_END, t, "X", &a) == EINVAL, "an end must be T or F");
	t = begin(g1);
	ok(t && calls(tools, XS_READ, t + 100, "/", &a) == ENOENT, "transactions belong to their connection");
	domain_gone(s, domain_find(s, 1));
	teardown("the tree is sound after transactions, also one that its domain left open");
}

static void test_quotas(void)
{
	char text[4000];
	struct conn *g1;
	uint32_t t;
	int i;

	setup();
	g1 = guest(s, 1);
	guest_home(tools, 1);
	for (i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "n/%d|x", i);
		if (callb(g1, XS_WRITE, 0, text, &a))
			break;
	}
	ok(i < 1000 && i > 990 && callb(g1, XS_WRITE, 0, "n/z|x", &a) == ENOSPC, "nodes: ENOSPC");
	ok(callb(g1, XS_WRITE, 0, "q/q/q|x", &a) == ENOSPC && calls(g1, XS_READ, 0, "q", &a) == ENOENT,
	   "and nothing half made");
	calls(g1, XS_RM, 0, "n", &a);
	ok(!callb(g1, XS_WRITE, 0, "n/z|x", &a), "room again after RM");
	snprintf(text, sizeof(text), "n/z|%2048s", "");
	ok(!callb(g1, XS_WRITE, 0, text, &a), "the largest value");
	snprintf(text, sizeof(text), "n/z|%2049s", "");
	ok(callb(g1, XS_WRITE, 0, text, &a) == ENOSPC, "a larger one: ENOSPC");
	ok(!callb(g1, XS_SET_PERMS, 0, "n/z|n1|r2|r3|r4|r5|", &a) &&
	           callb(g1, XS_SET_PERMS, 0, "n/z|n1|r2|r3|r4|r5|r6|", &a) == ENOSPC,
	   "permission entries: ENOSPC");
	for (i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "n|%d|", i);
		if (callb(g1, XS_WATCH, 0, text, &a))
			break;
	}
	ok(i == 128 && callb(g1, XS_WATCH, 0, "n|z|", &a) == E2BIG, "watches: E2BIG");
	calls(g1, XS_RESET_WATCHES, 0, "", &a);
	for (i = 0; i < 20; i++)
		if (!begin(g1))
			break;
	ok(i == 10 && calls(g1, XS_TRANSACTION_START, 0, "", &a) == ENOSPC, "transactions: ENOSPC");
	calls(g1, XS_RESET_WATCHES, 0, "", &a);
	t = begin(g1);
	for (i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "absent/%d", i);
		if (calls(g1, XS_READ, t, text, &a) != ENOENT)
			break;
	}
	ok(i < 1024, "nodes in a transaction");
	calls(g1, XS_TRANSACTION_END, t, "F", &a);
	t = begin(g1);
	for (i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "n/%d|x", i);
		if (callb(g1, XS_WRITE, t, text, &a))
			break;
	}
	ok(i < 1000 || calls(g1, XS_TRANSACTION_END, t, "T", &a) == ENOSPC,
	   "no more nodes through a transaction");
	calls(g1, XS_RESET_WATCHES, 0, "", &a);
	for (i = 0; i < 5000; i++) {
		t = begin(g1);
		snprintf(text, sizeof(text), "big/%d|%2000s", i, "");
		if (callb(g1, XS_WRITE, t, text, &a) || calls(g1, XS_TRANSACTION_END, t, "T", &a))
			break;
	}
	ok(i < 1001 && domain_find(s, 1)->memory_bytes <= s->quotas.memory_bytes + 8192, "memory is bounded");
	calls(g1, XS_RESET_WATCHES, 0, "", &a);
	for (i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "/big%d|x", i);
		callb(tools, XS_WRITE, 0, text, &a);
	}
	ok(i == 1000, "dom0 has no such limits");
	teardown("the tree is sound after quotas");
}

/* A guest that watches and never reads. */
/* A transaction keeps what it found: replaced by its owner meanwhile, it is still held, and counts. */
static void test_kept_contents(void)
{
	char value[2100], id[8];
	struct conn *g;
	size_t before;
	uint32_t tx[5];

	setup();
	g = guest(s, 1);
	guest_home(tools, 1);
	memset(value, 'v', sizeof(value));
	before = domain_find(s, 1)->memory_bytes;
	for (size_t t = 0; t < G_N_ELEMENTS(tx); t++) {
		for (int i = 0; i < 40; i++) {
			snprintf(id, sizeof(id), "n%03d", i);
			memcpy(value, id, 5);
			call(g, XS_WRITE, 0, value, 2005, &a);
		}
		tx[t] = begin(g);
		for (int i = 0; i < 40; i++) {
			snprintf(id, sizeof(id), "n%03d", i);
			calls(g, XS_READ, tx[t], id, &a);
		}
	}
	ok(domain_find(s, 1)->memory_bytes >= before + 5 * 40 * 2000,
	   "what transactions keep alive counts against the quota");
	for (size_t t = 0; t < G_N_ELEMENTS(tx); t++)
		calls(g, XS_TRANSACTION_END, tx[t], "F", &a);
	ok(domain_find(s, 1)->memory_bytes < before + 40 * 2400, "and is given back with them");
	teardown("sound after kept contents");
}

/* Whose writes made a transaction of dom0's fail. */
static void test_blame(void)
{
	struct conn *g, *other;
	uint32_t tx;

	setup();
	g = guest(s, 1);
	other = guest(s, 2);
	guest_home(tools, 1);
	callb(tools, XS_SET_PERMS, 0, "/local/domain/1|n1|b2|", &a);
	callb(g, XS_WRITE, 0, "x|1", &a);
	fake_conflicts = 0;
	tx = begin(tools);
	calls(tools, XS_READ, tx, "/local/domain/1/x", &a);
	callb(g, XS_WRITE, 0, "x|2", &a);
	ok(calls(tools, XS_TRANSACTION_END, tx, "T", &a) == EAGAIN && fake_conflicts == 1 &&
	           fake_culprit == g,
	   "a guest's write is blamed on it");
	tx = begin(tools);
	calls(tools, XS_READ, tx, "/local/domain/1/x", &a);
	calls(g, XS_RM, 0, "x", &a);
	ok(calls(tools, XS_TRANSACTION_END, tx, "T", &a) == EAGAIN && fake_conflicts == 2 &&
	           fake_culprit == g,
	   "and so is a removal");
	tx = begin(tools);
	calls(tools, XS_DIRECTORY, tx, "/local/domain/1", &a);
	callb(other, XS_WRITE, 0, "/local/domain/1/y|", &a);
	ok(calls(tools, XS_TRANSACTION_END, tx, "T", &a) == EAGAIN && fake_conflicts == 3 &&
	           fake_culprit == other,
	   "and a new child, on the one who made it");
	tx = begin(g);
	calls(g, XS_READ, tx, "y", &a);
	callb(tools, XS_WRITE, 0, "/local/domain/1/y|z", &a);
	ok(calls(g, XS_TRANSACTION_END, tx, "T", &a) == EAGAIN && fake_conflicts == 3,
	   "dom0's are nobody's fault");
	callb(g, XS_WRITE, 0, "x|1", &a);
	tx = begin(other);
	calls(other, XS_READ, tx, "/local/domain/1/x", &a);
	callb(g, XS_WRITE, 0, "x|2", &a);
	ok(calls(other, XS_TRANSACTION_END, tx, "T", &a) == EAGAIN && fake_conflicts == 3,
	   "nor can one guest have another one held back");
	teardown("sound after conflicts");
}

static void test_unread_events(void)
{
	char text[64];
	struct conn *g1;
	int merged = 0, events = 0;

	setup();
	g1 = guest(s, 1);
	guest_home(tools, 1);
	callb(g1, XS_WATCH, 0, "a|one|", &a);
	callb(g1, XS_WATCH, 0, "b|two|", &a);
	drain(g1);
	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "/local/domain/1/%c/%d|x", "ab"[i & 1], i % 500);
		callb(tools, XS_WRITE, 0, text, &a);
	}
	ok(g1->event_count <= s->quotas.events + 2, "unsent events are bounded");
	while (take(g1, &a)) {
		events++;
		merged += !strcmp(a.data, "a") || !strcmp(a.data, "b");
	}
	ok(events && merged == 2, "each watch got the event that says: look again");
	callb(tools, XS_WRITE, 0, "/local/domain/1/a/1|y", &a);
	ok(event_is(g1, "a/1", "one"), "after reading, news are single again");
	callb(tools, XS_WRITE, 0, "/local/domain/1/a/1|y", &a);
	callb(tools, XS_WRITE, 0, "/local/domain/1/a/1|z", &a);
	ok(g1->event_count == 1, "equal events that wait become one");
	/* Half sent: it may not be taken back. */
	conn_output_done(g1, 5);
	callb(g1, XS_UNWATCH, 0, "a|one|", &a);
	ok(a.type == XS_UNWATCH, "UNWATCH while its event is half sent");
	for (int i = 0; i < 100; i++) {
		struct xsd_sockmsg hdr = { .type = XS_READ, .len = 2 };

		feed(g1, &hdr, sizeof(hdr), 16);
		feed(g1, "/", 2, 2);
		if (!conn_may_process(g1))
			break;
	}
	ok(g1->reply_count == s->quotas.replies, "and who does not take replies is no longer read");
	teardown("the tree is sound after unread events");
}

static void test_stream(void)
{
	char raw[2 * (sizeof(struct xsd_sockmsg) + 16)];
	static const char half[] = "/half\0value";
	struct xsd_sockmsg hdr = { .type = XS_READ, .req_id = 7, .len = 2 };
	struct conn *c;
	bool half_fed;

	setup();
	c = conn_new(s, s->dom0, true, "bytes", NULL);
	memcpy(raw, &hdr, sizeof(hdr));
	memcpy(raw + sizeof(hdr), "/", 2);
	hdr.req_id = 8;
	memcpy(raw + sizeof(hdr) + 2, &hdr, sizeof(hdr));
	memcpy(raw + 2 * sizeof(hdr) + 2, "/", 2);
	ok(!feed(c, raw, 2 * sizeof(hdr) + 4, 1) && take(c, &a) && a.req_id == 7 && take(c, &a) &&
	           a.req_id == 8 && !take(c, &a),
	   "requests byte by byte");
	hdr.len = XENSTORE_PAYLOAD_MAX + 1;
	ok(feed(c, &hdr, sizeof(hdr), 16) == EPROTO, "a payload over the limit ends the connection");
	conn_free(c);
	/* Its payload, as far as it came, would be a whole one. */
	c = conn_new(s, s->dom0, true, "half", NULL);
	hdr.type = XS_WRITE;
	hdr.len = sizeof(half) + 1;
	half_fed = !feed(c, &hdr, sizeof(hdr), 16) && !feed(c, half, sizeof(half), 3) && !take(c, &a);
	conn_free(c);
	ok(half_fed && calls(tools, XS_READ, 0, "/half", &a) == ENOENT && !calls(tools, XS_READ, 0, "/", &a),
	   "a connection may end in the middle of a request, which is not done then");
	teardown("the tree is sound after it");
}

static void test_directory_part(void)
{
	GString *all = g_string_new(NULL);
	char text[64], gen[32] = "";
	size_t names = 0;
	bool same = true, ended = false;

	setup();
	for (int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "/many/child-%04d|", i);
		callb(tools, XS_WRITE, 0, text, &a);
	}
	ok(calls(tools, XS_DIRECTORY, 0, "/many", &a) == E2BIG, "DIRECTORY of too many: E2BIG");
	for (int round = 0; round < 100 && !ended; round++) {
		size_t head;

		snprintf(text, sizeof(text), "/many|%zu|", all->len);
		callb(tools, XS_DIRECTORY_PART, 0, text, &a);
		head = strlen(a.data) + 1;
		same &= !*gen || !strcmp(gen, a.data);
		g_strlcpy(gen, a.data, sizeof(gen));
		ended = a.data[a.len - 1] == '\0' && a.data[a.len - 2] == '\0';
		g_string_append_len(all, a.data + head, a.len - head - (ended ? 1 : 0));
	}
	for (size_t i = 0; i < all->len; i++)
		names += all->str[i] == '\0';
	ok(ended && same && names == 3000, "DIRECTORY_PART gives all of them, under one generation");
	callb(tools, XS_WRITE, 0, "/many/one-more|", &a);
	callb(tools, XS_DIRECTORY_PART, 0, "/many|0|", &a);
	ok(strcmp(gen, a.data) != 0, "which changes with the list");
	callb(tools, XS_DIRECTORY_PART, 0, "/many|99999999|", &a);
	ok(a.type == XS_DIRECTORY_PART && a.len == strlen(a.data) + 2,
	   "beyond the end: an empty, ended list");
	ok(callb(tools, XS_DIRECTORY_PART, 0, "/many|-1|", &a) == EINVAL, "a malformed offset: EINVAL");
	g_string_free(all, TRUE);
	teardown("the tree is sound after it");
}

/* CONTROL log: requests are logged while it is on, and no more of them in a second than a log can take. */
static void test_request_log(void)
{
	struct conn *g1 = guest(s, 2);
	unsigned int before = fake_log_lines;

	calls(g1, XS_READ, 0, "/nowhere", &a);
	ok(fake_log_lines == before, "requests are not logged by themselves");
	ok(!callb(tools, XS_CONTROL, 0, "log|on|", &a), "CONTROL log on");
	calls(g1, XS_READ, 0, "/no\nwhere", &a);
	ok(strstr(fake_log_last, "READ") && strstr(fake_log_last, "/no?where"),
	   "then they are, and write nothing else there");
	before = fake_log_lines;
	for (unsigned int i = 0; i < 5000; i++)
		calls(g1, XS_READ, 0, "/nowhere", &a);
	ok(fake_log_lines - before < 4000, "a flood of them does not fill the log");
	ok(!callb(tools, XS_CONTROL, 0, "log|off|", &a), "CONTROL log off");
	before = fake_log_lines;
	calls(g1, XS_READ, 0, "/nowhere", &a);
	ok(fake_log_lines == before, "then they are not");
	ok(callb(tools, XS_CONTROL, 0, "log|maybe|", &a) == EINVAL, "CONTROL log of another word: EINVAL");
}

static void test_domains(void)
{
	struct conn *g1;

	setup();
	ok(!callb(tools, XS_INTRODUCE, 0, "1|1|5|", &a), "INTRODUCE");
	ok(!calls(tools, XS_IS_DOMAIN_INTRODUCED, 0, "1", &a) && !strcmp(a.data, "T"),
	   "IS_DOMAIN_INTRODUCED: T");
	ok(!calls(tools, XS_IS_DOMAIN_INTRODUCED, 0, "77", &a) && !strcmp(a.data, "F"), "... or F");
	ok(callb(tools, XS_INTRODUCE, 0, "9|1|5|", &a) == ENOENT &&
	           callb(tools, XS_INTRODUCE, 0, "0|1|5|", &a) == EINVAL &&
	           callb(tools, XS_INTRODUCE, 0, "3|1|0|", &a) == EINVAL &&
	           callb(tools, XS_INTRODUCE, 0, "3|1|", &a) == EINVAL &&
	           callb(tools, XS_INTRODUCE, 0, "3|1|666|", &a) == EINVAL &&
	           callb(tools, XS_INTRODUCE, 0, "32752|1|5|", &a) == EINVAL,
	   "INTRODUCE refuses what cannot be");
	ok(!calls(tools, XS_GET_DOMAIN_PATH, 0, "5", &a) && !strcmp(a.data, "/local/domain/5"),
	   "GET_DOMAIN_PATH");
	g1 = domain_find(s, 1)->conn;
	guest_home(tools, 1);
	callb(g1, XS_WRITE, 0, "mine/deep/er|1", &a);
	callb(tools, XS_WRITE, 0, "/elsewhere|1", &a);
	callb(tools, XS_SET_PERMS, 0, "/elsewhere|n0|b1|", &a);
	callb(tools, XS_WATCH, 0, "/local/domain/1|w|", &a);
	drain(tools);
	ok(calls(tools, XS_RESUME, 0, "2", &a) == ENOENT && !calls(tools, XS_RESUME, 0, "1", &a), "RESUME");
	domain_gone(s, domain_find(s, 1));
	ok(tools->out_first && calls(tools, XS_READ, 0, "/local/domain/1/mine", &a) == ENOENT,
	   "what a dead domain owned is gone, with an event");
	ok(!calls(tools, XS_GET_PERMS, 0, "/elsewhere", &a) && a.len == 6 && !strcmp(a.data + 3, "b1"),
	   "its rights are told until its number is another's");
	g1 = guest(s, 1);
	ok(calls(g1, XS_READ, 0, "/elsewhere", &a) == EACCES,
	   "its rights are not those of the next of its number");
	ok(!calls(tools, XS_GET_PERMS, 0, "/elsewhere", &a) && a.len == 3, "nor shown");
	ok(!callb(tools, XS_INTRODUCE, 0, "1|1|6|", &a) && !g1->watches,
	   "INTRODUCE again resets the connection");
	fake_releases = 0;
	ok(!calls(tools, XS_RELEASE, 0, "1", &a) && fake_releases == 1, "RELEASE");
	ok(calls(tools, XS_RELEASE, 0, "1", &a) == ENOENT && calls(tools, XS_RELEASE, 0, "0", &a) == EINVAL,
	   "not twice");
	ok(!calls(tools, XS_CONTROL, 0, "check", &a) && !strcmp(a.data, "OK"), "CONTROL check");
	ok(calls(tools, XS_CONTROL, 0, "live-update", &a) == EINVAL &&
	           calls(tools, XS_CONTROL, 0, "nonsense", &a) == EINVAL,
	   "CONTROL of another command: EINVAL, as on Xen");
	ok(!callb(tools, XS_CONTROL, 0, "quota|", &a) && strstr(a.data, "nodes"), "CONTROL quota");
	test_request_log();
	teardown("the tree is sound after domains");
}

/* As many nodes as a tool stack writes for one guest, in one transaction; how many there are. */
static unsigned int write_devices(struct conn *c, unsigned int devices, unsigned int leaves)
{
	uint32_t tx = begin(c);
	char text[96];

	for (unsigned int i = 0; i < devices; i++) {
		for (unsigned int k = 0; k < leaves; k++) {
			snprintf(text, sizeof(text), "/local/domain/0/backend/vbd/1/%u/leaf%u|x", i, k);
			callb(c, XS_WRITE, tx, text, &a);
		}
	}
	return calls(c, XS_TRANSACTION_END, tx, "T", &a) ? 0 : devices * leaves;
}

/* A guest's quotas are no bounds of dom0's kernel, whose connection is a ring as a guest's is. */
static void test_dom0_kernel(void)
{
	struct conn *kernel, *g1;
	unsigned int events = 0, named = 0, wanted;

	setup();
	kernel = conn_new(s, s->dom0, false, "dom0's kernel", NULL);
	g1 = guest(s, 1);
	guest_home(tools, 1);
	ok(!callb(kernel, XS_WATCH, 0, "/local/domain/0/backend|t|", &a),
	   "dom0's kernel watches its backends");
	drain(kernel);
	wanted = write_devices(tools, 96, 16);
	while (take(kernel, &a)) {
		events += a.type == XS_WATCH_EVENT;
		named += !strncmp(a.data, "/local/domain/0/backend/vbd/1/", 30);
	}
	ok(wanted && events == wanted && named == wanted, "a guest of 96 devices: it hears of every node");

	callb(kernel, XS_WATCH, 0, "/local/domain/1/f|t|", &a);
	drain(kernel);
	for (int i = 0; i < 2000; i++) {
		callb(g1, XS_WRITE, 0, "f/a|1", &a);
		callb(g1, XS_WRITE, 0, "f/b|1", &a);
	}
	ok(kernel->event_count <= 8, "a guest that writes the same nodes again and again queues few events");
	drain(kernel);

	s->quotas.path_depth = 4;
	s->quotas.path_bytes = 16;
	s->quotas.replies = 1;
	ok(!callb(tools, XS_WRITE, 0, "/local/domain/0/backend/vbd/1/51712/state|1", &a) &&
	           !callb(kernel, XS_WRITE, 0, "/tool/a/rather/long/path/of/dom0|1", &a),
	   "quotas of paths do not bind dom0");
	ok(callb(g1, XS_WRITE, 0, "a/b/c|1", &a) == EINVAL &&
	           callb(g1, XS_WRITE, 0, "aaaaaaaaaaaaaaaaaa|1", &a) == EINVAL,
	   "they bind guests");
	conn_message(tools, XS_READ, 1, 0, "x", 1);
	conn_message(g1, XS_READ, 1, 0, "x", 1);
	ok(conn_may_process(tools) && !conn_may_process(g1), "nor does that of replies");
	drain(tools);
	drain(g1);
	conn_free(kernel);
	teardown("the tree is sound after dom0's kernel");
}

static gint64 time_of(struct conn *c, uint32_t type, const char *path, int times)
{
	gint64 start = g_get_monotonic_time();

	for (int i = 0; i < times; i++)
		calls(c, type, 0, path, &a);
	return MAX(g_get_monotonic_time() - start, 1);
}

/* A list is made once, and again only after it has changed; what a turn costs is counted by its work. */
static void test_directory_cost(void)
{
	struct conn *g1;
	char text[64];
	gint64 read_us, list_us;
	unsigned int cheap, dear = 0;

	setup();
	g1 = guest(s, 1);
	guest_home(tools, 1);
	for (int i = 0; i < 990; i++) {
		snprintf(text, sizeof(text), "d/%03x|", i);
		callb(g1, XS_WRITE, 0, text, &a);
	}
	ok(!calls(g1, XS_DIRECTORY, 0, "d", &a) && a.len == 990 * 4, "DIRECTORY of 990 children");
	read_us = time_of(g1, XS_READ, "d/001", 20000);
	list_us = time_of(g1, XS_DIRECTORY, "d", 20000);
	printf("# READ %.2f us, DIRECTORY of 990 children %.2f us\n", read_us / 20000.0, list_us / 20000.0);
	ok(list_us < read_us * 30, "costs less than 30 READs when nothing changes");
	g1->work = 0;
	calls(g1, XS_READ, 0, "d/001", &a);
	cheap = g1->work;
	for (int i = 0; i < 10; i++) {
		callb(g1, XS_WRITE, 0, "d/more|", &a);
		g1->work = 0;
		calls(g1, XS_DIRECTORY, 0, "d", &a);
		dear += g1->work;
		calls(g1, XS_RM, 0, "d/more", &a);
	}
	ok(cheap == 1 && dear >= 10 * 10, "a list that is made anew counts as many requests");
	ok(!calls(g1, XS_DIRECTORY, 0, "d", &a) && a.len == 990 * 4 &&
	           !memcmp(a.data + 990 * 4 - 4, "3dd", 4),
	   "and is right after the changes");
	teardown("the tree is sound after lists");
}

/* Microseconds for each unit of work that a few requests cost, one of them after the other. */
static double unit_cost(struct conn *c, void (*some)(struct conn *c, unsigned int *work), int times,
                        const char *what)
{
	gint64 start = g_get_monotonic_time();
	unsigned int work = 0;
	double us;

	for (int i = 0; i < times; i++)
		some(c, &work);
	us = (double)MAX(g_get_monotonic_time() - start, 1);
	printf("# %s: %.2f us, %.1f units of work\n", what, us / times, (double)work / times);
	return us / work;
}

static char long_path[3000];

static void read_short(struct conn *c, unsigned int *work)
{
	calls(c, XS_READ, 0, "x", &a);
	*work += c->work;
}

static void read_long(struct conn *c, unsigned int *work)
{
	calls(c, XS_READ, 0, long_path, &a);
	*work += c->work;
}

static void read_long_in_transaction(struct conn *c, unsigned int *work)
{
	uint32_t t = begin(c);

	*work += c->work;
	calls(c, XS_READ, t, long_path, &a);
	*work += c->work;
	calls(c, XS_TRANSACTION_END, t, "F", &a);
	*work += c->work;
}

static void remove_in_transaction(struct conn *c, unsigned int *work)
{
	uint32_t t = begin(c);

	*work += c->work;
	calls(c, XS_RM, t, "d", &a);
	*work += c->work;
	calls(c, XS_TRANSACTION_END, t, "F", &a);
	*work += c->work;
}

static double write_us(struct conn *c)
{
	gint64 start = g_get_monotonic_time();

	for (int i = 0; i < 2000; i++)
		callb(c, XS_WRITE, 0, "f|1", &a);
	return (double)MAX(g_get_monotonic_time() - start, 1) / 2000;
}

/* A client that watches what is not its own makes nobody's changes slow; and each watch that is left still hears. */
static void test_many_watchers(void)
{
	struct conn *g1, *idle[20];
	unsigned int heard[20] = { 0 }, wrong = 0;
	double alone, among;
	char text[64];

	setup();
	g1 = guest(s, 100);
	guest_home(tools, 100);
	alone = write_us(g1);
	for (int i = 0; i < 20; i++) {
		idle[i] = guest(s, 101 + (unsigned int)i);
		for (int k = 0; k < 128; k++) {
			snprintf(text, sizeof(text), "%s|%d|", k & 1 ? "/" : "/local/domain/100", k);
			wrong += callb(idle[i], XS_WATCH, 0, text, &a) != 0;
			drain(idle[i]);
		}
	}
	among = write_us(g1);
	printf("# WRITE %.2f us, %.2f us with 2,560 watches of others above it\n", alone, among);
	ok(!wrong && among < alone * 4, "2,560 watches of those who may not know cost little");
	for (int i = 0; i < 20; i++) /* one connection keeps no watch of "/", the next one, and so on */
		for (int k = 1; k < 128; k += 2) {
			snprintf(text, sizeof(text), "/|%d|", (k + 6 * i) % 128);
			if ((k >> 1) % 21 <= i)
				continue;
			wrong += callb(idle[i], XS_UNWATCH, 0, text, &a) != 0;
		}
	callb(tools, XS_SET_PERMS, 0, "/|r0|", &a);
	for (int i = 0; i < 20; i++) {
		unsigned int left = 0;

		for (int k = 1; k < 128; k += 2)
			left += (k >> 1) % 21 <= i;
		while (take(idle[i], &a))
			heard[i] += a.type == XS_WATCH_EVENT && !strcmp(a.data, "/");
		wrong += heard[i] != left || !left;
	}
	ok(!wrong, "each watch that is left hears of a change that is for all, once");
	teardown("the tree is sound after many watchers");
}

static uint32_t made_in; /* the transaction that has made m and its children */

static void list_made(struct conn *c, unsigned int *work)
{
	calls(c, XS_DIRECTORY, made_in, "m", &a);
	*work += c->work;
}

static void remove_removed(struct conn *c, unsigned int *work)
{
	calls(c, XS_MKDIR, made_in, "m", &a);
	*work += c->work;
	calls(c, XS_RM, made_in, "m", &a);
	*work += c->work;
}

/* What a request costs is counted, so that no client gets much more of the store's time than others. */
static void test_request_costs(void)
{
	struct conn *g;
	char text[240];
	double plain;
	size_t at = 0;

	setup();
	g = guest(s, 1);
	guest_home(tools, 1);
	callb(g, XS_WRITE, 0, "x|1", &a);
	for (int i = 0; i < 60; i++)
		at += (size_t)snprintf(long_path + at, sizeof(long_path) - at, "%s%033d", i ? "/" : "", i);
	plain = unit_cost(g, read_short, 20000, "READ");
	ok(unit_cost(g, read_long, 500, "READ far below what exists") < 100 * plain,
	   "a long and deep path costs no more than is counted");
	ok(unit_cost(g, read_long_in_transaction, 200, "the same in a transaction") < 100 * plain,
	   "nor in a transaction");
	memset(text, 'y', sizeof(text));
	text[0] = 'd';
	text[1] = '/';
	for (int i = 0; i < 990; i++) {
		snprintf(text + 200, sizeof(text) - 200, "%d|", i);
		callb(g, XS_WRITE, 0, text, &a);
	}
	ok(unit_cost(g, remove_in_transaction, 20, "removing 990 nodes in a transaction") < 100 * plain,
	   "nor a removal in a transaction that is given up");
	calls(g, XS_RM, 0, "d", &a);
	made_in = begin(g);
	text[0] = 'm';
	for (int i = 0; i < 1000; i++) {
		snprintf(text + 200, sizeof(text) - 200, "%d|", i);
		callb(g, XS_WRITE, made_in, text, &a);
	}
	ok(unit_cost(g, list_made, 50, "listing 1,000 nodes that the transaction has made") < 100 * plain &&
	           g->work > 1000 / 8,
	   "nor a list of what a transaction has made");
	ok(unit_cost(g, remove_removed, 50, "removing them, and again what they were in") < 100 * plain &&
	           g->work > 1000 / 8,
	   "nor removals after that");
	calls(g, XS_TRANSACTION_END, made_in, "F", &a);
	guest(s, 2);
	callb(g, XS_SET_PERMS, 0, "x|n1|r2|", &a);
	ok(g->work == 1, "permissions of a domain that is known cost little");
	callb(g, XS_SET_PERMS, 0, "x|n1|r9|r9|r9|", &a);
	ok(g->work > 16, "for unknown ones the hypervisor is asked each time: a turn's worth");
	teardown("the tree is sound after costly requests");
}

/* Two paths whose plain multiplicative hashes are equal whatever the upper bits of the seed are. */
static void test_path_hash(void)
{
	unsigned int same = 0, low = 0;

	for (unsigned int round = 0; round < 64; round++) {
		uint64_t h[2];

		pathtab_seed(0x0123456789abcd00ULL * (round + 1), round << 8);
		h[0] = pathtab_hash("/a/x", 4);
		pathtab_seed(0xfedcba9876543200ULL * (round + 3), (round + 77) << 8);
		h[1] = pathtab_hash("/a/x", 4);
		same += h[0] == h[1];
		low += (h[0] & 0xff) == (h[1] & 0xff);
	}
	ok(!same && low < 8,
	   "the seed decides all bits of a path's hash, also when its low byte is the same");
	{
		/* With the old hash h1 - h2 depended on the low byte of the state before the difference. */
		uint64_t first = 0;
		bool moved = false;

		for (unsigned int round = 0; round < 64; round++) {
			uint64_t d;

			pathtab_seed((uint64_t)round << 32, (uint64_t)round << 40);
			d = pathtab_hash("/aa", 3) - pathtab_hash("/ab", 3);
			if (!round)
				first = d;
			moved |= d != first;
		}
		ok(moved, "and how two paths differ");
	}
}

static void test_ring(void)
{
	struct xenstore_domain_interface *page = g_malloc0(4096);
	struct store_ring r;
	char buf[2048];
	bool good = true;

	page->req_cons = page->req_prod = 0xffffff00u;
	page->rsp_cons = page->rsp_prod = 0xfffffff0u;
	ring_adopt(&r, page);
	ok(ring_read(&r, buf, sizeof(buf)) == 0, "an empty ring");
	for (uint32_t i = 0; i < 1024; i++)
		page->req[MASK_XENSTORE_IDX(page->req_prod + i)] = (char)i;
	page->req_prod += 1024;
	ok(ring_read(&r, buf, 1000) == 1000 && ring_read(&r, buf + 1000, 1000) == 24 &&
	           page->req_cons == page->req_prod,
	   "a full ring, across the wrap of its indices");
	for (int i = 0; i < 1024; i++)
		good &= buf[i] == (char)i;
	ok(good, "every byte in its place");
	ok(ring_write(&r, buf, 2000) == 1024 && ring_write(&r, buf, 1) == 0, "writes what there is room for");
	good = true;
	for (uint32_t i = 0; i < 1024; i++)
		good &= page->rsp[MASK_XENSTORE_IDX(page->rsp_cons + i)] == buf[i];
	ok(good, "every byte in its place again");
	page->rsp_cons += 10;
	ok(ring_write(&r, buf, 100) == 10, "and goes on");
	page->rsp_cons = r.rsp_prod + 1;
	ok(ring_write(&r, buf, 1) == -1, "a consumer ahead of the producer is impossible");
	page->rsp_cons = r.rsp_prod - 1025;
	ok(ring_write(&r, buf, 1) == -1, "so is one too far behind");
	page->req_prod = r.req_cons + 1025;
	ok(ring_read(&r, buf, 1) == -1, "and a producer too far ahead");
	page->req_prod = r.req_cons - 1;
	ok(ring_read(&r, buf, 1) == -1, "or behind");
	page->req_prod = r.req_cons + 4;
	page->req_cons = 12345; /* ours: what the guest writes there does not matter */
	ok(ring_read(&r, buf, 100) == 4, "a guest that writes our index changes nothing");
	ring_reset(&r);
	ok(!page->req_prod && !page->rsp_cons && ring_read(&r, buf, 1) == 0, "reset");
	g_free(page);
}

int main(void)
{
	test_nodes();
	test_paths();
	test_perms();
	test_watches();
	test_transactions();
	test_quotas();
	test_kept_contents();
	test_blame();
	test_unread_events();
	test_stream();
	test_directory_part();
	test_domains();
	test_dom0_kernel();
	test_directory_cost();
	test_request_costs();
	test_many_watchers();
	test_path_hash();
	test_ring();
	return tap_end();
}
