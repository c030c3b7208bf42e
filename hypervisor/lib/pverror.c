/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sentences of pverror.h. */
#include "pverror.h"

const char *pv_error_text(int error)
{
	switch (error) {
	case PV_OK:
		return "no error";
	case PV_ERR_FORMAT:
		return "this is neither a bzImage nor an ELF executable nor a compressed one";
	case PV_ERR_TRUNCATED:
		return "the image is truncated, or its headers point outside of it";
	case PV_ERR_COMPRESSION:
		return "the kernel is compressed in a way that is not supported (supported: gzip, "
		       "xz, zstd, lzma, lz4, lzo; for guests bzip2, too)";
	case PV_ERR_CORRUPT:
		return "the compressed kernel is damaged";
	case PV_ERR_OUTPUT:
		return "the unpacked kernel is larger than the limit";
	case PV_ERR_MEMORY:
		return "not enough memory to unpack the kernel";
	case PV_ERR_MACHINE:
		return "the kernel is not a 64-bit x86 executable";
	case PV_ERR_SEGMENTS:
		return "the kernel's ELF segments are missing, too many, or impossible";
	case PV_ERR_NOTES:
		return "the kernel has no Xen notes: it is not built for paravirtual domains (CONFIG_XEN_PV)";
	case PV_ERR_NOTE_VALUE:
		return "a Xen note of the kernel has an impossible value";
	case PV_ERR_FEATURE:
		return "the kernel requires a feature that 64-bit paravirtual domains do not have";
	case PV_ERR_NOT_DOM0:
		return "the kernel says that it cannot run as the initial domain (CONFIG_XEN_DOM0)";
	case PV_ERR_ADDRESS:
		return "the kernel wants to lie at addresses that are the hypervisor's or do not exist";
	case PV_ERR_TOO_SMALL:
		return "the domain's memory is too small for the kernel, its ramdisk and its tables";
	case PV_ERR_TOO_LARGE:
		return "the kernel cannot address so much memory or so large a ramdisk";
	case PV_ERR_CMDLINE:
		return "the kernel command line is longer than 1023 characters";
	case PV_ERR_MAP:
		return "a page of the new domain could not be mapped";
	default:
		return "unknown error";
	}
}
