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

bool pat_is_valid(uint64_t val)
{
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t type = val >> i & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

static int write_pat(struct vcpu *v, UNUSED uint32_t msr, uint64_t val)
{
    if (!pat_is_valid(val))
        return -EINVAL;
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

/* Those with a state; boot/msrs.c has the others. */
static const struct msr_row {
    uint32_t first, last;
    int (*read)(struct vcpu *v, uint32_t msr, uint64_t *val);
    int (*write)(struct vcpu *v, uint32_t msr, uint64_t val);
} rows[] = {
    {MSR_X2APIC_FIRST, MSR_X2APIC_LAST, lapic_msr_read, lapic_msr_write},
    {MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, lapic_msr_read, lapic_msr_write},
    {MSR_APIC_BASE, MSR_APIC_BASE, lapic_msr_read, lapic_msr_write},
    {MSR_TSC, MSR_TSC, read_state, write_tsc},
    {MSR_PAT, MSR_PAT, read_state, write_pat},
    {MSR_DEBUGCTL, MSR_DEBUGCTL, read_state, write_debugctl},
    {MSR_EFER, MSR_EFER, read_state, write_efer},
    {MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, read_state, pvclock_msr_write},
    {MSR_KVM_PV_EOI, MSR_KVM_PV_EOI, read_state, lapic_pv_eoi_write},
};

int msr_access(struct vcpu *v, uint32_t msr, bool write, uint64_t *val)
{
    for (const struct msr_row *r = rows; r < rows + ARRAY_SIZE(rows); r++)
        if (msr >= r->first && msr <= r->last)
            return write ? r->write(v, msr, *val) : r->read(v, msr, val);
    for (const struct boot_msr *m = hvm_cpu.msr; m < hvm_cpu.msr + BOOT_MSRS; m++)
        if (msr >= m->first && msr <= m->last) {
            *val = m->value;
            return (write ? m->writes : m->reads) ? 0 : -EINVAL;
        }
    vm_complain(v->vm, "%s of MSR %#x, which it does not have: #GP", write ? "write" : "read", msr);
    return -EINVAL;
}
