/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world switch (APM 2 15.5, 15.6). VMRUN and #VMEXIT swap RAX, RSP, RIP, RFLAGS, CS to SS, GDTR, IDTR, CR0, CR3, CR4 and EFER;
 * VMLOAD and VMSAVE the rest of the segment state and the system-call MSRs; the general registers are ours.
 *
 * GIF is 0 from before the guest's GS comes in until the host's is back, so no NMI meets it. IF is 1 at VMRUN because, with
 * V_INTR_MASKING, it is the host's IF that lets a physical interrupt end the guest (15.21.1).
 */

#include "vm/entry.S"

/* void svm_enter(uint64_t gpr[GPRS], hpa_t vmcb, hpa_t host_vmcb); */
.text
.globl svm_enter
.type svm_enter, @function
svm_enter:
    save_host
    push %rdx
    push %rdi
    mov %rsi, %rax
    load_guest
    clgi
    sti
    vmload %rax
    vmrun %rax
    vmsave %rax
    save_guest
    pop %rax
    vmload %rax
    cli
    stgi
    return_to_host
.size svm_enter, . - svm_enter
