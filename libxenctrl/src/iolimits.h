/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of a disk's requests: what they may be, the same for xylemd, which has QEMU keep them, and for libvirt's driver, which
 * refuses them earlier. Pure; not in the library, but linked by both.
 */
#ifndef XYLEM_IOLIMITS_H
#define XYLEM_IOLIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define IO_RATES     6                          /* bytes, and requests; of each in all, read, written */
#define IO_LIMIT_MAX UINT64_C(1000000000000000) /* QEMU counts no further */

/* Where each stands; the names are those of libvirt's elements and parameters, in their order. */
enum io_limit {
	IO_RATE = 0,            /* a second, in the long run */
	IO_BURST = IO_RATES,    /* a second, for a while */
	IO_SIZE = 2 * IO_RATES, /* bytes that count as a request; what is larger is several */
	IO_SECONDS,             /* of that while */
	IO_LIMITS = IO_SECONDS + IO_RATES,
};

struct io_limits {
	uint64_t value[IO_LIMITS]; /* 0: no limit; of the seconds: one, of the size: any is one request */
};

const char *io_limit_name(unsigned int which);
/* IO_LIMITS: there is none of that name. */
unsigned int io_limit_named(const char *name);
bool io_limits_any(const struct io_limits *limits);
/* Why they cannot be kept, by name, as the end of a sentence, to be freed with free(); NULL: they can. */
char *io_limits_refusal(const struct io_limits *limits);

#endif
