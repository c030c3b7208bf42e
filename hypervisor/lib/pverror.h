/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be wrong with a kernel image or with the memory it shall run in. Shared by the ELF reader, the
 * bzImage reader, the unpackers and the PV builder, all of which are compiled into the hypervisor (for dom0)
 * and into libxenctrl (for guests).
 *
 * Functions return 0 or one of these, which are negative. pv_error_text() gives a sentence for a person.
 */
#ifndef XYLEM_PVERROR_H
#define XYLEM_PVERROR_H

enum pv_error {
	PV_OK = 0,
	PV_ERR_FORMAT = -1,      /* neither bzImage nor ELF nor gzip */
	PV_ERR_TRUNCATED = -2,   /* headers point outside of the image */
	PV_ERR_COMPRESSION = -3, /* a compression that we do not unpack */
	PV_ERR_CORRUPT = -4,     /* the compressed data is damaged */
	PV_ERR_OUTPUT = -5,      /* more data than the limit allows */
	PV_ERR_MEMORY = -6,      /* the unpacker's own allocation failed */
	PV_ERR_MACHINE = -7,     /* not a 64-bit x86 executable */
	PV_ERR_SEGMENTS = -8,    /* no, too many, or impossible segments */
	PV_ERR_NOTES = -9,       /* no Xen notes: the kernel is not built for PV */
	PV_ERR_NOTE_VALUE = -10, /* a Xen note has an impossible value */
	PV_ERR_FEATURE = -11,    /* requires a feature that PV domains do not have */
	PV_ERR_NOT_DOM0 = -12,   /* says that it cannot be the initial domain */
	PV_ERR_ADDRESS = -13,    /* wants to lie where the hypervisor is, or beyond canonical addresses */
	PV_ERR_TOO_SMALL = -14,  /* kernel, ramdisk and tables do not fit into the domain's memory */
	PV_ERR_TOO_LARGE = -15,  /* more memory than the p2m's address range can describe */
	PV_ERR_CMDLINE = -16,    /* longer than 1,023 characters */
	PV_ERR_MAP = -17,        /* the caller's map callback failed */
};

/* A sentence without full stop for an error above; never NULL. */
const char *pv_error_text(int error);

#endif
