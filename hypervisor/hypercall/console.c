/* SPDX-License-Identifier: GPL-2.0-or-later */
/* console_io: the hypervisor's console, for dom0 alone; other guests have a ring of their own. */
#include "hypercall/hypercall.h"
#include "hw/console.h"
#include "hw/smp.h"

/* console_io(command, count, buffer). Restarts after each 512 bytes written when there is other work. */
int64_t hc_console_io(struct hc_args *a)
{
	uint64_t count = (uint32_t)a->arg[1];
	char buf[512];
	size_t n;

	if (!current_domain()->privileged)
		return -EPERM;
	switch ((uint32_t)a->arg[0]) {
	case CONSOLEIO_write:
		while (count) {
			n = MIN(count, sizeof(buf));
			if (guest_copy_in(buf, GVA(a->arg[2]), n))
				return -EFAULT;
			console_write(buf, n);
			count -= n;
			a->arg[1] = count;
			a->arg[2] += n;
			if (count && work_pending())
				return -ERESTART_HV;
		}
		return 0;
	case CONSOLEIO_read:
		n = console_read(buf, MIN(count, sizeof(buf)));
		return guest_copy_out(GVA(a->arg[2]), buf, n) ? -EFAULT : (int64_t)n;
	}
	return -ENOSYS;
}
