/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH entry (Xen's x86 PVH boot ABI): 32-bit protected mode, flat segments, paging off, EBX = struct hvm_start_info.
 * Memory is as the last incarnation left it, but for what the image loads. Switches to 64-bit mode on an identity map of the first GiB, which drivers/sys/page.c replaces by one with W^X.
 */

#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)
#define PTE_RW_P 0x3
#define PTE_LARGE_RW_P 0x83

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry

    .section .text.start, "ax"
    .code32
    .global pvh_entry
pvh_entry:
    cld
    movl $bss_start, %edi
    movl $bss_end, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl
    movl $stack_top, %esp
    movl $boot_pml4, %edi
    movl $boot_pdpt + PTE_RW_P, (%edi)
    movl $boot_pdpt, %edi
    movl $boot_pd + PTE_RW_P, (%edi)
    movl $boot_pd, %edi
    movl $PTE_LARGE_RW_P, %eax
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    cmpl $boot_pd + 4096, %edi
    jb 1b

    movl $CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME | EFER_NXE, %eax
    wrmsr
    movl $CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE, %eax
    movl %eax, %cr0
    lgdt boot_gdtr
    ljmp $0x08, $entry64

    .code64
entry64:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %ebx, %edi
    xorl %ebp, %ebp
    call sys_start
    ud2

    .section .rodata
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff /* 0x10: data */
boot_gdtr:
    .word . - boot_gdt - 1
    .quad boot_gdt

    .bss
    .balign 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4096

    .section .stack, "aw", @nobits
    .balign 16
    .skip 65536
    .global stack_top
stack_top:
    .skip 8192
    .global trap_stack_top
trap_stack_top:

    .section .note.GNU-stack, "", @progbits
