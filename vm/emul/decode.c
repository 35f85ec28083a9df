/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/emul/decode.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "vm/vcpu.h"

/* What follows an opcode, and how its operands are to be read. */
#define MODRM   0x001u
#define WIDTH   0x002u /* bit 0 of the opcode: 0, operands of 8 bits */
#define TO_RM   0x004u
#define IMM8    0x008u
#define IMMZ    0x010u /* as wide as the operand, but not more than 32 bits */
#define MOFFS   0x020u
#define CONTROL 0x040u /* MOV CR: two registers whatever ModRM.mod says (APM 3, MOV CRn) */
#define MEM16   0x080u /* the memory operand has 16 bits, or 8 by WIDTH, whatever the register's size */
#define GROUP_1 0x100u /* ModRM.reg says which of ADD to CMP */
#define GROUP_3 0x200u /* ... that it is TEST: 0 and 1 */
#define GROUP_7 0x400u /* ... that it is LMSW: 6 */

struct opcode {
    uint8_t op;
    uint16_t flags;
};

static const struct opcode one_byte[256] = {
    [0x80 ... 0x81] = {INSN_ADD, GROUP_1 | MODRM | WIDTH | TO_RM | IMMZ},
    [0x83] = {INSN_ADD, GROUP_1 | MODRM | TO_RM | IMM8},
    [0x84 ... 0x85] = {INSN_TEST, MODRM | WIDTH | TO_RM},
    [0x88 ... 0x89] = {INSN_MOV, MODRM | WIDTH | TO_RM},
    [0x8a ... 0x8b] = {INSN_MOV, MODRM | WIDTH},
    [0xa0 ... 0xa1] = {INSN_MOV, MOFFS | WIDTH},
    [0xa2 ... 0xa3] = {INSN_MOV, MOFFS | WIDTH | TO_RM},
    [0xc6 ... 0xc7] = {INSN_MOV, MODRM | WIDTH | TO_RM | IMMZ},
    [0xe4 ... 0xe7] = {INSN_OTHER, IMM8}, /* IN, OUT */
    [0xec ... 0xef] = {INSN_OTHER, 0},    /* IN, OUT */
    [0xf4] = {INSN_OTHER, 0},             /* HLT */
    [0xf6 ... 0xf7] = {INSN_TEST, GROUP_3 | MODRM | WIDTH | TO_RM | IMMZ},
};

/* After 0F. */
static const struct opcode two_byte[256] = {
    [0x01] = {INSN_OTHER, GROUP_7 | MODRM}, /* with VMMCALL, XSETBV */
    [0x08 ... 0x09] = {INSN_OTHER, 0},      /* INVD, WBINVD */
    [0x22] = {INSN_MOV_TO_CR, CONTROL | MODRM},
    [0x30] = {INSN_OTHER, 0}, /* WRMSR */
    [0x32] = {INSN_OTHER, 0}, /* RDMSR */
    [0xa2] = {INSN_OTHER, 0}, /* CPUID */
    [0xb6 ... 0xb7] = {INSN_MOVZX, MODRM | WIDTH | MEM16},
    [0xbe ... 0xbf] = {INSN_MOVSX, MODRM | WIDTH | MEM16},
};

#define REX_W 0x8u
#define REX_R 0x4u
#define REX_B 0x1u

struct decoder {
    const uint8_t *at, *end;
    unsigned bits;
    struct opcode code;
    bool byte;   /* operands of 8 bits */
    uint8_t rex; /* 0: none; otherwise 0x40 to 0x4f */
    bool size_prefix, addr_prefix, lock;
    unsigned addr_size; /* 2, 4, 8 */
};

static bool next(struct decoder *d, uint8_t *b)
{
    if (d->at == d->end)
        return false;
    *b = *d->at++;
    return true;
}

/* Legacy prefixes in any order, then REX (APM 3 1.2). True if `b` was one; a REX that another prefix follows
 * counts for nothing. */
static bool prefix(struct decoder *d, uint8_t b)
{
    bool rex = d->bits == 64 && (b & 0xf0) == 0x40, rep = (b & 0xfe) == 0xf2;
    bool segment = (b & 0xe7) == 0x26 || (b & 0xfe) == 0x64; /* ES, CS, SS, DS; FS, GS */

    if (!rex && !rep && !segment && b != 0x66 && b != 0x67 && b != 0xf0)
        return false;
    d->rex = rex ? b : 0;
    d->size_prefix |= b == 0x66;
    d->addr_prefix |= b == 0x67;
    d->lock |= b == 0xf0;
    return true;
}

/* ADD to CMP between ModRM and a register fill the first quarter of the one-byte map alike. */
static bool opcode(struct decoder *d, struct insn *out)
{
    uint8_t b;

    do {
        if (!next(d, &b))
            return false;
    } while (prefix(d, b));
    if (b == 0x0f) {
        if (!next(d, &b))
            return false;
        d->code = two_byte[b];
    } else if (b < 0x40 && !(b & 4)) {
        d->code = (struct opcode){(uint8_t)(INSN_ADD + (b >> 3)), MODRM | WIDTH | (b & 2 ? 0 : TO_RM)};
    } else {
        d->code = one_byte[b];
    }
    d->byte = (d->code.flags & WIDTH) && !(b & 1);
    out->op = d->code.op;
    return out->op != INSN_NONE;
}

static void sizes(struct decoder *d, struct insn *out)
{
    unsigned flags = d->code.flags;

    d->addr_size = d->bits / 8;
    if (d->addr_prefix)
        d->addr_size = d->bits == 32 ? 2 : 4;
    out->size = (d->bits != 16) != d->size_prefix ? 4 : 2;
    if (flags & CONTROL)
        out->size = d->bits == 64 ? 8 : 4;
    else if (d->rex & REX_W)
        out->size = 8;
    if (d->byte && !(flags & MEM16))
        out->size = 1;
    out->reg_size = out->size;
    if (flags & MEM16)
        out->size = d->byte ? 1 : 2;
}

static bool skip(struct decoder *d, size_t size)
{
    if ((size_t)(d->end - d->at) < size)
        return false;
    d->at += size;
    return true;
}

/* SIB and displacement (APM 3 tables 1-11 to 1-17). */
static bool address(struct decoder *d, unsigned mod, unsigned rm)
{
    bool small = d->addr_size == 2;
    uint8_t sib;

    if (!small && rm == RSP) {
        if (!next(d, &sib))
            return false;
        rm = sib & 7;
    }
    if (mod == 2 || (mod == 0 && rm == (small ? RSI : RBP)))
        return skip(d, small ? 2 : 4);
    return skip(d, mod);
}

/* False: not an instruction that the decoder knows. */
static bool group(const struct decoder *d, unsigned reg, struct insn *out)
{
    if (d->code.flags & GROUP_1)
        out->op = (enum insn_op)(INSN_ADD + reg);
    if ((d->code.flags & GROUP_7) && reg == 6) {
        out->op = INSN_LMSW;
        out->size = out->reg_size = 2;
    }
    return !(d->code.flags & GROUP_3) || reg < 2;
}

static bool modrm(struct decoder *d, struct insn *out)
{
    unsigned mod, rm, reg;
    uint8_t b;

    if (!next(d, &b))
        return false;
    mod = d->code.flags & CONTROL ? 3 : b >> 6;
    rm = b & 7;
    reg = b >> 3 & 7;
    out->reg_high = out->reg_size == 1 && !d->rex && reg >= RSP && !(d->code.flags & (IMM8 | IMMZ));
    out->reg = (uint8_t)(out->reg_high ? reg - RSP : reg | (d->rex & REX_R ? 8 : 0));
    out->mem = mod != 3;
    if (!out->mem)
        out->rm = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
    else if (!address(d, mod, rm))
        return false;
    return group(d, reg, out);
}

/* Little-endian, sign-extended. */
static bool immediate(struct decoder *d, struct insn *out)
{
    unsigned size = d->code.flags & IMM8 ? 1 : MIN(out->size, 4u), shift = 64 - 8 * size;
    uint64_t val = 0;

    if (!skip(d, size))
        return false;
    for (unsigned i = 1; i <= size; i++)
        val = val << 8 | d->at[-(int)i];
    out->has_imm = true;
    out->imm = (uint64_t)((int64_t)(val << shift) >> shift);
    return true;
}

/* An absolute offset, as wide as an address, in place of ModRM; the register is the accumulator. */
static bool moffs(struct decoder *d, struct insn *out)
{
    out->mem = true;
    out->reg = RAX;
    return skip(d, d->addr_size);
}

int insn_decode(const uint8_t *buf, unsigned n, unsigned bits, struct insn *out)
{
    struct decoder d = {.at = buf, .end = buf + MIN(n, (unsigned)INSN_MAX), .bits = bits};

    *out = (struct insn){0};
    if (!opcode(&d, out))
        return -EINVAL;
    sizes(&d, out);
    if ((d.code.flags & MODRM) && !modrm(&d, out))
        return -EINVAL;
    if ((d.code.flags & MOFFS) && !moffs(&d, out))
        return -EINVAL;
    if ((d.code.flags & (IMM8 | IMMZ)) && !immediate(&d, out))
        return -EINVAL;
    if ((d.code.flags & CONTROL) && d.lock) /* CR8 without REX (APM 3, MOV CRn) */
        out->reg |= 8;
    out->to_rm = d.code.flags & TO_RM;
    out->len = (uint8_t)(d.at - buf);
    return 0;
}

int insn_length(const uint8_t *buf, unsigned n, unsigned bits)
{
    struct insn insn;
    int err = insn_decode(buf, n, bits, &insn);

    return err ? err : insn.len;
}
