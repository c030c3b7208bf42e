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
};

#define LIST_BYTES   (FRAMECOPY_BATCH * sizeof(uint64_t))
#define BUFFER_BYTES ((size_t)FRAMECOPY_BATCH * XYL_PAGE_BYTES)

_Static_assert(sizeof(struct xylem_copy_frames) <= sizeof(((struct xen_domctl *)NULL)->u), "it lies there");
_Static_assert(FRAMECOPY_BATCH <= FRAMECOPY_MAX, "what one call takes");

static int call(const struct framecopy *f, unsigned count, bool write)
{
	struct xylem_copy_frames q = { count, write, (uintptr_t)f->list, (uintptr_t)f->buffer };
	struct xen_domctl op = { .cmd = XYLEM_DOMCTL_copy_frames, .domain = (domid_t)f->domid };

	memcpy(&op.u, &q, sizeof(q));
	return xyl_domctl(f->x, &op, write ? "write its memory" : "read its memory");
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
	rc = call(f, 0, false);
	if (rc == 0) {
		f->list = xyl_hypercall_alloc(x, LIST_BYTES);
		f->buffer = f->list ? xyl_hypercall_alloc(x, BUFFER_BYTES) : NULL;
		if (f->buffer) {
			*out = f;
			return 0;
		}
		rc = -1;
	} else if (errno != ENOMEM && errno != ESRCH) {
		rc = 0; /* it is Xen */
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

int framecopy_read(const struct framecopy *f, const uint64_t *mfns, unsigned count, uint8_t *types,
                   bool *zero)
{
	memcpy(f->list, mfns, count * sizeof(*mfns));
	if (call(f, count, false) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		types[i] = f->list[i] >> XEN_DOMCTL_PFINFO_LTAB_SHIFT & 15;
		zero[i] = f->list[i] & FRAMECOPY_ZERO;
	}
	return 0;
}

int framecopy_write(const struct framecopy *f, const uint64_t *mfns, unsigned count)
{
	memcpy(f->list, mfns, count * sizeof(*mfns));
	return call(f, count, true);
}
