/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * XML from clients, looked at before libvirt's parser is given it.
 *
 * That parser makes room for what a number says before any driver is asked, and a failed allocation ends
 * libvirtd: four billion vcpus, a cache with the id 4294967295, a disk sdzzzzzzz with a controller for each
 * seven before it. So the text becomes nodes once, by libxml2 (comments, entities and CDATA are its
 * business), each such number is held against a limit, and the same nodes are what libvirt then parses.
 */
#include "parse.h"
#include "elements.h"

#include <libxml/tree.h>
#include <libxml/xpath.h>

#include "virerror.h"
#include "virxml.h"

#define VIR_FROM_THIS VIR_FROM_XEN

/* No machine has more of anything, and many times less than this fills its memory. */
#define COUNT_MAX 65536
/* Each index up to it becomes a controller, and each of those is looked for among all. */
#define CONTROLLER_MAX 1024
/* libvirt compares siblings with each other: more of them take minutes. */
#define CHILDREN_MAX 1024
/* Letters of a disk's name: zzz is the 18,278th. */
#define LETTERS_MAX 3

/* Numbers that libvirt's parser trusts. Without attribute: the element's text. */
static const struct number {
	const char *element;
	const char *attribute;
	long long most;
} numbers[] = {
	{ "vcpu", NULL, COUNT_MAX },
	{ "vcpu", "current", COUNT_MAX },
	{ "vcpu", "id", COUNT_MAX },
	{ "vcpupin", "vcpu", COUNT_MAX },
	{ "iothreads", NULL, COUNT_MAX },
	{ "iothread", "id", COUNT_MAX },
	{ "iothreadpin", "iothread", COUNT_MAX },
	{ "cell", "id", COUNT_MAX },
	{ "memnode", "cellid", COUNT_MAX },
	/* <cputune><cachetune><cache>, <memorytune><node>, and the caches of <cpu><numa> */
	{ "cache", "id", COUNT_MAX },
	{ "cache", "level", 64 },
	{ "node", "id", COUNT_MAX },
	{ "controller", "index", CONTROLLER_MAX },
	{ "controller", "ports", COUNT_MAX },
	{ "controller", "vectors", COUNT_MAX },
	{ "address", "controller", CONTROLLER_MAX },
	{ "address", "bus", COUNT_MAX },
};

static bool named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && xmlStrEqual(node->name, BAD_CAST name);
}

/* Whatever base it is read in, and libvirt reads -1 as four billion. */
static bool within(const char *text, long long most)
{
	static const unsigned int bases[] = { 10, 0 };
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(bases); i++) {
		gint64 value = g_ascii_strtoll(text, NULL, bases[i]);

		if (value < 0 || value > most)
			return false;
	}
	return true;
}

static int check_number(xmlNode *node, const struct number *number)
{
	g_autofree char *text = NULL;

	text = number->attribute ? virXMLPropString(node, number->attribute)
	                         : (char *)xmlNodeGetContent(node);
	if (!text || within(text, number->most))
		return 0;
	/* Of the text only as much as a number has: what stands there may be megabytes. */
	if (number->attribute)
		virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
		               "<%s %s='%.20s'>: it is not a number from 0 to %lld", number->element,
		               number->attribute, text, number->most);
	else
		virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
		               "<%s>%.20s</%s>: it is not a number from 0 to %lld", number->element, text,
		               number->element, number->most);
	return -1;
}

static int check_target(xmlNode *node)
{
	g_autofree char *dev = virXMLPropString(node, "dev");
	size_t prefix, letters = 0;
	const char *name;

	if (!dev || !node->parent || !named(node->parent, "disk"))
		return 0;
	/* An ancient prefix, which libvirt drops. */
	name = STRPREFIX(dev, "ioemu:") ? dev + strlen("ioemu:") : dev;
	prefix = STRPREFIX(name, "xvd") || STRPREFIX(name, "ubd") ? 3 : 2;
	while (letters <= LETTERS_MAX && strlen(name) > prefix && g_ascii_islower(name[prefix + letters]))
		letters++;
	if (letters <= LETTERS_MAX)
		return 0;
	virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "<disk>, <target dev='%.20s'>: no disk has such a name",
	               dev);
	return -1;
}

static int check_node(xmlNode *node)
{
	unsigned int children = 0;
	const xmlNode *child;
	size_t i;

	for (child = node->children; child; child = child->next) {
		if (child->type == XML_ELEMENT_NODE && ++children > CHILDREN_MAX) {
			virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "<%s>: more than %d elements in it",
			               (const char *)node->name, CHILDREN_MAX);
			return -1;
		}
	}
	if (named(node, "target"))
		return check_target(node);
	for (i = 0; i < G_N_ELEMENTS(numbers); i++) {
		if (named(node, numbers[i].element) && check_number(node, &numbers[i]) < 0)
			return -1;
	}
	return 0;
}

xmlNode *parse_next(xmlNode *node, const xmlNode *top)
{
	/* What stands in <metadata> is of no interest here. */
	if (node->type == XML_ELEMENT_NODE && node->children && !named(node, "metadata"))
		return node->children;
	while (node != top && !node->next)
		node = node->parent;
	return node == top ? NULL : node->next;
}

static int check_numbers(xmlNode *top)
{
	xmlNode *node;

	for (node = top; node; node = parse_next(node, top)) {
		if (node->type == XML_ELEMENT_NODE && check_node(node) < 0)
			return -1;
	}
	return 0;
}

virDomainDef *parse_domain(const char *xml, virDomainXMLOption *xmlopt, unsigned int flags)
{
	g_autoptr(xmlXPathContext) ctxt = NULL;
	g_autoptr(virDomainDef) def = NULL;
	g_autoptr(xmlDoc) doc = NULL;
	/* As libvirt does it, so that metadata are laid out anew when they are written. */
	int keep_blanks = xmlKeepBlanksDefault(0);

	doc = virXMLParse(NULL, xml, "(domain_definition)", "domain", &ctxt, "domain.rng",
	                  (flags & VIR_DOMAIN_DEF_PARSE_VALIDATE_SCHEMA) != 0);
	xmlKeepBlanksDefault(keep_blanks);
	if (!doc || check_numbers(ctxt->node) < 0)
		return NULL;
	def = virDomainDefParseNode(ctxt, xmlopt, NULL, flags);
	/* After libvirt's and check.c's own words, which say more. */
	if (!def || (!(flags & VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE) && elements_check(ctxt->node) < 0))
		return NULL;
	return g_steal_pointer(&def);
}

virDomainDeviceDef *parse_device(const char *xml, const virDomainDef *def, virDomainXMLOption *xmlopt,
                                 unsigned int flags)
{
	g_autoptr(xmlXPathContext) ctxt = NULL;
	g_autoptr(xmlDoc) doc = virXMLParseStringCtxt(xml, "(device_definition)", &ctxt);
	g_autoptr(virDomainDeviceDef) dev = NULL;

	if (!doc || check_numbers(ctxt->node) < 0)
		return NULL;
	/* libvirt has no entry for a device's nodes. */
	dev = virDomainDeviceDefParse(xml, def, xmlopt, NULL, flags);
	if (!dev || (!(flags & VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE) && elements_check(ctxt->node) < 0))
		return NULL;
	return g_steal_pointer(&dev);
}
