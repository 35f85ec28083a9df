/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this back end share. */
#pragma once

#include "kernel/lib/types.h"
#include "vm/cpustate.h"
#include "vm/hvm.h"
#include "vm/svm/regs.h"
#include "vm/svm/vmcb.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

struct vcpu_hw {
    struct vmcb *vmcb;
    hpa_t vmcb_hpa, host_hpa; /* VMCBs of the guest, and of the host state of the CPU that it is on */
    uint32_t clean;           /* 0 if the CPU has no clean bits */
    bool tlb_flush;           /* before the next entry */
    bool window;              /* VINTR intercept on */
    bool lent;                /* physical interrupts are the guest's, by way of the CPU's own local APIC */
    bool nmi_blocked;         /* an NMI was injected, and no IRET seen since */
    uint64_t nmi_iret;        /* RIP of the IRET that ends the handler of an NMI, or ~0 */
    unsigned cpu;             /* where it was last */
    struct cpustate state;
};

extern const struct hvm_ops svm_ops;

/* vm/hvm.h says what each does. */
#define SVM_OP(result, op, parameters) result svm_##op parameters;
HVM_OPS(SVM_OP)
#undef SVM_OP

#define SVM_ASIDS 64 /* that are used, where the CPU has as many */

/* One per CPU; only that CPU touches it. */
struct svm_cpu {
    hpa_t host_vmcb;
    const struct vcpu
        *owner[SVM_ASIDS]; /* whose translations there may be under each ASID: vCPUs may share one */
};

/* cpu.c */
struct svm_cpu *svm_this_cpu(void);

/* exit.c */
void svm_init_intercepts(struct vmcb_control *c);
void svm_decode_exit(struct vcpu *v, struct vm_exit *e);

/* inject.c */
uint64_t svm_encode_event(const struct vm_event *ev);
void svm_intercept(struct vcpu *v, unsigned code, bool on);
void svm_nmi_injected(struct vcpu *v);
void svm_nmi_iret(struct vcpu *v);

/* state.c */
void svm_flush_now(struct vcpu *v);

/* entry.S: into the guest and back. All general registers but RAX and RSP go through `gpr`; GIF is set again,
 * IF is clear. */
void svm_enter(uint64_t gpr[GPRS], hpa_t vmcb, hpa_t host_vmcb);
