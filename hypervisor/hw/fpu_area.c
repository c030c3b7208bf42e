/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Layout of an area of extended state: the legacy region of FXSAVE, then, where the CPU has XSAVE, its header
 * and the other components in standard format (SDM Vol. 1, 10.5.1 and 13.4). Pure: no instruction of the FPU
 * is here.
 */
#include "hw/fpu.h"
#include "hw/cpu.h"
#include "lib/errno.h"
#include "lib/string.h"

#define XSAVE_HEADER 512
#define XCR0_X87     1ull
#define XCR0_SSE     2ull
#define XCR0_AVX     4ull
#define XCR0_AVX512  0xe0ull
#define ST_OFFSET    32
#define XMM_OFFSET   160
#define XMM_END      416

uint32_t fpu_mxcsr_mask = 0xffbf;

void fpu_init_area(void *area)
{
	uint16_t fcw = FPU_FCW_INITIAL;
	uint32_t mxcsr = FPU_MXCSR_INITIAL;
	uint8_t *bytes = area;

	memset(area, 0, cpu_features.xsave_size);
	memcpy(bytes, &fcw, sizeof(fcw));
	memcpy(bytes + FPU_MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	/* XSTATE_BV: both are taken from the area. */
	if (cpu_features.xsave)
		bytes[XSAVE_HEADER] = XCR0_X87 | XCR0_SSE;
}

uint64_t fpu_area_components(const void *area, uint64_t xcr0)
{
	uint64_t there;

	memcpy(&there, (const uint8_t *)area + XSAVE_HEADER, sizeof(there));
	there = (there & cpu_features.xcr0_mask) | xcr0 | XCR0_X87;
	if (there & XCR0_AVX512)
		there |= XCR0_AVX512 | XCR0_AVX;
	return there & XCR0_AVX ? there | XCR0_SSE : there;
}

int fpu_area_check(const void *area, uint64_t components)
{
	const uint8_t *bytes = area;
	uint64_t header[8]; /* XSTATE_BV, XCOMP_BV, reserved */
	uint32_t mxcsr;

	memcpy(&mxcsr, bytes + FPU_MXCSR_OFFSET, sizeof(mxcsr));
	memcpy(header, bytes + XSAVE_HEADER, sizeof(header));
	if ((header[0] & ~components) || (mxcsr & ~fpu_mxcsr_mask))
		return -EINVAL;
	if (header[1])
		return -EOPNOTSUPP;
	for (unsigned i = 2; i < ARRAY_SIZE(header); i++)
		if (header[i])
			return -EIO;
	return 0;
}

int fpu_xcr0_check(uint64_t xcr0)
{
	if (!(xcr0 & XCR0_X87) || (xcr0 & ~cpu_features.xcr0_mask))
		return -EINVAL;
	if ((xcr0 & XCR0_AVX) && !(xcr0 & XCR0_SSE))
		return -EINVAL;
	if ((xcr0 & XCR0_AVX512) && ((xcr0 & XCR0_AVX512) != XCR0_AVX512 || !(xcr0 & XCR0_AVX)))
		return -EINVAL;
	return 0;
}

bool fpu_legacy_set(void *area, const void *fxsave)
{
	uint32_t mxcsr;

	fpu_init_area(area);
	memcpy(&mxcsr, (const uint8_t *)fxsave + FPU_MXCSR_OFFSET, sizeof(mxcsr));
	if (mxcsr & ~fpu_mxcsr_mask)
		return false;
	memcpy(area, fxsave, XSAVE_HEADER);
	return true;
}

void fpu_legacy_get(const void *area, void *fxsave)
{
	const uint8_t *bytes = area;
	uint16_t fcw = FPU_FCW_INITIAL;
	uint8_t *out = fxsave;

	memcpy(out, bytes, XSAVE_HEADER);
	if (!cpu_features.xsave)
		return;
	/* A component in its initial state is told by the header alone: its bytes are old ones. MXCSR is
	 * saved always. */
	if (!(bytes[XSAVE_HEADER] & XCR0_X87)) {
		memset(out, 0, FPU_MXCSR_OFFSET);
		memcpy(out, &fcw, sizeof(fcw));
		memset(out + ST_OFFSET, 0, XMM_OFFSET - ST_OFFSET);
	}
	if (!(bytes[XSAVE_HEADER] & XCR0_SSE))
		memset(out + XMM_OFFSET, 0, XMM_END - XMM_OFFSET);
}
