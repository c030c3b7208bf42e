/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF reader; see elf.h. Layouts are those of the ELF-64 object file format. */
#include <string.h>

#include "elf.h"
#include "pverror.h"

#define ELF_HEADER_BYTES      64u
#define ELF_PHDR_BYTES        56u
#define ELF_SHDR_BYTES        64u
#define ELF_NOTE_HEADER_BYTES 12u
#define ELF_TYPE_EXEC         2u
#define ELF_TYPE_DYN          3u
#define ELF_MACHINE_X86_64    62u
#define ELF_SECTION_NOTE      7u

static uint16_t get16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

/* Whether [offset, offset + length) lies within the image. */
static bool inside(const struct elf *elf, uint64_t offset, uint64_t length)
{
	return offset <= elf->bytes && length <= elf->bytes - offset;
}

int elf_open(struct elf *elf, const void *data, uint64_t bytes)
{
	const uint8_t *h = data;

	memset(elf, 0, sizeof(*elf));
	elf->data = data;
	elf->bytes = bytes;
	if (bytes < 4 || memcmp(h, "\177ELF", 4) != 0)
		return PV_ERR_FORMAT;
	if (bytes < ELF_HEADER_BYTES)
		return PV_ERR_TRUNCATED;
	/* class 64-bit, little-endian */
	if (h[4] != 2 || h[5] != 1 || get16(h + 18) != ELF_MACHINE_X86_64)
		return PV_ERR_MACHINE;
	if (get16(h + 16) != ELF_TYPE_EXEC && get16(h + 16) != ELF_TYPE_DYN)
		return PV_ERR_MACHINE;
	elf->entry = get64(h + 24);
	elf->ph_offset = get64(h + 32);
	elf->ph_count = get16(h + 56);
	if (!elf->ph_count || elf->ph_count > ELF_SEGMENTS_MAX || get16(h + 54) != ELF_PHDR_BYTES)
		return PV_ERR_SEGMENTS;
	if (!inside(elf, elf->ph_offset, (uint64_t)elf->ph_count * ELF_PHDR_BYTES))
		return PV_ERR_TRUNCATED;
	elf->sh_offset = get64(h + 40);
	elf->sh_count = get16(h + 60);
	/* Sections are only a second place to look for notes: without them an image is still good. */
	if (get16(h + 58) != ELF_SHDR_BYTES || elf->sh_count > ELF_SECTIONS_MAX ||
	    !inside(elf, elf->sh_offset, (uint64_t)elf->sh_count * ELF_SHDR_BYTES))
		elf->sh_count = 0;
	return PV_OK;
}

int elf_segment(const struct elf *elf, unsigned index, struct elf_segment *segment)
{
	const uint8_t *p;

	if (index >= elf->ph_count)
		return PV_ERR_SEGMENTS;
	p = elf->data + elf->ph_offset + (uint64_t)index * ELF_PHDR_BYTES;
	segment->type = get32(p);
	segment->file_offset = get64(p + 8);
	segment->vaddr = get64(p + 16);
	segment->paddr = get64(p + 24);
	segment->file_bytes = get64(p + 32);
	segment->memory_bytes = get64(p + 40);
	segment->align = get64(p + 48);
	if (segment->type != ELF_SEGMENT_LOAD && segment->type != ELF_SEGMENT_NOTE)
		return PV_OK;
	if (!inside(elf, segment->file_offset, segment->file_bytes))
		return PV_ERR_TRUNCATED;
	if (segment->type == ELF_SEGMENT_LOAD && segment->memory_bytes < segment->file_bytes)
		return PV_ERR_SEGMENTS;
	return PV_OK;
}

void elf_notes_begin(const struct elf *elf, struct elf_note_iter *iter)
{
	memset(iter, 0, sizeof(*iter));
	iter->elf = elf;
	iter->budget = ELF_NOTES_MAX;
}

/* Puts the iterator at the next table of notes; false when there is none. */
static bool notes_next_table(struct elf_note_iter *iter)
{
	const struct elf *elf = iter->elf;

	for (; iter->table == 0 && iter->next < elf->ph_count; iter->next++) {
		struct elf_segment segment;

		if (elf_segment(elf, iter->next, &segment) != PV_OK || segment.type != ELF_SEGMENT_NOTE)
			continue;
		iter->next++;
		iter->at = elf->data + segment.file_offset;
		iter->left = segment.file_bytes;
		iter->align = segment.align == 8 ? 8 : 4;
		return true;
	}
	if (iter->table == 0) {
		iter->table = 1;
		iter->next = 0;
	}
	for (; iter->next < elf->sh_count; iter->next++) {
		const uint8_t *s = elf->data + elf->sh_offset + (uint64_t)iter->next * ELF_SHDR_BYTES;

		if (get32(s + 4) != ELF_SECTION_NOTE || !inside(elf, get64(s + 24), get64(s + 32)))
			continue;
		iter->next++;
		iter->at = elf->data + get64(s + 24);
		iter->left = get64(s + 32);
		iter->align = get64(s + 48) == 8 ? 8 : 4;
		return true;
	}
	return false;
}

/* Takes one note off the current table; false when the table ends or is damaged. */
static bool notes_take(struct elf_note_iter *iter, struct elf_note *note)
{
	uint64_t name_room, desc_room;

	if (iter->left < ELF_NOTE_HEADER_BYTES)
		return false;
	note->name_bytes = get32(iter->at);
	note->desc_bytes = get32(iter->at + 4);
	note->type = get32(iter->at + 8);
	iter->at += ELF_NOTE_HEADER_BYTES;
	iter->left -= ELF_NOTE_HEADER_BYTES;
	name_room = ((uint64_t)note->name_bytes + iter->align - 1) & ~(iter->align - 1);
	/* With 8-byte notes the name is padded so that header and name together are aligned. */
	if (iter->align == 8)
		name_room = (((uint64_t)note->name_bytes + ELF_NOTE_HEADER_BYTES + 7) & ~UINT64_C(7)) -
		            ELF_NOTE_HEADER_BYTES;
	if (name_room > iter->left)
		return false;
	note->name = (const char *)iter->at;
	iter->at += name_room;
	iter->left -= name_room;
	if (note->desc_bytes > iter->left)
		return false;
	note->desc = iter->at;
	desc_room = ((uint64_t)note->desc_bytes + iter->align - 1) & ~(iter->align - 1);
	/* The last note may lack its padding. */
	if (desc_room > iter->left)
		desc_room = iter->left;
	iter->at += desc_room;
	iter->left -= desc_room;
	return true;
}

bool elf_notes_next(struct elf_note_iter *iter, struct elf_note *note)
{
	while (iter->budget) {
		iter->budget--;
		if (notes_take(iter, note))
			return true;
		iter->left = 0;
		if (!notes_next_table(iter))
			return false;
	}
	return false;
}

bool elf_note_number(const struct elf_note *note, uint64_t *value)
{
	if (!note->desc_bytes || note->desc_bytes > sizeof(*value))
		return false;
	*value = 0;
	memcpy(value, note->desc, note->desc_bytes);
	return true;
}
