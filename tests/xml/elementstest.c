/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What schema.py asks: for each path on standard input, "PATH <tab> CLASS <tab> MESSAGE", where the message
 * is that of the refusal of a definition with nothing in it but this path. --list lists the driver's own
 * paths.
 */

#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>

#include "virerror.h"

#include "elements.h"

static const char *class_name(const char *path)
{
	static const char *const names[] = {
		[ELEMENT_REFUSED] = "refused", [ELEMENT_CARRIED] = "carried", [ELEMENT_IDLE] = "idle"
	};

	return names[elements_class(path)];
}

static void ask(const char *path)
{
	g_autofree char *attribute = NULL;
	g_autofree char *elements = g_strdup(path);
	char *at = strchr(elements, '@');
	g_auto(GStrv) parts = NULL;
	xmlDoc *doc = xmlNewDoc(BAD_CAST "1.0");
	xmlNode *node = xmlNewNode(NULL, BAD_CAST "domain");
	xmlNode *top = node;
	size_t i;

	if (at) {
		*at = '\0';
		attribute = g_strdup(at + 1);
	}
	xmlDocSetRootElement(doc, top);
	parts = g_strsplit(elements, "/", 0);
	for (i = 0; parts[i] && *parts[i]; i++)
		node = xmlNewChild(node, NULL, BAD_CAST parts[i], NULL);
	if (attribute)
		xmlNewProp(node, BAD_CAST attribute, BAD_CAST(STREQ(path, "os/boot@dev") ? "hd" : "x"));
	virResetLastError();
	printf("%s\t%s\t%s\n", path, class_name(path),
	       elements_check(top) < 0 ? virGetLastErrorMessage() : "");
	xmlFreeDoc(doc);
}

int main(int argc, char **argv)
{
	char line[512];
	const char *path;
	size_t i;

	if (virInitialize() < 0)
		return 1;
	for (i = 0; argc > 1 && strcmp(argv[1], "--list") == 0 && (path = elements_path(i)); i++)
		printf("%s\t%s\t\n", path, class_name(path));
	while (argc == 1 && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		ask(line);
	}
	return 0;
}
