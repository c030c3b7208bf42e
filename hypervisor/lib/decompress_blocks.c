/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two formats of Linux's build that are a list of blocks without a library for the list: lz4's legacy format
 * (lz4 project, doc/lz4_Frame_format.md, "Legacy frame") and lzop's (its layout as Linux's lib/decompress_unlzo.c reads
 * it). The list is read here, the blocks are liblz4's and liblzo2's.
 */
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <lz4.h>
#include <lzo/lzo1x.h>
#include <zlib.h>

#include "decompress.h"
#include "decompress_blocks.h"
#include "pverror.h"

struct input {
	const uint8_t *at;
	uint64_t left;
};

/* Whether there are n bytes, which are then passed; *at: where they lie. */
static bool take(struct input *in, uint64_t n, const uint8_t **at)
{
	if (n > in->left)
		return false;
	*at = in->at;
	in->at += n;
	in->left -= n;
	return true;
}

/* ---- lz4: the magic number, then blocks behind their sizes in 32 bits, little-endian ---- */

#define LZ4_LEGACY_MAGIC 0x184c2102u

static int lz4_block(const uint8_t *from, uint32_t bytes, uint8_t *out, uint64_t room, uint64_t *produced)
{
	int capacity = room > INT_MAX ? INT_MAX : (int)room, n;

	if (bytes > INT_MAX)
		return PV_ERR_CORRUPT;
	n = LZ4_decompress_safe((const char *)from, (char *)out, (int)bytes, capacity);
	if (n < 0) {
		/* Damaged, or more than there is room for: then the room can be filled. */
		n = LZ4_decompress_safe_partial((const char *)from, (char *)out, (int)bytes, capacity,
		                                capacity);
		return n == capacity ? PV_ERR_OUTPUT : PV_ERR_CORRUPT;
	}
	*produced += (uint64_t)n;
	return PV_OK;
}

int unpack_lz4(const struct payload *payload, uint8_t *out, uint64_t out_bytes, uint64_t *produced)
{
	struct input in = { payload->data, payload->bytes };
	const uint8_t *at;
	uint32_t size;
	int rc = PV_OK;

	while (rc == PV_OK && take(&in, sizeof(size), &at)) {
		memcpy(&size, at, sizeof(size));
		/* At the start; and files may be put behind each other. */
		if (size == LZ4_LEGACY_MAGIC)
			continue;
		if (!size)
			break;
		if (!take(&in, size, &at))
			return PV_ERR_CORRUPT;
		rc = lz4_block(at, size, out + *produced, out_bytes - *produced, produced);
	}
	/* Cut off in the middle of a size. */
	return rc == PV_OK && in.left && in.left < sizeof(size) ? PV_ERR_CORRUPT : rc;
}

/* ---- lzo: a header, then blocks behind both their sizes and checksums, big-endian; one of size 0 is the end ---- */

#define LZOP_MAGIC_BYTES     9u
#define LZOP_VERSION_LEVEL   0x0940u /* the first one that tells the level, and of time the upper half */
#define LZOP_METHOD_FIRST    1u
#define LZOP_METHOD_LAST     3u /* ways to pack; one to unpack */
#define LZOP_ADLER_DATA      0x0001u
#define LZOP_ADLER_PACKED    0x0002u
#define LZOP_EXTRA_FIELD     0x0040u
#define LZOP_CRC_DATA        0x0100u
#define LZOP_CRC_PACKED      0x0200u
#define LZOP_FILTER          0x0800u
#define LZOP_BLOCK_BYTES_MAX (64u << 20)

static bool take_number(struct input *in, unsigned bytes, uint32_t *value)
{
	const uint8_t *at;

	if (!take(in, bytes, &at))
		return false;
	*value = 0;
	for (unsigned i = 0; i < bytes; i++)
		*value = *value << 8 | at[i];
	return true;
}

/* PV_OK, PV_ERR_COMPRESSION for what no kernel's build uses, PV_ERR_CORRUPT. */
static int lzop_header(struct input *in, uint32_t *flags)
{
	uint32_t version, value, name, checksum;
	const uint8_t *begin, *at;
	uint8_t method;
	bool good;

	good = take(in, LZOP_MAGIC_BYTES, &at);
	begin = in->at;
	good = good && take_number(in, 2, &version) && take_number(in, 2, &value);
	if (!good)
		return PV_ERR_CORRUPT;
	if (version < LZOP_VERSION_LEVEL)
		return PV_ERR_COMPRESSION;
	/* The version that is needed, method, level; flags; mode and time, the name. */
	good = take_number(in, 4, &value) && take_number(in, 4, flags) && take(in, 12, &at) &&
	       take_number(in, 1, &name) && take(in, name, &at) && take_number(in, 4, &checksum);
	if (!good)
		return PV_ERR_CORRUPT;
	method = (uint8_t)(value >> 8);
	if (method < LZOP_METHOD_FIRST || method > LZOP_METHOD_LAST ||
	    (*flags & (LZOP_FILTER | LZOP_EXTRA_FIELD)))
		return PV_ERR_COMPRESSION;
	return adler32(1, begin, (uInt)(in->at - begin - 4)) == checksum ? PV_OK : PV_ERR_CORRUPT;
}

static bool lzop_sum_is_right(uint32_t flags, uint32_t sum, const uint8_t *data, uint32_t bytes)
{
	if (flags & LZOP_ADLER_DATA)
		return adler32(1, data, bytes) == sum;
	return !(flags & LZOP_CRC_DATA) || crc32(0, data, bytes) == sum;
}

/* A block of bytes, behind its size: PV_OK, *produced grown; or an error. */
static int lzop_block(struct input *in, uint32_t flags, uint32_t bytes, uint8_t *out, uint64_t room,
                      uint64_t *produced)
{
	uint32_t packed, sum = 0, packed_sum;
	const uint8_t *at;
	lzo_uint n = bytes;

	if (!take_number(in, 4, &packed) || bytes > LZOP_BLOCK_BYTES_MAX || packed > bytes)
		return PV_ERR_CORRUPT;
	if ((flags & (LZOP_ADLER_DATA | LZOP_CRC_DATA)) && !take_number(in, 4, &sum))
		return PV_ERR_CORRUPT;
	if (packed < bytes && (flags & (LZOP_ADLER_PACKED | LZOP_CRC_PACKED)) &&
	    !take_number(in, 4, &packed_sum))
		return PV_ERR_CORRUPT;
	if (!take(in, packed, &at))
		return PV_ERR_CORRUPT;
	if (bytes > room)
		return PV_ERR_OUTPUT;
	if (packed == bytes)
		memcpy(out, at, bytes);
	else if (lzo1x_decompress_safe(at, packed, out, &n, NULL) != LZO_E_OK || n != bytes)
		return PV_ERR_CORRUPT;
	if (!lzop_sum_is_right(flags, sum, out, bytes))
		return PV_ERR_CORRUPT;
	*produced += bytes;
	return PV_OK;
}

int unpack_lzo(const struct payload *payload, uint8_t *out, uint64_t out_bytes, uint64_t *produced)
{
	struct input in = { payload->data, payload->bytes };
	uint32_t flags, bytes;
	int rc = lzop_header(&in, &flags);

	while (rc == PV_OK) {
		if (!take_number(&in, 4, &bytes))
			return PV_ERR_CORRUPT;
		if (!bytes)
			return PV_OK;
		rc = lzop_block(&in, flags, bytes, out + *produced, out_bytes - *produced, produced);
	}
	return rc;
}
