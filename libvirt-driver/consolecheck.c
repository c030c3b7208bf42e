/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest's consoles and channels cannot be is refused here by its name (check.c for all else), and what they can be
 * becomes xylemd's words.
 *
 * The first <console> is the one that each guest has, hvc0 in it. Further ones, and the channels behind them, are devices,
 * numbered as they stand.
 */
#include "consolecheck.h"
#include "check.h"

#include <arpa/inet.h>

#include "../libxenctrl/src/guestlimits.h"
#include "virerror.h"
#include "viruuid.h"

#define VIR_FROM_THIS    VIR_FROM_XEN

#define CHANNEL_NAME_MAX 127

size_t conf_console_count(const virDomainDef *def)
{
	return MAX(def->nconsoles, 1) + def->nchannels;
}

virDomainChrDef *conf_console_at(const virDomainDef *def, size_t number)
{
	size_t consoles = MAX(def->nconsoles, 1);

	if (number < def->nconsoles)
		return def->consoles[number];
	return number >= consoles && number < consoles + def->nchannels ? def->channels[number - consoles]
	                                                                : NULL;
}

char *conf_channel_path(const virDomainDef *def, size_t number)
{
	char uuid[VIR_UUID_STRING_BUFLEN];

	virUUIDFormat(def->uuid, uuid);
	return g_strdup_printf(CONF_CHANNEL_DIR "/%s.%zu", uuid, number);
}

/* ---- refusals ---- */

static const char *name_of(const virDomainChrDef *chr)
{
	return virDomainChrDeviceTypeToString(chr->deviceType);
}

static bool is_channel(const virDomainChrDef *chr)
{
	return chr->deviceType == VIR_DOMAIN_CHR_DEVICE_TYPE_CHANNEL;
}

static bool is_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static unsigned int port_of(const char *service)
{
	guint64 port;

	return service && g_ascii_string_to_unsigned(service, 10, 1, 65535, &port, NULL) ? (unsigned int)port
	                                                                                 : 0;
}

static int check_tcp(const virDomainChrDef *chr)
{
	const virDomainChrSourceDef *source = chr->source;
	const char *name = name_of(chr);

	if (source->data.tcp.protocol != VIR_DOMAIN_CHR_TCP_PROTOCOL_RAW)
		return conf_refuse("<%s type='tcp'><protocol type='%s'>: only 'raw' is supported", name,
		                   virDomainChrTcpProtocolTypeToString(source->data.tcp.protocol));
	if (source->data.tcp.haveTLS == VIR_TRISTATE_BOOL_YES)
		return conf_refuse("<%s type='tcp'><source tls='yes'>: only plain connections are supported",
		                   name);
	if (source->data.tcp.reconnect.enabled != VIR_TRISTATE_BOOL_ABSENT)
		return conf_refuse(
		        "<%s type='tcp'><source><reconnect>: it connects again each second, always", name);
	if (!source->data.tcp.host || !is_address(source->data.tcp.host))
		return conf_refuse("<%s type='tcp'><source host='%.64s'>: an address in figures is needed",
		                   name, NULLSTR_EMPTY(source->data.tcp.host));
	if (!port_of(source->data.tcp.service))
		return conf_refuse("<%s type='tcp'><source service='%.64s'>: a port, 1 to 65535, is needed",
		                   name, NULLSTR_EMPTY(source->data.tcp.service));
	return 0;
}

static int check_path(const virDomainChrDef *chr, const char *path, size_t max)
{
	if (path && path[0] == '/' && strlen(path) <= max)
		return 0;
	return conf_refuse(
	        "<%s type='%s'><source path='%.128s'>: an absolute path of at most %zu bytes is needed",
	        name_of(chr), virDomainChrTypeToString(chr->source->type), NULLSTR_EMPTY(path), max);
}

static int check_unix(const virDomainChrDef *chr)
{
	const virDomainChrSourceDef *source = chr->source;

	if (source->data.nix.reconnect.enabled != VIR_TRISTATE_BOOL_ABSENT)
		return conf_refuse(
		        "<%s type='unix'><source><reconnect>: it connects again each second, always",
		        name_of(chr));
	/* A channel's may be left to us. */
	if (is_channel(chr) && !source->data.nix.path)
		return 0;
	return check_path(chr, source->data.nix.path, GUEST_SOCKET_MAX);
}

static int check_file(const virDomainChrDef *chr)
{
	if (chr->source->data.file.append == VIR_TRISTATE_SWITCH_OFF)
		return conf_refuse(
		        "<%s type='file'><source append='off'>: files are appended to, and rotated as "
		        "logs are",
		        name_of(chr));
	return check_path(chr, chr->source->data.file.path, 4095);
}

static int check_source(const virDomainChrDef *chr)
{
	if (chr->source->logfile)
		return conf_refuse("<%s><log>: the first console is logged to "
		                   "/var/log/xen/console/guest-NAME.log, others are not; "
		                   "<console type='file'> is a log of its own",
		                   name_of(chr));
	switch (chr->source->type) {
	case VIR_DOMAIN_CHR_TYPE_PTY:
		return 0;
	case VIR_DOMAIN_CHR_TYPE_TCP:
		return check_tcp(chr);
	case VIR_DOMAIN_CHR_TYPE_UNIX:
		return check_unix(chr);
	case VIR_DOMAIN_CHR_TYPE_FILE:
		if (!is_channel(chr))
			return check_file(chr);
		break;
	default:
		break;
	}
	return conf_refuse("<%s type='%s'>: only %s are supported", name_of(chr),
	                   virDomainChrTypeToString(chr->source->type),
	                   is_channel(chr) ? "'pty', 'unix' and 'tcp'" : "'pty', 'file', 'unix' and 'tcp'");
}

/* Beside its console a guest may have the <serial> that definitions of other hypervisors have: it is the same. */
static int check_serial(const virDomainChrDef *chr)
{
	if (chr->targetType != VIR_DOMAIN_CHR_SERIAL_TARGET_TYPE_NONE || chr->target.port > 0)
		return conf_refuse(
		        "<serial><target>: a paravirtual guest has no serial ports, only its consoles, hvc0 "
		        "and so on");
	if (chr->source->type != VIR_DOMAIN_CHR_TYPE_PTY || chr->source->logfile)
		return conf_refuse(
		        "<serial type='%s'>: it is the first console, of which only 'pty' is supported, "
		        "without <log>; a second <console> may have this type",
		        virDomainChrTypeToString(chr->source->type));
	return 0;
}

static int check_channel(const virDomainChrDef *chr)
{
	if (chr->targetType != VIR_DOMAIN_CHR_CHANNEL_TARGET_TYPE_XEN)
		return conf_refuse(
		        "<channel><target type=...>: a paravirtual guest's channels have the type 'xen'");
	if (!chr->target.name || !*chr->target.name || strlen(chr->target.name) > CHANNEL_NAME_MAX)
		return conf_refuse("<channel><target name='%.128s'>: a name of 1 to %d bytes is needed",
		                   NULLSTR_EMPTY(chr->target.name), CHANNEL_NAME_MAX);
	return check_source(chr);
}

static int check_console(const virDomainChrDef *chr, const virDomainDef *def)
{
	bool serial = def && def->nserials && chr->targetType == VIR_DOMAIN_CHR_CONSOLE_TARGET_TYPE_SERIAL;

	if (chr->targetType != VIR_DOMAIN_CHR_CONSOLE_TARGET_TYPE_XEN && !serial)
		return conf_refuse(
		        "<console><target type=...>: a paravirtual guest's console has the type 'xen'");
	if (chr->target.port < 1 && chr->source->type != VIR_DOMAIN_CHR_TYPE_PTY)
		return conf_refuse(
		        "<console type='%s'>: the first one is a 'pty'; a second one may have this type",
		        virDomainChrTypeToString(chr->source->type));
	return check_source(chr);
}

int check_chr(const virDomainChrDef *chr, const virDomainDef *def)
{
	switch (chr->deviceType) {
	case VIR_DOMAIN_CHR_DEVICE_TYPE_CONSOLE:
		return check_console(chr, def);
	case VIR_DOMAIN_CHR_DEVICE_TYPE_CHANNEL:
		return check_channel(chr);
	case VIR_DOMAIN_CHR_DEVICE_TYPE_SERIAL:
		if (def && def->nserials)
			return check_serial(chr);
		break;
	default:
		break;
	}
	return conf_refuse("<%s>: use <console>, which is hvc0 and so on in the guest", name_of(chr));
}

/* Two sockets with one path would take it from each other. */
static int check_paths(const virDomainDef *def)
{
	g_autoptr(GHashTable) paths = g_hash_table_new(g_str_hash, g_str_equal);
	size_t i;

	for (i = 0; i < conf_console_count(def); i++) {
		const virDomainChrDef *chr = conf_console_at(def, i);

		if (chr && chr->source->type == VIR_DOMAIN_CHR_TYPE_UNIX && chr->source->data.nix.path &&
		    !g_hash_table_add(paths, chr->source->data.nix.path))
			return conf_refuse(
			        "<%s type='unix'><source path='%.128s'>: another one has this path",
			        name_of(chr), chr->source->data.nix.path);
	}
	return 0;
}

int check_consoles(const virDomainDef *def)
{
	size_t i;

	if (conf_console_count(def) > 1 + GUEST_CONSOLES_MAX)
		return conf_refuse("<console>, <channel>: %zu of them, a guest has at most %d",
		                   conf_console_count(def), 1 + GUEST_CONSOLES_MAX);
	for (i = 0; i < def->nconsoles; i++) {
		if (check_console(def->consoles[i], def) < 0)
			return -1;
	}
	for (i = 0; i < def->nchannels; i++) {
		if (check_channel(def->channels[i]) < 0)
			return -1;
	}
	if (def->nserials > 1)
		return conf_refuse("<serial>, the second: a paravirtual guest has no serial ports; use "
		                   "<console>, which is hvc1 in it");
	if (def->nserials && check_serial(def->serials[0]) < 0)
		return -1;
	return check_paths(def);
}

/* ---- xylemd's words ---- */

static void add_string(GVariantBuilder *b, const char *key, const char *value)
{
	g_variant_builder_add(b, "{sv}", key, g_variant_new_string(value));
}

static void add_tcp(GVariantBuilder *b, const virDomainChrSourceDef *source)
{
	add_string(b, "type", "tcp");
	add_string(b, "host", source->data.tcp.host);
	g_variant_builder_add(b, "{sv}", "port", g_variant_new_uint32(port_of(source->data.tcp.service)));
	if (!source->data.tcp.listen)
		add_string(b, "mode", "connect");
}

static void add_unix(GVariantBuilder *b, const virDomainDef *def, size_t number,
                     const virDomainChrSourceDef *source)
{
	g_autofree char *ours = source->data.nix.path ? NULL : conf_channel_path(def, number);

	add_string(b, "type", "unix");
	add_string(b, "path", ours ? ours : source->data.nix.path);
	/* Without a path libvirt's default, to connect, can mean nothing. */
	if (!ours && !source->data.nix.listen)
		add_string(b, "mode", "connect");
}

static GVariant *describe(const virDomainDef *def, size_t number)
{
	const virDomainChrDef *chr = conf_console_at(def, number);
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "number", g_variant_new_uint32((guint32)number));
	if (chr->source->type == VIR_DOMAIN_CHR_TYPE_TCP) {
		add_tcp(&b, chr->source);
	} else if (chr->source->type == VIR_DOMAIN_CHR_TYPE_UNIX) {
		add_unix(&b, def, number, chr->source);
	} else if (chr->source->type == VIR_DOMAIN_CHR_TYPE_FILE) {
		add_string(&b, "type", "file");
		add_string(&b, "path", chr->source->data.file.path);
	} else {
		add_string(&b, "type", "pty");
	}
	if (is_channel(chr))
		add_string(&b, "name", chr->target.name);
	return g_variant_builder_end(&b);
}

GVariant *conf_consoles(const virDomainDef *def)
{
	GVariantBuilder list;
	size_t i;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 1; i < conf_console_count(def); i++)
		g_variant_builder_add_value(&list, describe(def, i));
	return g_variant_builder_end(&list);
}
