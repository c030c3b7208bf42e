/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bzImages and other packings made by the test with the same libraries' compressors: they unpack to what went
 * in, and damaged, truncated, lying and foreign ones are refused for the right reason.
 */
#include <lz4hc.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <stdbool.h>
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

static size_t put_big_endian(size_t at, unsigned bytes, uint32_t value)
{
	while (bytes--)
		packed[at++] = (uint8_t)(value >> 8 * bytes);
	return at;
}

/* In two blocks, the second of which may be stored, as "lzop" writes a file without a name. */
static size_t pack_lzo(uint32_t flags, bool stored)
{
	static uint8_t work[LZO1X_1_MEM_COMPRESS];
	size_t at = 9, first = kernel_bytes / 2, from = 0, header;

	memcpy(packed, "\x89LZO\0\r\n\x1a\n", 9);
	header = at;
	at = put_big_endian(at, 2, 0x1040); /* version */
	at = put_big_endian(at, 2, 0x20a0); /* of the library */
	at = put_big_endian(at, 2, 0x0940); /* needed */
	at = put_big_endian(at, 2, 0x0105); /* LZO1X-1, level 5 */
	at = put_big_endian(at, 4, flags);
	at = put_big_endian(at, 4, 0100644);
	at = put_big_endian(at, 4, 1795856713); /* time */
	at = put_big_endian(at, 4, 0);
	at = put_big_endian(at, 1, 0);
	at = put_big_endian(at, 4, adler32(1, packed + header, (uInt)(at - header)));
	for (unsigned i = 0; i < 2; i++) {
		size_t bytes = i ? kernel_bytes - first : first;
		lzo_uint n = 0;
		static uint8_t block[ROOM];

		if (lzo1x_1_compress(kernel + from, bytes, block, &n, work) != LZO_E_OK)
			abort();
		if (n >= bytes || (i && stored)) {
			memcpy(block, kernel + from, bytes);
			n = bytes;
		}
		at = put_big_endian(at, 4, (uint32_t)bytes);
		at = put_big_endian(at, 4, (uint32_t)n);
		if (flags & 1)
			at = put_big_endian(at, 4, adler32(1, kernel + from, (uInt)bytes));
		else if (flags & 0x100)
			at = put_big_endian(at, 4, crc32(0, kernel + from, (uInt)bytes));
		if ((flags & 0x202) && n < bytes)
			at = put_big_endian(at, 4, adler32(1, block, (uInt)n));
		memcpy(packed + at, block, n);
		at += n;
		from += bytes;
	}
	return put_big_endian(at, 4, 0);
}

/* In two blocks, each behind its size. */
static size_t pack_lz4(void)
{
	size_t at = 4, half = kernel_bytes / 2;

	memcpy(packed, "\x02\x21\x4c\x18", 4);
	for (unsigned i = 0; i < 2; i++) {
		size_t bytes = i ? kernel_bytes - half : half;
		int n = LZ4_compress_HC((char *)kernel + i * half, (char *)packed + at + 4, (int)bytes,
		                        (int)(ROOM - at - 4), 9);

		if (n <= 0)
			abort();
		memcpy(packed + at, &n, 4);
		at += 4 + (size_t)n;
	}
	return at;
}

/* As "lzma" does: the length is not told, there is a mark at the end. */
static size_t pack_lzma(void)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	size_t n;

	if (lzma_lzma_preset(&options, 6) || lzma_alone_encoder(&stream, &options) != LZMA_OK)
		abort();
	stream.next_in = kernel;
	stream.avail_in = kernel_bytes;
	stream.next_out = packed;
	stream.avail_out = ROOM;
	if (lzma_code(&stream, LZMA_FINISH) != LZMA_STREAM_END)
		abort();
	n = stream.total_out;
	lzma_end(&stream);
	/* The dictionary of "lzma -9", which the kernel's build calls: to pack with it takes 700 MiB, to unpack 64. */
	memcpy(packed + 1, (const uint8_t[]){ 0, 0, 0, 4 }, 4);
	return n;
}

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
	case PAYLOAD_LZMA:
		return pack_lzma();
	case PAYLOAD_LZO:
		return pack_lzo(3, false);
	case PAYLOAD_LZ4:
		return pack_lz4();
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
	if (kind == PAYLOAD_LZMA || kind == PAYLOAD_LZ4)
		printf("# %s has no checksum: %u of the flips were not found, %u gave another content\n",
		       name, survived, wrong);
	else
		tap_ok(wrong == 0, "%s: damage is detected (%u of the flips did not matter)", name, survived);
}

static void test_bare(void)
{
	uint64_t produced;
	size_t n = pack(PAYLOAD_GZIP);

	tap_ok(unpack(packed, n, ROOM, &produced) == PV_OK && produced == kernel_bytes,
	       "a gzipped ELF outside of a bzImage");
	n = pack(PAYLOAD_LZ4);
	tap_ok(unpack(packed, n, ROOM, &produced) == PV_OK && produced == kernel_bytes &&
	               memcmp(out, kernel, kernel_bytes) == 0,
	       "what \"lz4 -l\" makes of an ELF");
	tap_ok(unpack(packed, n + 2, ROOM, &produced) == PV_ERR_CORRUPT, "lz4: cut off within a size");
	memcpy(packed + n, packed, n);
	tap_ok(unpack(packed, 2 * n, ROOM, &produced) == PV_OK && produced == 2 * kernel_bytes,
	       "two of these one behind the other");
	tap_ok(unpack(kernel, kernel_bytes, ROOM, &produced) == PV_OK && produced == kernel_bytes,
	       "a plain ELF");
}

/* What lzop may leave out or add. */
static void test_lzop(void)
{
	static const uint32_t flags[] = { 0, 1, 2, 3, 0x100, 0x300, 0x302 };
	uint64_t produced;
	unsigned good = 0;
	size_t n;

	for (size_t i = 0; i < 2 * sizeof(flags) / sizeof(flags[0]); i++) {
		n = pack_lzo(flags[i / 2], i % 2);
		memset(out, 0, kernel_bytes);
		good += unpack(packed, n, ROOM, &produced) == PV_OK && produced == kernel_bytes &&
		        memcmp(out, kernel, kernel_bytes) == 0;
	}
	tap_ok(good == 14, "lzop: checksums of all kinds and of none, a stored block");
	n = pack_lzo(0x801, false);
	tap_ok(unpack(packed, n, ROOM, &produced) == PV_ERR_COMPRESSION, "lzop: a filter is refused");
	n = pack_lzo(1, false);
	packed[15] = 4;
	put_big_endian(34, 4, adler32(1, packed + 9, 25));
	tap_ok(unpack(packed, n, ROOM, &produced) == PV_ERR_COMPRESSION, "lzop: another method is refused");
	n = pack_lzo(1, false);
	put_big_endian(38, 4, 0xfffffff0);
	tap_ok(unpack(packed, n, ROOM, &produced) == PV_ERR_CORRUPT, "lzop: a block of 4 GiB is refused");
}

static void test_foreign(void)
{
	static const struct {
		const char *magic;
		size_t bytes;
		enum payload_kind kind;
	} foreign[] = {
		{ "BZh91AY&", 8, PAYLOAD_BZIP2 }, /* libxenctrl's: worker_test */
		{ "\x04\x22\x4d\x18....", 8, PAYLOAD_LZ4_FRAME },
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
	for (enum payload_kind kind = PAYLOAD_GZIP; kind <= PAYLOAD_BZIP2; kind++)
		tap_ok(strstr(pv_error_text(PV_ERR_COMPRESSION), payload_kind_name(kind)) != NULL,
		       "the refusal of others names %s", payload_kind_name(kind));
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
	test_kind(PAYLOAD_LZMA);
	test_kind(PAYLOAD_LZO);
	test_kind(PAYLOAD_LZ4);
	test_bare();
	test_lzop();
	test_foreign();
	test_lies();
	return tap_end();
}
