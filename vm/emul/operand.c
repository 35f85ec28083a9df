/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/emul/operand.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "vm/guestmem.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define RFLAGS_DF BIT(10)

uint64_t gpr_get(const struct vcpu *v, unsigned reg, unsigned size, bool high)
{
    return low_bytes(high ? v->gpr[reg] >> 8 : v->gpr[reg], size);
}

void gpr_set(struct vcpu *v, unsigned reg, unsigned size, bool high, uint64_t val)
{
    unsigned shift = high ? 8 : 0;
    uint64_t mask = low_bytes(~(uint64_t)0, size) << shift;

    if (size >= 4)
        v->gpr[reg] = low_bytes(val, size);
    else
        v->gpr[reg] = (v->gpr[reg] & ~mask) | (val << shift & mask);
}

/* Bases of CS, DS, ES and SS count for nothing in 64-bit mode (APM 2 4.5.3). */
static gva_t linear(const struct vcpu *v, unsigned segment, uint64_t offset)
{
    unsigned bits = guest_bits(v);
    struct vm_segment seg;

    if (bits == 64 && segment != SEG_FS && segment != SEG_GS)
        return gva(offset);
    hvm_segment(v, (enum vm_seg)segment, &seg);
    offset += seg.base;
    return gva(bits == 64 ? offset : offset & UINT32_MAX);
}

gva_t operand_linear(const struct vcpu *v, const struct insn *insn)
{
    uint64_t offset = (uint64_t)insn->disp;

    if (insn->base != INSN_NO_REG)
        offset += v->gpr[insn->base];
    if (insn->index != INSN_NO_REG)
        offset += v->gpr[insn->index] << insn->scale;
    if (insn->rip_relative)
        offset += v->rip + insn->len;
    return linear(v, insn->segment, low_bytes(offset, insn->addr_size));
}

static int fault(struct vcpu *v, gva_t addr, uint32_t error)
{
    hvm_set_reg(v, REG_CR2, addr.a);
    vcpu_exception(v, VEC_PF, true, error);
    return -EFAULT;
}

/* Within one page. */
static int access_page(struct vcpu *v, gva_t addr, unsigned size, bool write, uint64_t *val)
{
    struct p2m *p2m = &v->vm->p2m;
    struct io_access a = {.size = size, .write = write, .data = write ? *val : ~(uint64_t)0};
    uint32_t error = 0;
    gpa_t at;

    if (guest_translate(v, addr, (write ? ACCESS_WRITE : 0) | (hvm_cpl(v) == 3 ? ACCESS_USER : 0), &at,
                        &error))
        return fault(v, addr, error);
    if (p2m_is_ram(p2m, at, size))
        return write ? p2m_write(p2m, at, val, size) : p2m_read(p2m, at, val, size);
    a.addr = at.a;
    (void)vm_io(v, IO_MEM, &a); /* where nothing is, reads give all ones and writes are lost, as on a bus */
    *val = a.data;
    return 0;
}

/* What crosses a page is done by bytes: the two pages may be different things. */
static int access(struct vcpu *v, gva_t addr, unsigned size, bool write, uint64_t *val)
{
    uint64_t byte, all = 0;
    int err;

    if ((addr.a & PAGE_MASK) + size <= PAGE_SIZE)
        return access_page(v, addr, size, write, val);
    for (unsigned i = 0; i < size; i++) {
        byte = *val >> (8 * i) & 0xff;
        err = access_page(v, gva(addr.a + i), 1, write, &byte);
        if (err)
            return err;
        all |= (byte & 0xff) << (8 * i);
    }
    *val = all;
    return 0;
}

int operand_read(struct vcpu *v, gva_t addr, unsigned size, uint64_t *val)
{
    int err;

    *val = 0;
    err = access(v, addr, size, false, val);
    *val = low_bytes(*val, size);
    return err;
}

int operand_write(struct vcpu *v, gva_t addr, unsigned size, uint64_t val)
{
    return access(v, addr, size, true, &val);
}

/* RSI or RDI past an element, in the direction of RFLAGS.DF. */
static void step_index(struct vcpu *v, unsigned reg, const struct insn *insn)
{
    uint64_t step = v->rflags & RFLAGS_DF ? -(uint64_t)insn->size : insn->size;

    gpr_set(v, reg, insn->addr_size, false, v->gpr[reg] + step);
}

static void port_access(struct vcpu *v, unsigned size, bool write, uint64_t *val)
{
    struct io_access a = {
        .addr = v->gpr[RDX] & 0xffff, .size = size, .write = write, .data = write ? *val : ~(uint64_t)0};

    (void)vm_io(v, IO_PORT, &a);
    *val = a.data;
}

static int string_load(struct vcpu *v, const struct insn *insn, uint64_t *val)
{
    if (insn->op == INSN_STOS)
        *val = v->gpr[RAX];
    else if (insn->op == INSN_INS)
        port_access(v, insn->size, false, val);
    else
        return operand_read(v, linear(v, insn->segment, low_bytes(v->gpr[RSI], insn->addr_size)), insn->size,
                            val);
    return 0;
}

static int string_store(struct vcpu *v, const struct insn *insn, uint64_t val)
{
    if (insn->op == INSN_LODS)
        gpr_set(v, RAX, insn->size, false, val);
    else if (insn->op == INSN_OUTS)
        port_access(v, insn->size, true, &val);
    else
        return operand_write(v, linear(v, SEG_ES, low_bytes(v->gpr[RDI], insn->addr_size)), insn->size, val);
    return 0;
}

/* APM 3 "INS": a device is not read for an element that has no place to go. */
static int string_check(struct vcpu *v, const struct insn *insn)
{
    gva_t last, first = linear(v, SEG_ES, low_bytes(v->gpr[RDI], insn->addr_size));
    unsigned how = ACCESS_WRITE | (hvm_cpl(v) == 3 ? ACCESS_USER : 0);
    uint32_t error;
    gpa_t at;

    if (insn->op != INSN_INS)
        return 0;
    last = gva(first.a + insn->size - 1);
    if (guest_translate(v, first, how, &at, &error))
        return fault(v, first, error);
    if (((first.a ^ last.a) & ~PAGE_MASK) && guest_translate(v, last, how, &at, &error))
        return fault(v, gva(last.a & ~PAGE_MASK), error);
    return 0;
}

static int string_element(struct vcpu *v, const struct insn *insn)
{
    uint64_t val;
    int err = string_check(v, insn);

    if (!err)
        err = string_load(v, insn, &val);
    if (!err)
        err = string_store(v, insn, val);
    if (err)
        return err;
    if (insn->op == INSN_MOVS || insn->op == INSN_LODS || insn->op == INSN_OUTS)
        step_index(v, RSI, insn);
    if (insn->op == INSN_MOVS || insn->op == INSN_STOS || insn->op == INSN_INS)
        step_index(v, RDI, insn);
    return 0;
}

bool string_run(struct vcpu *v, const struct insn *insn)
{
    if (!insn->rep)
        return string_element(v, insn) == 0;
    for (unsigned i = 0; i < STRING_BURST; i++) {
        if (!gpr_get(v, RCX, insn->addr_size, false))
            return true;
        if (string_element(v, insn))
            return false;
        gpr_set(v, RCX, insn->addr_size, false, v->gpr[RCX] - 1);
    }
    return !gpr_get(v, RCX, insn->addr_size, false);
}

void insn_advance(struct vcpu *v, const struct insn *insn)
{
    uint64_t next = v->rip + insn->len;

    if ((next ^ v->rip) >> 32 && guest_bits(v) != 64) /* beyond 4 GiB: 32-bit code wraps */
        next &= UINT32_MAX;
    v->rip = next;
    hvm_clear_shadow(v);
}
