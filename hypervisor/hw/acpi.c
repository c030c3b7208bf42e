/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI's static tables (ACPI 6.4, chapter 5): RSDP, RSDT or XSDT, MADT, FADT, HPET, MCFG. Firmware's tables
 * are not trusted further than their checksums: each field is read within the table's length.
 */
#include "hw/acpi.h"
#include "hw/device_map.h"
#include "hw/mem.h"
#include "hw/power.h"
#include "lib/log.h"
#include "lib/string.h"

#define HEADER_BYTES 36
#define RSDP_BYTES   36
#define TABLE_MAX    (1u << 20)
#define FIRST_MIB    (1ull << 20)

struct acpi_info acpi_info = { .has_8042 = true };
static uint64_t acpi_rsdp;

static uint64_t get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, p, bytes);
	return v;
}

static bool sum_ok(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *p++);
	return !sum;
}

/* Until unmap(). */
static const uint8_t *map(uint64_t address, size_t n)
{
	/* The first MiB lies in the direct map; elsewhere tables may lie outside of RAM. */
	if (address < FIRST_MIB && n <= FIRST_MIB - address)
		return (const uint8_t *)mfn_map(MFN(0)) + address;
	return device_map(MADDR(address), n);
}

static void unmap(uint64_t address, size_t n, const uint8_t *p)
{
	if (p && !(address < FIRST_MIB && n <= FIRST_MIB - address))
		device_unmap(p);
}

/* In the first MiB. */
static uint64_t rsdp_scan(uint64_t from, uint64_t bytes)
{
	const uint8_t *p = map(from, bytes);

	for (uint64_t at = 0; at + RSDP_BYTES <= bytes; at += 16)
		if (!memcmp(p + at, "RSD PTR ", 8) && sum_ok(p + at, 20))
			return from + at;
	return 0;
}

static uint64_t rsdp_find(void)
{
	uint64_t ebda = get(map(0x40e, 2), 2) << 4, found = 0;

	if (ebda >= 0x80000 && ebda < 0xa0000)
		found = rsdp_scan(ebda, 1024);
	return found ? found : rsdp_scan(0xe0000, 0x20000);
}

/* The whole table, until unmap(); NULL where there is none, or it is damaged. */
static const uint8_t *table_map(uint64_t address, uint32_t *length)
{
	const uint8_t *t;

	if (!address)
		return NULL;
	t = map(address, HEADER_BYTES);
	*length = t ? (uint32_t)get(t + 4, 4) : 0;
	unmap(address, HEADER_BYTES, t);
	t = *length >= HEADER_BYTES && *length <= TABLE_MAX ? map(address, *length) : NULL;
	if (t && sum_ok(t, *length))
		return t;
	unmap(address, *length, t);
	log_warn("ACPI: table at %#llx is damaged and ignored", (unsigned long long)address);
	return NULL;
}

static void add_cpu(uint32_t apic_id, uint32_t acpi_id, uint32_t flags)
{
	struct acpi_info *a = &acpi_info;

	if (!(flags & 1)) {
		a->cpu_disabled_count++;
		return;
	}
	if (a->cpu_count < NR_CPUS)
		a->cpus[a->cpu_count++] = (struct acpi_cpu){ apic_id, acpi_id };
	else
		log_warn("ACPI: CPU with APIC id %u is beyond the limit of %u", apic_id, NR_CPUS);
}

static void add_ioapic(uint8_t id, uint64_t address, uint32_t gsi_base)
{
	struct acpi_info *a = &acpi_info;

	if (a->ioapic_count < ACPI_IOAPICS_MAX)
		a->ioapics[a->ioapic_count++] = (struct acpi_ioapic){ id, address, gsi_base };
	else
		log_warn("ACPI: I/O APIC %u at %#llx, GSI %u on, is beyond the limit of %u", id,
		         (unsigned long long)address, gsi_base, ACPI_IOAPICS_MAX);
}

static void add_override(uint8_t irq, uint32_t gsi, uint16_t flags)
{
	struct acpi_info *a = &acpi_info;

	if (a->override_count == ARRAY_SIZE(a->overrides)) {
		log_warn("ACPI: the override of IRQ %u by GSI %u is beyond the limit of %zu", irq, gsi,
		         ARRAY_SIZE(a->overrides));
		return;
	}
	a->overrides[a->override_count++] =
	        (struct acpi_override){ irq, gsi, (flags >> 2 & 3) == 3, (flags & 3) == 3 };
}

static void madt_entry(const uint8_t *p, unsigned length)
{
	struct acpi_info *a = &acpi_info;

	switch (p[0]) {
	case 0: /* local APIC */
		if (length >= 8)
			add_cpu(p[3], p[2], (uint32_t)get(p + 4, 4));
		break;
	case 1: /* I/O APIC */
		if (length >= 12)
			add_ioapic(p[2], get(p + 4, 4), (uint32_t)get(p + 8, 4));
		break;
	case 2: /* interrupt source override */
		if (length >= 10)
			add_override(p[3], (uint32_t)get(p + 4, 4), (uint16_t)get(p + 8, 2));
		break;
	case 5: /* local APIC address */
		if (length >= 12)
			a->local_apic = get(p + 4, 8);
		break;
	case 9: /* local x2APIC; ids below 255 are told by type 0 */
		if (length >= 16 && get(p + 4, 4) >= 255)
			add_cpu((uint32_t)get(p + 4, 4), (uint32_t)get(p + 12, 4), (uint32_t)get(p + 8, 4));
		break;
	}
}

static void madt(const uint8_t *t, uint32_t length)
{
	if (length < 44)
		return;
	acpi_info.local_apic = get(t + 36, 4);
	for (uint32_t at = 44; at + 2 <= length;) {
		unsigned n = t[at + 1];

		if (n < 2 || at + n > length)
			break;
		madt_entry(t + at, n);
		at += n;
	}
}

/* A generic address structure's port, or 0 where it is none. */
static uint16_t gas_port(const uint8_t *p)
{
	return p[0] == 1 ? (uint16_t)get(p + 4, 8) : 0;
}

static void fadt(const uint8_t *t, uint32_t length)
{
	struct acpi_info *a = &acpi_info;
	uint32_t flags;

	if (length < 116)
		return;
	flags = (uint32_t)get(t + 112, 4);
	a->sci = (uint16_t)get(t + 46, 2);
	a->pm1a_event = (uint16_t)get(t + 56, 4);
	a->pm1b_event = (uint16_t)get(t + 60, 4);
	a->pm1a_control = (uint16_t)get(t + 64, 4);
	a->pm1b_control = (uint16_t)get(t + 68, 4);
	a->pm_timer_port = (uint16_t)get(t + 76, 4);
	a->pm1_event_bytes = t[88];
	a->pm1_control_bytes = t[89];
	a->pm_timer_32bit = flags >> 8 & 1;
	a->century = t[108];
	a->has_8042 = t[8] < 3 || (get(t + 109, 2) & 2);
	if (length >= 129 && (flags >> 10 & 1)) {
		a->reset_supported = true;
		a->reset_space = t[116];
		a->reset_address = get(t + 120, 8);
		a->reset_value = t[128];
	}
	/* The extended addresses, where they are given, are the ones to use. */
	if (length >= 220) {
		a->pm1a_control = gas_port(t + 172) ? gas_port(t + 172) : a->pm1a_control;
		a->pm1b_control = gas_port(t + 184) ? gas_port(t + 184) : a->pm1b_control;
		a->pm_timer_port = gas_port(t + 208) ? gas_port(t + 208) : a->pm_timer_port;
	}
}

static void mcfg(const uint8_t *t, uint32_t length)
{
	struct acpi_info *a = &acpi_info;

	for (uint32_t at = 44; at + 16 <= length; at += 16) {
		struct acpi_mcfg m = { get(t + at, 8), (uint16_t)get(t + at + 8, 2), t[at + 10], t[at + 11] };

		if (a->mcfg_count < ACPI_MCFG_MAX)
			a->mcfg[a->mcfg_count++] = m;
		else
			log_warn("ACPI: MMCONFIG of segment %u, buses %u to %u, is beyond the limit of %u",
			         m.segment, m.first_bus, m.last_bus, ACPI_MCFG_MAX);
	}
}

static void table(uint64_t address)
{
	uint32_t length;
	const uint8_t *t = table_map(address, &length);

	if (!t)
		return;
	if (!memcmp(t, "APIC", 4))
		madt(t, length);
	else if (!memcmp(t, "FACP", 4))
		fadt(t, length);
	else if (!memcmp(t, "MCFG", 4))
		mcfg(t, length);
	else if (!memcmp(t, "HPET", 4) && length >= 56 && t[40] == 0)
		acpi_info.hpet = get(t + 44, 8);
	unmap(address, length, t);
}

/* All tables that a root table of such entries names. */
static bool root_table(uint64_t address, unsigned entry)
{
	uint32_t length;
	const uint8_t *root = table_map(address, &length);

	if (!root)
		return false;
	for (uint32_t at = HEADER_BYTES; at + entry <= length; at += entry)
		table(get(root + at, entry));
	unmap(address, length, root);
	return true;
}

void acpi_init(void)
{
	const uint8_t *rsdp;
	uint64_t xsdt, rsdt;

	acpi_rsdp = rsdp_find();
	if (!acpi_rsdp) {
		log_warn("ACPI: no tables: one CPU and legacy interrupts only");
		return;
	}
	rsdp = map(acpi_rsdp, RSDP_BYTES);
	xsdt = rsdp[15] >= 2 ? get(rsdp + 24, 8) : 0;
	rsdt = get(rsdp + 16, 4);
	unmap(acpi_rsdp, RSDP_BYTES, rsdp);
	acpi_info.present = (xsdt && root_table(xsdt, 8)) || root_table(rsdt, 4);
	if (!acpi_info.present)
		return;
	log_info("ACPI: %u CPUs (%u disabled), %u I/O APICs, %s, %s", acpi_info.cpu_count,
	         acpi_info.cpu_disabled_count, acpi_info.ioapic_count, acpi_info.hpet ? "HPET" : "no HPET",
	         acpi_info.pm_timer_port ? "PM timer" : "no PM timer");
}

struct acpi_override acpi_isa_irq(unsigned irq)
{
	for (unsigned i = 0; i < acpi_info.override_count; i++)
		if (acpi_info.overrides[i].irq == irq)
			return acpi_info.overrides[i];
	return (struct acpi_override){ (uint8_t)irq, irq, false, false };
}

/* ---- what nobody else may map ---- */

struct memory_region machine_own[24];
unsigned machine_own_count;
_Static_assert(ARRAY_SIZE(machine_own) > ACPI_IOAPICS_MAX, "room for the local APICs and all I/O APICs");

static void own(uint64_t address, uint64_t bytes)
{
	if (machine_own_count < ARRAY_SIZE(machine_own))
		machine_own[machine_own_count++] = (struct memory_region){ address, address + bytes, 2 };
}

void machine_own_init(void)
{
	own(acpi_info.local_apic ? acpi_info.local_apic : 0xfee00000, PAGE_SIZE);
	for (unsigned i = 0; i < acpi_info.ioapic_count; i++)
		own(acpi_info.ioapics[i].address, PAGE_SIZE);
	/* Not the HPET: AML of common machines reads it, and dom0 is trusted not to stop it. */
}
