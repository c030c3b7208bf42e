/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupt vectors: who has which. 0x20 .. 0x2f are where a legacy PIC's stray interrupts go. */
#ifndef HW_VECTORS_H
#define HW_VECTORS_H

#define VECTOR_PIC          0x20
#define VECTOR_DEVICE_FIRST 0x30
#define VECTOR_DEVICE_LAST  0xdf
#define VECTOR_WORK         0xf9 /* look at cpu_info.work */
#define VECTOR_CALL         0xfa /* cpu_call() */
#define VECTOR_FLUSH        0xfb /* tlb_flush() */
#define VECTOR_TIMER        0xfc
#define VECTOR_ERROR        0xfe
#define VECTOR_SPURIOUS     0xff

#endif
