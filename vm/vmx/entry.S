/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world switch (SDM 3 chapters 27 and 28). VM entry and exit swap RSP, RIP, RFLAGS, the segments, GDTR, IDTR, the control registers
 * but CR2, EFER, PAT and DEBUGCTL; the general registers are ours. IF is 0 on both sides: a physical interrupt ends the guest and
 * stays pending.
 */

#define HOST_RSP 0x6c14

/* bool vmx_enter(uint64_t gpr[GPRS], bool launched); offsets: enum gpr times 8 */
.text
.globl vmx_enter, vmx_exit
.type vmx_enter, @function
vmx_enter:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    mov $HOST_RSP, %eax
    vmwrite %rsp, %rax
    cmp $1, %sil            /* CF: not launched yet */
    mov 0(%rdi), %rax
    mov 8(%rdi), %rcx
    mov 16(%rdi), %rdx
    mov 24(%rdi), %rbx
    mov 40(%rdi), %rbp
    mov 48(%rdi), %rsi
.irp r, 8, 9, 10, 11, 12, 13, 14, 15
    mov 8 * \r(%rdi), %r\r
.endr
    mov 56(%rdi), %rdi
    jc 1f
    vmresume
    jmp 2f
1:  vmlaunch
2:  pop %rdi                /* only here if the CPU refused to begin */
    xor %eax, %eax
    jmp 3f
vmx_exit:
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, 0(%rdi)
    mov %rcx, 8(%rdi)
    mov %rdx, 16(%rdi)
    mov %rbx, 24(%rdi)
    mov %rbp, 40(%rdi)
    mov %rsi, 48(%rdi)
.irp r, 8, 9, 10, 11, 12, 13, 14, 15
    mov %r\r, 8 * \r(%rdi)
.endr
    pop %rcx
    mov %rcx, 56(%rdi)
    pop %rdi
    mov $1, %eax
3:  /* Nothing that the guest chose stays in a register for the host's code to speculate with. */
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
.size vmx_enter, . - vmx_enter

.section .note.GNU-stack, "", @progbits
