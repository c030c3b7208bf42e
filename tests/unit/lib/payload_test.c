/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bzImages and other packings made by the test with the same libraries' compressors: they unpack to what went
 * in, and damaged, truncated, lying and foreign ones are refused for the right reason.
 */
#include <lzma.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "hypervisor/lib/decompress.h"
#include "hypervisor/lib/pverror.h"
#include "makeelf.h"
#include "../../lib/tap.h"

#define ROOM        (1u << 20)
#define SETUP_SECTS 7u

static uint8_t kernel[MAKEELF_BYTES], packed[ROOM], image[ROOM], out[ROOM];
static size_t kernel_bytes;

static size_t pack(enum payload_kind kind)
{
	size_t n = 0;
	ZSTD_CCtx *zstd;
	z_stream z;

	switch (kind) {
	case PAYLOAD_GZIP:
		memset(&z, 0, sizeof(z));
		z.next_in = kernel;
		z.avail_in = (uInt)kernel_bytes;
		z.next_out = packed;
		z.avail_out = ROOM;
		if (deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			abort();
		if (deflate(&z, Z_FINISH) != Z_STREAM_END)
			abort();
		n = ROOM - z.avail_out;
		deflateEnd(&z);
		return n;
	case PAYLOAD_XZ:
		if (lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, kernel, kernel_bytes, packed, &n,
		                            ROOM) != LZMA_OK)
			abort();
		return n;
	case PAYLOAD_ZSTD:
		/* With the checksum that the zstd program adds, and the kernel's build with it. */
		zstd = ZSTD_createCCtx();
		if (!zstd || ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, 19)) ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1)))
			abort();
		n = ZSTD_compress2(zstd, packed, ROOM, kernel, kernel_bytes);
		ZSTD_freeCCtx(zstd);
		if (ZSTD_isError(n))
			abort();
		return n;
	default:
		memcpy(packed, kernel, kernel_bytes);
		return kernel_bytes;
	}
}

/* Wraps packed bytes as Linux does; a size word goes behind all but gzip, which has its own, and plain ELF. */
static size_t wrap(enum payload_kind kind, size_t bytes, uint32_t claimed)
{
	uint32_t offset = 0x123, length = (uint32_t)bytes;
	size_t start = (SETUP_SECTS + 1) * 512 + offset;
	uint16_t version = 0x20f;

	memset(image, 0, start);
	image[0x1f1] = SETUP_SECTS;
	memcpy(image + 0x202, "HdrS", 4);
	memcpy(image + 0x206, &version, 2);
	memcpy(image + start, packed, bytes);
	if (kind != PAYLOAD_GZIP && kind != PAYLOAD_ELF) {
		memcpy(image + start + bytes, &claimed, 4);
		length += 4;
	}
	memcpy(image + 0x248, &offset, 4);
	memcpy(image + 0x24c, &length, 4);
	return start + length;
}

static int unpack(const void *data, size_t bytes, size_t room, uint64_t *produced)
{
	struct payload payload;
	int rc = payload_find(data, bytes, &payload);

	*produced = 0;
	return rc == PV_OK ? decompress(&payload, out, room, produced) : rc;
}

static void test_kind(enum payload_kind kind)
{
	const char *name = payload_kind_name(kind);
	size_t bytes = pack(kind), total = wrap(kind, bytes, (uint32_t)kernel_bytes);
	struct payload payload;
	uint64_t produced;
	unsigned survived = 0, wrong = 0;

	tap_ok(payload_find(image, total, &payload) == PV_OK && payload.kind == kind &&
	               payload.unpacked_bytes == kernel_bytes,
	       "%s: found in a bzImage, with its size", name);
	tap_ok(unpack(image, total, ROOM, &produced) == PV_OK && produced == kernel_bytes &&
	               memcmp(out, kernel, kernel_bytes) == 0,
	       "%s: unpacks to what went in", name);
	tap_ok(unpack(image, total, kernel_bytes, &produced) == PV_OK && produced == kernel_bytes,
	       "%s: unpacks into a buffer of exactly its size", name);
	memset(out, 0xee, sizeof(out));
	tap_ok(unpack(image, total, kernel_bytes - 1, &produced) == PV_ERR_OUTPUT &&
	               out[kernel_bytes - 1] == 0xee,
	       "%s: a buffer that is a byte too small is not overrun", name);
	tap_ok(payload_find(image, total - 1, &payload) == PV_ERR_TRUNCATED,
	       "%s: a truncated bzImage is refused", name);
	if (kind == PAYLOAD_ELF)
		return;
	payload_find(image, total, &payload);
	payload.bytes /= 2;
	tap_ok(decompress(&payload, out, ROOM, &produced) != PV_OK, "%s: half of the data is refused", name);
	/* Each byte of the packed data flipped: no crash (sanitizers), and never silently other content. */
	for (size_t at = total - bytes; at < total; at += 7) {
		image[at] ^= 0x41;
		if (unpack(image, total, ROOM, &produced) == PV_OK) {
			survived++;
			wrong += produced != kernel_bytes || memcmp(out, kernel, kernel_bytes) != 0;
		}
		image[at] ^= 0x41;
	}
	tap_ok(wrong == 0, "%s: damage is detected (%u of the flips did not matter)", name, survived);
}

static void test_bare(void)
{
	uint64_t produced;
	size_t n = pack(PAYLOAD_GZIP);

	tap_ok(unpack(packed, n, ROOM, &produced) == PV_OK && produced == kernel_bytes,
	       "a gzipped ELF outside of a bzImage");
	tap_ok(unpack(kernel, kernel_bytes, ROOM, &produced) == PV_OK && produced == kernel_bytes,
	       "a plain ELF");
}

static void test_foreign(void)
{
	static const struct {
		const char *magic;
		size_t bytes;
		enum payload_kind kind;
	} foreign[] = {
		{ "BZh91AY&", 8, PAYLOAD_BZIP2 },           { "\x5d\0\0\0\4\xff\xff\xff", 8, PAYLOAD_LZMA },
		{ "\x89LZO\0\r\n\x1a", 8, PAYLOAD_LZO },    { "\x02\x21\x4c\x18....", 8, PAYLOAD_LZ4 },
		{ "\x04\x22\x4d\x18....", 8, PAYLOAD_LZ4 },
	};
	struct payload payload;
	uint64_t produced;

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		memcpy(packed, foreign[i].magic, foreign[i].bytes);
		size_t total = wrap(foreign[i].kind, foreign[i].bytes, 100);

		tap_ok(payload_find(image, total, &payload) == PV_OK && payload.kind == foreign[i].kind &&
		               decompress(&payload, out, ROOM, &produced) == PV_ERR_COMPRESSION,
		       "%s is recognised and refused", payload_kind_name(foreign[i].kind));
	}
	tap_ok(payload_find("MZ not a kernel", 15, &payload) == PV_ERR_FORMAT, "other files are refused");
	tap_ok(payload_find("", 0, &payload) == PV_ERR_FORMAT, "an empty file is refused");
}

static void test_lies(void)
{
	uint32_t value = 0xfffffff0;
	struct payload payload;
	size_t total = wrap(PAYLOAD_GZIP, pack(PAYLOAD_GZIP), 0);

	memcpy(image + 0x248, &value, 4);
	tap_ok(payload_find(image, total, &payload) == PV_ERR_TRUNCATED,
	       "an offset beyond the image is refused");
	wrap(PAYLOAD_GZIP, 100, 0);
	memcpy(image + 0x24c, &value, 4);
	tap_ok(payload_find(image, total, &payload) == PV_ERR_TRUNCATED,
	       "a length beyond the image is refused");
	value = 0;
	memcpy(image + 0x24c, &value, 4);
	tap_ok(payload_find(image, total, &payload) == PV_ERR_TRUNCATED, "a length of 0 is refused");
	wrap(PAYLOAD_GZIP, 100, 0);
	image[0x206] = 0x07;
	tap_ok(payload_find(image, total, &payload) == PV_ERR_FORMAT,
	       "a boot protocol without payload fields is refused");
}

int main(void)
{
	struct makeelf m = makeelf_modern();

	kernel_bytes = makeelf(&m, kernel);
	test_kind(PAYLOAD_ELF);
	test_kind(PAYLOAD_GZIP);
	test_kind(PAYLOAD_XZ);
	test_kind(PAYLOAD_ZSTD);
	test_bare();
	test_foreign();
	test_lies();
	return tap_end();
}
