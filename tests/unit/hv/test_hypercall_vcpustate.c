/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a saved vcpu takes along besides its context (hypercall/domctl_vcpustate.c): it comes out as it went in, on a
 * processor of either vendor, with and without XSAVE; what Xen 4.17 refuses is refused with its number, and what is
 * refused changes nothing. Every byte of a good area is tried with other bits.
 */
#include "hypercall/domctl.h"
#include "dom/sched.h"
#include "hw/fpu.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "mm/heap.h"
#include "../../lib/check.h"
#include "pv/vcpu.h"
#include <stdlib.h>
#include <string.h>

#define MSR_SPEC_CTRL 0x48
#define MSR_MISC      0x140
#define MSR_TSC_AUX   0xc0000103
#define AREA_BYTES    832 /* legacy, header, AVX */
#define BUFFER        64

struct cpu_features cpu_features;
static struct cpu_info info;
static struct domain d, dom0_domain;
static struct vcpu v, dom0_vcpu;
static uint8_t area[AREA_BYTES], memory[4096];
static uint64_t policy_components;
static unsigned pauses, live;
static struct xen_domctl op;

/* ---- the stub layer ---- */

struct cpu_info *cpu_info(void)
{
	return &info;
}

struct vcpu *current_vcpu(void)
{
	return &dom0_vcpu;
}

void vcpu_pause(struct vcpu *which)
{
	pauses += which == &v;
}

void vcpu_unpause(struct vcpu *which)
{
	pauses -= which == &v;
}

size_t guest_copy_in(void *dst, gva_t src, size_t n)
{
	size_t have = src.v < sizeof(memory) ? MIN(n, sizeof(memory) - src.v) : 0;

	memcpy(dst, memory + (have ? src.v : 0), have);
	return n - have;
}

size_t guest_copy_out(gva_t dst, const void *src, size_t n)
{
	size_t have = dst.v < sizeof(memory) ? MIN(n, sizeof(memory) - dst.v) : 0;

	CHECK_THAT(pauses == 1);
	memcpy(memory + (have ? dst.v : 0), src, have);
	return n - have;
}

void *hv_alloc(size_t bytes)
{
	live++;
	return calloc(1, bytes);
}

void hv_free(void *p)
{
	live -= p != NULL;
	free(p);
}

uint64_t cpu_policy_xcr0(const struct cpu_policy *p)
{
	(void)p;
	return policy_components;
}

uint32_t cpu_policy_xsave_bytes(uint64_t components)
{
	return components & 4 ? AREA_BYTES : 576;
}

bool cpu_policy_has(const struct cpu_policy *p, unsigned word, uint32_t bits)
{
	(void)p, (void)word, (void)bits;
	return true;
}

bool pv_address_ok(uint64_t address)
{
	return (int64_t)(address << 16) >> 16 == (int64_t)address;
}

uint16_t pv_code_selector(uint16_t selector)
{
	return selector & ~3 ? selector | 3 : 0xe033;
}

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	(void)msr, (void)value;
	return -EFAULT;
}

uint64_t rdtsc(void)
{
	return 0;
}

uint64_t time_now_ns(void)
{
	return 0;
}

uint64_t rdmsr(uint32_t msr)
{
	(void)msr;
	return 0;
}

void wrmsr(uint32_t msr, uint64_t value)
{
	CHECK_THAT(!msr && value); /* none is written: the vcpu is on no processor */
}

void log_guest(enum log_level level, unsigned domid, const char *fmt, ...)
{
	(void)level, (void)domid, (void)fmt;
}

/* ---- calls ---- */

static void begin(bool intel, bool xsave)
{
	memset(&v, 0, sizeof(v));
	memset(&d, 0, sizeof(d));
	memset(memory, 0, sizeof(memory));
	cpu_features = (struct cpu_features){ .is_intel = intel,
		                              .is_amd = !intel,
		                              .xsave = xsave,
		                              .rdtscp = true,
		                              .spec_ctrl = true,
		                              .stibp = true,
		                              .xcr0_mask = xsave ? 7 : 3,
		                              .xsave_size = xsave ? AREA_BYTES : 512 };
	policy_components = xsave ? 7 : 0;
	d.max_vcpus = 2;
	d.vcpus[0] = &v;
	v.domain = &d;
	v.fpu_area = area;
	v.pv.xcr0 = 1;
	dom0_vcpu.domain = &dom0_domain;
	dom0_domain.max_vcpus = 1;
	dom0_domain.vcpus[0] = &dom0_vcpu;
	fpu_init_area(area);
}

static int call_on(struct domain *domain, uint32_t cmd, bool *out)
{
	int rc;

	*out = false;
	op.cmd = cmd;
	rc = domctl_vcpustate(domain, &op, out);
	CHECK_THAT(!pauses && !live);
	return rc;
}

static int call(uint32_t cmd)
{
	bool out;

	return call_on(&d, cmd, &out);
}

static struct xen_domctl_vcpuextstate *xstate(uint64_t size)
{
	memset(&op, 0, sizeof(op));
	op.u.vcpuextstate.size = size;
	op.u.vcpuextstate.xfeature_mask = cpu_features.xsave ? 7 : 0;
	op.u.vcpuextstate.buffer.p = (void *)BUFFER;
	return &op.u.vcpuextstate;
}

/* ---- tests ---- */

static void who_is_asked(void)
{
	static const uint32_t all[] = { XEN_DOMCTL_get_ext_vcpucontext, XEN_DOMCTL_set_ext_vcpucontext,
		                        XEN_DOMCTL_getvcpuextstate,     XEN_DOMCTL_setvcpuextstate,
		                        XEN_DOMCTL_get_vcpu_msrs,       XEN_DOMCTL_set_vcpu_msrs };
	static const uint32_t none[] = { 1, 2, 127, 128, ~0u };
	bool out;

	begin(true, true);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(none); k++) {
			memset(&op, 0, sizeof(op));
			op.u.vcpuextstate.vcpu = none[k];
			CHECK_THAT(call_on(&d, all[i], &out) == -ESRCH && !out);
		}
		memset(&op, 0, sizeof(op));
		CHECK_THAT(call_on(&dom0_domain, all[i], &out) == (i < 2 ? -ESRCH : -EINVAL));
	}
	verdict("a vcpu that is none, and the caller itself, are refused");
}

static void entry_points(bool intel)
{
	struct xen_domctl_ext_vcpucontext *q = &op.u.ext_vcpucontext;
	const uint64_t caps = intel ? 0x1000c02 : 2;
	bool out;

	begin(intel, true);
	memset(&op, 0, sizeof(op));
	q->size = sizeof(*q);
	q->syscall32_callback_eip = 0xffffffff81000000;
	q->sysenter_callback_eip = 0x1000;
	q->syscall32_callback_cs = 0x10;
	q->syscall32_disables_events = 1;
	q->vmce.caps = caps;
	q->vmce.mci_ctl2_bank0 = 5;
	q->vmce.mci_ctl2_bank1 = 7;
	CHECK_THAT(!call_on(&d, XEN_DOMCTL_set_ext_vcpucontext, &out) && !out);
	memset(&op, 0, sizeof(op));
	CHECK_THAT(!call_on(&d, XEN_DOMCTL_get_ext_vcpucontext, &out) && out && q->size == sizeof(*q));
	CHECK_THAT(q->syscall32_callback_eip == 0xffffffff81000000 && q->sysenter_callback_eip == 0x1000 &&
	           q->syscall32_callback_cs == 0x13 && q->sysenter_callback_cs == 0xe033 &&
	           q->syscall32_disables_events == 1 && !q->sysenter_disables_events);
	CHECK_THAT(q->vmce.caps == caps && q->vmce.mci_ctl2_bank0 == 5 && q->vmce.mci_ctl2_bank1 == 7 &&
	           !q->vmce.mcg_ext_ctl);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool fine = bit <= 8 || (caps >> bit & 1);

		q->vmce.caps = 1ull << bit;
		CHECK_THAT(call(XEN_DOMCTL_set_ext_vcpucontext) == (fine ? 0 : -EINVAL));
	}
	q->vmce.caps = caps;
	for (q->size = 0; q->size < offsetof(struct xen_domctl_ext_vcpucontext, vmce); q->size++)
		CHECK_THAT(call(XEN_DOMCTL_set_ext_vcpucontext) == -EINVAL);
	v.pv.mci_ctl2[0] = 9;
	CHECK_THAT(!call(XEN_DOMCTL_set_ext_vcpucontext) && v.pv.mci_ctl2[0] == 9);
	q->size += sizeof(q->vmce.caps);
	q->vmce.mci_ctl2_bank0 = 5;
	CHECK_THAT(!call(XEN_DOMCTL_set_ext_vcpucontext) && !v.pv.mci_ctl2[0]);
	q->size = ~0u;
	CHECK_THAT(!call(XEN_DOMCTL_set_ext_vcpucontext));
	q->sysenter_callback_eip = 1ull << 47;
	CHECK_THAT(call(XEN_DOMCTL_set_ext_vcpucontext) == -EINVAL && v.pv.sysenter_callback == 0x1000);
	q->sysenter_callback_eip = 0;
	q->syscall32_callback_eip = 1ull << 63;
	CHECK_THAT(call(XEN_DOMCTL_set_ext_vcpucontext) == -EINVAL);
	verdict("entry points and machine-check registers come back%s", intel ? "" : " (AMD)");
}

static void components_come_back(void)
{
	struct xen_domctl_vcpuextstate *q;
	uint8_t saved[16 + AREA_BYTES];

	begin(true, true);
	v.pv.xcr0 = 7;
	area[512] = 7;
	for (unsigned i = 0; i < 24; i++)
		area[i] = (uint8_t)(3 * i + 1);
	for (unsigned i = 576; i < AREA_BYTES; i++)
		area[i] = (uint8_t)(5 * i + 1);
	q = xstate(0);
	q->xfeature_mask = 0;
	CHECK_THAT(!call(XEN_DOMCTL_getvcpuextstate) && q->size == 16 + AREA_BYTES && q->xfeature_mask == 7);
	q = xstate(4000);
	CHECK_THAT(!call(XEN_DOMCTL_getvcpuextstate) && q->size == sizeof(saved));
	memcpy(saved, memory + BUFFER, sizeof(saved));
	CHECK_THAT(!memcmp(saved, "\7\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0", 16) &&
	           !memcmp(saved + 16, area, AREA_BYTES));
	q = xstate(sizeof(saved) - 1);
	CHECK_THAT(call(XEN_DOMCTL_getvcpuextstate) == -EINVAL);
	q = xstate(sizeof(saved));
	q->xfeature_mask = 3;
	CHECK_THAT(call(XEN_DOMCTL_getvcpuextstate) == -EINVAL);
	q = xstate(sizeof(saved));
	q->buffer.p = (void *)(sizeof(memory) - 100);
	CHECK_THAT(call(XEN_DOMCTL_getvcpuextstate) == -EFAULT &&
	           call(XEN_DOMCTL_setvcpuextstate) == -EFAULT);

	fpu_init_area(area);
	v.pv.xcr0 = 1;
	xstate(sizeof(saved));
	CHECK_THAT(!call(XEN_DOMCTL_setvcpuextstate) && v.pv.xcr0 == 7 &&
	           !memcmp(area, saved + 16, AREA_BYTES));
	verdict("extended state comes back as it was");
}

/* A bit of the head, of MXCSR or of the area's header that makes it another one. */
static void bad_areas(void)
{
	unsigned refused[3] = { 0 }, taken = 0;
	uint8_t good_one[16 + AREA_BYTES];

	begin(true, true);
	v.pv.xcr0 = 3;
	xstate(sizeof(good_one));
	CHECK_THAT(!call(XEN_DOMCTL_getvcpuextstate) && op.u.vcpuextstate.size == 16 + 576);
	memcpy(good_one, memory + BUFFER, 16 + 576);
	for (unsigned bit = 0; bit < 8 * (16 + 576); bit++) {
		bool head = bit < 128, header = bit >= 8 * (16 + 512), mxcsr = bit / 32 == (16 + 24) / 4;
		int rc;

		begin(true, true);
		memcpy(memory + BUFFER, good_one, 16 + 576);
		memory[BUFFER + bit / 8] ^= 1u << bit % 8;
		xstate(16 + 576);
		rc = call(XEN_DOMCTL_setvcpuextstate);
		CHECK_THAT(rc ? v.pv.xcr0 == 1 : v.pv.xcr0 == 3 || head);
		CHECK_THAT(!rc || rc == -EINVAL || rc == -EOPNOTSUPP || rc == -EIO);
		CHECK_THAT(!rc || head || header || mxcsr);
		taken += !rc;
		if (rc)
			refused[rc == -EINVAL ? 0 : rc == -EOPNOTSUPP ? 1 : 2]++;
	}
	printf("# %u taken; refused: %u by what they hold, %u compacted, %u reserved\n", taken, refused[0],
	       refused[1], refused[2]);
	CHECK_THAT(refused[1] == 64 && refused[2] == 6 * 64);
	begin(true, true);
	for (uint64_t size = 0; size < 4096; size++) {
		memcpy(memory + BUFFER, good_one, 16 + 576);
		xstate(size);
		CHECK_THAT(call(XEN_DOMCTL_setvcpuextstate) == (size == 16 + 576 ? 0 : -EINVAL));
	}
	xstate(~0ull);
	CHECK_THAT(call(XEN_DOMCTL_setvcpuextstate) == -EINVAL);
	/* What the guest's own processor has not. */
	policy_components = 3;
	memory[BUFFER] = memory[BUFFER + 8] = 7;
	xstate(16 + AREA_BYTES);
	CHECK_THAT(call(XEN_DOMCTL_setvcpuextstate) == -EINVAL);
	verdict("an area with one other bit, or of another size, is refused by Xen's number or restored");
}

static void no_xsave(void)
{
	struct xen_domctl_vcpuextstate *q;

	begin(false, false);
	q = xstate(0);
	CHECK_THAT(!call(XEN_DOMCTL_getvcpuextstate) && q->size == 16 && !q->xfeature_mask);
	q = xstate(16);
	memset(memory, 0xff, sizeof(memory));
	CHECK_THAT(!call(XEN_DOMCTL_getvcpuextstate) && q->size == 16 && !memory[BUFFER] &&
	           !memory[BUFFER + 15] && memory[BUFFER + 16] == 0xff);
	CHECK_THAT(!call(XEN_DOMCTL_setvcpuextstate) && v.pv.xcr0 == 1);
	memory[BUFFER] = 1;
	CHECK_THAT(call(XEN_DOMCTL_setvcpuextstate) == -EINVAL);
	xstate(17);
	CHECK_THAT(call(XEN_DOMCTL_setvcpuextstate) == -EINVAL);
	/* A processor that has XSAVE, and a guest that does not see it. */
	begin(true, true);
	policy_components = 0;
	q = xstate(4000);
	CHECK_THAT(!call(XEN_DOMCTL_getvcpuextstate) && q->size == 16);
	verdict("without XSAVE there is a head, and nothing in it");
}

static void registers(void)
{
	struct xen_domctl_vcpu_msrs *q = &op.u.vcpu_msrs;
	struct xen_domctl_vcpu_msr *list = (void *)(memory + BUFFER);
	bool out;

	begin(true, true);
	memset(&op, 0, sizeof(op));
	CHECK_THAT(!call_on(&d, XEN_DOMCTL_get_vcpu_msrs, &out) && out && q->msr_count == 2);
	q->msrs.p = (void *)BUFFER;
	CHECK_THAT(!call(XEN_DOMCTL_get_vcpu_msrs) && !q->msr_count);
	v.pv.spec_ctrl = 1;
	v.pv.tsc_aux = 0xfeedbeef;
	CHECK_THAT(call(XEN_DOMCTL_get_vcpu_msrs) == -ENOBUFS && q->msr_count == 2);
	CHECK_THAT(!call(XEN_DOMCTL_get_vcpu_msrs) && q->msr_count == 2 && list[0].index == MSR_SPEC_CTRL &&
	           list[0].value == 1 && list[1].index == MSR_TSC_AUX && list[1].value == 0xfeedbeef);
	v.pv.spec_ctrl = v.pv.tsc_aux = 0;
	CHECK_THAT(!call_on(&d, XEN_DOMCTL_set_vcpu_msrs, &out) && !out && v.pv.spec_ctrl == 1 &&
	           v.pv.tsc_aux == 0xfeedbeef);
	list[0].reserved = 1;
	CHECK_THAT(call_on(&d, XEN_DOMCTL_set_vcpu_msrs, &out) == -EINVAL && out && !q->msr_count);
	list[0] = (struct xen_domctl_vcpu_msr){ .index = MSR_MISC };
	list[1].value = 1ull << 32;
	q->msr_count = 2;
	CHECK_THAT(call_on(&d, XEN_DOMCTL_set_vcpu_msrs, &out) == -EINVAL && out && q->msr_count == 1);
	list[1] = (struct xen_domctl_vcpu_msr){ .index = MSR_SPEC_CTRL, .value = 1ull << 40 };
	q->msr_count = 2;
	CHECK_THAT(call(XEN_DOMCTL_set_vcpu_msrs) == -EINVAL && q->msr_count == 1);
	for (uint32_t index = 0; index < 0x200; index++) {
		list[0] = (struct xen_domctl_vcpu_msr){ .index = index, .value = 1 };
		q->msr_count = 1;
		CHECK_THAT(call(XEN_DOMCTL_set_vcpu_msrs) == (index == MSR_SPEC_CTRL ? 0 : -EINVAL));
	}
	q->msr_count = 3;
	CHECK_THAT(call(XEN_DOMCTL_set_vcpu_msrs) == -EINVAL);
	q->msr_count = 1;
	q->msrs.p = (void *)sizeof(memory);
	CHECK_THAT(call_on(&d, XEN_DOMCTL_set_vcpu_msrs, &out) == -EFAULT && out && !q->msr_count);
	CHECK_THAT(call(XEN_DOMCTL_get_vcpu_msrs) == -ENOBUFS || call(XEN_DOMCTL_get_vcpu_msrs) == -EFAULT);
	verdict("registers come back, and one that the guest could not have written is named");
}

int main(void)
{
	who_is_asked();
	entry_points(true);
	entry_points(false);
	components_come_back();
	bad_areas();
	no_xsave();
	registers();
	return tap_end();
}
