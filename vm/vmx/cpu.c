/* SPDX-License-Identifier: BSD-2-Clause */
/* Switches VMX on (SDM 3 24.7, 32.5). */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/x86.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/paging.h"
#include "vm/vmx/insn.h"
#include "vm/vmx/vmx.h"

int vmx_cpu_on(void)
{
    uint64_t control = rdmsr(MSR_FEATURE_CONTROL);
    hpa_t region = frame_alloc(FRAME_ORDER_4K);

    if (region.a == 0)
        return -ENOMEM;
    *(uint32_t *)hpa_to_ptr(region) = hvm_cpu.vmx.revision;
    if (!(control & FEATURE_CONTROL_LOCK))
        wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
    else if (!(control & FEATURE_CONTROL_VMX))
        return -EIO;
    write_cr0(read_cr0() | rdmsr(MSR_VMX_CR0_FIXED0));
    write_cr4(read_cr4() | rdmsr(MSR_VMX_CR4_FIXED0));
    return vmxon(region) ? 0 : -EIO;
}
