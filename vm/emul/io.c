/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that touch a trapped port or address. */
#include "vm/emul/decode.h"
#include "vm/emul/emul.h"
#include "vm/emul/regs.h"
#include "vm/guestmem.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* The low `size` bytes of `val`. */
static uint64_t low_bytes(uint64_t val, unsigned size)
{
    return val & (~(uint64_t)0 >> (64 - 8 * size));
}

/* A write of 4 bytes clears the upper half, of 1 or 2 leaves the rest (APM 1 3.1.2). */
static void gpr_set(struct vcpu *v, unsigned reg, unsigned size, uint64_t val)
{
    uint64_t kept = size >= 4 ? 0 : v->gpr[reg] & ~low_bytes(~(uint64_t)0, size);

    v->gpr[reg] = kept | low_bytes(val, size);
}

/* Where nothing is, reads give all ones and writes are lost, as on a bus. */
static uint64_t bus(struct vcpu *v, enum io_space space, struct io_access a)
{
    a.data = low_bytes(a.data, a.size);
    (void)vm_io(v, space, &a);
    return low_bytes(a.data, a.size);
}

enum then emul_io(struct vcpu *v, const struct vm_exit *e)
{
    uint64_t val;

    if (e->io.string) {
        vm_complain(v->vm, "INS or OUTS at port %#x, which is not emulated: #GP", e->io.port);
        return THEN_GP;
    }
    val = bus(v, IO_PORT, (struct io_access){e->io.port, e->io.size, !e->io.in, v->gpr[RAX]});
    if (e->io.in)
        gpr_set(v, RAX, e->io.size, val);
    return THEN_SKIP;
}

/* `a` op `b`; sets the vCPU's flags and returns the result. Carries (or borrows) out of each bit give CF, AF and
 * OF (APM 1 3.1.4). */
static uint64_t alu(struct vcpu *v, enum insn_op op, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t sign = BIT(8 * size - 1), carry = op == INSN_ADC || op == INSN_SBB ? v->rflags & RFLAGS_CF : 0;
    uint64_t r, out = 0;

    if (op == INSN_ADD || op == INSN_ADC) {
        r = a + b + carry;
        out = (a & b) | ((a | b) & ~r);
    } else if (op == INSN_SUB || op == INSN_CMP || op == INSN_SBB) {
        r = a - b - carry;
        out = (~a & b) | ((~a | b) & r);
    } else { /* AND, TEST, OR, XOR */
        r = op == INSN_OR ? a | b : op == INSN_XOR ? a ^ b : a & b;
    }
    r = low_bytes(r, size);
    v->rflags &= ~(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF);
    v->rflags |= (out & sign ? RFLAGS_CF : 0) | (out & 8 ? RFLAGS_AF : 0) | (r == 0 ? RFLAGS_ZF : 0) |
                 (r & sign ? RFLAGS_SF : 0) | ((out ^ out << 1) & sign ? RFLAGS_OF : 0) |
                 (__builtin_parity((unsigned)(r & 0xff)) ? 0 : RFLAGS_PF);
    return r;
}

/* Destination op source. */
static uint64_t result(struct vcpu *v, const struct insn *insn, uint64_t dst, uint64_t src)
{
    unsigned shift = 64 - 8u * insn->size;

    if (insn->op == INSN_MOVSX)
        return (uint64_t)((int64_t)(src << shift) >> shift);
    return insn->op >= INSN_MOV ? src : alu(v, insn->op, dst, src, insn->size);
}

static void perform(struct vcpu *v, const struct insn *insn, uint64_t at)
{
    bool load = insn->op != INSN_MOV || !insn->to_rm;
    uint64_t mem = load ? bus(v, IO_MEM, (struct io_access){at, insn->size, false, 0}) : 0;
    uint64_t reg = insn->has_imm ? insn->imm : v->gpr[insn->reg] >> (insn->reg_high ? 8 : 0);
    uint64_t r = insn->to_rm ? result(v, insn, mem, reg) : result(v, insn, reg, mem);

    if (insn->op == INSN_CMP || insn->op == INSN_TEST)
        return;
    if (insn->to_rm)
        bus(v, IO_MEM, (struct io_access){at, insn->size, true, r});
    else if (insn->reg_high)
        gpr_set(v, insn->reg, 2, r << 8 | (v->gpr[insn->reg] & 0xff));
    else
        gpr_set(v, insn->reg, insn->reg_size, r);
}

/*
 * The CPU has translated the address that faulted: that is the operand, and the guest's tables need not be
 * walked again. (One that began in RAM on the page before is cut to what faulted; no device is meant to be
 * used so.)
 */
bool emul_mmio(struct vcpu *v, const struct vm_exit *e)
{
    uint64_t at = e->mem.addr.a;
    uint8_t buf[INSN_MAX];
    unsigned n = guest_fetch(v, buf);
    struct insn insn;

    if (insn_decode(buf, n, guest_bits(v), &insn) || !insn.mem || insn.op > INSN_MOVSX ||
        (at & PAGE_MASK) + insn.size > PAGE_SIZE)
        return false;
    perform(v, &insn, at);
    vcpu_skip(v, &(struct vm_exit){.len = insn.len});
    return true;
}
