/* SPDX-License-Identifier: BSD-2-Clause */
/* Where processors and interrupts come in: hand-off from boot/, start of the other processors, interrupt stubs. */

/* boot/bootinfo.h has the state here, for every processor: RDI = struct bootinfo, ESI = its number. */
.text
.globl hv_entry
hv_entry:
    mov %esi, %eax
    shl $6, %eax
    lea cpus(%rax), %rax    /* struct cpu, of 64 bytes; it begins with its own address and the number */
    mov %rax, (%rax)
    mov %esi, 8(%rax)
    mov %rax, %rdx
    shr $32, %rdx
    mov $0xc0000101, %ecx   /* GS_BASE */
    wrmsr
    lidt idt_pointer(%rip)
    xor %ebp, %ebp          /* ends the chain of frames */
    test %esi, %esi
    jnz 1f
    call hv_main
    ud2
1:  call smp_ap_main
    ud2

/* linker/hv.ld puts this first in the image. One stub of 16 bytes a vector; those for which the processor pushes no error code push a 0 (SDM 3A table 6-1). */
.section .text.stubs, "ax", @progbits
.globl trap_stubs
trap_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30
        pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
.endr

/* Builds struct trap_frame. A second frame record lets a backtrace pass through. */
.balign 16
trap_common:
.irp reg, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    push %\reg
.endr
    cld
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    pushq 136(%rbx)         /* the interrupted RIP, as if it had called us, */
    push %rbp               /* and its frame */
    mov %rsp, %rbp
    call trap_handle
    mov %rbx, %rsp
.irp reg, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    pop %\reg
.endr
    add $16, %rsp
    iretq

/* Interrupt gates (SDM 3A figure 6-8): NMI, #DF and #MC have a stack of their own, and a comparison that is true is -1 here. */
.section .rodata
.balign 16
idt:
.set vector, 0
.rept 256
    .word 16 * vector, 0x08         /* offset 15:0 of the stub; code segment */
    .byte -(vector == 2) - 2 * (vector == 8) - 3 * (vector == 18)
    .byte 0x8e                      /* present, 64-bit interrupt gate: enters with interrupts off */
    .word 0x8000                    /* offset 31:16 */
    .long 0xffffffff, 0             /* offset 63:32 */
    .set vector, vector + 1
.endr
idt_pointer:
    .word . - idt - 1
    .quad idt

.section .note.GNU-stack, "", @progbits
