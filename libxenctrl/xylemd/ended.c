/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of a guest's run that has ended, for somebody who looks into it: a core file, or the domain itself.
 *
 * Core files (coredump-destroy, coredump-restart) are named NAME-YYYY-MM-DD-HH:MM:SS.core, in local time, in the folder where
 * libvirt's own driver has its. Of each guest the newest CORES_MAX stay. One that is not complete begins with a dot, and is
 * gone before the next is written. None is begun that does not fit into what the file system has free for others than root.
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

#include "guest.h"

#define CORES_MAX      3
#define CORE_SUFFIX    ".core"
#define CORE_STAMP     "dddd-dd-dd-dd:dd:dd" /* d: a digit */
#define CORE_NAME_MAX  200                   /* bytes of a guest's name in that of its core file */
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

static bool is_core_of(const char *file, const char *name)
{
	const char *rest = file + strlen(name) + 1;
	size_t i;

	if (!g_str_has_prefix(file, name) || rest[-1] != '-')
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
static void remove_old_cores(const char *name)
{
	g_autoptr(GDir) dir = g_dir_open(xylemd.dump_dir, 0, NULL);
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
	const char *file;
	guint i;

	while (dir && (file = g_dir_read_name(dir)) != NULL) {
		if (is_core_of(file, name))
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

static bool has_room(struct guest *guest, int fd, GError **error)
{
	struct xyl_dominfo info;
	struct statvfs fs;
	uint64_t wanted, free_bytes;

	if (fstatvfs(fd, &fs))
		return xd_fail(error, XD_ERROR_INTERNAL, "%s", g_strerror(errno));
	if (xyl_domain_info(xylemd.xen, guest->journal->domid, &info))
		return xd_fail(error, XD_ERROR_HYPERVISOR, "%s", xyl_error());
	wanted = info.memory_pages * 4;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	return free_bytes / 1024 >= wanted ||
	       xd_fail(error, XD_ERROR_DEVICE,
	               "it would have %" G_GUINT64_FORMAT " KiB, and its file system has %" G_GUINT64_FORMAT
	               " KiB free",
	               wanted, free_bytes / 1024);
}

static bool write_core(struct guest *guest, int fd, GError **error)
{
	bool ok;

	if (!has_room(guest, fd, error) || !job_begin(guest, "dump", error))
		return false;
	ok = !xyl_domain_dump(xylemd.xen, guest->journal->domid, fd, job_progress, guest);
	if (!ok)
		xd_fail(error, XD_ERROR_STREAM, "%s", errno == ECANCELED ? "it was cancelled" : xyl_error());
	if (job_end(guest) && ok)
		ok = xd_fail(error, XD_ERROR_CANCELLED, "it was cancelled");
	return ok && (!fsync(fd) || xd_fail(error, XD_ERROR_STREAM, "%s", g_strerror(errno)));
}

static bool make_core(struct guest *guest, const char *begun, const char *path, GError **error)
{
	bool ok;
	int fd;

	if (g_mkdir_with_parents(xylemd.dump_dir, 0700))
		return xd_fail(error, XD_ERROR_INTERNAL, "its folder: %s", g_strerror(errno));
	/* Of a xylemd that was killed. */
	if (unlink(begun) && errno != ENOENT)
		return xd_fail(error, XD_ERROR_INTERNAL, "%s: %s", begun, g_strerror(errno));
	fd = open(begun, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return xd_fail(error, XD_ERROR_INTERNAL, "%s", g_strerror(errno));
	ok = write_core(guest, fd, error);
	close(fd);
	if (ok && rename(begun, path))
		ok = xd_fail(error, XD_ERROR_INTERNAL, "%s", g_strerror(errno));
	if (!ok)
		unlink(begun);
	return ok;
}

void ended_dump(struct guest *guest)
{
	g_autofree char *name = cut(guest->name, CORE_NAME_MAX);
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%d-%H:%M:%S");
	g_autofree char *begun = g_strdup_printf("%s/.%s.part", xylemd.dump_dir, name);
	g_autofree char *path = g_strdup_printf("%s/%s-%s" CORE_SUFFIX, xylemd.dump_dir, name, stamp);
	g_autoptr(GError) error = NULL;

	if (make_core(guest, begun, path, &error)) {
		g_message("guest \"%s\": its core file is %s", guest->name, path);
		remove_old_cores(name);
	} else {
		g_warning("guest \"%s\": its core file %s cannot be written: %s", guest->name, path,
		          error->message);
	}
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
	static const char *const dropped[] = { "disks", "nics", "screens", "opaque" };
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
