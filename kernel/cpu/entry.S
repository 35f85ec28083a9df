/* SPDX-License-Identifier: BSD-2-Clause */
/* Where processors and interrupts come in: hand-off from boot/, start of the other processors, interrupt stubs. */

/* boot/bootinfo.h has the state here: RDI = struct bootinfo, RSP = the boot processor's main stack; of the others, RDI = 0. */
.text
.globl hv_entry
hv_entry:
    test %rdi, %rdi
    jz ap_entry
    cli
    cld
    pushq $2                /* flags: none set but the reserved one */
    popfq
    lea cpus(%rip), %rax    /* struct cpu of the boot CPU; its first word is its own address */
    mov %rax, (%rax)
    mov %rax, %rdx
    shr $32, %rdx
    mov $0xc0000101, %ecx   /* GS_BASE */
    wrmsr
    xor %ebp, %ebp          /* ends the chain of frames */
    call hv_main
1:  hlt
    jmp 1b

/* The other processors, on the stack that smp_start() has made for them. */
ap_entry:
    mov smp_stack(%rip), %rsp
    xor %ebp, %ebp
    call smp_ap_main
    ud2

/* void cpu_load_gdt(const void *gdtr): loads it with 0x08 as CS, 0x10 as the data segments, 0x18 as TR. */
.globl cpu_load_gdt
cpu_load_gdt:
    lgdt (%rdi)
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $0x18, %eax
    ltr %ax
    pop %rax
    pushq $0x08
    push %rax
    lretq

/* One stub of 16 bytes a vector; those for which the processor pushes no error code push a 0 (SDM 3A table 6-1). */
.balign 16
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

.section .note.GNU-stack, "", @progbits
