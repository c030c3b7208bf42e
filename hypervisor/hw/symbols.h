/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image's symbols and its build id. */
#ifndef HW_SYMBOLS_H
#define HW_SYMBOLS_H

#include "lib/types.h"

struct symbol_hit {
	const char *name;
	uint64_t offset;
};
bool symbol_find(uint64_t address, struct symbol_hit *hit);

/* The bytes by which the linker names this build of the hypervisor. */
const void *build_id(size_t *bytes);

#endif
