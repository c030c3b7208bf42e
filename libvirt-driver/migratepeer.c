/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A migration that the source's libvirtd does by itself, with a connection of its own to the destination's: directly, or
 * through that connection (a tunnel). See migrate.h.
 */
#include "migrate.h"
#include "define.h"
#include "domain.h"
#include "xylem.h"

#include <unistd.h>

#include "datatypes.h"
#include "driver.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "virstring.h"
#include "virthread.h"
#include "virtypedparam.h"
#include "virutil.h"

VIR_LOG_INIT("xylem.migratepeer");

#define KEEPALIVE_S     5
#define KEEPALIVE_COUNT 5
#define TUNNEL_BYTES    65536

/* What the destination is not asked for, or is none of its concern. */
#define SOURCE_FLAGS                                                                          \
	(VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_ABORT_ON_ERROR | VIR_MIGRATE_CHANGE_PROTECTION | \
	 VIR_MIGRATE_UNSAFE | VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_AUTO_CONVERGE)

struct peer {
	virConnectPtr conn;
	virStreamPtr stream; /* a tunnel's */
	virTypedParameterPtr params;
	int param_count, param_max;
	unsigned int flags;
	char *uri;
};

/* ---- the tunnel ---- */

struct tunnel {
	virStreamPtr stream;
	int from;
	bool failed;
	virErrorPtr error;
};

static void pump(void *opaque)
{
	struct tunnel *t = opaque;
	g_autofree char *data = g_malloc(TUNNEL_BYTES);
	ssize_t got;

	while ((got = read(t->from, data, TUNNEL_BYTES)) != 0) {
		ssize_t done = 0, sent = 0;

		while (got > 0 && done < got && sent >= 0) {
			sent = virStreamSend(t->stream, data + done, (size_t)(got - done));
			done += sent;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || sent < 0) {
			t->failed = true;
			break;
		}
	}
	if (t->failed)
		virErrorPreserveLast(&t->error);
	/* Whoever writes into the pipe sees that nobody reads it. */
	VIR_FORCE_CLOSE(t->from);
}

/* Locked; unlocks meanwhile. */
static int send_through(virDomainObj *vm, virStreamPtr stream)
{
	struct tunnel t = { .stream = stream };
	virThread thread;
	int fds[2], ret;

	if (virPipe(fds) < 0)
		return -1;
	t.from = fds[0];
	if (virThreadCreateFull(&thread, true, pump, "xylem-tunnel", false, &t) < 0) {
		virReportSystemError(errno, "%s", "cannot start a thread");
		VIR_FORCE_CLOSE(fds[0]);
		VIR_FORCE_CLOSE(fds[1]);
		return -1;
	}
	ret = outgoing_send(vm, NULL, fds[1]);
	VIR_FORCE_CLOSE(fds[1]);
	virObjectUnlock(vm);
	virThreadJoin(&thread);
	/* The guest counts as sent only when the destination has taken all of it. */
	if (ret == 0 && (t.failed || virStreamFinish(stream) < 0)) {
		if (t.error)
			virErrorRestore(&t.error);
		ret = 1;
	}
	virFreeError(t.error);
	virObjectLock(vm);
	return ret;
}

/* ---- the steps at the destination; unlocked ---- */

static void add_string(struct peer *p, const char *name, const char *value)
{
	if (value)
		ignore_value(
		        virTypedParamsAddString(&p->params, &p->param_count, &p->param_max, name, value));
}

static int open_peer(struct peer *p, const char *uri)
{
	static int kinds[] = { VIR_CRED_AUTHNAME, VIR_CRED_PASSPHRASE };
	virConnectAuth auth = { .credtype = kinds, .ncredtype = G_N_ELEMENTS(kinds) };

	p->conn = virConnectOpenAuth(uri, &auth, 0);
	if (!p->conn)
		return -1;
	ignore_value(virConnectSetKeepAlive(p->conn, KEEPALIVE_S, KEEPALIVE_COUNT));
	virResetLastError();
	if (VIR_DRV_SUPPORTS_FEATURE(p->conn->driver, p->conn, VIR_DRV_FEATURE_MIGRATION_PARAMS) > 0)
		return 0;
	virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
	               "the libvirt at %s does not take migrations with parameters", uri);
	return -1;
}

static int prepare(struct peer *p, const char *cookie, int cookie_length, char **answer, int *answer_length)
{
	virHypervisorDriver *driver = p->conn->driver;

	if (p->flags & VIR_MIGRATE_TUNNELLED) {
		p->stream = virStreamNew(p->conn, 0);
		if (!p->stream)
			return -1;
		return driver->domainMigratePrepareTunnel3Params(p->conn, p->stream, p->params,
		                                                 p->param_count, cookie, cookie_length,
		                                                 answer, answer_length, p->flags);
	}
	if (driver->domainMigratePrepare3Params(p->conn, p->params, p->param_count, cookie, cookie_length,
	                                        answer, answer_length, &p->uri, p->flags) < 0)
		return -1;
	if (p->uri)
		return virTypedParamsReplaceString(&p->params, &p->param_count, VIR_MIGRATE_PARAM_URI,
		                                   p->uri);
	virReportError(VIR_ERR_OPERATION_FAILED, "%s",
	               "the destination does not say where to send the guest");
	return -1;
}

/* Whether the last error is what the destination's driver says, and not what the connection says of itself. */
static bool is_its_word(void)
{
	return virGetLastErrorDomain() == VIR_FROM_XEN || virGetLastErrorDomain() == VIR_FROM_LIBXL;
}

/* Whether it runs there; *lost: nobody knows. The error stays where it was cancelled. */
static bool finish(struct peer *p, const char *name, bool cancelled, bool *lost)
{
	virDomainPtr dom;
	virErrorPtr saved = NULL;

	if (cancelled)
		virErrorPreserveLast(&saved);
	if (virTypedParamsGetString(p->params, p->param_count, VIR_MIGRATE_PARAM_DEST_NAME, NULL) <= 0)
		add_string(p, VIR_MIGRATE_PARAM_DEST_NAME, name);
	dom = p->conn->driver->domainMigrateFinish3Params(p->conn, p->params, p->param_count, NULL, 0, NULL,
	                                                  NULL, p->flags, cancelled);
	*lost = !dom && !is_its_word();
	virObjectUnref(dom);
	if (cancelled)
		virErrorRestore(&saved);
	return dom != NULL;
}

static void close_peer(struct peer *p)
{
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	virObjectUnref(p->stream);
	virObjectUnref(p->conn);
	virTypedParamsFree(p->params, p->param_count);
	g_free(p->uri);
	virErrorRestore(&saved);
}

/* ---- all of it ---- */

/* 0: it is there; 1: the same, and only its end tells whether it runs; -1. Locked; unlocks meanwhile. */
static int transfer(virDomainObj *vm, struct peer *p)
{
	if (p->flags & VIR_MIGRATE_OFFLINE)
		return 0;
	return p->stream ? send_through(vm, p->stream) : outgoing_send(vm, p->uri, -1);
}

static void add_params(struct peer *p, const struct migrate_params *params, const char *xml)
{
	add_string(p, VIR_MIGRATE_PARAM_DEST_XML, xml);
	add_string(p, VIR_MIGRATE_PARAM_DEST_NAME, params->dest_name);
	add_string(p, VIR_MIGRATE_PARAM_PERSIST_XML, params->persist_xml);
	add_string(p, VIR_MIGRATE_PARAM_URI, params->uri);
	add_string(p, VIR_MIGRATE_PARAM_LISTEN_ADDRESS, params->listen);
}

/* Steps 2 to 5, with a connection of our own. Locked, with the job; unlocks meanwhile. The caller has a slot: nothing that has
 * been begun at the other host waits for one. */
static int migrate(virDomainObj *vm, struct outgoing *out, struct peer *p, const char *dest_uri,
                   const char *cookie, int cookie_length)
{
	g_autofree char *answer = NULL;
	g_autofree char *why = NULL;
	g_autofree char *name = g_strdup(vm->def->name);
	bool runs_there, lost = false;
	int answer_length = 0, ret;

	virObjectUnlock(vm);
	ret = open_peer(p, dest_uri);
	if (ret == 0)
		ret = prepare(p, cookie, cookie_length, &answer, &answer_length);
	virObjectLock(vm);
	if (ret < 0)
		return -1;
	if (outgoing_take_cookie(out, answer, answer_length) < 0 || (ret = transfer(vm, p)) < 0)
		ret = -1;
	virObjectUnlock(vm);
	if (ret != 0 && p->stream) {
		virErrorPtr saved;

		virErrorPreserveLast(&saved);
		ignore_value(virStreamAbort(p->stream));
		virErrorRestore(&saved);
	}
	runs_there = finish(p, name, ret != 0, &lost);
	virObjectLock(vm);
	if (ret < 0)
		return -1;
	if ((p->flags & VIR_MIGRATE_OFFLINE) && runs_there)
		return 0;
	why = g_strdup(virGetLastErrorMessage());
	if (outgoing_decide(vm, runs_there, ret == 0 && lost) < 0)
		return -1;
	if (runs_there || vm->def->id < 0)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "%s could not be started at %s, and goes on here: %s",
	               vm->def->name, dest_uri, why);
	return -1;
}

int outgoing_peer(virDomainObj *vm, virConnectPtr conn, const char *dest_uri,
                  const struct migrate_params *params, unsigned int flags)
{
	struct peer p = { .flags = flags & ~SOURCE_FLAGS };
	g_autofree char *cookie = NULL;
	g_autofree char *xml = NULL;
	struct outgoing *out;
	int cookie_length = 0, ret = -1;

	if (!dest_uri) {
		virReportError(VIR_ERR_INVALID_ARG, "%s", "the destination's URI is missing");
		return -1;
	}
	if (domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		return -1;
	xml = outgoing_describe(vm, params, flags, &cookie, &cookie_length);
	if (!xml) {
		domain_end_job(vm);
		return -1;
	}
	if (virDomainObjGetState(vm, NULL) == VIR_DOMAIN_PAUSED)
		p.flags |= VIR_MIGRATE_PAUSED;
	out = outgoing_new(vm, conn, dest_uri, &params->limits, flags);
	outgoing_hold(out);
	add_params(&p, params, xml);
	ret = slot_take(SLOT_BUILD, vm);
	if (ret == 0) {
		ret = migrate(vm, out, &p, dest_uri, cookie, cookie_length);
		slot_give(SLOT_BUILD);
	}
	if (ret == 0 && (flags & VIR_MIGRATE_OFFLINE) && (flags & VIR_MIGRATE_UNDEFINE_SOURCE))
		ret = define_forget(vm);
	virObjectUnlock(vm);
	close_peer(&p);
	virObjectLock(vm);
	if (ret < 0) {
		virErrorPtr saved;

		virErrorPreserveLast(&saved);
		outgoing_end(vm);
		virErrorRestore(&saved);
		return -1;
	}
	outgoing_end(vm);
	return 0;
}
