/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot_jump(cr3, trampoline): to the hypervisor's page tables, and on where all processors go. Runs from identity-mapped pages in both worlds and
 * touches no memory in between.
 */
    .text
    .balign 64
    .globl boot_jump
    .hidden boot_jump
boot_jump:
    cli
    cld
    mov %cr4, %rax
    and $~((1 << 7) | (1 << 17)), %rax      /* PGE, PCIDE: no translation of the firmware's survives */
    mov %rax, %cr4
    mov %rdi, %cr3
    jmp *%rsi
    .if . - boot_jump > 64
    .error "more than the one page that is mapped"
    .endif
    .section .note.GNU-stack, "", @progbits
