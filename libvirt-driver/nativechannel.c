/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The strings of channel=[], xl.cfg(5), read and written. */
#include "native.h"
#include "consolecheck.h"

#include "../libxenctrl/src/guestlimits.h"

#define VIR_FROM_THIS VIR_FROM_XEN

#define NOT_IN_XL     "a file of xl cannot say it"

static int set(virDomainChrDef *chr, char **connection, const char *text, const char *key, const char *value)
{
	char **where = STREQ(key, "name")         ? &chr->target.name
	               : STREQ(key, "path")       ? &chr->source->data.nix.path
	               : STREQ(key, "connection") ? connection
	                                          : NULL;

	if (STREQ(key, "backend"))
		return STREQ(value, "0") || STREQ(value, "Domain-0") || STREQ(value, "dom0")
		               ? 0
		               : native_refuse("channel '%.120s': backend=%.40s: channels end in Domain-0",
		                               text, value);
	if (!where)
		return native_refuse("channel '%.120s': %.40s=: xl.cfg(5) has no such key", text, key);
	if (*where)
		return native_refuse("channel '%.120s': %s is given twice", text, key);
	*where = g_strdup(value);
	return 0;
}

static int split(virDomainChrDef *chr, char **connection, const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, ",", 0);
	size_t i;

	for (i = 0; parts[i]; i++) {
		char *equals = strchr(g_strstrip(parts[i]), '=');

		if (!*parts[i])
			continue;
		if (!equals)
			return native_refuse("channel '%.120s': '%.40s': it is KEY=VALUE", text, parts[i]);
		*equals = '\0';
		if (set(chr, connection, text, g_strchomp(parts[i]), g_strchug(equals + 1)) < 0)
			return -1;
	}
	return 0;
}

static int complete(virDomainChrDef *chr, const char *connection, const char *text)
{
	bool socket = STREQ_NULLABLE(connection, "socket");

	if (!chr->target.name)
		return native_refuse("channel '%.120s': name= is missing", text);
	if (!socket && STRNEQ_NULLABLE(connection, "pty"))
		return native_refuse("channel '%.120s': connection= is 'pty' or 'socket'", text);
	if (socket != (chr->source->data.nix.path != NULL))
		return native_refuse("channel '%.120s': path= goes with connection=socket", text);
	chr->source->type = socket ? VIR_DOMAIN_CHR_TYPE_UNIX : VIR_DOMAIN_CHR_TYPE_PTY;
	chr->source->data.nix.listen = socket;
	return 0;
}

int native_read_channel(struct native *n, const char *text, size_t index)
{
	virDomainDef *def = n->def;
	virDomainChrDef *chr;
	g_autofree char *connection = NULL;

	if (index >= GUEST_CONSOLES_MAX)
		return native_refuse("channel: a guest has at most %d", GUEST_CONSOLES_MAX);
	chr = virDomainChrDefNew(n->xmlopt);
	if (!chr)
		return -1;
	chr->deviceType = VIR_DOMAIN_CHR_DEVICE_TYPE_CHANNEL;
	chr->targetType = VIR_DOMAIN_CHR_CHANNEL_TARGET_TYPE_XEN;
	chr->target.name = NULL; /* it shares its place with a port, which is none so far */
	/* Its path is freed as that of a socket, also should it have none in the end. */
	chr->source->type = VIR_DOMAIN_CHR_TYPE_UNIX;
	if (split(chr, &connection, text) < 0 || complete(chr, connection, text) < 0) {
		virDomainChrDefFree(chr);
		return -1;
	}
	def->channels = g_renew(virDomainChrDef *, def->channels, def->nchannels + 1);
	def->channels[def->nchannels++] = chr;
	return 0;
}

static char *write_one(const virDomainDef *def, const virDomainChrDef *chr, size_t number)
{
	const virDomainChrSourceDef *source = chr->source;
	const char *name = chr->target.name;
	g_autofree char *ours = conf_channel_path(def, number);
	const char *path = source->data.nix.path ? source->data.nix.path : ours;

	if (source->type == VIR_DOMAIN_CHR_TYPE_TCP ||
	    (source->type == VIR_DOMAIN_CHR_TYPE_UNIX && source->data.nix.path && !source->data.nix.listen)) {
		native_refuse("<channel> '%.128s', which is not a listening UNIX socket: " NOT_IN_XL, name);
		return NULL;
	}
	if (strchr(name, ',') || (source->type == VIR_DOMAIN_CHR_TYPE_UNIX && strchr(path, ','))) {
		native_refuse("<channel> '%.128s': a comma in a name: " NOT_IN_XL, name);
		return NULL;
	}
	if (source->type == VIR_DOMAIN_CHR_TYPE_PTY)
		return g_strdup_printf("name=%s,connection=pty", name);
	return g_strdup_printf("name=%s,connection=socket,path=%s", name, path);
}

GPtrArray *native_write_channels(const virDomainDef *def, enum native_format format)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	size_t i;

	if (def->nconsoles > 1) {
		native_refuse("<console>, the second: " NOT_IN_XL);
		return NULL;
	}
	if (def->nchannels && format == NATIVE_XM) {
		native_refuse("<channel>: a file of xm cannot say it");
		return NULL;
	}
	for (i = 0; i < def->nchannels; i++) {
		char *text = write_one(def, def->channels[i], MAX(def->nconsoles, 1) + i);

		if (!text)
			return NULL;
		g_ptr_array_add(list, text);
	}
	g_ptr_array_add(list, NULL);
	return g_steal_pointer(&list);
}
