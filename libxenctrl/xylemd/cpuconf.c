/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See cpuconf.h. */
#include "cpuconf.h"

#include <xenctrl.h>

#include "error.h"

bool cpu_hidden_parse(GVariantDict *dict, const char *what, GArray **hidden, GError **error)
{
	g_autoptr(GVariant) list =
	        g_variant_dict_lookup_value(dict, "cpu_hidden", G_VARIANT_TYPE("a(uuuuuu)"));
	gsize i, count = list ? g_variant_n_children(list) : 0;

	*hidden = g_array_new(FALSE, FALSE, sizeof(struct xyl_cpuid));
	if (count > CPU_HIDDEN_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "%s: cpu_hidden: %zu masks of CPUID are more than %u", what, count,
		               CPU_HIDDEN_MAX);
	for (i = 0; i < count; i++) {
		struct xyl_cpuid m;

		g_variant_get_child(list, i, "(uuuuuu)", &m.leaf, &m.subleaf, &m.eax, &m.ebx, &m.ecx, &m.edx);
		g_array_append_val(*hidden, m);
	}
	return true;
}

GVariant *cpu_hidden_to_variant(const GArray *hidden)
{
	GVariantBuilder b;
	guint i;

	g_variant_builder_init(&b, G_VARIANT_TYPE("a(uuuuuu)"));
	for (i = 0; i < hidden->len; i++) {
		const struct xyl_cpuid *m = &g_array_index(hidden, struct xyl_cpuid, i);

		g_variant_builder_add(&b, "(uuuuuu)", m->leaf, m->subleaf, m->eax, m->ebx, m->ecx, m->edx);
	}
	return g_variant_builder_end(&b);
}
