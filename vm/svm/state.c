/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's state: in the VMCB, and what this back end swaps itself when the vCPU comes to a CPU and leaves
 * it. */
#include "kernel/cpu/cpu.h"
#include "vm/svm/svm.h"

#define DR6_RESET 0xffff0ff0
#define DR7_RESET 0x400

/* --- registers --- */

#define ALL             GENMASK(63, 0)
#define CONTROL(member) offsetof(struct vmcb, control.member)
#define SAVE(member)    offsetof(struct vmcb, save.member)

/* Which bits of which 64-bit word of the VMCB each register is. */
static const struct {
    uint64_t at, mask;
} regs[VM_REGS] = {
    [REG_CR0] = {SAVE(cr0), ALL},
    [REG_CR2] = {SAVE(cr2), ALL},
    [REG_CR3] = {SAVE(cr3), ALL},
    [REG_CR4] = {SAVE(cr4), ALL},
    [REG_CR8] = {CONTROL(v_intr), V_TPR},
    [REG_EFER] = {SAVE(efer), ~EFER_SVME},
    [REG_PAT] = {SAVE(g_pat), ALL},
    [REG_DEBUGCTL] = {SAVE(dbgctl), ALL},
    [REG_CPL] = {SAVE(cpl), SAVE_CPL},
    [REG_TSC_OFFSET] = {CONTROL(tsc_offset), ALL},
    [REG_DR6] = {SAVE(dr6), ALL},
    [REG_DR7] = {SAVE(dr7), ALL},
    [REG_STAR] = {SAVE(star), ALL},
    [REG_LSTAR] = {SAVE(lstar), ALL},
    [REG_CSTAR] = {SAVE(cstar), ALL},
    [REG_SFMASK] = {SAVE(sfmask), ALL},
    [REG_KERNEL_GS_BASE] = {SAVE(kernel_gs_base), ALL},
    [REG_SYSENTER_CS] = {SAVE(sysenter_cs), ALL},
    [REG_SYSENTER_ESP] = {SAVE(sysenter_esp), ALL},
    [REG_SYSENTER_EIP] = {SAVE(sysenter_eip), ALL},
    [REG_SHADOW] = {CONTROL(int_state), INTERRUPT_SHADOW},
};

static uint64_t *reg_word(const struct vcpu *v, enum vm_reg r)
{
    return (uint64_t *)(void *)((char *)v->hw->vmcb + regs[r].at);
}

uint64_t svm_reg(const struct vcpu *v, enum vm_reg r)
{
    return r == REG_NMI_BLOCKED ? v->hw->nmi_blocked : FIELD_GET(regs[r].mask, *reg_word(v, r));
}

/* EFER.LMA: long mode is active when it is enabled and paging is on (APM 2 14.6.1); the CPU sets it in CR0
 * writes that do not exit. */
void svm_set_reg(struct vcpu *v, enum vm_reg r, uint64_t val)
{
    struct vmcb *b = v->hw->vmcb;
    uint64_t *word = reg_word(v, r);

    if (r == REG_NMI_BLOCKED && val)
        svm_nmi_injected(v);
    if (r == REG_NMI_BLOCKED)
        return;
    *word = (*word & ~regs[r].mask) | FIELD_PREP(regs[r].mask, val);
    b->control.clean = 0;
    if (r == REG_CR0 || r == REG_CR3 || r == REG_CR4 || r == REG_EFER) {
        b->save.efer &= ~EFER_LMA;
        if ((b->save.efer & EFER_LME) && (b->save.cr0 & CR0_PG))
            b->save.efer |= EFER_LMA;
        v->hw->tlb_flush = true; /* as the CPU's own MOV would (APM 2 5.5.2) */
    }
}

struct vm_segment svm_segment(const struct vcpu *v, enum vm_seg s)
{
    return v->hw->vmcb->save.seg[s];
}

void svm_set_segment(struct vcpu *v, enum vm_seg s, const struct vm_segment *seg)
{
    struct vmcb *b = v->hw->vmcb;

    b->save.seg[s] = *seg;
    if (s == SEG_SS)
        b->save.cpl = FIELD_PREP(SAVE_CPL, seg->attr >> 5 & 3);
    b->control.clean = 0;
}

/* --- reset (APM 2 tables 14-1 and 14-2) --- */

void svm_reset(struct vcpu *v)
{
    struct vcpu_hw *hw = v->hw;

    hw->vmcb->save = (struct vmcb_save){
        .efer = EFER_SVME, /* VMRUN insists on it (15.5.1) */
        .dr6 = DR6_RESET,
        .dr7 = DR7_RESET,
    };
    svm_want_window(v, false);
    svm_nmi_iret(v);
    hw->nmi_iret = ~(uint64_t)0;
    hw->vmcb->control.v_intr = V_INTR_MASKING;
    cpustate_reset(&hw->state, v, &svm_ops);
    hw->vmcb->control.int_state = 0;
    hw->vmcb->control.clean = 0;
    hw->tlb_flush = true;
}

struct cpustate *svm_cpustate(struct vcpu *v)
{
    return &v->hw->state;
}

/* --- translations under the vCPU's address space id (15.16) --- */

void svm_flush(struct vcpu *v)
{
    v->hw->tlb_flush = true;
}

void svm_flush_now(struct vcpu *v)
{
    v->hw->tlb_flush = false;
    v->hw->vmcb->control.tlb_control = hvm_cpu.svm.flush_by_asid ? TLB_FLUSH_GUEST : TLB_FLUSH_ALL;
}

/* --- switching vCPUs --- */

void svm_load(struct vcpu *v)
{
    struct vcpu_hw *hw = v->hw;
    const struct vcpu **owner = &svm_this_cpu()->owner[hw->vmcb->control.asid];

    hw->host_hpa = svm_this_cpu()->host_vmcb;
    if (hw->cpu != cpu_id() || *owner != v) {
        hw->cpu = cpu_id();
        *owner = v;
        hw->tlb_flush = true;
        hw->vmcb->control.clean = 0; /* this CPU has not seen the VMCB (15.15.1) */
    }
    cpustate_load(&hw->state, v->vm);
}

void svm_put(struct vcpu *v)
{
    cpustate_put(&v->hw->state);
}
