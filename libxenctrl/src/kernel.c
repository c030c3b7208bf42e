/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unpacking of guest kernels. No handle, no files, no threads: memory alone, so that a confined process can
 * do it.
 */
#include <bzlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "kernel.h"
#include "hypervisor/lib/decompress.h"

#define UNPACKED_MAX   ((size_t)256 << 20)
#define UNPACKED_GUESS ((size_t)64 << 20) /* where the image does not tell */

int xyl_kernel_errno(int pv_error)
{
	switch (pv_error) {
	case PV_ERR_OUTPUT:
		return EFBIG;
	case PV_ERR_MEMORY:
	case PV_ERR_MAP:
		return ENOMEM;
	case PV_ERR_TOO_SMALL:
	case PV_ERR_TOO_LARGE:
	case PV_ERR_CMDLINE:
		return E2BIG;
	default:
		return ENOEXEC;
	}
}

int xyl_kernel_check(const void *image, size_t image_bytes)
{
	struct pv_image parsed;
	int rc = pv_image_parse(&parsed, image, image_bytes);

	if (rc != PV_OK)
		return xyl_fail_text(xyl_kernel_errno(rc), "cannot use the kernel: %s", pv_error_text(rc));
	return 0;
}

/* A bzImage that somebody has packed with gzip, say: one layer is taken off, and no more. */
static int check_unpacked_once(const struct payload *outer, const void *image, size_t image_bytes)
{
	struct payload inner;

	if (outer->kind == PAYLOAD_ELF || payload_find(image, image_bytes, &inner) != PV_OK ||
	    inner.kind == PAYLOAD_ELF || inner.kind == PAYLOAD_UNKNOWN)
		return 0;
	return xyl_fail_text(
	        ENOEXEC,
	        "cannot use the kernel: it is packed twice, by %s what is packed by %s; unpack the file once",
	        payload_kind_name(outer->kind), payload_kind_name(inner.kind));
}

/* As decompress(). */
static int unpack_bzip2(const struct payload *payload, void *out, size_t room, uint64_t *produced)
{
	unsigned int n = room > UINT_MAX ? UINT_MAX : (unsigned int)room;
	int rc;

	if (payload->bytes > UINT_MAX)
		return PV_ERR_CORRUPT;
	rc = BZ2_bzBuffToBuffDecompress(out, &n, (char *)(uintptr_t)payload->data,
	                                (unsigned int)payload->bytes, 0, 0);
	*produced = n;
	switch (rc) {
	case BZ_OK:
		return PV_OK;
	case BZ_MEM_ERROR:
		return PV_ERR_MEMORY;
	case BZ_OUTBUFF_FULL:
		return PV_ERR_OUTPUT;
	default:
		return PV_ERR_CORRUPT;
	}
}

int xyl_kernel_unpack(const void *image, size_t image_bytes, size_t max_bytes, void **out, size_t *out_bytes)
{
	struct payload payload;
	uint64_t produced = 0;
	size_t room;
	void *buffer;
	int rc;

	if (!max_bytes)
		max_bytes = UNPACKED_MAX;
	rc = payload_find(image, image_bytes, &payload);
	if (rc != PV_OK)
		return xyl_fail_text(xyl_kernel_errno(rc), "cannot unpack the kernel: %s", pv_error_text(rc));
	if (payload.kind > PAYLOAD_BZIP2)
		return xyl_fail_text(
		        ENOEXEC,
		        "cannot unpack the kernel: it is compressed by %s; gzip, bzip2, lzma, xz, lzo, lz4 -l "
		        "and zstd are supported",
		        payload_kind_name(payload.kind));
	room = payload.unpacked_bytes ? payload.unpacked_bytes : UNPACKED_GUESS;
	if (room > max_bytes && payload.unpacked_bytes)
		return xyl_fail_text(
		        EFBIG, "cannot unpack the kernel: it says that it takes %zu bytes; the limit is %zu",
		        room, max_bytes);
	if (room > max_bytes)
		room = max_bytes;
	buffer = malloc(room);
	if (!buffer)
		return xyl_fail(ENOMEM, "cannot unpack the kernel");
	rc = payload.kind == PAYLOAD_BZIP2 ? unpack_bzip2(&payload, buffer, room, &produced)
	                                   : decompress(&payload, buffer, room, &produced);
	if (rc != PV_OK)
		xyl_fail_text(xyl_kernel_errno(rc), "cannot use the kernel: %s", pv_error_text(rc));
	if (rc != PV_OK || check_unpacked_once(&payload, buffer, produced) ||
	    xyl_kernel_check(buffer, produced)) {
		int error = errno;

		free(buffer);
		errno = error;
		return -1;
	}
	*out = buffer;
	*out_bytes = produced;
	return 0;
}
