/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the boot loader to dom0: what the files of boot/ hand to each other. */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "lib/types.h"
#include "hw/console.h"
#include "hw/mem.h"

#define BOOT_MODULES_MAX 8
#define BOOT_CMDLINE_MAX 1024

/* A file that the boot loader loaded; stays in memory until dom0 was built. */
struct boot_module {
	uint64_t start, bytes;          /* machine address */
	const void *data;               /* in the direct map, once that is complete */
	char cmdline[BOOT_CMDLINE_MAX]; /* its words behind the file's name */
};

/* What Multiboot reported, copied out of the loader's memory. */
struct boot_info {
	char cmdline[BOOT_CMDLINE_MAX]; /* without the image's name */
	char loader[64];
	struct boot_module modules[BOOT_MODULES_MAX];
	unsigned module_count, modules_left_out;
	bool cmdline_cut;
	struct memory_region map[128]; /* as the loader reported it */
	unsigned map_count, map_left_out;
};
extern struct boot_info boot_info;

/* multiboot.c: reads the information at this machine address (below 4 GiB). False where it is no memory map. */
bool multiboot_read(uint32_t address);

/* e820.c: sorts raw regions, resolves overlaps (what is not RAM wins), joins neighbours; limit: RAM from
 * there on is left out (mem=). Returns how many regions are in out, which has room for max; *left_out: for
 * how many pieces there was none. Pure. */
unsigned e820_sanitise(const struct memory_region *raw, unsigned count, uint64_t limit,
                       struct memory_region *out, unsigned max, unsigned *left_out);
/* Bytes of RAM from limit on, overlaps not looked at. Pure. */
uint64_t e820_ram_above(const struct memory_region *raw, unsigned count, uint64_t limit);

/* cmdline.c: fills options from defaults and the line; then, when there is a console, reports words that
 * are unknown, wrong or without effect. Pure but for the log. */
void cmdline_parse(const char *line);
void cmdline_report(const char *line);

/* dom0.c. Panics with the reason where dom0 cannot be built. */
int dom0_build(const struct boot_module *kernel, const struct boot_module *initrd_or_null,
               const char *cmdline);

void boot_main(uint32_t multiboot_address) __noreturn;

#endif
