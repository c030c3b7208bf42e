/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flags register (SDM Vol. 1, 3.4.3) and the error code of a page fault (SDM Vol. 3, 4.7). */
#ifndef HW_RFLAGS_H
#define HW_RFLAGS_H

#define RFLAGS_ONE  (1u << 1) /* always set */
#define RFLAGS_TF   (1u << 8)
#define RFLAGS_IF   (1u << 9)
#define RFLAGS_DF   (1u << 10)
#define RFLAGS_IOPL (3u << 12)
#define RFLAGS_NT   (1u << 14)
#define RFLAGS_RF   (1u << 16)
#define RFLAGS_VM   (1u << 17)
#define RFLAGS_AC   (1u << 18)
#define RFLAGS_VIF  (1u << 19)
#define RFLAGS_VIP  (1u << 20)
#define RFLAGS_ID   (1u << 21)
/* What a guest may have set; IF is forced on besides. */
#define RFLAGS_GUEST 0x254dd5u

#define PF_PRESENT   (1u << 0)
#define PF_WRITE     (1u << 1)
#define PF_USER      (1u << 2)
#define PF_RSVD      (1u << 3)
#define PF_FETCH     (1u << 4)

enum {
	TRAP_DE,
	TRAP_DB,
	TRAP_NMI,
	TRAP_BP,
	TRAP_OF,
	TRAP_BR,
	TRAP_UD,
	TRAP_NM,
	TRAP_DF,
	TRAP_TS = 10,
	TRAP_NP,
	TRAP_SS,
	TRAP_GP,
	TRAP_PF,
	TRAP_MF = 16,
	TRAP_AC,
	TRAP_MC,
	TRAP_XM
};

#endif
