/* SPDX-License-Identifier: BSD-2-Clause */
/* Operands of an emulated instruction: registers, memory by linear address (RAM or trapped), strings. For mmio.c and pio.c. */
#ifndef VM_EMUL_OPERAND_H
#define VM_EMUL_OPERAND_H

#include "kernel/lib/types.h"
#include "vm/emul/decode.h"

struct vcpu;

/* The low `size` bytes of `val`. */
static inline uint64_t low_bytes(uint64_t val, unsigned size)
{
    return val & (~(uint64_t)0 >> (64 - 8 * size));
}

/* A write of 4 bytes clears the upper half, of 1 or 2 leaves the rest (APM 1 3.1.2). `high`: AH to BH. */
uint64_t gpr_get(const struct vcpu *v, unsigned reg, unsigned size, bool high);
void gpr_set(struct vcpu *v, unsigned reg, unsigned size, bool high, uint64_t val);

/* Linear address of the ModRM or moffs operand. RIP still points at the instruction. */
gva_t operand_linear(const struct vcpu *v, const struct insn *insn);

/* One access of 1, 2, 4 or 8 bytes as the guest's own: RAM, or a trapped region; all ones where nothing is. -EFAULT: #PF is queued. */
MUST_USE int operand_read(struct vcpu *v, gva_t addr, unsigned size, uint64_t *val);
MUST_USE int operand_write(struct vcpu *v, gva_t addr, unsigned size, uint64_t val);

/* Elements of a string that one exit handles; the guest comes back for the rest, with its interrupts taken in between. */
#define STRING_BURST 64

/* MOVS, STOS, LODS, INS, OUTS. True when the instruction is done; otherwise RIP stays on it (more elements, or #PF is queued). */
MUST_USE bool string_run(struct vcpu *v, const struct insn *insn);

/* RIP to the next instruction; the interrupt shadow ends. */
void insn_advance(struct vcpu *v, const struct insn *insn);

#endif
