/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rings to xenconsoled and xenstored. Worker 0's alone, but for the console, which say() locks. */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h> /* before there is an EINVAL: with one it wants the names of all errors */

#include "checker.h"

#define WATCHED "control/shutdown"
#define TOKEN   "suspend"

static struct xencons_interface *console;
static struct xenstore_domain_interface *store;
static bool fired;

static void *page_of_frame(unsigned long mfn)
{
	const unsigned long *list = (const unsigned long *)start_info->mfn_list;

	for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++)
		if (list[pfn] == mfn)
			return (void *)(VIRT_BASE + pfn * PAGE);
	return NULL;
}

void rings_init(void)
{
	console = page_of_frame(start_info->console.domU.mfn);
	store = page_of_frame(start_info->store_mfn);
}

static void notify(uint32_t port)
{
	struct evtchn_send send = { .port = port };

	HC(event_channel_op, EVTCHNOP_send, &send);
}

/* ---- console ---- */

void child_print(const char *text, unsigned n);

static void console_put(char c)
{
	XENCONS_RING_IDX at = console->out_prod;

	while (at - __atomic_load_n(&console->out_cons, __ATOMIC_ACQUIRE) >= sizeof(console->out)) {
		notify(start_info->console.domU.evtchn);
		rest();
	}
	console->out[MASK_XENCONS_IDX(at, console->out)] = c;
	__atomic_store_n(&console->out_prod, at + 1, __ATOMIC_RELEASE);
}

void child_print(const char *text, unsigned n)
{
	if (!console)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (text[i] == '\n')
			console_put('\r');
		console_put(text[i]);
	}
	notify(start_info->console.domU.evtchn);
}

/* ---- xenstore ---- */

static void put_bytes(const void *data, size_t n)
{
	const char *from = data;

	for (size_t i = 0; i < n; i++) {
		XENSTORE_RING_IDX at = store->req_prod;

		while (at - __atomic_load_n(&store->req_cons, __ATOMIC_ACQUIRE) >= XENSTORE_RING_SIZE) {
			notify(start_info->store_evtchn);
			rest();
		}
		store->req[MASK_XENSTORE_IDX(at)] = from[i];
		__atomic_store_n(&store->req_prod, at + 1, __ATOMIC_RELEASE);
	}
}

static void get_bytes(void *data, size_t n)
{
	char *to = data;

	for (size_t i = 0; i < n; i++) {
		XENSTORE_RING_IDX at = store->rsp_cons;

		while (at == __atomic_load_n(&store->rsp_prod, __ATOMIC_ACQUIRE))
			rest();
		to[i] = store->rsp[MASK_XENSTORE_IDX(at)];
		__atomic_store_n(&store->rsp_cons, at + 1, __ATOMIC_RELEASE);
	}
	notify(start_info->store_evtchn); /* there is room again */
}

/* One message, whose body is cut to what there is room for; false: it was the event of a watch. */
static bool receive(struct xsd_sockmsg *head, char *body, size_t bytes)
{
	get_bytes(head, sizeof(*head));
	for (uint32_t i = 0; i < head->len; i++) {
		char c;

		get_bytes(&c, 1);
		if (i < bytes - 1)
			body[i] = c;
	}
	body[head->len < bytes ? head->len : bytes - 1] = '\0';
	if (head->type != XS_WATCH_EVENT)
		return true;
	fired = true;
	return false;
}

/* Two parts, the first with its NUL, and the reply; false: it is an error. */
static bool ask(uint32_t type, const char *path, const char *more, size_t more_bytes, char *body,
                size_t bytes)
{
	static uint32_t id;
	struct xsd_sockmsg head = { .type = type,
		                    .req_id = ++id,
		                    .len = (uint32_t)(strlen(path) + 1 + more_bytes) };

	put_bytes(&head, sizeof(head));
	put_bytes(path, strlen(path) + 1);
	put_bytes(more, more_bytes);
	notify(start_info->store_evtchn);
	while (!receive(&head, body, bytes))
		;
	if (head.req_id != id)
		FAIL("xenstore answers request %u, and not %u", head.req_id, id);
	return head.type == type;
}

bool store_read(const char *path, char *value, size_t bytes)
{
	return ask(XS_READ, path, NULL, 0, value, bytes);
}

bool store_write(const char *path, const char *value)
{
	char reply[32];

	return ask(XS_WRITE, path, value, strlen(value), reply, sizeof(reply));
}

/* After a watch is gone no event of it comes any more, of which a part could be in the ring when the guest is saved. */
void store_watch(bool on)
{
	char reply[32];

	if (!ask(on ? XS_WATCH : XS_UNWATCH, WATCHED, TOKEN, sizeof(TOKEN), reply, sizeof(reply)))
		say("checker: xenstore: %s: %s", on ? "watch" : "unwatch", reply);
}

bool store_event(void)
{
	struct xsd_sockmsg head;
	char body[128];
	bool was;

	while (store->rsp_cons != __atomic_load_n(&store->rsp_prod, __ATOMIC_ACQUIRE))
		if (receive(&head, body, sizeof(body)))
			FAIL("xenstore sends what nobody has asked for (type %u)", head.type);
	was = fired;
	fired = false;
	return was;
}
