/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/lib/bits.h"
#include "vm/emul/decode.h"
#include "vm/emul/emul.h"
#include "vm/emul/operand.h"
#include "vm/emul/regs.h"
#include "vm/guestmem.h"
#include "vm/vm.h"

#define RFLAGS_STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint64_t device_read(struct vcpu *v, gpa_t at, unsigned size)
{
    struct io_access a = {.addr = at.a, .size = size, .data = ~(uint64_t)0};

    (void)vm_io(v, IO_MEM, &a); /* where nothing is, reads give all ones and writes are lost, as on a bus */
    return low_bytes(a.data, size);
}

static void device_write(struct vcpu *v, gpa_t at, unsigned size, uint64_t val)
{
    struct io_access a = {.addr = at.a, .size = size, .write = true, .data = low_bytes(val, size)};

    (void)vm_io(v, IO_MEM, &a);
}

static uint64_t reg_get(const struct vcpu *v, const struct insn *insn)
{
    return low_bytes(insn->reg_high ? v->gpr[insn->reg] >> 8 : v->gpr[insn->reg], insn->reg_size);
}

static void reg_set(struct vcpu *v, const struct insn *insn, uint64_t val)
{
    if (insn->reg_high)
        gpr_set(v, insn->reg, 2, val << 8 | (v->gpr[insn->reg] & 0xff));
    else
        gpr_set(v, insn->reg, insn->reg_size, val);
}

/* a + b + carry, or a - b - carry as a + ~b + !carry; carries out of each bit give CF, AF and OF (APM
 * 1 3.1.4). */
static uint64_t add(uint64_t a, uint64_t b, bool carry, bool subtract, unsigned size, uint64_t *flags)
{
    uint64_t addend = subtract ? ~b : b, r = a + addend + (carry != subtract), sign = BIT(8 * size - 1);
    uint64_t out = (a & addend) | ((a | addend) & ~r);

    if (subtract)
        out = ~out;
    *flags = (out & sign ? RFLAGS_CF : 0) | (out & 8 ? RFLAGS_AF : 0);
    *flags |= (a ^ r) & (addend ^ r) & sign ? RFLAGS_OF : 0;
    return r;
}

/* `a` op `b`; sets the vCPU's flags and returns the result. */
static uint64_t alu(struct vcpu *v, enum insn_op op, uint64_t a, uint64_t b, unsigned size)
{
    bool carry = (op == INSN_ADC || op == INSN_SBB) && (v->rflags & RFLAGS_CF);
    uint64_t flags = 0, r;

    if (op == INSN_ADD || op == INSN_ADC)
        r = add(a, b, carry, false, size, &flags);
    else if (op == INSN_SUB || op == INSN_CMP || op == INSN_SBB)
        r = add(a, b, carry, true, size, &flags);
    else /* AND, TEST, OR, XOR */
        r = op == INSN_OR ? a | b : op == INSN_XOR ? a ^ b : a & b;
    r = low_bytes(r, size);
    flags |= (r == 0 ? RFLAGS_ZF : 0) | (r >> (8 * size - 1) ? RFLAGS_SF : 0);
    flags |= __builtin_parity((unsigned)(r & 0xff)) ? 0 : RFLAGS_PF;
    v->rflags = (v->rflags & ~RFLAGS_STATUS) | flags;
    return r;
}

static void move(struct vcpu *v, const struct insn *insn, gpa_t at)
{
    unsigned shift = 64 - 8u * insn->size;
    uint64_t val;

    if (insn->to_rm) {
        device_write(v, at, insn->size, insn->has_imm ? insn->imm : reg_get(v, insn));
        return;
    }
    val = device_read(v, at, insn->size);
    if (insn->op == INSN_MOVSX)
        val = (uint64_t)((int64_t)(val << shift) >> shift);
    reg_set(v, insn, val);
}

static void modify(struct vcpu *v, const struct insn *insn, gpa_t at)
{
    uint64_t mem = device_read(v, at, insn->size), r;
    uint64_t reg = insn->has_imm ? low_bytes(insn->imm, insn->size) : reg_get(v, insn);

    r = insn->to_rm ? alu(v, insn->op, mem, reg, insn->size) : alu(v, insn->op, reg, mem, insn->size);
    if (insn->op == INSN_CMP || insn->op == INSN_TEST)
        return;
    if (insn->to_rm)
        device_write(v, at, insn->size, r);
    else
        reg_set(v, insn, r);
}

/*
 * The CPU has translated the address that faulted: that is the operand, and the guest's tables need not be
 * walked again. (One that began in RAM on the page before is cut to what faulted; no device is meant to be
 * used so.)
 */
bool emul_mmio(struct vcpu *v, const struct vm_exit *e)
{
    gpa_t at = e->mem.addr;
    uint8_t buf[INSN_MAX];
    unsigned n = guest_fetch(v, buf);
    struct insn insn;

    if (insn_decode(buf, n, guest_bits(v), &insn) || !insn.mem || insn.op > INSN_MOVSX ||
        (at.a & PAGE_MASK) + insn.size > PAGE_SIZE)
        return false;
    if (insn.op >= INSN_MOV)
        move(v, &insn, at);
    else
        modify(v, &insn, at);
    vcpu_skip(v, &(struct vm_exit){.len = insn.len});
    return true;
}
