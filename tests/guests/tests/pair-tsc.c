/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest whose TSC is emulated at a rate of its own: kernel and user mode, its time page, CPUID, a TSC that goes on after a restore */
#include "pair.h"
#include <xen/domctl.h>

const char test_name[] = "pair-tsc";

#define KHZ        500000u
#define ELAPSED_NS 100000000ull /* less than the machine is up, or Xen counts from 2^63 */

static struct child child;

/* ---- in the guest ---- */

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}

static uint64_t tsc_and_aux(uint32_t *aux)
{
	uint32_t low, high;

	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*aux));
	return low | (uint64_t)high << 32;
}

static void cpuid_xen(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	__asm__ volatile("ud2; .ascii \"xen\"; cpuid"
	                 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
	                 : "0"(leaf), "2"(subleaf));
}

static void in_user_mode(void)
{
	__asm__ volatile("rdtsc; shl $32, %%rdx; or %%rdx, %%rax; ud2" : : : "rax", "rdx");
}

void child_run(void)
{
	uint32_t r[4], aux = 0;
	uint64_t a, b, ns;
	struct user_result user;

	ns = system_time_ns();
	a = tsc();
	EXPECT(a >= ELAPSED_NS / 1000000 * KHZ && a < (ELAPSED_NS / 1000000 + 60000) * KHZ);
	while (system_time_ns() < ns + 100000000)
		;
	b = tsc();
	EXPECT(b - a >= 99 * (uint64_t)KHZ && b - a < 10000 * (uint64_t)KHZ);
	for (int i = 0; i < 1000; i++, a = b) {
		b = tsc();
		EXPECT(b >= a);
	}
	cpuid_xen(0x40000003, 0, r);
	EXPECT_EQ(r[0] & 1, 1);
	EXPECT_EQ(r[1], 1);
	EXPECT_EQ(r[2], KHZ);
	EXPECT_EQ(r[3], 8);
	cpuid_xen(0x40000003, 1, r);
	EXPECT_EQ(r[0] | r[1], 0);
	EXPECT_EQ(r[2], shared->vcpu_info[0].time.tsc_to_system_mul);
	EXPECT_EQ((int8_t)r[3], shared->vcpu_info[0].time.tsc_shift);
	cpuid_xen(0x80000001, 0, r);
	if (r[3] & 1u << 27) {
		b = tsc_and_aux(&aux);
		EXPECT(b >= a && aux == 0);
	}
	/* It comes to its end, with what user mode reads. */
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	user = user_run(in_user_mode);
	EXPECT_EQ(user.vector, 6);
	EXPECT(user.rax > a && user.rax < a + 10000 * (uint64_t)KHZ);
	child_step(1);
}

/* ---- in dom0 ---- */

static long tsc_op(uint32_t cmd, struct xen_domctl_tsc_info *info)
{
	struct xen_domctl op = { .cmd = cmd,
		                 .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
		                 .domain = child.domid };
	long rc;

	op.u.tsc_info = *info;
	rc = HC(domctl, &op);
	*info = op.u.tsc_info;
	return rc;
}

void run(void)
{
	struct xen_domctl_tsc_info info = {
		.tsc_mode = 1, .gtsc_khz = KHZ, .incarnation = 7, .elapsed_nsec = ELAPSED_NS
	};

	child_build(&child, 0, 1);
	EXPECT_EQ(tsc_op(XEN_DOMCTL_settscinfo, &info), 0);
	child_unpause(&child);
	child_wait_step(&child, 1);
	EXPECT_EQ(tsc_op(XEN_DOMCTL_gettscinfo, &info), 0);
	EXPECT_EQ(info.tsc_mode, 1);
	EXPECT_EQ(info.gtsc_khz, KHZ);
	EXPECT_EQ(info.incarnation, 8);
	EXPECT(info.elapsed_nsec > ELAPSED_NS && info.elapsed_nsec < ELAPSED_NS + 100000000000ull);
	info.tsc_mode = 3;
	EXPECT_EQ(tsc_op(XEN_DOMCTL_settscinfo, &info), -EINVAL);
	child_destroy(&child);
}
