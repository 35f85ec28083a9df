/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry points of exceptions (0 to 31) and of interrupts (IRQ_VECTOR_BASE on). */

#define IRQ_VECTOR_BASE 0x20
#define IRQ_COUNT 16
#define MSR_X2APIC_EOI 0x80b
#define APIC_EOI 0xb0

    .text

/* Exceptions: a uniform frame (struct trap_frame), then C. */
    .altmacro
    .macro exception vector
trap_\vector:
    .if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30)
    pushq $0
    .endif
    pushq $\vector
    jmp trap_common
    .endm

    .set i, 0
    .rept 32
    exception %i
    .set i, i + 1
    .endr

trap_common:
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
    cld
    call trap_handle
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

/* Interrupts: they come in HLT only (sys_idle), so a flag is all that is needed. */
    .macro interrupt n
irq_\n:
    movb $1, irq_pending + \n(%rip)
    jmp irq_eoi
    .endm

    .set i, 0
    .rept IRQ_COUNT
    interrupt %i
    .set i, i + 1
    .endr

irq_eoi:
    pushq %rax
    pushq %rcx
    pushq %rdx
    movq apic_mmio(%rip), %rdx
    testq %rdx, %rdx
    jnz 1f
    movl $MSR_X2APIC_EOI, %ecx
    xorl %eax, %eax
    wrmsr
    jmp 2f
1:  movl $0, APIC_EOI(%rdx)
2:  popq %rdx
    popq %rcx
    popq %rax
    iretq

    .section .rodata
    .balign 8
    .macro entry_of prefix n
    .quad \prefix\n
    .endm
    .global trap_entries
trap_entries:
    .set i, 0
    .rept 32
    entry_of trap_, %i
    .set i, i + 1
    .endr
    .set i, 0
    .rept IRQ_COUNT
    entry_of irq_, %i
    .set i, i + 1
    .endr

    .section .note.GNU-stack, "", @progbits
