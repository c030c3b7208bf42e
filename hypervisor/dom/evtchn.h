/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event channels, 2-level: 4,096 ports per domain at the most (FIFO answers as an older Xen: -ENOSYS).
 */
#ifndef DOM_EVTCHN_H
#define DOM_EVTCHN_H

#include "dom/domain.h"
#include <xen/event_channel.h>

int evtchn_domain_init(struct domain *d, unsigned max_port) __must_check;
/* Closes all ports; preemptible. */
int evtchn_domain_destroy(struct domain *d) __must_check;
void evtchn_domain_free(struct domain *d);

/* One function per EVTCHNOP_*, decoded; current domain unless d is given. 0 or -errno as Xen's public header says. */
int evtchn_alloc_unbound(struct domain *d, uint16_t remote, evtchn_port_t *port) __must_check;
int evtchn_bind_interdomain(uint16_t remote, evtchn_port_t remote_port, evtchn_port_t *local) __must_check;
int evtchn_bind_virq(uint32_t virq, uint32_t vcpu, evtchn_port_t *port) __must_check;
int evtchn_bind_ipi(uint32_t vcpu, evtchn_port_t *port) __must_check;
int evtchn_bind_pirq(uint32_t pirq, bool share, evtchn_port_t *port) __must_check;
int evtchn_close(struct domain *d, evtchn_port_t port) __must_check;
int evtchn_send(struct domain *d, evtchn_port_t port) __must_check;
int evtchn_status(struct evtchn_status *status) __must_check;
int evtchn_bind_vcpu(evtchn_port_t port, uint32_t vcpu) __must_check;
int evtchn_unmask(evtchn_port_t port) __must_check;
/* The port that pirq is bound to, if any. */
int evtchn_unmask_pirq(struct domain *d, unsigned pirq) __must_check;
int evtchn_reset(struct domain *d) __must_check; /* preemptible */

/* From the hypervisor to a guest. Any context. */
void evtchn_send_vcpu_virq(struct vcpu *v, uint32_t virq);
void evtchn_send_global_virq(uint32_t virq); /* to the domain that handles it: dom0 by default */
int evtchn_set_global_virq_handler(struct domain *d, uint32_t virq) __must_check;
void evtchn_raise_pirq(struct domain *d, unsigned pirq);
/* SCHEDOP_poll: whether an event is pending (1 or 0), -EINVAL: no channel. */
int evtchn_poll(struct domain *d, evtchn_port_t port) __must_check;

#endif
