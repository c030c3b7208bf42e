/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls at the edges of their arguments (tests/edges/) as guests make them: what would end the guest that asks for it. */
#ifndef EDGES_GUEST_H
#define EDGES_GUEST_H

#include "guest.h"
#include "../edges/edges.h"

/* Whether the call, or one of its list, ends the guest or the machine when it is done as asked, or lasts for hours. */
bool edges_lethal(const struct edges_env *e, uint32_t number, const uint64_t *arg);
/* Whether it sends debug keys, by itself or in a list: what another vcpu's call writes meanwhile may be an R. */
bool edges_sends_keys(const struct edges_env *e, uint32_t number, const uint64_t *arg);
/*
 * Whoever blocks finds an event. A multicall that might take the fault handler away together with the event's does not get
 * one; it does not block (edges_lethal()).
 */
bool edges_with_events(const struct edges_env *e, const struct edges_call *c);

#endif
