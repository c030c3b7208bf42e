/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's side: rings of dom0's kernel and of guests, their event channels, deaths of domains.
 *
 * All guests' event channels are read through one descriptor, so that waiting costs the same for one guest
 * and for a thousand. A guest's page is mapped by its reserved grant, or as foreign memory where it has not
 * granted it.
 */
/* Before xen/xen.h, which makes macros of some of its names. */
#include "host.h"
#include "xenctrl.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <xen/grant_table.h>

#include "../common/daemon.h"
#include "../common/events.h"
#include "conn.h"
#include "domain.h"

struct host {
	struct io *io;
	struct xyl *xyl;
	struct xyl_evtchn *evtchn;
	struct xyl_gnt *gnt;
	GHashTable *ports; /* local port -> struct transport */
	int virq_port;
	bool died; /* VIRQ_DOM_EXC has fired */
	guint source;
};

static void check_domains(struct host *h)
{
	struct store *s = io_store(h->io);
	struct xyl_dominfo *info = NULL;
	GHashTable *alive;
	GList *known;
	int count = xyl_domain_list_all(h->xyl, &info);

	if (count < 0) {
		daemon_log(LOG_ERR, "cannot list the domains: %s", xyl_error());
		return;
	}
	alive = g_hash_table_new(NULL, NULL);
	for (int i = 0; i < count; i++)
		if (!info[i].dying)
			g_hash_table_insert(alive, GUINT_TO_POINTER(info[i].domid), &info[i]);
	known = g_hash_table_get_values(s->domains);
	for (GList *l = known; l; l = l->next) {
		struct domain *d = l->data;
		const struct xyl_dominfo *now = g_hash_table_lookup(alive, GUINT_TO_POINTER((guint)d->domid));

		if (d == s->dom0)
			continue;
		if (!now)
			domain_gone(s, d);
		else if (now->shutdown)
			domain_shut_down(s, d);
	}
	g_list_free(known);
	g_hash_table_destroy(alive);
	free(info);
}

static bool fired(void *data, int port)
{
	struct host *h = data;
	struct transport *t = g_hash_table_lookup(h->ports, GINT_TO_POINTER(port));

	if (port == h->virq_port)
		h->died = true;
	else if (t && t->conn->broken && t->ring.page->connection == XENSTORE_RECONNECT)
		t->conn->broken = false;
	if (t)
		transport_queue(t);
	return true;
}

static gboolean on_event(gint fd, GIOCondition condition, gpointer data)
{
	struct host *h = data;

	(void)fd;
	(void)condition;
	daemon_events(h->evtchn, fired, h);
	if (h->died) {
		h->died = false;
		check_domains(h);
	}
	io_run(h->io);
	return G_SOURCE_CONTINUE;
}

bool host_domain_exists(struct host *h, uint16_t domid)
{
	struct xyl_dominfo info;

	return !xyl_domain_info(h->xyl, domid, &info) && info.domid == domid && !info.dying;
}

static int bind_port(struct host *h, struct transport *t, uint16_t domid, uint32_t port)
{
	if (t->port > 0) {
		g_hash_table_remove(h->ports, GINT_TO_POINTER(t->port));
		xyl_evtchn_unbind(h->evtchn, t->port);
	}
	t->remote_port = port;
	t->port = xyl_evtchn_bind_interdomain(h->evtchn, domid, port);
	if (t->port < 0) {
		int err = errno;

		daemon_log(LOG_ERR, "domain %u: cannot bind event channel %u: %s", domid, port, xyl_error());
		return err;
	}
	g_hash_table_insert(h->ports, GINT_TO_POINTER(t->port), t);
	return 0;
}

static struct xenstore_domain_interface *map_guest(struct host *h, struct transport *t, uint16_t domid,
                                                   uint64_t gfn)
{
	uint32_t ref = GNTTAB_RESERVED_XENSTORE;
	void *page = xyl_gnt_map(h->gnt, domid, &ref, 1, PROT_READ | PROT_WRITE);

	t->mapped = MAP_GRANT;
	if (!page) {
		page = xyl_foreign_map(h->xyl, domid, PROT_READ | PROT_WRITE, &gfn, 1, NULL);
		t->mapped = page ? MAP_FOREIGN : MAP_NONE;
	}
	return page;
}

static void offer_features(struct store_ring *r)
{
	r->page->server_features |= XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;
}

int host_introduce(struct host *h, struct conn *c, uint16_t domid, uint64_t gfn, uint32_t port)
{
	struct transport *t = c->io;
	bool again = t != NULL;
	int err;

	if (!again) {
		struct xenstore_domain_interface *page;

		t = transport_new(h->io, c);
		page = map_guest(h, t, domid, gfn);
		if (!page) {
			err = errno;
			daemon_log(LOG_ERR, "domain %u: cannot map its ring: %s", domid, xyl_error());
			transport_free(t);
			return err;
		}
		ring_adopt(&t->ring, page);
	}
	err = bind_port(h, t, domid, port);
	if (err) {
		if (!again)
			host_release(h, t);
		return err;
	}
	if (again) {
		ring_reset(&t->ring);
		c->broken = false;
	}
	t->ring.page->error = XENSTORE_ERROR_NONE;
	offer_features(&t->ring);
	if (t->ring.page->connection == XENSTORE_RECONNECT)
		t->ring.page->connection = XENSTORE_CONNECTED;
	t->notify = true;
	transport_queue(t);
	return 0;
}

void host_release(struct host *h, struct transport *t)
{
	if (t->port > 0) {
		g_hash_table_remove(h->ports, GINT_TO_POINTER(t->port));
		xyl_evtchn_unbind(h->evtchn, t->port);
	}
	if (t->mapped == MAP_GRANT)
		xyl_gnt_unmap(h->gnt, t->ring.page, 1);
	else if (t->mapped == MAP_FOREIGN)
		xyl_foreign_unmap(h->xyl, t->ring.page, 1);
	else if (t->mapped == MAP_KERNEL)
		munmap(t->ring.page, XYL_PAGE_BYTES);
	transport_free(t);
}

void host_notify(struct host *h, struct transport *t)
{
	/* A domain that is going away has closed its end; its death is on the way. */
	if (t->port > 0 && xyl_evtchn_notify(h->evtchn, t->port))
		daemon_log(LOG_DEBUG, "%s: cannot notify: %s", t->conn->name, xyl_error());
}

/* ---- dom0's kernel ------------------------------------------------------------------------------- */

#ifndef XENFS_DIR
#define XENFS_DIR "/proc/xen"
#endif

static int open_kernel_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && !mount("xenfs", XENFS_DIR, "xenfs", 0, NULL))
		fd = open(path, flags | O_CLOEXEC);
	return fd;
}

static int kernel_port(void)
{
	char text[16] = "";
	int fd = open_kernel_file(XENFS_DIR "/xsd_port", O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? atoi(text) : -1;
}

static int attach_kernel(struct host *h)
{
	struct store *s = io_store(h->io);
	struct transport *t;
	void *page = MAP_FAILED;
	int port = kernel_port(), fd = -1;

	if (port > 0)
		fd = open_kernel_file(XENFS_DIR "/xsd_kva", O_RDWR);
	if (fd >= 0) {
		page = mmap(NULL, XYL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (page == MAP_FAILED) {
		daemon_log(LOG_ERR,
		           "cannot reach the ring of dom0's kernel (" XENFS_DIR "/xsd_kva and xsd_port): %s",
		           strerror(errno));
		return -1;
	}
	s->dom0->conn = conn_new(s, s->dom0, false, "domain 0's kernel", NULL);
	t = transport_new(h->io, s->dom0->conn);
	t->mapped = MAP_KERNEL;
	ring_adopt(&t->ring, page);
	if (bind_port(h, t, 0, port))
		return -1;
	offer_features(&t->ring);
	t->notify = true;
	transport_queue(t);
	return 0;
}

struct host *host_start(struct io *io)
{
	struct host *h = g_new0(struct host, 1);

	h->io = io;
	h->ports = g_hash_table_new(NULL, NULL);
	h->virq_port = -1;
	h->xyl = xyl_open();
	if (h->xyl)
		h->evtchn = xyl_evtchn_open();
	if (h->evtchn)
		h->gnt = xyl_gnt_open();
	if (!h->gnt) {
		daemon_log(LOG_ERR, "%s", xyl_error());
		host_stop(h);
		return NULL;
	}
	h->virq_port = xyl_evtchn_bind_virq(h->evtchn, VIRQ_DOM_EXC);
	if (h->virq_port < 0) {
		daemon_log(LOG_ERR, "cannot bind VIRQ_DOM_EXC (does another xenstored run?): %s",
		           xyl_error());
		host_stop(h);
		return NULL;
	}
	if (attach_kernel(h)) {
		host_stop(h);
		return NULL;
	}
	h->source = g_unix_fd_add(xyl_evtchn_fd(h->evtchn), G_IO_IN, on_event, h);
	return h;
}

void host_stop(struct host *h)
{
	if (h->source)
		g_source_remove(h->source);
	if (h->gnt)
		xyl_gnt_close(h->gnt);
	if (h->evtchn)
		xyl_evtchn_close(h->evtchn);
	if (h->xyl)
		xyl_close(h->xyl);
	g_hash_table_destroy(h->ports);
	g_free(h);
}
