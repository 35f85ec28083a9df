/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers and CPUID bits beyond kernel/cpu/regs.h. Names of the Intel SDM and the AMD APM. */
#pragma once

#include "kernel/cpu/regs.h"

#define PAT_POWER_ON           0x0007040600070406 /* WB WT UC- UC, twice */
#define EFER_SCE               BIT(0)
#define EFER_NXE               BIT(11)
#define CPUID_80000001_EDX_1G  BIT32(26)
#define CR4_FSGSBASE           BIT(16)
#define MSR_FS_BASE            0xc0000100
#define MSR_SYSENTER_CS        0x174
#define MSR_SYSENTER_ESP       0x175
#define MSR_SYSENTER_EIP       0x176
#define MSR_X2APIC_TIMER_COUNT 0x839 /* RO */
#define CR4_MCE                BIT(6)
#define CR4_PGE                BIT(7)
#define CR4_OSFXSR             BIT(9)
#define CR4_OSXMMEXCPT         BIT(10)
#define CR4_UMIP               BIT(11)
#define CR4_SMEP               BIT(20)
#define CR4_SMAP               BIT(21)
#define CPUID_1_EBX_APIC_SHIFT 24
#define CPUID_1_ECX_XSAVE      BIT32(26)
#define CPUID_7_EBX_SMEP       BIT32(7)
#define CPUID_7_EBX_SMAP       BIT32(20)
#define CPUID_7_ECX_UMIP       BIT32(2)
