/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal of guests; see journal.h. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

#define MAGIC     "xylem-guest 1\n"
#define MAX_BYTES (1024 * 1024)

static const char *const phase_names[] = { "building", "running", "teardown", "restart" };

struct journal *journal_new(struct guestconf *conf)
{
	struct journal *journal = g_new0(struct journal, 1);

	journal->conf = conf;
	journal->nic_devids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	journal_number_nics(journal);
	return journal;
}

void journal_number_nics(struct journal *journal)
{
	uint32_t devid;

	g_array_set_size(journal->nic_devids, 0);
	for (devid = 0; devid < journal->conf->nics->len; devid++)
		g_array_append_val(journal->nic_devids, devid);
}

static GVariant *journal_to_variant(const struct journal *journal, GVariant *conf)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "phase", g_variant_new_string(phase_names[journal->phase]));
	g_variant_builder_add(&b, "{sv}", "domid", g_variant_new_uint32(journal->domid));
	g_variant_builder_add(&b, "{sv}", "unpaused", g_variant_new_boolean(journal->unpaused));
	g_variant_builder_add(&b, "{sv}", "saving", g_variant_new_boolean(journal->saving));
	g_variant_builder_add(&b, "{sv}", "asked_again", g_variant_new_boolean(journal->asked_again));
	g_variant_builder_add(&b, "{sv}", "counting", g_variant_new_boolean(journal->counting));
	g_variant_builder_add(&b, "{sv}", "paused_before_save",
	                      g_variant_new_boolean(journal->paused_before_save));
	g_variant_builder_add(&b, "{sv}", "abandoned_domid", g_variant_new_uint32(journal->abandoned_domid));
	g_variant_builder_add(&b, "{sv}", "abandoned", g_variant_new_uint32(journal->abandoned));
	g_variant_builder_add(&b, "{sv}", "cpupool", g_variant_new_uint32(journal->cpupool));
	if (journal->kept_of)
		g_variant_builder_add(&b, "{sv}", "kept_of", g_variant_new_string(journal->kept_of));
	g_variant_builder_add(&b, "{sv}", "screen_port", g_variant_new_uint32(journal->screen_port));
	g_variant_builder_add(&b, "{sv}", "started_us", g_variant_new_int64(journal->policy.started_us));
	g_variant_builder_add(&b, "{sv}", "quick_runs", g_variant_new_uint32(journal->policy.quick_runs));
	g_variant_builder_add(&b, "{sv}", "nic_devids",
	                      g_variant_new_fixed_array(G_VARIANT_TYPE_UINT32, journal->nic_devids->data,
	                                                journal->nic_devids->len, sizeof(uint32_t)));
	g_variant_builder_add(&b, "{sv}", "config", conf);
	return g_variant_builder_end(&b);
}

static bool write_all(int fd, const char *bytes, gsize size)
{
	while (size) {
		ssize_t done = write(fd, bytes, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		size -= (gsize)done;
	}
	return true;
}

bool journal_save(const char *dir, const struct journal *journal, GVariant *conf, GError **error)
{
	g_autoptr(GVariant) data = g_variant_ref_sink(journal_to_variant(journal, conf));
	g_autofree char *path = g_strdup_printf("%s/%s", dir, journal->conf->uuid);
	g_autofree char *temporary = g_strdup_printf("%s/.%s", dir, journal->conf->uuid);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok;

	if (fd < 0)
		return xd_fail(error, XD_ERROR_INTERNAL, "cannot create %s: %s", temporary,
		               g_strerror(errno));
	ok = write_all(fd, MAGIC, strlen(MAGIC)) &&
	     write_all(fd, g_variant_get_data(data), g_variant_get_size(data));
	if (close(fd) || !ok || rename(temporary, path)) {
		xd_fail(error, XD_ERROR_INTERNAL, "cannot write %s: %s", path, g_strerror(errno));
		unlink(temporary);
		return false;
	}
	return true;
}

bool journal_remove(const char *dir, const char *uuid, GError **error)
{
	g_autofree char *path = g_strdup_printf("%s/%s", dir, uuid);

	if (unlink(path) && errno != ENOENT)
		return xd_fail(error, XD_ERROR_INTERNAL, "cannot remove %s: %s", path, g_strerror(errno));
	return true;
}

/* A trusted, normal copy of what the file holds; NULL when it holds something else. */
static GVariant *variant_from_bytes(const char *bytes, gsize size)
{
	gsize magic = strlen(MAGIC), body = size - magic;
	char *aligned;
	g_autoptr(GVariant) raw = NULL;

	if (size < magic || memcmp(bytes, MAGIC, magic))
		return NULL;
	aligned = g_memdup2(bytes + magic, body);
	raw = g_variant_ref_sink(
	        g_variant_new_from_data(G_VARIANT_TYPE_VARDICT, aligned, body, FALSE, g_free, aligned));
	if (!g_variant_is_normal_form(raw))
		return NULL;
	return g_variant_get_normal_form(raw);
}

static bool journal_decode(struct journal *journal, GVariant *data, GError **error)
{
	g_autoptr(GVariant) config = g_variant_lookup_value(data, "config", G_VARIANT_TYPE_VARDICT);
	g_autoptr(GVariant) devids = g_variant_lookup_value(data, "nic_devids", G_VARIANT_TYPE("au"));
	const char *phase = NULL;
	gboolean unpaused = FALSE, saving = FALSE, again = FALSE, counting = FALSE, paused = FALSE;
	const uint32_t *numbers;
	gsize count;
	guint i;

	if (!config || !devids || !g_variant_lookup(data, "phase", "&s", &phase) ||
	    !g_variant_lookup(data, "domid", "u", &journal->domid) ||
	    !g_variant_lookup(data, "unpaused", "b", &unpaused) ||
	    !g_variant_lookup(data, "started_us", "x", &journal->policy.started_us) ||
	    !g_variant_lookup(data, "quick_runs", "u", &journal->policy.quick_runs))
		return xd_fail(error, XD_ERROR_INTERNAL, "a key is missing");
	journal->unpaused = unpaused;
	/* These are not in older ones. */
	(void)g_variant_lookup(data, "saving", "b", &saving);
	journal->saving = saving;
	(void)g_variant_lookup(data, "asked_again", "b", &again);
	journal->asked_again = again;
	(void)g_variant_lookup(data, "counting", "b", &counting);
	journal->counting = counting;
	(void)g_variant_lookup(data, "paused_before_save", "b", &paused);
	journal->paused_before_save = paused;
	(void)g_variant_lookup(data, "abandoned_domid", "u", &journal->abandoned_domid);
	journal->abandoned = journal->abandoned_domid != 0;
	(void)g_variant_lookup(data, "abandoned", "u", &journal->abandoned);
	(void)g_variant_lookup(data, "cpupool", "u", &journal->cpupool);
	(void)g_variant_lookup(data, "kept_of", "s", &journal->kept_of);
	(void)g_variant_lookup(data, "screen_port", "u", &journal->screen_port);
	if (journal->screen_port > GUEST_VNC_PORT_MAX)
		return xd_fail(error, XD_ERROR_INTERNAL, "screen_port is no port");
	for (i = 0; i < G_N_ELEMENTS(phase_names) && strcmp(phase, phase_names[i]); i++)
		;
	if (i == G_N_ELEMENTS(phase_names))
		return xd_fail(error, XD_ERROR_INTERNAL, "unknown phase");
	journal->phase = (enum journal_phase)i;
	journal->conf = guestconf_parse(config, error);
	if (!journal->conf)
		return false;
	numbers = g_variant_get_fixed_array(devids, &count, sizeof(uint32_t));
	if (count != journal->conf->nics->len)
		return xd_fail(error, XD_ERROR_INTERNAL, "nic_devids do not match the nics");
	g_array_append_vals(journal->nic_devids, numbers, (guint)count);
	return true;
}

struct journal *journal_load(const char *path, GError **error)
{
	g_autofree char *bytes = NULL;
	g_autoptr(GVariant) data = NULL;
	g_autoptr(GError) local = NULL;
	struct journal *journal;
	GStatBuf info;
	gsize size;

	if (g_stat(path, &info) || !S_ISREG(info.st_mode) || info.st_size > MAX_BYTES ||
	    !g_file_get_contents(path, &bytes, &size, NULL)) {
		xd_fail(error, XD_ERROR_INTERNAL, "cannot read %s", path);
		return NULL;
	}
	data = variant_from_bytes(bytes, size);
	if (!data) {
		xd_fail(error, XD_ERROR_INTERNAL, "%s is not a guest's journal", path);
		return NULL;
	}
	journal = g_new0(struct journal, 1);
	journal->nic_devids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	if (!journal_decode(journal, data, &local)) {
		xd_fail(error, XD_ERROR_INTERNAL, "%s is damaged: %s", path, local->message);
		journal_free(journal);
		return NULL;
	}
	return journal;
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	guestconf_free(journal->conf);
	g_array_unref(journal->nic_devids);
	g_free(journal->kept_of);
	g_free(journal);
}
