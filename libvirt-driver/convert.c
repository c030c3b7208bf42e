/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files of xl and xm from clients, and for them: domxml-from-native and domxml-to-native. What becomes of
 * each key is native.c's business. What has been passed over is logged, and stands as comments before the <domain>, so
 * that it is seen by whoever asked.
 */
#include "convert.h"

#include <xenctrl.h>

#include "host.h"
#include "native.h"
#include "parse.h"
#include "viraccessapicheck.h"
#include "virerror.h"
#include "virlog.h"
#include "xylem.h"

VIR_LOG_INIT("xylem.convert");

/* libvirt's own driver has these names. */
#define FORMAT_XL  "xen-xl"
#define FORMAT_XM  "xen-xm"
#define FORMAT_SXP "xen-sxpr"

static int find_format(const char *name, enum native_format *format)
{
	if (STREQ(name, FORMAT_XL) || STREQ(name, FORMAT_XM)) {
		*format = STREQ(name, FORMAT_XL) ? NATIVE_XL : NATIVE_XM;
		return 0;
	}
	if (STREQ(name, FORMAT_SXP))
		virReportError(VIR_ERR_OPERATION_UNSUPPORTED, "%s",
		               "the format " FORMAT_SXP " is not supported");
	else
		virReportError(VIR_ERR_INVALID_ARG, "the formats are " FORMAT_XL " and " FORMAT_XM ", not %s",
		               name);
	return -1;
}

/* Two hyphens would end a comment, or begin none. */
static void add_comment(GString *out, const char *note)
{
	g_string_append(out, "<!-- ");
	for (; *note; note++) {
		g_string_append_c(out, *note);
		if (note[0] == '-' && (note[1] == '-' || !note[1]))
			g_string_append_c(out, ' ');
	}
	g_string_append(out, " -->\n");
}

char *convert_from_native(virConnectPtr conn, const char *format_name, const char *text, unsigned int flags)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(virDomainDef) def = NULL;
	g_autofree char *xml = NULL;
	enum native_format format;
	struct xyl_hostinfo host;
	GString *out;
	guint i;

	virCheckFlags(0, NULL);

	if (virConnectDomainXMLFromNativeEnsureACL(conn) < 0 || find_format(format_name, &format) < 0)
		return NULL;
	if (xyl_host_info(xylem->xen, &host) < 0) {
		host_report_xyl();
		return NULL;
	}
	def = native_read(text, format, host.max_cpu_id + 1, xylem->xmlopt, notes);
	if (!def)
		return NULL;
	xml = virDomainDefFormat(def, xylem->xmlopt, VIR_DOMAIN_DEF_FORMAT_INACTIVE);
	if (!xml)
		return NULL;
	out = g_string_new(NULL);
	for (i = 0; i < notes->len; i++) {
		VIR_WARN("%s: %s", def->name, (const char *)g_ptr_array_index(notes, i));
		add_comment(out, g_ptr_array_index(notes, i));
	}
	g_string_append(out, xml);
	return g_string_free(out, FALSE);
}

char *convert_to_native(virConnectPtr conn, const char *format_name, const char *xml, unsigned int flags)
{
	g_autoptr(virDomainDef) def = NULL;
	enum native_format format;

	virCheckFlags(0, NULL);

	if (virConnectDomainXMLToNativeEnsureACL(conn) < 0 || find_format(format_name, &format) < 0)
		return NULL;
	def = parse_domain(xml, xylem->xmlopt, VIR_DOMAIN_DEF_PARSE_INACTIVE);
	return def ? native_write(def, format) : NULL;
}
