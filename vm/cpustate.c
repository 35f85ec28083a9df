/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/cpustate.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/regs.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "vm/hvm.h"
#include "vm/insn.h"
#include "vm/vcpu.h"

/* Indirect branch control (SDM 4; AMD's Architecture Guidelines Update, publication 111006) */
#define MSR_PRED_CMD  0x49
#define PRED_CMD_IBPB BIT(0)

#define FCW_RESET   0x37f /* as FNINIT: what XRSTOR gives for an untouched state */
#define MXCSR_RESET 0x1f80
#define FX_MXCSR    24 /* offset in the FXSAVE area (SDM 1 table 10-2) */

static const struct vm *last_vm[CPU_MAX]; /* whose vCPU was on the CPU last */

int cpustate_create(struct cpustate *s)
{
    s->xstate = heap_alloc(hvm_cpu.xstate_size);
    return s->xstate ? 0 : -ENOMEM;
}

void cpustate_set(struct vcpu *v, const struct boot_vcpu *state, const struct hvm_ops *ops)
{
    for (unsigned seg = 0; seg < VM_SEGS; seg++)
        ops->set_segment(v, (enum vm_seg)seg, &state->segment[seg]);
    for (unsigned r = 0; r < REG_CPL; r++)
        ops->set_reg(v, (enum vm_reg)r, state->reg[r]);
    memcpy(v->gpr, state->gpr, sizeof(v->gpr));
    v->rip = state->rip;
    v->rflags = state->rflags;
}

void cpustate_reset(struct cpustate *s, struct vcpu *v, const struct hvm_ops *ops)
{
    const uint16_t fcw = FCW_RESET;
    const uint32_t mxcsr = MXCSR_RESET;

    memset(s->xstate, 0, hvm_cpu.xstate_size);
    memcpy(s->xstate, &fcw, sizeof(fcw));
    memcpy((char *)s->xstate + FX_MXCSR, &mxcsr, sizeof(mxcsr));
    memset(s->dr, 0, sizeof(s->dr));
    s->xcr0 = 1;
    s->tsc_aux = 0;
    cpustate_set(v, &hvm_cpu.reset, ops);
}

/* What one guest has taught the branch predictor must not steer another one. */
static void forget_branches(const struct vm *vm)
{
    if (last_vm[cpu_id()] == vm)
        return;
    last_vm[cpu_id()] = vm;
    if (hvm_cpu.ibpb)
        wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}

/* The guest may have states that its XCR0 has switched off for now: they move as well. */
void cpustate_load(const struct cpustate *s, const struct vm *vm)
{
    forget_branches(vm);
    write_dr(s->dr);
    if (hvm_cpu.tsc_aux)
        wrmsr(MSR_TSC_AUX, s->tsc_aux);
    xsetbv(0, hvm_cpu.xstates);
    xrstor(s->xstate);
    xsetbv(0, s->xcr0);
}

void cpustate_put(struct cpustate *s)
{
    read_dr(s->dr);
    if (hvm_cpu.tsc_aux)
        s->tsc_aux = rdmsr(MSR_TSC_AUX);
    s->xcr0 = xgetbv0();
    xsetbv(0, hvm_cpu.xstates);
    if (hvm_cpu.xsaveopt)
        xsaveopt(s->xstate);
    else
        xsave(s->xstate);
}
