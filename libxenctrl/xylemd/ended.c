/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of a guest's run that has ended, for somebody who looks into it: a core file, or the domain itself.
 *
 * Core files (coredump-destroy, coredump-restart) are named NAME-YYYY-MM-DD-HH:MM:SS.core, in local time, in the folder where
 * libvirt's own driver has its; of a long NAME the beginning, and the UUID. Of each guest the newest CORES_MAX stay. One that
 * is not complete is named .UUID.part, and is gone when the next xylemd has begun. None is begun that does not fit into what
 * the file system has free for others than root, without what those that are being written still take. One whose disk does
 * not answer is given up, and the guest goes on without it; until that disk answers no other is begun.
 *
 * The domain that is kept (rename-restart) gives its devices back and becomes a guest of its own, with a new UUID and xl's
 * name for it, NAME-YYYYMMDDTHHMMZ. Its configuration says "preserve", so that it is a guest as others are: it can be
 * dumped, destroyed, and taken over by the next xylemd. Each guest has at most one, and none where the memory for both is
 * not there: it is worth less than that the guest runs.
 *
 * When xylemd is killed on the way, the journals say which of the two has the domain: it is the one whose UUID the domain
 * has. The other's journal holds a number that is somebody else's, which a teardown spares.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ended.h"
#include "error.h"
#include "guest.h"
#include "save.h"
#include "storeio.h"
#include "teardown.h"

#define CORES_MAX     3
#define CORE_SUFFIX   ".core"
#define CORE_STAMP    "dddd-dd-dd-dd:dd:dd" /* d: a digit */
#define CORE_BEGUN    ".part"
#define CORE_NAME_MAX 180 /* bytes of a guest's name in that of its core file */
/* How long its disk may not answer. */
#ifndef CORE_STALL_US /* the tests' is shorter */
#define CORE_STALL_US (INT64_C(120) * 1000000)
#endif
/* The same when nobody wants it any more. */
#define CORE_LAST_US   (INT64_C(1) * 1000000)
#define GUEST_NAME_MAX 255
/* What is free besides where a domain is kept: for its vcpus, grants and logs of changed pages the guest's next one takes
 * memory of the hypervisor's. */
#define KEPT_MARGIN_KIB UINT64_C(16384)

/* Its first bytes, whole characters. */
static char *cut(const char *name, size_t bytes)
{
	char *text = g_strndup(name, bytes);
	const char *end;

	if (!g_utf8_validate(text, -1, &end))
		text[end - text] = '\0';
	return text;
}

/* ---- core files ---- */

/* A core file, which is written by a thread of its own: one that is stuck in the kernel holds up nobody. */
struct core {
	gint refs;           /* atomic: the thread's, and the operation's */
	struct guest *guest; /* a reference; nothing that belongs to the operation is touched */
	uint32_t domid;
	char *base; /* with which its name begins */
	char *begun, *path;
	/* guarded by xylemd.lock */
	uint64_t promised_kib; /* of the file system, and not written yet */
	gint64 alive_us;       /* when the thread was last seen at work, g_get_monotonic_time() */
	bool over, given_up;
	GError *error; /* what has failed; NULL: nothing */
};

/* Guarded by xylemd.lock. */
static GCond core_over;
static uint64_t promised_kib; /* to all of them */
static guint hanging;         /* of those that were given up */
static bool cleaned;          /* of what an earlier xylemd had begun */

static void core_unref(struct core *core)
{
	if (!g_atomic_int_dec_and_test(&core->refs))
		return;
	guest_unref(core->guest);
	g_clear_error(&core->error);
	g_free(core->base);
	g_free(core->begun);
	g_free(core->path);
	g_free(core);
}

static bool is_core_of(const char *file, const char *base)
{
	const char *rest = file + strlen(base) + 1;
	size_t i;

	if (!g_str_has_prefix(file, base) || rest[-1] != '-')
		return false;
	for (i = 0; CORE_STAMP[i]; i++) {
		if (CORE_STAMP[i] == 'd' ? !g_ascii_isdigit(rest[i]) : rest[i] != CORE_STAMP[i])
			return false;
	}
	return !strcmp(rest + i, CORE_SUFFIX);
}

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All but the newest go. */
static void remove_old_cores(const char *base)
{
	g_autoptr(GDir) dir = g_dir_open(xylemd.dump_dir, 0, NULL);
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
	const char *file;
	guint i;

	while (dir && (file = g_dir_read_name(dir)) != NULL) {
		if (is_core_of(file, base))
			g_ptr_array_add(files, g_strdup(file));
	}
	g_ptr_array_sort(files, by_text);
	for (i = 0; i + CORES_MAX < files->len; i++) {
		g_autofree char *path = g_build_filename(xylemd.dump_dir, g_ptr_array_index(files, i), NULL);

		if (unlink(path))
			g_warning("%s cannot be removed: %s", path, g_strerror(errno));
		else
			g_message("%s is removed: there are %d newer ones", path, CORES_MAX);
	}
}

/* What others have been promised is not free. They may write while the file system is asked: then this errs on the safe side. */
static bool has_room(struct core *core, int fd, GError **error)
{
	struct xyl_dominfo info;
	struct statvfs fs;
	uint64_t wanted, free_kib, before, others;
	bool fits;

	g_mutex_lock(&xylemd.lock);
	before = promised_kib;
	g_mutex_unlock(&xylemd.lock);
	if (fstatvfs(fd, &fs))
		return xd_fail(error, XD_ERROR_INTERNAL, "%s", g_strerror(errno));
	if (xyl_domain_info(xylemd.xen, core->domid, &info))
		return xd_fail(error, XD_ERROR_HYPERVISOR, "%s", xyl_error());
	wanted = info.memory_pages * 4;
	free_kib = (uint64_t)fs.f_bavail * fs.f_frsize / 1024;
	g_mutex_lock(&xylemd.lock);
	others = MAX(before, promised_kib);
	fits = free_kib >= others && free_kib - others >= wanted;
	if (fits)
		promised_kib += core->promised_kib = wanted;
	g_mutex_unlock(&xylemd.lock);
	return fits ||
	       xd_fail(error, XD_ERROR_DEVICE,
	               "it would have %" G_GUINT64_FORMAT " KiB, and its file system has %" G_GUINT64_FORMAT
	               " KiB free, %" G_GUINT64_FORMAT " KiB of them for others that are being written",
	               wanted, free_kib, others);
}

/* So much of what it was promised is left. xylemd.lock is held. */
static void promise(struct core *core, uint64_t kib)
{
	promised_kib -= core->promised_kib - kib;
	core->promised_kib = kib;
}

static bool core_progress(const struct xyl_progress *progress, void *data)
{
	struct core *core = data;
	uint64_t done = progress->pages_done, total = progress->pages_total;
	bool wanted;

	g_mutex_lock(&xylemd.lock);
	core->alive_us = g_get_monotonic_time();
	promise(core, MIN(core->promised_kib, total > done ? (total - done) * 4 : 0));
	wanted = !core->given_up;
	g_mutex_unlock(&xylemd.lock);
	return wanted && job_progress(progress, core->guest);
}

/* Its job ends, if the operation still waits for it. */
static bool end_core_job(struct core *core, GError **error)
{
	bool wanted, cancelled;

	g_mutex_lock(&xylemd.lock);
	wanted = !core->given_up;
	cancelled = !wanted || g_atomic_int_get(&core->guest->job.cancelled);
	if (wanted)
		core->guest->job.what = NULL;
	g_mutex_unlock(&xylemd.lock);
	return !cancelled || xd_fail(error, XD_ERROR_CANCELLED, "it was cancelled");
}

static bool write_core(struct core *core, int fd, GError **error)
{
	if (!has_room(core, fd, error))
		return false;
	if (xyl_domain_dump(xylemd.xen, core->domid, fd, core_progress, core))
		return xd_fail(error, XD_ERROR_STREAM, "%s",
		               errno == ECANCELED ? "it was cancelled" : xyl_error());
	return end_core_job(core, error) &&
	       (!fsync(fd) || xd_fail(error, XD_ERROR_STREAM, "%s", g_strerror(errno)));
}

static bool given_up(struct core *core)
{
	bool is;

	g_mutex_lock(&xylemd.lock);
	is = core->given_up;
	g_mutex_unlock(&xylemd.lock);
	return is;
}

static bool make_core(struct core *core, GError **error)
{
	bool ok;
	int fd;

	if (g_mkdir_with_parents(xylemd.dump_dir, 0700))
		return xd_fail(error, XD_ERROR_INTERNAL, "its folder: %s", g_strerror(errno));
	if (unlink(core->begun) && errno != ENOENT)
		return xd_fail(error, XD_ERROR_INTERNAL, "%s: %s", core->begun, g_strerror(errno));
	fd = open(core->begun, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return xd_fail(error, XD_ERROR_INTERNAL, "%s", g_strerror(errno));
	ok = write_core(core, fd, error);
	close(fd);
	if (ok && given_up(core))
		ok = xd_fail(error, XD_ERROR_CANCELLED, "nobody waits for it any more");
	if (ok && rename(core->begun, core->path))
		ok = xd_fail(error, XD_ERROR_INTERNAL, "%s", g_strerror(errno));
	if (!ok)
		unlink(core->begun);
	else
		remove_old_cores(core->base);
	return ok;
}

static gpointer core_main(gpointer data)
{
	struct core *core = data;
	g_autoptr(GError) error = NULL;

	g_mutex_lock(&xylemd.lock);
	while (!cleaned)
		g_cond_wait(&core_over, &xylemd.lock);
	g_mutex_unlock(&xylemd.lock);
	make_core(core, &error);
	g_mutex_lock(&xylemd.lock);
	promise(core, 0);
	hanging -= core->given_up;
	core->over = true;
	core->error = g_steal_pointer(&error);
	g_cond_broadcast(&core_over);
	g_mutex_unlock(&xylemd.lock);
	core_unref(core);
	return NULL;
}

/* Until it is over, or its disk has not answered for so long; where nobody wants it any more, that is soon. */
static bool wait_core(struct core *core, GError **error)
{
	gint64 unwanted_us = 0, now, until;

	g_mutex_lock(&xylemd.lock);
	while (!core->over && !core->given_up) {
		now = g_get_monotonic_time();
		if (!unwanted_us &&
		    (g_atomic_int_get(&core->guest->doomed) || g_atomic_int_get(&core->guest->job.cancelled)))
			unwanted_us = now;
		until = unwanted_us ? unwanted_us + CORE_LAST_US : core->alive_us + CORE_STALL_US;
		core->given_up = now >= until;
		if (!core->given_up)
			g_cond_wait_until(&core_over, &xylemd.lock, MIN(until, now + CORE_LAST_US / 4));
	}
	hanging += core->given_up;
	if (!core->given_up)
		*error = g_steal_pointer(&core->error);
	g_mutex_unlock(&xylemd.lock);
	job_end(core->guest);
	if (core->given_up)
		xd_fail(error, XD_ERROR_DEVICE, "its disk does not answer");
	return !*error;
}

/* Where one hangs there is no use in others: they have the same disk. */
static bool may_be_dumped(GError **error)
{
	bool may;

	g_mutex_lock(&xylemd.lock);
	may = !hanging;
	g_mutex_unlock(&xylemd.lock);
	return may || xd_fail(error, XD_ERROR_DEVICE, "its disk has not answered to an earlier one yet");
}

static struct core *core_new(struct guest *guest)
{
	struct core *core = g_new0(struct core, 1);
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%d-%H:%M:%S");
	g_autofree char *first = cut(guest->name, CORE_NAME_MAX);

	core->refs = 2;
	core->guest = guest_ref(guest);
	core->domid = guest->journal->domid;
	core->alive_us = g_get_monotonic_time();
	/* Others may have a long name that begins so, too. */
	core->base =
	        strcmp(first, guest->name) ? g_strdup_printf("%s-%s", first, guest->uuid) : g_strdup(first);
	core->begun = g_strdup_printf("%s/.%s" CORE_BEGUN, xylemd.dump_dir, guest->uuid);
	core->path = g_strdup_printf("%s/%s-%s" CORE_SUFFIX, xylemd.dump_dir, core->base, stamp);
	return core;
}

void ended_dump(struct guest *guest)
{
	struct core *core = core_new(guest);
	g_autoptr(GError) error = NULL;
	GThread *thread = NULL;

	if (may_be_dumped(&error) && job_begin(guest, "dump", &error))
		thread = g_thread_try_new("core", core_main, core, &error);
	if (thread) {
		g_thread_unref(thread);
		wait_core(core, &error);
	} else {
		job_end(guest);
		core_unref(core);
	}
	if (!error)
		g_message("guest \"%s\": its core file is %s", guest->name, core->path);
	else
		g_warning("guest \"%s\": its core file %s cannot be written: %s", guest->name, core->path,
		          error->message);
	core_unref(core);
}

/* .UUID.part */
static bool is_begun(const char *file)
{
	g_autofree char *uuid = NULL;

	if (file[0] != '.' || !g_str_has_suffix(file, CORE_BEGUN))
		return false;
	uuid = g_strndup(file + 1, strlen(file) - 1 - strlen(CORE_BEGUN));
	return g_uuid_string_is_valid(uuid);
}

static gpointer clean_main(gpointer data)
{
	g_autoptr(GDir) dir = g_dir_open(xylemd.dump_dir, 0, NULL);
	const char *file;

	while (dir && (file = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(xylemd.dump_dir, file, NULL);

		if (is_begun(file) && unlink(path))
			g_warning("%s, which an earlier xylemd had begun, cannot be removed: %s", path,
			          g_strerror(errno));
	}
	g_mutex_lock(&xylemd.lock);
	cleaned = true;
	g_cond_broadcast(&core_over);
	g_mutex_unlock(&xylemd.lock);
	return data;
}

void ended_begin(void)
{
	cleaned = false;
	g_thread_unref(g_thread_new("cores", clean_main, NULL));
}

/* ---- the domain itself ---- */

static bool may_be_kept(struct guest *guest, GError **error)
{
	struct guest *other = guest_kept_of(guest);
	uint64_t wanted = (guest->journal->conf->memory_kib + KEPT_MARGIN_KIB) / 4;
	struct xyl_hostinfo host;
	bool ok = true;

	if (other)
		ok = xd_fail(error, XD_ERROR_EXISTS, "there is \"%s\" of it already", other->name);
	else if (xyl_host_info(xylemd.xen, &host))
		ok = xd_fail(error, XD_ERROR_HYPERVISOR, "%s", xyl_error());
	else if (unclaimed_pages(&host) < wanted)
		ok = xd_fail(error, XD_ERROR_NO_MEMORY,
		             "the host has not the memory for it and for the guest's next domain");
	guest_unref(other);
	return ok;
}

/* The guest that the ended domain becomes; not yet known to anybody. */
static struct guest *as_guest(const struct guest *guest, GError **error)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *stamp = g_date_time_format(now, "-%Y%m%dT%H%MZ");
	g_autofree char *base = cut(guest->name, GUEST_NAME_MAX - strlen(stamp));
	g_autofree char *name = g_strconcat(base, stamp, NULL);
	g_autofree char *uuid = g_uuid_string_random();
	g_autoptr(GVariant) old = g_variant_ref_sink(guestconf_to_variant(guest->journal->conf));
	static const char *const dropped[] = { "disks", "nics", "screens", "console_devices", "opaque" };
	static const char *const actions[] = { "on_poweroff", "on_reboot", "on_crash" };
	g_autoptr(GVariant) dict = NULL;
	struct journal *journal;
	struct guestconf *conf;
	GVariantDict changed;
	guint i;

	g_variant_dict_init(&changed, old);
	g_variant_dict_insert(&changed, "name", "s", name);
	g_variant_dict_insert(&changed, "uuid", "s", uuid);
	for (i = 0; i < G_N_ELEMENTS(dropped); i++)
		g_variant_dict_remove(&changed, dropped[i]);
	for (i = 0; i < G_N_ELEMENTS(actions); i++)
		g_variant_dict_insert(&changed, actions[i], "s", "preserve");
	dict = g_variant_ref_sink(g_variant_dict_end(&changed));
	conf = guestconf_parse(dict, error);
	if (!conf)
		return NULL;
	journal = journal_new(conf);
	journal->domid = guest->journal->domid;
	journal->unpaused = true;
	journal->kept_of = g_strdup(guest->uuid);
	return guest_new(journal);
}

/* What shows it by name: a failure leaves the old one there, and nothing else. */
static void rename_nodes(const struct guest *guest, const struct guest *kept)
{
	struct xyl_store *store = storeio_store(xylemd.io);
	g_autofree char *base = g_strdup_printf("/local/domain/%u", kept->journal->domid);
	g_autofree char *vm = g_strconcat("/vm/", kept->uuid, NULL);
	g_autofree char *old = g_strconcat("/vm/", guest->uuid, NULL);
	const char *const nodes[][3] = { { vm, "uuid", kept->uuid },
		                         { vm, "name", kept->name },
		                         { base, "vm", vm },
		                         { base, "name", kept->name } };
	const char *const gone[] = { old, NULL };
	g_autoptr(GError) error = NULL;
	guint i;

	for (i = 0; i < G_N_ELEMENTS(nodes); i++) {
		g_autofree char *path = g_strconcat(nodes[i][0], "/", nodes[i][1], NULL);

		if (xyl_store_write(store, XYL_TX_NONE, path, nodes[i][2], strlen(nodes[i][2])))
			g_warning("guest \"%s\": %s: %s", kept->name, path, xyl_error());
	}
	if (!storeio_remove(xylemd.io, gone, kept->name, &error))
		g_warning("%s", error->message);
}

/* kept is registered, and its operations wait. */
static bool hand_over(struct guest *guest, struct guest *kept, GError **error)
{
	uint32_t domid = guest->journal->domid;

	teardown_devices(guest);
	/* From here on a xylemd that takes over starts the guest anew, whoever has the domain. */
	if (!guest_alive(guest, error) || !guest_try_save(guest, JOURNAL_RESTART, error) ||
	    !guest_try_save(kept, JOURNAL_RUNNING, error))
		return false;
	if (xyl_domain_set_uuid(xylemd.xen, domid, kept->id))
		return xd_fail(error, XD_ERROR_HYPERVISOR, "%s", xyl_error());
	guest_give_domid(guest, kept);
	rename_nodes(guest, kept);
	guest_event(guest, domid, "kept", kept->name);
	guest_event(kept, domid, "created", "kept");
	return true;
}

bool ended_keep(struct guest *guest)
{
	g_autoptr(GError) error = NULL;
	struct guest *kept = may_be_kept(guest, &error) ? as_guest(guest, &error) : NULL;
	bool ok = false;

	if (kept) {
		guest_hold(kept);
		if (guest_register(kept, &error)) {
			ok = hand_over(guest, kept, &error);
			if (!ok) {
				(void)journal_remove(xylemd.journal_dir, kept->uuid, NULL);
				kept->gone = true;
				guest_unregister(kept);
			}
		}
		guest_release(kept);
		guest_unref(kept);
	}
	if (!ok)
		g_warning("guest \"%s\": its ended domain %u is not kept: %s", guest->name,
		          guest->journal->domid, error->message);
	return ok;
}
