/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copied to a page below 1 MiB, which the hypervisor's tables map to its own address, and started there in real mode, CS = page / 16, IP = 0 (SDM 3A
 * 9.4.4). Goes to long mode in one step: PAE, CR3 and EFER.LME first, then PE and PG together (AMD APM 2 14.6.1). There the boot processor joins:
 * boot/bootinfo.h says in what state each comes to the hypervisor's entry. handoff.c writes the words at the end.
 */
    .section .rodata
    .balign 16
    .globl trampoline_start, trampoline_64, trampoline_words, trampoline_end
    .hidden trampoline_start, trampoline_64, trampoline_words, trampoline_end
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
    mov trampoline_start + 0xffc(%rip), %esi /* BOOT_TRAMPOLINE_NUMBER */
    mov %esi, %ebx
    shl $12, %rbx
    add trampoline_pages(%rip), %rbx /* struct percpu */
    lgdt (%rbx)
    mov 10(%rbx), %rsp
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $0x18, %eax
    ltr %ax
    mov $0x80010033, %eax   /* CR0: PG, WP, NE, ET, MP, PE */
    mov %rax, %cr0
    mov trampoline_cr4(%rip), %rax
    mov %rax, %cr4
    mov $0x277, %ecx        /* PAT as after power-up: WB WT UC- UC, twice */
    mov $0x00070406, %eax
    mov %eax, %edx
    wrmsr
    mov $0xc0000080, %ecx   /* EFER: NXE, no SCE */
    rdmsr
    or $0x800, %eax
    and $~1, %eax
    wrmsr
    mov trampoline_bootinfo(%rip), %rdi
    pushq $2                /* flags: none set but the reserved one */
    popfq
    pushq $0x08
    pushq trampoline_entry(%rip)
    lretq
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
trampoline_words:           /* struct trampoline_words */
trampoline_bootinfo:
    .quad 0
trampoline_entry:
    .quad 0
trampoline_pages:
    .quad 0
trampoline_cr4:
    .quad 0
trampoline_cr3:
    .quad 0
    .org trampoline_start + 0x200 /* no more than that: the number is in the same page */
trampoline_end:
    .section .note.GNU-stack, "", @progbits
