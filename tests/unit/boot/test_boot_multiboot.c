/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Multiboot information: command lines, modules, memory maps of right and wrong shapes, laid out as a loader does. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "../../lib/tap.h"

#define LOW_BYTES    65536
#define INFO         0x100
#define CMDLINE      0x200
#define MODULES      0x1000
#define STRINGS      0x2000
#define LOADER_NAME  0x1800
#define MAP          0x8000

#define FLAG_MEMORY  1u
#define FLAG_CMDLINE 4u
#define FLAG_MODULES 8u
#define FLAG_MAP     64u
#define FLAG_LOADER  512u

/* The words of the specification by their offsets, so that the test does not share the code's structure. */
enum {
	MEM_LOWER = 4,
	MEM_UPPER = 8,
	CMDLINE_AT = 16,
	MODS_COUNT = 20,
	MODS_ADDR = 24,
	MAP_LENGTH = 44,
	MAP_ADDR = 48,
	NAME = 64
};

static uint8_t *low;

void *mfn_map_own(mfn_t mfn)
{
	if (mfn.m)
		abort();
	return low;
}

static void put32(unsigned at, uint32_t value)
{
	memcpy(low + at, &value, 4);
}

static void fresh(uint32_t flags)
{
	memset(low, 0, LOW_BYTES);
	memset(&boot_info, 0, sizeof(boot_info));
	put32(INFO, flags);
}

static void text(unsigned at, const char *s)
{
	strcpy((char *)low + at, s);
}

static void module(unsigned n, uint32_t start, uint32_t end, uint32_t string)
{
	put32(MODULES + 16 * n, start);
	put32(MODULES + 16 * n + 4, end);
	put32(MODULES + 16 * n + 8, string);
}

/* One entry, whose size field says size; returns where the next one begins. */
static unsigned region(unsigned at, uint32_t size, uint64_t start, uint64_t length, uint32_t type)
{
	put32(at, size);
	memcpy(low + at + 4, &start, 8);
	memcpy(low + at + 12, &length, 8);
	put32(at + 20, type);
	return at + size + 4;
}

static bool map_is(unsigned i, uint64_t start, uint64_t end, uint32_t type)
{
	return i < boot_info.map_count && boot_info.map[i].start == start && boot_info.map[i].end == end &&
	       boot_info.map[i].type == type;
}

static void map_of(unsigned length)
{
	put32(INFO + MAP_ADDR, MAP);
	put32(INFO + MAP_LENGTH, length);
}

/* ---- words ---- */

static bool line_is(const char *given, const char *wanted)
{
	fresh(FLAG_CMDLINE);
	put32(INFO + CMDLINE_AT, CMDLINE);
	text(CMDLINE, given);
	(void)multiboot_read(INFO);
	return !strcmp(boot_info.cmdline, wanted) && !boot_info.cmdline_cut;
}

static void command_line(void)
{
	char *line = calloc(1, 2 * BOOT_CMDLINE_MAX);
	bool fits, cut;

	tap_ok(line_is("/xylem.gz dom0_mem=1G a b", "dom0_mem=1G a b") &&
	               line_is("  /xylem.gz   a  b ", "a  b ") && line_is("/xylem.gz", "") && line_is("", ""),
	       "the image's name and the blanks around it are left out, and nothing else");
	memset(line, 'x', BOOT_CMDLINE_MAX + 4);
	memcpy(line, "/hv ", 4);
	line[4 + BOOT_CMDLINE_MAX - 1] = 0;
	fits = line_is(line, line + 4);
	line[4 + BOOT_CMDLINE_MAX - 1] = 'x';
	line[4 + BOOT_CMDLINE_MAX] = 0;
	(void)line_is(line, "");
	cut = boot_info.cmdline_cut && strlen(boot_info.cmdline) == BOOT_CMDLINE_MAX - 1;
	tap_ok(fits && cut, "a line of %u characters fits, one of %u is cut and that is noted",
	       BOOT_CMDLINE_MAX - 1, BOOT_CMDLINE_MAX);
	free(line);
	fresh(0);
	put32(INFO + CMDLINE_AT, CMDLINE);
	text(CMDLINE, "/hv a");
	(void)multiboot_read(INFO);
	tap_ok(!*boot_info.cmdline, "a line that no flag announces is not read");
	fresh(FLAG_LOADER);
	put32(INFO + NAME, LOADER_NAME);
	text(LOADER_NAME, "GNU GRUB 0.97");
	(void)multiboot_read(INFO);
	tap_ok(!strcmp(boot_info.loader, "GNU GRUB 0.97"), "the loader's name");
	fresh(FLAG_LOADER);
	put32(INFO + NAME, LOADER_NAME);
	memset(low + LOADER_NAME, 'n', 200);
	(void)multiboot_read(INFO);
	tap_ok(strlen(boot_info.loader) == sizeof(boot_info.loader) - 1, "a long one is cut");
}

/* ---- modules ---- */

static void modules(void)
{
	fresh(FLAG_MODULES);
	put32(INFO + MODS_ADDR, MODULES);
	put32(INFO + MODS_COUNT, 4);
	module(0, 0x400000, 0x400001, STRINGS);
	module(1, 0x500000, 0x500000, STRINGS); /* empty */
	module(2, 0x600000, 0x5fffff, STRINGS); /* ends before it begins */
	module(3, 0xfffff000, 0xffffffff, 0);   /* no string */
	text(STRINGS, "/vmlinuz root=/dev/sda1 quiet");
	(void)multiboot_read(INFO);
	tap_ok(boot_info.module_count == 2 && !boot_info.modules_left_out,
	       "empty and reversed modules are none");
	tap_ok(boot_info.modules[0].start == 0x400000 && boot_info.modules[0].bytes == 1 &&
	               !strcmp(boot_info.modules[0].cmdline, "root=/dev/sda1 quiet"),
	       "a module's place, size and words");
	tap_ok(boot_info.modules[1].start == 0xfffff000 && boot_info.modules[1].bytes == 0xfff &&
	               !*boot_info.modules[1].cmdline,
	       "one below 4 GiB that has no words");
	fresh(FLAG_MODULES);
	put32(INFO + MODS_ADDR, MODULES);
	put32(INFO + MODS_COUNT, BOOT_MODULES_MAX + 3);
	for (unsigned i = 0; i < BOOT_MODULES_MAX + 3; i++)
		module(i, 0x100000 * (i + 1), 0x100000 * (i + 1) + 5, 0);
	(void)multiboot_read(INFO);
	tap_ok(boot_info.module_count == BOOT_MODULES_MAX && boot_info.modules_left_out == 3 &&
	               boot_info.modules[BOOT_MODULES_MAX - 1].start == 0x100000 * BOOT_MODULES_MAX,
	       "more modules than there is room for are counted and left out");
}

/* ---- memory maps ---- */

static void maps(void)
{
	unsigned end;
	bool answer;

	fresh(FLAG_MAP | FLAG_MEMORY);
	put32(INFO + MEM_LOWER, 640);
	put32(INFO + MEM_UPPER, 1024);
	end = region(MAP, 20, 0, 0x9fc00, 1);
	end = region(end, 28, 0x100000, 0x7ff00000,
	             1); /* longer entries: their size says where the next is */
	end = region(end, 20, 1ull << 32, 3ull << 40, 1);
	end = region(end, 20, 0xfffc0000, 0x40000, 2);
	map_of(end - MAP);
	answer = multiboot_read(INFO);
	tap_ok(answer && boot_info.map_count == 4 && map_is(0, 0, 0x9fc00, 1) &&
	               map_is(1, 0x100000, 0x80000000, 1) &&
	               map_is(2, 1ull << 32, (1ull << 32) + (3ull << 40), 1) &&
	               map_is(3, 0xfffc0000, 1ull << 32, 2),
	       "a map is taken as it is, entries of any size, and before the two plain numbers");
	fresh(FLAG_MAP);
	end = region(MAP, 20, 0x1000, 0, 1);
	end = region(end, 20, ~0ull - 0xfff, 0x2000, 1);
	end = region(end, 20, 0x5000, 0x1000, 1);
	map_of(end - MAP);
	(void)multiboot_read(INFO);
	tap_ok(boot_info.map_count == 1 && map_is(0, 0x5000, 0x6000, 1),
	       "empty regions and those that wrap are left out");
	fresh(FLAG_MAP);
	end = region(MAP, 20, 0x1000, 0x1000, 1);
	(void)region(end, 20, 0x5000, 0x1000, 1);
	map_of(end - MAP + 23); /* the second one is not whole */
	(void)multiboot_read(INFO);
	tap_ok(boot_info.map_count == 1 && map_is(0, 0x1000, 0x2000, 1),
	       "an entry that is not whole is not read");
	fresh(FLAG_MAP);
	(void)region(MAP, 20, 0x1000, 0x1000, 1);
	(void)region(MAP + 24, 20, 0x5000, 0x1000, 1);
	put32(MAP, 8);
	map_of(48);
	(void)multiboot_read(INFO);
	tap_ok(boot_info.map_count == 1, "an entry too small to be one ends the map");
	put32(MAP, 0xfffffffc); /* the next one would be itself */
	boot_info.map_count = 0;
	(void)multiboot_read(INFO);
	tap_ok(boot_info.map_count == 1, "and so does one that is too large");
	fresh(FLAG_MAP);
	end = MAP;
	for (unsigned i = 0; i < 130; i++)
		end = region(end, 20, (uint64_t)i << 20, 1u << 20, 1);
	map_of(end - MAP);
	(void)multiboot_read(INFO);
	tap_ok(boot_info.map_count == 128 && boot_info.map_left_out == 2,
	       "regions beyond 128 are counted and left out");
	fresh(FLAG_MEMORY);
	put32(INFO + MEM_LOWER, 640);
	put32(INFO + MEM_UPPER, 0xffffffff);
	answer = multiboot_read(INFO);
	tap_ok(answer && boot_info.map_count == 2 && map_is(0, 0, 640 << 10, 1) &&
	               map_is(1, 1 << 20, (1ull << 20) + (0xffffffffull << 10), 1),
	       "without a map, memory below and above 1 MiB");
	fresh(0);
	tap_ok(!multiboot_read(INFO), "no memory at all is told");
	fresh(FLAG_MAP);
	map_of(0);
	tap_ok(!multiboot_read(INFO), "an empty map too");
}

int main(void)
{
	low = malloc(LOW_BYTES);
	if (!low)
		return 99;
	command_line();
	modules();
	maps();
	free(low);
	return tap_end();
}
