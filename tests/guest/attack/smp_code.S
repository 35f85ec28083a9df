/* SPDX-License-Identifier: BSD-2-Clause */
/* What processors run after a start-up message: real mode, CS the page, all else 0. Copied to where they start. */
    .section .rodata
    .code16

    .globl smp_count, smp_count_end
smp_count:                      /* one more at 1F00h, then busy for a while, then rest */
    lock incw 0x1f00
    movl $0x1000000, %ecx
4:  decl %ecx
    jnz 4b
1:  cli
    hlt
    jmp 1b
smp_count_end:

    .globl smp_storm, smp_storm_end
smp_storm:                      /* x2APIC mode, then messages of all kinds for ever */
    movl $0x1b, %ecx
    rdmsr
    orl $0xc00, %eax
    wrmsr
    movl $0x80f, %ecx
    movl $0x1ff, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x830, %ecx
    xorl %ebx, %ebx
2:  incl %ebx
    movl %ebx, %edx             /* to a processor of a number that may exist */
    andl $7, %edx
    cmpl $0, %edx               /* the first one has other things to do */
    je 2b
    movl $0x4051, %eax          /* vector 51h */
    wrmsr
    xorl %edx, %edx
    decl %edx                   /* to all: vector 52h, which the first one does not take */
    movl $0x4052, %eax
    wrmsr
    movl $0x44052, %eax         /* to oneself */
    wrmsr
    movl %ebx, %edx
    movl $0x4852, %eax          /* logical */
    wrmsr
    jmp 2b
smp_storm_end:

    .globl smp_triple, smp_triple_end
smp_triple:                     /* a table of interrupts of no entry, and one */
    lidtl %cs:(3f - smp_triple)
    int3
3:  .word 0
    .long 0
smp_triple_end:
    .section .note.GNU-stack, "", @progbits
