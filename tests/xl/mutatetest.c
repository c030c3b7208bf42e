/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files with something wrong in them: 10,000 (MUTATE_RUNS) changes of the golden files. Each ends as a
 * definition, which a client may define and which becomes a text that is read the same way again, or as an error that
 * says something. The sanitizers watch.
 */
#include "../lib/random.h"
#include "../lib/tap.h"

#include <stdio.h>
#include <stdlib.h>

#include "native.h"
#include "parse.h"
#include "virerror.h"
#include "xmlopt.h"

#define VIR_FROM_THIS VIR_FROM_XEN

#define HOST_CPUS     8

static virDomainXMLOption *xmlopt;
static unsigned int definitions, errors, lost;

static void quiet(void *opaque G_GNUC_UNUSED, virErrorPtr error G_GNUC_UNUSED)
{
}

/* What changes the meaning of such a text. */
static const char *const pieces[] = { "\"",
	                              "'",
	                              "\"\"\"",
	                              "\\",
	                              "\\\"",
	                              "#",
	                              "[",
	                              "]",
	                              ",",
	                              ";",
	                              "=",
	                              "\n",
	                              "\r",
	                              "\t",
	                              "0",
	                              "-1",
	                              "18446744073709551616",
	                              "999999999999999999",
	                              "0x7fffffffffffffff",
	                              "^",
	                              "all",
	                              ":",
	                              "phy:",
	                              "tap:",
	                              "target=",
	                              "cdrom",
	                              "mac=",
	                              "xvda",
	                              "../",
	                              "\xc3\xa9",
	                              "\xff",
	                              "\x01",
	                              "[[[[[[",
	                              "&<>",
	                              "-->",
	                              "type = \"pv\"",
	                              "vcpus = 128",
	                              "kernel = \"/k\"",
	                              "bootloader = \"pygrub\"",
	                              "memory = 64" };

static void mutate(GString *text, const GPtrArray *all)
{
	gsize at = random_below((uint32_t)text->len + 1);
	gsize length = random_below(12);
	const char *other;

	switch (random_below(5)) {
	case 0:
		g_string_erase(text, (gssize)at, (gssize)MIN(length, text->len - at));
		break;
	case 1:
		g_string_insert(text, (gssize)at, pieces[random_below(G_N_ELEMENTS(pieces))]);
		break;
	case 2:
		if (at < text->len)
			text->str[at] =
			        (char)(random_below(8) ? ' ' + random_below(95) : 1 + random_below(255));
		break;
	case 3: /* a piece of another one */
		other = g_ptr_array_index(all, random_below(all->len));
		other += random_below((uint32_t)strlen(other) + 1);
		length = random_below(80);
		g_string_insert_len(text, (gssize)at, other, (gssize)MIN(strlen(other), length));
		break;
	default: /* a line twice */
		other = g_strndup(text->str + at, MIN(strcspn(text->str + at, "\n"), 200));
		g_string_prepend(text, other);
		g_free((char *)other);
		break;
	}
}

static bool same(virDomainDef *def, enum native_format format)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *xml = virDomainDefFormat(def, xmlopt, VIR_DOMAIN_DEF_FORMAT_INACTIVE);
	g_autoptr(virDomainDef) again = xml ? parse_domain(xml, xmlopt, VIR_DOMAIN_DEF_PARSE_INACTIVE) : NULL;
	g_autofree char *xml_again =
	        again ? virDomainDefFormat(again, xmlopt, VIR_DOMAIN_DEF_FORMAT_INACTIVE) : NULL;
	g_autofree char *text = native_write(def, format), *text_again = NULL;
	g_autoptr(virDomainDef) second = NULL;

	if (!xml_again || STRNEQ(xml, xml_again)) {
		printf("# it cannot be defined: %s\n# %s\n", virGetLastErrorMessage(), xml);
		return false;
	}
	if (!text)
		return true; /* it has no words for it */
	second = native_read(text, format, HOST_CPUS, xmlopt, notes);
	text_again = second ? native_write(second, format) : NULL;
	if (text_again && STREQ(text, text_again))
		return true;
	printf("# it is not read again: %s\n# %s\n# %s\n", virGetLastErrorMessage(), text, text_again);
	return false;
}

static bool run(const char *text, enum native_format format)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(virDomainDef) def = NULL;

	virResetLastError();
	def = native_read(text, format, HOST_CPUS, xmlopt, notes);
	if (def) {
		definitions++;
		return same(def, format);
	}
	errors++;
	if (virGetLastErrorCode() != VIR_ERR_OK && virGetLastErrorCode() != VIR_ERR_INTERNAL_ERROR)
		return true;
	printf("# %s\n", virGetLastErrorMessage());
	return false;
}

static bool accepted(const char *text)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(virDomainDef) def = native_read(text, NATIVE_XL, HOST_CPUS, xmlopt, notes);

	return def != NULL;
}

static int by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(void)
{
	const char *dir = g_getenv("srcdir") ? g_getenv("srcdir") : ".", *runs = g_getenv("MUTATE_RUNS"),
	           *name;
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) good = g_ptr_array_new();
	g_autoptr(GDir) files = g_dir_open(dir, 0, NULL);
	unsigned int count = runs ? (unsigned int)atoi(runs) : 10000, i, changes;

	virSetErrorFunc(NULL, quiet);
	if (virInitialize() < 0 || !(xmlopt = xmlopt_new(NULL))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	while (files && (name = g_dir_read_name(files))) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		char *text = NULL;

		if (g_str_has_suffix(name, ".cfg") && g_file_get_contents(path, &text, NULL, NULL))
			g_ptr_array_add(all, text);
	}
	/* Folders have no order. */
	g_ptr_array_sort(all, by_text);
	for (i = 0; i < all->len; i++) {
		if (accepted(g_ptr_array_index(all, i)))
			g_ptr_array_add(good, g_ptr_array_index(all, i));
	}
	for (i = 0; good->len && i < count && lost < 10; i++) {
		g_autoptr(GString) text = NULL;
		const GPtrArray *from = random_below(5) ? good : all;

		text = g_string_new(g_ptr_array_index(from, random_below(from->len)));
		for (changes = random_below(random_below(3) + 1) + 1; changes; changes--)
			mutate(text, all);
		if (!run(text->str, i % 4 ? NATIVE_XL : NATIVE_XM)) {
			printf("# file %u:\n%s\n", i, text->str);
			lost++;
		}
	}
	tap_ok(!lost && definitions > count / 40 && definitions + errors == count,
	       "%u changed files: %u definitions, %u errors", count, definitions, errors);
	virObjectUnref(xmlopt);
	return tap_end();
}
