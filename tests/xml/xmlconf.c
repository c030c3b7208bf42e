/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Golden tests of the libvirt driver's pure half: domain XML -> guest configuration, and refusals.
 *
 * Each NAME.xml beside this file has either NAME.conf, the dictionary that xylemd gets, one key a line, or
 * NAME.error, the exact message of the refusal. The XML goes through libvirt's own parser with the driver's
 * options, as it does when a domain is defined, and then through conf_guest as at start. load-NAME.xml stands
 * for a definition that is refused at start (its NAME.error) and must load all the same.
 *
 * Run with XYLEM_UPDATE=1 to write the expected files anew, and read the difference.
 */
#include "conf.h"
#include "../lib/tap.h"
#include "check.h"
#include "elements.h"
#include "parse.h"
#include "xmlopt.h"

#include <glib/gstdio.h>
#include <stdio.h>

#include "virerror.h"
#include "virlog.h"
#include "virxml.h"

#define VIR_FROM_THIS VIR_FROM_XEN

/* What clients are shown of a definition fits libvirt's schema. */
static bool shown_valid(virDomainDef *def, virDomainXMLOption *xmlopt)
{
	static virXMLValidator *validator;
	const char *dir = g_getenv("LIBVIRT_SCHEMAS");
	g_autofree char *xml = virDomainDefFormat(def, xmlopt, VIR_DOMAIN_DEF_FORMAT_INACTIVE);
	g_autoptr(xmlDoc) doc = xml ? virXMLParseStringCtxt(xml, "(domain_definition)", NULL) : NULL;

	if (!validator) {
		g_autofree char *path =
		        g_build_filename(dir ? dir : "/usr/share/libvirt/schemas", "domain.rng", NULL);

		validator = virXMLValidatorInit(path);
	}
	return validator && doc && virXMLValidatorValidate(validator, doc) == 0;
}

static char *outcome(const char *path, virDomainXMLOption *xmlopt, bool *refused)
{
	unsigned int flags = VIR_DOMAIN_DEF_PARSE_INACTIVE;
	g_autofree char *name = g_path_get_basename(path);
	g_autofree char *xml = NULL;
	g_autoptr(virDomainDef) def = NULL;
	GVariant *guest = NULL;
	GString *text = g_string_new(NULL);
	GVariantIter iter;
	const char *key;
	GVariant *value;

	*refused = false;
	if (g_str_has_prefix(name, "load-"))
		flags |= VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE | VIR_DOMAIN_DEF_PARSE_ALLOW_POST_PARSE_FAIL;
	virResetLastError();
	if (g_file_get_contents(path, &xml, NULL, NULL))
		def = parse_domain(xml, xmlopt, flags);
	if (!def && g_str_has_prefix(name, "load-")) {
		g_string_assign(text, "did not load\n");
		return g_string_free(text, FALSE);
	}
	/* As a start does it, on a host of 8 CPUs. */
	if (def && check_domain(def) == 0 && check_start(def, 8) == 0 && elements_check_def(def, xmlopt) == 0)
		guest = conf_guest(def);
	if (!guest) {
		*refused = true;
		g_string_printf(text, "%s\n", virGetLastErrorMessage());
		return g_string_free(text, FALSE);
	}
	g_variant_ref_sink(guest);
	if (!shown_valid(def, xmlopt))
		g_string_append_printf(text, "its XML is not valid: %s\n", virGetLastErrorMessage());
	g_variant_iter_init(&iter, guest);
	while (g_variant_iter_next(&iter, "{&sv}", &key, &value)) {
		g_autofree char *printed = g_variant_print(value, TRUE);

		g_string_append_printf(text, "%s: %s\n", key, printed);
		g_variant_unref(value);
	}
	g_variant_unref(guest);
	return g_string_free(text, FALSE);
}

static bool check_one(const char *dir, const char *stem, virDomainXMLOption *xmlopt)
{
	g_autofree char *xml = g_strdup_printf("%s/%s.xml", dir, stem);
	g_autofree char *expected_path = NULL;
	g_autofree char *expected = NULL;
	g_autofree char *actual = NULL;
	bool refused;

	actual = outcome(xml, xmlopt, &refused);
	expected_path = g_strdup_printf("%s/%s.%s", dir, stem, refused ? "error" : "conf");
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
	return true;
}

static int by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(void)
{
	const char *dir = g_getenv("srcdir") ? g_getenv("srcdir") : ".";
	g_autoptr(GPtrArray) stems = g_ptr_array_new_with_free_func(g_free);
	virDomainXMLOption *xmlopt;
	const char *name;
	GDir *files;
	guint i;

	if (virInitialize() < 0 || !(xmlopt = xmlopt_new(NULL))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	files = g_dir_open(dir, 0, NULL);
	while (files && (name = g_dir_read_name(files))) {
		if (g_str_has_suffix(name, ".xml"))
			g_ptr_array_add(stems, g_strndup(name, strlen(name) - 4));
	}
	g_ptr_array_sort(stems, by_name);
	for (i = 0; i < stems->len; i++) {
		const char *stem = g_ptr_array_index(stems, i);

		tap_ok(check_one(dir, stem, xmlopt), "%s", stem);
	}
	if (files)
		g_dir_close(files);
	virObjectUnref(xmlopt);
	return tap_end() || stems->len == 0;
}
