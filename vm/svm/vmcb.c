/* SPDX-License-Identifier: BSD-2-Clause */
/* Control blocks (APM 2 15.5, appendix B). */
#include "vm/svm/vmcb.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "vm/svm/svm.h"

bool svm_lend_apic(struct vcpu *v, bool lend)
{
    struct vmcb_control *c = &v->hw->vmcb->control;

    svm_want_window(v, false);
    svm_intercept(v, EXIT_INTR, !lend);
    svm_intercept(v, EXIT_HLT, !lend);
    svm_intercept(v, EXIT_CR_WRITE(8), !lend);
    c->v_intr = lend ? 0 : V_INTR_MASKING;
    c->msrpm_base = hvm_cpu.maps + (lend ? BOOT_MAPS_LENT : BOOT_MAPS_MSR);
    c->clean = 0;
    v->hw->lent = lend;
    return true;
}

int svm_vcpu_create(struct vcpu *v)
{
    static uint32_t vcpus;
    uint32_t nth = __atomic_fetch_add(&vcpus, 1, __ATOMIC_RELAXED);
    struct vcpu_hw *hw = heap_alloc(sizeof(*hw));

    if (!hw)
        return -ENOMEM;
    v->hw = hw;
    hw->clean = hvm_cpu.svm.clean ? CLEAN_ALL : 0;
    hw->vmcb_hpa = frame_alloc(FRAME_ORDER_4K);
    if (cpustate_create(&hw->state) != 0 || hw->vmcb_hpa.a == 0)
        return -ENOMEM;
    hw->vmcb = hpa_to_ptr(hw->vmcb_hpa);
    hw->vmcb->control = (struct vmcb_control){.iopm_base = hvm_cpu.maps,
                                              .msrpm_base = hvm_cpu.maps + BOOT_MAPS_MSR,
                                              .asid = 1 + nth % (MIN(hvm_cpu.svm.asids, SVM_ASIDS) - 1),
                                              .np_enable = NP_ENABLE,
                                              .n_cr3 = v->vm->p2m.table.root.a};
    svm_init_intercepts(&hw->vmcb->control);
    return 0;
}
