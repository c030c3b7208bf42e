/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nodes of a domain's memory, on a fake hypervisor (fakehv.h). */
#include <errno.h>
#include <string.h>

#include "../../lib/tap.h"
#include "fakehv.h"

int main(void)
{
	struct xyl *const x = NULL; /* the fake hypervisor needs no handle */
	uint8_t map[4], one[2] = { 0x55, 0x55 };
	static uint8_t large[XYL_PAGE_BYTES + 1];

	fake_reset();
	fake_create(1);
	fake_domains[1].nodes[0] = 0x05;
	fake_domains[1].nodes[1] = 0x80;
	memset(map, 0x55, sizeof(map));
	tap_ok(xyl_memory_get_nodes(x, 1, map, sizeof(map)) == 0 && map[0] == 0x05 && map[1] == 0x80 &&
	               !map[2] && !map[3],
	       "the nodes of a domain, and no others");
	tap_ok(xyl_memory_get_nodes(x, 1, one, 1) == 0 && one[0] == 0x05 && one[1] == 0x55,
	       "a map of one byte, and nothing beyond it");
	tap_ok(xyl_memory_get_nodes(x, 2, map, sizeof(map)) < 0 && errno == ESRCH &&
	               strstr(xyl_error(), "domain 2"),
	       "a domain that is not there is ESRCH, and named");
	tap_ok(xyl_memory_get_nodes(x, 1, map, 0) < 0 && errno == EINVAL, "a map without bytes is refused");
	tap_ok(xyl_memory_get_nodes(x, 1, large, sizeof(large)) < 0 && errno == EINVAL,
	       "so is one larger than a page");
	fake_calls = 0;
	fake_fail_at = 1;
	memset(map, 0x55, sizeof(map));
	tap_ok(xyl_memory_get_nodes(x, 1, map, sizeof(map)) < 0 && errno == ENOMEM && map[0] == 0x55,
	       "a call that fails changes nothing");
	fake_fail_at = 0;
	tap_ok(!fake_allocated, "no memory of hypercalls is left");
	return tap_end();
}
