/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private: layout of a core file of a domain, as the program crash reads it: an ELF file of sections, without program
 * headers. Source: Xen's docs/misc/dump-core-format.txt, xen/elfnote.h, xen/version.h.
 */
#ifndef XYLEM_LIBXENCTRL_DUMPFORMAT_H
#define XYLEM_LIBXENCTRL_DUMPFORMAT_H

#include <elf.h>

#include "private.h"
#include <xen/elfnote.h>
#include <xen/version.h>

#define DUMP_MAGIC          0xf00febedu /* of a PV domain */
#define DUMP_FORMAT_VERSION 1u          /* 0.1 */

enum dump_section {
	DUMP_NULL,
	DUMP_STRINGS,
	DUMP_NOTES,
	DUMP_PRSTATUS,
	DUMP_SHARED_INFO,
	DUMP_P2M,
	DUMP_PAGES,
	DUMP_SECTIONS,
};

struct dump_note {
	uint32_t name_bytes;
	uint32_t desc_bytes;
	uint32_t type;
	char name[4];
};

struct dump_notes {
	struct dump_note none;
	struct dump_note header_note;
	struct {
		uint64_t magic;
		uint64_t vcpu_count;
		uint64_t page_count;
		uint64_t page_bytes;
	} header;
	struct dump_note xen_note;
	struct {
		uint64_t major;
		uint64_t minor;
		xen_extraversion_t extra;
		xen_compile_info_t compile;
		xen_capabilities_info_t capabilities;
		xen_changeset_info_t changeset;
		xen_platform_parameters_t platform;
		uint64_t page_bytes;
	} xen;
	struct dump_note format_note;
	uint64_t format;
};

struct dump_p2m {
	uint64_t pfn;
	uint64_t mfn;
};

/* All of the file before its pages, but for the arrays: what stands where. */
struct dump_head {
	Elf64_Ehdr elf;
	Elf64_Shdr sections[DUMP_SECTIONS];
	char strings[80];
	struct dump_notes notes;
};

_Static_assert(sizeof(struct dump_note) == 16, "layout");
_Static_assert(sizeof(struct dump_p2m) == 16, "layout");
_Static_assert(sizeof(struct dump_notes) == 4 * 16 + 32 + 1280 + 8, "layout: no padding");

/*
 * Fills head for a domain of so many vcpus and pages. Behind it come, without gaps, the registers, the shared info and the
 * table of frames; then zeros up to the offset of DUMP_PAGES; then the pages, to the end.
 */
XYL_HIDDEN void dump_layout(struct dump_head *head, const struct xyl_version *xen, uint64_t vcpu_count,
                            uint64_t page_count);

#endif
