/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of a core file. Makes no hypercalls. */
#include <string.h>

#include "dumpformat.h"

static const char *const names[DUMP_SECTIONS] = {
	[DUMP_NULL] = "",
	[DUMP_STRINGS] = ".shstrtab",
	[DUMP_NOTES] = ".note.Xen",
	[DUMP_PRSTATUS] = ".xen_prstatus",
	[DUMP_SHARED_INFO] = ".xen_shared_info",
	[DUMP_P2M] = ".xen_p2m",
	[DUMP_PAGES] = ".xen_pages",
};

static void set_elf(Elf64_Ehdr *e)
{
	memcpy(e->e_ident, ELFMAG, SELFMAG);
	e->e_ident[EI_CLASS] = ELFCLASS64;
	e->e_ident[EI_DATA] = ELFDATA2LSB;
	e->e_ident[EI_VERSION] = EV_CURRENT;
	e->e_ident[EI_OSABI] = ELFOSABI_SYSV;
	e->e_type = ET_CORE;
	e->e_machine = EM_X86_64;
	e->e_version = EV_CURRENT;
	e->e_shoff = offsetof(struct dump_head, sections);
	e->e_ehsize = sizeof(Elf64_Ehdr);
	e->e_shentsize = sizeof(Elf64_Shdr);
	e->e_shnum = DUMP_SECTIONS;
	e->e_shstrndx = DUMP_STRINGS;
}

static struct dump_note note(uint32_t type, size_t bytes)
{
	return (struct dump_note){ sizeof("Xen"), (uint32_t)bytes, type, "Xen" };
}

/* Texts of the hypervisor fill their fields, which need not end with a zero. */
#define COPY(to, from) memcpy(to, from, sizeof(to) < sizeof(from) ? sizeof(to) : sizeof(from))

static void set_notes(struct dump_notes *n, const struct xyl_version *xen, uint64_t vcpu_count,
                      uint64_t page_count)
{
	n->none = note(XEN_ELFNOTE_DUMPCORE_NONE, 0);
	n->header_note = note(XEN_ELFNOTE_DUMPCORE_HEADER, sizeof(n->header));
	n->header.magic = DUMP_MAGIC;
	n->header.vcpu_count = vcpu_count;
	n->header.page_count = page_count;
	n->header.page_bytes = XYL_PAGE_BYTES;
	n->xen_note = note(XEN_ELFNOTE_DUMPCORE_XEN_VERSION, sizeof(n->xen));
	n->xen.major = xen->major;
	n->xen.minor = xen->minor;
	COPY(n->xen.extra, xen->extra);
	COPY(n->xen.compile.compiler, xen->compiler);
	COPY(n->xen.compile.compile_by, xen->compile_by);
	COPY(n->xen.compile.compile_domain, xen->compile_domain);
	COPY(n->xen.compile.compile_date, xen->compile_date);
	COPY(n->xen.capabilities, xen->capabilities);
	COPY(n->xen.changeset, xen->changeset);
	n->xen.platform.virt_start = xen->virt_start;
	n->xen.page_bytes = xen->page_bytes;
	n->format_note = note(XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION, sizeof(n->format));
	n->format = DUMP_FORMAT_VERSION;
}

/* Section s is bytes long and begins where the one before ends; returns where it ends. */
static uint64_t set_section(struct dump_head *h, enum dump_section s, uint32_t type, uint64_t offset,
                            uint64_t bytes, uint64_t entry_bytes)
{
	Elf64_Shdr *section = &h->sections[s];

	section->sh_type = type;
	section->sh_offset = offset;
	section->sh_size = bytes;
	section->sh_entsize = entry_bytes;
	section->sh_addralign = s >= DUMP_PRSTATUS ? 8 : 1;
	return offset + bytes;
}

void dump_layout(struct dump_head *head, const struct xyl_version *xen, uint64_t vcpu_count,
                 uint64_t page_count)
{
	uint64_t at;
	size_t text = 1;

	memset(head, 0, sizeof(*head));
	set_elf(&head->elf);
	set_notes(&head->notes, xen, vcpu_count, page_count);
	for (unsigned i = 1; i < DUMP_SECTIONS; i++) {
		size_t bytes = strlen(names[i]) + 1;

		head->sections[i].sh_name = (uint32_t)text;
		memcpy(head->strings + text, names[i], bytes);
		text += bytes;
	}
	set_section(head, DUMP_STRINGS, SHT_STRTAB, offsetof(struct dump_head, strings), text, 0);
	set_section(head, DUMP_NOTES, SHT_NOTE, offsetof(struct dump_head, notes), sizeof(head->notes), 0);
	at = set_section(head, DUMP_PRSTATUS, SHT_PROGBITS, sizeof(*head),
	                 vcpu_count * sizeof(vcpu_guest_context_t), sizeof(vcpu_guest_context_t));
	at = set_section(head, DUMP_SHARED_INFO, SHT_PROGBITS, at, XYL_PAGE_BYTES, XYL_PAGE_BYTES);
	at = set_section(head, DUMP_P2M, SHT_PROGBITS, at, page_count * sizeof(struct dump_p2m),
	                 sizeof(struct dump_p2m));
	at = (at + XYL_PAGE_BYTES - 1) & ~(uint64_t)(XYL_PAGE_BYTES - 1);
	set_section(head, DUMP_PAGES, SHT_PROGBITS, at, page_count * XYL_PAGE_BYTES, XYL_PAGE_BYTES);
	head->sections[DUMP_PAGES].sh_addralign = XYL_PAGE_BYTES;
}
