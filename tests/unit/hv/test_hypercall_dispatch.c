/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where hypercalls enter: numbers, arguments, results, what a preempted call leaves in the registers and in the list of a
 * multicall, lists that end early. The calls themselves are stand-ins that say who was called with what.
 */
#include "hypercall/hypercall.h"
#include "hw/smp.h"
#include "hw/trace.h"
#include "lib/string.h"
#include "../../lib/tap.h"
#include "pv/bounce.h"
#include "pv/upward.h"

#define LIST     64 /* where lists stand in the guest's memory */
#define READABLE 4096

static uint8_t memory[8192];
static size_t unwritable; /* from there on it cannot be written; 0: all of it can */
static struct cpu_info info;
static struct vcpu vcpu;

static const char *called; /* the last one */
static unsigned calls;
static struct hc_args given;   /* its arguments */
static int64_t answer;         /* what it answers */
static unsigned preempt_at;    /* the n-th call answers -ERESTART_HV, having changed its arguments; 0: none */
static unsigned work_at, asks; /* the n-th question for pending work is answered with yes; 0: none */
static unsigned irets;
static uint64_t iret_rax;

/* ---- the stub layer ---- */

struct cpu_info *cpu_info(void)
{
	return &info;
}

struct vcpu *current_vcpu(void)
{
	return &vcpu;
}

bool work_pending(void)
{
	return ++asks == work_at;
}

bool guest_range_ok(gva_t a, size_t n)
{
	return a.v + n <= 1ull << 47;
}

size_t guest_copy_in(void *dst, gva_t src, size_t n)
{
	size_t have = src.v < READABLE ? MIN(n, READABLE - src.v) : 0;

	memcpy(dst, memory + (have ? src.v : 0), have);
	return n - have;
}

size_t guest_copy_out(gva_t dst, const void *src, size_t n)
{
	size_t end = unwritable ? unwritable : READABLE;
	size_t have = dst.v < end ? MIN(n, end - dst.v) : 0;

	memcpy(memory + (have ? dst.v : 0), src, have);
	return n - have;
}

struct trace_control trace_control;
static unsigned records;
static struct {
	uint32_t event, n, words[TRACE_EXTRA_MAX];
	unsigned calls_before;
} record[8];

void trace_record(uint32_t event, bool timed, const uint32_t *words, unsigned n)
{
	record[records].event = timed ? event : 0;
	record[records].n = n;
	record[records].calls_before = calls;
	memcpy(record[records].words, words, n * sizeof(*words));
	records = (records + 1) % ARRAY_SIZE(record);
}

void pv_iret(struct vcpu *v, struct cpu_user_regs *regs)
{
	irets += v == &vcpu;
	regs->rax = iret_rax;
}

static int64_t stand_in(const char *name, struct hc_args *a)
{
	called = name;
	given = *a;
	if (++calls != preempt_at)
		return answer;
	for (unsigned i = 0; i < 6; i++)
		a->arg[i] += 100;
	return -ERESTART_HV;
}

/* clang-format off */
#define CALLS(X) \
	X(set_trap_table, 0) X(mmu_update, 1) X(set_gdt, 2) X(stack_switch, 3) X(set_callbacks, 4) \
	X(fpu_taskswitch, 5) X(sched_op_compat, 6) X(platform_op, 7) X(set_debugreg, 8) \
	X(get_debugreg, 9) X(update_descriptor, 10) X(memory_op, 12) X(update_va_mapping, 14) \
	X(set_timer_op, 15) X(event_channel_op_compat, 16) X(xen_version, 17) X(console_io, 18) \
	X(physdev_op_compat, 19) X(grant_table_op, 20) X(vm_assist, 21) \
	X(update_va_mapping_otherdomain, 22) X(vcpu_op, 24) X(set_segment_base, 25) X(mmuext_op, 26) \
	X(sched_op, 29) X(callback_op, 30) X(event_channel_op, 32) X(physdev_op, 33) X(hvm_op, 34) \
	X(sysctl, 35) X(domctl, 36) X(dm_op, 41) X(hypfs_op, 42) X(mca, 48)
/* clang-format on */

#define STAND_IN(name, number)               \
	int64_t hc_##name(struct hc_args *a) \
	{                                    \
		return stand_in(#name, a);   \
	}
CALLS(STAND_IN)

/* ---- single calls ---- */

static struct cpu_user_regs regs;

static void fresh(void)
{
	memset(memory, 0, sizeof(memory));
	unwritable = 0;
	called = NULL;
	records = 0;
	calls = preempt_at = work_at = asks = irets = 0;
	answer = 0;
	iret_rax = 0x123456789abcull;
	regs = (struct cpu_user_regs){
		.rdi = 1, .rsi = 2, .rdx = 3, .r10 = 4, .r8 = 5, .r9 = 6, .rcx = 77, .r11 = 88, .rip = 0x1000
	};
}

static void enter(uint64_t number)
{
	regs.rax = number;
	hypercall_from_guest(&vcpu, &regs);
}

static bool arguments_are(const struct hc_args *a, uint64_t first)
{
	for (unsigned i = 0; i < 6; i++)
		if (a->arg[i] != first + i)
			return false;
	return true;
}

static void single_calls(void)
{
#define ROW(name, number) { #name, number },
	static const struct {
		const char *name;
		unsigned number;
	} rows[] = { CALLS(ROW) };
	static const uint64_t none[] = { 11, 23, 27, 28, 31, 37, 38,         39,         40,
		                         43, 47, 49, 50, 63, 64, 1ull << 31, 1ull << 32, ~0ull };
	bool good = true;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh();
		answer = 1000 + i;
		enter(rows[i].number);
		if (!called || strcmp(called, rows[i].name) || calls != 1 || !arguments_are(&given, 1) ||
		    regs.rax != 1000 + i || regs.rip != 0x1000 || regs.rdi != 1 || regs.r9 != 6) {
			printf("# %u went to %s\n", rows[i].number, called ? called : "nobody");
			good = false;
		}
	}
	tap_ok(good, "each of %u numbers reaches its call, with six arguments, and the result comes back",
	       (unsigned)ARRAY_SIZE(rows));
	good = true;
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
		fresh();
		enter(none[i]);
		if (calls || regs.rax != (uint64_t)-ENOSYS || regs.rip != 0x1000) {
			printf("# %#lx\n", (unsigned long)none[i]);
			good = false;
		}
	}
	tap_ok(good, "numbers that are nobody's, also above 32 bits, answer -ENOSYS");
	fresh();
	answer = -EFAULT;
	enter(__HYPERVISOR_memory_op);
	tap_ok(regs.rax == (uint64_t)-EFAULT && regs.rcx == 77 && regs.r11 == 88,
	       "errors fill the register; others are left alone");
	fresh();
	preempt_at = 1;
	enter(__HYPERVISOR_memory_op);
	tap_ok(regs.rip == 0xffe && regs.rax == __HYPERVISOR_memory_op && regs.rdi == 101 &&
	               regs.rsi == 102 && regs.rdx == 103 && regs.r10 == 104 && regs.r8 == 105 &&
	               regs.r9 == 106,
	       "a call that is preempted is executed again, with what it goes on with");
	enter(__HYPERVISOR_memory_op);
	tap_ok(arguments_are(&given, 101) && regs.rax == 0 && regs.rip == 0xffe,
	       "and then finds its own arguments");
	fresh();
	answer = -ERESTART_HV;
	enter(__HYPERVISOR_get_debugreg);
	tap_ok(regs.rip == 0x1000 && regs.rax == (uint64_t)-ERESTART_HV,
	       "a debug register with that very value is no preemption");
}

/* ---- lists ---- */

static struct multicall_entry *entry(unsigned i)
{
	return (struct multicall_entry *)(memory + LIST) + i;
}

static void fill(unsigned i, uint64_t op)
{
	*entry(i) = (struct multicall_entry){ .op = op, .result = 0x5555 };
	for (unsigned n = 0; n < 6; n++)
		entry(i)->args[n] = 10 * (i + 1) + n;
}

static void enter_list(uint64_t at, uint64_t count)
{
	regs.rdi = at;
	regs.rsi = count;
	enter(__HYPERVISOR_multicall);
}

static void lists(void)
{
	fresh();
	answer = 7;
	fill(0, __HYPERVISOR_xen_version);
	fill(1, 63);
	fill(2, __HYPERVISOR_multicall);
	fill(3, __HYPERVISOR_sched_op);
	enter_list(LIST, 4);
	tap_ok(regs.rax == 0 && calls == 2 && !strcmp(called, "sched_op") && arguments_are(&given, 40) &&
	               entry(0)->result == 7 && entry(1)->result == (unsigned long)-ENOSYS &&
	               entry(2)->result == (unsigned long)-EINVAL && entry(3)->result == 7 &&
	               entry(0)->args[5] == 15,
	       "each entry has its result; one that fails, or is a list itself, does not end the list");
	fresh();
	enter_list(LIST, 0);
	tap_ok(regs.rax == 0 && !calls, "an empty list");
	fresh();
	fill(0, __HYPERVISOR_xen_version);
	enter_list(LIST, 1ull << 32 | 1);
	tap_ok(regs.rax == 0 && calls == 1, "the count is of 32 bits");
	fresh();
	enter_list(0xffff800000000000, 0);
	tap_ok(regs.rax == (uint64_t)-EFAULT && !calls,
	       "an address that is not the guest's, also for an empty list");
	fresh();
	((struct multicall_entry *)(memory + READABLE))[-1] =
	        (struct multicall_entry){ .op = __HYPERVISOR_xen_version };
	enter_list(READABLE - sizeof(struct multicall_entry), 2);
	tap_ok(regs.rax == (uint64_t)-EFAULT && calls == 1,
	       "an entry that cannot be read ends it, after those before it");
	fresh();
	fill(0, __HYPERVISOR_xen_version);
	fill(1, __HYPERVISOR_xen_version);
	unwritable = LIST + sizeof(struct multicall_entry) + 8;
	enter_list(LIST, 2);
	tap_ok(regs.rax == (uint64_t)-EFAULT && calls == 2 && entry(0)->result == 0,
	       "a result that cannot be written ends it");
}

static void preempted_lists(void)
{
	fresh();
	answer = 9;
	for (unsigned i = 0; i < 3; i++)
		fill(i, __HYPERVISOR_memory_op);
	preempt_at = 2;
	enter_list(LIST, 3);
	tap_ok(regs.rip == 0xffe && calls == 2 && regs.rdi == LIST + sizeof(struct multicall_entry) &&
	               regs.rsi == 2 && regs.rax == __HYPERVISOR_multicall && entry(0)->result == 9 &&
	               entry(1)->args[0] == 120 && entry(1)->args[5] == 125 &&
	               entry(1)->op == __HYPERVISOR_memory_op && entry(1)->result == 0x5555,
	       "an entry that is preempted is rewritten, and the list goes on from it");
	enter(__HYPERVISOR_multicall);
	tap_ok(regs.rax == 0 && calls == 4 && entry(1)->result == 9 && entry(2)->result == 9, "to its end");
	fresh();
	answer = 9;
	for (unsigned i = 0; i < 3; i++)
		fill(i, __HYPERVISOR_memory_op);
	work_at = 1;
	enter_list(LIST, 3);
	tap_ok(calls == 1 && regs.rip == 0xffe && regs.rdi == LIST + sizeof(struct multicall_entry) &&
	               regs.rsi == 2 && entry(1)->args[0] == 20,
	       "between two entries there is a look at other work, and the first is always done");
	fresh();
	fill(0, __HYPERVISOR_memory_op);
	preempt_at = 1;
	unwritable = LIST + 8;
	enter_list(LIST, 1);
	tap_ok(regs.rax == (uint64_t)-EFAULT && regs.rip == 0x1000,
	       "where an entry cannot be rewritten, the list ends");
	fresh();
	answer = -ERESTART_HV;
	fill(0, __HYPERVISOR_get_debugreg);
	enter_list(LIST, 1);
	tap_ok(regs.rax == 0 && entry(0)->result == (unsigned long)-ERESTART_HV,
	       "a debug register in a list is none either");
}

static void iret_in_list(void)
{
	fresh();
	fill(0, __HYPERVISOR_xen_version);
	fill(1, __HYPERVISOR_iret);
	fill(2, __HYPERVISOR_xen_version);
	enter_list(LIST, 3);
	tap_ok(irets == 1 && calls == 1 && entry(1)->result == 0x123456789abcull &&
	               entry(2)->result == 0x5555 && regs.rax == (uint64_t)(int32_t)0x56789abc,
	       "an iret ends the list; its entry has all of rax, the call what an int holds");
	fresh();
	fill(0, __HYPERVISOR_iret);
	unwritable = LIST;
	enter_list(LIST, 1);
	tap_ok(irets == 1 && regs.rax == (uint64_t)(int32_t)0x56789abc,
	       "also where its result cannot be written");
	fresh();
	iret_rax = (uint32_t)-ERESTART_HV;
	fill(0, __HYPERVISOR_iret);
	enter_list(LIST, 1);
	tap_ok(irets == 1 && regs.rax == (uint64_t)-ERESTART_HV && regs.rip == 0x1000 && regs.rdi == LIST &&
	               regs.rdx == 3 && regs.r9 == 6,
	       "nor is a program's rax of that value a preemption: its registers are its own");
	fresh();
	iret_rax = (uint64_t)-ERESTART_HV;
	fill(0, __HYPERVISOR_xen_version);
	fill(1, __HYPERVISOR_iret);
	unwritable = LIST + sizeof(struct multicall_entry);
	enter_list(LIST, 2);
	tap_ok(irets == 1 && calls == 1 && regs.rax == (uint64_t)-ERESTART_HV && regs.rip == 0x1000,
	       "wherever it stands in the list");
}

/* ---- traces ---- */

static bool record_is(unsigned i, uint32_t event, uint64_t first, unsigned n, uint32_t second, uint32_t third)
{
	return record[i].event == event && record[i].words[0] == first && record[i].n == n &&
	       (n < 2 || record[i].words[1] == second) && (n < 3 || record[i].words[2] == third);
}

static void traces(void)
{
	static const struct {
		uint64_t number;
		uint32_t first, n, second, third;
	} rows[] = {
		{ __HYPERVISOR_mmu_update, 1 | 0x00400000, 2, 2, 0 },
		{ __HYPERVISOR_mmuext_op, 26 | 0x00400000, 2, 2, 0 },
		{ __HYPERVISOR_grant_table_op, 20 | 0x01100000, 3, 1, 3 },
		{ __HYPERVISOR_vcpu_op, 24 | 0x00500000, 3, 1, 2 },
		{ __HYPERVISOR_sched_op, 29 | 0x00100000, 2, 1, 0 },
		{ __HYPERVISOR_memory_op, 12, 1, 0, 0 },
		{ 63, 63, 1, 0, 0 },
		{ 0x100001, 0xfffff, 1, 0, 0 },
		{ ~0ull, 0xfffff, 1, 0, 0 },
	};
	bool good = true;

	fresh();
	enter(__HYPERVISOR_memory_op);
	tap_ok(!records, "while tracing is off, calls leave no record");
	trace_control.on = true;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh();
		enter(rows[i].number);
		if (records != 1 || record[0].calls_before ||
		    !record_is(0, TRC_PV_HYPERCALL_V2, rows[i].first, rows[i].n, rows[i].second,
		               rows[i].third)) {
			printf("# %#lx: %u records, %x, %u words\n", (unsigned long)rows[i].number, records,
			       record[0].words[0], record[0].n);
			good = false;
		}
	}
	tap_ok(good, "each call is recorded before it is made, with the arguments that xen/trace.h names");
	fresh();
	fill(0, __HYPERVISOR_mmu_update);
	fill(1, __HYPERVISOR_iret);
	enter_list(LIST, 2);
	tap_ok(records == 3 && record_is(0, TRC_PV_HYPERCALL_V2, 13 | 0x00400000, 2, 2, 0) &&
	               record_is(1, TRC_PV_HYPERCALL_SUBCALL, 1 | 0x00400000, 2, 11, 0) &&
	               record_is(2, TRC_PV_HYPERCALL_SUBCALL, __HYPERVISOR_iret, 1, 0, 0),
	       "calls of a list are recorded as such");
	trace_control.on = false;
}

int main(void)
{
	single_calls();
	lists();
	preempted_lists();
	iret_in_list();
	traces();
	return tap_end();
}
