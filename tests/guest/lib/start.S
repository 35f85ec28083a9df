/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH entry (Xen's x86/HVM direct boot ABI): 32-bit protected mode, paging off, EBX = start info. Identity-maps the first 4 GiB with 2 MiB
 * pages, goes to long mode and calls guest_start(start info). Interrupt entry: every vector pushes its number and joins.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long guest_entry

    .section .text.start, "ax"
    .code32
    .globl guest_entry
guest_entry:
    cld
    movl $guest_bss, %edi       /* in the place of the I/O domain it is as it was when that starts anew */
    movl $guest_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb
    movl $stack_top, %esp
    movl $page_dir, %edi
    movl $0x83, %eax            /* present, writable, 2 MiB */
    xorl %ecx, %ecx
1:  movl %eax, (%edi, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jne 1b
    movl $page_dir + 3, %eax
    xorl %ecx, %ecx
2:  movl %eax, page_dir_ptr(, %ecx, 8)
    addl $4096, %eax
    incl %ecx
    cmpl $4, %ecx
    jne 2b
    movl $page_dir_ptr + 3, page_top
    movl $page_top, %eax
    movl %eax, %cr3
    movl $0x20, %eax            /* CR4.PAE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx      /* EFER.LME */
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80000011, %eax      /* CR0.PG, ET, PE */
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $3f

    .code64
3:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %ebx, %edi
    call guest_start
4:  cli
    hlt
    jmp 4b

    .text
    .globl vector_table
    .balign 16
vector_table:                   /* 256 entries of 16 bytes */
    .set vector, 0
    .rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    pushq $vector
    jmp vector_common
    .set vector, vector + 1
    .endr
    .balign 16

vector_common:                  /* struct frame in lib.h */
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    movq %rsp, %rbp
    andq $-16, %rsp
    call vector_entry
    movq %rbp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 8: 64-bit code */
    .quad 0x00cf93000000ffff    /* 16: data */
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .bss
    .balign 4096
page_top:
    .skip 4096
page_dir_ptr:
    .skip 4096
page_dir:
    .skip 4 * 4096
    .skip 16384
stack_top:
    .section .note.GNU-stack, "", @progbits
