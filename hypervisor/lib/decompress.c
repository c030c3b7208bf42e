/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unpacking by the libraries; see decompress.h. Only their memory-to-memory entry points are used,
 * which need neither files nor threads, so that the same code runs in the hypervisor.
 */
#include <limits.h>
#include <string.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "decompress.h"
#include "decompress_blocks.h"
#include "pverror.h"

/* What liblzma may allocate: of what the kernel's own build packs, xz needs 33 MiB and lzma a little more than 64. */
#define DECOMPRESS_HEAP_MAX (UINT64_C(66) << 20)

static int unpack_gzip(const struct payload *payload, uint8_t *out, uint64_t out_bytes, uint64_t *produced)
{
	z_stream z;
	int rc;

	/* zlib counts in 32 bits; a kernel of 4 GiB is none. */
	if (payload->bytes > UINT_MAX)
		return PV_ERR_CORRUPT;
	if (out_bytes > UINT_MAX)
		out_bytes = UINT_MAX;
	memset(&z, 0, sizeof(z));
	z.next_in = (Bytef *)(uintptr_t)payload->data;
	z.avail_in = (uInt)payload->bytes;
	z.next_out = out;
	z.avail_out = (uInt)out_bytes;
	/* 16: a gzip header is expected; the window is the format's largest. */
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return PV_ERR_MEMORY;
	rc = inflate(&z, Z_FINISH);
	*produced = out_bytes - z.avail_out;
	inflateEnd(&z);
	if (rc == Z_STREAM_END)
		return PV_OK;
	if (rc == Z_MEM_ERROR)
		return PV_ERR_MEMORY;
	return rc == Z_BUF_ERROR && !z.avail_out ? PV_ERR_OUTPUT : PV_ERR_CORRUPT;
}

static int unpack_xz(const struct payload *payload, uint8_t *out, uint64_t out_bytes, uint64_t *produced)
{
	uint64_t heap = DECOMPRESS_HEAP_MAX;
	size_t in_at = 0, out_at = 0;
	lzma_ret rc;

	rc = lzma_stream_buffer_decode(&heap, 0, NULL, payload->data, &in_at, payload->bytes, out, &out_at,
	                               out_bytes);
	*produced = out_at;
	switch (rc) {
	case LZMA_OK:
		return PV_OK;
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return PV_ERR_MEMORY;
	case LZMA_BUF_ERROR:
		return PV_ERR_OUTPUT;
	case LZMA_OPTIONS_ERROR:
		return PV_ERR_COMPRESSION;
	default:
		return PV_ERR_CORRUPT;
	}
}

/* The format that came before xz. It has no checksum, and a stream need not tell its length. */
static int unpack_lzma(const struct payload *payload, uint8_t *out, uint64_t out_bytes, uint64_t *produced)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret rc;

	if (lzma_alone_decoder(&stream, DECOMPRESS_HEAP_MAX) != LZMA_OK)
		return PV_ERR_MEMORY;
	stream.next_in = payload->data;
	stream.avail_in = payload->bytes;
	stream.next_out = out;
	stream.avail_out = out_bytes;
	do
		rc = lzma_code(&stream, LZMA_FINISH);
	while (rc == LZMA_OK);
	*produced = stream.total_out;
	lzma_end(&stream);
	switch (rc) {
	case LZMA_STREAM_END:
		return PV_OK;
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return PV_ERR_MEMORY;
	default:
		return *produced == out_bytes ? PV_ERR_OUTPUT : PV_ERR_CORRUPT;
	}
}

static int unpack_zstd(const struct payload *payload, uint8_t *out, uint64_t out_bytes, uint64_t *produced)
{
	/* The frame alone: a kernel's payload may be padded behind it. */
	size_t frame = ZSTD_findFrameCompressedSize(payload->data, payload->bytes);
	unsigned long long content;
	size_t rc;

	if (ZSTD_isError(frame))
		return PV_ERR_CORRUPT;
	content = ZSTD_getFrameContentSize(payload->data, payload->bytes);
	if (content != ZSTD_CONTENTSIZE_UNKNOWN && content != ZSTD_CONTENTSIZE_ERROR && content > out_bytes)
		return PV_ERR_OUTPUT;
	rc = ZSTD_decompress(out, out_bytes, payload->data, frame);
	if (ZSTD_isError(rc))
		return PV_ERR_CORRUPT;
	*produced = rc;
	return PV_OK;
}

int decompress(const struct payload *payload, void *out, uint64_t out_bytes, uint64_t *produced)
{
	*produced = 0;
	switch (payload->kind) {
	case PAYLOAD_ELF:
		if (payload->bytes > out_bytes)
			return PV_ERR_OUTPUT;
		memcpy(out, payload->data, payload->bytes);
		*produced = payload->bytes;
		return PV_OK;
	case PAYLOAD_GZIP:
		return unpack_gzip(payload, out, out_bytes, produced);
	case PAYLOAD_XZ:
		return unpack_xz(payload, out, out_bytes, produced);
	case PAYLOAD_ZSTD:
		return unpack_zstd(payload, out, out_bytes, produced);
	case PAYLOAD_LZMA:
		return unpack_lzma(payload, out, out_bytes, produced);
	case PAYLOAD_LZ4:
		return unpack_lz4(payload, out, out_bytes, produced);
	case PAYLOAD_LZO:
		return unpack_lzo(payload, out, out_bytes, produced);
	default:
		return PV_ERR_COMPRESSION;
	}
}
