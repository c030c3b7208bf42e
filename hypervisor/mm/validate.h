/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may stand in an entry of a page table or in a descriptor. */
#ifndef MM_VALIDATE_H
#define MM_VALIDATE_H

#include "mm/frame.h"

/* Checks a present or non-present entry, adds what the hypervisor adds, and (L1) takes the references that it
 * stands for. 0; -EINVAL: flags; L1 also -EBUSY: the frame is not pg_owner's or in another use, -EPERM: no
 * RAM, and not the domain's to map. Of a non-present one also -ERESTART_HV and -ENOMEM, as shadow_force(). */
int l1e_get(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t *entry);

/* An entry that names no RAM: memory-mapped I/O that both the mapper and, if named, its owner may use. 0,
 * -EPERM; -EINVAL: no address at all. */
int l1e_get_io(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t mfn);
int l1e_check_flags(struct domain_mm *d, uint64_t *entry);
int upper_check(struct domain_mm *d, enum ptype level, uint64_t *entry);
/* Whether a processor with L1TF that walks the entry, which is not present, may read what is cached of memory. */
bool entry_is_l1tf_unsafe(enum ptype level, uint64_t entry);
/* Makes the descriptors of a page safe to load; false where one cannot be. Nobody can write the page. */
bool descriptors_check(uint64_t *page);

/* Machine frames outside of RAM that the domain may map: [first, last]. 0, or -ENOMEM. */
bool mm_iomem_contains(struct domain_mm *d, uint64_t first, uint64_t last);
int mm_iomem_permit(struct domain_mm *d, uint64_t first, uint64_t last, bool allow) __must_check;

/* One descriptor, as update_descriptor hands it in: 0 with its privilege level fixed, or -EINVAL. */
int descriptor_check(uint64_t *desc) __must_check;

#endif
