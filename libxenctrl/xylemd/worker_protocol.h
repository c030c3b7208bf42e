/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages between xylemd and its kernel worker: one SOCK_SEQPACKET packet each way. */
#ifndef XYLEMD_WORKER_PROTOCOL_H
#define XYLEMD_WORKER_PROTOCOL_H

#include <stdint.h>

/* Comes with two descriptors: the packed kernel (sealed memfd), and an empty memfd for the result. */
struct worker_request {
	uint64_t input_bytes;
	uint64_t max_bytes;
};

struct worker_reply {
	uint32_t error;     /* 0, or an errno value with a message */
	uint32_t unchanged; /* 1: the input is the unpacked kernel already, the second memfd is unused */
	uint64_t output_bytes;
	char message[240];
};

#endif
