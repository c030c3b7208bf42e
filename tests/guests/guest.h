/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A paravirtual guest of a few pages, to test what a hypervisor answers. One test is one file with a title and a run();
 * it runs in dom0's place, on ours as on stock Xen 4.17, and prints one verdict:
 *
 *	guest-test: pass NAME        or        guest-test: fail NAME: FILE:LINE: what
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/version.h>
#include <xen/features.h>
#include <xen/memory.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/vcpu.h>
#include <xen/sched.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/callback.h>

#define PAGE      4096ul
#define VIRT_BASE 0xffffffff80000000ul
#define EPERM     1
#define ENOENT    2
#define ESRCH     3
#define ENXIO     6
#define EBADF     9
#define ENOMEM    12
#define EACCES    13
#define EFAULT    14
#define EBUSY     16
#define EEXIST    17
#define ENODEV    19
#define EINVAL    22
#define ENOSYS    38
#define ETIME     62

/* ---- the test itself ---- */
extern const char test_name[];
void run(void);

/* ---- verdicts ---- */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void print_part(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* of a line that print() ends */
void vprint_part(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
void fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4), noreturn));
#define FAIL(...) fail(__FILE__, __LINE__, __VA_ARGS__)
#define EXPECT(x) ((x) ? (void)0 : FAIL("not so: %s", #x))
#define EXPECT_EQ(a, b)                                                                            \
	do {                                                                                       \
		long a_ = (long)(a), b_ = (long)(b);                                               \
		if (a_ != b_)                                                                      \
			FAIL("%s is %ld (%#lx), not %s = %ld", #a, a_, (unsigned long)a_, #b, b_); \
	} while (0)

/* ---- start of day ---- */
extern struct start_info *start_info;
extern struct shared_info *shared;

bool command_line_has(const char *word);
unsigned long command_line_number(const char *word, unsigned long otherwise); /* behind "word=" */
bool is_xylem(void); /* or stock Xen: for what Xen does not promise */

/* ---- hypercalls: number and up to five arguments ---- */
long hypercall(unsigned number, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
               unsigned long e);
#define HC(name, ...) HC_(__HYPERVISOR_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0)
#define HC_(n, a, b, c, d, e, ...)                                                                   \
	hypercall(n, (unsigned long)(a), (unsigned long)(b), (unsigned long)(c), (unsigned long)(d), \
	          (unsigned long)(e))

/* ---- memory ---- */
void *page_alloc(void); /* zeroed, writable, from a pool of 256 */
unsigned long mfn_of(const void *va);
/* The L1 entry that maps va, and the tables on the way: level 1 .. 4; a pointer that can be read. */
const uint64_t *entry_of(const void *va, int level);
/* Machine address of that entry, as mmu_update takes it. */
uint64_t entry_maddr(const void *va, int level);
long map(void *va, uint64_t pte); /* update_va_mapping with INVLPG */
long map_read_only(void *va);
long map_writable(void *va);
long mmu_update(uint64_t ptr, uint64_t val); /* one, of DOMID_SELF */
long mmuext(unsigned cmd, unsigned long arg1, unsigned long arg2);
void *memset(void *, int, size_t);
void *memcpy(void *, const void *, size_t);
int memcmp(const void *, const void *, size_t);
size_t strlen(const char *);

#define P           1ul
#define RW          2ul
#define US          4ul
#define A           0x20ul
#define D           0x40ul
#define PSE         0x80ul
#define NX          (1ul << 63)
#define ADDR        0x000ffffffffff000ul
#define PTE(mfn)    ((uint64_t)(mfn) << 12 | P | RW | US | A | D)
#define PTE_RO(mfn) ((uint64_t)(mfn) << 12 | P | US | A)

/* ---- exceptions ---- */
struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r10, r9, r8, rdi, rsi, rdx, rax, r11, rcx;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
struct fault {
	int vector; /* -1: none came */
	uint64_t error, cr2, rip;
	uint64_t cs, rflags;
};
/* Runs fn(arg) and returns the first exception in it; the rest of fn is not run then. */
struct fault guarded(void (*fn)(void *), void *arg);
/* What is called for a vector that no guarded() waits for; false: the test fails. */
extern bool (*trap_hook)(struct regs *regs);
/* Called on event upcalls, events masked. */
extern void (*event_hook)(struct regs *regs);
void events_enable(bool on);
/* Registers the current vcpu's trap table and callbacks, as at the start. */
void entry_points(void);

/* ---- time ---- */
uint64_t system_time_ns(void); /* by vcpu 0's time page */
/* A millisecond without the CPU. Who waits for another domain does not yield, which on stock Xen's credit2 may hand the CPU
 * back and forth between two vcpus only. */
void rest(void);

/* ---- user mode: runs fn(arg) in ring 3 "user" with the kernel's tables; back by syscall or exception ---- */
struct user_result {
	int vector; /* 256: syscall */
	uint64_t error, cr2, rax, cs;
};
struct user_result user_run(void (*fn)(void));
extern uint64_t user_rflags; /* as it begins: 0x202 */

#endif
