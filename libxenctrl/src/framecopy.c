/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Contents of a domain's frames by the hypervisor's own hand, where it is Xylem; see framecopy.h of both. */
#include <stdlib.h>
#include <string.h>

#include "framecopy.h"
#include "hypervisor/lib/framecopy.h"

struct framecopy {
	struct xyl *x;
	uint32_t domid;
	uint64_t *list; /* hypercall memory, as is the buffer */
	uint8_t *buffer;
	bool looks; /* it knows FRAMECOPY_LOOK and _WHOLE */
};

#define LIST_BYTES   (FRAMECOPY_BATCH * sizeof(uint64_t))
#define BUFFER_BYTES ((size_t)FRAMECOPY_BATCH * XYL_PAGE_BYTES)

_Static_assert(sizeof(struct xylem_copy_frames) <= sizeof(((struct xen_domctl *)NULL)->u), "it lies there");
_Static_assert(FRAMECOPY_BATCH <= FRAMECOPY_MAX, "what one call takes");

static int call(const struct framecopy *f, unsigned count, unsigned what, const void *buffer)
{
	struct xylem_copy_frames q = { count, what, (uintptr_t)f->list, (uintptr_t)buffer };
	struct xen_domctl op = { .cmd = XYLEM_DOMCTL_copy_frames, .domain = (domid_t)f->domid };

	memcpy(&op.u, &q, sizeof(q));
	return xyl_domctl(f->x, &op, what == FRAMECOPY_WRITE ? "write its memory" : "read its memory");
}

/* 1: it copies; 0: it is Xen; or -1. */
static int probe(struct framecopy *f)
{
	if (call(f, 0, FRAMECOPY_READ, NULL) < 0)
		return errno == ENOMEM || errno == ESRCH ? -1 : 0;
	f->looks = call(f, 0, FRAMECOPY_LOOK, NULL) == 0;
	return f->looks || errno == EINVAL ? 1 : -1;
}

int framecopy_open(struct xyl *x, uint32_t domid, struct framecopy **out)
{
	struct framecopy *f = calloc(1, sizeof(*f));
	int rc;

	*out = NULL;
	if (!f)
		return xyl_fail(ENOMEM, "domain %u: cannot copy its memory", domid);
	f->x = x;
	f->domid = domid;
	rc = probe(f);
	if (rc > 0) {
		f->list = xyl_hypercall_alloc(x, LIST_BYTES);
		f->buffer = f->list ? xyl_hypercall_alloc(x, BUFFER_BYTES) : NULL;
		if (f->buffer) {
			*out = f;
			return 0;
		}
		rc = -1;
	}
	framecopy_close(f);
	return rc;
}

void framecopy_close(struct framecopy *f)
{
	int error = errno;

	if (!f)
		return;
	xyl_hypercall_free(f->x, f->list, LIST_BYTES);
	xyl_hypercall_free(f->x, f->buffer, BUFFER_BYTES);
	free(f);
	errno = error;
}

uint8_t *framecopy_buffer(const struct framecopy *f)
{
	return f->buffer;
}

bool framecopy_looks(const struct framecopy *f)
{
	return f->looks;
}

static uint8_t type_of(const struct framecopy *f, unsigned i)
{
	return f->list[i] >> XEN_DOMCTL_PFINFO_LTAB_SHIFT & 15;
}

static int ask(const struct framecopy *f, const uint64_t *mfns, unsigned count, unsigned what, uint8_t *types,
               bool *zero)
{
	memcpy(f->list, mfns, count * sizeof(*mfns));
	if (call(f, count, what, f->buffer) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		types[i] = type_of(f, i);
		zero[i] = f->list[i] & FRAMECOPY_ZERO;
	}
	return 0;
}

int framecopy_read(const struct framecopy *f, const uint64_t *mfns, unsigned count, uint8_t *types,
                   bool *zero)
{
	return ask(f, mfns, count, FRAMECOPY_READ, types, zero);
}

int framecopy_look(const struct framecopy *f, const uint64_t *mfns, unsigned count, uint8_t *types,
                   bool *zero)
{
	return ask(f, mfns, count, FRAMECOPY_LOOK, types, zero);
}

int framecopy_write(const struct framecopy *f, const uint64_t *mfns, unsigned count)
{
	memcpy(f->list, mfns, count * sizeof(*mfns));
	return call(f, count, FRAMECOPY_WRITE, f->buffer);
}

/*
 * Memory that is not the hypercalls' own may be away just now, or only to be read, as the kernel likes. The hypervisor finds
 * no page there then, and what it copies goes by the buffer.
 */
int framecopy_read_to(const struct framecopy *f, const uint64_t *mfns, unsigned count, uint8_t *types,
                      uint8_t *to)
{
	bool by_buffer = false;

	memcpy(f->list, mfns, count * sizeof(*mfns));
	if (call(f, count, FRAMECOPY_WHOLE, to) < 0) {
		if (errno != EFAULT)
			return -1;
		by_buffer = true;
		memcpy(f->list, mfns, count * sizeof(*mfns));
		if (call(f, count, FRAMECOPY_WHOLE, f->buffer) < 0)
			return -1;
	}
	for (unsigned i = 0; i < count; i++)
		types[i] = type_of(f, i);
	if (by_buffer)
		memcpy(to, f->buffer, (size_t)count * XYL_PAGE_BYTES);
	return 0;
}

int framecopy_write_from(const struct framecopy *f, const uint64_t *mfns, unsigned count, const uint8_t *from)
{
	memcpy(f->list, mfns, count * sizeof(*mfns));
	if (call(f, count, FRAMECOPY_WRITE, from) == 0)
		return 0;
	if (errno != EFAULT)
		return -1;
	memcpy(f->buffer, from, (size_t)count * XYL_PAGE_BYTES);
	return framecopy_write(f, mfns, count);
}
