/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both world switches do with the general registers, as macros; by itself this is nothing. `gpr` is the vCPU's array of registers, whose offsets
 * are enum gpr times 8. RAX and RSP are the back end's own.
 */

/* Those that the caller wants back (System V ABI). */
.macro save_host
.irp r, rbp, rbx, r12, r13, r14, r15
    push %\r
.endr
.endm

/* RDI: gpr. */
.macro load_guest
    mov 8(%rdi), %rcx
    mov 16(%rdi), %rdx
    mov 24(%rdi), %rbx
    mov 40(%rdi), %rbp
    mov 48(%rdi), %rsi
.irp r, 8, 9, 10, 11, 12, 13, 14, 15
    mov 8 * \r(%rdi), %r\r
.endr
    mov 56(%rdi), %rdi
.endm

/* Takes gpr off the stack, into RDI. */
.macro save_guest
    push %rdi
    mov 8(%rsp), %rdi
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
.endm

/* Back to the caller. Nothing that the guest chose stays in a register for the host's code to speculate with. */
.macro return_to_host
.irp r, ecx, edx, esi, r8d, r9d, r10d, r11d
    xor %\r, %\r
.endr
.irp r, r15, r14, r13, r12, rbx, rbp
    pop %\r
.endr
    ret
.endm

.section .note.GNU-stack, "", @progbits
