/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xylem-import: configuration files of xl become definitions of libvirt's; see xylem-import(8).
 *
 * libvirt's public API only: what becomes of a file is the driver's business, which says in comments before the XML
 * what it has passed over. The file itself is never changed.
 */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <glib.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "xen-xl"

struct import {
	virConnectPtr conn;
	gboolean dry_run, force;
	GHashTable *at_boot; /* real paths of what is linked from auto/ */
	GHashTable *files;   /* real paths of what has been imported */
	GHashTable *names;   /* of the guests of this run -> the file that each is from */
	unsigned int failed;
};

/* What is wanted of the XML. */
struct guest {
	GString *name;
	GString *notes; /* keys that comments are about, each once, as ", boot, acpi" */
	unsigned int depth;
	gboolean in_name;
};

/* ---- the XML ---- */

static void on_start(GMarkupParseContext *context G_GNUC_UNUSED, const char *element,
                     const char **names G_GNUC_UNUSED, const char **values G_GNUC_UNUSED, void *data,
                     GError **error G_GNUC_UNUSED)
{
	struct guest *guest = data;

	guest->in_name = ++guest->depth == 2 && !strcmp(element, "name");
}

static void on_end(GMarkupParseContext *context G_GNUC_UNUSED, const char *element G_GNUC_UNUSED, void *data,
                   GError **error G_GNUC_UNUSED)
{
	struct guest *guest = data;

	guest->depth--;
	guest->in_name = FALSE;
}

static void on_text(GMarkupParseContext *context G_GNUC_UNUSED, const char *text, gsize length, void *data,
                    GError **error G_GNUC_UNUSED)
{
	struct guest *guest = data;

	if (guest->in_name)
		g_string_append_len(guest->name, text, (gssize)length);
}

/* Comments before <domain> are "KEY: why". */
static void on_other(GMarkupParseContext *context G_GNUC_UNUSED, const char *text, gsize length, void *data,
                     GError **error G_GNUC_UNUSED)
{
	struct guest *guest = data;
	g_autofree char *comment = g_strndup(text, length), *key = NULL, *end = NULL;

	if (guest->depth || !g_str_has_prefix(comment, "<!-- ") || !strchr(comment, ':'))
		return;
	*strchr(comment, ':') = '\0';
	key = g_strdup_printf(", %s", comment + strlen("<!-- "));
	end = g_strdup_printf("%s,", key);
	if (!strstr(guest->notes->str, end) && !g_str_has_suffix(guest->notes->str, key))
		g_string_append(guest->notes, key);
}

static gboolean look_into(const char *xml, struct guest *guest)
{
	static const GMarkupParser parser = { on_start, on_end, on_text, on_other, NULL };
	g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, guest, NULL);

	return g_markup_parse_context_parse(context, xml, -1, NULL) && guest->name->len;
}

/* Another definition's UUID in the place of its own. */
static void take_uuid(char *xml, virDomainPtr dom)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	char *at = strstr(xml, "<uuid>");

	if (at && strlen(at) > strlen("<uuid>") + sizeof(uuid) && !virDomainGetUUIDString(dom, uuid))
		memcpy(at + strlen("<uuid>"), uuid, sizeof(uuid) - 1);
}

/* ---- one file ---- */

static void G_GNUC_PRINTF(2, 3) say(const char *path, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	printf("%s: %s\n", path, g_strdelimit(text, "\n\r", ' '));
}

static void fail(struct import *import, const char *path, const char *why)
{
	say(path, "not imported: %s", why);
	import->failed++;
}

/* Defines it, and has it start at boot; what it became is said. */
static void define(struct import *import, const char *path, const char *xml, const struct guest *guest,
                   gboolean at_boot)
{
	const char *notes = guest->notes->str;
	virDomainPtr dom = NULL;

	if (!import->dry_run) {
		dom = virDomainDefineXML(import->conn, xml);
		if (!dom) {
			fail(import, path, virGetLastErrorMessage());
			return;
		}
	}
	if (dom && at_boot && virDomainSetAutostart(dom, 1) < 0) {
		say(path, "defined as %s, but it will not start at boot: %s", guest->name->str,
		    virGetLastErrorMessage());
		import->failed++;
	} else {
		say(path, "%s as %s%s%s%s", import->dry_run ? "would be defined" : "defined",
		    guest->name->str, at_boot ? ", starts at boot" : "", *notes ? "; notes on" : "",
		    *notes ? notes + 1 : "");
	}
	if (dom)
		virDomainFree(dom);
}

static void import_xml(struct import *import, const char *path, const char *real, char *xml,
                       const struct guest *guest)
{
	const char *other = g_hash_table_lookup(import->names, guest->name->str);
	virDomainPtr old;

	if (other) {
		g_autofree char *why = g_strdup_printf("%s has the same name, %s", other, guest->name->str);

		fail(import, path, why);
		return;
	}
	g_hash_table_insert(import->names, g_strdup(guest->name->str), g_strdup(path));
	old = virDomainLookupByName(import->conn, guest->name->str);
	if (old && !import->force && virDomainIsPersistent(old) == 1) {
		say(path, "left alone: %s is defined already (--force replaces it)", guest->name->str);
	} else {
		if (old)
			take_uuid(xml, old);
		define(import, path, xml, guest, g_hash_table_contains(import->at_boot, real));
	}
	if (old)
		virDomainFree(old);
}

static void import_file(struct import *import, const char *path)
{
	struct guest guest = { g_string_new(NULL), g_string_new(NULL), 0, FALSE };
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	gsize length = 0;
	char *real = realpath(path, NULL);
	char *xml = NULL;

	if (real && !g_hash_table_add(import->files, g_strdup(real)))
		goto done; /* by another name */
	if (!real || !g_file_get_contents(path, &text, &length, &error)) {
		fail(import, path, real ? error->message : g_strerror(errno));
		goto done;
	}
	if (strlen(text) != length) {
		fail(import, path, "a byte 0 is in it");
		goto done;
	}
	xml = virConnectDomainXMLFromNative(import->conn, FORMAT, text, 0);
	if (!xml)
		fail(import, path, virGetLastErrorMessage());
	else if (!look_into(xml, &guest))
		fail(import, path, "the definition has no name");
	else
		import_xml(import, path, real, xml, &guest);
done:
	free(xml);
	free(real);
	g_string_free(guest.name, TRUE);
	g_string_free(guest.notes, TRUE);
}

/* ---- which files ---- */

static int by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a folder in the order of their names: those that end in suffix. */
static GPtrArray *list_folder(const char *folder, const char *suffix)
{
	GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);

		if (name[0] != '.' && g_str_has_suffix(name, suffix) &&
		    !g_file_test(path, G_FILE_TEST_IS_DIR))
			g_ptr_array_add(files, g_steal_pointer(&path));
	}
	g_ptr_array_sort(files, by_name);
	return files;
}

static void import_folder(struct import *import, const char *folder, const char *suffix)
{
	g_autoptr(GPtrArray) files = list_folder(folder, suffix);
	guint i;

	for (i = 0; i < files->len; i++)
		import_file(import, g_ptr_array_index(files, i));
}

static void find_at_boot(struct import *import, const char *folder)
{
	g_autoptr(GPtrArray) files = list_folder(folder, "");
	guint i;

	for (i = 0; i < files->len; i++) {
		char *real = realpath(g_ptr_array_index(files, i), NULL);

		if (real)
			g_hash_table_add(import->at_boot, g_strdup(real));
		free(real);
	}
}

static void import_all(struct import *import, const char *folder, char **paths)
{
	g_autofree char *at_boot = g_build_filename(folder, "auto", NULL);

	find_at_boot(import, at_boot);
	for (; paths && *paths; paths++) {
		if (g_file_test(*paths, G_FILE_TEST_IS_DIR))
			import_folder(import, *paths, ".cfg");
		else
			import_file(import, *paths);
		if (!paths[1])
			return;
	}
	import_folder(import, folder, ".cfg");
	import_folder(import, at_boot, "");
	if (!g_hash_table_size(import->files) && !import->failed)
		fprintf(stderr, "xylem-import: there are no files in %s\n", folder);
}

static void quiet(void *data G_GNUC_UNUSED, virErrorPtr error G_GNUC_UNUSED)
{
}

int main(int argc, char **argv)
{
	struct import import = { 0 };
	g_autofree char *uri = NULL, *folder = NULL;
	g_auto(GStrv) paths = NULL;
	GOptionEntry entries[] = {
		{ "connect", 'c', 0, G_OPTION_ARG_STRING, &uri, "libvirt's connection (xen:///system)",
		  "URI" },
		{ "dry-run", 'n', 0, G_OPTION_ARG_NONE, &import.dry_run, "say what would be done", NULL },
		{ "force", 'f', 0, G_OPTION_ARG_NONE, &import.force, "replace what is defined already",
		  NULL },
		{ "folder", 0, 0, G_OPTION_ARG_FILENAME, &folder, "in the place of /etc/xen", "DIR" },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths, NULL, "[FILE|DIR]..." },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- define guests of xl in libvirt");
	g_autoptr(GError) error = NULL;

	setlocale(LC_ALL, "");
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error)) {
		fprintf(stderr, "xylem-import: %s\n", error->message);
		return 2;
	}
	virSetErrorFunc(NULL, quiet);
	import.conn = virConnectOpen(uri ? uri : "xen:///system");
	if (!import.conn) {
		fprintf(stderr, "xylem-import: %s\n", virGetLastErrorMessage());
		return 1;
	}
	import.at_boot = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	import.files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	import.names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	import_all(&import, folder ? folder : "/etc/xen", paths);
	g_hash_table_destroy(import.at_boot);
	g_hash_table_destroy(import.files);
	g_hash_table_destroy(import.names);
	virConnectClose(import.conn);
	return import.failed ? 1 : 0;
}
