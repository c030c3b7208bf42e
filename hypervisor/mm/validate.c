/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which page-table entries and descriptors a guest may have.
 *
 * A 64-bit guest kernel runs in ring 3, so every present entry of a guest gets the user bit; the guest sees
 * it. No global translations: the switch between guest kernel and guest user must drop the kernel's. No
 * superpages. RAM is mapped write-back
 * only, so that no mapping contradicts the hypervisor's own. What is no RAM a domain maps within its ranges, and
 * the hypervisor's own devices are in nobody's: registers of devices without a cache (a type that caches becomes
 * UC-, which leaves the last word to the MTRRs), what the firmware keeps in memory as the domain likes.
 *
 * Sources: SDM Vol. 3, 4.5 (entries), 3.4.5 and 5.8 (descriptors); xen/arch-x86/xen-x86_64.h.
 */
#include "mm/validate.h"
#include "mm/internal.h"
#include "mm/shadow.h"

/* Address bits that the L1 data cache of an L1TF-vulnerable processor looks at. */
#define L1TF_ADDR_BITS  44
#define FIRMWARE_FRAMES 256 /* the first MiB */

/* Frame 0 holds nothing of worth; a superpage reaches further, whatever its address. */
bool entry_is_l1tf_unsafe(enum ptype level, uint64_t entry)
{
	uint64_t mfn = ((entry & PTE_ADDR) & ((1ull << L1TF_ADDR_BITS) - 1)) >> PAGE_SHIFT;

	return !(entry & PTE_P) && ((mfn && mfn < max_mfn) || (level > PTYPE_L1 && (entry & PTE_PSE)));
}

/* Such entries the domain may have, but no processor's walk may find them (shadow_force()). */
static int nonpresent_check(struct domain_mm *d, enum ptype level, uint64_t entry)
{
	int rc;

	if (likely(d->l1tf_exempt || !entry) || !entry_is_l1tf_unsafe(level, entry))
		return 0;
	rc = shadow_force(d);
	if (!rc)
		d->l1tf_exempt = true;
	else if (rc == -ENOMEM)
		mm_domain_crash(
		        d, "no memory for shadow page tables, without which a non-present entry is unsafe "
		           "on this processor (L1TF)");
	return rc;
}

int l1e_check_flags(struct domain_mm *d, uint64_t *entry)
{
	uint64_t e = *entry;
	uint64_t allowed = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_G | PTE_AVAIL | PTE_ADDR | PTE_NX;

	if (unlikely(d->iomem.count))
		allowed |= PTE_CACHE;
	if (unlikely(e & ~allowed) || unlikely((e & PTE_NX) && !cpu_features.nx))
		return -EINVAL;
	*entry = (e | PTE_US) & ~PTE_G;
	return 0;
}

/* d need not be the domain whose tables are locked: pages_lock is a leaf for both. */
bool mm_iomem_contains(struct domain_mm *d, uint64_t first, uint64_t last)
{
	bool contains;

	spin_lock(&d->pages_lock);
	contains = rangeset_contains(&d->iomem, first, last);
	spin_unlock(&d->pages_lock);
	return contains;
}

int mm_iomem_permit(struct domain_mm *d, uint64_t first, uint64_t last, bool allow)
{
	int rc;

	spin_lock(&d->pages_lock);
	rc = allow ? rangeset_add(&d->iomem, first, last) : rangeset_remove(&d->iomem, first, last);
	spin_unlock(&d->pages_lock);
	return rc;
}

int l1e_get_io(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t mfn)
{
	if (mfn == PTE_ADDR >> PAGE_SHIFT)
		return -EINVAL; /* no frame at all */
	if (mfn >> (cpu_features.phys_bits - PAGE_SHIFT) || !mm_iomem_contains(d, mfn, mfn))
		return -EPERM;
	if (pg_owner && pg_owner != d && !mm_iomem_contains(pg_owner, mfn, mfn))
		return -EPERM;
	return 0;
}

/* Registers of devices: above the first MiB, what the memory map says nothing of. */
static bool frame_is_device(uint64_t mfn)
{
	if (mfn < FIRMWARE_FRAMES)
		return false;
	for (unsigned i = 0; i < memory_map_count; i++)
		if (mfn >= memory_map[i].start >> PAGE_SHIFT &&
		    mfn < (memory_map[i].end + PAGE_SIZE - 1) >> PAGE_SHIFT)
			return false;
	return true;
}

/* The nearest that does not cache, of the types that PAT gives these bits (Xen's ABI): WB, WT, UC-, UC, WC, WP. */
static uint64_t entry_uncached(uint64_t entry)
{
	uint64_t type = entry & PTE_CACHE;

	if (type == 0 || type == PTE_PWT || type == (PTE_PSE | PTE_PWT))
		return (entry & ~PTE_CACHE) | PTE_PCD;
	return entry;
}

static int l1e_get_device(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t *entry)
{
	uint64_t mfn = PTE_MFN(*entry).m;
	int rc = l1e_get_io(d, pg_owner, mfn);

	if (!rc && frame_is_device(mfn))
		*entry = entry_uncached(*entry);
	return rc;
}

int l1e_get(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t *entry)
{
	uint64_t mfn = PTE_MFN(*entry).m;
	struct frame *f;
	int rc;

	if (!(*entry & PTE_P))
		return nonpresent_check(d, PTYPE_L1, *entry);
	rc = l1e_check_flags(d, entry);
	if (unlikely(rc))
		return rc;
	if (unlikely(!frame_is_ram(mfn)))
		return l1e_get_device(d, pg_owner, entry);
	if (unlikely(*entry & PTE_CACHE))
		return -EINVAL;
	f = frame_at(mfn);
	if (unlikely(!pg_owner || pg_owner->dying || !count_get_owned(f, pg_owner)))
		return -EBUSY;
	if ((*entry & PTE_RW) && unlikely(type_get_writable(f, d))) {
		count_dec(f);
		return -EBUSY;
	}
	return 0;
}

int upper_check(struct domain_mm *d, enum ptype level, uint64_t *entry)
{
	uint64_t allowed =
	        PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_AVAIL | PTE_GRANT | PTE_ADDR | PTE_NX;

	if (!(*entry & PTE_P))
		return nonpresent_check(d, level, *entry);
	if ((*entry & ~allowed) || ((*entry & PTE_NX) && !cpu_features.nx))
		return -EINVAL;
	*entry |= PTE_US;
	return 0;
}

#define DESC_P    (1ull << 47)
#define DESC_DPL  (3ull << 45)
#define DESC_S    (1ull << 44)
#define DESC_TYPE (15ull << 40)

/*
 * Code and data segments are harmless at privilege level 3, to which a level below is raised: a guest's
 * kernel runs there. Of system descriptors only the null type is accepted (LDT and TSS are the hypervisor's;
 * a call gate would lead into ring 0 or, at best, nowhere).
 */
int descriptor_check(uint64_t *desc)
{
	if (!(*desc & DESC_P))
		return 0;
	if (*desc & DESC_S) {
		*desc |= DESC_DPL;
		return 0;
	}
	return *desc & DESC_TYPE ? -EINVAL : 0;
}

bool descriptors_check(uint64_t *page)
{
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*page); i++) {
		uint64_t desc = page[i];

		if (descriptor_check(&desc))
			return false;
		if (desc != page[i])
			page[i] = desc;
	}
	return true;
}
