/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the kernel proper in what a user calls a kernel: a Linux bzImage (boot protocol 2.08 or later), a
 * plain ELF executable, or one of these compressed. It only looks; unpacking is decompress.h's. Hostile
 * images are fine.
 */
#ifndef XYLEM_BZIMAGE_H
#define XYLEM_BZIMAGE_H

#include <stddef.h>
#include <stdint.h>

enum payload_kind {
	PAYLOAD_ELF, /* not compressed */
	PAYLOAD_GZIP,
	PAYLOAD_XZ,
	PAYLOAD_ZSTD,
	PAYLOAD_LZMA,
	PAYLOAD_LZO,
	PAYLOAD_LZ4,       /* in the legacy format of Linux's build */
	PAYLOAD_BZIP2,     /* for guests alone */
	PAYLOAD_LZ4_FRAME, /* what the lz4 program writes; recognised, so that the error can name it */
	PAYLOAD_UNKNOWN,
};

struct payload {
	enum payload_kind kind;
	const uint8_t *data; /* inside of the image */
	uint64_t bytes;      /* without the trailing size word where the format has none of its own */
	/* As the image claims: at most 4 GiB, not to be trusted beyond sizing a buffer. */
	uint64_t unpacked_bytes;
};

/* Returns PV_OK, PV_ERR_FORMAT or PV_ERR_TRUNCATED. A kind that is not unpacked is no error here. */
int payload_find(const void *image, uint64_t bytes, struct payload *payload);
/* "gzip", "xz", ... */
const char *payload_kind_name(enum payload_kind kind);

#endif
