/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What debug keys show. Each piece is copied under its own lock and written without it (the caller holds domctl_lock, so
 * that no domain comes or goes); the number of lines is bounded, since a line takes milliseconds on a serial console and
 * the caller's CPU runs no guest meanwhile.
 */
#include "hypercall/debugdump.h"
#include "dom/cpupool.h"
#include "dom/domtable.h"
#include "dom/evtchn.h"
#include "dom/grant.h"
#include "dom/sched.h"
#include "dom/timer.h"
#include "hw/ioapic.h"
#include "hw/irq_table.h"
#include "hw/mem.h"
#include "hw/smp.h"
#include "hw/snapshot.h"
#include "hw/time.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"

#define NAME_SIZE 64
#define VIEWS_MAX 16 /* of a queue */
#define PORTS_MAX EVTCHN_2L_NR_CHANNELS
#define MS_IN(ns) ((unsigned long)((ns) / 1000000))

/* Lines that may still be written, and whether some were left out. domctl_lock */
static unsigned room;
static bool cut;

void dump_allow(unsigned lines)
{
	room = lines;
}

static void begin(const char *title)
{
	cut = false;
	log_answer("%s, at %lu ms:", title, MS_IN(time_now_ns()));
}

/* Takes a line's room. */
static bool take_line(void)
{
	cut |= !room;
	return room && room--;
}

static void end(void)
{
	if (cut)
		log_answer("  the rest is left out");
}

#define line(...)                                \
	do {                                     \
		if (take_line())                 \
			log_answer(__VA_ARGS__); \
	} while (0)

/* The domain from *id on, with a reference, and *id set to what follows it; NULL at the end, or of lines. */
static struct domain *next_domain(uint32_t *id)
{
	struct domain *d = *id < DOMID_FIRST_RESERVED && !cut ? domain_get_next((uint16_t)*id) : NULL;

	if (d)
		*id = d->domid + 1u;
	return d;
}

/* ---- registers ---- */

static void show_registers(const struct cpu_user_regs *r)
{
	char name[NAME_SIZE];

	line("    rip %04x:%s", r->cs, address_name(r->rip, name, sizeof(name)));
	line("    rsp %04x:%016lx  rflags %08lx", r->ss, (unsigned long)r->rsp, (unsigned long)r->rflags);
	line("    rax %016lx rbx %016lx rcx %016lx", (unsigned long)r->rax, (unsigned long)r->rbx,
	     (unsigned long)r->rcx);
	line("    rdx %016lx rsi %016lx rdi %016lx", (unsigned long)r->rdx, (unsigned long)r->rsi,
	     (unsigned long)r->rdi);
	line("    rbp %016lx r8  %016lx r9  %016lx", (unsigned long)r->rbp, (unsigned long)r->r8,
	     (unsigned long)r->r9);
	line("    r10 %016lx r11 %016lx r12 %016lx", (unsigned long)r->r10, (unsigned long)r->r11,
	     (unsigned long)r->r12);
	line("    r13 %016lx r14 %016lx r15 %016lx", (unsigned long)r->r13, (unsigned long)r->r14,
	     (unsigned long)r->r15);
}

/* The caller's own vcpu is in this call; the others' saved registers are what they had when they left a CPU. */
void dump_dom0_registers(void)
{
	begin("registers of dom0");
	for (unsigned i = 0; i < dom0->max_vcpus; i++) {
		const struct vcpu *v = dom0->vcpus[i];
		struct cpu_user_regs regs;

		if (!v || !v->initialised)
			continue;
		line("  vcpu %u%s:", i,
		     v == current_vcpu()     ? " (asks)"
		     : READ_ONCE(v->running) ? " (runs since)"
		                             : "");
		regs = v == current_vcpu() ? cpu_info()->regs : v->regs;
		show_registers(&regs);
	}
	end();
}

void dump_cpu_registers(void)
{
	const struct cpu_snapshot *s = cpus_snapshot();
	char name[NAME_SIZE];
	unsigned cpu;

	begin("registers of CPUs, by NMI");
	for_each_cpu_in(cpu, &cpus_online) {
		if (cpu == this_cpu()) {
			line("  CPU %u asks, for d%uv%u:", cpu, current_domain()->domid, current_vcpu()->id);
			show_registers(&cpu_info()->regs);
			continue;
		}
		line("  CPU %u %s:", cpu,
		     !s[cpu].taken        ? "does not answer"
		     : s[cpu].regs.cs & 3 ? "runs a guest"
		                          : "is in the hypervisor");
		if (!s[cpu].taken)
			continue;
		show_registers(&s[cpu].regs);
		for (unsigned i = 0; i < s[cpu].caller_count; i++)
			line("      %s", address_name(s[cpu].callers[i], name, sizeof(name)));
	}
	end();
}

/* ---- domains ---- */

static const char *state_name(int state)
{
	static const char *const names[] = { "running", "runnable", "blocked", "offline" };

	return state >= 0 && state < 4 ? names[state] : "?";
}

static void show_vcpu(struct vcpu *v)
{
	struct vcpu_runstate_info r;

	vcpu_runstate_get(v, &r);
	line("    vcpu %u: CPU %u, %s for %lu ms, ran %lu ms, pause %x/%d, upcall pending %u mask %u, hard %lx soft %lx",
	     v->id, READ_ONCE(v->cpu), state_name(r.state), MS_IN(time_now_ns() - r.state_entry_time),
	     MS_IN(r.time[RUNSTATE_running]), (unsigned)READ_ONCE(v->pause_flags), READ_ONCE(v->pause_count),
	     READ_ONCE(v->info->evtchn_upcall_pending), READ_ONCE(v->info->evtchn_upcall_mask),
	     (unsigned long)v->hard_affinity.bits[0], (unsigned long)v->soft_affinity.bits[0]);
}

void dump_domains(void)
{
	static const char *const lives[] = { "alive", "dying", "dead" };
	struct domain *d;
	uint32_t id = 0;

	begin("domains and vcpus");
	while ((d = next_domain(&id))) {
		line("  d%u: %s%s, refs %d, pauses %d, frames %lu of %lu, shared %lu, claimed %lu%s",
		     d->domid, lives[READ_ONCE(d->life)], READ_ONCE(d->shut_down) ? " and shut down" : "",
		     READ_ONCE(d->refcount), READ_ONCE(d->pause_count),
		     (unsigned long)READ_ONCE(d->mm.tot_pages), (unsigned long)READ_ONCE(d->mm.max_pages),
		     (unsigned long)READ_ONCE(d->mm.shared_count),
		     (unsigned long)READ_ONCE(d->mm.claimed_pages), d->xpti ? ", XPTI" : "");
		for (unsigned i = 0; i < d->max_vcpus; i++)
			/* A dead one's pages are going. */
			if (READ_ONCE(d->life) == DOMAIN_ALIVE && d->vcpus[i])
				show_vcpu(d->vcpus[i]);
		domain_put(d);
	}
	end();
}

static void show_port(struct domain *d, const struct evtchn_status *s)
{
	static const char *const kinds[] = { "closed", "unbound", "interdomain", "pirq", "virq", "ipi" };
	const char *pending = bit_test(d->shared_info->evtchn_pending, s->port) ? " pending" : "";

	if (s->status == EVTCHNSTAT_interdomain)
		line("    %u: vcpu %u, interdomain with d%u port %u%s", s->port, s->vcpu,
		     s->u.interdomain.dom, s->u.interdomain.port, pending);
	else if (s->status == EVTCHNSTAT_unbound)
		line("    %u: vcpu %u, unbound for d%u%s", s->port, s->vcpu, s->u.unbound.dom, pending);
	else if (s->status == EVTCHNSTAT_pirq || s->status == EVTCHNSTAT_virq)
		line("    %u: vcpu %u, %s %u%s", s->port, s->vcpu, kinds[s->status], s->u.pirq, pending);
	else
		line("    %u: vcpu %u, %s%s", s->port, s->vcpu,
		     s->status < ARRAY_SIZE(kinds) ? kinds[s->status] : "?", pending);
}

void dump_event_channels(void)
{
	struct domain *d;
	uint32_t id = 0;

	begin("event channels");
	while ((d = next_domain(&id))) {
		line("  d%u:", d->domid);
		for (evtchn_port_t port = 1; port < PORTS_MAX && !cut; port++) {
			struct evtchn_status s = { .dom = d->domid, .port = port };

			if (READ_ONCE(d->life) != DOMAIN_ALIVE || evtchn_status(&s))
				break;
			if (s.status != EVTCHNSTAT_closed)
				show_port(d, &s);
		}
		domain_put(d);
	}
	end();
}

void dump_grants(void)
{
	struct domain *d;
	uint32_t id = 0;

	begin("grants in use");
	while ((d = next_domain(&id))) {
		struct grant_look l = grant_look(d);
		struct grant_use u;

		line("  d%u: frames %u of %u, tracks %u of %u", d->domid, l.frames, l.frames_max, l.tracks,
		     l.tracks_max);
		for (unsigned ref = 0; ref < l.entries && !cut; ref++)
			if (grant_look_entry(d, ref, &u))
				line("    %u: by d%u, readers %u, writers %u, mfn %lx", ref, u.domid,
				     u.readers, u.writers, (unsigned long)u.mfn);
		domain_put(d);
	}
	end();
}

/* ---- memory ---- */

void dump_heap(void)
{
	begin("heap");
	line("  %lu frames free, %lu of them for domains, of these %lu claimed",
	     (unsigned long)heap_free_pages(), (unsigned long)heap_spare_pages(),
	     (unsigned long)heap_claimed_pages());
	end();
}

void dump_nodes(void)
{
	begin("NUMA: one node");
	line("  node 0: %lu MiB, %lu MiB free, %u CPUs", (unsigned long)(max_mfn >> (20 - PAGE_SHIFT)),
	     (unsigned long)(heap_free_pages() >> (20 - PAGE_SHIFT)), cpu_count);
	end();
}

/* Owners of all frames, and what their tables are. */
void dump_memory(void)
{
	struct domain *d;
	uint32_t id = 0;

	dump_heap();
	begin("memory of domains");
	while ((d = next_domain(&id))) {
		line("  d%u: frames %lu of %lu, tables l4 %lx/%lx of vcpu 0", d->domid,
		     (unsigned long)READ_ONCE(d->mm.tot_pages), (unsigned long)READ_ONCE(d->mm.max_pages),
		     (unsigned long)(d->max_vcpus && d->vcpus[0] ? d->vcpus[0]->l4_kernel.m : 0),
		     (unsigned long)(d->max_vcpus && d->vcpus[0] ? d->vcpus[0]->l4_user.m : 0));
		domain_put(d);
	}
	end();
}

/* ---- CPUs ---- */

void dump_run_queues(void)
{
	struct sched_view views[VIEWS_MAX];
	struct list *l;
	unsigned cpu;

	begin("run queues");
	list_for_each(l, &cpupools) {
		const struct cpupool *p = list_entry(l, struct cpupool, link);

		line("  pool %u: scheduler %s, %u domains, CPUs %lx %lx", p->id, sched_name(p->sched_id),
		     READ_ONCE(p->domain_count), (unsigned long)p->cpus.bits[0],
		     (unsigned long)p->cpus.bits[1]);
	}
	for_each_cpu_in(cpu, &cpus_online) {
		unsigned n = sched_look(cpu, views, VIEWS_MAX);

		line("  CPU %u: idle for %lu ms in all, %u wait", cpu, MS_IN(cpu_idle_ns(cpu)), n);
		for (unsigned i = 0; i < MIN(n, (unsigned)VIEWS_MAX); i++)
			line("    d%uv%u: credit %ld us%s", views[i].domid, views[i].vcpu,
			     (long)(views[i].credit_ns / 1000), views[i].boosted ? ", boosted" : "");
	}
	end();
}

void dump_timers(void)
{
	struct timer_view views[VIEWS_MAX];
	char name[NAME_SIZE];
	unsigned cpu;

	begin("timers");
	for_each_cpu_in(cpu, &cpus_online) {
		unsigned n = timers_look(cpu, views, VIEWS_MAX);
		int64_t now = (int64_t)time_now_ns();

		line("  CPU %u: %u timers", cpu, n);
		for (unsigned i = 0; i < MIN(n, (unsigned)VIEWS_MAX); i++)
			line("    in %ld us: %s(%p)", (long)(((int64_t)views[i].expires_ns - now) / 1000),
			     address_name((uintptr_t)views[i].fn, name, sizeof(name)), views[i].data);
	}
	end();
}

void dump_clocks(void)
{
	struct time_scale s = time_scale_read();
	uint64_t sec;
	uint32_t nsec;

	begin("clocks");
	time_wallclock(&sec, &nsec);
	line("  TSC %lu kHz, %s, multiplier %x shift %d, pair %lx at %lu ns", (unsigned long)time_tsc_khz(),
	     s.tsc_stable ? "in step on all CPUs" : "steered by a platform timer", s.tsc_to_ns_mul,
	     s.tsc_shift, (unsigned long)s.tsc_stamp, (unsigned long)s.system_ns);
	line("  wall clock at system time 0: %lu.%09u s", (unsigned long)sec, nsec);
	end();
}

void dump_idle_states(void)
{
	unsigned cpu;

	begin("idle states: C1 alone is used");
	for_each_cpu_in(cpu, &cpus_online)
		line("  CPU %u: idle %lu ms", cpu, MS_IN(cpu_idle_ns(cpu)));
	end();
}

/* ---- interrupts ---- */

static struct irq_source irq_copy(unsigned irq)
{
	uint64_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_source s = irq_table[irq];

	spin_unlock_irqrestore(&irq_lock, flags);
	return s;
}

static void show_irqs(bool msi_only)
{
	char name[NAME_SIZE];

	for (unsigned irq = 0; irq < IRQ_MAX; irq++) {
		struct irq_source s = irq_copy(irq);

		if (!s.handler || (msi_only && !s.msi))
			continue;
		line("  irq %u: vector %02x, CPU %u, %s%s%s, %s", irq, s.vector, s.cpu,
		     s.msi     ? "MSI"
		     : s.level ? "level"
		               : "edge",
		     s.masked ? ", masked" : "", s.in_service ? ", in service" : "",
		     address_name((uintptr_t)s.handler, name, sizeof(name)));
	}
}

void dump_interrupts(void)
{
	begin("interrupts");
	show_irqs(false);
	end();
}

void dump_msi(void)
{
	begin("MSI and MSI-X");
	show_irqs(true);
	end();
}

void dump_ioapics(void)
{
	uint64_t e;

	begin("I/O APICs");
	for (unsigned gsi = 0; gsi < irq_gsi_count; gsi++)
		if (ioapic_look(gsi, &e) && ((e & 0xff) || !(e >> 16 & 1)))
			line("  GSI %u: %016lx: vector %02x, APIC %u, %s %s%s%s", gsi, (unsigned long)e,
			     (unsigned)(e & 0xff), (unsigned)(e >> 56), e >> 15 & 1 ? "level" : "edge",
			     e >> 13 & 1 ? "low" : "high", e >> 16 & 1 ? ", masked" : "",
			     e >> 14 & 1 ? ", waits for EOI" : "");
	end();
}
