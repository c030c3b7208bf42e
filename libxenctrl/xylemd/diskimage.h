/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an image of a disk says at its beginning: whether QEMU can be given it and nothing else. Pure; the bytes are not trusted.
 *
 * Nothing is guessed: an image is what the configuration says, or it is refused.
 */
#ifndef XYLEMD_DISKIMAGE_H
#define XYLEMD_DISKIMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "guestconf.h"

#define DISKIMAGE_HEAD 512 /* bytes that are looked at */

/* head: the image's first bytes, fewer where it has fewer. NULL, or why not, as the end of a sentence about it. */
const char *diskimage_refusal(enum disk_format format, const uint8_t *head, size_t bytes);

#endif
