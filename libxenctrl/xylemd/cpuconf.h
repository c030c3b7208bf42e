/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is hidden from a guest of its processor, as its configuration has it (docs/xylemd-protocol.md). Pure. */
#ifndef XYLEMD_CPUCONF_H
#define XYLEMD_CPUCONF_H

#include <glib.h>
#include <stdbool.h>

#define CPU_HIDDEN_MAX 64u

/* The key cpu_hidden, if it is there, as an array of struct xyl_cpuid, also after an error. what names the guest in messages.
 * Whether all are features the library says when they are hidden. */
bool cpu_hidden_parse(GVariantDict *dict, const char *what, GArray **hidden, GError **error);
GVariant *cpu_hidden_to_variant(const GArray *hidden);

#endif
