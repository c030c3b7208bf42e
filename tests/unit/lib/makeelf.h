/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes small ELF kernels with Xen notes for the tests of the PV builder. */
#ifndef XYLEM_TEST_MAKEELF_H
#define XYLEM_TEST_MAKEELF_H

#include <elf.h>
#include <stdint.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/elfnote.h>

#define MAKEELF_BYTES        65536u
#define MAKEELF_TEXT_OFFSET  0x1000u
#define MAKEELF_TEXT_BYTES   0x2345u
#define MAKEELF_DATA_OFFSET  0x4000u
#define MAKEELF_DATA_BYTES   0x1801u
#define MAKEELF_BSS_BYTES    0x7777u
#define MAKEELF_NOTES_OFFSET 0x800u

struct makeelf {
	uint64_t virt_base;
	uint64_t paddr_offset;
	uint64_t load_paddr; /* of the text, as ELF says */
	uint64_t entry;
	uint64_t init_p2m;       /* 0: no note */
	uint64_t hypercall_page; /* 0: no note */
	int mod_start_pfn;
	const char *features; /* NULL: no note */
	uint32_t supported;   /* 0: no note */
	int notes_in_section; /* instead of a program header */
	int no_notes;
};

static inline size_t makeelf_note(uint8_t *at, uint32_t type, const void *desc, uint32_t bytes)
{
	Elf64_Nhdr *n = (Elf64_Nhdr *)at;

	n->n_namesz = 4;
	n->n_descsz = bytes;
	n->n_type = type;
	memcpy(at + sizeof(*n), "Xen", 4);
	memcpy(at + sizeof(*n) + 4, desc, bytes);
	return sizeof(*n) + 4 + ((bytes + 3u) & ~3u);
}

static inline size_t makeelf_notes(const struct makeelf *m, uint8_t *notes)
{
	uint8_t *at = notes;
	uint32_t one = 1;

	at += makeelf_note(at, XEN_ELFNOTE_GUEST_OS, "test", 5);
	at += makeelf_note(at, XEN_ELFNOTE_VIRT_BASE, &m->virt_base, 8);
	at += makeelf_note(at, XEN_ELFNOTE_PADDR_OFFSET, &m->paddr_offset, 8);
	at += makeelf_note(at, XEN_ELFNOTE_ENTRY, &m->entry, 8);
	if (m->init_p2m)
		at += makeelf_note(at, XEN_ELFNOTE_INIT_P2M, &m->init_p2m, 8);
	if (m->hypercall_page)
		at += makeelf_note(at, XEN_ELFNOTE_HYPERCALL_PAGE, &m->hypercall_page, 8);
	if (m->mod_start_pfn)
		at += makeelf_note(at, XEN_ELFNOTE_MOD_START_PFN, &one, 4);
	if (m->features)
		at += makeelf_note(at, XEN_ELFNOTE_FEATURES, m->features, (uint32_t)strlen(m->features) + 1);
	if (m->supported)
		at += makeelf_note(at, XEN_ELFNOTE_SUPPORTED_FEATURES, &m->supported, 4);
	return (size_t)(at - notes);
}

/* Fills image (MAKEELF_BYTES) and returns its size. */
static inline size_t makeelf(const struct makeelf *m, uint8_t *image)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)image;
	Elf64_Phdr *p = (Elf64_Phdr *)(image + sizeof(*h));
	Elf64_Shdr *s = (Elf64_Shdr *)(image + 0x400);
	size_t notes;

	memset(image, 0, MAKEELF_BYTES);
	memcpy(h->e_ident, ELFMAG, SELFMAG);
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_type = ET_EXEC;
	h->e_machine = EM_X86_64;
	h->e_version = 1;
	h->e_entry = m->entry;
	h->e_phoff = sizeof(*h);
	h->e_ehsize = sizeof(*h);
	h->e_phentsize = sizeof(*p);
	h->e_phnum = m->no_notes || m->notes_in_section ? 2 : 3;
	h->e_shentsize = sizeof(*s);
	p[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
		             .p_offset = MAKEELF_TEXT_OFFSET,
		             .p_vaddr = m->entry,
		             .p_paddr = m->load_paddr,
		             .p_filesz = MAKEELF_TEXT_BYTES,
		             .p_memsz = MAKEELF_TEXT_BYTES };
	p[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
		             .p_offset = MAKEELF_DATA_OFFSET,
		             .p_paddr = m->load_paddr + 0x5010,
		             .p_filesz = MAKEELF_DATA_BYTES,
		             .p_memsz = MAKEELF_DATA_BYTES + MAKEELF_BSS_BYTES };
	notes = makeelf_notes(m, image + MAKEELF_NOTES_OFFSET);
	p[2] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = MAKEELF_NOTES_OFFSET, .p_filesz = notes, .p_align = 4
	};
	if (m->notes_in_section) {
		h->e_shoff = 0x400;
		h->e_shnum = 2;
		s[1] = (Elf64_Shdr){ .sh_type = SHT_NOTE,
			             .sh_offset = MAKEELF_NOTES_OFFSET,
			             .sh_size = notes,
			             .sh_addralign = 4 };
	}
	for (unsigned i = MAKEELF_TEXT_OFFSET; i < MAKEELF_DATA_OFFSET + MAKEELF_DATA_BYTES; i++)
		image[i] = (uint8_t)(i * 31 + (i >> 8) + 1);
	return MAKEELF_DATA_OFFSET + MAKEELF_DATA_BYTES;
}

/* A kernel as Linux makes them today: p2m elsewhere, ramdisk by frame number. */
static inline struct makeelf makeelf_modern(void)
{
	return (struct makeelf){ .virt_base = 0xffffffff80000000,
		                 .load_paddr = 0x1000000,
		                 .entry = 0xffffffff81000010,
		                 .init_p2m = 0x8000000000,
		                 .mod_start_pfn = 1,
		                 .features = "!writable_page_tables|pae_pgdir_above_4gb",
		                 .supported = 0x8801 };
}

/* One of the old layout, with a hypercall page. */
static inline struct makeelf makeelf_classic(void)
{
	return (struct makeelf){ .virt_base = 0xffffffff80000000,
		                 .load_paddr = 0x200000,
		                 .entry = 0xffffffff80200000,
		                 .hypercall_page = 0xffffffff80201000 };
}

#endif
