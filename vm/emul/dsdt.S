/* SPDX-License-Identifier: BSD-2-Clause */
/* dsdt.asl, compiled. */
    .section .rodata
    .globl dsdt_aml, dsdt_aml_end
    .balign 16
dsdt_aml:
    .incbin "dsdt.aml"
dsdt_aml_end:
    .section .note.GNU-stack, "", @progbits
