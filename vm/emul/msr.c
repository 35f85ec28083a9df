/* SPDX-License-Identifier: BSD-2-Clause */
/* Which MSRs a guest has: those that its CPUID promises, and those that stock kernels touch without asking.
 */
#include "kernel/cpu/x86.h"
#include "vm/emul/emul.h"
#include "vm/emul/lapic.h"
#include "vm/emul/regs.h"
#include "vm/hvm.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Each byte a memory type: UC, WC, WT, WP, WB, UC- (SDM 3A 12.12.2). */
static int write_pat(struct vcpu *v, UNUSED uint32_t msr, uint64_t val)
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
static int write_efer(struct vcpu *v, UNUSED uint32_t msr, uint64_t val)
{
    uint64_t old = hvm->reg(v, REG_EFER);

    if ((val & ~hvm_cpu.efer_valid) || (((val ^ old) & EFER_LME) && (hvm->reg(v, REG_CR0) & CR0_PG)))
        return -EINVAL;
    hvm->set_reg(v, REG_EFER, (val & ~EFER_LMA) | (old & EFER_LMA));
    return 0;
}

static int write_debugctl(struct vcpu *v, UNUSED uint32_t msr, uint64_t val)
{
    if (val & ~DEBUGCTL_VALID)
        return -EINVAL;
    hvm->set_reg(v, REG_DEBUGCTL, val);
    return 0;
}

static int write_tsc(struct vcpu *v, UNUSED uint32_t msr, uint64_t val)
{
    v->tsc_offset = val - rdtsc();
    hvm->set_reg(v, REG_TSC_OFFSET, v->tsc_offset);
    pvclock_update(v);
    lapic_tsc_changed(v);
    return 0;
}

static int read_state(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    *val = msr == MSR_TSC               ? rdtsc() + v->tsc_offset
           : msr == MSR_PAT             ? hvm->reg(v, REG_PAT)
           : msr == MSR_DEBUGCTL        ? hvm->reg(v, REG_DEBUGCTL)
           : msr == MSR_EFER            ? hvm->reg(v, REG_EFER)
           : msr == MSR_KVM_WALL_CLOCK  ? v->wallclock_gpa
           : msr == MSR_KVM_SYSTEM_TIME ? v->pvclock_gpa
                                        : v->pv_eoi_gpa;
    return 0;
}

/*
 * At first those with a state. The others only read as something: memory types are the nested page table's
 * business, so MTRRs only say that there are none: all write-back; machine checks are the host's: no banks; the
 * rest is AMD's, which Linux reads by family.
 */
static const struct msr_row {
    uint32_t first, last;
    int (*read)(struct vcpu *v, uint32_t msr, uint64_t *val); /* NULL: reads as `value` */
    int (*write)(struct vcpu *v, uint32_t msr, uint64_t val); /* NULL: is dropped, or #GP */
    uint64_t value;
    bool read_only;
} rows[] = {
    {MSR_X2APIC_FIRST, MSR_X2APIC_LAST, lapic_msr_read, lapic_msr_write, 0, false},
    {MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, lapic_msr_read, lapic_msr_write, 0, false},
    {MSR_APIC_BASE, MSR_APIC_BASE, lapic_msr_read, lapic_msr_write, 0, false},
    {MSR_TSC, MSR_TSC, read_state, write_tsc, 0, false},
    {MSR_PAT, MSR_PAT, read_state, write_pat, 0, false},
    {MSR_DEBUGCTL, MSR_DEBUGCTL, read_state, write_debugctl, 0, false},
    {MSR_EFER, MSR_EFER, read_state, write_efer, 0, false},
    {MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, read_state, pvclock_msr_write, 0, false},
    {MSR_KVM_PV_EOI, MSR_KVM_PV_EOI, read_state, lapic_pv_eoi_write, 0, false},
    {MSR_PATCH_LEVEL, MSR_PATCH_LEVEL, NULL, NULL, 0, false},
    {MSR_MTRRCAP, MSR_MTRRCAP, NULL, NULL, MTRRCAP_WC, true},
    {MSR_MCG_CAP, MSR_MCG_CAP, NULL, NULL, 0, true},
    {MSR_MCG_STATUS, MSR_MCG_STATUS, NULL, NULL, 0, false},
    {MSR_MISC_ENABLE, MSR_MISC_ENABLE, NULL, NULL, BIT(0), false},
    {MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, NULL, NULL, MTRR_DEF_TYPE_WB, false},
    {MSR_SYSCFG, MSR_SYSCFG, NULL, NULL, 0, false},
    {MSR_HWCR, MSR_HWCR, NULL, NULL, HWCR_TSC_FREQ_SEL, false},
    {MSR_TOP_MEM, MSR_TOP_MEM, NULL, NULL, 0, false},
    {MSR_TOP_MEM2, MSR_TOP_MEM2, NULL, NULL, 0, false},
    {MSR_NB_CFG, MSR_NB_CFG, NULL, NULL, 0, false},
    {MSR_LS_CFG, MSR_DC_CFG, NULL, NULL, 0, false},
    {MSR_FP_CFG, MSR_FP_CFG, NULL, NULL, 0, false},
    {MSR_DE_CFG, MSR_DE_CFG, NULL, NULL, DE_CFG_LFENCE, false},
};

/* Linux tries the performance counters to find out that there are none: no line in the log. */
static const struct msr_row *find(struct vcpu *v, uint32_t msr, const char *how)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (msr >= rows[i].first && msr <= rows[i].last)
            return &rows[i];
    if (msr < MSR_K7_EVNTSEL0 || msr > MSR_K7_PERFCTR3)
        vm_complain(v->vm, "%s of MSR %#x, which it does not have: #GP", how, msr);
    return NULL;
}

int msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    const struct msr_row *row = find(v, msr, "read");

    if (!row)
        return -EINVAL;
    *val = row->value;
    return row->read ? row->read(v, msr, val) : 0;
}

int msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    const struct msr_row *row = find(v, msr, "write");

    if (!row || row->read_only)
        return -EINVAL;
    return row->write ? row->write(v, msr, val) : 0;
}
