/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Golden tests of configuration files of xl and xm, both ways.
 *
 * Each NAME.cfg beside this file has NAME.xml, the definition that it becomes with what was passed over as comments before
 * it, or NAME.error, the exact message of the refusal. xm-NAME.cfg is read as a file of xm, all others as one of xl. A
 * definition must be one that can be defined, and becomes a text again: with that text nothing changes any more.
 * to-NAME.xml is a definition, which has NAME.native, what it becomes, or NAME.error; to-xm-NAME.xml is for xm.
 *
 * UUIDs and MAC addresses that are not in the file are random, and stand as "random".
 *
 * Run with XYLEM_UPDATE=1 to write the expected files anew, and read the difference.
 */
#include "../lib/tap.h"

#include <stdio.h>

#include "native.h"
#include "parse.h"
#include "virerror.h"
#include "xmlopt.h"

#define VIR_FROM_THIS VIR_FROM_XEN

#define HOST_CPUS     8

static virDomainXMLOption *xmlopt;

static char *masked(const char *xml, const char *text)
{
	g_autofree char *lower = g_ascii_strdown(text, -1);
	g_autoptr(GRegex) regex =
	        g_regex_new("(?<=<uuid>)[-0-9a-f]+|(?<=<mac address=')[0-9a-f:]+", 0, 0, NULL);
	g_autoptr(GMatchInfo) match = NULL;
	GString *out = g_string_new(NULL);
	const char *from = xml;
	int start, end;

	for (g_regex_match(regex, xml, 0, &match); g_match_info_matches(match);
	     g_match_info_next(match, NULL)) {
		g_autofree char *word = g_match_info_fetch(match, 0);
		/* As "0:16:3e:0:0:b" as well. */
		bool given = strstr(lower, word) || strstr(lower, "mac=0:16");

		g_match_info_fetch_pos(match, 0, &start, &end);
		g_string_append_len(out, from, xml + start - from);
		g_string_append(out, given ? word : "random");
		from = xml + end;
	}
	g_string_append(out, from);
	return g_string_free(out, FALSE);
}

static char *format_def(virDomainDef *def)
{
	return virDomainDefFormat(def, xmlopt, VIR_DOMAIN_DEF_FORMAT_INACTIVE);
}

/* A client may define what it was given. */
static bool definable(const char *xml)
{
	g_autoptr(virDomainDef) def = parse_domain(xml, xmlopt, VIR_DOMAIN_DEF_PARSE_INACTIVE);
	g_autofree char *again = def ? format_def(def) : NULL;

	if (def && STREQ(again, xml))
		return true;
	printf("# it cannot be defined: %s\n", def ? again : virGetLastErrorMessage());
	return false;
}

/* Text, definition, text, definition: nothing is lost or added. */
static bool stable(virDomainDef *def, enum native_format format)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *xml = format_def(def);
	g_autofree char *text = native_write(def, format);
	g_autoptr(virDomainDef) second = text ? native_read(text, format, HOST_CPUS, xmlopt, notes) : NULL;
	g_autofree char *xml_again = second ? format_def(second) : NULL;
	g_autofree char *text_again = second ? native_write(second, format) : NULL;

	/* xl has no word for these two, and no place for the third. */
	if (!text && (strstr(xml, "<shareable/>") || (format == NATIVE_XM && strstr(xml, "discard="))))
		return true;
	if (def->description || def->os.bootloader)
		return text_again && STREQ(text, text_again);
	if (text_again && STREQ(text, text_again) && STREQ(xml, xml_again) && !notes->len)
		return true;
	printf("# %s\n# first:\n%s# then:\n%s%s", virGetLastErrorMessage(), text, text_again, xml_again);
	return false;
}

static char *outcome(const char *text, enum native_format format, bool *refused, bool *good)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(virDomainDef) def = NULL;
	g_autofree char *xml = NULL;
	GString *out = g_string_new(NULL);
	guint i;

	virResetLastError();
	def = native_read(text, format, HOST_CPUS, xmlopt, notes);
	*refused = !def;
	if (!def) {
		g_string_printf(out, "%s\n", virGetLastErrorMessage());
		return g_string_free(out, FALSE);
	}
	xml = format_def(def);
	*good = definable(xml) && stable(def, format);
	for (i = 0; i < notes->len; i++)
		g_string_append_printf(out, "<!-- %s -->\n", (char *)g_ptr_array_index(notes, i));
	g_string_append(out, xml);
	return masked(out->str, text);
}

static char *native_outcome(const char *xml, enum native_format format, bool *refused)
{
	g_autoptr(virDomainDef) def = NULL;
	char *text = NULL;

	virResetLastError();
	def = parse_domain(xml, xmlopt, VIR_DOMAIN_DEF_PARSE_INACTIVE);
	if (def)
		text = native_write(def, format);
	*refused = !text;
	return text ? text : g_strdup_printf("%s\n", virGetLastErrorMessage());
}

static bool check_one(const char *dir, const char *file)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);
	g_autofree char *stem = g_strndup(path, (gsize)(strrchr(path, '.') - path));
	bool to = g_str_has_prefix(file, "to-"), refused = false, good = true;
	enum native_format format = g_str_has_prefix(to ? file + 3 : file, "xm-") ? NATIVE_XM : NATIVE_XL;
	g_autofree char *text = NULL, *actual = NULL, *expected_path = NULL, *expected = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return false;
	actual = to ? native_outcome(text, format, &refused) : outcome(text, format, &refused, &good);
	expected_path = g_strdup_printf("%s.%s", stem, refused ? "error" : to ? "native" : "xml");
	if (g_getenv("XYLEM_UPDATE"))
		g_file_set_contents(expected_path, actual, -1, NULL);
	if (!g_file_get_contents(expected_path, &expected, NULL, NULL)) {
		printf("# no %s, but the outcome is:\n# %s", expected_path, actual);
		return false;
	}
	if (STRNEQ(expected, actual)) {
		printf("# expected: %s# actual: %s", expected, actual);
		return false;
	}
	return good;
}

/* ---- the keys of xl.cfg(5) ---- */

/* What stands in the page as KEY=VALUE and is a word of a list's strings, not a key. */
static bool is_word_of_spec(const char *name)
{
	static const char *const words[] = { "backend",    "connection",     "connectors", "controller",
		                             "height",     "hostaddr",       "hostbus",    "path",
		                             "pnode",      "policy",         "port",       "ports",
		                             "power_mgmt", "security_model", "size",       "strategy",
		                             "tag",        "vdistances",     "version",    "width",
		                             NULL };

	return g_strv_contains(words, name);
}

/* Items of the page: .IP "\fBname=VALUE\fR" and the like. */
static GPtrArray *page_keys(const char *page)
{
	g_autoptr(GRegex) regex =
	        g_regex_new("^(?:\\.el )?\\.IP \"\\\\fB([a-z][a-z0-9_]*)=", G_REGEX_MULTILINE, 0, NULL);
	g_autoptr(GMatchInfo) match = NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func(g_free);

	for (g_regex_match(regex, page, 0, &match); g_match_info_matches(match);
	     g_match_info_next(match, NULL))
		g_ptr_array_add(found, g_match_info_fetch(match, 1));
	return found;
}

/* Each key of the list, which is that of the page of Xen 4.17, and of the page of this machine if it is there. */
static void check_keys(const char *dir)
{
	g_autofree char *path = g_build_filename(dir, "xl.cfg.keys", NULL);
	g_autofree char *list = NULL, *page = NULL;
	g_auto(GStrv) names = NULL;
	g_autoptr(GPtrArray) found = NULL;
	unsigned int missing = 0;
	char *argv[] = { (char *)"gzip", (char *)"-dc", (char *)"/usr/share/man/man5/xl.cfg.5.gz", NULL };
	guint i;

	if (!g_file_get_contents(path, &list, NULL, NULL))
		list = g_strdup("");
	names = g_strsplit(g_strchomp(list), "\n", 0);
	for (i = 0; names[i]; i++) {
		if (!native_key(names[i])) {
			printf("# not handled: %s\n", names[i]);
			missing++;
		}
	}
	tap_ok(!missing && i >= 150, "each of %u keys of xl.cfg(5) of Xen 4.17 is handled", i);
	if (!g_file_test(argv[2], G_FILE_TEST_EXISTS) ||
	    !g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
	                  &page, NULL, NULL, NULL)) {
		tap_skip("each key of the installed xl.cfg(5) is handled",
		         "xen-utils-common is not installed");
		return;
	}
	found = page_keys(page);
	for (missing = 0, i = 0; i < found->len; i++) {
		const char *name = g_ptr_array_index(found, i);

		if (!native_key(name) && !is_word_of_spec(name)) {
			printf("# not handled: %s\n", name);
			missing++;
		}
	}
	tap_ok(!missing && found->len > 150, "each of %u keys of the installed xl.cfg(5) is handled",
	       found->len);
}

/* A file with the key alone beside what each guest needs. */
static char *with_key(const char *key)
{
	return g_strdup_printf("memory = 64\nname = \"x\"\nkernel = \"/k\"\n%s = \"1\"\n", key);
}

/* Each key does what the list says of it: an error or a note that names it, or neither. */
static void check_classes(void)
{
	const struct native_key *key;
	unsigned int wrong = 0;
	size_t i;

	for (i = 0; (key = native_key_at(i)); i++) {
		g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
		g_autofree char *text = with_key(key->name), *begin = g_strdup_printf("%s: ", key->name);
		g_autoptr(virDomainDef) def = NULL;
		bool good = native_key(key->name) == key;

		virResetLastError();
		def = native_read(text, NATIVE_XL, HOST_CPUS, xmlopt, notes);
		if (key->class == NATIVE_REFUSED)
			good &= !def && strstr(virGetLastErrorMessage(), begin);
		else if (key->class == NATIVE_IDLE)
			good &= def && notes->len == 1 &&
			        g_str_has_prefix(g_ptr_array_index(notes, 0), begin);
		if (!good) {
			printf("# %s: %s\n", key->name, virGetLastErrorMessage());
			wrong++;
		}
	}
	tap_ok(!wrong && i > 200, "each of %zu keys is refused or noted by its name, or carried out", i);
}

static int by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(void)
{
	const char *dir = g_getenv("srcdir") ? g_getenv("srcdir") : ".", *name;
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) files = g_dir_open(dir, 0, NULL);
	guint i;

	if (virInitialize() < 0 || !(xmlopt = xmlopt_new(NULL))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	while (files && (name = g_dir_read_name(files))) {
		if (g_str_has_suffix(name, ".cfg") ||
		    (g_str_has_prefix(name, "to-") && g_str_has_suffix(name, ".xml")))
			g_ptr_array_add(names, g_strdup(name));
	}
	g_ptr_array_sort(names, by_name);
	for (i = 0; i < names->len; i++)
		tap_ok(check_one(dir, g_ptr_array_index(names, i)), "%s",
		       (char *)g_ptr_array_index(names, i));
	check_keys(dir);
	check_classes();
	virObjectUnref(xmlopt);
	return tap_end() || names->len == 0;
}
