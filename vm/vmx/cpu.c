/* SPDX-License-Identifier: BSD-2-Clause */
/* Which controls the CPU lets us choose, and switching VMX on (SDM 3 24.7, 32.5, appendix A). */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/x86.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "vm/vmx/insn.h"
#include "vm/vmx/vmx.h"

struct vmx_features vmx_features;

/*
 * What must be 1 of each set of controls, and what is 1 where the CPU has it. The preemption timer is not among them: a slice
 * ends with the APIC's timer, which ends the guest as well.
 */
static const struct {
    uint32_t msr, need, like;
    uint32_t *value;
} controls[] = {
    {MSR_VMX_TRUE_PIN, PIN_INTR | PIN_NMI | PIN_VIRTUAL_NMI, 0, &vmx_features.pin},
    {MSR_VMX_TRUE_PROC,
     PROC_TSC_OFFSET | PROC_HLT | PROC_MWAIT | PROC_RDPMC | PROC_CR8_LOAD | PROC_TPR_SHADOW | PROC_IO |
         PROC_MSR_BITMAPS | PROC_MONITOR | PROC_SECONDARY,
     0, &vmx_features.proc},
    {MSR_VMX_PROC2, PROC2_EPT | PROC2_VPID | PROC2_WBINVD | PROC2_UNRESTRICTED, PROC2_RDTSCP,
     &vmx_features.proc2},
    {MSR_VMX_TRUE_EXIT,
     EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER, 0,
     &vmx_features.exit},
    {MSR_VMX_TRUE_ENTRY, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER, 0, &vmx_features.entry},
};

static bool choose_controls(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
        uint64_t cap = rdmsr(controls[i].msr);
        uint32_t must = (uint32_t)cap, may = (uint32_t)(cap >> 32);

        if (controls[i].need & ~may)
            return false;
        *controls[i].value = must | controls[i].need | (controls[i].like & may);
    }
    return true;
}

bool vmx_supported(const char **why)
{
    uint64_t control, basic, ept;

    *why = "the CPU has no VMX";
    if (!(cpuid(1, 0).ecx & CPUID_1_ECX_VMX))
        return false;
    if (!cpustate_supported(why))
        return false;
    *why = "VMX is disabled by the firmware (IA32_FEATURE_CONTROL)";
    control = rdmsr(MSR_FEATURE_CONTROL);
    if ((control & FEATURE_CONTROL_LOCK) && !(control & FEATURE_CONTROL_VMX))
        return false;
    *why = "the CPU has no unrestricted guests, EPT, VPID or virtual NMIs";
    basic = rdmsr(MSR_VMX_BASIC);
    if (!(basic & VMX_BASIC_TRUE) || !choose_controls())
        return false;
    *why = "the CPU's EPT has no write-back memory, 2 MiB pages or INVEPT of one context";
    ept = rdmsr(MSR_VMX_EPT_VPID);
    vmx_features.revision = (uint32_t)FIELD_GET(VMX_BASIC_REVISION, basic);
    vmx_features.leaf_1g = ept & EPT_LEAF_1G;
    return (ept & EPT_NEEDED) == EPT_NEEDED;
}

int vmx_cpu_on(void)
{
    uint64_t control = rdmsr(MSR_FEATURE_CONTROL);
    hpa_t region = frame_alloc(FRAME_ORDER_4K);

    if (region.a == 0)
        return -ENOMEM;
    *(uint32_t *)hpa_to_ptr(region) = vmx_features.revision;
    if (!(control & FEATURE_CONTROL_LOCK))
        wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
    else if (!(control & FEATURE_CONTROL_VMX))
        return -EIO;
    write_cr0(read_cr0() | rdmsr(MSR_VMX_CR0_FIXED0));
    write_cr4(read_cr4() | rdmsr(MSR_VMX_CR4_FIXED0));
    return vmxon(region) ? 0 : -EIO;
}
