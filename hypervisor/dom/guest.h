/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kind of guest: what dom/ asks of those who know what a guest's processor is. Every domain has one from its creation
 * on, given by who creates it; dom/ knows none of them. pv/ has the first, pv_guest (pv/pv.h).
 *
 * Events need no call: dom/ marks them in the vcpu's info page and kicks it, and a kind looks there before it returns to
 * the guest.
 */
#ifndef DOM_GUEST_H
#define DOM_GUEST_H

struct domain;
struct vcpu;

struct guest_kind {
	/* Before any vcpu. 0 or -ENOMEM. destroy also follows a create that failed or never came. */
	int (*domain_create)(struct domain *d);
	void (*domain_destroy)(struct domain *d);
	/* Down, without a context. 0 or -ENOMEM; destroy as above. */
	int (*vcpu_create)(struct vcpu *v);
	void (*vcpu_destroy)(struct vcpu *v);
	/* Gives up what the vcpu of a dying domain holds of the domain's memory. 0; -ERESTART_HV: call again. */
	int (*vcpu_relinquish)(struct vcpu *v);
	/* On the vcpu's CPU, interrupts off. leave: its registers go from the CPU to struct vcpu; it is still current. enter:
	 * back again, with its address space, time page and runstate area; it is current. stay: its turn goes on; its time
	 * page is brought up to date. */
	void (*leave)(struct vcpu *v);
	void (*enter)(struct vcpu *v);
	void (*stay)(struct vcpu *v);
};

#endif
