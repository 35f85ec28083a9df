/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot_jump(bootinfo, cr3, stack, entry): to the hypervisor's page tables and its first instruction. Runs from identity-mapped pages in both
 * worlds and touches no memory in between. The first argument stays in RDI, as boot/bootinfo.h promises.
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
    mov %rsi, %cr3
    mov %cr0, %rax
    or $(1 << 16), %rax                     /* WP */
    mov %rax, %cr0
    mov %rdx, %rsp
    xor %ebp, %ebp
    jmp *%rcx
    .if . - boot_jump > 64
    .error "more than the one page that is mapped"
    .endif
    .section .note.GNU-stack, "", @progbits
