/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store itself, and the domains that it knows: what they own, and their quotas. */
#ifndef XENSTORED_DOMAIN_H
#define XENSTORED_DOMAIN_H

#include "store.h"

struct store *store_new(const struct store_host *host);
/* Writes domain 0's first nodes, as Xen's xen-init-dom0 does. */
void store_init_dom0(struct store *s);
void store_free(struct store *s);
void store_log(struct store *s, int priority, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* Recounts everything from scratch; returns NULL, or what is wrong (to be freed). */
char *store_check(struct store *s);

struct domain *domain_find(struct store *s, uint16_t domid);
/* Finds it, or adds it when the hypervisor knows it; NULL otherwise. */
struct domain *domain_get(struct store *s, uint16_t domid);
/* The domain is gone: connection, owned nodes, everything. */
void domain_gone(struct store *s, struct domain *d);
/* @releaseDomain because it was shut down or crashed (once, until RESUME). */
void domain_shut_down(struct store *s, struct domain *d);
int domain_introduce(struct store *s, uint16_t domid, uint64_t gfn, uint32_t port);
int domain_release(struct store *s, uint16_t domid);
void domain_own(struct domain *d, struct node *n);
void domain_disown(struct node *n);
bool quota_nodes(struct conn *c, unsigned int more);
bool quota_memory(struct conn *c, size_t more);

/* What c may do with a node of these permissions: PERM_* bits. */
unsigned int perm_for(const struct conn *c, const struct content *of);

#endif
