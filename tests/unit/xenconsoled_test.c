/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xenconsoled's pure parts: the ring, also with a hostile guest; the backlog; log files. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../libxenctrl/xenconsoled/consring.h"
#include "../../libxenctrl/xenconsoled/logwriter.h"
#include "../../libxenctrl/xenconsoled/output.h"
#include "../lib/tap.h"

static void test_ring(void)
{
	struct xencons_interface *p = g_malloc0(4096);
	struct consring r;
	char buf[4096];
	bool good = true;

	p->out_cons = p->out_prod = 0xfffffc00u;
	p->in_cons = p->in_prod = 0xfffffff0u;
	consring_adopt(&r, p);
	tap_ok(consring_read(&r, buf, sizeof(buf)) == 0, "an empty ring");
	for (uint32_t i = 0; i < 2048; i++)
		p->out[MASK_XENCONS_IDX(p->out_prod + i, p->out)] = (char)(i * 7);
	p->out_prod += 2048;
	tap_ok(consring_read(&r, buf, 2000) == 2000 && consring_read(&r, buf + 2000, 2000) == 48 &&
	               p->out_cons == p->out_prod,
	       "a full ring, across the wrap of its indices");
	for (int i = 0; i < 2048; i++)
		good &= buf[i] == (char)(i * 7);
	tap_ok(good, "every byte in its place");
	tap_ok(consring_room(&r) == 1024 && consring_write(&r, buf, 4096) == 1024 &&
	               consring_write(&r, buf, 1) == 0,
	       "input stops when the ring is full");
	p->in_cons += 3;
	tap_ok(consring_room(&r) == 3 && consring_write(&r, buf, 10) == 3,
	       "and goes on when the guest has read");
	p->in_cons = r.in_prod + 1;
	tap_ok(consring_room(&r) == 0 && consring_write(&r, buf, 1) == 0,
	       "an input index ahead of ours: no room");
	p->in_cons = r.in_prod - 5000;
	tap_ok(consring_write(&r, buf, 1) == 0, "or one too far behind");
	p->out_prod = r.out_cons + 2049;
	tap_ok(consring_read(&r, buf, sizeof(buf)) == -1 && p->out_cons == p->out_prod,
	       "an impossible producer is caught up with");
	tap_ok(consring_read(&r, buf, sizeof(buf)) == 0, "and is then empty");
	p->out_prod = r.out_cons - 1;
	tap_ok(consring_read(&r, buf, sizeof(buf)) == -1, "a producer that went back");
	p->out_prod = r.out_cons + 5;
	p->out_cons = 99;
	tap_ok(consring_read(&r, buf, sizeof(buf)) == 5, "a guest that writes our index changes nothing");
	for (uint32_t i = 0; i < 100000; i++) {
		p->out_prod = i * 2654435761u;
		p->in_cons = i * 40503u;
		int n = consring_read(&r, buf, sizeof(buf)), w = consring_write(&r, buf, i % 2000);

		good &= n >= -1 && n <= 2048 && w >= 0 && w <= 1024;
	}
	tap_ok(good, "100,000 wild indices");
	g_free(p);
}

static void test_backlog(void)
{
	struct backlog b;
	char big[300], out[300];
	size_t n, got = 0;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)i;
	backlog_init(&b, 100);
	backlog_put(&b, big, 60);
	backlog_put(&b, big + 60, 60);
	tap_ok(b.used == 100 && b.dropped == 20, "the oldest bytes make room");
	while (b.used) {
		const char *p = backlog_peek(&b, &n);

		memcpy(out + got, p, n);
		got += n;
		backlog_take(&b, n);
	}
	tap_ok(got == 100 && !memcmp(out, big + 20, 100), "the newest remain, in order");
	backlog_put(&b, big, 300);
	backlog_peek(&b, &n);
	tap_ok(b.used == 100 && b.dropped == 220, "more at once than it holds");
	backlog_fini(&b);
}

static char *contents(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static void test_log(void)
{
	static const struct log_limits limits = { 1000, 2, 100, 5000 };
	char *dir = g_dir_make_tmp("xenconsoled-XXXXXX", NULL), *text;
	g_autofree char *path = g_build_filename(dir, "g.log", NULL);
	static const char *const names[] = { "g.log", "g.log.1", "g.log.2", "g.log.3" };
	struct logfile l;
	struct stat st;
	char line[101];
	int reader = -1;

	memset(line, 'x', 100);
	tap_ok(!logfile_open(&l, path, &limits, 0), "a log is made");
	for (int i = 0; i < 25; i++)
		logfile_write(&l, line, 100, 0);
	logfile_close(&l);
	text = contents(dir, "g.log.2");
	tap_ok(text && strlen(text) == 1000, "it rotates by size");
	g_free(text);
	logfile_open(&l, path, &limits, 0);
	for (int i = 0; i < 25; i++)
		logfile_write(&l, line, 100, 0);
	text = contents(dir, "g.log.3");
	tap_ok(!text, "old files go");
	tap_ok(l.size == 1000, "a reopened log goes on");
	for (int i = 0; i < 100; i++)
		logfile_write(&l, line, 100, 0);
	tap_ok(l.dropped == 7500, "more than the rate allows is dropped and counted");
	logfile_write(&l, "end\n", 4, 10 * G_USEC_PER_SEC);
	text = contents(dir, "g.log");
	tap_ok(text && strstr(text, "[xenconsoled: 7500 bytes were dropped]") && strstr(text, "end\n"),
	       "and mentioned later");
	g_free(text);
	logfile_close(&l);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *file = g_build_filename(dir, names[i], NULL);

		g_unlink(file);
	}
	/* As a device is: a file end may name one. */
	tap_ok(!mkfifo(path, 0600) && (reader = open(path, O_RDONLY | O_NONBLOCK)) >= 0 &&
	               !logfile_open(&l, path, &limits, 0),
	       "what is no regular file is opened");
	for (int i = 0; i < 25; i++)
		logfile_write(&l, line, 100, 0);
	text = contents(dir, "g.log.1");
	tap_ok(!lstat(path, &st) && S_ISFIFO(st.st_mode) && !text && read(reader, line, 100) == 100,
	       "written, and never renamed");
	g_free(text);
	close(reader);
	logfile_close(&l);
	g_unlink(path);
	tap_ok(!symlink("/dev/null", path) && logfile_open(&l, path, &limits, 0) != 0,
	       "a symbolic link is not followed");
	logfile_close(&l);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *file = g_build_filename(dir, names[i], NULL);

		g_unlink(file);
	}
	g_rmdir(dir);
	g_free(dir);
}

/* Files named "dead" lie on a disk that does not answer: whoever writes waits until the test lets go. */
static GMutex disk;

void __real_logfile_write(struct logfile *l, const char *bytes, size_t n, int64_t now_us);
void __wrap_logfile_write(struct logfile *l, const char *bytes, size_t n, int64_t now_us);

void __wrap_logfile_write(struct logfile *l, const char *bytes, size_t n, int64_t now_us)
{
	if (strstr(l->path, "dead")) {
		g_mutex_lock(&disk);
		g_mutex_unlock(&disk);
	}
	__real_logfile_write(l, bytes, n, now_us);
}

static void test_dead_disk(void)
{
	static const struct log_limits limits = { 1 << 20, 1, 1 << 20, 1 << 20 };
	char *dir = g_dir_make_tmp("xenconsoled-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "dead.log", NULL), *text = NULL;
	/* Left behind, with what it was told last, as at the daemon's end; in reach, for it is no leak. */
	static struct logwriter *w;
	struct log *l;
	gint64 begun = g_get_monotonic_time();
	char line[100];

	w = logwriter_new();
	l = log_new(w, path, &limits, 65536);
	memset(line, 'x', sizeof(line));
	g_mutex_lock(&disk);
	log_put(l, "first\n", 6);
	for (int i = 0; i < 100000; i++)
		log_put(l, line, sizeof(line));
	tap_ok(g_get_monotonic_time() - begun < 10 * G_USEC_PER_SEC,
	       "a disk that does not answer keeps nobody waiting");
	tap_ok(!logwriter_free(w, 100000), "nor the daemon's end");
	g_mutex_unlock(&disk);
	/* What was dropped is told with the next bytes. */
	for (int i = 0; i < 1000 && !text; i++) {
		g_usleep(5000);
		text = contents(dir, "dead.log");
		if (text && strlen(text) < 65536)
			g_clear_pointer(&text, g_free);
	}
	tap_ok(text && g_str_has_prefix(text, "first\n") && strlen(text) <= 2 * 65536 + 100,
	       "it has the first bytes when it is back, and a bounded number of the others");
	g_unlink(path);
	g_rmdir(dir);
	g_free(dir);
	log_end(l); /* nobody takes it any more: the writer has gone */
}

static unsigned int threads(void)
{
	GDir *dir = g_dir_open("/proc/self/task", 0, NULL);
	unsigned int n = 0;

	while (g_dir_read_name(dir))
		n++;
	g_dir_close(dir);
	return n;
}

/* Waits until the file has that text, and nothing else. */
static bool gets(const char *dir, const char *name, const char *wanted)
{
	bool same = false;

	for (int i = 0; i < 400 && !same; i++) {
		g_autofree char *text = contents(dir, name);

		same = text && !strcmp(text, wanted);
		if (!same)
			g_usleep(5000);
	}
	return same;
}

static void remove_all(char *dir)
{
	GDir *d = g_dir_open(dir, 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(d))) {
		g_autofree char *path = g_build_filename(dir, name, NULL);

		g_unlink(path);
	}
	g_dir_close(d);
	g_rmdir(dir);
	g_free(dir);
}

static struct log *new_log(struct logwriter *w, const char *dir, const char *name)
{
	static const struct log_limits limits = { 1 << 20, 1, 1 << 20, 1 << 20 };
	g_autofree char *path = g_build_filename(dir, name, NULL);

	return log_new(w, path, &limits, 65536);
}

/* Files that do not answer: more than there may be threads, in two folders. */
static void test_dead_files(void)
{
	char *dir = g_dir_make_tmp("xenconsoled-XXXXXX", NULL),
	     *other = g_dir_make_tmp("xenconsoled-XXXXXX", NULL);
	struct logwriter *w = logwriter_new();
	struct log *dead[200], *l;
	unsigned int before = threads();
	char name[32];

	g_mutex_lock(&disk);
	dead[0] = new_log(w, dir, "dead-0");
	log_put(dead[0], "0\n", 2);
	l = new_log(w, dir, "good");
	log_put(l, "one\n", 4);
	tap_ok(gets(dir, "good", "one\n"),
	       "a file that does not answer does not hold up the next one in its folder");
	for (int i = 1; i < 200; i++) {
		snprintf(name, sizeof(name), "dead-%d", i);
		dead[i] = new_log(w, dir, name);
		log_put(dead[i], "0\n", 2);
	}
	log_put(l, "two\n", 4);
	log_end(l);
	l = new_log(w, other, "good");
	for (int i = 0; i < 8; i++) {
		g_usleep(300000);
		log_put(l, "x", 1);
	}
	tap_ok(gets(other, "good", "xxxxxxxx"), "nor do 200 of them those in another folder");
	printf("# %u threads\n", threads() - before);
	tap_ok(threads() - before <= 64, "nor do they take a thread each");
	for (int i = 0; i < 200; i++)
		log_end(dead[i]);
	log_end(l);
	g_mutex_unlock(&disk);
	tap_ok(logwriter_free(w, 20 * G_USEC_PER_SEC), "a writer ends when they answer");
	tap_ok(gets(dir, "dead-0", "0\n") && gets(dir, "dead-15", "0\n") && gets(dir, "good", "one\ntwo\n"),
	       "with all that waited");
	remove_all(dir);
	remove_all(other);
}

/* A guest that starts again and again, each time with a log of the same name. */
static void test_dead_and_again(void)
{
	char *dir = g_dir_make_tmp("xenconsoled-XXXXXX", NULL);
	struct logwriter *w = logwriter_new();
	g_autofree char *text = NULL;
	unsigned int lines = 0;
	char line[32];
	bool good = true;

	g_mutex_lock(&disk);
	for (int i = 0; i < 1000; i++) {
		struct log *l = new_log(w, dir, "dead");

		snprintf(line, sizeof(line), "%d\n", i);
		log_put(l, line, strlen(line));
		log_end(l);
	}
	g_mutex_unlock(&disk);
	tap_ok(logwriter_free(w, 20 * G_USEC_PER_SEC), "1,000 logs of one path");
	text = contents(dir, "dead");
	for (char *at = text; at && *at; at = strchr(at, '\n') + 1)
		good &= (unsigned int)atoi(at) == lines++;
	printf("# %u of them in the file\n", lines);
	tap_ok(good && lines >= 10 && lines <= 100, "a bounded number is written, in their order");
	remove_all(dir);
}

static void test_last_words(void)
{
	static const struct log_limits limits = { 1 << 20, 1, 1 << 20, 1 << 20 };
	char *dir = g_dir_make_tmp("xenconsoled-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "g.log", NULL), *text = NULL;
	struct logwriter *w = logwriter_new();
	struct log *l = log_new(w, path, &limits, 1000);

	log_put(l, "last words\n", 11);
	log_end(l);
	tap_ok(logwriter_free(w, 10 * G_USEC_PER_SEC), "a writer ends when all is written");
	text = contents(dir, "g.log");
	tap_ok(text && !strcmp(text, "last words\n"), "what was said before the end is in the file");
	g_unlink(path);
	g_rmdir(dir);
	g_free(dir);
}

/* A log that could not be opened again after it was rotated is not lost permanently. */
static void test_reopen(void)
{
	static const struct log_limits limits = { 100, 1, 1 << 20, 1 << 20 };
	char *dir = g_dir_make_tmp("xenconsoled-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "g.log", NULL), *away = g_strconcat(dir, ".away", NULL);
	g_autofree char *text = NULL;
	struct logfile l;
	char line[90];

	memset(line, 'x', sizeof(line));
	logfile_open(&l, path, &limits, 0);
	logfile_write(&l, line, sizeof(line), 0);
	tap_ok(!rename(dir, away), "the folder is away");
	logfile_write(&l, line, sizeof(line), 0);
	tap_ok(!rename(away, dir), "and back");
	logfile_write(&l, "too soon\n", 9, G_USEC_PER_SEC);
	logfile_write(&l, "again\n", 6, 6 * G_USEC_PER_SEC);
	text = contents(dir, "g.log");
	tap_ok(text && strstr(text, "[xenconsoled: 99 bytes were dropped]") && strstr(text, "again\n"),
	       "the log is opened again, and says what is missing");
	logfile_close(&l);
	for (int i = 0; i < 2; i++) {
		g_autofree char *old = g_strconcat(path, i ? ".1" : "", NULL);

		g_unlink(old);
	}
	g_rmdir(dir);
	g_free(dir);
}

/* Every two names have two logs, and each log's name is one that a file may have. */
static void test_path_is_its_own(void)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	static const char *const given[] = { "my guest", "my_guest",  "my\tguest", "my%20guest",
		                             "my/guest", "my\\guest", "..",        ".",
		                             "\x01",     "\x7f",      "%",         "%%",
		                             "guest",    "Guest",     "guest.log", "guest.log.1" };
	bool all = true;

	for (size_t i = 0; i < G_N_ELEMENTS(given); i++)
		g_ptr_array_add(names, g_strdup(given[i]));
	for (gsize length = 230; length <= 255; length++) {
		for (const char *last = "nm /"; *last; last++) {
			char *name = g_strnfill(length, 'n');

			name[length - 1] = *last;
			g_ptr_array_add(names, name);
		}
	}
	for (guint i = 0; i < names->len; i++) {
		char *path = log_path("/log", names->pdata[i]);

		all &= !strchr(path + strlen("/log/"), '/') &&
		       strlen(path) - strlen("/log/") + strlen(".1000") <= 255;
		all &= g_hash_table_add(seen, path);
	}
	tap_ok(all, "names with blanks, tabs, dots, of 255 bytes: each has a log of its own");
}

static void test_path(void)
{
	g_autofree char *name = g_strnfill(255, 'n'), *other = g_strdup(name), *a = NULL, *b = NULL,
	                *c = NULL;

	other[254] = 'm';
	a = log_path("/log", name);
	b = log_path("/log", other);
	c = log_path("/log", "../a\nb");
	tap_ok(strlen(a) - strlen("/log/") + strlen(".1000") <= 255 && strcmp(a, b),
	       "a name of 255 bytes has a log, and one of its own");
	tap_ok(!strcmp(c, "/log/guest-..%2fa%0ab.log"), "a name is no path");
	test_path_is_its_own();
}

/* Looks without end are so many a second, however long a guest goes on. */
static void test_throttle(void)
{
	struct throttle t;
	int64_t wait_us, now = 1000;
	unsigned int taken = 0;

	throttle_init(&t, now);
	while (throttle_take(&t, now, &wait_us))
		taken++;
	tap_ok(taken == LOOKS_AT_ONCE, "a burst is let through");
	taken = 0;
	for (now += wait_us; now < 10 * G_USEC_PER_SEC;
	     now += throttle_take(&t, now, &wait_us) ? taken++, 0 : wait_us)
		;
	tap_ok(taken > 9 * LOOKS_PER_SECOND && taken <= 10 * LOOKS_PER_SECOND, "then so many a second");
	now += INT64_C(3600) * G_USEC_PER_SEC;
	for (taken = 0; throttle_take(&t, now, &wait_us); taken++)
		;
	tap_ok(taken == LOOKS_AT_ONCE, "and a burst again after a rest");
}

int main(void)
{
	test_ring();
	test_backlog();
	test_log();
	test_last_words();
	test_reopen();
	test_path();
	test_throttle();
	test_dead_files();
	test_dead_and_again();
	test_dead_disk();
	return tap_end();
}
