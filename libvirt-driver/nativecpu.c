/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The key cpuid of xl (xl.cfg(5), "cpuid"), as "host,avx2=0": features that a guest does not see. Xl's names are libvirt's, but for
 * some. What says a register's bits, leaf by leaf, is xm's and refused.
 */
#include "native.h"
#include "compat.h"

#include "cpu_conf.h"
#include "virerror.h"

#define HOST "host"

/* The pairs are those of libvirt's converter (src/libxl/xen_xl.c) and of xl.cfg(5); of several the first is written. */
static const struct {
	const char *xl, *libvirt;
} names[] = {
	{ "cmpxchg16", "cx16" },
	{ "cntxid", "cid" },
	{ "dscpl", "ds_cpl" },
	{ "pclmulqdq", "pclmuldq" },
	{ "sse3", "pni" },
	{ "psn", "pn" },
	{ "clfsh", "clflush" },
	{ "sysenter", "sep" },
	{ "cmpxchg8", "cx8" },
	{ "nodeid", "nodeid_msr" },
	{ "altmovcr8", "cr8legacy" },
	{ "lahfsahf", "lahf_lm" },
	{ "ffxsr", "fxsr_opt" },
	{ "page1gb", "pdpe1gb" },
	{ "ibrsb", "spec-ctrl" },
	{ "sse4_1", "sse4.1" },
	{ "sse4_2", "sse4.2" },
	{ "sse41", "sse4.1" },
	{ "sse42", "sse4.2" },
};

static const char *libvirts_name(const char *xl)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(names); i++)
		if (STREQ(names[i].xl, xl))
			return names[i].libvirt;
	return xl;
}

static const char *xls_name(const char *libvirt)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(names); i++)
		if (STREQ(names[i].libvirt, libvirt))
			return names[i].xl;
	return libvirt;
}

/* name=value */
static int read_feature(virCPUDef *cpu, const char *word)
{
	g_auto(GStrv) parts = g_strsplit(word, "=", 2);
	const char *name = parts[0] ? g_strstrip(parts[0]) : "",
	           *value = *name && parts[1] ? g_strstrip(parts[1]) : "";

	if (STREQ(value, "x")) /* as it is without */
		return 0;
	if (STRNEQ(value, "0"))
		return native_refuse(
		        "cpuid: \"%.60s\": features can only be taken away (=0) from what the host's CPU has",
		        word);
	virCPUDefUpdateFeature(cpu, libvirts_name(name), VIR_CPU_FEATURE_DISABLE);
	return 0;
}

int native_read_cpuid(struct native *n, const char *text)
{
	g_auto(GStrv) words = g_strsplit(text, ",", 0);
	g_autoptr(virCPUDef) cpu = virCPUDefNew();
	size_t i;

	if (!words[0] || STRNEQ(g_strstrip(words[0]), HOST))
		return native_refuse("cpuid = \"%.60s\": it must begin with \"" HOST "\"", text);
	cpu->type = VIR_CPU_TYPE_GUEST;
	cpu->mode = VIR_CPU_MODE_HOST_PASSTHROUGH;
	for (i = 1; words[i]; i++)
		if (read_feature(cpu, g_strstrip(words[i])) < 0)
			return -1;
	if (cpu->nfeatures)
		n->def->cpu = g_steal_pointer(&cpu);
	return 0;
}

char *native_write_cpuid(const virCPUDef *cpu)
{
	GString *out = g_string_new(HOST);
	size_t i;

	for (i = 0; i < cpu->nfeatures; i++)
		g_string_append_printf(out, ",%s=0", xls_name(cpu->features[i].name));
	return g_string_free(out, FALSE);
}
