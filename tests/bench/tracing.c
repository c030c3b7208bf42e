/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tracing.h, by XEN_SYSCTL_tbuf_op and the layout of xen/trace.h. */
#define __XEN_TOOLS__
#include "tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/sysctl.h>
#include <xen/trace.h>
#include <xen/sys/privcmd.h>

#define PAGE         4096ul
#define BUFFER_PAGES 8192u /* 32 MiB: an operation's records must fit */
#define SLACK        4096u /* more than the largest record: with so much room left none was lost */

static int privcmd;
static volatile struct t_buf *buffer; /* of CPU 0, the only one */
static uint32_t buffer_bytes;

static void fail(const char *what)
{
	printf("bench: failed: tracing: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

/* /dev/xen/privcmd is a module of Debian's kernel, and nothing makes device nodes here. */
static void open_privcmd(void)
{
	char line[80], name[40];
	unsigned minor_number, found = 0;
	int module = open("/xen-privcmd.ko", O_RDONLY);
	FILE *misc;

	if (module < 0 || (syscall(SYS_finit_module, module, "", 0) && errno != EEXIST))
		fail("xen-privcmd.ko");
	mkdir("/proc", 0755);
	if (syscall(SYS_mount, "proc", "/proc", "proc", 0, NULL) && errno != EBUSY)
		fail("/proc");
	misc = fopen("/proc/misc", "r");
	while (misc && !found && fgets(line, sizeof(line), misc))
		found = sscanf(line, "%u %39s", &minor_number, name) == 2 && !strcmp(name, "xen/privcmd");
	if (!found || mknod("/dev/privcmd", S_IFCHR | 0600, makedev(10, minor_number)))
		fail("no device xen/privcmd");
	privcmd = open("/dev/privcmd", O_RDWR);
	if (privcmd < 0)
		fail("/dev/privcmd");
}

static struct xen_sysctl_tbuf_op tbuf_op(uint32_t cmd, uint32_t size)
{
	static struct xen_sysctl op;
	struct privcmd_hypercall call = { .op = __HYPERVISOR_sysctl, .arg = { (uintptr_t)&op } };

	if (mlock(&op, sizeof(op)))
		fail("mlock");
	memset(&op, 0, sizeof(op));
	op.cmd = XEN_SYSCTL_tbuf_op;
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	op.u.tbuf_op.cmd = cmd;
	op.u.tbuf_op.size = size;
	op.u.tbuf_op.evt_mask = UINT32_MAX;
	if (ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &call) < 0)
		fail("XEN_SYSCTL_tbuf_op");
	return op.u.tbuf_op;
}

static void *map_frame(uint64_t frame, int prot)
{
	xen_pfn_t mfn = frame;
	int error = 0;
	struct privcmd_mmapbatch_v2 batch = { .num = 1, .dom = DOMID_XEN, .arr = &mfn, .err = &error };
	void *p = mmap(NULL, PAGE, prot, MAP_SHARED, privcmd, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	batch.addr = (uintptr_t)p;
	if (ioctl(privcmd, IOCTL_PRIVCMD_MMAPBATCH_V2, &batch) < 0)
		fail("a frame of DOMID_XEN");
	return p;
}

void tracing_start(void)
{
	const struct t_info *info;

	open_privcmd();
	tbuf_op(XEN_SYSCTL_TBUFOP_set_size, BUFFER_PAGES);
	tbuf_op(XEN_SYSCTL_TBUFOP_set_evt_mask, 0);
	tbuf_op(XEN_SYSCTL_TBUFOP_enable, 0);
	info = map_frame(tbuf_op(XEN_SYSCTL_TBUFOP_get_info, 0).buffer_mfn, PROT_READ);
	if (info->tbuf_size != BUFFER_PAGES)
		fail("the buffer's size");
	buffer_bytes = (uint32_t)(info->tbuf_size * PAGE - sizeof(struct t_buf));
	buffer = map_frame(((const uint32_t *)info)[info->mfn_offset[0]], PROT_READ | PROT_WRITE);
}

void tracing_forget(void)
{
	buffer->cons = buffer->prod;
}

uint32_t tracing_bytes(void)
{
	uint32_t bytes = (buffer->prod + 2 * buffer_bytes - buffer->cons) % (2 * buffer_bytes);

	if (bytes > buffer_bytes - SLACK) {
		errno = ENOSPC;
		fail("records were lost");
	}
	return bytes;
}
