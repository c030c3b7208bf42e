/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor's side of the store. */
#ifndef XENSTORED_HOST_H
#define XENSTORED_HOST_H

#include "io.h"

struct host *host_start(struct io *io);
void host_stop(struct host *h);
bool host_domain_exists(struct host *h, uint16_t domid);
int host_introduce(struct host *h, struct conn *c, uint16_t domid, uint64_t gfn, uint32_t port);
void host_release(struct host *h, struct transport *t);
void host_notify(struct host *h, struct transport *t);

#endif
