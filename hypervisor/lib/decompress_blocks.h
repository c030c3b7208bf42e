/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For decompress(): as it, for PAYLOAD_LZ4 and PAYLOAD_LZO; *produced is 0 at first. */
#ifndef XYLEM_DECOMPRESS_BLOCKS_H
#define XYLEM_DECOMPRESS_BLOCKS_H

#include "bzimage.h"

int unpack_lz4(const struct payload *payload, uint8_t *out, uint64_t out_bytes, uint64_t *produced);
int unpack_lzo(const struct payload *payload, uint8_t *out, uint64_t out_bytes, uint64_t *produced);

#endif
