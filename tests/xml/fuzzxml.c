/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libFuzzer target: any XML -> definition -> guest configuration or a refusal. The seeds are the golden
 * files. What is accepted must say what xylemd requires, and the same definition must give the same
 * configuration twice.
 */
#include "conf.h"
#include "check.h"
#include "elements.h"
#include "parse.h"
#include "xmlopt.h"

#include <stdint.h>

#include "virerror.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libvirt 9.0.0's own: its list of tags, where a nativeMode is none. */
const char *__lsan_default_suppressions(void)
{
	return "leak:^virNetDevVlanParse$";
}

static void quiet(void *opaque, virErrorPtr error)
{
	(void)opaque;
	(void)error;
}

static void check_guest(GVariant *guest)
{
	const char *name, *uuid, *kernel;
	guint64 memory, max_memory;
	guint32 vcpus, max_vcpus;

	if (!g_variant_lookup(guest, "name", "&s", &name) || !g_variant_lookup(guest, "uuid", "&s", &uuid) ||
	    !g_variant_lookup(guest, "kernel", "&s", &kernel) ||
	    !g_variant_lookup(guest, "memory_kib", "t", &memory) ||
	    !g_variant_lookup(guest, "max_memory_kib", "t", &max_memory) ||
	    !g_variant_lookup(guest, "vcpus", "u", &vcpus) ||
	    !g_variant_lookup(guest, "max_vcpus", "u", &max_vcpus))
		abort();
	if (kernel[0] != '/' || memory < 4096 || memory > max_memory || memory % 4 || vcpus < 1 ||
	    vcpus > max_vcpus || max_vcpus > 128)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static virDomainXMLOption *xmlopt;
	g_autofree char *xml = g_strndup((const char *)data, size);
	g_autoptr(virDomainDef) def = NULL;
	g_autoptr(GVariant) first = NULL;
	g_autoptr(GVariant) second = NULL;

	if (!xmlopt) {
		virSetErrorFunc(NULL, quiet);
		if (virInitialize() < 0 || !(xmlopt = xmlopt_new(NULL)))
			abort();
	}
	def = parse_domain(xml, xmlopt,
	                   VIR_DOMAIN_DEF_PARSE_INACTIVE | VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE |
	                           VIR_DOMAIN_DEF_PARSE_ALLOW_POST_PARSE_FAIL);
	if (!def)
		return 0;
	if (check_domain(def) < 0 || check_start(def, 8) < 0)
		return 0;
	/* One without a kernel boots from its own disk, by the kernel that a start gives it. */
	if (!def->os.kernel) {
		def->os.kernel = g_strdup("/pvgrub");
		g_clear_pointer(&def->os.bootloader, g_free);
	}
	if (elements_check_def(def, xmlopt) < 0)
		return 0;
	first = conf_guest(def);
	if (!first)
		return 0;
	g_variant_ref_sink(first);
	check_guest(first);
	second = conf_guest(def);
	if (!second)
		abort();
	g_variant_ref_sink(second);
	if (!g_variant_equal(first, second))
		abort();
	return 0;
}
