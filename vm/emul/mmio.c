/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "vm/emul/decode.h"
#include "vm/emul/emul.h"
#include "vm/emul/operand.h"
#include "vm/guestmem.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* APM 1 3.1.4 */
#define RFLAGS_CF     BIT(0)
#define RFLAGS_PF     BIT(2)
#define RFLAGS_AF     BIT(4)
#define RFLAGS_ZF     BIT(6)
#define RFLAGS_SF     BIT(7)
#define RFLAGS_OF     BIT(11)
#define RFLAGS_STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* The memory operand of the instruction at hand. */
struct operand {
    struct vcpu *v;
    gva_t linear;
    gpa_t at;
    unsigned size;
    bool direct; /* the CPU has translated it already: it is at `at` */
};

/*
 * The CPU has walked the page tables for the address that faulted; if the operand has the same offset in its
 * page and does not cross it, that is the operand, and the guest's tables need not be walked again.
 * Everything else (an operand whose first bytes lie in the page before, code that another vCPU changes
 * meanwhile) goes through the guest's tables as they are now.
 */
static struct operand operand_of(struct vcpu *v, const struct vm_exit *e, const struct insn *insn)
{
    struct operand op = {v, operand_linear(v, insn), e->mem.addr, insn->size, false};
    int64_t bit;

    /* A bit number in a register reaches beyond the operand (APM 3, BT). */
    if (insn->op >= INSN_BT && insn->op <= INSN_BTC && !insn->has_imm) {
        bit = (int64_t)(v->gpr[insn->reg] << (64 - 8 * insn->size)) >> (64 - 8 * insn->size);
        op.linear.a += (uint64_t)(bit >> __builtin_ctz(8 * insn->size)) * insn->size;
    }
    op.direct = !((op.linear.a ^ op.at.a) & PAGE_MASK) && (op.linear.a & PAGE_MASK) + op.size <= PAGE_SIZE;
    return op;
}

static int load(const struct operand *op, uint64_t *val)
{
    struct io_access a = {.addr = op->at.a, .size = op->size, .data = ~(uint64_t)0};

    if (!op->direct)
        return operand_read(op->v, op->linear, op->size, val);
    if (!vm_io(op->v, IO_MEM, &a))
        return -ENODEV;
    *val = low_bytes(a.data, op->size);
    return 0;
}

static int store(const struct operand *op, uint64_t val)
{
    struct io_access a = {
        .addr = op->at.a, .size = op->size, .write = true, .data = low_bytes(val, op->size)};

    if (!op->direct)
        return operand_write(op->v, op->linear, op->size, val);
    return vm_io(op->v, IO_MEM, &a) ? 0 : -ENODEV;
}

static uint64_t sign_extend(uint64_t val, unsigned size)
{
    return (uint64_t)((int64_t)(val << (64 - 8 * size)) >> (64 - 8 * size));
}

static void set_flags(struct vcpu *v, uint64_t mask, uint64_t flags)
{
    v->rflags = (v->rflags & ~mask) | (flags & mask);
}

/* SF, ZF and PF of a result. */
static uint64_t result_flags(uint64_t r, unsigned size)
{
    uint64_t flags = 0;

    r = low_bytes(r, size);
    flags |= r == 0 ? RFLAGS_ZF : 0;
    flags |= r >> (8 * size - 1) ? RFLAGS_SF : 0;
    flags |= __builtin_parity((unsigned)(r & 0xff)) ? 0 : RFLAGS_PF;
    return flags;
}

/* a + b + carry, or a - b - carry: carries out of each bit give CF, AF and OF. */
static uint64_t add(uint64_t a, uint64_t b, uint64_t carry, unsigned size, uint64_t *flags)
{
    uint64_t r = a + b + carry, out = (a & b) | ((a | b) & ~r), sign = BIT(8 * size - 1);

    *flags = result_flags(r, size) | (out & sign ? RFLAGS_CF : 0) | (out & 8 ? RFLAGS_AF : 0);
    *flags |= (a ^ r) & (b ^ r) & sign ? RFLAGS_OF : 0;
    return r;
}

static uint64_t subtract(uint64_t a, uint64_t b, uint64_t borrow, unsigned size, uint64_t *flags)
{
    uint64_t r = a - b - borrow, out = (~a & b) | ((~a | b) & r), sign = BIT(8 * size - 1);

    *flags = result_flags(r, size) | (out & sign ? RFLAGS_CF : 0) | (out & 8 ? RFLAGS_AF : 0);
    *flags |= (a ^ b) & (a ^ r) & sign ? RFLAGS_OF : 0;
    return r;
}

static uint64_t bit_op(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    uint64_t bit = BIT(b & (8 * size - 1));

    *flags = a & bit ? RFLAGS_CF : 0;
    switch (op) {
    case INSN_BTS:
        return a | bit;
    case INSN_BTR:
        return a & ~bit;
    case INSN_BTC:
        return a ^ bit;
    default:
        return a;
    }
}

/* `a` op `b`; sets the vCPU's flags and returns what the destination becomes. */
static uint64_t alu(struct vcpu *v, enum insn_op op, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t carry = v->rflags & RFLAGS_CF, mask = RFLAGS_STATUS, flags, r;

    switch (op) {
    case INSN_ADD:
    case INSN_ADC:
        r = add(a, b, op == INSN_ADC ? carry : 0, size, &flags);
        break;
    case INSN_SUB:
    case INSN_CMP:
    case INSN_SBB:
        r = subtract(a, b, op == INSN_SBB ? carry : 0, size, &flags);
        break;
    case INSN_NEG:
        r = subtract(0, a, 0, size, &flags);
        break;
    case INSN_INC:
        mask &= ~RFLAGS_CF;
        r = add(a, 1, 0, size, &flags);
        break;
    case INSN_DEC:
        mask &= ~RFLAGS_CF;
        r = subtract(a, 1, 0, size, &flags);
        break;
    case INSN_BT:
    case INSN_BTS:
    case INSN_BTR:
    case INSN_BTC:
        mask = RFLAGS_CF;
        r = bit_op(op, a, b, size, &flags);
        break;
    case INSN_NOT:
        mask = flags = 0;
        r = ~a;
        break;
    default: /* AND, OR, XOR, TEST */
        r = op == INSN_OR ? a | b : op == INSN_XOR ? a ^ b : a & b;
        flags = result_flags(r, size);
        break;
    }
    set_flags(v, mask, flags);
    return r;
}

/*
 * The flags and the register change only once every access has succeeded: a #PF on the second one must leave
 * the instruction as it was. That can happen only to an operand that is not `direct`.
 */
static int modify(struct vcpu *v, const struct insn *insn, const struct operand *op)
{
    bool compare = insn->op == INSN_CMP || insn->op == INSN_TEST || insn->op == INSN_BT;
    uint64_t mem, reg = insn->has_imm ? low_bytes(insn->imm, insn->size)
                                      : gpr_get(v, insn->reg, insn->size, insn->reg_high);
    uint64_t rflags = v->rflags, r;
    int err = load(op, &mem);

    if (err)
        return err;
    if (!insn->to_rm) {
        r = alu(v, insn->op, reg, mem, insn->size);
        if (!compare)
            gpr_set(v, insn->reg, insn->size, insn->reg_high, r);
        return 0;
    }
    r = alu(v, insn->op, mem, reg, insn->size);
    err = compare ? 0 : store(op, r);
    if (err)
        v->rflags = rflags;
    return err;
}

static int move(struct vcpu *v, const struct insn *insn, const struct operand *op)
{
    uint64_t val;
    int err;

    if (insn->to_rm)
        return store(op, insn->has_imm ? insn->imm : gpr_get(v, insn->reg, insn->size, insn->reg_high));
    err = load(op, &val);
    if (err)
        return err;
    if (insn->op == INSN_MOVSX)
        val = sign_extend(val, insn->size);
    gpr_set(v, insn->reg, insn->reg_size, insn->reg_high, val);
    return 0;
}

static int exchange(struct vcpu *v, const struct insn *insn, const struct operand *op)
{
    uint64_t mem;
    int err = load(op, &mem);

    if (!err)
        err = store(op, gpr_get(v, insn->reg, insn->size, insn->reg_high));
    if (!err)
        gpr_set(v, insn->reg, insn->size, insn->reg_high, mem);
    return err;
}

/* APM 3, CMPXCHG: memory is written in either case. */
static int compare_exchange(struct vcpu *v, const struct insn *insn, const struct operand *op)
{
    uint64_t rax = gpr_get(v, RAX, insn->size, false), mem, flags;
    int err = load(op, &mem);

    if (err)
        return err;
    err = store(op, mem == rax ? gpr_get(v, insn->reg, insn->size, insn->reg_high) : mem);
    if (err)
        return err;
    subtract(rax, mem, 0, insn->size, &flags);
    set_flags(v, RFLAGS_STATUS, flags);
    if (mem != rax)
        gpr_set(v, RAX, insn->size, false, mem);
    return 0;
}

static int perform(struct vcpu *v, const struct vm_exit *e, const struct insn *insn)
{
    struct operand op = operand_of(v, e, insn);

    switch (insn->op) {
    case INSN_MOV:
    case INSN_MOVZX:
    case INSN_MOVSX:
        return move(v, insn, &op);
    case INSN_XCHG:
        return exchange(v, insn, &op);
    case INSN_CMPXCHG:
        return compare_exchange(v, insn, &op);
    default:
        return modify(v, insn, &op);
    }
}

bool emul_mmio(struct vcpu *v, const struct vm_exit *e)
{
    uint8_t buf[INSN_MAX];
    unsigned n = guest_fetch(v, buf);
    struct insn insn;
    int err;

    if (insn_decode(buf, n, guest_bits(v), &insn))
        return false;
    if (insn.op >= INSN_MOVS && insn.op <= INSN_LODS) {
        if (string_run(v, &insn))
            insn_advance(v, &insn);
        return true;
    }
    if (!insn.mem || insn.op > INSN_LODS)
        return false;
    err = perform(v, e, &insn);
    if (!err)
        insn_advance(v, &insn);
    return err != -ENODEV;
}
