/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ELF reader against hostile headers: every field at its edges, every truncation, under the sanitizers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/lib/elf.h"
#include "hypervisor/lib/pvbuild.h"
#include "makeelf.h"
#include "../../lib/tap.h"

/* Parses an exact-size copy, so that the address sanitizer sees each byte read beyond it. */
static int parse(const uint8_t *image, size_t bytes)
{
	struct pv_request request = { .pages = 16384, .ramdisk_bytes = 12345 };
	struct pv_layout layout;
	struct pv_image parsed;
	uint8_t *copy = malloc(bytes ? bytes : 1);
	int rc;

	memcpy(copy, image, bytes);
	rc = pv_image_parse(&parsed, copy, bytes);
	if (rc == PV_OK)
		(void)pv_layout_make(&layout, &parsed, &request);
	free(copy);
	return rc;
}

static void test_truncations(void)
{
	static uint8_t image[MAKEELF_BYTES];
	struct makeelf m = makeelf_modern();
	size_t bytes = makeelf(&m, image);
	bool refused = true;

	for (size_t n = 0; n < bytes; n++)
		refused &= parse(image, n) != PV_OK;
	tap_ok(refused, "each of %zu truncations is refused", bytes);
	tap_ok(parse(image, bytes) == PV_OK, "the whole is not");
}

/* Every 8-byte field of the headers and notes set to values at the edges: refused or accepted, never misread. */
static void test_edges(void)
{
	static const uint64_t edges[] = { 0,
		                          1,
		                          7,
		                          0xfff,
		                          0x1000,
		                          0x7fffffff,
		                          0x80000000,
		                          0xffffffff,
		                          0x100000000,
		                          0x7fffffffffff,
		                          0x800000000000,
		                          0xffff800000000000,
		                          0xffffffff80000000,
		                          0xfffffffffffff000,
		                          UINT64_MAX - 7,
		                          UINT64_MAX };
	static uint8_t image[MAKEELF_BYTES];
	unsigned tried = 0, accepted = 0;

	for (int in_section = 0; in_section < 2; in_section++) {
		struct makeelf m = makeelf_modern();
		size_t bytes;

		m.notes_in_section = in_section;
		for (size_t at = 4; at < MAKEELF_NOTES_OFFSET + 256; at += 2) {
			for (size_t e = 0; e < sizeof(edges) / sizeof(edges[0]); e++) {
				bytes = makeelf(&m, image);
				memcpy(image + at, &edges[e], at % 8 == 0 ? 8 : 2);
				accepted += parse(image, bytes) == PV_OK;
				tried++;
			}
		}
	}
	tap_ok(accepted > 0 && accepted < tried,
	       "%u damaged images: %u are harmless, none misleads the reader", tried, accepted);
}

static void test_headers(void)
{
	static uint8_t image[MAKEELF_BYTES];
	struct makeelf m = makeelf_modern();
	size_t bytes = makeelf(&m, image);
	Elf64_Ehdr *h = (Elf64_Ehdr *)image;

	h->e_machine = EM_386;
	tap_ok(parse(image, bytes) == PV_ERR_MACHINE, "another machine is refused");
	h->e_machine = EM_X86_64;
	h->e_ident[EI_CLASS] = ELFCLASS32;
	tap_ok(parse(image, bytes) == PV_ERR_MACHINE, "a 32-bit file is refused");
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_type = ET_REL;
	tap_ok(parse(image, bytes) == PV_ERR_MACHINE, "an object file is refused");
	h->e_type = ET_EXEC;
	h->e_phnum = ELF_SEGMENTS_MAX + 1;
	tap_ok(parse(image, bytes) == PV_ERR_SEGMENTS, "too many program headers are refused");
	h->e_phnum = 0;
	tap_ok(parse(image, bytes) == PV_ERR_SEGMENTS, "no program header is refused");
	tap_ok(parse((const uint8_t *)"#!/bin/sh\n", 10) == PV_ERR_FORMAT, "a script is refused");
}

/* Note tables that overlap each other as often as headers allow: the walk is bounded, not the file's size squared. */
static void test_note_bomb(void)
{
	size_t bytes = 8u << 20;
	uint8_t *image = calloc(1, bytes);
	struct makeelf m = makeelf_modern();
	Elf64_Ehdr *h = (Elf64_Ehdr *)image;
	struct elf_note_iter iter;
	struct elf_note note;
	struct elf elf;
	unsigned seen = 0;
	Elf64_Shdr *s;

	m.no_notes = 1;
	makeelf(&m, image);
	h->e_shoff = 1u << 20;
	h->e_shnum = ELF_SECTIONS_MAX;
	s = (Elf64_Shdr *)(image + h->e_shoff);
	for (unsigned i = 0; i < ELF_SECTIONS_MAX; i++)
		s[i] = (Elf64_Shdr){ .sh_type = SHT_NOTE, .sh_offset = 4u << 20, .sh_size = 4u << 20 };
	tap_ok(elf_open(&elf, image, bytes) == PV_OK, "note bomb: opens");
	elf_notes_begin(&elf, &iter);
	while (elf_notes_next(&iter, &note))
		seen++;
	tap_ok(seen > 0 && seen <= ELF_NOTES_MAX, "note bomb: %u notes looked at", seen);
	free(image);
}

int main(void)
{
	test_truncations();
	test_headers();
	test_edges();
	test_note_bomb();
	return tap_end();
}
