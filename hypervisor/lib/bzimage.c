/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds a kernel's payload; see bzimage.h. Source for the header: Linux, Documentation/arch/x86/boot.rst
 * (setup_sects at 0x1f1, "HdrS" at 0x202, version at 0x206, payload_offset at 0x248, payload_length at 0x24c,
 * both from the start of the protected-mode code). The build appends the unpacked size, 32 bits, to the
 * payload; gzip ends in its own anyway.
 */
#include <stdbool.h>
#include <string.h>

#include "bzimage.h"
#include "pverror.h"

#define BOOT_SETUP_SECTS     0x1f1u
#define BOOT_MAGIC           0x202u
#define BOOT_VERSION         0x206u
#define BOOT_PAYLOAD_OFFSET  0x248u
#define BOOT_PAYLOAD_LENGTH  0x24cu
#define BOOT_HEADER_END      0x250u
#define BOOT_VERSION_PAYLOAD 0x0208u /* the first that tells where the payload lies */
#define SECTOR_BYTES         512u

static const struct {
	enum payload_kind kind;
	uint8_t length;
	uint8_t magic[6];
	const char *name;
} kinds[] = {
	{ PAYLOAD_ELF, 4, { 0x7f, 'E', 'L', 'F' }, "ELF" },
	{ PAYLOAD_GZIP, 2, { 0x1f, 0x8b }, "gzip" },
	{ PAYLOAD_XZ, 6, { 0xfd, '7', 'z', 'X', 'Z', 0 }, "xz" },
	{ PAYLOAD_ZSTD, 4, { 0x28, 0xb5, 0x2f, 0xfd }, "zstd" },
	{ PAYLOAD_BZIP2, 3, { 'B', 'Z', 'h' }, "bzip2" },
	{ PAYLOAD_LZMA, 3, { 0x5d, 0x00, 0x00 }, "lzma" },
	{ PAYLOAD_LZO, 5, { 0x89, 'L', 'Z', 'O', 0x00 }, "lzo" },
	{ PAYLOAD_LZ4, 4, { 0x02, 0x21, 0x4c, 0x18 }, "lz4" },
	{ PAYLOAD_LZ4_FRAME, 4, { 0x04, 0x22, 0x4d, 0x18 }, "lz4 in frames (not lz4 -l)" },
};

#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

const char *payload_kind_name(enum payload_kind kind)
{
	for (unsigned i = 0; i < KIND_COUNT; i++) {
		if (kinds[i].kind == kind)
			return kinds[i].name;
	}
	return "unknown";
}

static enum payload_kind kind_of(const uint8_t *data, uint64_t bytes)
{
	for (unsigned i = 0; i < KIND_COUNT; i++) {
		if (bytes >= kinds[i].length && memcmp(data, kinds[i].magic, kinds[i].length) == 0)
			return kinds[i].kind;
	}
	return PAYLOAD_UNKNOWN;
}

/* Sizes for a payload at data; the trailing size word is split off where the format has none of its own. */
static int describe(const uint8_t *data, uint64_t bytes, bool size_word, struct payload *payload)
{
	uint32_t last;

	payload->kind = kind_of(data, bytes);
	payload->data = data;
	payload->bytes = bytes;
	payload->unpacked_bytes = bytes;
	if (payload->kind == PAYLOAD_ELF || payload->kind == PAYLOAD_UNKNOWN)
		return PV_OK;
	if (payload->kind != PAYLOAD_GZIP && !size_word) {
		payload->unpacked_bytes = 0;
		return PV_OK;
	}
	if (bytes < 8)
		return PV_ERR_TRUNCATED;
	memcpy(&last, data + bytes - sizeof(last), sizeof(last));
	payload->unpacked_bytes = last;
	if (payload->kind != PAYLOAD_GZIP)
		payload->bytes -= sizeof(last);
	return PV_OK;
}

static bool is_bzimage(const uint8_t *image, uint64_t bytes)
{
	uint16_t version;

	if (bytes < BOOT_HEADER_END || memcmp(image + BOOT_MAGIC, "HdrS", 4) != 0)
		return false;
	memcpy(&version, image + BOOT_VERSION, sizeof(version));
	return version >= BOOT_VERSION_PAYLOAD;
}

int payload_find(const void *image, uint64_t bytes, struct payload *payload)
{
	const uint8_t *h = image;
	uint32_t offset, length;
	uint64_t start;
	int rc;

	memset(payload, 0, sizeof(*payload));
	payload->kind = PAYLOAD_UNKNOWN;
	if (!is_bzimage(h, bytes)) {
		rc = describe(h, bytes, false, payload);
		return rc == PV_OK && payload->kind == PAYLOAD_UNKNOWN ? PV_ERR_FORMAT : rc;
	}
	/* 0 stands for 4 setup sectors, for old boot loaders' sake; the boot sector comes on top. */
	start = ((h[BOOT_SETUP_SECTS] ? h[BOOT_SETUP_SECTS] : 4u) + UINT64_C(1)) * SECTOR_BYTES;
	memcpy(&offset, h + BOOT_PAYLOAD_OFFSET, sizeof(offset));
	memcpy(&length, h + BOOT_PAYLOAD_LENGTH, sizeof(length));
	start += offset;
	if (!length || start > bytes || length > bytes - start)
		return PV_ERR_TRUNCATED;
	return describe(h + start, length, true, payload);
}
