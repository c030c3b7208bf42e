/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rest of the fake hardware layer, for tests of the real dom/ on the real mm/: interrupts, power, and what pv/
 * supplies. vcpu_switch() does not return to the scheduler, as the real one does not: run a CPU's work
 * through machine_run().
 */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

#include "dom/domain.h"
#include "dom/evtchn.h"
#include "dom/grant.h"
#include "dom/guest.h"
#include "dom/pirq.h"
#include "hw/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "fake.h"
#include "pv/vcpu.h"

/* Memory of frames frames, CPUs with their idle vcpus current, timers and the scheduler. Once per process. */
void machine_init(unsigned frames, unsigned cpus);
/* Domain with its vcpus, no memory but shared_info, paused as the toolstack's are. Exits the test when it fails. */
struct domain *machine_domain(uint16_t domid, unsigned vcpus);
/* Lets them run: up, and the domain unpaused. */
void machine_start(struct domain *d);
/* Domains 0, which is dom0, to count - 1 of so many vcpus, initialised, and all of them run. */
void machine_domains(struct domain **doms, unsigned count, unsigned vcpus);
/* The calling thread becomes this vcpu on this CPU, without asking the scheduler. */
void machine_become(unsigned cpu, struct vcpu *v);
extern const struct guest_kind pv_guest; /* machine_pv.c, or the real one */
/* Does the work that is pending on the CPU, switches included. */
void machine_run(unsigned cpu);
/* Destroys the domain (dom0's vcpu 0 on CPU 0 asks), through all continuations; drops no reference of the caller's. */
void machine_destroy(struct domain *d);

extern unsigned machine_switches;
/* Called at each switch, on the CPU where it happens; NULL: nobody looks. */
extern void (*machine_on_switch)(const struct vcpu *next);
/* Set to "halt" or "reboot" when the machine was told to; the caller of machine_expect_power() continues then. */
extern __thread const char *machine_power;
#define MACHINE_EXPECT_POWER(call)                  \
	do {                                        \
		machine_power = NULL;               \
		if (!setjmp(machine_power_env)) {   \
			machine_power_armed = true; \
			call;                       \
		}                                   \
		machine_power_armed = false;        \
	} while (0)
#include <setjmp.h>
extern __thread jmp_buf machine_power_env;
extern __thread bool machine_power_armed;

/* Interrupts: irqs 0..23 are GSIs; level says which. */
extern bool machine_irq_level[64];
void machine_irq_fire(unsigned irq);
extern unsigned machine_irq_eois[64];
bool machine_irq_bound(unsigned irq);
bool machine_irq_open(unsigned irq); /* a level line that a device asserts would interrupt now */
extern unsigned machine_irqs_left; /* 16 times the CPU that interrupts were moved from last, plus where to */

/* Guest memory for one element of a hypercall's array: writes it at offset at of fake_guest and returns its address. */
gva_t machine_put(size_t at, const void *data, size_t n);

#endif
