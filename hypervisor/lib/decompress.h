/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unpacks a kernel payload by zlib, liblzma, libzstd, liblz4 or liblzo2, in one go from memory to memory. The libraries
 * need malloc, free and the mem* functions from their environment; at most 66 MiB are allocated, however the input asks
 * for more. lzma and lz4 have no checksums: of damage they see only what cannot be.
 */
#ifndef XYLEM_DECOMPRESS_H
#define XYLEM_DECOMPRESS_H

#include <stdint.h>

#include "bzimage.h"

/*
 * Unpacks payload into out, at most out_bytes; *produced is how many came. For PAYLOAD_ELF it copies.
 * Returns PV_OK or PV_ERR_{COMPRESSION,CORRUPT,OUTPUT,MEMORY}. PAYLOAD_BZIP2 is refused here, since libbz2 needs a whole C
 * library: libxenctrl unpacks it for guests.
 */
int decompress(const struct payload *payload, void *out, uint64_t out_bytes, uint64_t *produced);

#endif
