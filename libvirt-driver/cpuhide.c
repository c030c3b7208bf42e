/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Features of the host's CPU that a guest is not to see. Libvirt's own list says at which leaf of CPUID each stands, and in which bit.
 */
#include "cpuhide.h"
#include "check.h"

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

GVariant *cpuhide_variant(const virCPUDef *cpu)
{
	GVariantBuilder masks;
	size_t i, place;

	if (!cpu || !cpu->nfeatures)
		return NULL;
	g_variant_builder_init(&masks, G_VARIANT_TYPE("a(uuuuuu)"));
	for (i = 0; i < cpu->nfeatures; i++) {
		virCPUData *data = places_of(cpu->features[i].name);

		for (place = 0; data && place < data->data.x86.len; place++) {
			const virCPUx86CPUID *at = &data->data.x86.items[place].data.cpuid;

			g_variant_builder_add(&masks, "(uuuuuu)", at->eax_in, at->ecx_in, at->eax, at->ebx,
			                      at->ecx, at->edx);
		}
		virCPUDataFree(data);
	}
	return g_variant_builder_end(&masks);
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
	for (place = 0; place < data->data.x86.len && !ret; place++)
		if (data->data.x86.items[place].type != VIR_CPU_X86_DATA_CPUID)
			ret = conf_refuse(
			        "<cpu><feature name='%.64s'>: it stands in a register (MSR) that is the host's "
			        "alone, and cannot be hidden",
			        feature->name);
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
