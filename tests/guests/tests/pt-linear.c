/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linear page tables: a table names itself or another one of its level, read-only, and a kernel reads its entries there */
#include "guest.h"

const char test_name[] = "pt-linear";

#define LINEAR(mfn)         ((uint64_t)(mfn) << 12 | P | US | A)
#define L4_ENTRY(mfn, slot) ((uint64_t)(mfn) << 12 | (slot) << 3)

static uint64_t make_address(unsigned i4, unsigned i3, unsigned i2, unsigned i1)
{
	uint64_t a = (uint64_t)i4 << 39 | (uint64_t)i3 << 30 | (uint64_t)i2 << 21 | (uint64_t)i1 << 12;

	return i4 & 256 ? a | 0xffff000000000000 : a;
}

/* Where the entry of that level for va is seen through L4 slot that names its own table. */
static volatile uint64_t *seen_at(unsigned slot, uint64_t va, int level)
{
	while (level--) {
		va = (va & 0xffffffffffff) >> 9 & ~7ul;
		va |= (uint64_t)slot << 39;
	}
	return (uint64_t *)(slot & 256 ? va | 0xffff000000000000 : va);
}

static void store(void *p)
{
	*(volatile uint64_t *)p = 0;
}

static void same_entry(const volatile uint64_t *seen, const uint64_t *entry)
{
	EXPECT_EQ(*seen & ~(A | D), *entry & ~(A | D));
	EXPECT(*seen & US);
}

static void not_writable(volatile uint64_t *p)
{
	struct fault f = guarded(store, (void *)p);

	EXPECT_EQ(f.vector, 14);
	EXPECT_EQ(f.error & 3, 3);
	EXPECT_EQ(f.cr2, (unsigned long)p);
}

static uint64_t l1_pte(const void *va)
{
	return *entry_of(va, 1);
}

static void in_user_mode(void)
{
	uint64_t entry = *seen_at(300, VIRT_BASE + 0x100000, 1);

	__asm__ volatile("syscall" : : "a"(entry) : "rcx", "r11", "memory");
}

/* The first entry of all comes by a multicall, and what stands behind it is still done. */
static void first(unsigned long l4)
{
	static struct mmu_update u[2];
	struct multicall_entry e[3] = { 0 };

	u[0] = (struct mmu_update){ L4_ENTRY(l4, 10), LINEAR(l4) };
	u[1] = (struct mmu_update){ L4_ENTRY(l4, 11), 0 };
	e[0].op = e[2].op = __HYPERVISOR_xen_version;
	e[1].op = __HYPERVISOR_mmu_update;
	e[1].args[0] = (unsigned long)u;
	e[1].args[1] = 2;
	e[1].args[3] = DOMID_SELF;
	EXPECT_EQ(HC(multicall, e, 3), 0);
	EXPECT_EQ(e[0].result >> 16, 4);
	EXPECT_EQ(e[1].result, 0);
	EXPECT_EQ(e[2].result >> 16, 4);
}

static void top(unsigned long l4, unsigned slot)
{
	char *page = page_alloc();
	uint64_t va = (uint64_t)page;

	EXPECT_EQ(mmu_update(L4_ENTRY(l4, slot), PTE(l4)), -EINVAL);
	EXPECT_EQ(mmu_update(L4_ENTRY(l4, slot), LINEAR(l4)), 0);
	EXPECT_EQ(mmu_update(L4_ENTRY(l4, slot), LINEAR(l4) | RW), -EINVAL);
	for (int level = 1; level <= 4; level++) {
		same_entry(seen_at(slot, va, level), entry_of(page, level));
		same_entry(seen_at(slot, VIRT_BASE, level), entry_of((void *)VIRT_BASE, level));
		not_writable(seen_at(slot, va, level));
	}
	/* It is the table itself: a change is seen after a flush of what was read. */
	EXPECT_EQ(map_read_only(page), 0);
	EXPECT(!(*seen_at(slot, va, 1) & RW));
	EXPECT_EQ(map_writable(page), 0);
	EXPECT(*seen_at(slot, va, 1) & RW);
	/* No L1 entry is there to be changed. */
	EXPECT_EQ(HC(update_va_mapping, seen_at(slot, va, 1), PTE(mfn_of(page)), UVMF_INVLPG), -EINVAL);
	EXPECT_EQ(HC(update_va_mapping, seen_at(slot, va, 2), 0, UVMF_INVLPG), -EINVAL);
	EXPECT_EQ(HC(update_va_mapping, seen_at(slot, va, 4), PTE_RO(mfn_of(page)), UVMF_INVLPG), -EINVAL);
	/* What a hypercall reads there is the entry. */
	EXPECT_EQ(HC(console_io, CONSOLEIO_write, 0, seen_at(slot, va, 1)), 0);
	/* Entries that come later are seen: by the guest and by its hypercalls. */
	EXPECT_EQ(mmu_update(L4_ENTRY(l4, slot + 1), *entry_of(page, 4)), 0);
	EXPECT_EQ(*(volatile char *)make_address(slot + 1, (unsigned)(va >> 30 & 511),
	                                         (unsigned)(va >> 21 & 511), (unsigned)(va >> 12 & 511)),
	          *page);
	EXPECT_EQ(HC(xen_version, XENVER_extraversion,
	             make_address(slot + 1, (unsigned)(va >> 30 & 511), (unsigned)(va >> 21 & 511),
	                          (unsigned)(va >> 12 & 511))),
	          0);
	EXPECT(*page);
	EXPECT_EQ(mmu_update(L4_ENTRY(l4, slot + 1), 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	EXPECT_EQ(HC(xen_version, XENVER_extraversion,
	             make_address(slot + 1, (unsigned)(va >> 30 & 511), (unsigned)(va >> 21 & 511),
	                          (unsigned)(va >> 12 & 511))),
	          -EFAULT);
}

/* Tables of levels 3 and 2 that map our own addresses. */
static void lower(void)
{
	void *base = (void *)VIRT_BASE;
	uint64_t l3 = entry_maddr(base, 3) & ~(PAGE - 1), l2 = entry_maddr(base, 2) & ~(PAGE - 1);
	char *page = page_alloc();
	uint64_t va = (uint64_t)page;
	unsigned i2 = (unsigned)(va >> 21 & 511), i1 = (unsigned)(va >> 12 & 511);

	EXPECT_EQ(mmu_update(l3 + 100 * 8, l3 | P | RW | US | A), -EINVAL);
	EXPECT_EQ(mmu_update(l3 + 100 * 8, l3 | P | US | A), 0);
	EXPECT_EQ(mmu_update(l3 + 100 * 8, l3 | P | RW | US | A), -EINVAL);
	EXPECT_EQ(mmu_update(l2 + 500 * 8, l2 | P | RW | US | A), -EINVAL);
	EXPECT_EQ(mmu_update(l2 + 500 * 8, l2 | P | US | A), 0);
	EXPECT_EQ(mmu_update(l2 + 500 * 8, l2 | P | RW | US | A), -EINVAL);
	same_entry((uint64_t *)make_address(511, 100, 510, i2) + i1, entry_of(page, 1));
	same_entry((uint64_t *)make_address(511, 510, 500, i2) + i1, entry_of(page, 1));
	same_entry((uint64_t *)make_address(511, 100, 100, 510) + i2, entry_of(page, 2));
	same_entry((uint64_t *)make_address(511, 510, 500, 500) + i2, entry_of(page, 2));
	not_writable((uint64_t *)make_address(511, 100, 510, i2) + i1);
	not_writable((uint64_t *)make_address(511, 510, 500, i2) + i1);
	EXPECT_EQ(HC(update_va_mapping, make_address(511, 510, 500, i2), PTE(mfn_of(page)), UVMF_INVLPG),
	          -EINVAL);
	EXPECT_EQ(HC(update_va_mapping, make_address(511, 100, 510, i2), PTE(mfn_of(page)), UVMF_INVLPG),
	          -EINVAL);
	EXPECT_EQ(mmu_update(l2 + 500 * 8, 0), 0);
	EXPECT_EQ(mmu_update(l3 + 100 * 8, 0), 0);
}

static uint64_t *new_l4(const uint64_t *current)
{
	uint64_t *l4 = page_alloc();

	l4[511] = current[511];
	return l4;
}

/* One deep: what is named names no others, what names others is not named. */
static void depth(unsigned long l4)
{
	const uint64_t *current = (const uint64_t *)start_info->pt_base;
	uint64_t *f = new_l4(current), *t = new_l4(current), *u = new_l4(current);

	t[21] = LINEAR(mfn_of(t)) | RW;
	EXPECT_EQ(map_read_only(t), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(t), 0), -EINVAL);
	EXPECT_EQ(map_writable(t), 0);
	t[21] = LINEAR(mfn_of(t));
	EXPECT_EQ(map_read_only(t), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(t), 0), 0);
	f[20] = LINEAR(mfn_of(t));
	f[300] = LINEAR(mfn_of(f));
	EXPECT_EQ(map_read_only(f), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(f), 0), 0);
	EXPECT_EQ(map_read_only(u), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(u), 0), 0);
	EXPECT_EQ(mmu_update(L4_ENTRY(mfn_of(t), 20), LINEAR(mfn_of(u))), -EINVAL);
	EXPECT_EQ(mmu_update(L4_ENTRY(mfn_of(t), 20), LINEAR(mfn_of(f))), -EINVAL);
	EXPECT_EQ(mmu_update(L4_ENTRY(mfn_of(u), 20), LINEAR(mfn_of(f))), -EINVAL);
	EXPECT_EQ(mmu_update(L4_ENTRY(mfn_of(u), 20), LINEAR(mfn_of(t))), 0);
	EXPECT_EQ(mmu_update(L4_ENTRY(mfn_of(u), 20), LINEAR(mfn_of(t)) | RW), -EINVAL);
	EXPECT_EQ(mmu_update(L4_ENTRY(mfn_of(u), 21), LINEAR(l4)), 0);
	EXPECT_EQ(mmu_update(L4_ENTRY(l4, 21), LINEAR(mfn_of(t))), -EINVAL);
	EXPECT_EQ(mmu_update(L4_ENTRY(mfn_of(u), 21), 0), 0);
	/* On f: its own entries, and those of t. */
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, mfn_of(f), 0), 0);
	same_entry(seen_at(300, VIRT_BASE, 4), &f[511]);
	same_entry(seen_at(300, VIRT_BASE, 4) - 511 + 20, &f[20]);
	same_entry((uint64_t *)make_address(20, 21, 21, 21) + 21, &t[21]);
	same_entry((uint64_t *)make_address(20, 21, 21, 21) + 511, &t[511]);
	same_entry((uint64_t *)make_address(300, 300, 300, 20) + 21, &t[21]);
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, l4, 0), 0);
	/* t stays a table as long as it is named. */
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(t), 0), 0);
	EXPECT_EQ(map_writable(t), -EBUSY);
	EXPECT_EQ(mmu_update(L4_ENTRY(mfn_of(u), 20), 0), 0);
	EXPECT_EQ(map_writable(t), -EBUSY);
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(f), 0), 0);
	EXPECT_EQ(map_writable(t), 0);
	EXPECT_EQ(map_writable(f), 0);
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(u), 0), 0);
	EXPECT_EQ(map_writable(u), 0);
}

void run(void)
{
	unsigned long l4 = mfn_of((void *)start_info->pt_base);
	struct user_result r;

	first(l4);
	EXPECT_EQ(mmu_update(L4_ENTRY(l4, 10), 0), 0);
	top(l4, 10);
	top(l4, 300);
	lower();
	depth(l4);
	/* User mode on the same tables sees what the kernel sees. */
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, l4, 0), 0);
	r = user_run(in_user_mode);
	EXPECT_EQ(r.vector, 256);
	EXPECT_EQ(r.rax & ~(A | D), l1_pte((void *)(VIRT_BASE + 0x100000)) & ~(A | D));
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
	/* They may stay to the end: the domain dies with them. */
}
