/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: any bytes as what a user calls a kernel, and as the payload of a bzImage that is right otherwise. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/lib/decompress.h"
#include "hypervisor/lib/pverror.h"

#define ROOM (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void unpack(const uint8_t *image, size_t bytes)
{
	struct payload payload;
	uint64_t produced;
	uint8_t *out;
	size_t room;

	if (payload_find(image, bytes, &payload) != PV_OK)
		return;
	room = payload.unpacked_bytes < ROOM ? payload.unpacked_bytes : ROOM;
	out = malloc(room ? room : 1);
	if (decompress(&payload, out, room, &produced) == PV_OK && produced > room)
		abort();
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char magic[3][7] = { "\x1f\x8b\x08",
		                          "\xfd"
		                          "7zXZ",
		                          "\x28\xb5\x2f\xfd" };
	static const size_t magic_bytes[3] = { 3, 6, 4 };
	uint8_t *image;
	uint32_t length;

	unpack(data, bytes);
	if (!bytes)
		return 0;
	image = calloc(1, 1024 + bytes + 16);
	length = (uint32_t)(bytes + 6);
	image[0x1f1] = 1;
	memcpy(image + 0x202, "HdrS\x0f\x02", 6);
	memcpy(image + 0x24c, &length, 4);
	memcpy(image + 1024, magic[data[0] % 3], magic_bytes[data[0] % 3]);
	memcpy(image + 1024 + magic_bytes[data[0] % 3], data + 1, bytes - 1);
	unpack(image, 1024 + length);
	free(image);
	return 0;
}
