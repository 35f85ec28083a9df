/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of AMD's APM volume 2 (24593, revision 3.42), chapter 15 and appendices B and C. */
#pragma once

#include "kernel/cpu/regs.h"
#include "kernel/lib/types.h"

#define MSR_VM_HSAVE_PA 0xc0010117 /* 15.30 */

/* VMCB 058h */
#define TLB_FLUSH_ALL   1
#define TLB_FLUSH_GUEST 3
/* VMCB save area 0C8h */
#define SAVE_CPL GENMASK(31, 24)
/* VMCB 060h */
#define V_TPR          GENMASK(3, 0)
#define V_IRQ          BIT(8)
#define V_INTR_PRIO    GENMASK(19, 16)
#define V_IGN_TPR      BIT(20)
#define V_INTR_MASKING BIT(24)
#define V_INTR_VECTOR  GENMASK(39, 32)
/* VMCB 068h */
#define INTERRUPT_SHADOW BIT(0)
/* VMCB 090h */
#define NP_ENABLE BIT(0)
/* VMCB 088h and 0A8h (15.20) */
#define EVENT_VECTOR GENMASK(7, 0)
#define EVENT_TYPE   GENMASK(10, 8)
#define EVENT_EV     BIT(11)
#define EVENT_V      BIT(31)
#define EVENT_ERROR  GENMASK(63, 32)
/* VMCB 0C0h (15.15.3): what the CPU may have cached and is unchanged */
#define CLEAN_ALL       GENMASK32(11, 0)
#define CLEAN_INTERCEPT BIT32(0)
#define CLEAN_TPR       BIT32(3)

/* EXITCODE (appendix C); those below C0h are also the numbers of intercept bits */
#define EXIT_CR_WRITE(n)   (0x10 + (n))
#define EXIT_EXC(n)        (0x40 + (n))
#define EXIT_INTR          0x60
#define EXIT_NMI           0x61
#define EXIT_INIT          0x63
#define EXIT_VINTR         0x64
#define EXIT_CR0_SEL_WRITE 0x65
#define EXIT_RDPMC         0x6f
#define EXIT_CPUID         0x72
#define EXIT_IRET          0x74
#define EXIT_INVD          0x76
#define EXIT_HLT           0x78
#define EXIT_INVLPGA       0x7a
#define EXIT_IOIO          0x7b
#define EXIT_MSR           0x7c
#define EXIT_SHUTDOWN      0x7f
#define EXIT_VMRUN         0x80
#define EXIT_VMMCALL       0x81
#define EXIT_VMLOAD        0x82
#define EXIT_SKINIT        0x86
#define EXIT_WBINVD        0x89
#define EXIT_MONITOR       0x8a
#define EXIT_MWAIT         0x8b
#define EXIT_XSETBV        0x8d
#define EXIT_RDPRU         0x8e
#define EXIT_NPF           0x400
#define EXIT_INVALID       0xffffffff /* VMEXIT_INVALID is -1; the low half says it on every implementation */

/* EXITINFO1 of CR accesses with decode assists (15.33) */
#define CR_INFO_MOV BIT(63)
#define CR_INFO_GPR GENMASK(3, 0)
/* EXITINFO1 of IOIO (15.10.2) */
#define IO_INFO_IN   BIT(0)
#define IO_INFO_STR  BIT(2)
#define IO_INFO_SIZE GENMASK(6, 4) /* 1, 2, 4 bytes as a bit each */
#define IO_INFO_PORT GENMASK(31, 16)
/* EXITINFO1 of MSR (15.11) */
#define MSR_INFO_WRITE BIT(0)
/* EXITINFO1 of NPF (15.25.6) */
#define NPF_W     BIT(1)
#define NPF_ID    BIT(4)
#define NPF_TABLE BIT(33)
