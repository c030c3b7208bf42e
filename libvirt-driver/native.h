/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files of xl, and of the xm before it, read and written; and what the files share that do so. Pure, as conf.h is.
 */
#ifndef XYLEM_NATIVE_H
#define XYLEM_NATIVE_H

#include "internal.h"
#include "domain_conf.h"

#include "virconf.h"

enum native_format { NATIVE_XL, NATIVE_XM };
/*
 * What the text describes, as a definition that could be defined; NULL and an error that names the key or the line.
 * host_cpus: what "all" among the CPUs means. Notes (char *) are added for what was passed over, as "KEY: why".
 */
virDomainDef *native_read(const char *text, enum native_format format, unsigned int host_cpus,
                          virDomainXMLOption *xmlopt, GPtrArray *notes);
/* The reverse, of a definition that check_domain and check_device let pass: NULL and an error where it cannot be said. */
char *native_write(const virDomainDef *def, enum native_format format);
/* What becomes of a key; NULL for one that is unknown. */
enum native_class { NATIVE_REFUSED, NATIVE_CARRIED, NATIVE_IDLE };
struct native_key {
	const char *name;
	enum native_class class;
	const char *why;      /* it is refused or has no meaning */
	const char *harmless; /* values that are not refused, besides 0 and what is empty */
};
const struct native_key *native_key(const char *name);
/* One by one; NULL behind the last. */
const struct native_key *native_key_at(size_t index);

/* ---- what they share ---- */

/* One file while it is read. */
struct native {
	GHashTable *values; /* key -> virConfValue, the last of a key */
	GHashTable *joined; /* the keys of it whose value stands behind += */
	enum native_format format;
	unsigned int host_cpus;
	virDomainXMLOption *xmlopt;
	virDomainDef *def;
	GPtrArray *notes;
};

/* -1 with VIR_ERR_CONFIG_UNSUPPORTED. */
int native_refuse(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* A sentence on what has no meaning here. */
void native_note(struct native *n, const char *format, ...) G_GNUC_PRINTF(2, 3);

/*
 * ---- nativetext.c ----
 * The text as virConf can take it: without comments, with escapes resolved, and with nothing that would fill its stack
 * or that it would read wrongly. NULL with an error that names the line.
 */
char *native_prepare(const char *text, enum native_format format);
/*
 * A value that stands behind += receives what its key had before, NULL: nothing, which is empty then. Returns 1, or 0 where
 * it stands behind =, or -1 where the two are not of one kind.
 */
int native_join(virConfValue *value, virConfValue *before);
/* The quotes that native_prepare() has hidden in a string, in place. */
void native_restore(char *string);
/* A string as xl reads it, with its quotes; *out is appended to. */
void native_quote(GString *out, const char *string);

/* ---- nativedev.c: one string of disk=[], of vif=[]; 0, or -1 with an error ---- */
int native_read_disk(struct native *n, const char *spec);
int native_read_vif(struct native *n, const char *spec, size_t index);

/* ---- nativecpu.c: cpuid="host,...", and the same of a definition's features ---- */
int native_read_cpuid(struct native *n, const char *text);
char *native_write_cpuid(const virCPUDef *cpu);

/* ---- nativechannel.c: one string of channel=[]; all that a definition has, up to NULL, or NULL and an error ---- */
int native_read_channel(struct native *n, const char *spec, size_t index);
GPtrArray *native_write_channels(const virDomainDef *def, enum native_format format);

#endif
