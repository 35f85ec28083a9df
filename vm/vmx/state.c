/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's state: in the VMCS, and what this back end swaps itself when the vCPU comes to a CPU and leaves it. */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"
#include "vm/vmx/insn.h"
#include "vm/vmx/vmx.h"

#define CR0_PASSED                                                                                           \
    (CR0_TS | CR0_MP) /* the guest's own bits; those that the CPU needs otherwise are in the shadow */
#define DR6_RESET 0xffff0ff0
#define DR7_RESET 0x400

/* --- registers --- */

/* Those that are a field as they are. */
static const uint16_t fields[VM_REGS] = {
    [REG_CR3] = GUEST_CR3,
    [REG_CR4] = CR4_SHADOW,
    [REG_EFER] = GUEST_EFER,
    [REG_PAT] = GUEST_PAT,
    [REG_DEBUGCTL] = GUEST_DEBUGCTL,
    [REG_TSC_OFFSET] = TSC_OFFSET,
    [REG_DR7] = GUEST_DR7,
    [REG_SYSENTER_CS] = GUEST_SYSENTER_CS,
    [REG_SYSENTER_ESP] = GUEST_SYSENTER_ESP,
    [REG_SYSENTER_EIP] = GUEST_SYSENTER_EIP,
};

/* Of which the CPU takes the task priority (11.10.8 of the xAPIC's layout). */
static uint8_t *task_priority(const struct vcpu *v)
{
    return (uint8_t *)hpa_to_ptr(v->hw->virtual_apic) + APIC_PAGE_TPR;
}

static uint64_t get_cr0(void)
{
    return (vmread(GUEST_CR0) & CR0_PASSED) | (vmread(CR0_SHADOW) & ~CR0_PASSED);
}

/* Those that no field has, or NULL. */
static uint64_t *kept_word(const struct vcpu *v, enum vm_reg r)
{
    if (r >= REG_STAR && r <= REG_KERNEL_GS_BASE) /* in the order of vmx_switched_msrs */
        return &v->hw->msr[r - REG_STAR];
    return r == REG_CR2 ? &v->hw->cr2 : r == REG_DR6 ? &v->hw->dr6 : NULL;
}

/* Set as after MOV SS: after STI, IF must be set, too (27.3.1.5). */
static const uint32_t blocking[VM_REGS] = {[REG_SHADOW] = BLOCKING_SHADOW, [REG_NMI_BLOCKED] = BLOCKING_NMI};

uint64_t vmx_reg(const struct vcpu *v, enum vm_reg r)
{
    const uint64_t *word = kept_word(v, r);
    vmcs_guard(v);

    if (word)
        return *word;
    if (blocking[r])
        return (vmread(INTERRUPTIBILITY) & blocking[r]) != 0;
    if (r == REG_CR0)
        return get_cr0();
    if (r == REG_CR8)
        return *task_priority(v) >> 4;
    if (r == REG_CPL)
        return vmread(GUEST_RIGHTS + 2 * SEG_SS) >> 5 & 3;
    return vmread(fields[r]);
}

/* With EPT the CPU takes the four top entries of PAE paging from the VMCS when it enters (27.3.2.4); where the guest loads them
 * itself, by MOV to CR3, it does not exit. */
static void load_pdptes(const struct vcpu *v)
{
    const uint64_t *from = p2m_ram(&v->vm->p2m, gpa(vmread(GUEST_CR3) & GENMASK(31, 5)), 4 * sizeof(*from));

    for (unsigned i = 0; i < 4; i++)
        vmwrite(GUEST_PDPTE0 + 2 * i, from ? __atomic_load_n(&from[i], __ATOMIC_RELAXED) : 0);
}

/* Long mode is active when it is enabled and paging is on (10.8.5). */
static void follow_mode(struct vcpu *v)
{
    uint64_t efer = vmread(GUEST_EFER) & ~EFER_LMA, paging = get_cr0() & CR0_PG;

    if ((efer & EFER_LME) && paging)
        efer |= EFER_LMA;
    else if (paging && (vmread(CR4_SHADOW) & CR4_PAE))
        load_pdptes(v);
    vmwrite(GUEST_EFER, efer);
    vmwrite(ENTRY_CONTROLS, hvm_cpu.vmx.entry | (efer & EFER_LMA ? ENTRY_IA32E : 0));
    v->hw->flush = true; /* as the CPU's own MOV would (4.10.4.1) */
}

void vmx_set_reg(struct vcpu *v, enum vm_reg r, uint64_t val)
{
    uint64_t *word = kept_word(v, r);
    vmcs_guard(v);

    if (word)
        *word = val;
    else if (blocking[r])
        vmwrite(INTERRUPTIBILITY,
                (vmread(INTERRUPTIBILITY) & ~(uint64_t)blocking[r]) | (val ? blocking[r] & ~BIT(0) : 0));
    else if (r == REG_CR8)
        *task_priority(v) = (uint8_t)(val << 4);
    else if (r == REG_CR0)
        vmwrite(CR0_SHADOW, val);
    else
        vmwrite(fields[r], val);
    if (r == REG_CR0)
        vmwrite(GUEST_CR0, val | CR0_NE);
    if (r == REG_CR4)
        vmwrite(GUEST_CR4, val | CR4_VMXE);
    if (r == REG_CR0 || r == REG_CR3 || r == REG_CR4 || r == REG_EFER)
        follow_mode(v);
}

/* The order of the fields, two apart; only the first eight have a selector and rights. */
static const uint8_t positions[VM_SEGS] = {
    [SEG_ES] = 0, [SEG_CS] = 1,   [SEG_SS] = 2, [SEG_DS] = 3,   [SEG_FS] = 4,
    [SEG_GS] = 5, [SEG_LDTR] = 6, [SEG_TR] = 7, [SEG_GDTR] = 8, [SEG_IDTR] = 9,
};

struct vm_segment vmx_segment(const struct vcpu *v, enum vm_seg s)
{
    unsigned at = 2u * positions[s];
    struct vm_segment seg = {0};
    uint32_t rights;
    vmcs_guard(v);

    seg.base = vmread(GUEST_BASE + at);
    seg.limit = (uint32_t)vmread(GUEST_LIMIT + at);
    if (s == SEG_GDTR || s == SEG_IDTR)
        return seg;
    rights = (uint32_t)vmread(GUEST_RIGHTS + at);
    seg.selector = (uint16_t)vmread(GUEST_SELECTOR + at);
    if (!(rights & RIGHTS_UNUSABLE))
        seg.attr = (uint16_t)((rights & RIGHTS_LOW) | (rights & RIGHTS_HIGH) >> 4);
    return seg;
}

void vmx_set_segment(struct vcpu *v, enum vm_seg s, const struct vm_segment *seg)
{
    unsigned at = 2u * positions[s];
    uint32_t rights = (seg->attr & RIGHTS_LOW) | ((uint32_t)seg->attr << 4 & RIGHTS_HIGH);
    vmcs_guard(v);

    vmwrite(GUEST_BASE + at, seg->base);
    vmwrite(GUEST_LIMIT + at, seg->limit);
    if (s == SEG_GDTR || s == SEG_IDTR)
        return;
    vmwrite(GUEST_SELECTOR + at, seg->selector);
    vmwrite(GUEST_RIGHTS + at, seg->attr ? rights : RIGHTS_UNUSABLE);
}

/* --- reset --- */

void vmx_reset(struct vcpu *v)
{
    struct vcpu_hw *hw = v->hw;
    vmcs_guard(v);

    vmcs_zero(GUEST_DEBUGCTL, GUEST_PDPTE0 + 6);
    vmcs_zero(GUEST_LIMIT, GUEST_SYSENTER_CS);
    vmcs_zero(GUEST_CR0, GUEST_SYSENTER_EIP);
    vmwrite(ENTRY_EVENT, 0);
    vmwrite(GUEST_DR7, DR7_RESET);
    vmwrite(CR0_MASK, ~CR0_PASSED);
    vmwrite(CR4_MASK, GENMASK(63, 0));
    memset(hw->msr, 0, sizeof(hw->msr));
    hw->dr6 = DR6_RESET;
    hw->queued = false;
    vmx_want_window(v, false);
    cpustate_reset(&hw->state, v, &vmx_ops);
}

struct cpustate *vmx_cpustate(struct vcpu *v)
{
    return &v->hw->state;
}

void vmx_flush(struct vcpu *v)
{
    v->hw->flush = true;
}

/* --- switching vCPUs --- */

/* Where this CPU keeps its own things (27.2.3): the exit loads them from the VMCS. */
static void write_host_bases(void)
{
    const uint64_t *gdt = (const uint64_t *)read_gdt_base(), *tss = gdt + 3;

    vmwrite(HOST_GDTR_BASE, (uint64_t)gdt);
    vmwrite(HOST_IDTR_BASE, read_idt_base());
    vmwrite(HOST_GS_BASE, rdmsr(MSR_GS_BASE));
    vmwrite(HOST_TR_BASE,
            FIELD_GET(GENMASK(39, 16), tss[0]) | FIELD_GET(GENMASK(63, 56), tss[0]) << 24 | tss[1] << 32);
}

/* Translations that the vCPU left here when it was on this CPU before may be older than what it changed elsewhere since. */
void vmx_load(struct vcpu *v)
{
    struct vcpu_hw *hw = v->hw;

    vmcs_load(v);
    if (hw->cpu != cpu_id()) {
        hw->cpu = cpu_id();
        hw->flush = true;
        write_host_bases();
    }
    write_dr6(hw->dr6);
    for (unsigned i = 0; i < ARRAY_SIZE(hw->msr); i++)
        wrmsr(vmx_switched_msrs[i], hw->msr[i]);
    cpustate_load(&hw->state, v->vm);
}

void vmx_put(struct vcpu *v)
{
    struct vcpu_hw *hw = v->hw;

    cpustate_put(&hw->state);
    for (unsigned i = 0; i < ARRAY_SIZE(hw->msr); i++)
        hw->msr[i] = rdmsr(vmx_switched_msrs[i]);
    hw->dr6 = read_dr6();
    vmcs_clear(v);
}
