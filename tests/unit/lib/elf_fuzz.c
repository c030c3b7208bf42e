/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: any bytes as an unpacked kernel. What is accepted is also laid out and built into a fake
 * domain of 12 MiB. The first image is a good one with the fuzzer's bytes over it, so that headers stay near
 * to right ones.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fakemem.h"
#include "makeelf.h"

#define PAGES 3072u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void build(const uint8_t *image, size_t bytes, bool dom0)
{
	struct pv_request request = { .pages = PAGES, .ramdisk_bytes = 5000, .initial_domain = dom0 };
	static uint8_t ramdisk[5000], memory[PAGES * PV_PAGE_BYTES];
	struct pv_start start = {
		.ramdisk = ramdisk, .cmdline = "fuzz", .vga_info = "x", .vga_info_bytes = 1
	};
	struct pv_layout layout;
	struct pv_image parsed;
	struct fakemem mem;

	if (pv_image_parse(&parsed, image, bytes) != PV_OK ||
	    pv_layout_make(&layout, &parsed, &request) != PV_OK)
		return;
	memset(&mem, 0, sizeof(mem));
	mem.pages = PAGES;
	mem.used_pages = layout.used_pages;
	mem.memory = memory;
	struct pv_ops ops = fakemem_ops(&mem);

	if (pv_build(&parsed, &layout, &start, &ops) != PV_OK || mem.mapped)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t image[MAKEELF_BYTES];
	struct makeelf m = makeelf_modern();
	size_t all;

	m.load_paddr = 0;
	m.entry = m.virt_base;
	all = makeelf(&m, image);

	build(data, bytes, false);
	/* pairs of (offset, value) over the headers and notes of a good image */
	for (size_t i = 0; i + 10 <= bytes; i += 10) {
		uint16_t at;

		memcpy(&at, data + i, 2);
		memcpy(image + at % (MAKEELF_NOTES_OFFSET + 512), data + i + 2, 8);
	}
	build(image, all, bytes & 1);
	return 0;
}
