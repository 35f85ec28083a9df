/* SPDX-License-Identifier: BSD-2-Clause */
/* The control structure of a vCPU, and which one a CPU works on (SDM 3 25.1, 25.6, 25.11). */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/x86.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "vm/vmx/insn.h"
#include "vm/vmx/vmx.h"

#define VPIDS 0x10000

const uint32_t vmx_switched_msrs[5] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE};

static const struct vcpu *current[CPU_MAX]; /* whose VMCS each CPU works on */
static uint32_t vpids;                      /* given out; 0 is the host's */

/* --- which one is current --- */

void vmcs_load(const struct vcpu *v)
{
    current[cpu_id()] = v;
    if (!vmptrld(v->hw->vmcs))
        panic("VMX: the CPU does not take a VMCS");
}

/* What the CPU holds of it goes back to memory, for whichever CPU is next (25.11.1). */
void vmcs_clear(const struct vcpu *v)
{
    if (current[cpu_id()] == v)
        current[cpu_id()] = NULL;
    v->hw->launched = false;
    if (!vmclear(v->hw->vmcs))
        panic("VMX: the CPU does not let go of a VMCS");
}

const struct vcpu *vmcs_guard_begin(const struct vcpu *v)
{
    const struct vcpu *was = current[cpu_id()];

    if (was != v)
        vmcs_load(v);
    return was;
}

void vmcs_guard_end(const struct vcpu **was)
{
    const struct vcpu *now = current[cpu_id()];

    if (*was == now)
        return;
    vmcs_clear(now);
    if (*was)
        vmcs_load(*was);
}

void vmcs_zero(uint64_t first, uint64_t last)
{
    for (uint64_t field = first; field <= last; field += 2)
        vmwrite(field, 0);
}

/* --- making one --- */

/* What never changes, of controls and of the host's state (25.5, 25.6); vmx_load() and vmx_reset() fill in the rest. */
static void fill(struct vcpu *v, uint32_t vpid)
{
    const struct {
        uint64_t field, value;
    } fields[] = {
        {VPID, vpid},
        {PIN_CONTROLS, hvm_cpu.vmx.pin},
        {PROC_CONTROLS, v->hw->proc},
        {PROC2_CONTROLS, hvm_cpu.vmx.proc2},
        {EXIT_CONTROLS, hvm_cpu.vmx.exit},
        /* #DB and #AC because a guest can make their delivery endless, and the CPU would never take an interrupt again. */
        {EXCEPTION_BITMAP, BIT(1) | BIT(17) | BIT(18)},
        {MSR_BITMAPS, hvm_cpu.maps},
        {VIRTUAL_APIC_PAGE, v->hw->virtual_apic.a},
        {EPT_POINTER, v->hw->eptp},
        {VMCS_LINK, ~(uint64_t)0},
        {HOST_CR0, read_cr0()},
        {HOST_CR3, read_cr3()},
        {HOST_CR4, read_cr4()},
        {HOST_EFER, rdmsr(MSR_EFER)},
        {HOST_PAT, rdmsr(MSR_PAT)},
        {HOST_CS_SELECTOR, 0x08}, /* kernel/cpu/entry.S */
        {HOST_SS_SELECTOR, 0x10},
        {HOST_DS_SELECTOR, 0x10},
        {HOST_ES_SELECTOR, 0x10},
        {HOST_TR_SELECTOR, 0x18},
        {HOST_RIP, (uint64_t)vmx_exit},
    };
    vmcs_guard(v);

    vmcs_zero(EXCEPTION_BITMAP, TPR_THRESHOLD);
    vmcs_zero(INTERRUPT_STATUS, INTERRUPT_STATUS);
    vmcs_zero(EOI_EXITS, EOI_EXITS + 6);
    vmcs_zero(HOST_ES_SELECTOR, HOST_TR_SELECTOR);
    vmcs_zero(HOST_SYSENTER_CS, HOST_SYSENTER_CS);
    vmcs_zero(HOST_CR0, HOST_RIP);
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
        vmwrite(fields[i].field, fields[i].value);
}

int vmx_vcpu_create(struct vcpu *v)
{
    struct vcpu_hw *hw = heap_alloc(sizeof(*hw));
    uint32_t vpid = __atomic_add_fetch(&vpids, 1, __ATOMIC_RELAXED);

    if (!hw)
        return -ENOMEM;
    v->hw = hw;
    hw->vmcs = frame_alloc(FRAME_ORDER_4K);
    hw->virtual_apic = frame_alloc(FRAME_ORDER_4K);
    if (cpustate_create(&hw->state) != 0 || hw->vmcs.a == 0 || hw->virtual_apic.a == 0 || vpid >= VPIDS)
        return -ENOMEM;
    hw->proc = hvm_cpu.vmx.proc;
    hw->cpu = CPU_MAX;
    hw->eptp = v->vm->p2m.table.root.a | EPTP_WALK_4 | EPTP_WRITE_BACK;
    *(uint32_t *)hpa_to_ptr(hw->vmcs) = hvm_cpu.vmx.revision;
    vmcs_clear(v);
    fill(v, vpid);
    return 0;
}
