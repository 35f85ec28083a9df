/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/emul/decode.h"
#include "kernel/lib/string.h"
#include "vm/vcpu.h"

/* What follows an opcode, and how its operands are to be read. */
#define MODRM   0x001u
#define WIDTH   0x002u /* bit 0 of the opcode: 0, operands of 8 bits */
#define TO_RM   0x004u
#define IMM8    0x008u
#define IMMZ    0x010u /* as wide as the operand, but not more than 32 bits */
#define MOFFS   0x020u /* an absolute offset, as wide as an address, in place of ModRM; with the accumulator */
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
    [0xf6 ... 0xf7] = {INSN_TEST, GROUP_3 | MODRM | WIDTH | TO_RM | IMMZ},
};

/* After 0F. */
static const struct opcode two_byte[256] = {
    [0x01] = {INSN_LMSW, GROUP_7 | MODRM},
    [0x22] = {INSN_MOV_TO_CR, CONTROL | MODRM},
    [0xb6 ... 0xb7] = {INSN_MOVZX, MODRM | WIDTH | MEM16},
    [0xbe ... 0xbf] = {INSN_MOVSX, MODRM | WIDTH | MEM16},
};

#define REX_W 0x8u
#define REX_R 0x4u
#define REX_B 0x1u

struct decoder {
    const uint8_t *at;
    unsigned bits, flags; /* flags: the opcode's */
    unsigned addr_size;   /* 2, 4, 8 */
    bool size_prefix, addr_prefix, lock;
    uint8_t rex; /* 0: none; otherwise 0x40 to 0x4f */
};

/* Legacy prefixes in any order, then REX (APM 3 1.2). False: no prefix is next. A REX that another prefix
 * follows counts for nothing. */
static bool prefix(struct decoder *d)
{
    uint8_t b = *d->at;
    bool rex = d->bits == 64 && (b & 0xf0) == 0x40, rep = (b & 0xfe) == 0xf2;
    bool segment = (b & 0xe7) == 0x26 || (b & 0xfe) == 0x64; /* ES, CS, SS, DS; FS, GS */

    if (!rex && !rep && !segment && b != 0x66 && b != 0x67 && b != 0xf0)
        return false;
    d->rex = rex ? b : 0;
    d->size_prefix |= b == 0x66;
    d->addr_prefix |= b == 0x67;
    d->lock |= b == 0xf0;
    d->at++;
    return true;
}

/* ADD to CMP between ModRM and a register fill the first quarter of the one-byte map alike. */
static void opcode(struct decoder *d, struct insn *out)
{
    uint8_t b = *d->at++, operand;
    struct opcode code = one_byte[b];

    if (b == 0x0f)
        code = two_byte[b = *d->at++];
    else if (b < 0x40 && !(b & 4))
        code = (struct opcode){(uint8_t)(INSN_ADD + (b >> 3)), MODRM | WIDTH | (b & 2 ? 0 : TO_RM)};
    d->flags = code.flags;
    d->addr_size = !d->addr_prefix ? d->bits / 8 : d->bits == 32 ? 2 : 4;
    out->op = code.op;
    out->to_rm = code.flags & TO_RM;
    operand = d->rex & REX_W ? 8 : (d->bits != 16) != d->size_prefix ? 4 : 2;
    out->size = (code.flags & WIDTH) && !(b & 1) ? 1 : code.flags & MEM16 ? 2 : operand;
    out->reg_size = code.flags & MEM16 ? operand : out->size;
}

/* SIB and displacement (APM 3 tables 1-11 to 1-17). */
static void address(struct decoder *d, unsigned mod, unsigned rm)
{
    bool small = d->addr_size == 2;

    if (!small && rm == RSP)
        rm = *d->at++ & 7;
    if (mod == 2 || (mod == 0 && rm == (small ? RSI : RBP)))
        d->at += small ? 2 : 4;
    else
        d->at += mod;
}

static void modrm(struct decoder *d, struct insn *out)
{
    uint8_t b = *d->at++;
    unsigned mod = d->flags & CONTROL ? 3 : b >> 6, reg = b >> 3 & 7, rm = b & 7;

    out->reg_high = out->reg_size == 1 && !d->rex && reg >= RSP && !(d->flags & (IMM8 | IMMZ));
    out->reg = (uint8_t)(out->reg_high ? reg - RSP : reg | (d->rex & REX_R ? 8 : 0));
    out->rm = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
    out->mem = mod != 3;
    if (out->mem)
        address(d, mod, rm);
    if (d->flags & GROUP_1)
        out->op = (enum insn_op)(INSN_ADD + reg);
    if (((d->flags & GROUP_3) && reg > 1) || ((d->flags & GROUP_7) && reg != 6))
        out->op = INSN_NONE;
    if ((d->flags & CONTROL) && d->lock) /* CR8 without REX (APM 3, MOV CRn) */
        out->reg |= 8;
}

/* Little-endian, sign-extended. */
static void immediate(struct decoder *d, struct insn *out)
{
    unsigned size = d->flags & IMM8 ? 1 : MIN(out->size, 4u), shift = 64 - 8 * size;
    uint64_t val;

    memcpy(&val, d->at, sizeof(val));
    d->at += size;
    out->has_imm = true;
    out->imm = (uint64_t)((int64_t)(val << shift) >> shift);
}

unsigned insn_prefixes(const uint8_t *buf, unsigned n, unsigned bits)
{
    struct decoder d = {.at = buf, .bits = bits};

    while (d.at < buf + n && prefix(&d))
        ;
    return (unsigned)(d.at - buf);
}

/* What is not at hand is taken for zeros, which are no prefix; the length tells afterwards. */
int insn_decode(const uint8_t *buf, unsigned n, unsigned bits, struct insn *out)
{
    uint8_t bytes[INSN_MAX + 2 + 1 + 1 + 4 + 8 + 1] = {0}; /* opcode, ModRM, SIB, displacement, immediate */
    struct decoder d = {.at = bytes, .bits = bits};

    n = MIN(n, (unsigned)INSN_MAX);
    memcpy(bytes, buf, n);
    *out = (struct insn){0};
    while (prefix(&d))
        ;
    opcode(&d, out);
    if (d.flags & MODRM)
        modrm(&d, out);
    if (d.flags & MOFFS) {
        out->mem = true;
        d.at += d.addr_size;
    }
    if (d.flags & (IMM8 | IMMZ))
        immediate(&d, out);
    out->len = (uint8_t)(d.at - bytes);
    return out->op == INSN_NONE || out->len > n ? -EINVAL : 0;
}
