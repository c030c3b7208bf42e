/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen_version and vm_assist: what there is, and which conventions the guest chooses (xen/version.h, xen/features.h). */
#include "config.h"
#include "hw/options.h"
#include "hw/symbols.h"
#include "hypercall/hypercall.h"
#include "hypercall/settings.h"
#include "hw/layout.h"
#include "lib/string.h"
#include "pv/vcpu.h"
#include <xen/features.h>
#include <xen/version.h>

/* What each of the commands that give a text tells. */
static const char *text_of(uint32_t command)
{
	static const char *const texts[] = {
		[XENVER_extraversion] = XYLEM_EXTRAVERSION,
		[XENVER_capabilities] = "xen-3.0-x86_64 ",
		[XENVER_changeset] = "xylem " PACKAGE_VERSION,
		[XENVER_commandline] = "<denied>",
	};

	return command == XENVER_commandline && current_domain()->privileged ? options.command_line
	                                                                     : texts[command];
}

static int64_t put_text(gva_t to, const char *text, size_t size)
{
	char buf[1024] = { 0 };

	size = MIN(size, sizeof(buf));
	memcpy(buf, text, strnlen(text, size - 1));
	return guest_copy_out(to, buf, size) ? -EFAULT : 0;
}

static int64_t get_features(gva_t to)
{
	struct xen_feature_info f;

	if (guest_copy_in(&f, to, sizeof(f)))
		return -EFAULT;
	if (f.submap_idx >= XENFEAT_NR_SUBMAPS)
		return -EINVAL;
	f.submap = 1u << XENFEAT_memory_op_vnode_supported | 1u << XENFEAT_mmu_pt_update_preserve_ad |
	           1u << XENFEAT_highmem_assist | 1u << XENFEAT_gnttab_map_avail_bits;
	if (current_domain()->privileged)
		f.submap |= 1u << XENFEAT_dom0;
	return guest_copy_out(to, &f, sizeof(f)) ? -EFAULT : 0;
}

/* Into a buffer whose room stands before it; returns their number, also without a buffer. */
static int64_t put_bytes(gva_t to, const void *from, size_t bytes)
{
	uint32_t room;

	if (!to.v)
		return (int64_t)bytes;
	if (guest_copy_in(&room, to, sizeof(room)))
		return -EFAULT;
	if (!room)
		return -EINVAL;
	if (room < bytes)
		return -ENOBUFS;
	return guest_copy_out(GVA(to.v + sizeof(room)), from, bytes) ? -EFAULT : (int64_t)bytes;
}

/* The bytes by which the linker names this build. */
static int64_t get_build_id(gva_t to)
{
	size_t bytes;
	const void *id = build_id(&bytes);

	return current_domain()->privileged ? put_bytes(to, id, bytes) : -EPERM;
}

/* xen_version(command, buffer). */
int64_t hc_xen_version(struct hc_args *a)
{
	gva_t to = GVA(a->arg[1]);
	struct xen_compile_info info = {
		.compiler = __VERSION__, .compile_by = "", .compile_domain = "", .compile_date = ""
	};
	struct xen_platform_parameters parameters = { .virt_start = M2P_RO_BASE };
	uint32_t command = (uint32_t)a->arg[0];
	int long_text = release_long_text(command);

	if (long_text == XENVER_commandline && !current_domain()->privileged)
		return -EPERM;
	if (long_text >= 0)
		return put_bytes(to, text_of((uint32_t)long_text), strlen(text_of((uint32_t)long_text)));
	switch (command) {
	case XENVER_version:
		return XYLEM_ABI_MAJOR << 16 | XYLEM_ABI_MINOR;
	case XENVER_extraversion:
		return put_text(to, text_of(command), XEN_EXTRAVERSION_LEN);
	case XENVER_compile_info:
		return guest_copy_out(to, &info, sizeof(info)) ? -EFAULT : 0;
	case XENVER_capabilities:
		return put_text(to, text_of(command), sizeof(xen_capabilities_info_t));
	case XENVER_changeset:
		return put_text(to, text_of(command), XEN_CHANGESET_INFO_LEN);
	case XENVER_platform_parameters:
		return guest_copy_out(to, &parameters, sizeof(parameters)) ? -EFAULT : 0;
	case XENVER_get_features:
		return get_features(to);
	case XENVER_pagesize:
		return a->arg[1] ? -EINVAL : (int64_t)PAGE_SIZE;
	case XENVER_guest_handle:
		return guest_copy_out(to, current_domain()->handle, sizeof(xen_domain_handle_t)) ? -EFAULT
		                                                                                 : 0;
	case XENVER_commandline:
		return put_text(to, text_of(command), sizeof(xen_commandline_t));
	case XENVER_build_id:
		return get_build_id(to);
	}
	return -ENOSYS;
}

/* vm_assist(command, type). */
int64_t hc_vm_assist(struct hc_args *a)
{
	/* Those of 32-bit guests are accepted and mean nothing. */
	static const uint64_t known = 1u << VMASST_TYPE_4gb_segments | 1u << VMASST_TYPE_4gb_segments_notify |
	                              1u << VMASST_TYPE_pae_extended_cr3 |
	                              1u << VMASST_TYPE_writable_pagetables |
	                              1u << VMASST_TYPE_architectural_iopl |
	                              1u << VMASST_TYPE_runstate_update_flag | 1ull << VMASST_TYPE_m2p_strict;
	struct domain *d = current_domain();
	uint32_t command = (uint32_t)a->arg[0], type = (uint32_t)a->arg[1];

	if (type >= 64 || !(known >> type & 1))
		return -EINVAL;
	if (command != VMASST_CMD_enable && command != VMASST_CMD_disable)
		return -ENOSYS;
	spin_lock(&d->lock);
	if (command == VMASST_CMD_enable)
		bit_set(&d->vm_assist, type);
	else
		bit_clear(&d->vm_assist, type);
	pv_assist_update(d);
	spin_unlock(&d->lock);
	return 0;
}
