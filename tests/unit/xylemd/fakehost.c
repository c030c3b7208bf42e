/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fakehost.h. */
#include "fakehost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backdev.h"
#include "disk.h"
#include "error.h"
#include "layout.h"
#include "nic.h"
#include "storeio.h"
#include "worker.h"

struct fake_domain fake_domains[FAKE_DOMAINS];
bool fake_held, fake_reboots_at_once;
bool fake_console_refused;
const char *fake_unread;
gint fake_refusals;
bool fake_frontends = true;
uint64_t fake_free_pages = 1 << 20;
uint64_t fake_claimed_pages;
const char *fake_bad_image;
gint fake_unpacked;

static GMutex lock;
static GCond changed;
static bool shut[GATES];
static int waiting[GATES];
static GHashTable *nodes;
static uint32_t last_domid;

void fake_lock(void)
{
	g_mutex_lock(&lock);
}

void fake_unlock(void)
{
	g_mutex_unlock(&lock);
}

void fake_gate(enum gate gate, bool open)
{
	fake_lock();
	shut[gate] = !open;
	g_cond_broadcast(&changed);
	fake_unlock();
}

int fake_waiting(enum gate gate)
{
	int count;

	fake_lock();
	count = waiting[gate];
	fake_unlock();
	return count;
}

/* cancelled: as storeio_wait()'s. */
static void pass(enum gate gate, const gint *cancelled)
{
	fake_lock();
	waiting[gate]++;
	while (shut[gate] && !(cancelled && g_atomic_int_get(cancelled)))
		g_cond_wait(&changed, &lock);
	waiting[gate]--;
	fake_unlock();
}

uint32_t fake_find(const uint8_t uuid[16])
{
	uint32_t found = 0, i;

	fake_lock();
	for (i = 1; i < FAKE_DOMAINS; i++) {
		if (fake_domains[i].there && !fake_domains[i].dying &&
		    !memcmp(fake_domains[i].uuid, uuid, 16))
			found = i;
	}
	fake_unlock();
	return found;
}

void fake_stop(uint32_t domid, int reason)
{
	fake_lock();
	fake_domains[domid].shutdown = true;
	fake_domains[domid].reason = reason;
	fake_unlock();
}

/* ---- the hypervisor ---- */

const char *xyl_error(void)
{
	return "as the test wants it";
}

static int fail(int error)
{
	errno = error;
	return -1;
}

static struct fake_domain *find(uint32_t domid)
{
	return domid < FAKE_DOMAINS && fake_domains[domid].there ? &fake_domains[domid] : NULL;
}

static void tell(uint32_t domid, struct xyl_dominfo *info)
{
	const struct fake_domain *d = &fake_domains[domid];

	memset(info, 0, sizeof(*info));
	info->domid = domid;
	info->dying = d->dying;
	info->shutdown = d->shutdown;
	info->shutdown_reason = d->shutdown ? d->reason : -1;
	info->paused = d->pauses > 0;
	info->memory_pages = d->memory_pages;
	info->cpupool = d->dying ? 0 : d->cpupool; /* as hypervisors have it */
	memcpy(info->uuid, d->uuid, 16);
}

int xyl_domain_info(struct xyl *x, uint32_t domid, struct xyl_dominfo *info)
{
	struct fake_domain *d;

	(void)x;
	fake_lock();
	d = find(domid);
	if (d)
		tell(domid, info);
	fake_unlock();
	return d ? 0 : fail(ESRCH);
}

unsigned fake_lists;

int xyl_domain_list_all(struct xyl *x, struct xyl_dominfo **infos)
{
	struct xyl_dominfo *list = calloc(FAKE_DOMAINS, sizeof(*list));
	int count = 0;
	uint32_t i;

	(void)x;
	fake_lock();
	for (i = 0; i < FAKE_DOMAINS; i++) {
		if (i == 0 || fake_domains[i].there)
			tell(i, &list[count++]);
	}
	fake_lists++;
	fake_unlock();
	*infos = list;
	return count;
}

int xyl_domain_create(struct xyl *x, const struct xyl_create *config, uint32_t *domid)
{
	struct fake_domain *d;

	(void)x;
	fake_lock();
	do
		last_domid = last_domid % (FAKE_DOMAINS - 1) + 1;
	while (fake_domains[last_domid].there);
	d = &fake_domains[last_domid];
	memset(d, 0, sizeof(*d));
	d->there = true;
	d->pauses = 1;
	d->weight = 256;
	d->cpupool = config->cpupool;
	memset(d->affinity, 0xff, sizeof(d->affinity));
	memcpy(d->uuid, config->uuid, 16);
	*domid = last_domid;
	fake_unlock();
	return 0;
}

/* A domain whose backends hold it is dying until they let go. */
int xyl_domain_destroy(struct xyl *x, uint32_t domid)
{
	struct fake_domain *d;

	(void)x;
	fake_lock();
	d = find(domid);
	if (d) {
		d->dying = true;
		d->there = shut[GATE_GONE] || fake_held;
	}
	fake_unlock();
	return d ? 0 : fail(ESRCH);
}

#define DOMAIN_CALL(change)    \
	struct fake_domain *d; \
	(void)x;               \
	fake_lock();           \
	d = find(domid);       \
	if (d && !d->dying) {  \
		change;        \
	} else {               \
		d = NULL;      \
	}                      \
	fake_unlock();         \
	return d ? 0 : fail(ESRCH)

int xyl_domain_pause(struct xyl *x, uint32_t domid)
{
	DOMAIN_CALL(d->pauses++);
}

int xyl_domain_unpause(struct xyl *x, uint32_t domid)
{
	DOMAIN_CALL(d->pauses--; if (fake_reboots_at_once) {
		fake_reboots_at_once = false;
		d->shutdown = true;
		d->reason = XYL_SHUTDOWN_REBOOT;
	});
}

int xyl_domain_set_tsc(struct xyl *x, uint32_t domid, enum xyl_tsc mode)
{
	DOMAIN_CALL(d->tsc = mode);
}

int xyl_domain_hide_features(struct xyl *x, uint32_t domid, const struct xyl_cpuid *off, size_t count)
{
	DOMAIN_CALL(d->hidden = off[count - 1].ecx);
}

int xyl_domain_set_time_offset(struct xyl *x, uint32_t domid, int64_t seconds)
{
	DOMAIN_CALL(d->time_offset_s = seconds);
}

bool fake_no_rename;

int xyl_domain_set_uuid(struct xyl *x, uint32_t domid, const uint8_t uuid[16])
{
	if (fake_no_rename)
		return fail(EPERM);
	DOMAIN_CALL(memcpy(d->uuid, uuid, 16));
}

int xyl_memory_set_max(struct xyl *x, uint32_t domid, uint64_t kib)
{
	DOMAIN_CALL(d->max_kib = kib);
}

int xyl_memory_claim(struct xyl *x, uint32_t domid, uint64_t pages)
{
	DOMAIN_CALL((void)pages);
}

bool fake_no_caps;

int xyl_sched_set(struct xyl *x, uint32_t domid, const struct xyl_sched *params)
{
	if (fake_no_caps)
		return fail(EOPNOTSUPP);
	DOMAIN_CALL((d->weight = params->weight, d->cap = params->cap));
}

int xyl_sched_get(struct xyl *x, uint32_t domid, struct xyl_sched *params)
{
	DOMAIN_CALL((params->weight = d->weight, params->cap = d->cap));
}

int xyl_vcpu_set_affinity(struct xyl *x, uint32_t domid, uint32_t vcpu, const uint8_t *hard,
                          const uint8_t *soft, size_t bytes)
{
	(void)soft;
	DOMAIN_CALL(if (vcpu < sizeof(d->affinity) && bytes) d->affinity[vcpu] = hard[0]);
}

int xyl_evtchn_alloc(struct xyl *x, uint32_t domid, uint32_t remote)
{
	(void)x, (void)domid, (void)remote;
	return 7;
}

static uint32_t fake_bound; /* the domain to which the last channel leads */

struct xyl_evtchn *xyl_evtchn_open(void)
{
	fake_channels++;
	return (struct xyl_evtchn *)&fake_channels;
}

void xyl_evtchn_close(struct xyl_evtchn *e)
{
	if (e)
		fake_channels--;
}

int xyl_evtchn_bind_interdomain(struct xyl_evtchn *e, uint32_t domid, uint32_t port)
{
	(void)e;
	fake_bound = domid;
	return fake_suspend_port && port == fake_suspend_port ? 9 : fail(EINVAL);
}

int xyl_evtchn_notify(struct xyl_evtchn *e, uint32_t port)
{
	(void)e;
	if (fake_no_event || port != 9)
		return fail(EIO);
	g_atomic_int_inc(&fake_asks);
	if (fake_suspend == FAKE_SUSPENDS)
		fake_stop(fake_bound, XYL_SHUTDOWN_SUSPEND);
	return 0;
}

int xyl_host_info(struct xyl *x, struct xyl_hostinfo *info)
{
	(void)x;
	memset(info, 0, sizeof(*info));
	info->free_pages = fake_free_pages;
	info->outstanding_pages = fake_claimed_pages;
	return 0;
}

int xyl_domain_build_pv(struct xyl *x, uint32_t domid, const struct xyl_pv_build *build,
                        struct xyl_pv_built *built)
{
	(void)build;
	memset(built, 0, sizeof(*built));
	pass(GATE_BUILD, NULL);
	DOMAIN_CALL((void)0);
}

enum fake_suspend fake_suspend;
gint fake_asks;
uint32_t fake_suspend_port;
bool fake_no_event;
int fake_channels;
void (*fake_late)(void);
int fake_save_error;
bool fake_no_log;
int fake_count_error;
uint64_t fake_count_us;
struct xyl_live_limits fake_live_limits;
bool fake_zeros_by_type;

int xyl_domain_resume(struct xyl *x, uint32_t domid)
{
	DOMAIN_CALL(d->shutdown = false);
}

static bool suspended(uint32_t domid)
{
	bool is;

	fake_lock();
	is = fake_domains[domid].there && !fake_domains[domid].dying && fake_domains[domid].shutdown &&
	     fake_domains[domid].reason == XYL_SHUTDOWN_SUSPEND;
	fake_unlock();
	return is;
}

static bool has_stopped(uint32_t domid)
{
	bool is;

	fake_lock();
	is = !fake_domains[domid].there || fake_domains[domid].dying || fake_domains[domid].shutdown;
	fake_unlock();
	return is;
}

/* Tells how far it has come while a gate is shut. domid: that must run meanwhile, or 0. */
static int report(enum gate gate, const struct xyl_progress *far, uint32_t domid, xyl_progress_fn *progress,
                  void *data)
{
	int error = 0;
	bool wait = true;

	fake_lock();
	waiting[gate]++;
	fake_unlock();
	while (wait && !error) {
		if (!progress(far, data))
			error = ECANCELED;
		else if (domid && has_stopped(domid))
			error = EBUSY;
		fake_lock();
		wait = shut[gate];
		fake_unlock();
		g_usleep(1000);
	}
	fake_lock();
	waiting[gate]--;
	fake_unlock();
	return error ? fail(error) : 0;
}

static int write_late(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	if (fake_late)
		fake_late();
	return 0;
}

int xyl_domain_save(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress, void *data)
{
	struct xyl_progress far = { .pages_total = 100, .pages_done = 50, .bytes_done = 4096 };

	(void)x;
	if (report(GATE_SAVE, &far, 0, progress, data))
		return -1;
	if (fake_save_error)
		return fail(fake_save_error);
	if (!suspended(domid))
		return fail(EBUSY);
	return write_late(fd, FAKE_STREAM);
}

int xyl_domain_send(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress, void *data)
{
	fake_zeros_by_type = true;
	return xyl_domain_save(x, domid, fd, progress, data);
}

int xyl_domain_save_live_end(struct xyl *x, uint32_t domid)
{
	DOMAIN_CALL(d->logging = false);
}

static int begin_log(uint32_t domid)
{
	if (fake_no_log)
		return fail(ENOTSUP);
	fake_lock();
	fake_domains[domid].logging = true;
	fake_unlock();
	return 0;
}

/* The error is that of rc. */
static int end_log(struct xyl *x, uint32_t domid, int rc)
{
	int error = errno;

	if (xyl_domain_save_live_end(x, domid) == 0)
		errno = error;
	return rc;
}

static int save_live(uint32_t domid, int fd, const struct xyl_live *how, xyl_progress_fn *progress,
                     void *data)
{
	struct xyl_progress far = {
		.pages_total = 100, .pages_done = 50, .round = 1, .dirty_pages = 60, .rate = 7
	};
	struct xyl_live_limits limits = { 0 };
	int error;

	if (report(GATE_ROUNDS, &far, domid, progress, data))
		return -1;
	how->limits(&limits, data);
	fake_lock();
	fake_live_limits = limits;
	fake_zeros_by_type = how->zeros_by_type;
	fake_unlock();
	if (limits.throttle_initial && how->throttle(limits.throttle_initial, data)) {
		far.throttle = limits.throttle_initial;
		error = report(GATE_THROTTLED, &far, domid, progress, data) ? errno : 0;
		far.throttle = 0;
		how->throttle(0, data);
		if (error)
			return fail(error);
	}
	if (!how->suspend(data))
		return fail(ECANCELED);
	far.round = 2;
	far.downtime_us = 8;
	if (report(GATE_SAVE, &far, 0, progress, data))
		return -1;
	if (fake_save_error)
		return fail(fake_save_error);
	if (!suspended(domid))
		return fail(EBUSY);
	return write_late(fd, FAKE_STREAM);
}

int xyl_domain_save_live(struct xyl *x, uint32_t domid, int fd, const struct xyl_live *how,
                         xyl_progress_fn *progress, void *data)
{
	if (begin_log(domid))
		return -1;
	return end_log(x, domid, save_live(domid, fd, how, progress, data));
}

/* 1234 pages, of a guest that is not paused. */
static int count_pages(uint32_t domid, struct xyl_dirty *out, xyl_progress_fn *progress, void *data)
{
	const struct xyl_progress far = { 0 };

	if (report(GATE_COUNT, &far, domid, progress, data))
		return -1;
	if (fake_count_error)
		return fail(fake_count_error);
	fake_lock();
	out->pages = fake_domains[domid].pauses ? 0 : 1234;
	fake_unlock();
	out->elapsed_us = fake_count_us + 5;
	return 0;
}

int xyl_domain_dirty_pages(struct xyl *x, uint32_t domid, uint64_t duration_us, struct xyl_dirty *out,
                           xyl_progress_fn *progress, void *data)
{
	if (begin_log(domid))
		return -1;
	fake_count_us = duration_us;
	return end_log(x, domid, count_pages(domid, out, progress, data));
}

int xyl_domain_dump(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress, void *data)
{
	struct xyl_progress far = { 0 };
	g_autofree char *text = NULL;

	(void)x;
	fake_lock();
	far.pages_total = fake_domains[domid].memory_pages;
	fake_unlock();
	if (report(GATE_SAVE, &far, 0, progress, data))
		return -1;
	if (fake_save_error)
		return fail(fake_save_error);
	pass(GATE_DISK, NULL);
	fake_lock();
	text = g_strdup_printf("core, %u pauses", fake_domains[domid].pauses);
	fake_unlock();
	return write_late(fd, text);
}

int xyl_domain_restore(struct xyl *x, uint32_t domid, int fd, const struct xyl_pv_restore *how,
                       struct xyl_pv_restored *out, xyl_progress_fn *progress, void *data)
{
	struct xyl_progress far = { .pages_done = 100 };
	char text[64] = "";

	(void)x, (void)domid, (void)how;
	memset(out, 0, sizeof(*out));
	if (read(fd, text, sizeof(text) - 1) < 0 || strcmp(text, FAKE_STREAM))
		return fail(EBADMSG);
	if (!progress(&far, data))
		return fail(ECANCELED);
	if (fake_late)
		fake_late();
	return 0;
}

/* ---- the store ---- */

static GHashTable *tree(void)
{
	if (!nodes)
		nodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return nodes;
}

char *fake_read(const char *path)
{
	char *value;

	fake_lock();
	value = g_strdup(g_hash_table_lookup(tree(), path));
	fake_unlock();
	return value;
}

void fake_write(const char *path, const char *value)
{
	fake_lock();
	g_hash_table_insert(tree(), g_strdup(path), g_strdup(value));
	fake_unlock();
}

static bool is_unread(const char *path)
{
	const char *unread = g_atomic_pointer_get(&fake_unread);
	bool is = unread && g_str_has_suffix(path, unread);

	if (is)
		g_atomic_int_inc(&fake_refusals);
	return is;
}

char *xyl_store_read(struct xyl_store *s, xyl_tx tx, const char *path, size_t *bytes)
{
	bool unread = is_unread(path);
	char *value = unread ? NULL : fake_read(path), *copy = value ? strdup(value) : NULL;

	(void)s, (void)tx;
	if (unread) {
		errno = EIO;
		return NULL;
	}
	if (bytes && copy)
		*bytes = strlen(copy);
	g_free(value);
	errno = copy ? 0 : ENOENT;
	return copy;
}

char *xyl_store_readf(struct xyl_store *s, xyl_tx tx, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list ap;

	va_start(ap, format);
	path = g_strdup_vprintf(format, ap);
	va_end(ap);
	return xyl_store_read(s, tx, path, NULL);
}

int xyl_store_write(struct xyl_store *s, xyl_tx tx, const char *path, const void *value, size_t bytes)
{
	g_autofree char *text = g_strndup(value, bytes);
	bool asks = g_str_has_suffix(path, "/control/shutdown") && !strcmp(text, "suspend");

	(void)s, (void)tx;
	fake_write(path, text);
	if (asks)
		g_atomic_int_inc(&fake_asks);
	if (asks && fake_suspend != FAKE_IGNORES) {
		fake_write(path, "");
		if (fake_suspend == FAKE_SUSPENDS)
			fake_stop((uint32_t)atoi(path + strlen("/local/domain/")), XYL_SHUTDOWN_SUSPEND);
		else if (fake_suspend == FAKE_SECOND)
			fake_suspend = FAKE_SUSPENDS;
	}
	return 0;
}

int xyl_store_resume(struct xyl_store *s, uint32_t domid)
{
	(void)s, (void)domid;
	return 0;
}

int xyl_store_transaction(struct xyl_store *s, int (*body)(struct xyl_store *s, xyl_tx tx, void *data),
                          void *data)
{
	return body(s, XYL_TX_NONE, data);
}

int xyl_store_printf(struct xyl_store *s, xyl_tx tx, const char *path, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	(void)s, (void)tx;
	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	fake_write(path, text);
	return 0;
}

/* The children's names, once each. */
char **xyl_store_directory(struct xyl_store *s, xyl_tx tx, const char *path, size_t *count)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *prefix = g_strconcat(path, "/", NULL);
	GHashTableIter iter;
	gpointer key;
	size_t bytes = 0, n = 0;
	char **list, *at;

	(void)s, (void)tx;
	if (is_unread(path)) {
		errno = EIO;
		return NULL;
	}
	fake_lock();
	g_hash_table_iter_init(&iter, tree());
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const char *rest = (const char *)key + strlen(prefix);

		if (g_str_has_prefix(key, prefix))
			g_hash_table_add(names, g_strndup(rest, strcspn(rest, "/")));
	}
	fake_unlock();
	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		bytes += strlen(key) + 1;
	n = g_hash_table_size(names);
	list = calloc(1, (n + 1) * sizeof(*list) + bytes);
	at = (char *)(list + n + 1);
	*count = n;
	n = 0;
	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		list[n++] = at;
		at = stpcpy(at, key) + 1;
	}
	return list;
}

int xyl_store_introduce(struct xyl_store *s, uint32_t domid, uint64_t mfn, uint32_t port)
{
	(void)s, (void)domid, (void)mfn, (void)port;
	return 0;
}

/* A watch tells of what is there already, and of nothing else. */
struct xyl_watch {
	gint refs;
	xyl_watch_fn *fn;
	void *data;
};

struct reading {
	char *path;
	xyl_store_done_fn *done;
	void *data;
};

static void watch_unref(struct xyl_watch *w)
{
	if (g_atomic_int_dec_and_test(&w->refs))
		g_free(w);
}

static gboolean watch_fires(gpointer data)
{
	struct xyl_watch *w = data;

	if (g_atomic_int_get(&w->refs) > 1)
		w->fn(NULL, "", w->data);
	watch_unref(w);
	return G_SOURCE_REMOVE;
}

struct xyl_watch *xyl_store_watch(struct xyl_store *s, const char *path, xyl_watch_fn *fn, void *data)
{
	struct xyl_watch *w = g_new0(struct xyl_watch, 1);

	(void)s, (void)path;
	*w = (struct xyl_watch){ 2, fn, data };
	g_idle_add(watch_fires, w);
	return w;
}

int xyl_store_unwatch(struct xyl_store *s, struct xyl_watch *w)
{
	(void)s;
	watch_unref(w);
	return 0;
}

static gboolean is_read(gpointer data)
{
	struct reading *r = data;
	g_autofree char *value = fake_read(r->path);

	r->done(NULL, value ? 0 : ENOENT, value, value ? strlen(value) : 0, r->data);
	g_free(r->path);
	g_free(r);
	return G_SOURCE_REMOVE;
}

int xyl_store_read_async(struct xyl_store *s, xyl_tx tx, const char *path, xyl_store_done_fn *done,
                         void *data)
{
	struct reading *r = g_new0(struct reading, 1);

	(void)s, (void)tx;
	*r = (struct reading){ g_strdup(path), done, data };
	g_idle_add(is_read, r);
	return 0;
}

struct xyl_store *storeio_store(struct storeio *io)
{
	(void)io;
	return (struct xyl_store *)&nodes;
}

/* Backends offer what they find, and frontends take it. */
bool storeio_write(struct storeio *io, const GArray *layout, uint32_t domid, const char *what, GError **error)
{
	guint i;

	(void)io, (void)domid, (void)what, (void)error;
	for (i = 0; i < layout->len; i++) {
		const struct layout_node *node = &g_array_index(layout, struct layout_node, i);
		bool backend = g_str_has_prefix(node->path, "/local/domain/0/backend/") &&
		               g_str_has_suffix(node->path, "/state");

		if (backend && fake_console_refused && strstr(node->path, "/backend/console/"))
			fake_write(node->path, "6");
		else
			fake_write(node->path, !backend ? node->value : fake_frontends ? "4" : "2");
	}
	return true;
}

bool storeio_remove(struct storeio *io, const char *const *paths, const char *what, GError **error)
{
	GHashTableIter iter;
	gpointer key;

	(void)io;
	for (gsize i = 0; paths[i]; i++)
		if (is_unread(paths[i]))
			return xd_fail(error, XD_ERROR_STORE, "%s: the test has it so", what);
	fake_lock();
	for (; *paths; paths++) {
		size_t length = strlen(*paths);

		g_hash_table_iter_init(&iter, tree());
		while (g_hash_table_iter_next(&iter, &key, NULL)) {
			const char *path = key;

			if (!strncmp(path, *paths, length) && (!path[length] || path[length] == '/'))
				g_hash_table_iter_remove(&iter);
		}
	}
	fake_unlock();
	return true;
}

bool storeio_set(struct storeio *io, const char *what, GError **error, ...)
{
	const char *path, *value;
	va_list args;

	(void)io, (void)what;
	va_start(args, error);
	while ((path = va_arg(args, const char *)) != NULL) {
		value = va_arg(args, const char *);
		/* A frontend that is asked to let go does. */
		fake_write(path, fake_frontends && g_str_has_suffix(path, "/state") && !strcmp(value, "5")
		                         ? "6"
		                         : value);
	}
	va_end(args);
	return true;
}

enum backend_state storeio_backend_state(struct storeio *io, const char *dir)
{
	g_autofree char *path = g_strconcat(dir, "/state", NULL);
	g_autofree char *text = fake_read(path);

	(void)io;
	if (is_unread(path))
		return BACKEND_UNREAD;
	return text && text[0] ? (enum backend_state)(text[0] - '0') : BACKEND_GONE;
}

enum backend_state storeio_wait(struct storeio *io, const char *dir, unsigned wanted, int timeout_ms,
                                const gint *cancelled)
{
	gint64 end = g_get_monotonic_time() + timeout_ms * INT64_C(1000);
	enum backend_state state;

	pass(GATE_BACKEND, cancelled);
	for (;;) {
		state = storeio_backend_state(io, dir);
		if ((wanted & 1u << state) || (cancelled && g_atomic_int_get(cancelled)) ||
		    g_get_monotonic_time() > end)
			return state;
		g_usleep(5000);
	}
}

void storeio_wake(struct storeio *io)
{
	(void)io;
	fake_lock();
	g_cond_broadcast(&changed);
	fake_unlock();
}

char *storeio_backend_error(struct storeio *io, const char *dir)
{
	(void)io, (void)dir;
	return fake_console_refused ? g_strdup("cannot listen") : NULL;
}

/* ---- kernels, disks, nics, backend devices ---- */

gboolean worker_unpack(struct worker *worker, const char *path, const char *guest, struct image *image,
                       GError **error)
{
	(void)worker, (void)path, (void)guest, (void)error;
	pass(GATE_UNPACK, NULL);
	image->bytes = 1;
	g_atomic_int_inc(&fake_unpacked);
	return TRUE;
}

gboolean image_check(const char *path, guint64 max_bytes, guint64 guest_kib, const char *guest,
                     const char *key, GError **error)
{
	(void)path, (void)max_bytes, (void)guest_kib;
	if (fake_bad_image && !strcmp(key, fake_bad_image))
		return xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": %s: bad", guest, key);
	return TRUE;
}

gint fake_image_users, fake_image_patient;

void image_use_begin(const gint *doomed, const char *restarted)
{
	(void)doomed;
	g_atomic_int_set(&fake_image_patient, restarted != NULL);
	g_atomic_int_inc(&fake_image_users);
}

void image_use_end(void)
{
	g_atomic_int_add(&fake_image_users, -1);
}

gboolean image_read(struct image *image, const char *path, guint64 max, const char *guest, const char *key,
                    GError **error)
{
	(void)path, (void)max, (void)guest, (void)key, (void)error;
	image->bytes = 1;
	g_atomic_int_inc(&fake_unpacked);
	return TRUE;
}

void image_clear(struct image *image)
{
	if (image->bytes)
		g_atomic_int_add(&fake_unpacked, -1);
	image->bytes = 0;
}

struct disk *disk_open(const struct disk_conf *conf, const char *guest, GError **error)
{
	(void)conf, (void)guest, (void)error;
	return g_malloc0(1);
}

struct disk *disk_adopt_begin(const struct disk_conf *conf, const char *guest)
{
	(void)conf, (void)guest;
	return g_malloc0(1);
}

void disk_adopt(struct disk *disk, const struct disk_conf *conf)
{
	(void)disk, (void)conf;
	pass(GATE_ADOPT, NULL);
}

void disk_close(struct disk *disk)
{
	g_free(disk);
}

bool disk_is_open(const struct disk *disk)
{
	(void)disk;
	return true;
}

int disk_image(struct disk *disk, const struct disk_conf *conf, bool *direct, GError **error)
{
	(void)disk, (void)conf, (void)error;
	*direct = true;
	return 0;
}

/* It is a byte long. */
bool disk_is_served(const struct disk *disk)
{
	return *(const char *)disk;
}

bool disk_sync(struct disk *disk, GError **error)
{
	(void)disk;
	return !fake_unsynced || xd_fail(error, XD_ERROR_DEVICE, "no space left");
}

void disk_set_served(struct disk *disk, bool served)
{
	*(char *)disk = (char)served;
}

char *disk_path(const struct disk *disk, const struct disk_conf *conf)
{
	(void)disk;
	return g_strdup(conf->is_file ? "/dev/loop7" : conf->source);
}

/* Of a disk of 1 MiB. */
bool disk_resize(const struct disk_conf *conf, const char *guest, uint32_t major, uint32_t minor,
                 uint64_t *bytes, GError **error)
{
	if (*bytes < 1 << 20)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\", disk %s does not shrink",
		               guest, conf->vdev);
	return major == 7 && minor == 7;
}

uint32_t disk_major(const struct disk *disk)
{
	(void)disk;
	return 7;
}

uint32_t disk_minor(const struct disk *disk)
{
	(void)disk;
	return 7;
}

bool nic_check(const struct nic_conf *conf, const char *guest, uint32_t *mtu, GError **error)
{
	(void)conf, (void)guest, (void)error;
	*mtu = 1500;
	return true;
}

struct nic_waiter *nic_waiter_open(const char *guest, GError **error)
{
	(void)guest, (void)error;
	return (struct nic_waiter *)&lock;
}

void nic_waiter_close(struct nic_waiter *waiter)
{
	(void)waiter;
}

bool nic_connect(struct nic_waiter *waiter, const struct nic_conf *conf, uint32_t domid, uint32_t devid,
                 uint32_t mtu, int timeout_ms, const gint *cancelled, const char *guest, GError **error)
{
	(void)waiter, (void)devid, (void)mtu, (void)timeout_ms, (void)guest, (void)error;
	pass(GATE_BACKEND, cancelled);
	fake_lock();
	fake_domains[domid].link_down = conf->link_down || conf->hold;
	fake_unlock();
	return true;
}

bool nic_set_link(const struct nic_conf *conf, uint32_t domid, uint32_t devid, bool up, const char *guest,
                  GError **error)
{
	(void)conf, (void)devid, (void)guest, (void)error;
	fake_lock();
	fake_domains[domid].link_down = !up;
	fake_unlock();
	return true;
}

char *nic_ifname(const struct nic_conf *conf, uint32_t domid, uint32_t devid)
{
	return conf->ifname ? g_strdup(conf->ifname) : g_strdup_printf("vif%u.%u", domid, devid);
}

int backdev_listen(void)
{
	return -1;
}

void backdev_wait_gone(int listener, const char *type, uint32_t domid, uint32_t devid)
{
	(void)listener, (void)type, (void)devid;
	pass(GATE_GONE, NULL);
	fake_lock();
	if (fake_domains[domid].dying && !fake_held)
		fake_domains[domid].there = false;
	fake_unlock();
}
