/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of functions, from the table that symbols.awk made of the first link, and of the build. */
#include "hw/symbols.h"

struct symbol {
	uint64_t address;
	uint64_t name; /* offset into symbol_names */
};
extern const struct symbol symbol_table[];
extern const char symbol_names[];
extern const uint64_t symbol_count;
extern char text_start[], text_end[];

/* An ELF note: sizes of its name and its content, its type, "GNU", the content. */
extern const uint32_t build_id_note[];

const void *build_id(size_t *bytes)
{
	*bytes = build_id_note[1];
	return build_id_note + 4;
}

bool symbol_find(uint64_t address, struct symbol_hit *hit)
{
	uint64_t low = 0, high = symbol_count;

	if (address < (uintptr_t)text_start || address >= (uintptr_t)text_end || !symbol_count)
		return false;
	/* The last one that does not lie behind the address. */
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (symbol_table[middle].address <= address)
			low = middle;
		else
			high = middle;
	}
	if (symbol_table[low].address > address)
		return false;
	hit->name = symbol_names + symbol_table[low].name;
	hit->offset = address - symbol_table[low].address;
	return true;
}
