/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/emul/decode.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"

/* What follows an opcode, and how its operands are to be read. */
#define MODRM   0x001u
#define BYTE    0x002u /* operands of 8 bits */
#define TO_RM   0x004u
#define IMM8    0x008u
#define IMMZ    0x010u /* 16 bits with a 16-bit operand, 32 otherwise */
#define MOFFS   0x020u
#define STRING  0x040u
#define CONTROL 0x080u /* MOV CR and DR: two registers whatever ModRM.mod says (APM 3, MOV CRn) */
#define GROUP   0x100u /* `op` is a row of groups[] */
#define MEM16   0x200u /* the memory operand has 16 bits, or 8 with BYTE, whatever the register's size */

struct opcode {
    uint8_t op;
    uint16_t flags;
};

enum group { GROUP_1, GROUP_3, GROUP_4, GROUP_7, GROUP_8, GROUP_11 };

/* APM 3 appendix A.2.1, by ModRM.reg. */
static const uint8_t groups[][8] = {
    [GROUP_1] = {INSN_ADD, INSN_OR, INSN_ADC, INSN_SBB, INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP},
    [GROUP_3] = {INSN_TEST, INSN_TEST, INSN_NOT, INSN_NEG},
    [GROUP_4] = {INSN_INC, INSN_DEC},
    [GROUP_7] = {INSN_OTHER, INSN_OTHER, INSN_OTHER, INSN_OTHER, INSN_SMSW, INSN_OTHER, INSN_LMSW,
                 INSN_OTHER},
    [GROUP_8] = {0, 0, 0, 0, INSN_BT, INSN_BTS, INSN_BTR, INSN_BTC},
    [GROUP_11] = {INSN_MOV},
};

#define ARITHMETIC(code, op)                                                                                 \
    [(code)] = {op, MODRM | BYTE | TO_RM}, [(code) + 1] = {op, MODRM | TO_RM},                               \
    [(code) + 2] = {op, MODRM | BYTE}, [(code) + 3] = {op, MODRM}

static const struct opcode one_byte[256] = {
    ARITHMETIC(0x00, INSN_ADD),
    ARITHMETIC(0x08, INSN_OR),
    ARITHMETIC(0x10, INSN_ADC),
    ARITHMETIC(0x18, INSN_SBB),
    ARITHMETIC(0x20, INSN_AND),
    ARITHMETIC(0x28, INSN_SUB),
    ARITHMETIC(0x30, INSN_XOR),
    ARITHMETIC(0x38, INSN_CMP),
    [0x63] = {INSN_MOVSX, MODRM},
    [0x6c] = {INSN_INS, STRING | BYTE},
    [0x6d] = {INSN_INS, STRING},
    [0x6e] = {INSN_OUTS, STRING | BYTE},
    [0x6f] = {INSN_OUTS, STRING},
    [0x80] = {GROUP_1, GROUP | MODRM | BYTE | TO_RM | IMM8},
    [0x81] = {GROUP_1, GROUP | MODRM | TO_RM | IMMZ},
    [0x83] = {GROUP_1, GROUP | MODRM | TO_RM | IMM8},
    [0x84] = {INSN_TEST, MODRM | BYTE | TO_RM},
    [0x85] = {INSN_TEST, MODRM | TO_RM},
    [0x86] = {INSN_XCHG, MODRM | BYTE | TO_RM},
    [0x87] = {INSN_XCHG, MODRM | TO_RM},
    [0x88] = {INSN_MOV, MODRM | BYTE | TO_RM},
    [0x89] = {INSN_MOV, MODRM | TO_RM},
    [0x8a] = {INSN_MOV, MODRM | BYTE},
    [0x8b] = {INSN_MOV, MODRM},
    [0x90] = {INSN_OTHER, 0},          /* PAUSE */
    [0x9c ... 0x9d] = {INSN_OTHER, 0}, /* PUSHF, POPF */
    [0xa0] = {INSN_MOV, MOFFS | BYTE},
    [0xa1] = {INSN_MOV, MOFFS},
    [0xa2] = {INSN_MOV, MOFFS | BYTE | TO_RM},
    [0xa3] = {INSN_MOV, MOFFS | TO_RM},
    [0xa4] = {INSN_MOVS, STRING | BYTE},
    [0xa5] = {INSN_MOVS, STRING},
    [0xaa] = {INSN_STOS, STRING | BYTE},
    [0xab] = {INSN_STOS, STRING},
    [0xac] = {INSN_LODS, STRING | BYTE},
    [0xad] = {INSN_LODS, STRING},
    [0xc6] = {GROUP_11, GROUP | MODRM | BYTE | TO_RM | IMM8},
    [0xc7] = {GROUP_11, GROUP | MODRM | TO_RM | IMMZ},
    [0xcc] = {INSN_OTHER, 0},             /* INT3 */
    [0xcd] = {INSN_OTHER, IMM8},          /* INT */
    [0xcf] = {INSN_OTHER, 0},             /* IRET */
    [0xe4 ... 0xe7] = {INSN_OTHER, IMM8}, /* IN, OUT */
    [0xec ... 0xef] = {INSN_OTHER, 0},    /* IN, OUT */
    [0xf1] = {INSN_OTHER, 0},             /* INT1 */
    [0xf4] = {INSN_OTHER, 0},             /* HLT */
    [0xf6] = {GROUP_3, GROUP | MODRM | BYTE | TO_RM | IMM8},
    [0xf7] = {GROUP_3, GROUP | MODRM | TO_RM | IMMZ},
    [0xfe] = {GROUP_4, GROUP | MODRM | BYTE | TO_RM},
    [0xff] = {GROUP_4, GROUP | MODRM | TO_RM},
};

/* After 0F. */
static const struct opcode two_byte[256] = {
    [0x01] = {GROUP_7, GROUP | MODRM | MEM16 | TO_RM}, /* with VMMCALL, XSETBV, MONITOR, MWAIT, RDTSCP ... */
    [0x06] = {INSN_CLTS, 0},
    [0x08 ... 0x09] = {INSN_OTHER, 0}, /* INVD, WBINVD */
    [0x20] = {INSN_MOV_FROM_CR, CONTROL | MODRM | TO_RM},
    [0x21] = {INSN_OTHER, CONTROL | MODRM}, /* MOV from and to DR */
    [0x22] = {INSN_MOV_TO_CR, CONTROL | MODRM},
    [0x23] = {INSN_OTHER, CONTROL | MODRM},
    [0x30 ... 0x33] = {INSN_OTHER, 0}, /* WRMSR, RDTSC, RDMSR, RDPMC */
    [0xa2] = {INSN_OTHER, 0},          /* CPUID */
    [0xa3] = {INSN_BT, MODRM | TO_RM},
    [0xaa] = {INSN_OTHER, 0}, /* RSM */
    [0xab] = {INSN_BTS, MODRM | TO_RM},
    [0xb0] = {INSN_CMPXCHG, MODRM | BYTE | TO_RM},
    [0xb1] = {INSN_CMPXCHG, MODRM | TO_RM},
    [0xb3] = {INSN_BTR, MODRM | TO_RM},
    [0xb6] = {INSN_MOVZX, MODRM | MEM16 | BYTE},
    [0xb7] = {INSN_MOVZX, MODRM | MEM16},
    [0xba] = {GROUP_8, GROUP | MODRM | TO_RM | IMM8},
    [0xbb] = {INSN_BTC, MODRM | TO_RM},
    [0xbe] = {INSN_MOVSX, MODRM | MEM16 | BYTE},
    [0xbf] = {INSN_MOVSX, MODRM | MEM16},
    [0xc3] = {INSN_MOV, MODRM | TO_RM}, /* MOVNTI */
};

#define REX_W 0x8u
#define REX_R 0x4u
#define REX_X 0x2u
#define REX_B 0x1u

struct decoder {
    const uint8_t *at, *start, *end;
    unsigned bits;
    uint8_t rex; /* 0: none; otherwise 0x40 to 0x4f */
    bool size_prefix, addr_prefix, rep;
    uint8_t segment; /* of an override, or VM_SEGS */
};

static bool next(struct decoder *d, uint8_t *b)
{
    if (d->at == d->end)
        return false;
    *b = *d->at++;
    return true;
}

/* The next `size` bytes as a little-endian number, sign-extended. */
static bool next_signed(struct decoder *d, unsigned size, int64_t *out)
{
    uint64_t val = 0;

    if ((size_t)(d->end - d->at) < size)
        return false;
    for (unsigned i = 0; i < size; i++)
        val |= (uint64_t)*d->at++ << (8 * i);
    *out = (int64_t)(val << (64 - 8 * size)) >> (64 - 8 * size);
    return true;
}

/* Legacy prefixes in any order, then REX (APM 3 1.2). True if `b` was one; a REX that another prefix follows
 * counts for nothing. */
static bool prefix(struct decoder *d, uint8_t b, struct insn *out)
{
    uint8_t rex = d->rex;

    d->rex = 0;
    switch (b) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
        if (d->bits != 64)
            d->segment = (uint8_t)(SEG_ES + ((b >> 3) & 3));
        return true;
    case 0x64:
    case 0x65:
        d->segment = (uint8_t)(SEG_FS + (b & 1));
        return true;
    case 0x66:
        d->size_prefix = true;
        return true;
    case 0x67:
        d->addr_prefix = true;
        return true;
    case 0xf0:
        out->lock = true;
        return true;
    case 0xf2:
    case 0xf3:
        d->rep = true;
        return true;
    }
    if (d->bits == 64 && (b & 0xf0) == 0x40) {
        d->rex = b;
        return true;
    }
    d->rex = rex;
    return false;
}

static void sizes(const struct decoder *d, unsigned flags, struct insn *out)
{
    if (d->bits == 64)
        out->addr_size = d->addr_prefix ? 4 : 8;
    else
        out->addr_size = (d->bits == 32) != d->addr_prefix ? 4 : 2;

    if (d->rex & REX_W)
        out->size = 8;
    else
        out->size = (d->bits != 16) != d->size_prefix ? 4 : 2;
    if (flags & CONTROL)
        out->size = d->bits == 64 ? 8 : 4;
    out->reg_size = out->size;
    if ((flags & (STRING | BYTE)) == STRING && out->size == 8 &&
        (out->op == INSN_INS || out->op == INSN_OUTS))
        out->size = out->reg_size = 4;
    if (flags & BYTE)
        out->size = 1;
    else if (flags & MEM16)
        out->size = 2;
    if ((flags & (BYTE | MEM16)) == BYTE)
        out->reg_size = 1;
}

/* 16-bit addressing (APM 3 table 1-14). */
static bool address16(struct decoder *d, unsigned mod, unsigned rm, struct insn *out)
{
    static const uint8_t base[8] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
    static const uint8_t index[8] = {RSI, RDI, RSI, RDI, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG};

    if (mod == 0 && rm == 6)
        return next_signed(d, 2, &out->disp);
    out->base = base[rm];
    out->index = index[rm];
    return mod == 0 || next_signed(d, mod, &out->disp);
}

static bool sib(struct decoder *d, unsigned mod, struct insn *out, unsigned *disp)
{
    uint8_t b;

    if (!next(d, &b))
        return false;
    out->scale = b >> 6;
    out->index = (uint8_t)(((b >> 3) & 7) | (d->rex & REX_X ? 8 : 0));
    if (out->index == RSP)
        out->index = INSN_NO_REG;
    out->base = (uint8_t)((b & 7) | (d->rex & REX_B ? 8 : 0));
    if (mod == 0 && (b & 7) == RBP) {
        out->base = INSN_NO_REG;
        *disp = 4;
    }
    return true;
}

/* 32 and 64-bit addressing (APM 3 tables 1-15 to 1-17). */
static bool address32(struct decoder *d, unsigned mod, unsigned rm, struct insn *out)
{
    unsigned disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;

    if (rm == RSP) {
        if (!sib(d, mod, out, &disp))
            return false;
    } else if (mod == 0 && rm == RBP) {
        disp = 4;
        out->rip_relative = d->bits == 64;
    } else {
        out->base = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
    }
    return !disp || next_signed(d, disp, &out->disp);
}

static bool modrm(struct decoder *d, unsigned flags, struct insn *out)
{
    uint8_t b;
    unsigned mod, rm;

    if (!next(d, &b))
        return false;
    mod = flags & CONTROL ? 3 : b >> 6;
    rm = b & 7;
    out->reg = (b >> 3) & 7;
    if (out->reg_size == 1 && !d->rex && out->reg >= RSP) {
        out->reg = (uint8_t)(out->reg - RSP);
        out->reg_high = true;
    }
    out->reg = (uint8_t)(out->reg | (d->rex & REX_R ? 8 : 0));
    out->mem = mod != 3;
    if (!out->mem)
        out->rm = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
    else if (!(out->addr_size == 2 ? address16(d, mod, rm, out) : address32(d, mod, rm, out)))
        return false;
    if (flags & GROUP) {
        out->op = groups[out->op][(b >> 3) & 7];
        out->reg_high = false;
    }
    return true;
}

static bool immediate(struct decoder *d, unsigned flags, struct insn *out)
{
    int64_t imm;
    unsigned size = flags & IMM8 ? 1 : MIN(out->reg_size, 4u);

    if (!next_signed(d, size, &imm))
        return false;
    out->has_imm = true;
    out->imm = (uint64_t)imm;
    return true;
}

/* An absolute offset, as wide as an address, in place of ModRM; the register is the accumulator. */
static bool moffs(struct decoder *d, struct insn *out)
{
    out->mem = true;
    out->reg = RAX;
    return next_signed(d, out->addr_size, &out->disp);
}

static const struct opcode *opcode(struct decoder *d, struct insn *out)
{
    uint8_t b;

    do {
        if (!next(d, &b))
            return NULL;
    } while (prefix(d, b, out));
    if (b != 0x0f)
        return &one_byte[b];
    return next(d, &b) ? &two_byte[b] : NULL;
}

/* What an instruction's operands mean beyond the tables. False: not one that exists in this mode. */
static bool finish(const struct decoder *d, unsigned flags, struct insn *out)
{
    bool stack = out->base == RSP || out->base == RBP;

    out->segment = d->segment != VM_SEGS ? d->segment : (uint8_t)(stack ? SEG_SS : SEG_DS);
    out->to_rm = flags & TO_RM;
    out->rep = d->rep && (flags & STRING);
    if (out->op == INSN_MOVSX && !(flags & MEM16)) { /* MOVSXD; ARPL outside 64-bit mode */
        if (d->bits != 64)
            return false;
        out->size = MIN(out->size, 4);
    }
    if ((flags & CONTROL) && out->lock) /* CR8 without REX (APM 3, MOV CRn) */
        out->reg |= 8;
    if (out->op == INSN_LMSW)
        out->reg_size = 2;
    return out->op != INSN_NONE;
}

int insn_decode(const uint8_t *buf, unsigned n, unsigned bits, struct insn *out)
{
    struct decoder d = {
        .at = buf, .start = buf, .end = buf + MIN(n, (unsigned)INSN_MAX), .bits = bits, .segment = VM_SEGS};
    const struct opcode *code;
    unsigned flags;

    *out = (struct insn){.base = INSN_NO_REG, .index = INSN_NO_REG};
    code = opcode(&d, out);
    if (!code || (!code->op && !code->flags))
        return -EINVAL;
    flags = code->flags;
    out->op = code->op;
    sizes(&d, flags, out);
    if ((flags & MODRM) && !modrm(&d, flags, out))
        return -EINVAL;
    if ((flags & MOFFS) && !moffs(&d, out))
        return -EINVAL;
    if (out->op == INSN_NOT || out->op == INSN_NEG) /* the two of group 3 without an immediate */
        flags &= ~(IMM8 | IMMZ);
    if ((flags & (IMM8 | IMMZ)) && !immediate(&d, flags, out))
        return -EINVAL;
    if (!finish(&d, flags, out))
        return -EINVAL;
    out->len = (uint8_t)(d.at - d.start);
    return 0;
}

int insn_length(const uint8_t *buf, unsigned n, unsigned bits)
{
    struct insn insn;
    int err = insn_decode(buf, n, bits, &insn);

    return err ? err : insn.len;
}
