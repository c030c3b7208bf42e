/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workers and their life. A request to suspend comes through xenstore (control/shutdown) or by the event channel that
 * device/suspend/event-channel names, and is worker 0's to answer:
 *	1. no watch of xenstore's is left that could fire meanwhile
 *	2. the other vcpus stop where they hold no frame number: they wait, or (each second time) go down
 *	3. tables are pinned; shared_info and the grant table, which are not the guest's, are unmapped; start_info has pfns
 *	4. SCHEDOP_shutdown. It returns 1 in the same domain, 0 in a new one with another start_info
 *	5. all that again, in reverse; in a new domain with new ports, grants, frame lists, and vcpus
 */
#include "checker.h"

#define STACK    16384u
#define TICK_NS  20000000ul
#define LATE_NS  20000000000ul /* a host that does other things is no fault */
#define STORY_NS 250000000ul   /* how often it says how far it is */

const char test_name[] = "checker";

struct worker workers[WORKERS];
unsigned worker_count;
grant_entry_v1_t *grants;
domid_t me;
uint64_t retire_ns;
static unsigned resumed_here, resumed_anew;
static volatile enum { GO, WAIT, GO_DOWN } order;
static char stacks[WORKERS][STACK] __attribute__((aligned(4096)));
static uint32_t suspend_port;
/* Frame lists: list_list has the frames of lists, a list those of pages of the p2m list. */
static unsigned long *frame_list_list, *frame_lists[PAGES_MAX / 512 / 512 + 1];

void child_main(void);
void child_failed(const char *text, unsigned n);

/* dom0's place is not for it. */
void run(void)
{
	FAIL("it is a guest");
}

void child_failed(const char *text, unsigned n)
{
	(void)text, (void)n;
}

static char said;

void say(const char *fmt, ...)
{
	va_list ap;

	while (__atomic_exchange_n(&said, 1, __ATOMIC_ACQUIRE))
		HC(sched_op, SCHEDOP_yield, NULL);
	va_start(ap, fmt);
	vprint_part(fmt, ap);
	va_end(ap);
	print("%s", "");
	__atomic_store_n(&said, 0, __ATOMIC_RELEASE);
}

uint64_t random_next(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random >> 11;
}

/* ---- events: of each worker's timer by upcall, all others are masked and looked at ---- */

static unsigned current_worker(void)
{
	unsigned long at = (unsigned long)__builtin_frame_address(0) - (unsigned long)stacks;

	return at < sizeof(stacks) ? (unsigned)(at / STACK) : 0;
}

static void arm_timer(void)
{
	HC(set_timer_op, system_time_ns() + TICK_NS);
}

static bool port_take(uint32_t port)
{
	unsigned long bit = 1ul << port % 64;

	return port && __atomic_fetch_and(&shared->evtchn_pending[port / 64], ~bit, __ATOMIC_ACQ_REL) & bit;
}

static void event(struct regs *regs)
{
	struct worker *w = &workers[current_worker()];
	struct vcpu_info *v = &shared->vcpu_info[w->id];

	(void)regs;
	*(volatile uint8_t *)&v->evtchn_upcall_pending = 0;
	__atomic_store_n(&v->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
	if (!port_take(w->timer_port))
		return;
	w->ticked_ns = system_time_ns();
	arm_timer();
}

static void upcalls(const struct worker *w, bool on)
{
	struct vcpu_info *v = &shared->vcpu_info[w->id];

	*(volatile uint8_t *)&v->evtchn_upcall_mask = !on;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (on && *(volatile uint8_t *)&v->evtchn_upcall_pending)
		HC(xen_version, XENVER_version, NULL); /* any entry delivers what is pending */
}

static void bind_timer(struct worker *w)
{
	struct evtchn_bind_virq b = { .virq = VIRQ_TIMER, .vcpu = w->id };

	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_virq, &b), 0);
	w->timer_port = b.port;
	__atomic_fetch_and(&shared->evtchn_mask[b.port / 64], ~(1ul << b.port % 64), __ATOMIC_SEQ_CST);
}

static void bind_suspend(void)
{
	struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = 0 };
	char text[8], *at = text + sizeof(text) - 1;

	suspend_port = 0;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &a), 0);
	*at = '\0';
	for (uint32_t n = a.port; n; n /= 10)
		*--at = (char)('0' + n % 10);
	if (store_write("device/suspend/event-channel", at))
		suspend_port = a.port;
	else
		say("checker: device/suspend/event-channel cannot be written");
}

/* In each new domain. */
static void bind_events(void)
{
	for (unsigned i = 0; i < sizeof(shared->evtchn_mask) / 8; i++)
		shared->evtchn_mask[i] = ~0ul;
	for (unsigned i = 0; i < worker_count; i++)
		bind_timer(&workers[i]);
	bind_suspend();
}

/* ---- what the tool stack reads ---- */

static void write_frame_lists(void)
{
	const unsigned long *list = (const unsigned long *)start_info->mfn_list;

	for (unsigned long i = 0; i * 512 < start_info->nr_pages; i++) {
		frame_lists[i / 512][i % 512] = mfn_of(&list[i * 512]);
		frame_list_list[i / 512] = mfn_of(frame_lists[i / 512]);
	}
	shared->arch.max_pfn = start_info->nr_pages;
	shared->arch.pfn_to_mfn_frame_list_list = mfn_of(frame_list_list);
}

static void tell_number(char **at, uint64_t n)
{
	char digits[24];
	unsigned i = 0;

	do
		digits[i++] = (char)('0' + n % 10);
	while (n /= 10);
	while (i)
		*(*at)++ = digits[--i];
	*(*at)++ = ' ';
}

/* "rounds wrong resumed-here resumed-anew"; rounds are the slowest worker's. */
static void tell(void)
{
	uint64_t rounds = workers[0].rounds;
	char text[100], *at = text;

	for (unsigned i = 1; i < worker_count; i++)
		if (workers[i].rounds < rounds)
			rounds = workers[i].rounds;
	tell_number(&at, rounds);
	tell_number(&at, pages_wrong() + registers_wrong());
	tell_number(&at, resumed_here);
	tell_number(&at, resumed_anew);
	at[-1] = '\0';
	if (!store_write("data/checker", text))
		say("checker: data/checker cannot be written");
	say("checker: rounds %lu wrong %lu", rounds, pages_wrong() + registers_wrong());
}

static void set_up_grants(void)
{
	xen_pfn_t frame = 0;
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };

	set_xen_guest_handle(setup.frame_list, &frame);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	EXPECT_EQ(setup.status, GNTST_okay);
	EXPECT_EQ(map(grants, PTE(frame)), 0);
}

static void read_domid(void)
{
	char text[16];

	if (!store_read("domid", text, sizeof(text)))
		FAIL("xenstore does not tell who we are: %s", text);
	me = 0;
	for (const char *p = text; *p; p++)
		me = (domid_t)(me * 10 + (*p - '0'));
}

/* ---- workers ---- */

/* As long without the CPU as it has worked: dom0 has something to do, too. */
static void take_turns(uint64_t since)
{
	uint64_t now = system_time_ns();
	struct sched_poll poll = { .timeout = now + (now - since < 20000000 ? now - since : 20000000) };

	EXPECT_EQ(HC(sched_op, SCHEDOP_poll, &poll), 0);
}

static void work(struct worker *w)
{
	uint64_t began = system_time_ns();

	pages_round(w);
	registers_check(w);
	w->rounds++;
	if (began > w->ticked_ns + LATE_NS)
		FAIL("vcpu %u has had no timer event for %lu ms", w->id, (began - w->ticked_ns) / 1000000);
	take_turns(began);
}

/* Stands still until order is GO. Who has been down comes back from it in the same domain, and begins anew in another. */
static void stand(struct worker *w)
{
	bool down = order == GO_DOWN;

	tree_pin(w);
	upcalls(w, false);
	__atomic_store_n(&w->stopped, true, __ATOMIC_RELEASE);
	if (down)
		EXPECT_EQ(HC(vcpu_op, VCPUOP_down, w->id, NULL), 0);
	while (__atomic_load_n(&order, __ATOMIC_ACQUIRE) != GO)
		HC(sched_op, SCHEDOP_yield, NULL);
	__atomic_store_n(&w->stopped, false, __ATOMIC_RELEASE);
}

static void begin_events(struct worker *w)
{
	w->ticked_ns = system_time_ns();
	upcalls(w, true);
	arm_timer();
}

static void __attribute__((noreturn)) worker_main(struct worker *w)
{
	entry_points();
	registers_begin(w);
	w->stopped = false;
	begin_events(w);
	for (;;) {
		if (order != GO) {
			stand(w);
			begin_events(w);
		}
		work(w);
	}
}

static void bring_up(struct worker *w, bool new)
{
	static struct vcpu_guest_context c;

	memset(&c, 0, sizeof(c));
	c.user_regs.rip = (unsigned long)worker_main;
	c.user_regs.rdi = (unsigned long)w;
	c.user_regs.rsp = (unsigned long)stacks[w->id] + STACK - 8;
	c.user_regs.rflags = 0x200;
	c.user_regs.cs = 0xe033;
	c.user_regs.ss = c.kernel_ss = 0xe02b;
	c.kernel_sp = c.user_regs.rsp;
	c.ctrlreg[3] = tree_root(w) * PAGE;
	c.flags = VGCF_in_kernel;
	if (new)
		EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, w->id, &c), 0);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_up, w->id, NULL), 0);
}

static bool is_down(const struct worker *w)
{
	return !HC(vcpu_op, VCPUOP_is_up, w->id, NULL);
}

static void stop_others(void)
{
	bool down = (resumed_here + resumed_anew) % 2;

	__atomic_store_n(&order, down ? GO_DOWN : WAIT, __ATOMIC_RELEASE);
	for (unsigned i = 1; i < worker_count; i++)
		while (!workers[i].stopped || (down && !is_down(&workers[i])))
			rest();
}

static void start_others(bool new)
{
	bool down = order == GO_DOWN;

	__atomic_store_n(&order, GO, __ATOMIC_RELEASE);
	for (unsigned i = 1; i < worker_count && down; i++)
		bring_up(&workers[i], new);
	for (unsigned i = 1; i < worker_count; i++)
		while (workers[i].stopped)
			rest();
}

/* ---- suspend ---- */

static unsigned long pfn_of_frame(unsigned long mfn)
{
	const unsigned long *list = (const unsigned long *)start_info->mfn_list;
	unsigned long pfn = 0;

	while (pfn < start_info->nr_pages && list[pfn] != mfn)
		pfn++;
	return pfn;
}

static unsigned long frame_of_pfn(unsigned long pfn)
{
	return ((const unsigned long *)start_info->mfn_list)[pfn];
}

static bool shut_down(void)
{
	struct sched_shutdown s = { .reason = SHUTDOWN_suspend };
	long rc;

	EXPECT_EQ(map(grants, 0), 0);
	EXPECT_EQ(map(shared, 0), 0);
	start_info->store_mfn = pfn_of_frame(start_info->store_mfn);
	start_info->console.domU.mfn = (uint32_t)pfn_of_frame(start_info->console.domU.mfn);
	rc = HC(sched_op, SCHEDOP_shutdown, &s, mfn_of(start_info));
	if (rc == 1) {
		start_info->store_mfn = frame_of_pfn(start_info->store_mfn);
		start_info->console.domU.mfn = (uint32_t)frame_of_pfn(start_info->console.domU.mfn);
	}
	EXPECT_EQ(HC(update_va_mapping, shared, start_info->shared_info | P | RW | US, UVMF_INVLPG), 0);
	if (rc != 0 && rc != 1)
		FAIL("suspend returns %ld", rc);
	return rc == 0;
}

/* The store's pages are where they were; what else a new domain has is another. */
static void suspend(void)
{
	struct worker *w = &workers[0];
	bool new;

	store_watch(false);
	stop_others();
	tree_pin(w);
	upcalls(w, false);
	new = shut_down();
	write_frame_lists();
	set_up_grants();
	rings_init();
	if (new) {
		resumed_anew++;
		read_domid();
		bind_events();
		for (unsigned i = 0; i < worker_count; i++)
			pages_regrant(&workers[i]);
	} else {
		resumed_here++;
	}
	begin_events(w);
	start_others(new);
	store_watch(true);
	store_write("control/feature-suspend", "1");
	say("checker: resumed in %s domain", new ? "a new" : "the same");
	tell();
}

/* What has been asked of it. */
static void answer(void)
{
	char request[32];

	if (port_take(suspend_port)) {
		say("checker: asked by its event channel");
		suspend();
	}
	if (!store_event() || !store_read("control/shutdown", request, sizeof(request)) || !request[0])
		return;
	store_write("control/shutdown", "");
	if (strlen(request) == 7 && !memcmp(request, "suspend", 7)) {
		say("checker: asked by xenstore");
		suspend();
	} else {
		struct sched_shutdown s = { .reason =
			                            request[0] == 'r' ? SHUTDOWN_reboot : SHUTDOWN_poweroff };

		HC(sched_op, SCHEDOP_shutdown, &s);
	}
}

/* ---- start ---- */

static void read_command_line(void)
{
	const char *c = (const char *)start_info->cmd_line;
	uint64_t ms = 0;

	while (*c && memcmp(c, "retire=", 7))
		c++;
	for (c += *c ? 7 : 0; *c >= '0' && *c <= '9'; c++)
		ms = ms * 10 + (uint64_t)(*c - '0');
	retire_ns = ms * 1000000;
}

static void set_up_workers(void)
{
	while (worker_count < WORKERS && HC(vcpu_op, VCPUOP_is_up, worker_count, NULL) >= 0) {
		struct worker *w = &workers[worker_count];

		w->id = worker_count++;
		w->random = 0x2545f4914f6cdd1dul * (w->id + 1);
		w->tree.table[0] = NO_PAGE;
		w->granted = NO_PAGE;
		for (unsigned i = 0; i < WINDOW; i++) {
			w->window[i] = page_alloc();
			EXPECT_EQ(map(w->window[i], 0), 0);
		}
	}
}

void child_main(void)
{
	uint64_t told = 0;

	event_hook = event;
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
	/* It stores into page tables, too: see remap() and tree_change(). */
	EXPECT_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	rings_init();
	read_command_line();
	set_up_workers();
	frame_list_list = page_alloc();
	for (unsigned i = 0; i < sizeof(frame_lists) / sizeof(frame_lists[0]); i++)
		frame_lists[i] = page_alloc();
	write_frame_lists();
	pages_init();
	grants = page_alloc();
	set_up_grants();
	read_domid();
	bind_events();
	store_write("control/feature-suspend", "1");
	store_watch(true);
	registers_begin(&workers[0]);
	say("checker: up, %u vcpus, %lu pages", worker_count, pages_count());
	say("checker: vector registers of %u bytes", registers_wide() ? 32 : 16);
	begin_events(&workers[0]);
	for (unsigned i = 1; i < worker_count; i++)
		bring_up(&workers[i], true);
	for (;;) {
		work(&workers[0]);
		if (system_time_ns() > told + STORY_NS) {
			tell();
			told = system_time_ns();
		}
		answer();
	}
}

/* It can go on in the same domain. */
__asm__(".pushsection .note.Xen, \"a\", @note\n"
        ".balign 4\n.long 4, 4, 14\n.asciz \"Xen\"\n.long 1\n"
        ".popsection\n");
