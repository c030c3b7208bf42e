/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Multiboot 1 information (Multiboot Specification 0.6.96, 3.3), copied before anything can overwrite it. */
#include "boot/boot.h"
#include "lib/option.h"
#include "lib/string.h"

#define FLAG_MEMORY  (1u << 0)
#define FLAG_CMDLINE (1u << 2)
#define FLAG_MODULES (1u << 3)
#define FLAG_MAP     (1u << 6)
#define FLAG_LOADER  (1u << 9)

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
	        mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr, config_table, loader_name;
};

struct multiboot_module {
	uint32_t start, end, string, reserved;
};

struct boot_info boot_info;

static const void *low(uint32_t address)
{
	return (const char *)mfn_map(MFN(0)) + address;
}

/* The words behind the first one, which is the file's name. */
static bool copy_words(char *to, uint32_t from)
{
	const char *line = low(from);
	char name[2];

	if (!from)
		return true;
	(void)option_next_word(&line, name, sizeof(name));
	while (*line == ' ')
		line++;
	option_copy(to, BOOT_CMDLINE_MAX, line);
	return strnlen(line, BOOT_CMDLINE_MAX) < BOOT_CMDLINE_MAX;
}

static void read_modules(const struct multiboot_info *m)
{
	const struct multiboot_module *modules = low(m->mods_addr);

	for (uint32_t i = 0; i < m->mods_count; i++) {
		struct boot_module *to = &boot_info.modules[boot_info.module_count];

		if (i >= BOOT_MODULES_MAX) {
			boot_info.modules_left_out++;
			continue;
		}
		if (modules[i].end <= modules[i].start)
			continue;
		to->start = modules[i].start;
		to->bytes = modules[i].end - modules[i].start;
		if (!copy_words(to->cmdline, modules[i].string))
			boot_info.cmdline_cut = true;
		boot_info.module_count++;
	}
}

static void add_region(uint64_t start, uint64_t length, uint32_t type)
{
	if (!length || start + length < start)
		return;
	if (boot_info.map_count < ARRAY_SIZE(boot_info.map))
		boot_info.map[boot_info.map_count++] = (struct memory_region){ start, start + length, type };
	else
		boot_info.map_left_out++;
}

static void read_map(const struct multiboot_info *m)
{
	uint32_t at = 0;

	while (at + 24 <= m->mmap_length) {
		const uint8_t *entry = (const uint8_t *)low(m->mmap_addr) + at;
		uint32_t size, type;
		uint64_t start, length;

		memcpy(&size, entry, 4);
		memcpy(&start, entry + 4, 8);
		memcpy(&length, entry + 12, 8);
		memcpy(&type, entry + 20, 4);
		add_region(start, length, type);
		if (size < 20 || size > m->mmap_length - at)
			break;
		at += size + 4;
	}
}

bool multiboot_read(uint32_t address)
{
	const struct multiboot_info *m = low(address);

	if ((m->flags & FLAG_CMDLINE) && !copy_words(boot_info.cmdline, m->cmdline))
		boot_info.cmdline_cut = true;
	if (m->flags & FLAG_MODULES)
		read_modules(m);
	if (m->flags & FLAG_LOADER)
		option_copy(boot_info.loader, sizeof(boot_info.loader), low(m->loader_name));
	if (m->flags & FLAG_MAP) {
		read_map(m);
	} else if (m->flags & FLAG_MEMORY) {
		add_region(0, (uint64_t)m->mem_lower << 10, 1);
		add_region(1u << 20, (uint64_t)m->mem_upper << 10, 1);
	}
	return boot_info.map_count;
}
