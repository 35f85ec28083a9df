/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine control block (APM 2 appendix B). */
#pragma once

#include "kernel/lib/types.h"
#include "vm/hvm.h"

struct vmcb_control {
    uint32_t intercept[6]; /* bit n of word m: the exit code 32 * m + n */
    uint8_t reserved0[0x3c - 0x18];
    uint16_t pause_threshold, pause_count;
    uint64_t iopm_base, msrpm_base, tsc_offset;
    uint32_t asid;
    uint8_t tlb_control, reserved1[3];
    uint64_t v_intr, int_state;
    uint64_t exit_code, exit_info1, exit_info2, exit_int_info;
    uint64_t np_enable, avic_apic_bar, ghcb, event_inj, n_cr3, lbr_enable;
    uint32_t clean, reserved2;
    uint64_t nrip;
    uint8_t fetched, insn[15];
    uint8_t reserved3[0x400 - 0xe0];
};

struct vmcb_save {
    struct vm_segment seg[VM_SEGS];
    uint8_t reserved0[0xc8 - 0xa0];
    uint64_t cpl; /* SAVE_CPL */
    uint64_t efer;
    uint8_t reserved2[0x148 - 0xd8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved3[0x1d8 - 0x180];
    uint64_t rsp, s_cet, ssp, isst, rax;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t reserved4[0x268 - 0x248];
    uint64_t g_pat, dbgctl, br_from, br_to, last_excp_from, last_excp_to;
    uint8_t reserved5[0xc00 - 0x298];
};

struct vmcb {
    struct vmcb_control control;
    struct vmcb_save save;
};

_Static_assert(sizeof(struct vm_segment) == 16, "B.2: selector, attributes, limit, base");
_Static_assert(offsetof(struct vmcb_control, pause_threshold) == 0x3c, "table B-1");
_Static_assert(offsetof(struct vmcb_control, iopm_base) == 0x40, "table B-1");
_Static_assert(offsetof(struct vmcb_control, asid) == 0x58, "table B-1");
_Static_assert(offsetof(struct vmcb_control, v_intr) == 0x60, "table B-1");
_Static_assert(offsetof(struct vmcb_control, exit_code) == 0x70, "table B-1");
_Static_assert(offsetof(struct vmcb_control, np_enable) == 0x90, "table B-1");
_Static_assert(offsetof(struct vmcb_control, event_inj) == 0xa8, "table B-1");
_Static_assert(offsetof(struct vmcb_control, n_cr3) == 0xb0, "table B-1");
_Static_assert(offsetof(struct vmcb_control, clean) == 0xc0, "table B-1");
_Static_assert(offsetof(struct vmcb_control, nrip) == 0xc8, "table B-1");
_Static_assert(offsetof(struct vmcb_save, seg[SEG_TR]) == 0x90, "table B-2");
_Static_assert(offsetof(struct vmcb_save, cpl) == 0xc8, "table B-2");
_Static_assert(offsetof(struct vmcb_save, efer) == 0xd0, "table B-2");
_Static_assert(offsetof(struct vmcb_save, cr4) == 0x148, "table B-2");
_Static_assert(offsetof(struct vmcb_save, rip) == 0x178, "table B-2");
_Static_assert(offsetof(struct vmcb_save, rsp) == 0x1d8, "table B-2");
_Static_assert(offsetof(struct vmcb_save, rax) == 0x1f8, "table B-2");
_Static_assert(offsetof(struct vmcb_save, cr2) == 0x240, "table B-2");
_Static_assert(offsetof(struct vmcb_save, g_pat) == 0x268, "table B-2");
_Static_assert(offsetof(struct vmcb, save) == 0x400, "appendix B");
_Static_assert(sizeof(struct vmcb) == 0x1000, "appendix B");
