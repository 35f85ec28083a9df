/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of the processor and its local APIC, with the names of the Intel SDM (December 2023) and the AMD
 * APM (volume 2, revision 3.41). All entries are RW unless a comment says otherwise.
 */
#pragma once

#include "kernel/lib/types.h"

/* Control registers, SDM 3A 2.5 */
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR0_DEFINED                                                                                          \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR4_PAE     BIT(5)
#define CR4_OSXSAVE BIT(18)

/* Model-specific registers, SDM 4 */
#define MSR_APIC_BASE      0x01b
#define APIC_BASE_BSP      BIT(8)
#define APIC_BASE_EXTD     BIT(10)
#define APIC_BASE_EN       BIT(11)
#define APIC_BASE_ADDRESS  GENMASK(51, 12)
#define MSR_PAT            0x277
#define DEBUGCTL_VALID     GENMASK(1, 0)      /* LBR, BTF */
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_EFER           0xc0000080
#define EFER_LME           BIT(8)
#define EFER_LMA           BIT(10) /* RO */
#define EFER_SVME          BIT(12)
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SFMASK         0xc0000084
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX        0xc0000103

/* Local APIC in x2APIC mode, SDM 3A table 10-6 */
#define MSR_X2APIC_FIRST        0x800
#define MSR_X2APIC_ID           0x802 /* RO */
#define MSR_X2APIC_TPR          0x808
#define MSR_X2APIC_EOI          0x80b /* WO */
#define MSR_X2APIC_SVR          0x80f
#define MSR_X2APIC_ISR_LAST     0x817 /* RO: of vectors 224 to 255 */
#define SVR_ENABLE              BIT(8)
#define MSR_X2APIC_ICR          0x830
#define ICR_MODE                GENMASK(10, 8)
#define ICR_MODE_FIXED          0
#define ICR_MODE_NMI            4
#define ICR_MODE_INIT           5
#define ICR_MODE_STARTUP        6
#define ICR_LEVEL_ASSERT        BIT(14)
#define ICR_SHORTHAND           GENMASK(19, 18)
#define ICR_SHORTHAND_OTHERS    3
#define ICR_DEST                GENMASK(63, 32)
#define MSR_X2APIC_LVT_TIMER    0x832
#define LVT_MASKED              BIT(16)
#define LVT_TIMER_MODE          GENMASK(18, 17)
#define LVT_TIMER_TSC_DEADLINE  2
#define MSR_X2APIC_LVT_LINT0    0x835
#define MSR_X2APIC_LVT_ERROR    0x837
#define MSR_X2APIC_TIMER_INIT   0x838
#define MSR_X2APIC_TIMER_DIVIDE 0x83e
#define MSR_X2APIC_SELF_IPI     0x83f /* WO */
#define TIMER_DIVIDE_BY_1       0xb

/* CPUID, SDM 2A table 3-17 */
#define CPUID_1_ECX_X2APIC BIT32(21)

/* Page-table entries, SDM 3A 4.5 */
#define PTE_P      BIT(0)
#define PTE_RW     BIT(1)
#define PTE_PWT    BIT(3)
#define PTE_PCD    BIT(4)
#define PTE_A      BIT(5)
#define PTE_D      BIT(6)
#define PTE_PS     BIT(7)
#define PTE_G      BIT(8)
#define PTE_TARGET GENMASK(51, 12)
#define PTE_NX     BIT(63)

/* Exceptions, SDM 3A table 6-1 */
#define EXC_NMI 2
#define EXC_MC  18
