/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fake hardware layer: memory, locks, work, time, copies. tlb.c has the TLBs. */
#include "mm/internal.h"
#include "dom/domain.h"
#include "hw/console.h"
#include "hw/lock_rank.h"
#include "hw/options.h"
#include "hw/paging.h"
#include "hw/spec.h"
#include "hw/time.h"
#include "hw/uaccess.h"
#include "fake.h"
#include "mm/boot.h"
#include "mm/heap.h"
#include "mm/l4copy.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t max_mfn;
struct memory_region memory_map[128];
unsigned memory_map_count;
cpumask_t cpus_online;
unsigned cpu_count = FAKE_CPUS;
struct cpu_features cpu_features = { .nx = true, .phys_bits = 46, .virt_bits = 48, .xsave_size = 576 };
struct spec_policy spec_policy;
struct options options = { .sched_slice_ms = 30 };
unsigned fake_preempt;
__thread unsigned fake_looks;
unsigned fake_m2p_extents = 1;
uint64_t fake_time_ns = 1000000000;
bool fake_quiet;
void (*fake_answer)(const char *line);
void (*fake_panic)(const char *why);
void (*fake_hook)(void);
void (*fake_copy_hook)(void);
void (*fake_irq_lock_hook)(const spinlock_t *l);
void (*fake_irq_hook)(void);
static __thread unsigned irq_locks; /* held by the thread */
__thread bool fake_irqs_on;
uint8_t fake_guest[65536];

static uint8_t *memory;
static mfn_t idle_l4_mfn;
static __thread unsigned cpu_now;
static struct vcpu *vcpus_now[FAKE_CPUS];

/* ---- memory ---- */

static void *reserve(size_t bytes)
{
	void *p =
	        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static void add_ram(uint64_t first, uint64_t count)
{
	memory_map[memory_map_count++] = (struct memory_region){ .start = first << PAGE_SHIFT,
		                                                 .end = (first + count) << PAGE_SHIFT,
		                                                 .type = 1 };
	for (uint64_t mfn = first; mfn < first + count; mfn++) {
		frame_table[mfn].flags = FRAME_RAM;
		list_init(&frame_table[mfn].link);
	}
}

void fake_init(unsigned frames, unsigned high)
{
	uint64_t high_first = 1ull << (32 - PAGE_SHIFT);

	max_mfn = high ? high_first + high : FAKE_RAM_FIRST + frames;
	memory = reserve(max_mfn * PAGE_SIZE);
	frame_table = reserve(max_mfn * sizeof(struct frame));
	m2p_table = reserve(max_mfn * sizeof(uint64_t));
	add_ram(FAKE_RAM_FIRST, frames);
	if (high)
		add_ram(high_first, high);
	/* The first frame is the idle L4; its hypervisor slots hold something that tests can recognise. */
	idle_l4_mfn = MFN(FAKE_RAM_FIRST);
	for (unsigned i = HV_L4_FIRST; i <= HV_L4_LAST; i++)
		((uint64_t *)mfn_map_own(idle_l4_mfn))[i] = (uint64_t)i << 40 | PTE_P;
	heap_add(MFN(FAKE_RAM_FIRST + 1), frames - 1);
	if (high)
		heap_add(MFN(high_first), high);
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		pt_copies_init(cpu);
		cpumask_set(&cpus_online, cpu);
		fake_load(cpu, NULL, INVALID_MFN);
	}
}

void (*fake_map_hook)(mfn_t mfn);

void *mfn_map_own(mfn_t mfn)
{
	if (fake_map_hook)
		fake_map_hook(mfn);
	if (mfn.m >= max_mfn) {
		printf("# mfn_map_own(%lx)\n", (unsigned long)mfn.m);
		abort();
	}
	return memory + mfn.m * PAGE_SIZE;
}

mfn_t mfn_of(const void *va)
{
	return MFN(((const uint8_t *)va - memory) / PAGE_SIZE);
}

mfn_t hv_l4_mfn(void)
{
	return idle_l4_mfn;
}

mfn_t pt_idle_l4(void)
{
	return idle_l4_mfn;
}

mfn_t hv_reduced_l3(unsigned cpu)
{
	return MFN(0x20 + cpu);
}

unsigned m2p_extent_count(void)
{
	return fake_m2p_extents;
}

mfn_t m2p_extent(unsigned i)
{
	return MFN(0x40 + i);
}

/* ---- CPUs and work ---- */

void fake_set_cpu(unsigned cpu)
{
	cpu_now = cpu;
}

unsigned this_cpu(void)
{
	return cpu_now;
}

void fake_set_vcpu(struct vcpu *v)
{
	vcpus_now[cpu_now] = v;
}

struct vcpu *current_vcpu(void)
{
	return vcpus_now[cpu_now];
}

static void (*work_handlers[WORK_COUNT])(void);
static uint32_t work_bits[FAKE_CPUS];

void work_register(unsigned bit, void (*handler)(void))
{
	work_handlers[bit] = handler;
}

void work_raise(unsigned cpu, unsigned bit)
{
	__atomic_fetch_or(&work_bits[cpu], 1u << bit, __ATOMIC_SEQ_CST);
}

void work_run(void)
{
	uint32_t bits;

	/* One bit at a time: the handler that switches to another vcpu does not come back. */
	while ((bits = __atomic_load_n(&work_bits[cpu_now], __ATOMIC_SEQ_CST))) {
		unsigned bit = (unsigned)__builtin_ctz(bits);

		__atomic_fetch_and(&work_bits[cpu_now], ~(1u << bit), __ATOMIC_SEQ_CST);
		if (work_handlers[bit])
			work_handlers[bit]();
	}
}

bool work_pending(void)
{
	static __thread unsigned calls;

	fake_looks++;
	if (fake_hook)
		fake_hook();
	return fake_preempt && !(++calls % fake_preempt);
}

void cpu_call(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	unsigned self = cpu_now, cpu;

	for_each_cpu_in(cpu, mask) {
		cpu_now = cpu;
		fn(arg);
	}
	cpu_now = self;
}

void irq_disable(void)
{
	fake_irqs_on = false;
}

void irq_enable(void)
{
	fake_irqs_on = true;
}

uint64_t irq_save(void)
{
	return 0;
}

void irq_restore(uint64_t flags)
{
	(void)flags;
}

bool irq_enabled(void)
{
	return true;
}

/* ---- locks ---- */

static __thread struct locks_held held;

unsigned fake_locks_held(void)
{
	return held.count;
}

void fake_rank_check(unsigned rank)
{
	spinlock_t any = SPINLOCK((uint8_t)rank);
	const char *fault = lock_rank_fault(&held, &any, false);

	if (fault)
		panic("a lock of rank %u %s", rank, fault);
}

static void taken(spinlock_t *l)
{
	if (!lock_rank_push(&held, l))
		panic("too many locks");
}

bool spin_trylock(spinlock_t *l)
{
	uint16_t next = __atomic_load_n(&l->next, __ATOMIC_SEQ_CST), want = next;

	if (next != __atomic_load_n(&l->owner, __ATOMIC_SEQ_CST) ||
	    !__atomic_compare_exchange_n(&l->next, &want, (uint16_t)(next + 1), false, __ATOMIC_SEQ_CST,
	                                 __ATOMIC_SEQ_CST))
		return false;
	taken(l);
	return true;
}

/* seen as in debug builds: taken with interrupts on (1), off (2). */
static void take_lock(spinlock_t *l, uint8_t seen)
{
	const char *fault = lock_rank_fault(&held, l, false);
	uint16_t ticket;

	if (fault)
		panic("lock of rank %u %s", l->rank, fault);
	if (fake_hook && !held.count)
		fake_hook();
	ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&l->owner, __ATOMIC_SEQ_CST) != ticket)
		syscall(SYS_sched_yield); /* the C library's name for it is dom/sched.c's too */
	taken(l);
	l->seen |= seen;
}

void spin_lock(spinlock_t *l)
{
	take_lock(l, 1);
}

void spin_unlock(spinlock_t *l)
{
	if (!lock_rank_pop(&held, l))
		panic("unlock of a lock that is not held");
	__atomic_fetch_add(&l->owner, 1, __ATOMIC_SEQ_CST);
}

bool spin_is_locked(const spinlock_t *l)
{
	return __atomic_load_n(&l->owner, __ATOMIC_SEQ_CST) != __atomic_load_n(&l->next, __ATOMIC_SEQ_CST);
}

uint64_t spin_lock_irqsave(spinlock_t *l)
{
	if (fake_irq_lock_hook)
		fake_irq_lock_hook(l);
	take_lock(l, 2);
	irq_locks++;
	return 0;
}

void spin_unlock_irqrestore(spinlock_t *l, uint64_t flags)
{
	(void)flags;
	spin_unlock(l);
	if (--irq_locks == 0 && fake_irq_hook)
		fake_irq_hook();
}

/* ---- words ---- */

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > LOG_WARN || fake_quiet)
		return;
	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void log_answer(const char *fmt, ...)
{
	char line[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (fake_answer)
		fake_answer(line);
}

void log_guest(enum log_level level, unsigned domid, const char *fmt, ...)
{
	(void)level;
	(void)domid;
	(void)fmt;
}

void panic(const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (fake_panic)
		fake_panic(why);
	printf("Bail out! panic: %s\n", why);
	fflush(stdout);
	abort();
}

/* ---- time ---- */

uint64_t time_now_ns(void)
{
	return fake_time_ns;
}

uint64_t time_tsc_khz(void)
{
	return 1000000;
}

struct time_scale time_scale_read(void)
{
	return (struct time_scale){ .tsc_stamp = fake_time_ns,
		                    .system_ns = fake_time_ns,
		                    .tsc_to_ns_mul = 1u << 31,
		                    .tsc_shift = 1,
		                    .tsc_stable = true };
}

void time_wallclock(uint64_t *sec, uint32_t *nsec)
{
	*sec = 1700000000;
	*nsec = 0;
}

void timer_hw_set(uint64_t deadline_ns)
{
	(void)deadline_ns;
}

/* ---- copies ---- */

bool guest_range_ok(gva_t a, size_t n)
{
	return a.v <= sizeof(fake_guest) && n <= sizeof(fake_guest) - a.v;
}

size_t guest_copy_in(void *dst, gva_t src, size_t n)
{
	size_t have = src.v < sizeof(fake_guest) ? MIN(n, sizeof(fake_guest) - src.v) : 0;

	if (fake_copy_hook)
		fake_copy_hook();
	if (have)
		memcpy(dst, fake_guest + src.v, have);
	return n - have;
}

size_t guest_copy_out(gva_t dst, const void *src, size_t n)
{
	size_t have = dst.v < sizeof(fake_guest) ? MIN(n, sizeof(fake_guest) - dst.v) : 0;

	if (have)
		memcpy(fake_guest + dst.v, src, have);
	return n - have;
}

size_t guest_clear(gva_t dst, size_t n)
{
	size_t have = dst.v < sizeof(fake_guest) ? MIN(n, sizeof(fake_guest) - dst.v) : 0;

	if (have)
		memset(fake_guest + dst.v, 0, have);
	return n - have;
}
