/* SPDX-License-Identifier: BSD-2-Clause */
/* Control blocks and permission maps (APM 2 15.5, 15.9 to 15.11, appendix B). */
#include "vm/svm/vmcb.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "vm/svm/svm.h"

#define MSRPM_ORDER 1 /* 8 KiB */
#define IOPM_ORDER  2 /* 12 KiB */

/* Every port exits, so one map serves all VMs. */
static hpa_t iopm;

static int iopm_get(hpa_t *out)
{
    if (iopm.a == 0) {
        iopm = frame_alloc(IOPM_ORDER);
        if (iopm.a == 0)
            return -ENOMEM;
        memset(hpa_to_ptr(iopm), 0xff, PAGE_SIZE << IOPM_ORDER);
    }
    *out = iopm;
    return 0;
}

int svm_vm_create(struct vm *vm)
{
    struct vm_hw *hw = heap_alloc(sizeof(*hw));

    if (!hw)
        return -ENOMEM;
    hw->msrpm = frame_alloc(MSRPM_ORDER);
    if (hw->msrpm.a == 0) {
        heap_free(hw, sizeof(*hw));
        return -ENOMEM;
    }
    memset(hpa_to_ptr(hw->msrpm), 0xff, PAGE_SIZE << MSRPM_ORDER);
    vm->hw = hw;
    return 0;
}

void svm_vm_destroy(struct vm *vm)
{
    frame_free(vm->hw->msrpm, MSRPM_ORDER);
    heap_free(vm->hw, sizeof(*vm->hw));
    vm->hw = NULL;
}

/* Those that VMLOAD/VMSAVE, the VMCB or svm_load()/svm_put() switch; any other would be the host's own. */
static bool msr_is_switched(uint32_t msr)
{
    static const uint32_t switched[] = {MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR,
                                        MSR_LSTAR,       MSR_CSTAR,        MSR_SFMASK,       MSR_FS_BASE,
                                        MSR_GS_BASE,     MSR_KERNEL_GS_BASE};

    for (unsigned i = 0; i < ARRAY_SIZE(switched); i++)
        if (switched[i] == msr)
            return true;
    return msr == MSR_TSC_AUX && svm_features.rdtscp;
}

/* Two bits an MSR, read and write (15.11): 2,000h MSRs from 0, C000_0000h and C001_0000h take 800h bytes
 * each. */
void svm_msr_direct(struct vm *vm, uint32_t msr, bool direct)
{
    uint8_t *map = hpa_to_ptr(vm->hw->msrpm);
    uint32_t bit = (msr & 0x1fff) * 2 + (msr >= 0xc0000000 ? 0x800 * 8 : 0);
    uint8_t mask = (uint8_t)(3 << (bit & 7));

    if (!msr_is_switched(msr))
        return;
    if (direct)
        map[bit >> 3] &= (uint8_t)~mask;
    else
        map[bit >> 3] |= mask;
}

/*
 * Exits: physical interrupts; what would change the machine; what the platform emulates; and #DB and #AC,
 * whose delivery a guest can make endless (the CPU then never takes an interrupt again). CR0 exits for bits
 * other than TS and MP, CR4 and CR8 for all. Reads of control registers never exit. Task switches do not:
 * nested paging lets the CPU do them.
 */
static void set_intercepts(struct vmcb_control *c)
{
    c->intercept_cr = INTERCEPT_CR_WRITE(4) | INTERCEPT_CR_WRITE(8);
    c->intercept_exc = INTERCEPT_EXC(1) | INTERCEPT_EXC(17) | INTERCEPT_EXC(18);
    c->intercept1 = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_INIT | INTERCEPT_CR0_SEL | INTERCEPT_RDPMC |
                    INTERCEPT_CPUID | INTERCEPT_INVD | INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IOIO |
                    INTERCEPT_MSR | INTERCEPT_SHUTDOWN;
    c->intercept2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
                    INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_WBINVD |
                    INTERCEPT_MONITOR | INTERCEPT_MWAIT | INTERCEPT_XSETBV | INTERCEPT_RDPRU;
}

static int vmcb_init(struct vcpu *v)
{
    struct vcpu_hw *hw = v->hw;
    struct vmcb_control *c;
    hpa_t ports;

    hw->vmcb_hpa = frame_alloc(FRAME_ORDER_4K);
    if (hw->vmcb_hpa.a == 0 || iopm_get(&ports) != 0)
        return -ENOMEM;
    hw->vmcb = hpa_to_ptr(hw->vmcb_hpa);
    c = &hw->vmcb->control;
    set_intercepts(c);
    c->iopm_base = ports.a;
    c->msrpm_base = v->vm->hw->msrpm.a;
    c->np_enable = NP_ENABLE;
    c->n_cr3 = v->vm->p2m.table.root.a;
    c->v_intr = V_INTR_MASKING;
    return 0;
}

int svm_vcpu_create(struct vcpu *v)
{
    struct vcpu_hw *hw = heap_alloc(sizeof(*hw));

    if (!hw)
        return -ENOMEM;
    v->hw = hw;
    hw->clean = svm_features.clean ? CLEAN_ALL : 0;
    hw->xstate = heap_alloc(svm_features.xstate_size);
    if (!hw->xstate || vmcb_init(v) != 0) {
        svm_vcpu_destroy(v);
        return -ENOMEM;
    }
    svm_reset(v);
    return 0;
}

void svm_vcpu_destroy(struct vcpu *v)
{
    struct vcpu_hw *hw = v->hw;

    if (hw->vmcb_hpa.a != 0)
        frame_free(hw->vmcb_hpa, FRAME_ORDER_4K);
    heap_free(hw->xstate, svm_features.xstate_size);
    heap_free(hw, sizeof(*hw));
    v->hw = NULL;
}
