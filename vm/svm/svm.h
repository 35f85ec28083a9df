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
    unsigned cpu;             /* whose ASID it has */
    uint64_t asid_generation;
    struct cpustate state;
};

extern const struct hvm_ops svm_ops;

/* One per CPU; only that CPU touches it. */
struct svm_cpu {
    hpa_t host_vmcb;
    uint32_t next_asid;
    uint64_t asid_generation; /* ASIDs of older ones are void */
};

/* cpu.c */
int svm_cpu_on(void);
struct svm_cpu *svm_this_cpu(void);

/* vmcb.c */
int svm_vcpu_create(struct vcpu *v);
void svm_vcpu_destroy(struct vcpu *v);
bool svm_lend_apic(struct vcpu *v, bool lend);

/* npt.c */
int svm_npt_init(struct radix *t);

/* exit.c */
void svm_init_intercepts(struct vmcb_control *c);
void svm_decode_exit(struct vcpu *v, struct vm_exit *e);

/* inject.c */
uint64_t svm_encode_event(const struct vm_event *ev);
bool svm_can_take_intr(const struct vcpu *v);
bool svm_can_take_nmi(const struct vcpu *v);
void svm_intercept(struct vcpu *v, unsigned code, bool on);
void svm_want_window(struct vcpu *v, bool on);
bool svm_queue_intr(struct vcpu *v, uint8_t vector);
bool svm_intr_delivered(struct vcpu *v);
void svm_clear_shadow(struct vcpu *v);
void svm_nmi_injected(struct vcpu *v);
void svm_nmi_iret(struct vcpu *v);

/* state.c */
void svm_reset(struct vcpu *v);
void svm_load(struct vcpu *v);
void svm_put(struct vcpu *v);
void svm_flush(struct vcpu *v);
void svm_flush_now(struct vcpu *v);
uint64_t svm_reg(const struct vcpu *v, enum vm_reg r);
void svm_set_reg(struct vcpu *v, enum vm_reg r, uint64_t val);
struct vm_segment svm_segment(const struct vcpu *v, enum vm_seg s);
void svm_set_segment(struct vcpu *v, enum vm_seg s, const struct vm_segment *seg);

/* entry.S: into the guest and back. All general registers but RAX and RSP go through `gpr`; GIF is set again,
 * IF is clear. */
void svm_enter(uint64_t gpr[GPRS], hpa_t vmcb, hpa_t host_vmcb);
