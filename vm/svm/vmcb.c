/* SPDX-License-Identifier: BSD-2-Clause */
/* Control blocks and permission maps (APM 2 15.5, 15.9 to 15.11, appendix B). */
#include "vm/svm/vmcb.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "vm/emul/lapic.h"
#include "vm/emul/regs.h"
#include "vm/svm/svm.h"

#define IOPM_SIZE  (3 * PAGE_SIZE)
#define MSRPM_SIZE (2 * PAGE_SIZE)
#define MAPS_ORDER 3

/* The I/O permission map, behind it the MSR permission map, the same for all VMs, and the one for vCPUs to which a CPU's local APIC is lent. */
static hpa_t maps;

/* Two bits an MSR, read and write (15.11): 2,000h MSRs from 0, C000_0000h and C001_0000h take 800h bytes
 * each. */
static void msr_direct(uint8_t *map, uint32_t msr)
{
    uint32_t bit = (msr & 0x1fff) * 2 + (msr >= 0xc0000000 ? 0x800 * 8 : 0);

    map[bit >> 3] &= (uint8_t) ~(3 << (bit & 7));
}

/*
 * Every port exits, and every MSR but those that VMLOAD, VMSAVE or svm_load() switch and that cannot hurt
 * anybody else: canonical addresses are checked by the CPU.
 */
static int maps_create(void)
{
    static const uint32_t direct[] = {MSR_SYSENTER_CS, MSR_SYSENTER_ESP,  MSR_SYSENTER_EIP, MSR_STAR,
                                      MSR_LSTAR,       MSR_CSTAR,         MSR_SFMASK,       MSR_FS_BASE,
                                      MSR_GS_BASE,     MSR_KERNEL_GS_BASE};
    uint8_t *msrpm;

    if (maps.a != 0)
        return 0;
    maps = frame_alloc(MAPS_ORDER);
    if (maps.a == 0)
        return -ENOMEM;
    msrpm = (uint8_t *)hpa_to_ptr(maps) + IOPM_SIZE;
    memset(hpa_to_ptr(maps), 0xff, IOPM_SIZE + MSRPM_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(direct); i++)
        msr_direct(msrpm, direct[i]);
    if (hvm_cpu.tsc_aux)
        msr_direct(msrpm, MSR_TSC_AUX);
    memcpy(msrpm + MSRPM_SIZE, msrpm, MSRPM_SIZE);
    for (unsigned reg = 0; reg < APIC_REGS; reg++)
        if (lapic_lent(reg))
            msr_direct(msrpm + MSRPM_SIZE, MSR_X2APIC_FIRST + reg);
    return 0;
}

bool svm_lend_apic(struct vcpu *v, bool lend)
{
    struct vmcb_control *c = &v->hw->vmcb->control;

    svm_want_window(v, false);
    svm_intercept(v, EXIT_INTR, !lend);
    svm_intercept(v, EXIT_HLT, !lend);
    svm_intercept(v, EXIT_CR_WRITE(8), !lend);
    c->v_intr = lend ? 0 : V_INTR_MASKING;
    c->msrpm_base = maps.a + IOPM_SIZE + (lend ? MSRPM_SIZE : 0);
    c->clean = 0;
    v->hw->lent = lend;
    return true;
}

int svm_vcpu_create(struct vcpu *v)
{
    struct vcpu_hw *hw = heap_alloc(sizeof(*hw));

    if (!hw)
        return -ENOMEM;
    v->hw = hw;
    hw->clean = hvm_cpu.svm.clean ? CLEAN_ALL : 0;
    hw->vmcb_hpa = frame_alloc(FRAME_ORDER_4K);
    if (cpustate_create(&hw->state) != 0 || hw->vmcb_hpa.a == 0 || maps_create() != 0) {
        svm_vcpu_destroy(v);
        return -ENOMEM;
    }
    hw->vmcb = hpa_to_ptr(hw->vmcb_hpa);
    hw->vmcb->control = (struct vmcb_control){.iopm_base = maps.a,
                                              .msrpm_base = maps.a + IOPM_SIZE,
                                              .np_enable = NP_ENABLE,
                                              .n_cr3 = v->vm->p2m.table.root.a};
    svm_init_intercepts(&hw->vmcb->control);
    return 0;
}

void svm_vcpu_destroy(struct vcpu *v)
{
    struct vcpu_hw *hw = v->hw;

    if (hw->vmcb_hpa.a != 0)
        frame_free(hw->vmcb_hpa, FRAME_ORDER_4K);
    cpustate_destroy(&hw->state);
    heap_free(hw, sizeof(*hw));
    v->hw = NULL;
}
