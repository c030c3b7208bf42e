/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Message-signalled interrupts: finds the capability, allocates irqs and vectors, writes the messages (PCI 3.0, 6.8; SDM Vol. 3,
 * 11.11). MSI-X: one table entry per call. The device's own driver in dom0 sees its registers as the hypervisor left them.
 */
#include "hw/msi.h"
#include "hw/device_map.h"
#include "hw/irq.h"
#include "hw/irq_table.h"
#include "hw/options.h"
#include "hw/pci.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "lib/log.h"

#define PCI_STATUS       0x06
#define PCI_CAPABILITIES 0x34
#define CAP_MSI          0x05
#define CAP_MSIX         0x11
#define MSI_ENABLE       1u
#define MSI_64BIT        (1u << 7)
#define MSI_MASKABLE     (1u << 8)
#define MSIX_ENABLE      (1u << 15)
#define MSIX_MASK_ALL    (1u << 14)
#define MSIX_ENTRY_BYTES 16

/* One allocation. */
struct msi_device {
	struct msi_request req;
	unsigned cap, first, count;
	bool claimed; /* not free, for req */
	bool used;    /* and installed */
	bool is_64bit, maskable;
	volatile uint32_t *entry; /* MSI-X: its four words */
};
/* Each has the page of device_map_page() with its own number. */
static struct msi_device devices[IRQ_MAX / 2];
_Static_assert(ARRAY_SIZE(devices) <= DEVICE_PAGES, "a page for each table entry");

static unsigned find_capability(const struct msi_request *r, unsigned id)
{
	unsigned at, rounds = 48;

	if (pci_read(r->segment, r->bus, r->devfn, 0, 2) == 0xffff)
		return 0;
	if (!(pci_read(r->segment, r->bus, r->devfn, PCI_STATUS, 2) & 1u << 4))
		return 0;
	at = pci_read(r->segment, r->bus, r->devfn, PCI_CAPABILITIES, 1) & 0xfc;
	while (at >= 0x40 && rounds--) {
		if (pci_read(r->segment, r->bus, r->devfn, at, 1) == id)
			return at;
		at = pci_read(r->segment, r->bus, r->devfn, at + 1, 1) & 0xfc;
	}
	return 0;
}

static uint32_t cfg_read(const struct msi_device *d, unsigned offset, unsigned width)
{
	return pci_read(d->req.segment, d->req.bus, d->req.devfn, d->cap + offset, width);
}

static void cfg_write(const struct msi_device *d, unsigned offset, unsigned width, uint32_t value)
{
	pci_write(d->req.segment, d->req.bus, d->req.devfn, d->cap + offset, width, value);
}

static unsigned mask_offset(const struct msi_device *d)
{
	return d->is_64bit ? 16 : 12;
}

void msi_apply_mask(unsigned irq, bool masked)
{
	struct msi_device *d = irq_table[irq].msi;

	if (!d)
		return;
	if (d->entry) {
		d->entry[3] = (d->entry[3] & ~1u) | masked;
	} else if (d->maskable) {
		uint32_t mask = cfg_read(d, mask_offset(d), 4), bit = 1u << (irq - d->first);

		cfg_write(d, mask_offset(d), 4, masked ? mask | bit : mask & ~bit);
	} else {
		/* No mask bits: the device is turned off and on, which loses what happens in between. */
		uint32_t control = cfg_read(d, 2, 2);
		bool any = false;

		for (unsigned i = 0; i < d->count; i++)
			any = any || (irq_table[d->first + i].handler && !irq_table[d->first + i].masked);
		cfg_write(d, 2, 2, any ? control | MSI_ENABLE : control & ~MSI_ENABLE);
	}
}

/* Address and data of the message; of several MSI vectors the device fills in the low bits. */
void msi_write_message(unsigned irq)
{
	struct msi_device *d = irq_table[irq].msi;
	uint32_t address, data;

	if (!d)
		return;
	address = 0xfee00000u | (cpu_ids[irq_table[irq].cpu].apic_id & 0xff) << 12;
	data = irq_table[d->entry ? irq : d->first].vector;
	if (d->entry) {
		uint32_t control = d->entry[3];

		d->entry[3] = control | 1;
		d->entry[0] = address;
		d->entry[1] = 0;
		d->entry[2] = data;
		d->entry[3] = control;
		return;
	}
	cfg_write(d, 4, 4, address);
	if (d->is_64bit)
		cfg_write(d, 8, 4, 0);
	cfg_write(d, d->is_64bit ? 12 : 8, 2, data);
}

static void device_enable(struct msi_device *d)
{
	uint32_t control = cfg_read(d, 2, 2), log2 = 0;

	if (d->entry) {
		cfg_write(d, 2, 2, (control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
		return;
	}
	while (1u << log2 < d->count)
		log2++;
	control = (control & ~0x70u) | log2 << 4;
	if (d->maskable) {
		cfg_write(d, mask_offset(d), 4, ~0u);
		control |= MSI_ENABLE;
	}
	cfg_write(d, 2, 2, control);
}

/* Checks the request against the device; fills d but for the table's entry. */
static int decode(const struct msi_request *req, struct msi_device *d)
{
	uint32_t control;

	*d = (struct msi_device){ .req = *req, .count = req->count };
	d->cap = find_capability(req, req->table_base ? CAP_MSIX : CAP_MSI);
	if (!d->cap)
		return -ENODEV;
	control = cfg_read(d, 2, 2);
	if (req->table_base) {
		if (req->count != 1 || req->entry > (control & 0x7ff))
			return -EINVAL;
		return 0;
	}
	if (!req->count || req->count > 1u << (control >> 1 & 7))
		return -EINVAL;
	d->is_64bit = control & MSI_64BIT;
	d->maskable = control & MSI_MASKABLE;
	return 0;
}

/* count consecutive unused irqs behind the GSIs; IRQ_MAX: none. irq_lock held. */
static unsigned find_irqs(unsigned count)
{
	unsigned run = 0;

	for (unsigned irq = irq_gsi_count; irq < IRQ_MAX; irq++) {
		run = irq_table[irq].msi ? 0 : run + 1;
		if (run == count)
			return irq - count + 1;
	}
	return IRQ_MAX;
}

static struct msi_device *find_free(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		if (!devices[i].claimed)
			return &devices[i];
	return NULL;
}

static bool in_use(const struct msi_request *r)
{
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		const struct msi_request *q = &devices[i].req;

		if (devices[i].claimed && q->segment == r->segment && q->bus == r->bus &&
		    q->devfn == r->devfn && (!q->table_base || !r->table_base || q->entry == r->entry))
			return true;
	}
	return false;
}

/* Takes a place for it. */
static int claim(const struct msi_device *made, struct msi_device **d)
{
	uint64_t flags = spin_lock_irqsave(&irq_lock);
	int rc = 0;

	*d = find_free();
	if (in_use(&made->req)) {
		rc = -EEXIST;
	} else if (!*d) {
		rc = -ENOSPC;
	} else {
		**d = *made;
		(*d)->claimed = true;
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	return rc;
}

/* The place with its page. Not with irq_lock held: others may have to be asked to forget the page. */
static void release(struct msi_device *d)
{
	uint64_t flags;

	if (d->entry)
		device_unmap_page((unsigned)(d - devices));
	flags = spin_lock_irqsave(&irq_lock);
	d->claimed = false;
	spin_unlock_irqrestore(&irq_lock, flags);
}

static int install(struct msi_device *d, unsigned *first)
{
	*first = find_irqs(d->count);
	if (*first == IRQ_MAX || !irq_vectors_take(*first, d->count))
		return -ENOSPC;
	d->used = true;
	d->first = *first;
	for (unsigned i = 0; i < d->count; i++) {
		struct irq_source *s = &irq_table[*first + i];

		s->msi = d;
		s->handler = NULL;
		s->level = s->in_service = false;
		s->masked = true;
		s->cpu = 0;
		if (d->entry)
			msi_apply_mask(*first + i, true);
	}
	msi_write_message(*first);
	device_enable(d);
	return 0;
}

int msi_setup(const struct msi_request *req, unsigned *first)
{
	struct msi_device made, *d;
	uint64_t flags;
	int rc;

	if (!options.msi)
		return -EOPNOTSUPP;
	rc = decode(req, &made);
	if (!rc)
		rc = claim(&made, &d);
	if (rc)
		return rc;
	if (req->table_base)
		d->entry = device_map_page((unsigned)(d - devices),
		                           MADDR(req->table_base + (uint64_t)req->entry * MSIX_ENTRY_BYTES));
	flags = spin_lock_irqsave(&irq_lock);
	rc = install(d, first);
	spin_unlock_irqrestore(&irq_lock, flags);
	if (rc)
		release(d);
	return rc;
}

/* It has no irqs any more. irq_lock held. */
static void uninstall(struct msi_device *d)
{
	bool others = false;

	for (unsigned i = 0; i < d->count; i++) {
		irq_table[d->first + i].masked = true;
		irq_table[d->first + i].handler = NULL;
		if (d->entry || d->maskable)
			msi_apply_mask(d->first + i, true);
		irq_vector_release(d->first + i);
		irq_table[d->first + i].msi = NULL;
	}
	d->used = false;
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		others = others ||
		         (devices[i].used && devices[i].entry && devices[i].req.segment == d->req.segment &&
		          devices[i].req.bus == d->req.bus && devices[i].req.devfn == d->req.devfn);
	/* MSI-X stays on as long as another entry is in use. */
	if (!d->entry)
		cfg_write(d, 2, 2, cfg_read(d, 2, 2) & ~MSI_ENABLE);
	else if (!others)
		cfg_write(d, 2, 2, cfg_read(d, 2, 2) & ~MSIX_ENABLE);
}

void msi_teardown(unsigned first)
{
	uint64_t flags = spin_lock_irqsave(&irq_lock);
	struct msi_device *d = first < IRQ_MAX ? irq_table[first].msi : NULL;

	if (d)
		uninstall(d);
	spin_unlock_irqrestore(&irq_lock, flags);
	if (d)
		release(d);
}

int msi_restore(uint16_t segment, uint8_t bus, uint8_t devfn)
{
	uint64_t flags = spin_lock_irqsave(&irq_lock);
	bool found = false;

	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		struct msi_device *d = &devices[i];

		if (!d->used || d->req.segment != segment || d->req.bus != bus || d->req.devfn != devfn)
			continue;
		found = true;
		msi_write_message(d->first);
		device_enable(d);
		for (unsigned n = 0; n < d->count; n++)
			msi_apply_mask(d->first + n, irq_table[d->first + n].masked);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	return found ? 0 : -ENODEV;
}
