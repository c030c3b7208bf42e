/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source of a migration: the guest's memory is sent, and it ends here or goes on. See migrate.h.
 *
 * Between the calls of a client the job is held, so that nobody changes the guest meanwhile; when the client's connection
 * ends, what it has begun ends too.
 */
#include "migrate.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <xenctrl.h>

#include "compat.h"
#include "define.h"
#include "domain.h"
#include "domain_event.h"
#include "events.h"
#include "job.h"
#include "lifecycle.h"
#include "monitor.h"
#include "process.h"
#include "rpc/virnetsocket.h"
#include "save.h"
#include "virclosecallbacks.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "viruri.h"
#include "viruuid.h"
#include "xylem.h"

VIR_LOG_INIT("xylem.migrateout");

/* How long the destination's answer is waited for when a client has got none from it. */
#define OUTCOME_MS 10000
#define REASON_MS  1000
/* What has been sent is to be acknowledged by then, or the network is taken to be cut. */
#define NETWORK_MS 60000

/* All guarded by the domain object's lock. */
struct outgoing {
	virConnectPtr conn; /* whose migration it is; compared only */
	char *to;           /* the destination's name, for messages */
	unsigned int flags;
	int stream;      /* on which it was sent, and the outcome is told; or -1 */
	bool tells;      /* the destination tells the outcome */
	bool zeros;      /* it restores streams without contents of pages of zeros */
	bool busy;       /* a call is at work on it */
	bool orphan;     /* its client has gone */
	bool aborted;    /* somebody wants it to end */
	bool was_paused; /* as it is again when it goes on */
	struct send_limits limits;
};

/* ---- whether a guest may go ---- */

/* The file of a disk that is written to, or NULL. */
static const char *written_file(const virDomainDiskDef *disk)
{
	if (virStorageSourceGetActualType(disk->src) != VIR_STORAGE_TYPE_FILE || disk->src->readonly)
		return NULL;
	return virDomainDiskGetSource(disk);
}

static int check_file(const char *name, const char *path, bool writeback)
{
	const char *why = NULL;

	if (compat_is_shared_fs(path) <= 0)
		why = "is not on storage that both hosts share";
	else if (writeback && virFileIsClusterFS(path) <= 0)
		why = "is written through this host's page cache (cache='writeback')";
	if (!why)
		return 0;
	virReportError(VIR_ERR_MIGRATE_UNSAFE, "%s: its disk %s %s (--unsafe migrates it all the same)", name,
	               path, why);
	return -1;
}

/* The object is unlocked meanwhile: file systems may not answer. */
static int check_disks(virDomainObj *vm)
{
	g_autofree char *name = g_strdup(vm->def->name);
	g_autofree bool *writeback = g_new0(bool, vm->def->ndisks + 1);
	g_auto(GStrv) files = g_new0(char *, vm->def->ndisks + 1);
	size_t i, count = 0;
	int ret = 0;

	for (i = 0; i < vm->def->ndisks; i++) {
		const char *path = written_file(vm->def->disks[i]);

		if (!path)
			continue;
		writeback[count] = vm->def->disks[i]->cachemode == VIR_DOMAIN_DISK_CACHE_WRITEBACK;
		files[count++] = g_strdup(path);
	}
	if (!count)
		return 0;
	if (slot_take(SLOT_DISK, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	for (i = 0; i < count && ret == 0; i++)
		ret = check_file(name, files[i], writeback[i]);
	virObjectLock(vm);
	slot_give(SLOT_DISK);
	return ret;
}

static int check_state(virDomainObj *vm, unsigned int flags)
{
	const struct domain_private *priv = vm->privateData;

	if (priv->migration != MIGRATION_NONE) {
		virReportError(VIR_ERR_OPERATION_INVALID,
		               "%s is being migrated, or was and is suspended: resume or destroy it",
		               vm->def->name);
		return -1;
	}
	if (flags & VIR_MIGRATE_OFFLINE) {
		if (!virDomainObjIsActive(vm) && vm->persistent && !vm->hasManagedSave)
			return 0;
		virReportError(VIR_ERR_OPERATION_INVALID, "%s %s: offline migration is of a definition alone",
		               vm->def->name, virDomainObjIsActive(vm) ? "runs" : "has a managed save");
		return -1;
	}
	if (save_check(vm, "migrated") < 0 || migrate_check_images(vm->def) < 0)
		return -1;
	if (lifecycle_is_autodestroyed(vm)) {
		virReportError(
		        VIR_ERR_OPERATION_INVALID,
		        "%s ends with the connection of the client that started it (autodestroy), which "
		        "another host cannot see",
		        vm->def->name);
		return -1;
	}
	return 0;
}

/* Not every caller has the job: what it was before the disks were looked at it may not be any more. */
static int check_guest(virDomainObj *vm, unsigned int flags)
{
	if (check_state(vm, flags) < 0)
		return -1;
	if (flags & (VIR_MIGRATE_UNSAFE | VIR_MIGRATE_OFFLINE))
		return 0;
	return check_disks(vm) < 0 ? -1 : check_state(vm, flags);
}

/* What the destination defines, as far as the client does not say it. */
static int persistent_xml(virDomainObj *vm, const struct migrate_params *p, unsigned int flags, char **xml)
{
	g_autoptr(virDomainDef) changed = NULL;

	*xml = NULL;
	if (!(flags & VIR_MIGRATE_PERSIST_DEST))
		return 0;
	if (p->persist_xml) {
		changed = save_changed_def(vm->newDef ? vm->newDef : vm->def, p->persist_xml);
		return changed ? 0 : -1;
	}
	if (!vm->newDef)
		return 0;
	*xml = save_format(vm->newDef);
	return *xml ? 0 : -1;
}

char *outgoing_describe(virDomainObj *vm, const struct migrate_params *p, unsigned int flags, char **cookie,
                        int *cookie_length)
{
	g_autoptr(migrate_cookie_t) c = NULL;
	g_autoptr(virDomainDef) changed = NULL;
	g_autofree char *persistent = NULL;
	g_autofree char *xml = NULL;

	if (check_guest(vm, flags) < 0 || persistent_xml(vm, p, flags, &persistent) < 0)
		return NULL;
	if (p->dest_xml && !(changed = save_changed_def(vm->def, p->dest_xml)))
		return NULL;
	xml = save_format(changed ? changed : vm->def);
	c = migrate_cookie_new(vm->def, persistent);
	if (!xml || !c)
		return NULL;
	*cookie = migrate_cookie_format(c);
	*cookie_length = (int)strlen(*cookie) + 1;
	return g_steal_pointer(&xml);
}

/* ---- a migration begins and ends ---- */

static void free_outgoing(struct outgoing *out)
{
	VIR_FORCE_CLOSE(out->stream);
	g_free(out->to);
	g_free(out);
}

void outgoing_end(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	g_clear_pointer(&priv->outgoing, free_outgoing);
	if (priv->migration == MIGRATION_BEGUN)
		priv->migration = MIGRATION_NONE;
	/* An xylemd that was away may be back by now, and reconciling has left it to us. */
	if (priv->migration == MIGRATION_SENDING && vm->def->id > 0 && monitor_connected(xylem->monitor))
		events_later(vm, migrate_recover);
	domain_end_job(vm);
}

bool outgoing_release(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	if (!priv->outgoing || priv->outgoing->busy)
		return false;
	outgoing_end(vm);
	return true;
}

struct outgoing *outgoing_new(virDomainObj *vm, virConnectPtr conn, const char *to,
                              const struct send_limits *limits, unsigned int flags)
{
	struct domain_private *priv = vm->privateData;
	struct outgoing *out = g_new0(struct outgoing, 1);

	out->conn = conn;
	out->to = g_strdup(to);
	out->limits = *limits;
	out->flags = flags;
	out->stream = -1;
	out->was_paused = virDomainObjGetState(vm, NULL) == VIR_DOMAIN_PAUSED;
	priv->outgoing = out;
	priv->migration = MIGRATION_BEGUN;
	return out;
}

void outgoing_hold(struct outgoing *out)
{
	out->busy = true;
}

int outgoing_take_cookie(struct outgoing *out, const char *cookie, int length)
{
	g_autoptr(migrate_cookie_t) c = NULL;

	/* libvirt's own driver answers Prepare without one. */
	if (!cookie || length == 0)
		return 0;
	c = migrate_cookie_parse(cookie, length);
	if (!c)
		return -1;
	out->tells = c->outcome;
	out->zeros = c->zeros;
	return 0;
}

/* ---- its end, one way or the other ---- */

/* The guest goes on; where xylemd cannot be asked, when it can. Locked, with the job; the error stays. */
static void go_on(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	bool paused = !priv->outgoing || priv->outgoing->was_paused;
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	job_end(vm, false);
	/* From now on it is not at the destination, whatever happens here. */
	priv->migration = MIGRATION_SENDING;
	domain_save_status(vm);
	if (process_lock(vm) < 0) {
		VIR_ERROR("%s stays suspended after a migration that failed: %s", vm->def->name,
		          virGetLastErrorMessage());
		priv->migration = MIGRATION_SENT;
	} else if (save_go_on(vm)) {
		priv->migration = MIGRATION_NONE;
	}
	if (vm->def->id > 0 && priv->migration == MIGRATION_NONE && !paused &&
	    virDomainObjGetState(vm, NULL) == VIR_DOMAIN_PAUSED) {
		virDomainObjSetState(vm, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_MIGRATION_CANCELED);
		domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_RESUMED,
		                                               VIR_DOMAIN_EVENT_RESUMED_MIGRATED));
	}
	if (vm->def->id > 0)
		domain_save_status(vm);
	virErrorRestore(&saved);
}

/* It runs at the destination. Locked, with the job. */
static int leave(virDomainObj *vm, unsigned int flags)
{
	struct domain_private *priv = vm->privateData;

	job_end(vm, true);
	priv->migration = MIGRATION_LEFT;
	domain_save_status(vm);
	/* One whose definition stays has left all the same. */
	if ((flags & VIR_MIGRATE_UNDEFINE_SOURCE) && vm->persistent && define_forget(vm) < 0)
		VIR_WARN("%s: %s", vm->def->name, virGetLastErrorMessage());
	return save_end(vm, VIR_DOMAIN_SHUTOFF_MIGRATED, VIR_DOMAIN_EVENT_STOPPED_MIGRATED);
}

static int stay_suspended(virDomainObj *vm, const struct outgoing *out)
{
	job_end(vm, false);
	virReportError(
	        VIR_ERR_OPERATION_FAILED,
	        "whether %s runs at %s is not known: it stays suspended here; look there, and destroy the "
	        "one here (virsh destroy) or, if it does not run there, resume it (virsh resume)",
	        vm->def->name, out->to);
	VIR_ERROR("%s", virGetLastErrorMessage());
	return -1;
}

/* What the connection on which it was sent says. Unlocks the object meanwhile. */
static enum outcome hear(virDomainObj *vm, struct outgoing *out)
{
	g_autofree char *why = NULL;
	enum outcome outcome;

	if (out->stream < 0 || !out->tells)
		return OUTCOME_UNKNOWN;
	virObjectUnlock(vm);
	outcome = migrate_outcome_hear(out->stream, OUTCOME_MS, &why);
	virObjectLock(vm);
	if (outcome == OUTCOME_FAILED)
		VIR_WARN("%s does not run at %s: %s", vm->def->name, out->to, why ? why : "");
	return outcome;
}

int outgoing_decide(virDomainObj *vm, bool runs_there, bool lost)
{
	struct domain_private *priv = vm->privateData;
	struct outgoing *out = priv->outgoing;
	enum outcome outcome;

	if (priv->migration != MIGRATION_SENT)
		return 0;
	if (runs_there)
		return leave(vm, out->flags);
	outcome = hear(vm, out);
	if (outcome == OUTCOME_RUNS)
		return leave(vm, out->flags);
	/* libvirt's own driver reports no outcome: what its client says counts. */
	if (outcome == OUTCOME_FAILED || (!lost && (!out->tells || out->stream < 0))) {
		go_on(vm);
		if (priv->migration == MIGRATION_NONE)
			return 0;
		virReportError(
		        VIR_ERR_OPERATION_FAILED,
		        "%s does not run at %s, but cannot go on here yet; libvirtd's log has the reason",
		        vm->def->name, out->to);
		return -1;
	}
	return stay_suspended(vm, out);
}

/* Its client has gone. Locked, no job of this thread; events_work_fn. */
static void abandon(virDomainObj *vm, unsigned long life G_GNUC_UNUSED)
{
	struct domain_private *priv = vm->privateData;
	struct outgoing *out = priv->outgoing;
	char handle[VIR_UUID_STRING_BUFLEN];

	if (!out || !out->orphan)
		return;
	if (out->busy) {
		/* Whoever is at work sees that it is an orphan. */
		domain_handle(vm, handle);
		virObjectUnlock(vm);
		ignore_value(monitor_cancel(xylem->monitor, handle));
		virObjectLock(vm);
		virResetLastError();
		return;
	}
	VIR_WARN("%s: the client that migrates it to %s has gone", vm->def->name, out->to);
	out->busy = true;
	ignore_value(outgoing_decide(vm, false, true));
	virResetLastError();
	outgoing_end(vm);
}

/* libvirtd's main thread, which must not wait; locked. */
static void closed(virDomainObj *vm, virConnectPtr conn)
{
	struct domain_private *priv = vm->privateData;

	if (!priv->outgoing || priv->outgoing->conn != conn)
		return;
	priv->outgoing->orphan = true;
	events_later(vm, abandon);
}

/* ---- the steps ---- */

char *outgoing_begin(virDomainObj *vm, virConnectPtr conn, const struct migrate_params *p, unsigned int flags,
                     char **cookie, int *cookie_length)
{
	char *xml;

	if (domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		return NULL;
	xml = outgoing_describe(vm, p, flags, cookie, cookie_length);
	if (!xml || !(flags & VIR_MIGRATE_CHANGE_PROTECTION)) {
		domain_end_job(vm);
		return xml;
	}
	outgoing_new(vm, conn, "its destination", &p->limits, flags);
	virCloseCallbacksDomainAdd(vm, conn, closed);
	return xml;
}

/* The socket, or -1. Unlocked. */
static int connect_to(const char *uri_text)
{
	g_autoptr(virURI) uri = virURIParse(uri_text);
	g_autofree char *port = NULL;
	unsigned int ms = NETWORK_MS;
	virNetSocket *sock;
	int fd = -1, on = 1;

	if (!uri || !uri->server || uri->port <= 0) {
		virReportError(VIR_ERR_INVALID_ARG, "'%s' is not tcp://HOST:PORT", uri_text);
		return -1;
	}
	port = g_strdup_printf("%d", uri->port);
	if (virNetSocketNewConnectTCP(uri->server, port, AF_UNSPEC, &sock) < 0)
		return -1;
	if (virNetSocketSetBlocking(sock, true) == 0)
		fd = virNetSocketDupFD(sock, true);
	virObjectUnref(sock);
	if (fd >= 0) {
		ignore_value(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
		ignore_value(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)));
	}
	return fd;
}

/* What happened, with the guest and the host in it, and with what the destination says of it. Unlocks the object meanwhile. */
static void explain(virDomainObj *vm, const struct outgoing *out)
{
	g_autofree char *message = g_strdup(virGetLastErrorMessage());
	int code = virGetLastErrorCode();
	g_autofree char *why = NULL;

	if (out->stream >= 0 && out->tells) {
		ignore_value(shutdown(out->stream, SHUT_WR));
		virObjectUnlock(vm);
		ignore_value(migrate_outcome_hear(out->stream, REASON_MS, &why));
		virObjectLock(vm);
	}
	virReportError(code == VIR_ERR_OPERATION_ABORTED ? VIR_ERR_OPERATION_ABORTED
	                                                 : VIR_ERR_OPERATION_FAILED,
	               "%s cannot be migrated to %s, and goes on here: %s%s%s", vm->def->name, out->to,
	               message, why ? "; there: " : "", why ? why : "");
}

/* -1: nobody wants it any more. */
static int check_wanted(const struct outgoing *out)
{
	if (!out->orphan && !out->aborted)
		return 0;
	virReportError(VIR_ERR_OPERATION_ABORTED, "%s",
	               out->orphan ? "the client has gone" : "it was aborted");
	return -1;
}

int outgoing_abort(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	bool sending = priv->migration == MIGRATION_SENDING;

	if (!priv->outgoing || (priv->outgoing->flags & VIR_MIGRATE_OFFLINE) ||
	    (priv->migration != MIGRATION_BEGUN && !sending))
		return -1;
	/* Whoever is at work on it looks for this before the guest is sent, and after. */
	priv->outgoing->aborted = true;
	if (!sending)
		return 0;
	/* xylemd may not have begun yet. */
	if (lifecycle_cancel(vm) < 0)
		virResetLastError();
	return priv->migration == MIGRATION_SENT || priv->migration == MIGRATION_LEFT ? -1 : 0;
}

/* The stream has been sent, and nothing of the guest's is on its way to a disk (xylemd's Save): from now on it may run at the
 * destination, when this is written down. */
static int sent(virDomainObj *vm, const struct outgoing *out)
{
	struct domain_private *priv = vm->privateData;
	bool locked = priv->locked;
	int ret;

	if (virDomainObjCheckActive(vm) < 0 || check_wanted(out) < 0)
		return -1;
	priv->migration = MIGRATION_SENT;
	if (virDomainObjGetState(vm, NULL) == VIR_DOMAIN_RUNNING)
		domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_SUSPENDED,
		                                               VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED));
	virDomainObjSetState(vm, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION);
	/* First the word: a libvirtd that begins in between takes the locks again before the guest goes on. */
	priv->locked = false;
	ret = virDomainObjSave(vm, xylem->xmlopt, xylem->state_dir);
	priv->locked = locked;
	if (ret == 0)
		process_unlock(vm);
	return ret;
}

static unsigned int save_flags(const struct outgoing *out)
{
	return (out->flags & VIR_MIGRATE_LIVE ? MONITOR_SAVE_LIVE : 0) |
	       (out->zeros ? MONITOR_SAVE_ZEROS_BY_TYPE : 0);
}

int outgoing_send(virDomainObj *vm, const char *uri, int fd)
{
	struct domain_private *priv = vm->privateData;
	struct outgoing *out = priv->outgoing;

	if (uri && check_wanted(out) == 0) {
		virObjectUnlock(vm);
		fd = connect_to(uri);
		virObjectLock(vm);
		out->stream = fd;
	}
	if (fd < 0 || virDomainObjCheckActive(vm) < 0 || check_wanted(out) < 0) {
		explain(vm, out);
		return -1;
	}
	priv->migration = MIGRATION_SENDING;
	domain_save_status(vm);
	job_begin(vm, VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT);
	if (((out->flags & VIR_MIGRATE_LIVE) && job_begin_limits(vm, &out->limits) < 0) ||
	    save_write(vm, fd, save_flags(out)) < 0 || sent(vm, out) < 0) {
		explain(vm, out);
		job_end(vm, false);
		if (vm->def->id > 0)
			go_on(vm);
		return -1;
	}
	if (out->stream >= 0)
		ignore_value(shutdown(out->stream, SHUT_WR));
	return 0;
}

static int check_ours(virDomainObj *vm, virConnectPtr conn)
{
	const struct domain_private *priv = vm->privateData;

	if (priv->outgoing && priv->outgoing->conn == conn && !priv->outgoing->busy)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID, "%s is not being migrated by this client", vm->def->name);
	return -1;
}

/* A client that does not know of protection has no job until now. */
static int begin_late(virDomainObj *vm, virConnectPtr conn, const struct send_limits *limits,
                      unsigned int flags)
{
	if (flags & VIR_MIGRATE_CHANGE_PROTECTION)
		return check_ours(vm, conn);
	if (domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		return -1;
	if (check_guest(vm, flags) < 0) {
		domain_end_job(vm);
		return -1;
	}
	outgoing_new(vm, conn, "", limits, flags);
	virCloseCallbacksDomainAdd(vm, conn, closed);
	return 0;
}

int outgoing_perform(virDomainObj *vm, virConnectPtr conn, const struct migrate_params *p, const char *cookie,
                     int cookie_length, unsigned int flags)
{
	struct domain_private *priv = vm->privateData;
	int ret = -1;

	if (!p->uri) {
		virReportError(VIR_ERR_INVALID_ARG, "the parameter \"%s\" is missing: where to?",
		               VIR_MIGRATE_PARAM_URI);
		return -1;
	}
	if (begin_late(vm, conn, &p->limits, flags) < 0)
		return -1;
	g_free(priv->outgoing->to);
	priv->outgoing->to = g_strdup(p->uri);
	priv->outgoing->flags = flags;
	priv->outgoing->limits = p->limits;
	outgoing_hold(priv->outgoing);
	if (outgoing_take_cookie(priv->outgoing, cookie, cookie_length) == 0 &&
	    slot_take(SLOT_BUILD, vm) == 0) {
		ret = outgoing_send(vm, p->uri, -1);
		slot_give(SLOT_BUILD);
	}
	if (ret == 0) {
		priv->outgoing->busy = false;
		return 0;
	}
	/* A client that is told so does not confirm. */
	virCloseCallbacksDomainRemove(vm, conn, closed);
	outgoing_end(vm);
	return -1;
}

int outgoing_confirm(virDomainObj *vm, virConnectPtr conn, unsigned int flags, bool cancelled)
{
	struct domain_private *priv = vm->privateData;
	virErrorPtr saved;
	bool slot;
	int ret = 0;

	if (check_ours(vm, conn) < 0)
		return -1;
	priv->outgoing->flags = flags;
	outgoing_hold(priv->outgoing);
	slot = slot_try(SLOT_BUILD);
	if (priv->migration == MIGRATION_SENT)
		ret = outgoing_decide(vm, !cancelled, false);
	else if ((flags & VIR_MIGRATE_OFFLINE) && (flags & VIR_MIGRATE_UNDEFINE_SOURCE) && !cancelled)
		ret = define_forget(vm);
	if (slot)
		slot_give(SLOT_BUILD);
	virErrorPreserveLast(&saved);
	virCloseCallbacksDomainRemove(vm, conn, closed);
	outgoing_end(vm);
	virErrorRestore(&saved);
	return ret;
}

/* ---- after a restart, of libvirtd or of xylemd ---- */

static void recover_incoming(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	struct xyl_dominfo info;

	if (domain_query(vm, &info) != 0)
		return;
	if (!info.paused) {
		/* It was let run: the mark is an old one. */
		priv->migration = MIGRATION_NONE;
		domain_save_status(vm);
		return;
	}
	VIR_WARN("%s, which was coming from another host when libvirtd ended, is destroyed here",
	         vm->def->name);
	ignore_value(save_end(vm, VIR_DOMAIN_SHUTOFF_FAILED, VIR_DOMAIN_EVENT_STOPPED_FAILED));
}

void migrate_recover(virDomainObj *vm, unsigned long life)
{
	struct domain_private *priv = vm->privateData;

	if (domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		return;
	if (vm->def->id > 0 && priv->life == life && !priv->outgoing && !priv->incoming) {
		if (priv->migration == MIGRATION_SENDING) {
			VIR_WARN("%s goes on: its migration was interrupted", vm->def->name);
			go_on(vm);
		} else if (priv->migration == MIGRATION_SENT) {
			VIR_WARN(
			        "%s was being migrated: it may run at the destination, and is suspended here; destroy "
			        "it, or resume it if it does not run there",
			        vm->def->name);
		} else if (priv->migration == MIGRATION_LEFT) {
			ignore_value(leave(vm, 0));
		} else if (priv->migration == MIGRATION_INCOMING) {
			recover_incoming(vm);
		}
		if (virGetLastErrorCode() != VIR_ERR_OK)
			VIR_WARN("%s: %s", vm->def->name, virGetLastErrorMessage());
	}
	virResetLastError();
	domain_end_job(vm);
}
