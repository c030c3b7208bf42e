/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The destination of a migration: a guest comes, is paused and marked until the source has let go of it, and runs. See
 * migrate.h.
 *
 * From Prepare to Finish the job is held. A thread waits for the source to connect and restores; what becomes of it is
 * Finish's business, or that of the end of the client's connection, or of a destroy.
 */
#include "migrate.h"
#include "check.h"
#include "domain.h"
#include "elements.h"
#include "events.h"
#include "lifecycle.h"
#include "monitor.h"
#include "parse.h"
#include "process.h"
#include "save.h"
#include "xylem.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenctrl.h>

#include "datatypes.h"
#include "domain_event.h"
#include "rpc/virnetsocket.h"
#include "virclosecallbacks.h"
#include "virerror.h"
#include "virfdstream.h"
#include "virfile.h"
#include "virhook.h"
#include "virlog.h"
#include "virportallocator.h"
#include "virthread.h"
#include "virtime.h"
#include "viruri.h"
#include "virutil.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.migratein");

/* How long after its last word a source that has gone is taken to be there. */
#define KEEPALIVE_IDLE_S 20
#define KEEPALIVE_S      5
#define KEEPALIVE_COUNT  4

#define ACCEPT_AGAIN_MS  100

/* Guarded by the domain object's lock, beside what is immutable once the thread runs. */
struct incoming {
	virConnectPtr conn;       /* whose migration it is; compared only */
	virDomainDef *persistent; /* what is defined at the end; or NULL */
	char *from;               /* the source's name, for messages */
	unsigned short port;      /* to be given back; 0 */
	virNetSocket **listeners;
	size_t listener_count;
	struct pollfd *fds; /* of the listeners, and wake: the thread's */
	int wake;           /* an eventfd: the thread does not wait any longer for a source */
	int stream;         /* a tunnel's, or the source's connection; or -1 */
	bool tunnel;
	bool offline;
	virCond ended;
	bool over;      /* the thread has ended, or there is none */
	bool good;      /* and the guest is there */
	bool stopped;   /* it is to end without one */
	bool finishing; /* a call is at work on it */
	bool orphan;    /* its client has gone */
	bool released;  /* nobody asks for it any more: the thread cleans up */
	char *why;      /* it failed */
};

/* All has been sent when Finish is called: within these the source has been seen, and the guest is there. */
#define CONNECTED_MS 10000
#define RESTORED_MS  300000

/* A source that its client keeps waiting for a slot there (SLOT_BUILD) says so itself before this is over. */
unsigned int migrate_connect_ms = 420000;

/* Threads that libvirtd must not take the driver away from. */
static int threads;

bool migrate_busy(void)
{
	return g_atomic_int_get(&threads) != 0;
}

static void free_incoming(struct incoming *in)
{
	size_t i;

	for (i = 0; i < in->listener_count; i++)
		virObjectUnref(in->listeners[i]);
	g_free(in->listeners);
	g_free(in->fds);
	if (in->port)
		virPortAllocatorRelease(in->port);
	VIR_FORCE_CLOSE(in->wake);
	VIR_FORCE_CLOSE(in->stream);
	virDomainDefFree(in->persistent);
	virCondDestroy(&in->ended);
	g_free(in->from);
	g_free(in->why);
	g_free(in);
}

/* Forgets it and ends the job; an object that was made for it leaves the list. Takes the reference and the lock. */
static void forget(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	bool active = virDomainObjIsActive(vm);
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	g_clear_pointer(&priv->incoming, free_incoming);
	if (!active)
		priv->migration = MIGRATION_NONE;
	if (active || vm->removing) {
		domain_end_job(vm);
		virDomainObjEndAPI(&vm);
	} else {
		lifecycle_added(&vm, false);
	}
	virErrorRestore(&saved);
}

/* ---- the thread ---- */

/* How long to wait until then. */
static int left_ms(unsigned long long until)
{
	unsigned long long now = until;

	return virTimeMillisNow(&now) == 0 && now < until ? (int)(until - now) : 0;
}

/* The source's connection, or -1. Unlocked. */
static int wait_for_source(const struct incoming *in)
{
	struct pollfd *fds = in->fds;
	int idle = KEEPALIVE_IDLE_S, every = KEEPALIVE_S, count = KEEPALIVE_COUNT, on = 1, fd = -1;
	unsigned long long until = 0;
	size_t i;

	for (i = 0; i < in->listener_count; i++)
		fds[i] = (struct pollfd){ .fd = virNetSocketGetFD(in->listeners[i]), .events = POLLIN };
	fds[i] = (struct pollfd){ .fd = in->wake, .events = POLLIN };
	if (virTimeMillisNow(&until) == 0)
		until += migrate_connect_ms;
	do {
		if (poll(fds, in->listener_count + 1, left_ms(until)) < 0 && errno != EINTR)
			break;
		if (fds[in->listener_count].revents)
			break;
		for (i = 0; i < in->listener_count && fd < 0; i++) {
			if (!fds[i].revents)
				continue;
			fd = accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC);
			/* It stays there, and no descriptor may be left for it. */
			if (fd < 0)
				ignore_value(poll(&fds[in->listener_count], 1, ACCEPT_AGAIN_MS));
		}
	} while (fd < 0 && left_ms(until) > 0);
	if (fd < 0 && left_ms(until) == 0) {
		virReportError(VIR_ERR_OPERATION_TIMEOUT, "the source has not connected within %u s",
		               migrate_connect_ms / 1000);
		return -1;
	}
	if (fd < 0) {
		virReportError(VIR_ERR_OPERATION_ABORTED, "%s", "the source has not connected");
		return -1;
	}
	ignore_value(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	ignore_value(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)));
	ignore_value(setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every)));
	ignore_value(setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count)));
	return fd;
}

/* Locked; unlocks meanwhile. */
static int receive(virDomainObj *vm, struct incoming *in)
{
	size_t i;
	int ret;

	if (!in->tunnel) {
		int fd;

		virObjectUnlock(vm);
		fd = wait_for_source(in);
		virObjectLock(vm);
		in->stream = fd;
		/* One source, and no second one. */
		for (i = 0; i < in->listener_count; i++)
			virNetSocketClose(in->listeners[i]);
		if (fd < 0)
			return -1;
	}
	if (in->stopped) {
		virReportError(VIR_ERR_OPERATION_ABORTED, "%s", "the migration was given up");
		return -1;
	}
	if (process_begin(vm) < 0)
		return -1;
	ret = process_receive(vm, in->stream);
	process_finish(vm);
	return ret;
}

static void receive_thread(void *opaque)
{
	struct domain_private *priv;
	virDomainObj *vm = opaque;
	struct incoming *in;

	act_as_libvirtd();
	virObjectLock(vm);
	priv = vm->privateData;
	in = priv->incoming;
	in->good = receive(vm, in) == 0;
	if (!in->good) {
		in->why = g_strdup(virGetLastErrorMessage());
		VIR_WARN("%s does not come here from %s: %s", vm->def->name, in->from, in->why);
		if (!in->tunnel && in->stream >= 0)
			migrate_outcome_tell(in->stream, OUTCOME_FAILED, in->why);
		/* The source learns it by this, if by nothing else. */
		VIR_FORCE_CLOSE(in->stream);
	} else if (in->tunnel) {
		VIR_FORCE_CLOSE(in->stream);
	}
	in->over = true;
	virCondBroadcast(&in->ended);
	if (in->released)
		forget(virObjectRef(vm));
	else
		virObjectUnlock(vm);
	virObjectUnref(vm);
	g_atomic_int_add(&threads, -1);
}

static int start_thread(virDomainObj *vm)
{
	g_autofree char *name = g_strdup_printf("mig-%s", vm->def->name);
	virThread thread;

	g_atomic_int_inc(&threads);
	if (virThreadCreateFull(&thread, false, receive_thread, name, false, virObjectRef(vm)) == 0)
		return 0;
	virReportSystemError(errno, "%s", "cannot start a thread");
	g_atomic_int_add(&threads, -1);
	virObjectUnref(vm);
	return -1;
}

/* Whatever the thread waits for, it ends. Locked; unlocks meanwhile. */
static void stop(virDomainObj *vm, struct incoming *in)
{
	struct domain_private *priv = vm->privateData;
	char handle[VIR_UUID_STRING_BUFLEN];
	unsigned long long now;
	uint64_t one = 1;

	virUUIDFormat(vm->def->uuid, handle);
	in->stopped = true;
	while (!in->over) {
		ignore_value(write(in->wake, &one, sizeof(one)));
		if (priv->starting)
			domain_doom(vm);
		if (in->stream >= 0 && !in->tunnel)
			ignore_value(shutdown(in->stream, SHUT_RDWR));
		virObjectUnlock(vm);
		ignore_value(monitor_cancel(xylem->monitor, handle));
		virResetLastError();
		virObjectLock(vm);
		if (!in->over && virTimeMillisNow(&now) == 0)
			ignore_value(virCondWaitUntil(&in->ended, &vm->parent.lock, now + 500));
	}
}

/* ---- its end ---- */

/* The guest, if it is there, is destroyed; then all is forgotten. Takes the reference and the lock. */
static void give_up(virDomainObj *vm, struct incoming *in)
{
	struct domain_private *priv = vm->privateData;
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	in->finishing = true;
	stop(vm, in);
	if (virDomainObjIsActive(vm) && priv->migration == MIGRATION_INCOMING &&
	    save_end(vm, VIR_DOMAIN_SHUTOFF_FAILED, VIR_DOMAIN_EVENT_STOPPED_FAILED) < 0) {
		/* It is marked, and destroyed when xylemd can be asked. */
		VIR_ERROR("%s, which came from %s and must not run here, cannot be destroyed: %s",
		          vm->def->name, in->from, virGetLastErrorMessage());
		domain_save_status(vm);
	} else if (in->stream >= 0) {
		migrate_outcome_tell(in->stream, OUTCOME_FAILED,
		                     saved ? saved->message : "the migration was given up");
	}
	virErrorRestore(&saved);
	forget(vm);
}

/* Its client has gone, and nobody else asks for it. Locked, no job of this thread; events_work_fn. */
static void abandon(virDomainObj *vm, unsigned long life G_GNUC_UNUSED)
{
	struct domain_private *priv = vm->privateData;
	struct incoming *in = priv->incoming;

	if (!in || !in->orphan || in->finishing || in->released)
		return;
	VIR_WARN("%s: the client that migrates it from %s has gone", vm->def->name, in->from);
	give_up(virObjectRef(vm), in);
	virResetLastError();
	virObjectLock(vm);
}

/* libvirtd's main thread, which must not wait; locked. */
static void closed(virDomainObj *vm, virConnectPtr conn)
{
	struct domain_private *priv = vm->privateData;

	if (!priv->incoming || priv->incoming->conn != conn)
		return;
	priv->incoming->orphan = true;
	events_later(vm, abandon);
}

bool incoming_release(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	struct incoming *in = priv->incoming;

	if (!in || in->finishing || in->released)
		return false;
	if (!in->over) {
		uint64_t one = 1;

		in->stopped = in->released = true;
		ignore_value(write(in->wake, &one, sizeof(one)));
		if (in->stream >= 0 && !in->tunnel)
			ignore_value(shutdown(in->stream, SHUT_RDWR));
		return true;
	}
	forget(virObjectRef(vm));
	virObjectLock(vm);
	return true;
}

/* ---- step 2: Prepare ---- */

static int check_cookie(const struct migrate_cookie *c, const virDomainDef *def)
{
	unsigned char own[VIR_UUID_BUFLEN];
	char uuid[VIR_UUID_STRING_BUFLEN];

	if (virUUIDIsValid(c->host) && virGetHostUUID(own) == 0 && memcmp(own, c->host, sizeof(own)) == 0) {
		virUUIDFormat(own, uuid);
		virReportError(
		        VIR_ERR_OPERATION_INVALID,
		        "%s is on this host already: the other one has the same UUID, %s (host_uuid in "
		        "libvirtd.conf gives a host another one)",
		        def->name, uuid);
		return -1;
	}
	if (memcmp(c->uuid, def->uuid, VIR_UUID_BUFLEN) == 0)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "the definition of %s is not that of the guest that comes",
	               def->name);
	return -1;
}

/* What is refused is refused before the source sends anything. */
static int check_def(virDomainDef *def)
{
	return check_name(def->name) < 0 || check_domain(def) < 0 ? -1
	                                                          : elements_check_def(def, xylem->xmlopt);
}

virDomainDef *incoming_parse(const char *xml, const char *name)
{
	g_autoptr(virDomainDef) def = NULL;

	def = parse_domain(xml, xylem->xmlopt,
	                   VIR_DOMAIN_DEF_PARSE_INACTIVE | VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE);
	if (!def)
		return NULL;
	/* A name of the client's own has not been through libvirt's parser. */
	if (name && (!*name || strchr(name, '/') || STREQ(name, "Domain-0"))) {
		virReportError(VIR_ERR_INVALID_ARG, "a guest cannot be called '%.250s'", name);
		return NULL;
	}
	if (name) {
		g_free(def->name);
		def->name = g_strdup(name);
	}
	return check_def(def) < 0 ? NULL : g_steal_pointer(&def);
}

/* What is defined here at the end. *persistent: NULL when nothing is; 0 or -1. */
static int persistent_def(virDomainDef *def, const struct migrate_params *p, const struct migrate_cookie *c,
                          unsigned int flags, virDomainDef **persistent)
{
	const char *xml = p->persist_xml ? p->persist_xml : c->persistent;

	*persistent = NULL;
	if (!(flags & VIR_MIGRATE_PERSIST_DEST))
		return 0;
	*persistent = xml && *xml ? incoming_parse(xml, def->name)
	                          : virDomainDefCopy(def, xylem->xmlopt, NULL, true);
	if (!*persistent)
		return -1;
	if (memcmp((*persistent)->uuid, def->uuid, VIR_UUID_BUFLEN) == 0)
		return 0;
	virReportError(VIR_ERR_INVALID_ARG, "the definition to be kept of %s has another UUID", def->name);
	g_clear_pointer(persistent, virDomainDefFree);
	return -1;
}

/* The hook script may change the definition. */
static int filter(virDomainDef **def)
{
	g_autofree char *xml = NULL;
	g_autofree char *changed = NULL;
	g_autofree char *name = g_strdup((*def)->name);
	virDomainDef *filtered;
	int ret;

	if (!virHookPresent(VIR_HOOK_DRIVER_LIBXL))
		return 0;
	xml = virDomainDefFormat(*def, xylem->xmlopt, VIR_DOMAIN_DEF_FORMAT_SECURE);
	if (!xml)
		return -1;
	ret = virHookCall(VIR_HOOK_DRIVER_LIBXL, name, VIR_HOOK_LIBXL_OP_MIGRATE, VIR_HOOK_SUBOP_BEGIN, NULL,
	                  xml, &changed);
	if (ret != 0)
		return ret < 0 ? -1 : 0;
	if (!changed || strspn(changed, " \t\r\n") == strlen(changed))
		return 0;
	filtered = incoming_parse(changed, NULL);
	if (!filtered)
		return -1;
	virDomainDefFree(*def);
	*def = filtered;
	return 0;
}

/* "tcp:host:port", "tcp://host:port", "host:port", each with or without a port. */
static virURI *parse_uri(const char *text)
{
	g_autofree char *full = NULL;
	g_autoptr(virURI) uri = NULL;

	if (STRPREFIX(text, "tcp://"))
		full = g_strdup(text);
	else if (STRPREFIX(text, "tcp:"))
		full = g_strdup_printf("tcp://%s", text + strlen("tcp:"));
	else if (!strstr(text, "://"))
		full = g_strdup_printf("tcp://%s", text);
	if (full)
		uri = virURIParse(full);
	if (uri && uri->server && uri->port <= 65535)
		return g_steal_pointer(&uri);
	virReportError(VIR_ERR_INVALID_ARG, "'%s' is no address for a guest to be sent to: tcp://HOST[:PORT]",
	               text);
	return NULL;
}

static char *own_name(void)
{
	g_autofree char *name = virGetHostname();

	if (name && !STRPREFIX(name, "localhost"))
		return g_steal_pointer(&name);
	virReportError(VIR_ERR_OPERATION_FAILED, "%s",
	               "this host does not know a name of its own by which others reach it: --migrateuri");
	return NULL;
}

static int listen_at(struct incoming *in, const char *address, int port)
{
	g_autofree char *service = g_strdup_printf("%d", port);
	size_t i;

	if (virNetSocketNewListenTCP(address, service, AF_UNSPEC, &in->listeners, &in->listener_count) < 0)
		return -1;
	for (i = 0; i < in->listener_count; i++) {
		if (virNetSocketListen(in->listeners[i], 1) < 0)
			return -1;
	}
	in->fds = g_new0(struct pollfd, in->listener_count + 1);
	return 0;
}

/* The port is the client's, or a free one. *uri_out: where the source sends to. */
static int listen_for_source(struct incoming *in, const struct migrate_params *p, char **uri_out)
{
	g_autoptr(virURI) uri = NULL;
	g_autofree char *host = NULL;
	int port = 0;

	if (p->uri && !(uri = parse_uri(p->uri)))
		return -1;
	host = uri ? g_strdup(uri->server) : own_name();
	if (!host)
		return -1;
	if (uri)
		port = uri->port;
	if (!in->offline && port == 0) {
		if (virPortAllocatorAcquire(xylem->migration_ports, &in->port) < 0)
			return -1;
		port = in->port;
	}
	if (!in->offline && listen_at(in, p->listen, port) < 0)
		return -1;
	*uri_out = g_strdup_printf(strchr(host, ':') ? "tcp://[%s]:%d" : "tcp://%s:%d", host, port);
	return 0;
}

/* A pipe, whose other end libvirt fills from the tunnel. */
static int open_tunnel(struct incoming *in, virStreamPtr stream)
{
	int fds[2];

	if (virPipe(fds) < 0)
		return -1;
	in->tunnel = true;
	in->stream = fds[0];
	if (virFDStreamOpen(stream, fds[1]) == 0)
		return 0;
	VIR_FORCE_CLOSE(fds[1]);
	return -1;
}

static struct incoming *incoming_new(virConnectPtr conn, const char *from)
{
	struct incoming *in = g_new0(struct incoming, 1);

	in->conn = conn;
	in->from = g_strdup(from ? from : "another host");
	in->stream = -1;
	in->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (virCondInit(&in->ended) == 0 && in->wake >= 0)
		return in;
	virReportSystemError(errno, "%s", "no descriptors are left");
	VIR_FORCE_CLOSE(in->wake);
	g_free(in->from);
	g_free(in);
	return NULL;
}

/* The guest's object, with the job and without a guest: one that has a definition here must be off, and without a state. */
static virDomainObj *add_object(virDomainDef **def)
{
	virDomainObj *vm = lifecycle_add(def);

	if (!vm || !vm->hasManagedSave)
		return vm;
	virReportError(VIR_ERR_OPERATION_INVALID,
	               "%s has a managed save on this host, from which it would go back: virsh "
	               "managedsave-remove",
	               vm->def->name);
	lifecycle_added(&vm, false);
	return NULL;
}

int incoming_prepare(virConnectPtr conn, virDomainDef **def, const struct migrate_params *p,
                     const char *cookie_in, int cookie_in_length, char **cookie, int *cookie_length,
                     virStreamPtr stream, char **uri_out, unsigned int flags)
{
	g_autoptr(migrate_cookie_t) from = migrate_cookie_parse(cookie_in, cookie_in_length);
	g_autoptr(migrate_cookie_t) answer = NULL;
	g_autoptr(virDomainDef) persistent = NULL;
	struct domain_private *priv;
	struct incoming *in;
	virDomainObj *vm;
	int ret;

	if (!from || check_cookie(from, *def) < 0 || filter(def) < 0 ||
	    persistent_def(*def, p, from, flags, &persistent) < 0 ||
	    (!(flags & VIR_MIGRATE_OFFLINE) && migrate_check_images(*def) < 0) ||
	    (from->outcome && !(answer = migrate_cookie_new(*def, NULL))) ||
	    !(in = incoming_new(conn, from->hostname)))
		return -1;
	in->persistent = g_steal_pointer(&persistent);
	in->offline = flags & VIR_MIGRATE_OFFLINE;
	in->over = in->offline;
	vm = add_object(def);
	if (!vm) {
		free_incoming(in);
		return -1;
	}
	priv = vm->privateData;
	priv->incoming = in;
	priv->migration = in->offline ? MIGRATION_NONE : MIGRATION_INCOMING;
	ret = stream ? open_tunnel(in, stream) : listen_for_source(in, p, uri_out);
	if (ret < 0 || (!in->offline && start_thread(vm) < 0)) {
		forget(vm);
		return -1;
	}
	virCloseCallbacksDomainAdd(vm, conn, closed);
	/* libvirt's own driver, as the source, takes none from libvirtd to libvirtd. */
	if (answer) {
		*cookie = migrate_cookie_format(answer);
		*cookie_length = (int)strlen(*cookie) + 1;
	}
	virDomainObjEndAPI(&vm);
	return 0;
}

/* ---- step 4: Finish ---- */

/* The definition's file, which a full disk may refuse: as long as the source has guest and definition. 0 or -1. */
static int write_config(const struct incoming *in)
{
	return in->persistent ? domain_save_config(in->persistent) : 0;
}

/* What was there before. The error stays. */
static void take_back_config(virDomainObj *vm, const struct incoming *in)
{
	g_autofree char *path = NULL;
	virErrorPtr saved;

	if (!in->persistent)
		return;
	virErrorPreserveLast(&saved);
	path = virDomainConfigFile(xylem->config_dir, in->persistent->name);
	if (vm->persistent ? domain_save_config(vm->newDef ? vm->newDef : vm->def) < 0
	                   : unlink(path) < 0 && errno != ENOENT)
		VIR_WARN("%s has a definition that came with a migration that failed", path);
	virErrorRestore(&saved);
}

/* The definition, which is written, is the guest's from now on. */
static void persist(virDomainObj *vm, struct incoming *in)
{
	bool known = vm->persistent;

	if (!in->persistent)
		return;
	vm->persistent = 1;
	virDomainObjAssignDef(vm, &in->persistent, false, NULL);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_DEFINED,
	                                               known ? VIR_DOMAIN_EVENT_DEFINED_UPDATED
	                                                     : VIR_DOMAIN_EVENT_DEFINED_ADDED));
}

/* An offline migration: nothing but the definition. The object has it as if it were a running guest's. */
static int finish_offline(virDomainObj *vm, struct incoming *in)
{
	bool known = vm->persistent;

	if (domain_save_config(in->persistent) < 0)
		return -1;
	virDomainObjRemoveTransientDef(vm);
	virDomainObjAssignDef(vm, &in->persistent, false, NULL);
	vm->persistent = 1;
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_DEFINED,
	                                               known ? VIR_DOMAIN_EVENT_DEFINED_UPDATED
	                                                     : VIR_DOMAIN_EVENT_DEFINED_ADDED));
	return 0;
}

static int let_run(virDomainObj *vm)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	domain_handle(vm, handle);
	virObjectUnlock(vm);
	ret = monitor_pause(xylem->monitor, handle, false);
	virObjectLock(vm);
	return ret < 0 ? -1 : virDomainObjCheckActive(vm);
}

/*
 * xylemd has not said that it lets the guest run, which it may have done all the same: the hypervisor knows. One that does
 * not run is destroyed at once, so that it never will.
 */
static bool runs_all_the_same(virDomainObj *vm)
{
	struct xyl_dominfo info;
	virErrorPtr saved;
	bool runs;

	if (domain_query(vm, &info) != 0)
		return false;
	runs = !info.paused && !info.dying;
	virErrorPreserveLast(&saved);
	if (runs)
		VIR_WARN("%s runs, although it was said: %s", vm->def->name, virGetLastErrorMessage());
	else if (!info.dying && xyl_domain_destroy(xylem->xen, info.domid) < 0)
		VIR_ERROR("%s must not run here, and cannot be destroyed: %s", vm->def->name, xyl_error());
	virErrorRestore(&saved);
	if (runs)
		virResetLastError();
	return runs;
}

/*
 * The source has let go. It is told that the guest may run here. While the marks are there a libvirtd that is started again
 * destroys the guest; when they are gone it runs. 0, or -1: it does not, and can still be destroyed. Waits for no slot.
 */
static int run(virDomainObj *vm, struct incoming *in, unsigned int flags)
{
	struct domain_private *priv = vm->privateData;

	if (write_config(in) < 0)
		return -1;
	if (process_lock(vm) < 0 || process_put_definition(vm) < 0) {
		take_back_config(vm, in);
		return -1;
	}
	/* First the word: a source that hears no more does not go on from here on, whatever becomes of the mark. */
	migrate_outcome_tell(in->stream, OUTCOME_STARTS, NULL);
	priv->migration = MIGRATION_NONE;
	if (virDomainObjSave(vm, xylem->xmlopt, xylem->state_dir) < 0 ||
	    (!(flags & VIR_MIGRATE_PAUSED) && let_run(vm) < 0 && !runs_all_the_same(vm))) {
		priv->migration = MIGRATION_INCOMING;
		take_back_config(vm, in);
		return -1;
	}
	migrate_outcome_tell(in->stream, OUTCOME_RUNS, NULL);
	if (flags & VIR_MIGRATE_PAUSED) {
		virDomainObjSetState(vm, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER);
		domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_SUSPENDED,
		                                               VIR_DOMAIN_EVENT_SUSPENDED_PAUSED));
	} else {
		virDomainObjSetState(vm, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_MIGRATED);
		domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_RESUMED,
		                                               VIR_DOMAIN_EVENT_RESUMED_MIGRATED));
	}
	persist(vm, in);
	domain_save_status(vm);
	return 0;
}

/* The source waits meanwhile, with a slot of its own host. Locked; unlocks meanwhile. */
static int await(virDomainObj *vm, struct incoming *in)
{
	unsigned long long now, since = 0;
	bool slot = !in->over && slot_try(SLOT_BUILD);

	ignore_value(virTimeMillisNow(&since));
	while (!in->over && virTimeMillisNow(&now) == 0 &&
	       now < since + (in->stream < 0 ? CONNECTED_MS : RESTORED_MS))
		ignore_value(virCondWaitUntil(&in->ended, &vm->parent.lock, now + 1000));
	if (slot)
		slot_give(SLOT_BUILD);
	if (in->over && in->good && virDomainObjCheckActive(vm) == 0)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "%s has not arrived from %s: %s", vm->def->name, in->from,
	               in->why    ? in->why
	               : in->over ? "it has ended"
	                          : "not all of it has been sent");
	return -1;
}

static int settle(virDomainObj *vm, struct incoming *in, unsigned int flags, bool cancelled)
{
	bool slot;
	int ret;

	if (cancelled)
		return -1;
	if (in->offline)
		return finish_offline(vm, in);
	if (await(vm, in) < 0)
		return -1;
	slot = slot_try(SLOT_GUEST);
	ret = run(vm, in, flags);
	if (slot)
		slot_give(SLOT_GUEST);
	return ret;
}

virDomainPtr incoming_finish(virConnectPtr conn, virDomainObj *vm, unsigned int flags, bool cancelled)
{
	struct domain_private *priv = vm->privateData;
	struct incoming *in = priv->incoming;
	virDomainPtr dom;

	if (!in || in->conn != conn || in->finishing || in->released) {
		virReportError(VIR_ERR_OPERATION_INVALID,
		               "%s is not being migrated to this host by this client", vm->def->name);
		virDomainObjEndAPI(&vm);
		return NULL;
	}
	in->finishing = true;
	if (settle(vm, in, flags, cancelled) < 0) {
		give_up(vm, in);
		/* Which is what a client that gives up wants to hear. */
		if (cancelled)
			virReportError(VIR_ERR_MIGRATE_FINISH_OK, NULL);
		return NULL;
	}
	virCloseCallbacksDomainRemove(vm, conn, closed);
	dom = virGetDomain(conn, vm->def->name, vm->def->uuid, vm->def->id);
	g_clear_pointer(&priv->incoming, free_incoming);
	domain_end_job(vm);
	virDomainObjEndAPI(&vm);
	return dom;
}
