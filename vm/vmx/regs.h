/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of the Intel SDM volume 3 (December 2023), chapters 25 to 29, appendices A to C. */
#pragma once

#include "kernel/cpu/regs.h"
#include "kernel/lib/types.h"

/* What the firmware left to the hypervisor, and what must be 1 then (24.7, appendix A) */
#define MSR_FEATURE_CONTROL  0x3a
#define FEATURE_CONTROL_LOCK BIT(0)
#define FEATURE_CONTROL_VMX  BIT(2) /* outside SMX operation */
#define MSR_VMX_CR0_FIXED0   0x486
#define MSR_VMX_CR4_FIXED0   0x488
#define CR4_VMXE             BIT(13)

/* Of the controls, which boot/cpu.c chooses, those that change (tables 25-6, 25-15) */
#define PROC_INTR_WINDOW BIT32(2)
#define PROC_NMI_WINDOW  BIT32(22)
#define ENTRY_IA32E      BIT32(9)

/* Fields (appendix B). Those of one kind are two apart, segments' from ES on; not all have a name here. */
#define VPID                0x0000
#define GUEST_SELECTOR      0x0800
#define INTERRUPT_STATUS    0x0810 /* highest vector requested, and in service << 8 */
#define HOST_ES_SELECTOR    0x0c00
#define HOST_CS_SELECTOR    0x0c02
#define HOST_SS_SELECTOR    0x0c04
#define HOST_DS_SELECTOR    0x0c06
#define HOST_TR_SELECTOR    0x0c0c
#define MSR_BITMAPS         0x2004
#define TSC_OFFSET          0x2010
#define VIRTUAL_APIC_PAGE   0x2012
#define EPT_POINTER         0x201a
#define EOI_EXITS           0x201c /* and three more, two apart */
#define GUEST_PHYSICAL      0x2400
#define VMCS_LINK           0x2800
#define GUEST_DEBUGCTL      0x2802
#define GUEST_PAT           0x2804
#define GUEST_EFER          0x2806
#define GUEST_PDPTE0        0x280a /* and three more, two apart */
#define HOST_PAT            0x2c00
#define HOST_EFER           0x2c02
#define PIN_CONTROLS        0x4000
#define PROC_CONTROLS       0x4002
#define EXCEPTION_BITMAP    0x4004
#define EXIT_CONTROLS       0x400c
#define ENTRY_CONTROLS      0x4012
#define ENTRY_EVENT         0x4016
#define ENTRY_EVENT_ERROR   0x4018
#define TPR_THRESHOLD       0x401c
#define PROC2_CONTROLS      0x401e
#define INSTRUCTION_ERROR   0x4400
#define EXIT_REASON         0x4402
#define EXIT_EVENT          0x4404
#define EXIT_EVENT_ERROR    0x4406
#define IDT_VECTORING       0x4408
#define IDT_VECTORING_ERROR 0x440a
#define EXIT_INSN_LENGTH    0x440c
#define GUEST_LIMIT         0x4800
#define GUEST_RIGHTS        0x4814
#define INTERRUPTIBILITY    0x4824
#define GUEST_SYSENTER_CS   0x482a
#define HOST_SYSENTER_CS    0x4c00
#define CR0_MASK            0x6000
#define CR4_MASK            0x6002
#define CR0_SHADOW          0x6004
#define CR4_SHADOW          0x6006
#define EXIT_QUALIFICATION  0x6400
#define GUEST_CR0           0x6800
#define GUEST_CR3           0x6802
#define GUEST_CR4           0x6804
#define GUEST_BASE          0x6806
#define GUEST_DR7           0x681a
#define GUEST_RSP           0x681c
#define GUEST_RIP           0x681e
#define GUEST_RFLAGS        0x6820
#define GUEST_SYSENTER_ESP  0x6824
#define GUEST_SYSENTER_EIP  0x6826
#define HOST_CR0            0x6c00
#define HOST_CR3            0x6c02
#define HOST_CR4            0x6c04
#define HOST_GS_BASE        0x6c08
#define HOST_TR_BASE        0x6c0a
#define HOST_GDTR_BASE      0x6c0c
#define HOST_IDTR_BASE      0x6c0e
#define HOST_RIP            0x6c16

/* Access rights (table 25-2): struct vm_segment's bits 7:0, and its 11:8 moved up by four */
#define RIGHTS_LOW      GENMASK32(7, 0)
#define RIGHTS_HIGH     GENMASK32(15, 12)
#define RIGHTS_UNUSABLE BIT32(16)
/* Interruptibility (table 25-3) */
#define BLOCKING_SHADOW GENMASK32(1, 0) /* by STI, by MOV SS */
#define BLOCKING_NMI    BIT32(3)
/* Interruption information (tables 25-16, 25-18, 25-19) */
#define EVENT_VECTOR      GENMASK32(7, 0)
#define EVENT_TYPE        GENMASK32(10, 8)
#define EVENT_ERROR_VALID BIT32(11)
#define EVENT_NMI_UNBLOCK BIT32(12)
#define EVENT_VALID       BIT32(31)

/* Offsets in the virtual-APIC page (30.1.1) */
#define APIC_PAGE_TPR 0x80
#define APIC_PAGE_ISR 0x100
#define APIC_PAGE_IRR 0x200

/* EPT pointer (table 25-9) */
#define EPTP_WRITE_BACK 6
#define EPTP_WALK_4     (3 << 3)

/* Exit reasons (appendix C) */
#define REASON_BASIC       GENMASK32(15, 0)
#define REASON_EXCEPTION   0
#define REASON_INTR        1
#define REASON_TRIPLE      2
#define REASON_INIT        3
#define REASON_INTR_WINDOW 7
#define REASON_NMI_WINDOW  8
#define REASON_CPUID       10
#define REASON_GETSEC      11
#define REASON_HLT         12
#define REASON_INVD        13
#define REASON_RDPMC       15
#define REASON_VMCALL      18
#define REASON_VMCLEAR     19
#define REASON_VMXON       27
#define REASON_CR          28
#define REASON_IO          30
#define REASON_RDMSR       31
#define REASON_WRMSR       32
#define REASON_BAD_STATE   33
#define REASON_MWAIT       36
#define REASON_MONITOR     39
#define REASON_ENTRY_MC    41
#define REASON_EPT         48
#define REASON_INVEPT      50
#define REASON_INVVPID     53
#define REASON_WBINVD      54
#define REASON_XSETBV      55
#define REASON_APIC_WRITE  56

/* Exit qualifications (tables 28-1, 28-3, 28-5, 28-7) */
#define QUAL_DB       (BIT(14) | BIT(13) | GENMASK(3, 0)) /* BS, BD and B3 to B0 of DR6 */
#define QUAL_CR_NUM   GENMASK(3, 0)
#define QUAL_CR_TYPE  GENMASK(5, 4) /* 0: MOV to it */
#define QUAL_CR_GPR   GENMASK(11, 8)
#define QUAL_IO_SIZE  GENMASK(2, 0) /* less one */
#define QUAL_IO_IN    BIT(3)
#define QUAL_IO_STR   BIT(4)
#define QUAL_IO_PORT  GENMASK(31, 16)
#define QUAL_EPT_W    BIT(1)
#define QUAL_EPT_X    BIT(2)
#define QUAL_EPT_GLA  BIT(7) /* the access belongs to a linear address, */
#define QUAL_EPT_SELF BIT(8) /* and is the access itself, not one to its page tables */
#define QUAL_EPT_IRET BIT(12)
