/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Features of the host's CPU that a guest is not to see. Libvirt's own list says at which leaf of CPUID each stands, and in which bit.
 */
#include "cpuhide.h"
#include "check.h"

#include "../libxenctrl/src/cpufeatures.h"
#include "cpu/cpu.h"
#include "cpu/cpu_x86_data.h"
#include "virerror.h"

/* Where CPUID tells of it; NULL: libvirt does not know it. */
static virCPUData *places_of(const char *name)
{
	virCPUData *data = virCPUDataNew(VIR_ARCH_X86_64);

	if (data && virCPUDataAddFeature(data, name) == 0 && data->data.x86.len)
		return data;
	virCPUDataFree(data);
	virResetLastError();
	return NULL;
}

/* All of them at once: libvirt puts together what stands at one leaf, so that there are never more masks than leaves. */
GVariant *cpuhide_variant(const virCPUDef *cpu)
{
	virCPUData *all;
	GVariantBuilder masks;
	size_t i;

	if (!cpu || !cpu->nfeatures)
		return NULL;
	all = virCPUDataNew(VIR_ARCH_X86_64);
	for (i = 0; i < cpu->nfeatures; i++)
		ignore_value(virCPUDataAddFeature(all, cpu->features[i].name));
	g_variant_builder_init(&masks, G_VARIANT_TYPE("a(uuuuuu)"));
	for (i = 0; i < all->data.x86.len; i++) {
		const virCPUx86CPUID *at = &all->data.x86.items[i].data.cpuid;

		g_variant_builder_add(&masks, "(uuuuuu)", at->eax_in, at->ecx_in, at->eax, at->ebx, at->ecx,
		                      at->edx);
	}
	virCPUDataFree(all);
	return g_variant_builder_end(&masks);
}

/* Why a guest cannot be without what stands there; or NULL. */
static const char *refusal(const virCPUx86DataItem *item)
{
	const virCPUx86CPUID *at = &item->data.cpuid;
	struct cpu_features_at bits;

	if (item->type != VIR_CPU_X86_DATA_CPUID)
		return "it stands in a register (MSR) that is the host's alone, and cannot be hidden";
	bits = (struct cpu_features_at){ at->eax_in, at->ecx_in, at->eax, at->ebx, at->ecx, at->edx };
	return cpu_features_are_known(&bits) ? NULL
	                                     : "the hypervisor answers for it, and it cannot be hidden";
}

static int check_feature(const virCPUFeatureDef *feature)
{
	virCPUData *data;
	size_t place;
	int ret = 0;

	if (feature->policy != VIR_CPU_FEATURE_DISABLE)
		return conf_refuse("<cpu><feature name='%.64s'>: features can only be taken away "
		                   "(policy='disable') from what the host's CPU has",
		                   feature->name);
	data = places_of(feature->name);
	if (!data)
		return conf_refuse("<cpu><feature name='%.64s'>: libvirt knows no such feature",
		                   feature->name);
	for (place = 0; place < data->data.x86.len && !ret; place++) {
		const char *why = refusal(&data->data.x86.items[place]);

		if (why)
			ret = conf_refuse("<cpu><feature name='%.64s'>: %s", feature->name, why);
	}
	virCPUDataFree(data);
	return ret;
}

int cpuhide_check(const virCPUDef *cpu)
{
	size_t i;

	for (i = 0; i < cpu->nfeatures; i++)
		if (check_feature(&cpu->features[i]) < 0)
			return -1;
	return 0;
}
