/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runtime of the test guests: start, printing, page tables, exceptions, user mode. */
#include "guest.h"
#include <stdarg.h>

struct start_info *start_info;
struct shared_info *shared;
bool (*trap_hook)(struct regs *);
void (*event_hook)(struct regs *);
uint64_t user_rflags = 0x202;

extern char trap_stubs[], syscall_stub[], kernel_stack_top[];
int guard_call(void (*fn)(void *), void *arg, void **keep);
void guard_return(void *keep) __attribute__((noreturn));
void user_enter(void (*rip)(void), void *rsp, void **keep);
void guest_main(struct start_info *si);
void trap(struct regs *regs);

static char pool[256][PAGE] __attribute__((aligned(4096)));
static char shared_page[PAGE] __attribute__((aligned(4096)));
static char user_stack[8192] __attribute__((aligned(4096)));
static unsigned pool_used;
static uint64_t *m2p = (uint64_t *)0xffff800000000000;

void *memset(void *d, int c, size_t n)
{
	for (char *p = d; n--;)
		*p++ = (char)c;
	return d;
}

void *memcpy(void *d, const void *s, size_t n)
{
	const char *q = s;

	for (char *p = d; n--;)
		*p++ = *q++;
	return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n--; p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

/* ---- printing: %s %d %u %x %ld %lu %lx %c %p ---- */

static char line[2048];
static unsigned line_used;

static void put(char c)
{
	if (line_used < sizeof(line))
		line[line_used++] = c;
}

static void put_number(unsigned long n, unsigned base)
{
	char digits[24];
	unsigned i = 0;

	do
		digits[i++] = "0123456789abcdef"[n % base];
	while (n /= base);
	while (i)
		put(digits[--i]);
}

static void format(const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		bool is_long = false, alternate = false;
		long n;

		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == '#')
			alternate = true, fmt++;
		if (*fmt == 'l')
			is_long = true, fmt++;
		switch (*fmt) {
		case 's':
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put(*s);
			break;
		case 'd':
			n = is_long ? va_arg(ap, long) : va_arg(ap, int);
			if (n < 0)
				put('-');
			put_number(n < 0 ? -(unsigned long)n : (unsigned long)n, 10);
			break;
		case 'u':
			put_number(is_long ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 10);
			break;
		case 'x':
			if (alternate)
				put('0'), put('x');
			put_number(is_long ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 16);
			break;
		case 'c':
			put((char)va_arg(ap, int));
			break;
		default:
			put(*fmt);
		}
	}
}

/* A guest has no console here: dom0 is told what failed. Or it has one of its own. */
void child_failed(const char *text, unsigned n) __attribute__((weak));
void child_print(const char *text, unsigned n) __attribute__((weak));
void child_main(void) __attribute__((weak));

static bool in_dom0(void)
{
	return start_info->flags & SIF_INITDOMAIN;
}

static void flush(void)
{
	if (!in_dom0() && child_print)
		child_print(line, line_used);
	else
		HC(console_io, CONSOLEIO_write, line_used, line);
	line_used = 0;
}

void vprint_part(const char *fmt, va_list ap)
{
	format(fmt, ap);
}

void print_part(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(fmt, ap);
	va_end(ap);
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(fmt, ap);
	va_end(ap);
	put('\n');
	flush();
}

static void __attribute__((noreturn)) power_off(void)
{
	struct sched_shutdown s = { .reason = SHUTDOWN_poweroff };

	for (;;)
		HC(sched_op, SCHEDOP_shutdown, &s);
}

static void print_verdict(const char *verdict, const char *separator)
{
	const char *word = "guest-test: ";

	while (*word)
		put(*word++);
	while (*verdict)
		put(*verdict++);
	put(' ');
	for (word = test_name; *word;)
		put(*word++);
	while (*separator)
		put(*separator++);
}

void fail(const char *file, int at, const char *fmt, ...)
{
	va_list ap;

	for (const char *p = file; *p; p++)
		if (*p == '/')
			file = p + 1;
	line_used = 0;
	print_verdict("fail", ": ");
	while (*file)
		put(*file++);
	put(':');
	put_number((unsigned long)at, 10);
	put(':');
	put(' ');
	va_start(ap, fmt);
	format(fmt, ap);
	va_end(ap);
	if (!in_dom0() && child_failed)
		child_failed(line, line_used);
	put('\n');
	flush();
	power_off();
}

/* ---- memory ---- */

void *page_alloc(void)
{
	if (pool_used == 256)
		FAIL("the test uses more than 256 pages");
	return pool[pool_used++];
}

unsigned long mfn_of(const void *va)
{
	const unsigned long *list = (const unsigned long *)start_info->mfn_list;

	return list[((unsigned long)va - VIRT_BASE) / PAGE];
}

static const uint64_t *table_of(uint64_t entry)
{
	return (const uint64_t *)(VIRT_BASE + m2p[(entry & ADDR) / PAGE] * PAGE);
}

const uint64_t *entry_of(const void *va, int level)
{
	const uint64_t *table = (const uint64_t *)start_info->pt_base;

	for (int l = 4;; l--) {
		const uint64_t *e = &table[(unsigned long)va >> (12 + 9 * (l - 1)) & 511];

		if (l == level)
			return e;
		if (!(*e & P))
			FAIL("no table of level %d for %lx", l - 1, (unsigned long)va);
		table = table_of(*e);
	}
}

uint64_t entry_maddr(const void *va, int level)
{
	const uint64_t *e = entry_of(va, level);

	return mfn_of(e) * PAGE + ((unsigned long)e & (PAGE - 1));
}

long map(void *va, uint64_t pte)
{
	return HC(update_va_mapping, va, pte, UVMF_INVLPG);
}

long map_read_only(void *va)
{
	return map(va, PTE_RO(mfn_of(va)));
}

long map_writable(void *va)
{
	return map(va, PTE(mfn_of(va)));
}

long mmu_update(uint64_t ptr, uint64_t val)
{
	struct mmu_update u = { ptr, val };

	return HC(mmu_update, &u, 1, NULL, DOMID_SELF);
}

long mmuext(unsigned cmd, unsigned long arg1, unsigned long arg2)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = arg1;
	op.arg2.nr_ents = (unsigned)arg2;
	return HC(mmuext_op, &op, 1, NULL, DOMID_SELF);
}

/* ---- exceptions ---- */

static struct {
	bool active;
	void *keep;
	struct fault fault;
} guard;

static struct {
	bool active;
	void *keep;
	struct user_result result;
} user;

struct fault guarded(void (*fn)(void *), void *arg)
{
	guard.active = true;
	guard.fault = (struct fault){ .vector = -1 };
	guard_call(fn, arg, &guard.keep);
	guard.active = false;
	return guard.fault;
}

struct user_result user_run(void (*fn)(void))
{
	user.active = true;
	user_enter(fn, user_stack + sizeof(user_stack) - 64, &user.keep);
	return user.result;
}

void trap(struct regs *regs)
{
	if (regs->vector == 256) {
		if (event_hook)
			event_hook(regs);
		return;
	}
	if (user.active && (regs->cs & 3) == 3) {
		user.active = false;
		user.result = (struct user_result){ .vector = regs->vector == 257 ? 256 : (int)regs->vector,
			                            .error = regs->error,
			                            .cr2 = shared->vcpu_info[0].arch.cr2,
			                            .rax = regs->rax,
			                            .cs = regs->cs };
		shared->vcpu_info[0].evtchn_upcall_mask = 1;
		guard_return(user.keep);
	}
	if (guard.active) {
		guard.active = false;
		guard.fault = (struct fault){ .vector = (int)regs->vector,
			                      .error = regs->error,
			                      .rip = regs->rip,
			                      .cs = regs->cs,
			                      .rflags = regs->rflags,
			                      .cr2 = shared->vcpu_info[0].arch.cr2 };
		guard_return(guard.keep);
	}
	if (trap_hook && trap_hook(regs))
		return;
	FAIL("trap %lu, error %#lx, at %#lx, cr2 %#lx", regs->vector, regs->error, regs->rip,
	     shared->vcpu_info[0].arch.cr2);
}

void events_enable(bool on)
{
	struct vcpu_info *v = &shared->vcpu_info[0];

	*(volatile uint8_t *)&v->evtchn_upcall_mask = !on;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (on && *(volatile uint8_t *)&v->evtchn_upcall_pending)
		HC(xen_version, XENVER_version, NULL); /* any entry delivers what is pending */
}

void entry_points(void)
{
	struct trap_info traps[257];
	unsigned n = 0;

	for (unsigned v = 0; v < 256; v++)
		traps[n++] = (struct trap_info){ .vector = (uint8_t)v,
			                         .flags = v == 3 || v == 4 || v == 0x80 ? 3 : 0,
			                         .cs = 0xe033,
			                         .address = (unsigned long)trap_stubs + 16 * v };
	traps[n] = (struct trap_info){ 0 };
	HC(set_trap_table, traps);
	HC(set_callbacks, trap_stubs + 16 * 256, trap_stubs, syscall_stub);
	HC(stack_switch, 0xe02b, kernel_stack_top);
}

static void set_up(void)
{
	entry_points();
	HC(update_va_mapping, shared_page, start_info->shared_info | P | RW | US, UVMF_INVLPG);
	shared = (struct shared_info *)shared_page;
}

bool command_line_has(const char *word)
{
	const char *p = (const char *)start_info->cmd_line;
	size_t n = strlen(word);

	for (; *p; p++) {
		if (!memcmp(p, word, n) && (!p[n] || p[n] == ' '))
			return true;
		while (p[1] && *p != ' ')
			p++;
	}
	return false;
}

unsigned long command_line_number(const char *word, unsigned long otherwise)
{
	const char *text = (const char *)start_info->cmd_line;
	size_t length = strlen(word);
	unsigned long n = 0;

	for (; *text; text++)
		if (!memcmp(text, word, length)) {
			for (text += length; *text >= '0' && *text <= '9'; text++)
				n = n * 10 + (unsigned long)(*text - '0');
			return n;
		}
	return otherwise;
}

bool is_xylem(void)
{
	char extra[XEN_EXTRAVERSION_LEN];

	EXPECT_EQ(HC(xen_version, XENVER_extraversion, extra), 0);
	return !memcmp(extra, "-xylem", 6);
}

void guest_main(struct start_info *si)
{
	start_info = si;
	set_up();
	if (!in_dom0() && child_main) {
		child_main();
		power_off();
	}
	run();
	print_verdict("pass", "\n");
	flush();
	power_off();
}

/* ---- time ---- */

uint64_t system_time_ns(void)
{
	volatile struct vcpu_time_info *t = &shared->vcpu_info[0].time;
	uint32_t version, a, d;
	uint64_t delta, ns;

	do {
		version = t->version;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		__asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
		delta = (a | (uint64_t)d << 32) - t->tsc_timestamp;
		if ((int64_t)delta < 0) /* another vcpu's CPU may be a little ahead */
			delta = 0;
		delta = t->tsc_shift >= 0 ? delta << t->tsc_shift : delta >> -t->tsc_shift;
		ns = t->system_time + (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	} while ((version & 1) || version != t->version);
	return ns;
}

void rest(void)
{
	struct sched_poll poll = { .timeout = system_time_ns() + 1000000 };

	EXPECT_EQ(HC(sched_op, SCHEDOP_poll, &poll), 0);
}
