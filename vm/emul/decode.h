/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small x86 decoder (AMD APM 3 chapter 1): those that touch device memory or a control register.
 * It works on a copy of the guest's bytes, reads no memory and touches no state.
 */
#pragma once

#include "kernel/lib/types.h"

#define INSN_MAX 15 /* bytes of the longest legal instruction */

/* ADD to CMP stand in the order of their encoding (opcode bits 5:3, or ModRM.reg of group 1). */
enum insn_op {
    INSN_NONE,
    INSN_ADD,
    INSN_OR,
    INSN_ADC,
    INSN_SBB,
    INSN_AND,
    INSN_SUB,
    INSN_XOR,
    INSN_CMP,
    INSN_TEST,
    INSN_MOV,
    INSN_MOVZX,
    INSN_MOVSX,
    INSN_MOV_TO_CR,
    INSN_LMSW,
};

struct insn {
    enum insn_op op;
    uint8_t len;
    uint8_t size;     /* bytes of the memory operand: 1, 2, 4, 8 */
    uint8_t reg_size; /* bytes of the register operand: differs from `size` in MOVZX and MOVSX only */
    bool mem;         /* the ModRM (or moffs) operand is memory; otherwise it is register `rm` */
    bool to_rm;    /* the ModRM operand is the destination (MOV 88/89, ADD 00/01 ...); otherwise `reg` is */
    bool has_imm;  /* the source is `imm`, not a register */
    bool reg_high; /* `reg` is AH, CH, DH, BH for 0..3 */
    uint8_t reg;   /* enum gpr; the number of the control register in MOV CR */
    uint8_t rm;    /* enum gpr if !mem; the other register of MOV CR */
    uint64_t imm;  /* sign-extended */
};

/*
 * The instruction with its operands in *out. 0, or -EINVAL: unknown, or cut off by `n`, the bytes that are at hand. bits is 16, 32 or 64: the code
 * segment's mode. Where a memory operand is, the exit says.
 */
MUST_USE int insn_decode(const uint8_t *buf, unsigned n, unsigned bits, struct insn *out);

/* Number of prefixes, of those bytes, that stand before the opcode. */
unsigned insn_prefixes(const uint8_t *buf, unsigned n, unsigned bits);
