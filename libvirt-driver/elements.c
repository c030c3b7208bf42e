/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The elements and attributes that a definition may have: what is not listed here is refused by its name,
 * also what libvirt does not know (it would drop it silently). Values are check.c's business, which
 * runs first and says more.
 *
 * It works on nodes: those that a client handed in, and at start those of the definition as libvirt would
 * write it, since what is loaded from files is never refused. tests/xml/schema.py walks libvirt's schema and
 * asks for each path in it.
 */
#include "elements.h"
#include "iotunecheck.h"
#include "parse.h"

#include <libxml/xpath.h>

#include "virerror.h"
#include "virxml.h"

#define VIR_FROM_THIS VIR_FROM_XEN

#define NOT_HERE      "not supported by this driver"

/* Paths below <domain>, sorted as strcmp sorts. */
static const struct element {
	const char *path;
	enum element_class class;
	const char *why;  /* of a refusal */
	const char *only; /* the value of an attribute that libvirt does not keep */
} elements[] = {
	{ "", ELEMENT_CARRIED, NULL, NULL },
	{ "@id", ELEMENT_IDLE, NULL, NULL },
	{ "@type", ELEMENT_CARRIED, NULL, NULL },
	{ "bootloader", ELEMENT_CARRIED, NULL, NULL },
	{ "bootloader_args", ELEMENT_REFUSED, "PV GRUB takes none, it reads grub.cfg on the guest's disk",
	  NULL },
	{ "clock", ELEMENT_CARRIED, NULL, NULL },
	{ "clock/timer", ELEMENT_CARRIED, NULL, NULL },
	{ "clock/timer@mode", ELEMENT_CARRIED, NULL, NULL },
	{ "clock/timer@name", ELEMENT_CARRIED, NULL, NULL },
	{ "clock/timer@present", ELEMENT_CARRIED, NULL, NULL },
	{ "clock@adjustment", ELEMENT_CARRIED, NULL, NULL },
	{ "clock@basis", ELEMENT_CARRIED, NULL, NULL },
	{ "clock@offset", ELEMENT_CARRIED, NULL, NULL },
	{ "cpu", ELEMENT_CARRIED, NULL, NULL },
	{ "cpu/feature", ELEMENT_CARRIED, NULL, NULL },
	{ "cpu/feature@name", ELEMENT_CARRIED, NULL, NULL },
	{ "cpu/feature@policy", ELEMENT_CARRIED, NULL, NULL },
	{ "cpu@check", ELEMENT_IDLE, NULL, NULL },
	{ "cpu@mode", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune/global_period", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune/global_quota", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune/period", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune/quota", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune/shares", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune/vcpupin", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune/vcpupin@cpuset", ELEMENT_CARRIED, NULL, NULL },
	{ "cputune/vcpupin@vcpu", ELEMENT_CARRIED, NULL, NULL },
	{ "currentMemory", ELEMENT_CARRIED, NULL, NULL },
	{ "currentMemory@unit", ELEMENT_CARRIED, NULL, NULL },
	{ "description", ELEMENT_CARRIED, NULL, NULL },
	{ "devices", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/address", ELEMENT_REFUSED, "paravirtual devices have no address", NULL },
	{ "devices/channel/alias", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/alias@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/protocol", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/protocol@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/source", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/source@host", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/source@mode", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/source@path", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/source@service", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/target", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/target@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel/target@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/channel@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/address", ELEMENT_REFUSED, "paravirtual devices have no address", NULL },
	{ "devices/console/alias", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/alias@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/protocol", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/protocol@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/source", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/source@append", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/source@host", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/source@mode", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/source@path", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/source@service", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/target", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/target@port", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console/target@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/console@tty", ELEMENT_IDLE, NULL, NULL },
	{ "devices/console@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/controller", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/controller/address", ELEMENT_REFUSED, "paravirtual devices have no address", NULL },
	{ "devices/controller/alias", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/controller/alias@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/controller@index", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/controller@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/address", ELEMENT_REFUSED, "paravirtual devices have no address", NULL },
	{ "devices/disk/alias", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/alias@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/backingStore", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/driver", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/driver@cache", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/driver@discard", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/driver@io", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/driver@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/driver@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/group_name", ELEMENT_REFUSED, IOTUNE_GROUP, NULL },
	{ "devices/disk/iotune/read_bytes_sec", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/read_bytes_sec_max", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/read_bytes_sec_max_length", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/read_iops_sec", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/read_iops_sec_max", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/read_iops_sec_max_length", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/size_iops_sec", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/total_bytes_sec", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/total_bytes_sec_max", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/total_bytes_sec_max_length", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/total_iops_sec", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/total_iops_sec_max", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/total_iops_sec_max_length", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/write_bytes_sec", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/write_bytes_sec_max", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/write_bytes_sec_max_length", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/write_iops_sec", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/write_iops_sec_max", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/iotune/write_iops_sec_max_length", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/readonly", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/shareable", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/source", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/source@dev", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/source@file", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/source@index", ELEMENT_IDLE, NULL, NULL },
	{ "devices/disk/source@pool", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/source@volume", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/target", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/target@bus", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk/target@dev", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk@device", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk@snapshot", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/disk@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/emulator", ELEMENT_IDLE, NULL, NULL },
	{ "devices/graphics", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics/listen", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics/listen@address", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics/listen@socket", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics/listen@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics@autoport", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics@listen", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics@passwd", ELEMENT_REFUSED,
	  "the host's QEMU has no DES, which passwords of VNC need", NULL },
	{ "devices/graphics@port", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics@socket", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/graphics@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/input", ELEMENT_IDLE, NULL, NULL },
	{ "devices/input@bus", ELEMENT_IDLE, NULL, NULL },
	{ "devices/input@type", ELEMENT_IDLE, NULL, NULL },
	{ "devices/interface", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/address", ELEMENT_REFUSED, "paravirtual devices have no address", NULL },
	{ "devices/interface/alias", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/alias@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/inbound", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/inbound@average", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/inbound@burst", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/inbound@floor", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/inbound@peak", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/outbound", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/outbound@average", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/outbound@burst", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/bandwidth/outbound@peak", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/filterref", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/filterref/parameter", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/filterref/parameter@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/filterref/parameter@value", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/filterref@filter", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/link", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/link@state", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/mac", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/mac@address", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/model", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/model@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/mtu", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/mtu@size", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/port", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/port@isolated", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/script", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/script@path", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/source", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/source@bridge", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/source@network", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/source@portgroup", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/source@portid", ELEMENT_IDLE, NULL, NULL },
	{ "devices/interface/target", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/target@dev", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/vlan", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/vlan/tag", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/vlan/tag@id", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/vlan/tag@nativeMode", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface/vlan@trunk", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/interface@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/memballoon", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/memballoon/address", ELEMENT_REFUSED, "paravirtual devices have no address", NULL },
	{ "devices/memballoon/alias", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/memballoon/alias@name", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/memballoon@model", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/serial", ELEMENT_IDLE, NULL, NULL },
	{ "devices/serial/address", ELEMENT_REFUSED, "paravirtual devices have no address", NULL },
	{ "devices/serial/alias", ELEMENT_IDLE, NULL, NULL },
	{ "devices/serial/alias@name", ELEMENT_IDLE, NULL, NULL },
	{ "devices/serial/source", ELEMENT_IDLE, NULL, NULL },
	{ "devices/serial/source@path", ELEMENT_IDLE, NULL, NULL },
	{ "devices/serial/target", ELEMENT_IDLE, NULL, NULL },
	{ "devices/serial/target@port", ELEMENT_IDLE, NULL, NULL },
	{ "devices/serial@type", ELEMENT_IDLE, NULL, NULL },
	{ "devices/video", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/video/model", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/video/model@heads", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/video/model@primary", ELEMENT_IDLE, NULL, NULL },
	{ "devices/video/model@type", ELEMENT_CARRIED, NULL, NULL },
	{ "devices/video/model@vram", ELEMENT_IDLE, NULL, NULL },
	{ "features", ELEMENT_IDLE, NULL, NULL },
	{ "features/acpi", ELEMENT_IDLE, NULL, NULL },
	{ "features/apic", ELEMENT_IDLE, NULL, NULL },
	{ "features/apic@eoi", ELEMENT_REFUSED, "a paravirtual guest has no APIC", NULL },
	{ "features/pae", ELEMENT_IDLE, NULL, NULL },
	{ "memory", ELEMENT_CARRIED, NULL, NULL },
	{ "memory@unit", ELEMENT_CARRIED, NULL, NULL },
	{ "metadata", ELEMENT_CARRIED, NULL, NULL },
	{ "name", ELEMENT_CARRIED, NULL, NULL },
	{ "on_crash", ELEMENT_CARRIED, NULL, NULL },
	{ "on_poweroff", ELEMENT_CARRIED, NULL, NULL },
	{ "on_reboot", ELEMENT_CARRIED, NULL, NULL },
	{ "os", ELEMENT_CARRIED, NULL, NULL },
	{ "os/bios", ELEMENT_REFUSED, "paravirtual guests have no firmware", NULL },
	{ "os/boot", ELEMENT_IDLE, NULL, NULL },
	{ "os/boot@dev", ELEMENT_IDLE, "a guest boots its <kernel>, or its disk by PV GRUB", "hd" },
	{ "os/bootmenu", ELEMENT_REFUSED, "PV GRUB has its menu from grub.cfg on the guest's disk", NULL },
	{ "os/cmdline", ELEMENT_CARRIED, NULL, NULL },
	{ "os/initrd", ELEMENT_CARRIED, NULL, NULL },
	{ "os/kernel", ELEMENT_CARRIED, NULL, NULL },
	{ "os/type", ELEMENT_CARRIED, NULL, NULL },
	{ "os/type@arch", ELEMENT_CARRIED, NULL, NULL },
	{ "os/type@machine", ELEMENT_CARRIED, NULL, NULL },
	{ "pm", ELEMENT_CARRIED, NULL, NULL },
	{ "pm/suspend-to-disk", ELEMENT_CARRIED, NULL, NULL },
	{ "pm/suspend-to-disk@enabled", ELEMENT_CARRIED, NULL, NULL },
	{ "pm/suspend-to-mem", ELEMENT_CARRIED, NULL, NULL },
	{ "pm/suspend-to-mem@enabled", ELEMENT_CARRIED, NULL, NULL },
	{ "title", ELEMENT_CARRIED, NULL, NULL },
	{ "uuid", ELEMENT_CARRIED, NULL, NULL },
	{ "vcpu", ELEMENT_CARRIED, NULL, NULL },
	{ "vcpu@cpuset", ELEMENT_CARRIED, NULL, NULL },
	{ "vcpu@current", ELEMENT_CARRIED, NULL, NULL },
	{ "vcpu@placement", ELEMENT_CARRIED, NULL, NULL },
};

static int compare(const void *key, const void *element)
{
	return strcmp(key, ((const struct element *)element)->path);
}

static const struct element *find(const char *path)
{
	return bsearch(path, elements, G_N_ELEMENTS(elements), sizeof(elements[0]), compare);
}

enum element_class elements_class(const char *path)
{
	const struct element *element = find(path);

	return element ? element->class : ELEMENT_REFUSED;
}

const char *elements_path(size_t index)
{
	return index < G_N_ELEMENTS(elements) ? elements[index].path : NULL;
}

/* What the refusals of check.c call a disk or an interface; NULL for all else. */
static char *device_name(const xmlNode *device)
{
	bool disk = xmlStrEqual(device->name, BAD_CAST "disk");
	xmlNode *child;

	if (!disk && !xmlStrEqual(device->name, BAD_CAST "interface"))
		return NULL;
	for (child = device->children; child; child = child->next) {
		if (xmlStrEqual(child->name, BAD_CAST(disk ? "target" : "mac")))
			return virXMLPropString(child, disk ? "dev" : "address");
	}
	return NULL;
}

/* <domain>, and its <devices>: what every element is in, so that no message says it. */
static bool is_frame(const xmlNode *node, const xmlNode *top)
{
	if (node == top)
		return xmlStrEqual(node->name, BAD_CAST "domain");
	return node->parent == top && xmlStrEqual(top->name, BAD_CAST "domain") &&
	       xmlStrEqual(node->name, BAD_CAST "devices");
}

static int refuse(const xmlNode *node, const char *attribute, const xmlNode *top, const char *why)
{
	g_autoptr(GString) text = g_string_new(NULL);
	const xmlNode *at = node;

	do {
		g_autofree char *name = at == node ? NULL : device_name(at);
		g_autofree char *piece = NULL;

		if (at == node && attribute)
			piece = g_strdup_printf("<%s %s=...>", (const char *)at->name, attribute);
		else if (name)
			piece = g_strdup_printf("<%s> %.40s, ", (const char *)at->name, name);
		else if (at->ns && at->ns->prefix)
			piece = g_strdup_printf("<%s:%s>", (const char *)at->ns->prefix,
			                        (const char *)at->name);
		else
			piece = g_strdup_printf("<%s>", (const char *)at->name);
		g_string_prepend(text, piece);
		if (at == top)
			break;
		at = at->parent;
	} while (!is_frame(at, top));
	virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "%.300s: %s", text->str, why ? why : NOT_HERE);
	return -1;
}

static char *path_of(const xmlNode *node, const xmlNode *top, const char *prefix)
{
	GString *path = g_string_new(NULL);
	const xmlNode *at;

	for (at = node; at != top; at = at->parent) {
		if (path->len)
			g_string_prepend_c(path, '/');
		g_string_prepend(path, (const char *)at->name);
	}
	if (*prefix && path->len)
		g_string_prepend_c(path, '/');
	g_string_prepend(path, prefix);
	return g_string_free(path, FALSE);
}

static bool value_good(xmlNode *node, const struct element *element, const char *attribute)
{
	g_autofree char *value = element->only ? virXMLPropString(node, attribute) : NULL;

	return !value || STREQ(value, element->only);
}

int elements_check(xmlNode *top)
{
	g_autofree char *prefix = g_strdup("");
	xmlNode *node;

	if (!xmlStrEqual(top->name, BAD_CAST "domain")) {
		g_free(prefix);
		prefix = g_strdup_printf("devices/%s", (const char *)top->name);
	}
	for (node = top; node; node = parse_next(node, top)) {
		g_autofree char *path = NULL;
		const struct element *element;
		const xmlAttr *attribute;

		if (node->type != XML_ELEMENT_NODE)
			continue;
		path = path_of(node, top, prefix);
		element = find(path);
		if (node->ns || !element || element->class == ELEMENT_REFUSED)
			return refuse(node, NULL, top, element ? element->why : NULL);
		for (attribute = node->properties; attribute; attribute = attribute->next) {
			g_autofree char *full = g_strdup_printf("%s@%s", path, (const char *)attribute->name);

			element = find(full);
			if (attribute->ns || !element || element->class == ELEMENT_REFUSED ||
			    !value_good(node, element, (const char *)attribute->name))
				return refuse(node, (const char *)attribute->name, top,
				              element ? element->why : NULL);
		}
	}
	return 0;
}

int elements_check_def(virDomainDef *def, virDomainXMLOption *xmlopt)
{
	g_autofree char *xml = virDomainDefFormat(def, xmlopt, VIR_DOMAIN_DEF_FORMAT_INACTIVE);
	g_autoptr(xmlXPathContext) ctxt = NULL;
	g_autoptr(xmlDoc) doc = xml ? virXMLParseStringCtxt(xml, "(domain_definition)", &ctxt) : NULL;

	return doc ? elements_check(ctxt->node) : -1;
}
