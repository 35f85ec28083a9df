/* SPDX-License-Identifier: BSD-2-Clause */
/* dsdt.asl, compiled. */
    .section .rodata
    .globl dsdt_aml, dsdt_aml_end
    .hidden dsdt_aml, dsdt_aml_end
    .balign 16
dsdt_aml:
    .incbin "dsdt.aml"
dsdt_aml_end:
    .if dsdt_aml_end - dsdt_aml > 3488
    .error "the DSDT is larger than its place in tables.c"
    .endif
    .section .note.GNU-stack, "", @progbits
