/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dom0's kernel, as the ELF image that the builder reads. */
#ifndef BOOT_UNPACK_H
#define BOOT_UNPACK_H

#include "lib/types.h"

struct unpacked {
	const void *data; /* contiguous, in the direct map */
	uint64_t bytes;
	mfn_t frame; /* first of pages frames, INVALID_MFN when data lies in the module itself */
	uint64_t pages;
};

/* PV_OK or PV_ERR_* (lib/pverror.h). image: bzImage, ELF or a compressed ELF. */
int kernel_unpack(const void *image, uint64_t bytes, struct unpacked *u) __must_check;
void kernel_unpacked_free(struct unpacked *u);

#endif
