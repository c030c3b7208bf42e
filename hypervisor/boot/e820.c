/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory map in order: firmware's may be unsorted and overlap. The address line is cut at every start and
 * end; each piece has the type of highest precedence that covers it, and neighbours of one type are joined.
 */
#include "boot/boot.h"

#define RAM 1

/* Overlaps: bad memory, then what firmware keeps, then tables, then RAM. */
static unsigned precedence(uint32_t type)
{
	switch (type) {
	case RAM:
		return 1;
	case 3:
		return 2;
	case 4:
		return 3;
	case 5:
		return 5;
	default:
		return 4;
	}
}

/* Smallest boundary above from; false when there is none. */
static bool next_boundary(const struct memory_region *raw, unsigned count, uint64_t limit, uint64_t from,
                          uint64_t *at)
{
	bool found = false;

	for (unsigned i = 0; i < count; i++) {
		const uint64_t edges[2] = { raw[i].start, raw[i].end };

		for (unsigned e = 0; e < 2; e++)
			if (edges[e] > from && (!found || edges[e] < *at)) {
				*at = edges[e];
				found = true;
			}
	}
	if (limit > from && found && limit < *at)
		*at = limit;
	return found;
}

/* Type of the piece that begins here, 0: none. */
static uint32_t type_at(const struct memory_region *raw, unsigned count, uint64_t limit, uint64_t at)
{
	uint32_t type = 0;

	for (unsigned i = 0; i < count; i++) {
		if (raw[i].start > at || raw[i].end <= at || !raw[i].type)
			continue;
		if (raw[i].type == RAM && at >= limit)
			continue;
		if (!type || precedence(raw[i].type) > precedence(type))
			type = raw[i].type;
	}
	return type;
}

unsigned e820_sanitise(const struct memory_region *raw, unsigned count, uint64_t limit,
                       struct memory_region *out, unsigned max, unsigned *left_out)
{
	uint64_t at = 0, end = 0;
	unsigned n = 0;

	*left_out = 0;
	while (next_boundary(raw, count, limit, at, &end)) {
		uint32_t type = type_at(raw, count, limit, at);

		if (type && n && out[n - 1].end == at && out[n - 1].type == type)
			out[n - 1].end = end;
		else if (type && n < max)
			out[n++] = (struct memory_region){ at, end, type };
		else if (type)
			*left_out += 1;
		at = end;
	}
	return n;
}

uint64_t e820_ram_above(const struct memory_region *raw, unsigned count, uint64_t limit)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		if (raw[i].type == RAM && raw[i].end > limit)
			bytes += raw[i].end - MAX(raw[i].start, limit);
	return bytes;
}
