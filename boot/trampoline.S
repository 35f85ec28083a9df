/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copied to a page below 1 MiB, which the hypervisor's tables map to its own address, and started there in real mode, CS = page / 16, IP = 0 (SDM 3A
 * 9.4.4). Goes to long mode in one step: PAE, CR3 and EFER.LME first, then PE and PG together (AMD APM 2 14.6.1); then to the hypervisor's entry
 * with RDI = 0. handoff.c writes the two words at the end.
 */
    .section .rodata
    .balign 16
    .globl trampoline_start, trampoline_cr3, trampoline_entry, trampoline_end
    .hidden trampoline_start, trampoline_cr3, trampoline_entry, trampoline_end
    .code16
trampoline_start:
    cli
    cld
    xor %eax, %eax
    mov %cs, %ax
    mov %ax, %ds
    shl $4, %eax            /* where we are */
    lea trampoline_gdt - trampoline_start(%eax), %ebx
    mov %ebx, gdtr - trampoline_start + 2
    lea trampoline_64 - trampoline_start(%eax), %ebx
    mov %ebx, far_64 - trampoline_start
    lgdtl gdtr - trampoline_start
    mov %cr4, %eax
    or $0x20, %eax          /* CR4.PAE */
    mov %eax, %cr4
    mov trampoline_cr3 - trampoline_start, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx   /* EFER: LME, NXE */
    rdmsr
    or $0x900, %eax
    wrmsr
    mov $0x80000011, %eax   /* CR0: PG, ET, PE */
    mov %eax, %cr0
    ljmpl *(far_64 - trampoline_start)
    .code64
trampoline_64:
    xor %edi, %edi
    jmp *trampoline_entry(%rip)
    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 0x08: 64-bit code */
far_64:
    .long 0
    .word 0x08
gdtr:
    .word 15
    .long 0
    .balign 8
trampoline_entry:
    .quad 0
trampoline_cr3:
    .long 0
trampoline_end:
    .section .note.GNU-stack, "", @progbits
