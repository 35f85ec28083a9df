/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers: what the CPU would check in a write (APM 2 3.1, SDM 2B MOV CR), as far as the write
 * exits. */
#include "kernel/cpu/x86.h"
#include "vm/emul/decode.h"
#include "vm/emul/emul.h"
#include "vm/emul/lapic.h"
#include "vm/emul/regs.h"
#include "vm/guestmem.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"

#define LMSW_BITS (CR0_TS | CR0_EM | CR0_MP | CR0_PE)

/* False: #GP. CR0's undefined low bits are ignored by the CPU, ET is always 1. The back end makes EFER.LMA
 * follow. */
static bool set_cr0(struct vcpu *v, uint64_t val)
{
    uint64_t old = hvm->reg(v, REG_CR0), efer = hvm->reg(v, REG_EFER), cr4 = hvm->reg(v, REG_CR4);

    if ((val & GENMASK(63, 32)) || ((val & CR0_PG) && !(val & CR0_PE)) || ((val & CR0_NW) && !(val & CR0_CD)))
        return false;
    if (((val ^ old) & CR0_PG) && (efer & EFER_LME) && /* long mode begins or ends */
        (!(cr4 & CR4_PAE) || (hvm->segment(v, SEG_CS).attr & SEG_ATTR_L)))
        return false;
    hvm->set_reg(v, REG_CR0, (val & CR0_DEFINED) | CR0_ET);
    return true;
}

static bool set_cr4(struct vcpu *v, uint64_t val)
{
    if (val & ~hvm_cpu.cr4_valid)
        return false;
    if (!(val & CR4_PAE) && (hvm->reg(v, REG_EFER) & EFER_LMA))
        return false;
    hvm->set_reg(v, REG_CR4, val);
    return true;
}

static bool set_cr(struct vcpu *v, unsigned num, uint64_t val)
{
    if (num == 0)
        return set_cr0(v, val);
    if (num == 4)
        return set_cr4(v, val);
    if (num != 8 || val > 0xf)
        return false;
    lapic_set_tpr(v, (uint8_t)(val << 4));
    return true;
}

/* Only writes exit. */
enum then emul_cr(struct vcpu *v, const struct vm_exit *e)
{
    uint64_t mask = guest_bits(v) == 64 ? ~(uint64_t)0 : UINT32_MAX, cr0 = hvm->reg(v, REG_CR0);
    struct insn insn = {.op = INSN_MOV_TO_CR, .reg = e->cr.num, .rm = e->cr.gpr};
    uint8_t buf[INSN_MAX];
    bool ok;

    if (!e->cr.decoded &&
        (insn_decode(buf, guest_fetch(v, buf), guest_bits(v), &insn) || insn.op < INSN_MOV_TO_CR))
        return THEN_STAY; /* the guest changed the code under its own feet: what is there now runs next */
    if (insn.op == INSN_MOV_TO_CR)
        ok = set_cr(v, insn.reg, v->gpr[insn.rm] & mask);
    else /* LMSW: loads PE, MP, EM and TS; cannot clear PE (APM 3, LMSW) */
        ok = !insn.mem && set_cr0(v, (cr0 & ~(LMSW_BITS & ~CR0_PE)) | (v->gpr[insn.rm] & LMSW_BITS));
    return ok ? THEN_SKIP : THEN_GP;
}

bool xcr0_is_valid(uint64_t val)
{
    return (val & XCR0_X87) && !(val & ~hvm_cpu.xcr0_valid) && (!(val & XCR0_AVX) || (val & XCR0_SSE)) &&
           ((val & XCR0_AVX512) == 0 || ((val & XCR0_AVX512) == XCR0_AVX512 && (val & XCR0_AVX)));
}

/* The guest's XCR0 is in the CPU while the guest is current there. */
enum then emul_xsetbv(struct vcpu *v, UNUSED const struct vm_exit *e)
{
    uint64_t val = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];

    if (!(hvm->reg(v, REG_CR4) & CR4_OSXSAVE))
        return THEN_UD;
    if (hvm->reg(v, REG_CPL) != 0 || (uint32_t)v->gpr[RCX] != 0 || !xcr0_is_valid(val))
        return THEN_GP;
    xsetbv(0, val);
    return THEN_SKIP;
}
