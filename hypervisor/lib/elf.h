/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reader of 64-bit little-endian x86 ELF executables, for hostile images: every offset is checked against the
 * image, nothing is allocated, nothing is written but the caller's structures. It reads program headers and
 * notes; it knows nothing of Xen and relocates nothing. The image must stay in place and unchanged while it
 * is used.
 */
#ifndef XYLEM_ELF_H
#define XYLEM_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 32u   /* program headers that are looked at; more is an error */
#define ELF_NOTES_MAX    1024u /* notes that are looked at; the rest is not seen */
#define ELF_SECTIONS_MAX 4096u

struct elf {
	const uint8_t *data;
	uint64_t bytes;
	uint64_t entry;
	uint64_t ph_offset;
	unsigned ph_count;
	uint64_t sh_offset; /* checked; 0 sections when absent or damaged */
	unsigned sh_count;
};

enum elf_segment_type { ELF_SEGMENT_LOAD = 1, ELF_SEGMENT_NOTE = 4 };

struct elf_segment {
	uint32_t type; /* PT_* */
	uint64_t file_offset;
	uint64_t file_bytes;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t memory_bytes; /* at least file_bytes for a load segment */
	uint64_t align;
};

/* One note; name and descriptor lie inside of the image. */
struct elf_note {
	uint32_t type;
	const char *name; /* not necessarily terminated */
	uint32_t name_bytes;
	const uint8_t *desc;
	uint32_t desc_bytes;
};

struct elf_note_iter {
	const struct elf *elf;
	unsigned table; /* 0: program headers, 1: sections */
	unsigned next;
	unsigned budget; /* notes still to be looked at: overlapping tables cannot make the walk long */
	uint64_t align;
	const uint8_t *at;
	uint64_t left;
};

/* Checks the headers. Returns PV_OK or PV_ERR_{FORMAT,TRUNCATED,MACHINE,SEGMENTS}. */
int elf_open(struct elf *elf, const void *data, uint64_t bytes);
/* index below elf->ph_count. Returns PV_OK or PV_ERR_{TRUNCATED,SEGMENTS}. */
int elf_segment(const struct elf *elf, unsigned index, struct elf_segment *segment);
/* Notes of the program headers first, then those of the sections (objects linked without PT_NOTE). */
void elf_notes_begin(const struct elf *elf, struct elf_note_iter *iter);
/* False at the end; damaged notes end their table silently. */
bool elf_notes_next(struct elf_note_iter *iter, struct elf_note *note);
/* A descriptor of 1 to 8 bytes as a little-endian number. */
bool elf_note_number(const struct elf_note *note, uint64_t *value);

#endif
