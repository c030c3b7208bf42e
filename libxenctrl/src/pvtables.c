/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Page tables between frames and pfns. Makes no hypercalls. Source: xen/arch-x86/xen-x86_64.h, SDM volume 3, 4.5. */
#include "pvtables.h"

#define ENTRIES     512u
#define PTE_PRESENT 1u
#define PTE_LARGE   0x80u                        /* at level 2 and 3; at level 1 a bit of the cache's */
#define PTE_FRAMES  UINT64_C(0x000ffffffffff000) /* the bits with the frame's number */
#define XEN_FIRST   256u                         /* the hypervisor's entries in an L4 */
#define XEN_LAST    271u

enum pvtables_result pvtables_translate(const uint64_t from[512], uint64_t to[512], unsigned level,
                                        pvtables_fn *fn, const void *data, uint64_t *entry)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t e = from[i], frame;

		if (level == 4 && i >= XEN_FIRST && i <= XEN_LAST)
			e = 0;
		if (e & PTE_PRESENT) {
			*entry = e;
			if (level > 1 && e & PTE_LARGE)
				return PVTABLES_LARGE;
			frame = fn(data, (e & PTE_FRAMES) >> 12);
			if (frame == XYL_PAGE_NONE)
				return PVTABLES_UNKNOWN;
			e = (e & ~PTE_FRAMES) | frame << 12;
		}
		to[i] = e;
	}
	return PVTABLES_OK;
}
