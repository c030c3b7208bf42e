/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SYSCALL and SYSENTER. SYSCALL leaves the stack pointer as the guest had it and frees no register, so each
 * CPU has a few bytes of code of its own that know where its stack is. (SDM Vol. 3, 5.8; APM Vol. 2, 6.1.)
 */
#include "hw/syscall.h"
#include "hw/cpu.h"
#include "hw/entry.h"
#include "hw/paging.h"
#include "lib/string.h"

#define OFFSET_IS(field, value) \
	_Static_assert(offsetof(struct cpu_info, field) == (value), "hw/entry.h: " #field)
OFFSET_IS(regs.r15, UREGS_r15);
OFFSET_IS(regs.r11, UREGS_r11);
OFFSET_IS(regs.rax, UREGS_rax);
OFFSET_IS(regs.rcx, UREGS_rcx);
OFFSET_IS(regs.rdi, UREGS_rdi);
OFFSET_IS(regs.error_code, UREGS_error);
OFFSET_IS(regs.entry_vector, UREGS_vector);
OFFSET_IS(regs.rip, UREGS_rip);
OFFSET_IS(regs.cs, UREGS_cs);
OFFSET_IS(regs.rflags, UREGS_rflags);
OFFSET_IS(regs.rsp, UREGS_rsp);
OFFSET_IS(regs.ss, UREGS_ss);
OFFSET_IS(regs.es, UREGS_es);
OFFSET_IS(work, CI_work);
OFFSET_IS(hv_cr3, CI_hv_cr3);
OFFSET_IS(guest_cr3, CI_guest_cr3);
OFFSET_IS(scratch, CI_scratch);
OFFSET_IS(spec_flags, CI_spec);
OFFSET_IS(guest_spec_ctrl, CI_guest_spec);
_Static_assert(sizeof(struct cpu_info) == CI_SIZE, "hw/entry.h: CI_SIZE");
_Static_assert((CI_SIZE - UREGS_es) % 16 == 0, "the processor aligns the stack to 16 bytes before it pushes");

#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_STAR         0xc0000081
#define MSR_LSTAR        0xc0000082
#define MSR_CSTAR        0xc0000083
#define MSR_SFMASK       0xc0000084

/* Cleared on entry: TF, IF, DF, IOPL, NT, RF, AC. */
#define SYSCALL_FLAGS_MASK 0x57700

#define STUB_BYTES         32
extern uint8_t syscall_stubs[NR_CPUS][2][STUB_BYTES]; /* entry.S: in text */

void syscall_entry(void);
void syscall32_entry(void);
void sysenter_entry(void);

/* movabs %rax, scratch[0]; mov %rsp, %rax; movabs $regs.es, %rsp; jmp entry. */
static void stub_write(uint8_t *stub, struct cpu_info *info, void (*entry)(void))
{
	uint8_t code[28];
	uint64_t scratch = (uintptr_t)&info->scratch[0], stack = (uintptr_t)&info->regs.es;
	int32_t distance = (int32_t)((intptr_t)entry - (intptr_t)(stub + sizeof(code)));

	memcpy(code, "\x48\xa3", 2);
	memcpy(code + 2, &scratch, 8);
	memcpy(code + 10, "\x48\x89\xe0\x48\xbc", 5);
	memcpy(code + 15, &stack, 8);
	code[23] = 0xe9;
	memcpy(code + 24, &distance, 4);
	text_write(stub, code, sizeof(code));
}

void syscall_init_cpu(unsigned cpu)
{
	struct cpu_info *info = cpu_info();

	stub_write(syscall_stubs[cpu][0], info, syscall_entry);
	stub_write(syscall_stubs[cpu][1], info, syscall32_entry);
	wrmsr(MSR_STAR, (uint64_t)SEL_RING3_CS32 << 48 | (uint64_t)HV_CS << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)syscall_stubs[cpu][0]);
	wrmsr(MSR_CSTAR, (uintptr_t)syscall_stubs[cpu][1]);
	wrmsr(MSR_SFMASK, SYSCALL_FLAGS_MASK);
	wrmsr(MSR_SYSENTER_CS, cpu_features.is_intel ? HV_CS : 0);
	wrmsr(MSR_SYSENTER_ESP, (uintptr_t)&info->regs.es);
	wrmsr(MSR_SYSENTER_EIP, (uintptr_t)sysenter_entry);
}
