/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * physdev_op (xen/physdev.h): interrupts and ports of devices. Who may do what is decided in one place,
 * allowed(); mapping a single interrupt is decided by dom/pirq.c.
 */
#include "hypercall/hypercall.h"
#include "dom/pirq.h"
#include "hw/ioapic.h"
#include "hw/irq.h"
#include "hw/msi.h"
#include "lib/log.h"

#define PORTS 65536

/* Any domain may ask about and acknowledge its own interrupts; the rest is the hardware domain's. */
static bool allowed(unsigned cmd)
{
	switch (cmd) {
	case PHYSDEVOP_eoi:
	case PHYSDEVOP_IRQ_UNMASK_NOTIFY:
	case PHYSDEVOP_irq_status_query:
	case PHYSDEVOP_pirq_eoi_gmfn_v1:
	case PHYSDEVOP_pirq_eoi_gmfn_v2:
	case PHYSDEVOP_map_pirq:
	case PHYSDEVOP_unmap_pirq:
	case PHYSDEVOP_get_free_pirq:
	case PHYSDEVOP_set_iopl:
	case PHYSDEVOP_set_iobitmap:
		return true;
	default:
		return current_domain()->privileged;
	}
}

static int eoi(gva_t at)
{
	struct physdev_eoi op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	return pirq_eoi(current_domain(), op.irq);
}

static int eoi_map(gva_t at, bool unmask)
{
	struct physdev_pirq_eoi_gmfn op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	return pirq_set_eoi_map(current_domain(), MFN(op.gmfn), unmask);
}

static int status_query(gva_t at)
{
	struct physdev_irq_status_query op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (op.irq >= PIRQS_MAX)
		return -EINVAL;
	op.flags = pirq_status(current_domain(), op.irq);
	return guest_copy_out(at, &op, sizeof(op)) ? -EFAULT : 0;
}

static int map(gva_t at)
{
	struct physdev_map_pirq op;
	struct domain *d;
	int rc;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	rc = hc_target_domain(op.domid, &d);
	if (rc)
		return rc;
	rc = pirq_map(d, &op);
	domain_put(d);
	return guest_copy_out(at, &op, sizeof(op)) ? -EFAULT : rc; /* told in any case */
}

static int unmap(gva_t at)
{
	struct physdev_unmap_pirq op;
	struct domain *d;
	int rc;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	rc = hc_target_domain(op.domid, &d);
	if (rc)
		return rc;
	rc = pirq_unmap(d, op.pirq);
	domain_put(d);
	return rc;
}

static int get_free_pirq(gva_t at)
{
	struct physdev_get_free_pirq op;
	int rc, pirq;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	rc = pirq_free_number(current_domain(), &pirq);
	if (rc)
		return rc;
	op.pirq = (uint32_t)pirq;
	return guest_copy_out(at, &op, sizeof(op)) ? -EFAULT : 0;
}

static int set_iopl(gva_t at)
{
	struct physdev_set_iopl op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (op.iopl > 3)
		return -EINVAL;
	current_vcpu()->pv.iopl = op.iopl;
	return 0;
}

static int set_iobitmap(gva_t at)
{
	struct vcpu *v = current_vcpu();
	struct physdev_set_iobitmap op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (op.nr_ports > PORTS || !guest_range_ok(handle_gva(op.bitmap), (op.nr_ports + 7) / 8))
		return -EINVAL;
	v->pv.iobmp = op.bitmap;
	v->pv.iobmp_limit = op.nr_ports;
	return 0;
}

static int apic_read(gva_t at)
{
	struct physdev_apic op;
	int rc;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	rc = ioapic_guest_read(MADDR(op.apic_physbase), op.reg, &op.value);
	return guest_copy_out(at, &op, sizeof(op)) ? -EFAULT : rc; /* told in any case */
}

/* Vectors are the hypervisor's; the caller gets the number back that it will bind, as it always was. */
static int alloc_irq_vector(gva_t at)
{
	struct physdev_irq op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	op.vector = op.irq;
	return guest_copy_out(at, &op, sizeof(op)) ? -EFAULT : 0;
}

static int setup_gsi(gva_t at)
{
	struct physdev_setup_gsi op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (op.gsi < 0 || (unsigned)op.gsi >= irq_gsi_count)
		return -EINVAL;
	return irq_gsi_setup((unsigned)op.gsi, op.triggering, op.polarity);
}

static int restore_msi(gva_t at)
{
	struct physdev_restore_msi op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	return msi_restore(0, op.bus, op.devfn);
}

static int restore_msi_ext(gva_t at)
{
	struct physdev_pci_device op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	return msi_restore(op.seg, op.bus, op.devfn);
}

static int64_t physdev_op_at(unsigned cmd, gva_t at)
{
	if (!allowed(cmd))
		return -EPERM;
	switch (cmd) {
	case PHYSDEVOP_eoi:
		return eoi(at);
	case PHYSDEVOP_pirq_eoi_gmfn_v1:
		return eoi_map(at, true);
	case PHYSDEVOP_pirq_eoi_gmfn_v2:
		return eoi_map(at, false);
	case PHYSDEVOP_irq_status_query:
		return status_query(at);
	case PHYSDEVOP_map_pirq:
		return map(at);
	case PHYSDEVOP_unmap_pirq:
		return unmap(at);
	case PHYSDEVOP_get_free_pirq:
		return get_free_pirq(at);
	case PHYSDEVOP_set_iopl:
		return set_iopl(at);
	case PHYSDEVOP_set_iobitmap:
		return set_iobitmap(at);
	case PHYSDEVOP_apic_read:
		return apic_read(at);
	case PHYSDEVOP_apic_write: /* routing is setup_gsi's and the hypervisor's */
		return -EOPNOTSUPP;
	case PHYSDEVOP_alloc_irq_vector:
		return alloc_irq_vector(at);
	case PHYSDEVOP_free_irq_vector:
		return 0; /* there was nothing allocated */
	case PHYSDEVOP_setup_gsi:
		return setup_gsi(at);
	case PHYSDEVOP_restore_msi:
		return restore_msi(at);
	case PHYSDEVOP_restore_msi_ext:
		return restore_msi_ext(at);
	case PHYSDEVOP_manage_pci_add:
	case PHYSDEVOP_manage_pci_add_ext:
	case PHYSDEVOP_manage_pci_remove:
	case PHYSDEVOP_pci_device_add:
	case PHYSDEVOP_pci_device_remove:
	case PHYSDEVOP_pci_mmcfg_reserved:
	case PHYSDEVOP_prepare_msix:
	case PHYSDEVOP_release_msix:
	case PHYSDEVOP_dbgp_op:
		/* News that nothing here depends on: no list of devices is kept, configuration space is accessed by
		 * ports, no debug port is in use. */
		return 0;
	default:
		return -ENOSYS;
	}
}

int64_t hc_physdev_op(struct hc_args *a)
{
	return physdev_op_at((unsigned)a->arg[0], GVA(a->arg[1]));
}

/* The old form: command and operation in one structure; it knows only the first few commands. */
int64_t hc_physdev_op_compat(struct hc_args *a)
{
	gva_t at = GVA(a->arg[0]);
	uint32_t cmd;

	if (guest_copy_in(&cmd, at, sizeof(cmd)))
		return -EFAULT;
	at = GVA(at.v + offsetof(struct physdev_op, u));
	switch (cmd) {
	case PHYSDEVOP_IRQ_UNMASK_NOTIFY:
		return pirq_eoi_all(current_domain());
	case PHYSDEVOP_irq_status_query:
	case PHYSDEVOP_set_iopl:
	case PHYSDEVOP_set_iobitmap:
	case PHYSDEVOP_apic_read:
	case PHYSDEVOP_apic_write:
	case PHYSDEVOP_alloc_irq_vector:
		return physdev_op_at(cmd, at);
	default:
		return -ENOSYS;
	}
}
