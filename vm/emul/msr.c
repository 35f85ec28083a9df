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

/* One range of MSRs. write NULL: #GP; read NULL: reads `value`. */
struct msr_row {
    uint32_t first, last;
    int (*read)(struct vcpu *v, uint32_t msr, uint64_t *val);
    int (*write)(struct vcpu *v, uint32_t msr, uint64_t val);
    uint64_t value;
};

static int drop(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)v;
    (void)msr;
    (void)val;
    return 0;
}

static int read_gp(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    (void)v;
    (void)msr;
    (void)val;
    return -EINVAL;
}

static int read_tsc(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    (void)msr;
    *val = rdtsc() + v->tsc_offset;
    return 0;
}

static int write_tsc(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)msr;
    v->tsc_offset = val - rdtsc();
    hvm_set_tsc_offset(v, v->tsc_offset);
    pvclock_update(v);
    lapic_tsc_changed(v);
    return 0;
}

/* --- those that the VMCB or the VMCS holds --- */

static enum vm_reg reg_of(uint32_t msr)
{
    switch (msr) {
    case MSR_PAT:
        return REG_PAT;
    case MSR_DEBUGCTL:
        return REG_DEBUGCTL;
    default:
        return REG_EFER;
    }
}

static int read_reg(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    *val = hvm_reg(v, reg_of(msr));
    return 0;
}

/* Each byte a memory type: UC, WC, WT, WP, WB, UC- (SDM 3A 12.12.2). */
static int write_pat(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)msr;
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t type = val >> i & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return -EINVAL;
    }
    hvm_set_reg(v, REG_PAT, val);
    return 0;
}

static int write_debugctl(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)msr;
    if (val & ~DEBUGCTL_VALID)
        return -EINVAL;
    hvm_set_reg(v, REG_DEBUGCTL, val);
    return 0;
}

/* APM 2 3.1.7: LME cannot change under paging, LMA is the CPU's. */
static int write_efer(struct vcpu *v, uint32_t msr, uint64_t val)
{
    uint64_t old = hvm_reg(v, REG_EFER);

    (void)msr;
    if (val & ~cpuid_efer_valid())
        return -EINVAL;
    if (((val ^ old) & EFER_LME) && (hvm_reg(v, REG_CR0) & CR0_PG))
        return -EINVAL;
    hvm_set_reg(v, REG_EFER, (val & ~EFER_LMA) | (old & EFER_LMA));
    return 0;
}

/* --- KVM's --- */

static int read_kvm(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    switch (msr) {
    case MSR_KVM_WALL_CLOCK:
        *val = v->wallclock_gpa;
        return 0;
    case MSR_KVM_SYSTEM_TIME:
        *val = v->pvclock_gpa;
        return 0;
    default:
        *val = v->pv_eoi_gpa;
        return 0;
    }
}

static int write_pv_eoi(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)msr;
    return lapic_pv_eoi_write(v, val);
}

/* Memory types are the nested page table's business, so MTRRs only say that there are none: all write-back.
 * Machine checks are the host's: no banks. */
static const struct msr_row rows[] = {
    {MSR_TSC, MSR_TSC, read_tsc, write_tsc, 0},
    {MSR_PATCH_LEVEL, MSR_PATCH_LEVEL, NULL, drop, 0},
    {MSR_MTRRCAP, MSR_MTRRCAP, NULL, NULL, MTRRCAP_WC},
    {MSR_MCG_CAP, MSR_MCG_CAP, NULL, NULL, 0},
    {MSR_MCG_STATUS, MSR_MCG_STATUS, NULL, drop, 0},
    {MSR_MISC_ENABLE, MSR_MISC_ENABLE, NULL, drop, BIT(0)},
    {MSR_DEBUGCTL, MSR_DEBUGCTL, read_reg, write_debugctl, 0},
    {MSR_PAT, MSR_PAT, read_reg, write_pat, 0},
    {MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, NULL, drop, MTRR_DEF_TYPE_WB},
    {MSR_EFER, MSR_EFER, read_reg, write_efer, 0},
    {MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, read_kvm, pvclock_msr_write, 0},
    {MSR_KVM_PV_EOI, MSR_KVM_PV_EOI, read_kvm, write_pv_eoi, 0},
    /* AMD's, which Linux reads by family; the performance counters so that it finds out that there are none.
     */
    {MSR_K7_EVNTSEL0, MSR_K7_PERFCTR3, read_gp, NULL, 0},
    {MSR_SYSCFG, MSR_SYSCFG, NULL, drop, 0},
    {MSR_HWCR, MSR_HWCR, NULL, drop, HWCR_TSC_FREQ_SEL},
    {MSR_TOP_MEM, MSR_TOP_MEM, NULL, drop, 0},
    {MSR_TOP_MEM2, MSR_TOP_MEM2, NULL, drop, 0},
    {MSR_NB_CFG, MSR_NB_CFG, NULL, drop, 0},
    {MSR_LS_CFG, MSR_DC_CFG, NULL, drop, 0},
    {MSR_FP_CFG, MSR_FP_CFG, NULL, drop, 0},
    {MSR_DE_CFG, MSR_DE_CFG, NULL, drop, DE_CFG_LFENCE},
};

static const struct msr_row *find(struct vcpu *v, uint32_t msr, const char *how)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (msr >= rows[i].first && msr <= rows[i].last)
            return &rows[i];
    vm_complain(v->vm, "%s of MSR %#x, which it does not have: #GP", how, msr);
    return NULL;
}

static bool is_lapic(uint32_t msr)
{
    return (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST) || msr == MSR_TSC_DEADLINE ||
           msr == MSR_APIC_BASE;
}

int msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    const struct msr_row *row;

    if (is_lapic(msr))
        return lapic_msr_read(v, msr, val);
    row = find(v, msr, "read");
    if (!row)
        return -EINVAL;
    if (row->read)
        return row->read(v, msr, val);
    *val = row->value;
    return 0;
}

int msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    const struct msr_row *row;

    if (is_lapic(msr))
        return lapic_msr_write(v, msr, val);
    row = find(v, msr, "write");
    return row && row->write ? row->write(v, msr, val) : -EINVAL;
}

/* Those that the CPU switches with the guest and that cannot hurt anybody else: canonical addresses are
 * checked by the CPU. */
void msr_init_vm(struct vm *vm)
{
    static const uint32_t direct[] = {MSR_SYSENTER_CS, MSR_SYSENTER_ESP,  MSR_SYSENTER_EIP, MSR_STAR,
                                      MSR_LSTAR,       MSR_CSTAR,         MSR_SFMASK,       MSR_FS_BASE,
                                      MSR_GS_BASE,     MSR_KERNEL_GS_BASE};

    cpuid_init();
    for (unsigned i = 0; i < ARRAY_SIZE(direct); i++)
        hvm_msr_direct(vm, direct[i], true);
    if (cpuid_has_tsc_aux())
        hvm_msr_direct(vm, MSR_TSC_AUX, true);
}
