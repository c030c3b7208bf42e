/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * First step of the PV builder: what the kernel says of itself. See pvbuild.h; source: xen/elfnote.h,
 * xen/features.h.
 */
#include <stdint.h>
#include <string.h>
#include <xen/elfnote.h>
#include <xen/features.h>

#include "elf.h"
#include "pvbuild.h"

#define PV_PAGE_MASK  ((uint64_t)PV_PAGE_BYTES - 1)
#define PV_KERNEL_MAX (UINT64_C(1) << 36) /* far beyond any kernel; keeps sums small */
#define FEATURE(n)    (UINT64_C(1) << XENFEAT_##n)

/* The names that the string note may use. */
static const struct {
	const char *name;
	uint64_t bit;
} features[] = {
	{ "writable_page_tables", FEATURE(writable_page_tables) },
	{ "writable_descriptor_tables", FEATURE(writable_descriptor_tables) },
	{ "auto_translated_physmap", FEATURE(auto_translated_physmap) },
	{ "supervisor_mode_kernel", FEATURE(supervisor_mode_kernel) },
	{ "pae_pgdir_above_4gb", FEATURE(pae_pgdir_above_4gb) },
	{ "mmu_pt_update_preserve_ad", FEATURE(mmu_pt_update_preserve_ad) },
	{ "gnttab_map_avail_bits", FEATURE(gnttab_map_avail_bits) },
	{ "hvm_callback_vector", FEATURE(hvm_callback_vector) },
	{ "hvm_safe_pvclock", FEATURE(hvm_safe_pvclock) },
	{ "hvm_pirqs", FEATURE(hvm_pirqs) },
	{ "dom0", FEATURE(dom0) },
	{ "memory_op_vnode_supported", FEATURE(memory_op_vnode_supported) },
	{ "linux_rsdp_unrestricted", FEATURE(linux_rsdp_unrestricted) },
};

/* What a kernel may insist on: 64-bit PV domains of Xen 4.17 and of Xylem have it. */
#define FEATURES_PROVIDED                                                                                    \
	(FEATURE(writable_page_tables) | FEATURE(pae_pgdir_above_4gb) | FEATURE(mmu_pt_update_preserve_ad) | \
	 FEATURE(gnttab_map_avail_bits) | FEATURE(memory_op_vnode_supported) | FEATURE(dom0))

/* "a|!b|c": known names go to supported, with '!' also to required. An unknown required name is an error. */
static int parse_features(struct pv_image *image, const char *text, uint32_t length)
{
	uint32_t at = 0;

	while (at < length && text[at]) {
		uint32_t end = at;
		bool required = text[at] == '!';
		bool known = false;

		while (end < length && text[end] && text[end] != '|')
			end++;
		at += required;
		for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
			size_t n = strlen(features[i].name);

			if (at > end || n != end - at || memcmp(features[i].name, text + at, n) != 0)
				continue;
			image->features_supported |= features[i].bit;
			if (required)
				image->features_required |= features[i].bit;
			known = true;
		}
		if (required && !known)
			return PV_ERR_FEATURE;
		at = end < length && text[end] == '|' ? end + 1 : end;
	}
	return PV_OK;
}

static void copy_text(char *out, size_t room, const struct elf_note *note)
{
	size_t n = note->desc_bytes < room - 1 ? note->desc_bytes : room - 1;

	memset(out, 0, room);
	memcpy(out, note->desc, n);
	for (size_t i = 0; i < n; i++) {
		if (out[i] && (out[i] < ' ' || out[i] > '~'))
			out[i] = '?'; /* it will be printed */
	}
}

static bool text_is(const struct elf_note *note, const char *word)
{
	size_t n = strlen(word);

	return note->desc_bytes >= n && memcmp(note->desc, word, n) == 0 &&
	       (note->desc_bytes == n || !note->desc[n]);
}

/* L1_MFN_VALID: mask/value pairs of 64 bits; the first one matters. */
static int parse_l1_mfn(struct pv_image *image, const struct elf_note *note)
{
	if (note->desc_bytes < 2 * sizeof(uint64_t))
		return PV_OK;
	memcpy(&image->l1_mfn_mask, note->desc, sizeof(uint64_t));
	memcpy(&image->l1_mfn_value, note->desc + sizeof(uint64_t), sizeof(uint64_t));
	return PV_OK;
}

static int parse_note_text(struct pv_image *image, const struct elf_note *note)
{
	switch (note->type) {
	case XEN_ELFNOTE_GUEST_OS:
		copy_text(image->guest_os, sizeof(image->guest_os), note);
		return PV_OK;
	case XEN_ELFNOTE_GUEST_VERSION:
		copy_text(image->guest_version, sizeof(image->guest_version), note);
		return PV_OK;
	case XEN_ELFNOTE_FEATURES:
		return parse_features(image, (const char *)note->desc, note->desc_bytes);
	case XEN_ELFNOTE_BSD_SYMTAB:
		image->wants_symtab = text_is(note, "yes");
		return PV_OK;
	case XEN_ELFNOTE_L1_MFN_VALID:
		return parse_l1_mfn(image, note);
	default:
		/* XEN_VERSION, LOADER, PAE_MODE and later ones tell nothing that a 64-bit builder needs */
		return PV_OK;
	}
}

static int parse_note(struct pv_image *image, const struct elf_note *note)
{
	uint64_t *number = NULL;
	uint64_t value;

	switch (note->type) {
	case XEN_ELFNOTE_ENTRY:
		number = &image->entry;
		break;
	case XEN_ELFNOTE_HYPERCALL_PAGE:
		number = &image->hypercall_page;
		break;
	case XEN_ELFNOTE_VIRT_BASE:
		number = &image->virt_base;
		break;
	case XEN_ELFNOTE_PADDR_OFFSET:
		number = &image->paddr_offset;
		break;
	case XEN_ELFNOTE_HV_START_LOW:
		number = &image->hv_start_low;
		break;
	case XEN_ELFNOTE_INIT_P2M:
		number = &image->init_p2m;
		break;
	case XEN_ELFNOTE_MOD_START_PFN:
	case XEN_ELFNOTE_SUSPEND_CANCEL:
	case XEN_ELFNOTE_SUPPORTED_FEATURES:
		break;
	default:
		return parse_note_text(image, note);
	}
	if (!elf_note_number(note, &value))
		return PV_ERR_NOTE_VALUE;
	if (number) {
		*number = value;
	} else if (note->type == XEN_ELFNOTE_MOD_START_PFN) {
		image->mod_start_pfn = value != 0;
	} else if (note->type == XEN_ELFNOTE_SUSPEND_CANCEL) {
		image->suspend_cancel = value != 0;
	} else {
		image->features_supported |= value;
		image->supported_stated = true;
	}
	return PV_OK;
}

static int parse_notes(struct pv_image *image, const struct elf *elf)
{
	struct elf_note_iter iter;
	struct elf_note note;
	unsigned found = 0;
	int rc;

	elf_notes_begin(elf, &iter);
	while (elf_notes_next(&iter, &note)) {
		if (note.name_bytes != 4 || memcmp(note.name, "Xen", 4) != 0)
			continue;
		rc = parse_note(image, &note);
		if (rc != PV_OK)
			return rc;
		found++;
	}
	return found ? PV_OK : PV_ERR_NOTES;
}

/* Enters one load segment; keeps kernel_start and kernel_end. */
static int add_segment(struct pv_image *image, const struct elf_segment *from)
{
	struct pv_segment *to = &image->segments[image->segment_count];
	uint64_t offset, end;

	if (!from->memory_bytes)
		return PV_OK;
	if (image->segment_count == PV_SEGMENTS_MAX || from->paddr < image->paddr_offset)
		return PV_ERR_SEGMENTS;
	offset = from->paddr - image->paddr_offset;
	if (offset > PV_KERNEL_MAX || from->memory_bytes > PV_KERNEL_MAX)
		return PV_ERR_SEGMENTS;
	to->file_offset = from->file_offset;
	to->file_bytes = from->file_bytes;
	to->memory_bytes = from->memory_bytes;
	if (__builtin_add_overflow(image->virt_base, offset, &to->vaddr) ||
	    __builtin_add_overflow(to->vaddr, from->memory_bytes + PV_PAGE_MASK, &end))
		return PV_ERR_ADDRESS;
	end &= ~PV_PAGE_MASK;
	if (!image->segment_count || (to->vaddr & ~PV_PAGE_MASK) < image->kernel_start)
		image->kernel_start = to->vaddr & ~PV_PAGE_MASK;
	if (end > image->kernel_end)
		image->kernel_end = end;
	image->segment_count++;
	return PV_OK;
}

static int check_addresses(const struct pv_image *image)
{
	if (image->virt_base & PV_PAGE_MASK)
		return PV_ERR_NOTE_VALUE;
	if (image->init_p2m != PV_UNSET && (image->init_p2m & PV_PAGE_MASK))
		return PV_ERR_NOTE_VALUE;
	if (image->entry < image->kernel_start || image->entry >= image->kernel_end)
		return PV_ERR_NOTE_VALUE;
	if (image->hypercall_page != PV_UNSET &&
	    ((image->hypercall_page & PV_PAGE_MASK) || image->hypercall_page < image->kernel_start ||
	     image->hypercall_page >= image->kernel_end))
		return PV_ERR_NOTE_VALUE;
	if (image->features_required & ~FEATURES_PROVIDED)
		return PV_ERR_FEATURE;
	return PV_OK;
}

int pv_image_parse(struct pv_image *image, const void *data, uint64_t bytes)
{
	struct elf_segment segment;
	struct elf elf;
	int rc;

	memset(image, 0, sizeof(*image));
	image->data = data;
	image->bytes = bytes;
	image->hypercall_page = PV_UNSET;
	image->init_p2m = PV_UNSET;
	image->hv_start_low = PV_UNSET;
	rc = elf_open(&elf, data, bytes);
	if (rc != PV_OK)
		return rc;
	image->entry = elf.entry;
	rc = parse_notes(image, &elf);
	if (rc != PV_OK)
		return rc;
	for (unsigned i = 0; i < elf.ph_count; i++) {
		rc = elf_segment(&elf, i, &segment);
		if (rc == PV_OK && segment.type == ELF_SEGMENT_LOAD)
			rc = add_segment(image, &segment);
		if (rc != PV_OK)
			return rc;
	}
	if (!image->segment_count)
		return PV_ERR_SEGMENTS;
	return check_addresses(image);
}
