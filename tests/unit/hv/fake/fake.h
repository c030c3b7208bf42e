/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hardware layer for host tests: what hypervisor/hw/ supplies, on ordinary memory.
 *
 * Memory: frames [0x100, ...) are RAM and lie in one anonymous mapping; frames below 0x100 are no RAM.
 * TLBs: each fake CPU keeps every translation and every pointer to a table that it has walked through until
 * it is flushed, as a processor may. fake_tlb_check() asks of all of them whether using one now would reach
 * what it must not: a writable one a page table or descriptors, any one a frame that has found another owner.
 * Locks: real ones (tests may use threads), with their rank checked.
 */
#ifndef FAKE_FAKE_H
#define FAKE_FAKE_H

#include "../../../lib/tap.h"
#include "hw/lock.h"
#include "mm/frame.h"
#include <stdio.h>
#include <stdlib.h>

#define FAKE_CPUS      4
#define FAKE_RAM_FIRST 0x100

/* frames: RAM below 4 GiB; high: RAM from 4 GiB on (0: none). Once per process. */
void fake_init(unsigned frames, unsigned high);
/* Which CPU the calling thread is. */
void fake_set_cpu(unsigned cpu);
struct vcpu;
void fake_set_vcpu(struct vcpu *v); /* of the thread's CPU */
/* CPU loads these tables (INVALID_MFN: the idle ones), which flushes it. */
void fake_load(unsigned cpu, struct domain_mm *d, mfn_t l4);
/* The thread's CPU, or all of them, go through the exit path once: those that have to load the copy of their L4 do so. */
void fake_exit(void);
void fake_exits(void);
mfn_t fake_loaded(unsigned cpu); /* the guest's L4, also where its copy is loaded */
/* A memory access of what runs on that CPU, through its TLB and the tables; false: page fault. */
bool fake_touch(unsigned cpu, uint64_t va, bool write);
/* Number of cached translations that would break isolation if the processor used them now; says which. */
unsigned fake_tlb_check(void);
void fake_tlb_enable(bool on);
/* What the TLB clock says from now on. */
void fake_tlb_clock(uint32_t now);
/* Called at points where other CPUs may act in the middle of an operation; NULL: nobody does. */
extern void (*fake_hook)(void);
/* Where a lock is about to be taken with interrupts off. */
extern void (*fake_irq_lock_hook)(const spinlock_t *l);
/* Where interrupts are on again, when the last lock that is taken with them off is given up. */
extern void (*fake_irq_hook)(void);
/* Of the thread's CPU, as irq_enable() and irq_disable() were called last; nothing else goes by it. */
extern __thread bool fake_irqs_on;
/* As fake_hook, each time the guest's memory is read. */
extern void (*fake_copy_hook)(void);
/* What work_pending() answers: true once in this many calls; 0: never. */
extern unsigned fake_preempt;
extern __thread unsigned fake_looks;          /* how often it was asked */
extern unsigned fake_m2p_extents;             /* how many there are of the M2P */
extern void (*fake_answer)(const char *line); /* what log_answer() writes */
extern bool fake_quiet;                       /* what the hypervisor logs is not printed */
extern void (*fake_panic)(const char *why);   /* does not return; NULL: a panic ends the test */
extern uint64_t fake_time_ns;
extern unsigned fake_flushes; /* CPUs flushed on demand of another one or of themselves, whole TLB */

/* Of the calling thread. */
unsigned fake_locks_held(void);
/* Bails out if a lock of this or a higher rank is held. */
void fake_rank_check(unsigned rank);

/* Guest memory as guest_copy_in() and guest_copy_out() see it: offsets into this, up to fake_guest_bytes. */
/* Called where a frame is about to be looked at or written. */
extern void (*fake_map_hook)(mfn_t mfn);
extern uint8_t fake_guest[65536];

#endif
