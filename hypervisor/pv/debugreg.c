/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug registers of a guest (SDM Vol. 3, 17.2). No breakpoint may lie in the hypervisor's range. */
#include "pv/debugreg.h"
#include "hw/rflags.h"
#include "hw/uaccess.h"
#include "lib/errno.h"
#include "pv/bounce.h"

#define DR6_BS           (1u << 14)
#define DR7_ENABLE       0xffu
#define DR7_RESERVED_SET (1u << 10)
#define DR7_GD           (1u << 13)

/* Reserved bits as the processor has them; -EINVAL for the upper half, -EPERM for what is refused. */
static int dr7_check(struct vcpu *v, uint64_t *value)
{
	if (*value >> 32)
		return -EINVAL;
	*value = (*value & ~0xd800ull & ~(uint64_t)DR7_GD) | DR7_RESERVED_SET;
	for (unsigned i = 0; i < 4; i++)
		if ((*value >> (16 + 4 * i) & 3) == 2 &&
		    !(v->pv.cr4 & 1u << 3)) /* I/O breakpoint without CR4.DE */
			return -EPERM;
	for (unsigned i = 0; i < 4; i++)
		if ((*value >> (16 + 4 * i) & 3) == 2)
			*value &= ~(3ull << (2 * i)); /* ports trap anyway */
	return 0;
}

int pv_debugreg_set(struct vcpu *v, unsigned n, uint64_t value)
{
	int err;

	switch (n) {
	case 0 ... 3:
		if (!guest_range_ok(GVA(value), 8))
			return -EPERM;
		break;
	case 4:
	case 6:
		if (value >> 32)
			return -EINVAL;
		v->pv.dr[6] = (value & 0xe00f) | 0xffff0ff0;
		return 0;
	case 5:
	case 7:
		n = 7;
		err = dr7_check(v, &value);
		if (err)
			return err;
		break;
	default:
		return -EINVAL;
	}
	v->pv.dr[n] = value;
	if (v != current_vcpu())
		return 0;
	if (n == 7 && (value & DR7_ENABLE))
		for (unsigned i = 0; i < 4; i++)
			dr_write(i, v->pv.dr[i]);
	if (n == 7 || (v->pv.dr[7] & DR7_ENABLE))
		dr_write(n, value);
	return 0;
}

uint64_t pv_debugreg_get(const struct vcpu *v, unsigned n)
{
	if (n == 4 || n == 5)
		n += 2;
	if (n > 7)
		return 0;
	return n == 6 ? v->pv.dr[6] | 0xffff0ff0 : n == 7 ? v->pv.dr[7] | DR7_RESERVED_SET : v->pv.dr[n];
}

void pv_debugregs_load(const struct vcpu *v)
{
	for (unsigned i = 0; i < 4; i++)
		dr_write(i, v->pv.dr[i]);
	dr_write(7, v->pv.dr[7]);
}

void pv_debugregs_off(void)
{
	dr_write(7, DR7_RESERVED_SET);
}

void pv_instruction_done(struct vcpu *v, struct cpu_user_regs *regs)
{
	regs->rflags &= ~(uint64_t)RFLAGS_RF;
	if (likely(!(regs->rflags & RFLAGS_TF)))
		return;
	v->pv.dr[6] |= DR6_BS;
	pv_inject_exception(v, TRAP_DB, 0);
}
