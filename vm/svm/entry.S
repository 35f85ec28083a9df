/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world switch (APM 2 15.5, 15.6). VMRUN and #VMEXIT swap RAX, RSP, RIP, RFLAGS, CS to SS, GDTR, IDTR, CR0, CR3, CR4 and EFER;
 * VMLOAD and VMSAVE the rest of the segment state and the system-call MSRs; the general registers are ours.
 *
 * GIF is 0 from before the guest's GS comes in until the host's is back, so no NMI meets it. IF is 1 at VMRUN because, with
 * V_INTR_MASKING, it is the host's IF that lets a physical interrupt end the guest (15.21.1).
 */

/* void svm_enter(uint64_t gpr[GPRS], hpa_t vmcb, hpa_t host_vmcb); offsets: enum gpr times 8 */
.text
.globl svm_enter
.type svm_enter, @function
svm_enter:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rdi
    mov %rsi, %rax
    mov 8(%rdi), %rcx
    mov 16(%rdi), %rdx
    mov 24(%rdi), %rbx
    mov 40(%rdi), %rbp
    mov 48(%rdi), %rsi
    mov 64(%rdi), %r8
    mov 72(%rdi), %r9
    mov 80(%rdi), %r10
    mov 88(%rdi), %r11
    mov 96(%rdi), %r12
    mov 104(%rdi), %r13
    mov 112(%rdi), %r14
    mov 120(%rdi), %r15
    mov 56(%rdi), %rdi
    clgi
    sti
    vmload %rax
    vmrun %rax
    vmsave %rax
    push %rdi
    mov 8(%rsp), %rdi
    mov %rcx, 8(%rdi)
    mov %rdx, 16(%rdi)
    mov %rbx, 24(%rdi)
    mov %rbp, 40(%rdi)
    mov %rsi, 48(%rdi)
    mov %r8, 64(%rdi)
    mov %r9, 72(%rdi)
    mov %r10, 80(%rdi)
    mov %r11, 88(%rdi)
    mov %r12, 96(%rdi)
    mov %r13, 104(%rdi)
    mov %r14, 112(%rdi)
    mov %r15, 120(%rdi)
    pop %rcx
    mov %rcx, 56(%rdi)
    pop %rdi
    pop %rax
    vmload %rax
    cli
    stgi
    /* Nothing that the guest chose stays in a register for the host's code to speculate with. */
    xor %ecx, %ecx
    xor %edx, %edx
    xor %esi, %esi
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
.size svm_enter, . - svm_enter

.section .note.GNU-stack, "", @progbits
