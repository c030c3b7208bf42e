/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenstored's sockets and rings together, on a hypervisor that the test plays: guests that kick without end,
 * that break their rings again and again, that write while others are in a transaction.
 */
#include "xenctrl.h"

#include "xenstored_util.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../libxenctrl/common/daemon.h"
#include "../../libxenctrl/xenstored/io.h"

#define GUEST       5
#define GUEST_PORT  2 /* dom0's kernel has 1, VIRQ_DOM_EXC 100 */
#define SOCKET_PATH "xenfs.test/socket"

/* ---- the hypervisor ------------------------------------------------------------------------------ */

static unsigned int warnings, kicks, kicks_left;
static int evtchn_fd = -1;
static struct xenstore_domain_interface guest_page __attribute__((aligned(4096)));

void daemon_log(int priority, const char *fmt, ...)
{
	va_list ap;

	warnings += priority == LOG_WARNING;
	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
}

const char *xyl_error(void)
{
	return "as the test wants it";
}

struct xyl *xyl_open(void)
{
	return (struct xyl *)&warnings;
}

void xyl_close(struct xyl *x)
{
	(void)x;
}

int xyl_domain_list_all(struct xyl *x, struct xyl_dominfo **infos)
{
	(void)x;
	*infos = NULL;
	return 0;
}

int xyl_domain_info(struct xyl *x, uint32_t domid, struct xyl_dominfo *info)
{
	(void)x;
	memset(info, 0, sizeof(*info));
	info->domid = domid;
	return 0;
}

struct xyl_evtchn *xyl_evtchn_open(void)
{
	evtchn_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return (struct xyl_evtchn *)&evtchn_fd;
}

void xyl_evtchn_close(struct xyl_evtchn *e)
{
	(void)e;
	close(evtchn_fd);
}

int xyl_evtchn_fd(struct xyl_evtchn *e)
{
	(void)e;
	return evtchn_fd;
}

int xyl_evtchn_bind_interdomain(struct xyl_evtchn *e, uint32_t domid, uint32_t port)
{
	(void)e, (void)port;
	return domid ? GUEST_PORT : 1;
}

int xyl_evtchn_bind_virq(struct xyl_evtchn *e, uint32_t virq)
{
	(void)e, (void)virq;
	return 100;
}

int xyl_evtchn_unbind(struct xyl_evtchn *e, uint32_t port)
{
	(void)e, (void)port;
	return 0;
}

int xyl_evtchn_notify(struct xyl_evtchn *e, uint32_t port)
{
	(void)e, (void)port;
	return 0;
}

/* A guest on another CPU: its next kick is there as soon as the last one has been unmasked. */
int xyl_evtchn_pending(struct xyl_evtchn *e)
{
	uint64_t value;

	(void)e;
	if (kicks_left) {
		kicks_left--;
		kicks++;
		return GUEST_PORT;
	}
	if (read(evtchn_fd, &value, sizeof(value)) < 0)
		errno = EAGAIN;
	return -1;
}

int xyl_evtchn_unmask(struct xyl_evtchn *e, uint32_t port)
{
	(void)e, (void)port;
	return 0;
}

struct xyl_gnt *xyl_gnt_open(void)
{
	return (struct xyl_gnt *)&warnings;
}

void xyl_gnt_close(struct xyl_gnt *g)
{
	(void)g;
}

void *xyl_gnt_map(struct xyl_gnt *g, uint32_t domid, const uint32_t *refs, uint32_t number, int prot)
{
	(void)g, (void)domid, (void)refs, (void)number, (void)prot;
	return &guest_page;
}

int xyl_gnt_unmap(struct xyl_gnt *g, void *address, uint32_t number)
{
	(void)g, (void)address, (void)number;
	return 0;
}

void *xyl_foreign_map(struct xyl *x, uint32_t domid, int prot, const uint64_t *mfns, size_t number,
                      int *errors)
{
	(void)x, (void)domid, (void)prot, (void)mfns, (void)number, (void)errors;
	return NULL;
}

int xyl_foreign_unmap(struct xyl *x, void *address, size_t number)
{
	(void)x, (void)address, (void)number;
	return 0;
}

static void kick(unsigned int times)
{
	const uint64_t one = 1;

	kicks_left = times;
	if (write(evtchn_fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* ---- the guest ----------------------------------------------------------------------------------- */

/* Puts a request into the ring; false where there is no room for it. */
static bool guest_request(uint32_t type, const char *body, size_t len)
{
	struct xsd_sockmsg h = { .type = type, .req_id = 1, .len = (uint32_t)len };
	char raw[256];

	memcpy(raw, &h, sizeof(h));
	memcpy(raw + sizeof(h), body, len);
	len += sizeof(h);
	if (XENSTORE_RING_SIZE - (guest_page.req_prod - guest_page.req_cons) < len)
		return false;
	for (size_t i = 0; i < len; i++)
		guest_page.req[MASK_XENSTORE_IDX(guest_page.req_prod + i)] = raw[i];
	guest_page.req_prod += (uint32_t)len;
	return true;
}

/* Puts as many whole copies of a request into the ring as there is room for, and takes all replies. */
static void guest_requests(uint32_t type, const char *body, size_t len)
{
	guest_page.rsp_cons = guest_page.rsp_prod;
	while (guest_request(type, body, len))
		;
}

/* ---- a program in dom0 --------------------------------------------------------------------------- */

/* Turns the main loop until done() or for a minute; the guest does something in each turn. */
static bool turn(void (*guest_does)(void), bool (*done)(void))
{
	gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

	while (!done() && g_get_monotonic_time() < end) {
		if (guest_does)
			guest_does();
		if (!g_main_context_iteration(NULL, FALSE))
			g_usleep(100);
	}
	return done();
}

static int client = -1;
static struct answer got;
static size_t got_bytes;
static char got_raw[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];

static bool answered(void)
{
	struct xsd_sockmsg h;
	ssize_t n = recv(client, got_raw + got_bytes, sizeof(got_raw) - got_bytes, MSG_DONTWAIT);

	if (n > 0)
		got_bytes += (size_t)n;
	if (got_bytes < sizeof(h))
		return false;
	memcpy(&h, got_raw, sizeof(h));
	if (got_bytes < sizeof(h) + h.len)
		return false;
	got.type = h.type;
	got.len = h.len;
	memcpy(got.data, got_raw + sizeof(h), h.len);
	got.data[h.len] = '\0';
	return true;
}

/* '|' stands for NUL. Whether it was answered, and not with an error. */
static bool ask(void (*guest_does)(void), uint32_t type, uint32_t tx, const char *text)
{
	struct xsd_sockmsg h = { .type = type, .tx_id = tx, .len = (uint32_t)strlen(text) };
	char raw[512];

	memcpy(raw, &h, sizeof(h));
	for (size_t i = 0; text[i]; i++)
		raw[sizeof(h) + i] = text[i] == '|' ? '\0' : text[i];
	if (send(client, raw, sizeof(h) + h.len, MSG_NOSIGNAL) < 0)
		return false;
	got_bytes = 0;
	got.type = XS_INVALID;
	return turn(guest_does, answered) && got.type == type;
}

static bool connect_client(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, SOCKET_PATH);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return client >= 0 && !connect(client, (struct sockaddr *)&a, sizeof(a));
}

/* ---- tests --------------------------------------------------------------------------------------- */

static void kicks_on(void)
{
	kick(1000000);
}

static void test_kicks(void)
{
	kicks = 0;
	ok(ask(kicks_on, XS_READ, 0, "/local/domain/0/name|") && !strcmp(got.data, "Domain-0"),
	   "a guest that kicks without end does not keep dom0 waiting");
	ok(kicks < 100000, "and costs a bounded number of events in each round");
	printf("# %u kicks\n", kicks);
	kick(0);
}

#define BURST 8000

static size_t burst_bytes, burst_sent, burst_piece, burst_replies;
static char burst[BURST * 48];

/* Sends what the socket takes; true when that was all. */
static bool burst_send(void)
{
	while (burst_sent < burst_bytes) {
		ssize_t n = send(client, burst + burst_sent, MIN(burst_piece, burst_bytes - burst_sent),
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			return false;
		burst_sent += (size_t)n;
		g_main_context_iteration(NULL, FALSE);
	}
	return true;
}

/* Takes what the store has sent, and counts whole replies; sends on. */
static bool burst_answered(void)
{
	struct xsd_sockmsg h;
	ssize_t n = recv(client, got_raw + got_bytes, sizeof(got_raw) - got_bytes, MSG_DONTWAIT);
	size_t at = 0;

	got_bytes += n > 0 ? (size_t)n : 0;
	for (; got_bytes - at >= sizeof(h); burst_replies++) {
		memcpy(&h, got_raw + at, sizeof(h));
		if (got_bytes - at < sizeof(h) + h.len || h.type != XS_READ || h.req_id != burst_replies + 1)
			break;
		at += sizeof(h) + h.len;
	}
	got_bytes -= at;
	memmove(got_raw, got_raw + at, got_bytes);
	return burst_send() && burst_replies == BURST;
}

/* Many requests in pieces that end anywhere; nobody takes replies until the store takes no requests any more. */
static void test_burst(size_t piece)
{
	static const char path[] = "/local/domain/0/name";
	struct xsd_sockmsg h = { .type = XS_READ, .len = sizeof(path) };
	bool stopped = false;
	char title[80];

	burst_bytes = burst_sent = burst_replies = got_bytes = 0;
	burst_piece = piece;
	for (h.req_id = 1; h.req_id <= BURST; h.req_id++) {
		memcpy(burst + burst_bytes, &h, sizeof(h));
		memcpy(burst + burst_bytes + sizeof(h), path, sizeof(path));
		burst_bytes += sizeof(h) + sizeof(path);
	}
	for (int idle = 0; idle < 20 && !burst_send(); idle++) {
		while (g_main_context_iteration(NULL, FALSE))
			idle = 0;
		stopped = true;
	}
	ok(stopped, "a client that takes no replies is not read any further");
	g_snprintf(title, sizeof(title), "%u requests in pieces of %zu bytes are answered in order", BURST,
	           piece);
	ok(turn(NULL, burst_answered), title);
}

static void writes_on(void)
{
	guest_requests(XS_WRITE, "data/x\0v", 8);
	kick(1);
}

/* What a tool does to a node that a guest may write: read it, write elsewhere, commit; again on conflicts. */
static void test_conflicts(void)
{
	bool committed = false;
	int tries = 0;

	ok(ask(NULL, XS_WRITE, 0, "/local/domain/5/data|") &&
	           ask(NULL, XS_SET_PERMS, 0, "/local/domain/5/data|n5|") && ask(NULL, XS_WRITE, 0, "/t|"),
	   "a node of the guest's own");
	for (; tries < 20 && !committed; tries++) {
		g_autofree char *id = NULL;
		uint32_t tx;

		if (!ask(writes_on, XS_TRANSACTION_START, 0, "|"))
			break;
		tx = (uint32_t)strtoul(got.data, NULL, 10);
		ask(writes_on, XS_READ, tx, "/local/domain/5/data/x|");
		ask(writes_on, XS_WRITE, tx, "/t|v");
		committed = ask(writes_on, XS_TRANSACTION_END, tx, "T|");
	}
	printf("# %d tries\n", tries);
	ok(committed, "a guest that writes without end does not keep dom0's transactions from their commit");
	guest_page.rsp_cons = guest_page.rsp_prod;
}

static bool guest_served(void)
{
	return guest_page.req_cons == guest_page.req_prod;
}

static void test_guest_goes_on(void)
{
	guest_requests(XS_READ, "data/x", 7);
	kick(1);
	ok(turn(NULL, guest_served), "a guest that was held back is served again");
}

static void replies_taken(void)
{
	guest_page.rsp_cons = guest_page.rsp_prod;
	kick(1);
}

#define LIST_CHILDREN 900

static unsigned int lists_begun;

/* Keeps the ring full of requests for a list that has to be made anew each time: the same child is made and removed. */
static void lists_on(void)
{
	static const struct {
		uint32_t type, len;
		const char *body;
	} round[] = { { XS_WRITE, 9, "data/l/x" },
		      { XS_DIRECTORY_PART, 12,
		        "data/l\0"
		        "3590" },
		      { XS_RM, 9, "data/l/x" } };
	static unsigned int next;

	guest_page.rsp_cons = guest_page.rsp_prod;
	while (guest_request(round[next].type, round[next].body, round[next].len)) {
		lists_begun += round[next].type == XS_DIRECTORY_PART;
		next = (next + 1) % G_N_ELEMENTS(round);
	}
	kick(1);
}

/* One whose requests cost much gets fewer of them served meanwhile. */
static void test_costly_requests(void)
{
	unsigned int waiting = XENSTORE_RING_SIZE / 78 + 1, served;
	char path[64];
	bool good = true;

	for (int i = 0; i < LIST_CHILDREN && good; i++) {
		g_snprintf(path, sizeof(path), "/local/domain/5/data/l/%03d|", i);
		good = ask(NULL, XS_WRITE, 0, path);
	}
	lists_begun = 0;
	for (int i = 0; i < 200 && good; i++)
		good = ask(lists_on, XS_READ, 0, "/local/domain/0/name|");
	served = lists_begun - MIN(lists_begun, waiting);
	printf("# %u lists of %d children between 200 READs of dom0's\n", served, LIST_CHILDREN);
	ok(good && served > 5, "both are served");
	ok(served < 200, "a guest gets no more of the store's time by asking for what takes long");
	ok(turn(replies_taken, guest_served), "and is served to the end");
	replies_taken();
}

static bool is_broken(void)
{
	return guest_page.error != XENSTORE_ERROR_NONE;
}

static bool is_connected(void)
{
	return guest_page.connection == XENSTORE_CONNECTED && !is_broken();
}

static void test_broken_again(void)
{
	bool good = true;

	warnings = 0;
	for (int i = 0; i < 200 && good; i++) {
		guest_page.req_prod = guest_page.req_cons + XENSTORE_RING_SIZE + 1;
		kick(1);
		good = turn(NULL, is_broken);
		guest_page.connection = XENSTORE_RECONNECT;
		kick(1);
		good &= turn(NULL, is_connected);
	}
	ok(good, "a guest breaks its ring and asks for a fresh one, 200 times");
	printf("# %u warnings\n", warnings);
	ok(warnings <= 20, "the log hears of it a few times");
}

int main(void)
{
	struct io *io;

	mkdir("xenfs.test", 0700);
	if (!g_file_set_contents("xenfs.test/xsd_port", "1\n", -1, NULL) ||
	    !g_file_set_contents("xenfs.test/xsd_kva", (char *)&guest_page, sizeof(guest_page), NULL) ||
	    truncate("xenfs.test/xsd_kva", XYL_PAGE_BYTES))
		return 99;
	io = io_start(SOCKET_PATH, true);
	if (!io || !connect_client())
		return 99;
	store_init_dom0(io_store(io));
	ok(ask(NULL, XS_WRITE, 0, "/local/domain/5|") &&
	           ask(NULL, XS_SET_PERMS, 0, "/local/domain/5|n0|r5|") &&
	           ask(NULL, XS_INTRODUCE, 0, "5|1|9|"),
	   "a guest is introduced");
	test_kicks();
	test_burst(5000);
	test_burst(333);
	test_conflicts();
	test_guest_goes_on();
	test_costly_requests();
	test_broken_again();
	close(client);
	io_stop(io);
	return tap_end();
}
