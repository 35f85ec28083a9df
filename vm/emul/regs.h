/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers that guests see, beyond those of kernel/cpu/regs.h: names of the Intel SDM (December 2023), the
 * AMD APM (volume 2, revision 3.41) and Linux' Documentation/virt/kvm/x86/msr.rst for KVM's.
 */
#pragma once

#include "kernel/cpu/regs.h"

/* Local APIC, SDM 3A table 11-6: number = xAPIC offset >> 4 = x2APIC MSR - 0x800. */
#define APIC_ID      0x02
#define APIC_VERSION 0x03
#define APIC_TPR     0x08
#define APIC_PPR     0x0a
#define APIC_EOI     0x0b
#define APIC_LDR     0x0d
#define APIC_DFR     0x0e
#define APIC_SVR     0x0f
#define APIC_ISR     0x10
#define APIC_TMR     0x18
#define APIC_IRR     0x20
#define APIC_ESR     0x28
#define APIC_ICR     0x30
#define APIC_ICR2    0x31
#define APIC_LVT     0x32 /* timer, thermal, performance, LINT0, LINT1, error */
#define APIC_LVTT    0x32
#define APIC_LVTERR  0x37
#define APIC_TMICT   0x38
#define APIC_TMCCT   0x39
#define APIC_TDCR    0x3e
#define APIC_SELF    0x3f
#define APIC_REGS    0x40

#define APIC_VERSION_VALUE 0x00050014 /* integrated, six LVT entries, no EOI-broadcast suppression */

#define LVT_RO (BIT32(14) | BIT32(12)) /* remote IRR, delivery status */

#define LVT_TIMER_PERIODIC 1

#define SVR_VALID  GENMASK32(9, 0)
#define TDCR_VALID (BIT32(3) | GENMASK32(1, 0))

#define ICR_LOGICAL       BIT(11)
#define ICR_TRIGGER_LEVEL BIT(15)
#define ICR_VALID         (GENMASK32(19, 18) | GENMASK32(15, 14) | GENMASK32(11, 0))
#define ICR_XAPIC_DEST    GENMASK(63, 56)
#define ICR_MODE_LOWEST   1
#define SHORTHAND_NONE    0
#define SHORTHAND_SELF    1
#define SHORTHAND_OTHERS  3

#define DFR_FLAT GENMASK32(31, 28)

/* MSI, SDM 3A 11.11 */
#define MSI_ADDRESS      0xfee00000
#define MSI_ADDRESS_MASK GENMASK(63, 20)
#define MSI_DEST         GENMASK(19, 12)
#define MSI_REDIRECTION  BIT(3)
#define MSI_LOGICAL      BIT(2)
#define MSI_VECTOR       GENMASK32(7, 0)
#define MSI_MODE         GENMASK32(10, 8)
#define MSI_LEVEL        BIT32(14)
#define MSI_TRIGGER      BIT32(15)

/* Control registers, beyond kernel/cpu/regs.h */
#define SEG_ATTR_L 0x200 /* struct vm_segment.attr: 64-bit code */
#define SEG_ATTR_D 0x400 /* 32-bit code */

#define RFLAGS_CF BIT(0)
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_OF BIT(11)

#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 GENMASK(7, 5)

/* MSRs */
#define MSR_TSC             0x010
#define MSR_DEBUGCTL        0x1d9
#define MSR_X2APIC_LAST     0x8ff
#define MSR_KVM_WALL_CLOCK  0x4b564d00
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define MSR_KVM_PV_EOI      0x4b564d04
#define KVM_MSR_ENABLE      BIT(0)
