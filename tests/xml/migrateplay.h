/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of migration have in common: this host with a guest, calls of a client, and another host that the test plays, as
 * destination, as source, and as a libvirt to which a connection is opened.
 */
#ifndef MIGRATEPLAY_H
#define MIGRATEPLAY_H

#include "migrate.h"

#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../libxenctrl/src/guestlimits.h"
#include "../lib/tap.h"
#include "datatypes.h"
#include "define.h"
#include "domain.h"
#include "events.h"
#include "lifecycle.h"
#include "played.h"
#include "played_guests.h"
#include "virclosecallbacks.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virportallocator.h"
#include "virtypedparam.h"

#define HOST "11111111-2222-4333-8444-555555555555"
#define XML(name, uuid, devices)                                                                         \
	"<domain type='xen'><name>" name "</name><uuid>" uuid "</uuid><memory unit='KiB'>65536</memory>" \
	"<vcpu>1</vcpu><os><type>linux</type><kernel>/k</kernel></os><devices>" devices                  \
	"<console type='pty'><target type='xen' port='0'/></console></devices></domain>"
#define DISK(path)                                                                            \
	"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='" path \
	"'/><target dev='xvda' "                                                              \
	"bus='xen'/></disk>"
#define COOKIE(uuid, more)                                                                         \
	"<libxl-migration><name>one</name><uuid>" uuid "</uuid><hostname>other.example</hostname>" \
	"<migration-stream-version>2</migration-stream-version>" more "</libxl-migration>"
#define OTHERS "<xylem host='" HOST "' outcome='yes'/>"

static struct guest *const one = &guests[0];

/* ---- what is looked at ---- */

static virConnectPtr other; /* another client */

static inline void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# last error: %s\n", virGetLastErrorMessage());
}

static inline bool says(const char *text)
{
	const char *message = virGetLastErrorMessage();

	if (!strstr(message, text))
		printf("# \"%s\" is not in: %s\n", text, message);
	return strstr(message, text) != NULL;
}

static inline int state_of(virDomainPtr dom, int *reason)
{
	int state = -1;

	return lifecycle_get_state(dom, &state, reason, 0) < 0 ? -1 : state;
}

static inline bool is(virDomainPtr dom, int state, int reason)
{
	int why = -1, now = state_of(dom, &why);

	if (now != state || why != reason)
		printf("# state %d, reason %d\n", now, why);
	return now == state && why == reason;
}

static inline bool runs(virDomainPtr dom)
{
	return one->exists && !one->suspended && !one->paused && state_of(dom, NULL) == VIR_DOMAIN_RUNNING;
}

static inline bool suspended(virDomainPtr dom)
{
	return one->exists && one->suspended && is(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION);
}

/* Nobody else has its job. */
static inline bool idle(virDomainPtr dom)
{
	virDomainObj *vm = domain_get(dom);
	bool ret = vm && vm->job->active == VIR_JOB_NONE;

	virDomainObjEndAPI(&vm);
	return ret;
}

static inline bool status_says(const char *text)
{
	g_autofree char *path = g_build_filename(xylem->state_dir, "one.xml", NULL);
	g_autofree char *xml = NULL;

	return g_file_get_contents(path, &xml, NULL, NULL) && strstr(xml, text);
}

/* Waits for what a helper does. */
static inline bool soon(bool (*reached)(virDomainPtr dom), virDomainPtr dom)
{
	unsigned int i;

	for (i = 0; i < 20000 && !reached(dom); i++)
		g_usleep(1000);
	return reached(dom);
}

static inline void leave_client(void)
{
	virCloseCallbacksDomainRunForConn(xylem->domains, conn);
}

/* ---- other calls, which have all slots ---- */

static unsigned int others_have[SLOT_KINDS];

static inline void others_take(void)
{
	int kind;

	for (kind = 0; kind < SLOT_KINDS; kind++) {
		while (slot_try((enum slot)kind))
			others_have[kind]++;
	}
}

static inline void others_give(void)
{
	int kind;

	for (kind = 0; kind < SLOT_KINDS; kind++) {
		for (; others_have[kind]; others_have[kind]--)
			slot_give((enum slot)kind);
	}
}

/* ---- parameters ---- */

struct params {
	virTypedParameterPtr list;
	int count, max;
};

static inline void add(struct params *p, const char *name, const char *value)
{
	if (value)
		ignore_value(virTypedParamsAddString(&p->list, &p->count, &p->max, name, value));
}

static inline void clear(struct params *p)
{
	virTypedParamsFree(p->list, p->count);
	memset(p, 0, sizeof(*p));
}

/* ---- the other host as a destination: a socket ---- */

static struct {
	int listener;
	char uri[64];
	const char *says; /* before it ends */
	bool hangs_up;    /* at once */
	char got[64];
	GThread *thread;
} peer;

static inline void *peer_main(void *data G_GNUC_UNUSED)
{
	int fd = accept(peer.listener, NULL, NULL);
	size_t have = 0;
	ssize_t got;

	memset(peer.got, 0, sizeof(peer.got));
	while (!peer.hangs_up && have < sizeof(peer.got) - 1 &&
	       (got = read(fd, peer.got + have, sizeof(peer.got) - 1 - have)) > 0)
		have += (size_t)got;
	if (peer.says)
		ignore_value(send(fd, peer.says, strlen(peer.says), MSG_NOSIGNAL));
	close(fd);
	return NULL;
}

static inline void peer_start(const char *words, bool hangs_up)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);

	peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(peer.listener, (struct sockaddr *)&at, sizeof(at)) || listen(peer.listener, 1) ||
	    getsockname(peer.listener, (struct sockaddr *)&at, &length))
		abort();
	g_snprintf(peer.uri, sizeof(peer.uri), "tcp://127.0.0.1:%u", ntohs(at.sin_port));
	peer.says = words;
	peer.hangs_up = hangs_up;
	peer.thread = g_thread_new("peer", peer_main, NULL);
}

static inline bool peer_end(void)
{
	g_thread_join(peer.thread);
	close(peer.listener);
	return STREQ(peer.got, STREAM);
}

/* ---- the source ---- */

static virDomainPtr dom;

static inline void start(void)
{
	int state = state_of(dom, NULL);

	if (state == VIR_DOMAIN_PAUSED)
		lifecycle_destroy(dom);
	if (state_of(dom, NULL) != VIR_DOMAIN_RUNNING && lifecycle_create(dom) < 0) {
		printf("Bail out! the guest cannot be started: %s\n", virGetLastErrorMessage());
		exit(1);
	}
}

static inline char *begin(unsigned int flags, char **cookie)
{
	int length = 0;

	return migrate_begin(dom, NULL, 0, cookie, &length, flags | VIR_MIGRATE_CHANGE_PROTECTION);
}

static inline int perform(const char *uri, const char *cookie, unsigned int flags)
{
	struct params p = { 0 };
	char *out = NULL;
	int length = 0, ret;

	add(&p, VIR_MIGRATE_PARAM_URI, uri);
	ret = migrate_perform(dom, NULL, p.list, p.count, cookie, cookie ? (int)strlen(cookie) + 1 : 0, &out,
	                      &length, flags);
	clear(&p);
	g_free(out);
	return ret;
}

static inline int confirm(unsigned int flags, bool gave_up)
{
	return migrate_confirm(dom, NULL, 0, NULL, 0, flags | VIR_MIGRATE_CHANGE_PROTECTION, gave_up);
}

/* Begin and Perform, to a destination that has answered so, and says this in the end. */
static inline int send_after(const char *answer, const char *words, unsigned int flags)
{
	g_autofree char *cookie = NULL;
	g_autofree char *xml = NULL;
	int ret;

	start();
	xml = begin(flags, &cookie);
	if (!xml)
		return -1;
	peer_start(words, false);
	ret = perform(peer.uri, answer, flags | VIR_MIGRATE_CHANGE_PROTECTION);
	peer_end();
	return ret;
}

static inline int send_to(const char *words, bool tells, unsigned int flags)
{
	return send_after(tells ? COOKIE(UUID1, OTHERS) : NULL, words, flags);
}

/* ---- the destination ---- */

static const char *const cookie_good = COOKIE(UUID1, OTHERS);

static inline int prepare_as(const char *xml, const char *name, const char *cookie, int length,
                             const char *uri, char **to, unsigned int flags)
{
	struct params p = { 0 };
	g_autofree char *answer = NULL;
	int answer_length = 0, ret;

	*to = NULL;
	add(&p, VIR_MIGRATE_PARAM_DEST_XML, xml);
	add(&p, VIR_MIGRATE_PARAM_DEST_NAME, name);
	add(&p, VIR_MIGRATE_PARAM_URI, uri);
	ret = migrate_prepare(conn, p.list, p.count, cookie, length, &answer, &answer_length, to, flags);
	clear(&p);
	/* libvirt's own driver takes no answer: "caller ignores cookieout". */
	if (ret == 0 && (strstr(cookie, "outcome='yes'") ? !answer || !strstr(answer, "outcome='yes'")
	                                                 : answer || answer_length))
		abort();
	return ret;
}

static inline int prepare(char **to, unsigned int flags)
{
	return prepare_as(XML("one", UUID1, ""), NULL, cookie_good, (int)strlen(cookie_good) + 1,
	                  "tcp:127.0.0.1", to, flags);
}

static inline int finish_as(virConnectPtr client, const char *name, unsigned int flags, bool gave_up)
{
	struct params p = { 0 };
	char *cookie = NULL;
	virDomainPtr there;
	int length = 0;

	add(&p, VIR_MIGRATE_PARAM_DEST_NAME, name);
	there = migrate_finish(client, p.list, p.count, NULL, 0, &cookie, &length, flags, gave_up);
	clear(&p);
	if (!there)
		return -1;
	virObjectUnref(there);
	return 0;
}

static inline int finish(unsigned int flags, bool gave_up)
{
	return finish_as(conn, "one", flags, gave_up);
}

/* As a source does. */
static inline int connect_only(const char *uri)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned int port;

	if (!uri || sscanf(uri, "tcp://127.0.0.1:%u", &port) != 1)
		return -1;
	at.sin_port = htons((uint16_t)port);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Sends all of it, and gives what is said in the end when the descriptor is asked. */
static inline int send_all(int fd, const char *data)
{
	if (fd < 0)
		return -1;
	if (send(fd, data, strlen(data), MSG_NOSIGNAL) != (ssize_t)strlen(data)) {
		close(fd);
		return -1;
	}
	shutdown(fd, SHUT_WR);
	return fd;
}

static inline int connect_and_send(const char *uri, const char *data)
{
	return send_all(connect_only(uri), data);
}

static inline enum outcome heard(int fd)
{
	g_autofree char *why = NULL;
	enum outcome outcome = migrate_outcome_hear(fd, 10000, &why);

	close(fd);
	return outcome;
}

static inline bool listed(virDomainPtr d)
{
	virDomainObj *vm = virDomainObjListFindByUUID(xylem->domains, d->uuid);
	bool ret = vm != NULL;

	virDomainObjEndAPI(&vm);
	return ret;
}

static inline bool not_listed(virDomainPtr d)
{
	return !listed(d);
}

static inline void wait_restored(unsigned int before)
{
	while (one->restores == before || !status_says("phase='incoming'"))
		g_usleep(1000);
}

static inline bool settled_failure(int fd)
{
	return finish(0, false) < 0 && heard(fd) == OUTCOME_FAILED && !one->exists && not_listed(dom);
}

static inline int arrive(void)
{
	g_autofree char *to = NULL;

	/* The object of before may be about to leave the list. */
	while (prepare(&to, 0) < 0)
		g_usleep(1000);
	return connect_and_send(to, STREAM);
}

/* ---- a connection of libvirtd's own, to a libvirt that the test plays ---- */

static struct {
	virHypervisorDriver table;
	virConnectPtr conn;
	bool unreachable, prepare_fails, finish_fails, lost, by_ssh, tells;
	bool aborts;              /* a client here aborts it while it is prepared there */
	bool crowd;               /* from then on other calls have all slots here */
	bool xylemd_back;         /* at the end */
	unsigned int least_slots; /* that were taken here during the calls there */
	unsigned int flags, finishes, tunnelled;
	bool gave_up;
	char got[64];
} there;

static inline void see_slots(void)
{
	there.least_slots = MIN(there.least_slots, xylem->slots[SLOT_BUILD].taken);
}

virConnectPtr virConnectOpenAuth(const char *uri, virConnectAuthPtr auth G_GNUC_UNUSED,
                                 unsigned int flags G_GNUC_UNUSED)
{
	see_slots();
	if (there.unreachable || STRNEQ(uri, "xen+ssh://other/system")) {
		virReportErrorHelper(there.by_ssh ? VIR_FROM_SSH : VIR_FROM_RPC, VIR_ERR_SYSTEM_ERROR,
		                     __FILE__, __func__, 1, "%s", "no route to host");
		return NULL;
	}
	return virObjectRef(there.conn);
}

int virConnectSetKeepAlive(virConnectPtr c G_GNUC_UNUSED, int interval G_GNUC_UNUSED,
                           unsigned int count G_GNUC_UNUSED)
{
	return 0;
}

static inline int there_feature(virConnectPtr c G_GNUC_UNUSED, int feature)
{
	return feature == VIR_DRV_FEATURE_MIGRATION_PARAMS;
}

static inline int there_prepare(virConnectPtr c G_GNUC_UNUSED, virTypedParameterPtr params, int count,
                                const char *cookie, int length, char **answer, int *answer_length, char **uri,
                                unsigned int flags)
{
	migrate_cookie_t *parsed = migrate_cookie_parse(cookie, length);
	const char *xml = NULL;

	if (!parsed || virTypedParamsGetString(params, count, VIR_MIGRATE_PARAM_DEST_XML, &xml) <= 0 || !xml)
		abort();
	migrate_cookie_free(parsed);
	see_slots();
	if (there.aborts && lifecycle_abort_job(dom) < 0)
		abort();
	if (there.crowd)
		others_take();
	there.flags = flags;
	if (there.prepare_fails)
		return played_fail("no such bridge");
	*answer = there.tells ? g_strdup(cookie) : NULL;
	*answer_length = there.tells ? length : 0;
	if (uri)
		*uri = g_strdup(peer.uri);
	return 0;
}

static inline int tunnel_send(virStreamPtr stream G_GNUC_UNUSED, const char *data, size_t bytes)
{
	g_strlcat(there.got, data, MIN(sizeof(there.got), strlen(there.got) + bytes + 1));
	return (int)bytes;
}

static inline int tunnel_end(virStreamPtr stream G_GNUC_UNUSED)
{
	return 0;
}

static virStreamDriver tunnel_table = { .streamSend = tunnel_send,
	                                .streamFinish = tunnel_end,
	                                .streamAbort = tunnel_end };

static inline int there_tunnel(virConnectPtr c, virStreamPtr stream, virTypedParameterPtr params, int count,
                               const char *cookie, int length, char **answer, int *answer_length,
                               unsigned int flags)
{
	stream->driver = &tunnel_table;
	there.tunnelled++;
	memset(there.got, 0, sizeof(there.got));
	return there_prepare(c, params, count, cookie, length, answer, answer_length, NULL, flags);
}

static inline virDomainPtr there_finish(virConnectPtr c, virTypedParameterPtr params, int count,
                                        const char *cookie G_GNUC_UNUSED, int length G_GNUC_UNUSED,
                                        char **answer G_GNUC_UNUSED, int *answer_length G_GNUC_UNUSED,
                                        unsigned int flags G_GNUC_UNUSED, int gave_up)
{
	const char *name = NULL;

	see_slots();
	if (there.xylemd_back) {
		fails.away = false;
		events_reconcile(true);
	}
	there.finishes++;
	there.gave_up = gave_up;
	if (virTypedParamsGetString(params, count, VIR_MIGRATE_PARAM_DEST_NAME, &name) <= 0)
		abort();
	if (there.lost) {
		virReportErrorHelper(VIR_FROM_RPC, VIR_ERR_SYSTEM_ERROR, __FILE__, __func__, 1, "%s",
		                     "the connection is closed");
		return NULL;
	}
	if (there.finish_fails || gave_up) {
		virReportErrorHelper(VIR_FROM_XEN, VIR_ERR_OPERATION_FAILED, "", "", 1, "no memory there");
		return NULL;
	}
	return virGetDomain(c, name, dom->uuid, 1);
}

static inline int peer_to_peer(unsigned int flags, const char *words)
{
	struct params p = { 0 };
	int ret;

	start();
	there.least_slots = 1;
	if (!(flags & VIR_MIGRATE_TUNNELLED))
		peer_start(words, false);
	ret = migrate_perform(dom, "xen+ssh://other/system", p.list, p.count, NULL, 0, NULL, NULL,
	                      flags | VIR_MIGRATE_PEER2PEER);
	if (!(flags & VIR_MIGRATE_TUNNELLED)) {
		if (there.prepare_fails || there.unreachable || there.aborts)
			close(connect_and_send(peer.uri, ""));
		peer_end();
	}
	return ret;
}

static inline void there_begin(void)
{
	there.table = (virHypervisorDriver){ .name = "Xen",
		                             .connectSupportsFeature = there_feature,
		                             .domainMigratePrepare3Params = there_prepare,
		                             .domainMigratePrepareTunnel3Params = there_tunnel,
		                             .domainMigrateFinish3Params = there_finish };
	there.conn = virGetConnect();
	there.conn->driver = &there.table;
}

/* ---- a libvirtd begins ---- */

static inline void migrateplay_begin(const char *dir)
{
	if (!dir || !played_setup(dir) || events_start() < 0 ||
	    !(dom = define_xml(conn, XML("one", UUID1, "")))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		exit(1);
	}
	other = virGetConnect();
	other->driver = conn->driver;
	other->privateData = xylem;
}

#endif
