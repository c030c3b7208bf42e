/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What two hosts tell each other of a migration beside the guest itself: the cookie, as libvirt's own Xen driver writes it
 * with elements that it passes over, and the outcome; see migrate.h. Both come from another host: nothing in them is
 * trusted that could do harm.
 */
#include "migrate.h"

#include <poll.h>
#include <sys/socket.h>

#include "virbuffer.h"
#include "virerror.h"
#include "virtime.h"
#include "virutil.h"
#include "viruuid.h"
#include "virxml.h"
#include "xylem.h"

#define COOKIE_MAX   (4 << 20) /* of libvirt's protocol */
#define OUTCOME_MAX  1024
#define HOSTNAME_MAX 255

void migrate_cookie_free(struct migrate_cookie *c)
{
	if (!c)
		return;
	g_free(c->name);
	g_free(c->hostname);
	g_free(c->persistent);
	g_free(c);
}

struct migrate_cookie *migrate_cookie_new(const virDomainDef *def, const char *persistent)
{
	struct migrate_cookie *c = g_new0(struct migrate_cookie, 1);

	c->name = g_strdup(def->name);
	c->hostname = virGetHostname();
	c->persistent = g_strdup(persistent);
	memcpy(c->uuid, def->uuid, VIR_UUID_BUFLEN);
	c->stream_version = MIGRATE_STREAM_VERSION;
	c->outcome = true;
	c->zeros = true;
	if (c->hostname && virGetHostUUID(c->host) == 0)
		return c;
	virReportError(VIR_ERR_INTERNAL_ERROR, "%s", "this host has no name or no UUID");
	migrate_cookie_free(c);
	return NULL;
}

char *migrate_cookie_format(const struct migrate_cookie *c)
{
	g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
	char uuid[VIR_UUID_STRING_BUFLEN], host[VIR_UUID_STRING_BUFLEN];

	virUUIDFormat(c->uuid, uuid);
	virUUIDFormat(c->host, host);
	virBufferAddLit(&buf, "<libxl-migration>\n");
	virBufferAdjustIndent(&buf, 2);
	virBufferEscapeString(&buf, "<name>%s</name>\n", c->name);
	virBufferAsprintf(&buf, "<uuid>%s</uuid>\n", uuid);
	virBufferEscapeString(&buf, "<hostname>%s</hostname>\n", c->hostname);
	virBufferAsprintf(&buf, "<migration-stream-version>%u</migration-stream-version>\n",
	                  c->stream_version);
	virBufferAsprintf(&buf, "<xylem host='%s' outcome='%s' zeros='%s'/>\n", host,
	                  c->outcome ? "yes" : "no", c->zeros ? "by-type" : "written");
	virBufferEscapeString(&buf, "<persistent>%s</persistent>\n", c->persistent);
	virBufferAdjustIndent(&buf, -2);
	virBufferAddLit(&buf, "</libxl-migration>\n");
	return virBufferContentAndReset(&buf);
}

static int refuse(const char *what)
{
	virReportError(VIR_ERR_OPERATION_FAILED,
	               "the other host's migration cookie %s: is it libvirt with its Xen driver?", what);
	return -1;
}

/* A name that may stand in a log. */
static bool is_hostname(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++) {
		if (!g_ascii_isalnum(text[i]) && !strchr("-._:", text[i]))
			return false;
	}
	return i > 0 && i <= HOSTNAME_MAX;
}

static int read_elements(xmlXPathContextPtr ctxt, struct migrate_cookie *c)
{
	g_autofree char *uuid = virXPathString("string(./uuid[1])", ctxt);
	g_autofree char *host = virXPathString("string(./xylem/@host)", ctxt);
	g_autofree char *outcome = virXPathString("string(./xylem/@outcome)", ctxt);
	g_autofree char *zeros = virXPathString("string(./xylem/@zeros)", ctxt);
	g_autofree char *hostname = virXPathString("string(./hostname[1])", ctxt);

	c->name = virXPathString("string(./name[1])", ctxt);
	if (!c->name)
		return refuse("has no name");
	if (!uuid || virUUIDParse(uuid, c->uuid) < 0)
		return refuse("has no UUID");
	if (virXPathUInt("string(./migration-stream-version[1])", ctxt, &c->stream_version) < 0)
		return refuse("has no version");
	if (host && virUUIDParse(host, c->host) < 0)
		return refuse("has a host's UUID that is none");
	if (hostname && is_hostname(hostname))
		c->hostname = g_steal_pointer(&hostname);
	c->outcome = STREQ_NULLABLE(outcome, "yes");
	c->zeros = STREQ_NULLABLE(zeros, "by-type");
	c->persistent = virXPathString("string(./persistent[1])", ctxt);
	return 0;
}

struct migrate_cookie *migrate_cookie_parse(const char *data, int length)
{
	g_autoptr(migrate_cookie_t) c = g_new0(struct migrate_cookie, 1);
	g_autoptr(xmlXPathContext) ctxt = NULL;
	g_autoptr(xmlDoc) doc = NULL;

	if (!data || length <= 0 || length > COOKIE_MAX || data[length - 1] != '\0') {
		refuse("is missing, too long or cut off");
		return NULL;
	}
	/* Nor has a cookie a DTD, a comment or the like. */
	if (strstr(data, "<!")) {
		refuse("is not one of libvirt's");
		return NULL;
	}
	doc = virXMLParse(NULL, data, "(migration cookie)", "libxl-migration", &ctxt, NULL, false);
	if (!doc || read_elements(ctxt, c) < 0)
		return NULL;
	if (c->stream_version != MIGRATE_STREAM_VERSION) {
		virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
		               "the other host sends guests in a stream of version %u; known here is %u",
		               c->stream_version, MIGRATE_STREAM_VERSION);
		return NULL;
	}
	return g_steal_pointer(&c);
}

/* ---- the outcome ---- */

void migrate_outcome_tell(int stream, enum outcome outcome, const char *why)
{
	g_autofree char *line = NULL;

	if (outcome == OUTCOME_FAILED)
		line = g_strdup_printf("failed: %.500s\n", why ? why : "");
	else
		line = g_strdup(outcome == OUTCOME_RUNS ? "runs\n" : "starts\n");
	/* A pipe, or a source that has gone: nobody hears it. */
	ignore_value(send(stream, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT));
}

/* The first word that is certain, or the last one. */
static enum outcome understand(char *text, char **why)
{
	enum outcome outcome = OUTCOME_UNKNOWN;
	char *line, *end;

	for (line = text; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (STREQ(line, "starts")) {
			outcome = OUTCOME_STARTS;
		} else if (STREQ(line, "runs")) {
			return OUTCOME_RUNS;
		} else if (STRPREFIX(line, "failed: ")) {
			*why = g_strcanon(g_strdup(line + strlen("failed: ")),
			                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			                  " -_.,:;/()[]{}<>='\"+*%&@#!?|~^",
			                  '?');
			return OUTCOME_FAILED;
		} else {
			return OUTCOME_UNKNOWN;
		}
	}
	return outcome;
}

enum outcome migrate_outcome_hear(int stream, unsigned int wait_ms, char **why)
{
	gint64 until = g_get_monotonic_time() + (gint64)wait_ms * 1000;
	char text[OUTCOME_MAX + 1] = "";
	enum outcome outcome = OUTCOME_UNKNOWN;
	size_t have = 0;

	*why = NULL;
	for (;;) {
		gint64 left = (until - g_get_monotonic_time()) / 1000;
		struct pollfd p = { .fd = stream, .events = POLLIN };
		g_autofree char *copy = NULL;
		ssize_t got;

		if (left < 0 || poll(&p, 1, (int)left) <= 0)
			return outcome;
		got = recv(stream, text + have, OUTCOME_MAX - have, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		/* Its end without a message says that the guest never ran; one that broke says nothing. */
		if (got == 0 && have < OUTCOME_MAX)
			return have == 0 ? OUTCOME_FAILED : outcome;
		if (got <= 0)
			return outcome;
		have += (size_t)got;
		if (memchr(text, '\0', have))
			return OUTCOME_UNKNOWN;
		text[have] = '\0';
		copy = g_strdup(text);
		outcome = understand(copy, why);
		if (outcome == OUTCOME_RUNS || outcome == OUTCOME_FAILED)
			return outcome;
	}
}
