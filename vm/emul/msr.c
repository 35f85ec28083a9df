/* SPDX-License-Identifier: BSD-2-Clause */
/* Which MSRs a guest has: those that its CPUID promises, and those that stock kernels touch without asking.
 */
#include "kernel/cpu/x86.h"
#include "kernel/lib/errno.h"
#include "vm/emul/cpuid.h"
#include "vm/emul/emul.h"
#include "vm/emul/lapic.h"
#include "vm/emul/regs.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Each byte a memory type: UC, WC, WT, WP, WB, UC- (SDM 3A 12.12.2). */
static int write_pat(struct vcpu *v, uint64_t val)
{
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t type = val >> i & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return -EINVAL;
    }
    hvm->set_reg(v, REG_PAT, val);
    return 0;
}

/* APM 2 3.1.7: LME cannot change under paging, LMA is the CPU's. */
static int write_efer(struct vcpu *v, uint64_t val)
{
    uint64_t old = hvm->reg(v, REG_EFER);

    if ((val & ~cpuid_efer_valid()) || (((val ^ old) & EFER_LME) && (hvm->reg(v, REG_CR0) & CR0_PG)))
        return -EINVAL;
    hvm->set_reg(v, REG_EFER, (val & ~EFER_LMA) | (old & EFER_LMA));
    return 0;
}

static void write_tsc(struct vcpu *v, uint64_t val)
{
    v->tsc_offset = val - rdtsc();
    hvm->set_reg(v, REG_TSC_OFFSET, v->tsc_offset);
    pvclock_update(v);
    lapic_tsc_changed(v);
}

/*
 * Those that only read as something. Memory types are the nested page table's business, so MTRRs only say
 * that there are none: all write-back. Machine checks are the host's: no banks. The rest is AMD's, which
 * Linux reads by family.
 */
static const struct msr_row {
    uint32_t first, last;
    bool write; /* writes are dropped; otherwise #GP */
    uint64_t value;
} constant[] = {
    {MSR_PATCH_LEVEL, MSR_PATCH_LEVEL, true, 0},
    {MSR_MTRRCAP, MSR_MTRRCAP, false, MTRRCAP_WC},
    {MSR_MCG_CAP, MSR_MCG_CAP, false, 0},
    {MSR_MCG_STATUS, MSR_MCG_STATUS, true, 0},
    {MSR_MISC_ENABLE, MSR_MISC_ENABLE, true, BIT(0)},
    {MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, true, MTRR_DEF_TYPE_WB},
    {MSR_SYSCFG, MSR_SYSCFG, true, 0},
    {MSR_HWCR, MSR_HWCR, true, HWCR_TSC_FREQ_SEL},
    {MSR_TOP_MEM, MSR_TOP_MEM, true, 0},
    {MSR_TOP_MEM2, MSR_TOP_MEM2, true, 0},
    {MSR_NB_CFG, MSR_NB_CFG, true, 0},
    {MSR_LS_CFG, MSR_DC_CFG, true, 0},
    {MSR_FP_CFG, MSR_FP_CFG, true, 0},
    {MSR_DE_CFG, MSR_DE_CFG, true, DE_CFG_LFENCE},
};

/* Linux tries the performance counters to find out that there are none: no line in the log. */
static const struct msr_row *find(struct vcpu *v, uint32_t msr, const char *how)
{
    for (unsigned i = 0; i < ARRAY_SIZE(constant); i++)
        if (msr >= constant[i].first && msr <= constant[i].last)
            return &constant[i];
    if (msr < MSR_K7_EVNTSEL0 || msr > MSR_K7_PERFCTR3)
        vm_complain(v->vm, "%s of MSR %#x, which it does not have: #GP", how, msr);
    return NULL;
}

static bool is_lapic(uint32_t msr)
{
    return (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST) || msr == MSR_TSC_DEADLINE ||
           msr == MSR_APIC_BASE;
}

static int read_constant(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    const struct msr_row *row = find(v, msr, "read");

    if (!row)
        return -EINVAL;
    *val = row->value;
    return 0;
}

int msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    if (is_lapic(msr))
        return lapic_msr_read(v, msr, val);
    switch (msr) {
    case MSR_TSC:
        *val = rdtsc() + v->tsc_offset;
        return 0;
    case MSR_PAT:
        *val = hvm->reg(v, REG_PAT);
        return 0;
    case MSR_DEBUGCTL:
        *val = hvm->reg(v, REG_DEBUGCTL);
        return 0;
    case MSR_EFER:
        *val = hvm->reg(v, REG_EFER);
        return 0;
    case MSR_KVM_WALL_CLOCK:
        *val = v->wallclock_gpa;
        return 0;
    case MSR_KVM_SYSTEM_TIME:
        *val = v->pvclock_gpa;
        return 0;
    case MSR_KVM_PV_EOI:
        *val = v->pv_eoi_gpa;
        return 0;
    default:
        return read_constant(v, msr, val);
    }
}

int msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    const struct msr_row *row;

    if (is_lapic(msr))
        return lapic_msr_write(v, msr, val);
    switch (msr) {
    case MSR_TSC:
        write_tsc(v, val);
        return 0;
    case MSR_PAT:
        return write_pat(v, val);
    case MSR_DEBUGCTL:
        if (val & ~DEBUGCTL_VALID)
            return -EINVAL;
        hvm->set_reg(v, REG_DEBUGCTL, val);
        return 0;
    case MSR_EFER:
        return write_efer(v, val);
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_SYSTEM_TIME:
        return pvclock_msr_write(v, msr, val);
    case MSR_KVM_PV_EOI:
        return lapic_pv_eoi_write(v, val);
    default:
        row = find(v, msr, "write");
        return row && row->write ? 0 : -EINVAL;
    }
}
