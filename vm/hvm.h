/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between neutral code and the CPU vendor's back end. hvm.c chooses the table and is its only
 * caller: neutral code calls the hvm_*() functions of the same name.
 */
#pragma once

#include "kernel/lib/types.h"
#include "kernel/mm/radix.h"
#include "vm/exit.h"

struct vcpu;
struct vm;

enum vm_reg {
    REG_CR0,
    REG_CR2,
    REG_CR3,
    REG_CR4,
    REG_EFER,
    REG_PAT,
    REG_DR6,
    REG_DR7,
    REG_GDTR_BASE,
    REG_GDTR_LIMIT,
    REG_IDTR_BASE,
    REG_IDTR_LIMIT,
    REG_STAR,
    REG_LSTAR,
    REG_CSTAR,
    REG_SFMASK,
    REG_KERNEL_GS_BASE,
    REG_SYSENTER_CS,
    REG_SYSENTER_ESP,
    REG_SYSENTER_EIP,
    REG_DEBUGCTL,
    REG_CR8,
    VM_REGS
};

/* Same order as the encoding of segment registers in instructions (APM 3 table 1-11). */
enum vm_seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, VM_SEGS };

/*
 * Of registers: EFER.LMA follows EFER.LME and CR0.PG whatever is written, EFER.SVME is the host's business
 * and never seen; CR8 is what an unintercepted read gives: whoever changes the APIC's task priority sets it.
 */
/* attr: descriptor bits 55:52 and 47:40 packed as in the VMCB (APM 2 15.5.1): type 3:0, S 4, DPL 6:5, P 7,
 * AVL 8, L 9, D 10, G 11. */
struct vm_segment {
    uint16_t selector, attr;
    uint32_t limit;
    uint64_t base;
};

struct hvm_ops {
    const char *name;
    /* True if this CPU has what the back end needs; otherwise `*why` names what is missing. */
    bool (*supported)(const char **why);
    /* This CPU, once: switch virtualisation on. Negative errno. */
    int (*cpu_on)(void);
    /* An empty nested page table. -ENOMEM. */
    int (*p2m_init)(struct radix *t);
    /* vm->hw: what all vCPUs share. msr_direct() works from then on. -ENOMEM. */
    int (*vm_create)(struct vm *vm);
    void (*vm_destroy)(struct vm *vm);
    int (*vcpu_create)(struct vcpu *v);
    void (*vcpu_destroy)(struct vcpu *v);
    /* Architectural state after power-up (APM 2 table 14-1): real mode, reset vector; v->gpr, rip and rflags
     * too. */
    void (*reset)(struct vcpu *v);
    /* Makes the vCPU current on this CPU (FPU, VMCS) and the reverse. */
    void (*load)(struct vcpu *v);
    void (*put)(struct vcpu *v);
    /*
     * Enters the guest with v->gpr/rip/rflags and v->inject, returns at the next exit with *e filled.
     * Interrupts are off on both sides; a physical interrupt has been handed to its handler when it returns.
     */
    void (*run)(struct vcpu *v, struct vm_exit *e);
    uint64_t (*reg)(const struct vcpu *v, enum vm_reg r);
    void (*set_reg)(struct vcpu *v, enum vm_reg r, uint64_t val);
    void (*segment)(const struct vcpu *v, enum vm_seg s, struct vm_segment *out);
    void (*set_segment)(struct vcpu *v, enum vm_seg s, const struct vm_segment *seg);
    unsigned (*cpl)(const struct vcpu *v);
    /* True if an external interrupt / an NMI could be injected now (IF, shadow, nothing queued). */
    bool (*can_take_intr)(const struct vcpu *v);
    bool (*can_take_nmi)(const struct vcpu *v);
    /* Asks for VM_EXIT_WINDOW as soon as can_take_intr() becomes true. */
    void (*want_window)(struct vcpu *v, bool on);
    void (*clear_shadow)(struct vcpu *v);
    /* Drops cached nested translations of the vCPU before its next entry. */
    void (*flush)(struct vcpu *v);
    void (*set_tsc_offset)(struct vcpu *v, uint64_t offset);
    /* Whether the guest reads and writes an MSR without an exit; no effect for one that the back end does not
     * switch with the vCPU. */
    void (*msr_direct)(struct vm *vm, uint32_t msr, bool direct);
};

/* Chooses the back end for this machine; boot CPU. -ENODEV with the reason logged. */
MUST_USE int hvm_init(void);
/* Switches this CPU's virtualisation on. */
MUST_USE int hvm_cpu_on(void);
const char *hvm_name(void);
MUST_USE int hvm_p2m_init(struct radix *t);
MUST_USE int hvm_vm_create(struct vm *vm);
void hvm_vm_destroy(struct vm *vm);
MUST_USE int hvm_vcpu_create(struct vcpu *v);
void hvm_vcpu_destroy(struct vcpu *v);
void hvm_reset(struct vcpu *v);
void hvm_load(struct vcpu *v);
void hvm_put(struct vcpu *v);
void hvm_run(struct vcpu *v, struct vm_exit *e);
uint64_t hvm_reg(const struct vcpu *v, enum vm_reg r);
void hvm_set_reg(struct vcpu *v, enum vm_reg r, uint64_t val);
void hvm_segment(const struct vcpu *v, enum vm_seg s, struct vm_segment *out);
void hvm_set_segment(struct vcpu *v, enum vm_seg s, const struct vm_segment *seg);
unsigned hvm_cpl(const struct vcpu *v);
bool hvm_can_take_intr(const struct vcpu *v);
bool hvm_can_take_nmi(const struct vcpu *v);
void hvm_want_window(struct vcpu *v, bool on);
void hvm_clear_shadow(struct vcpu *v);
void hvm_flush(struct vcpu *v);
void hvm_set_tsc_offset(struct vcpu *v, uint64_t offset);
void hvm_msr_direct(struct vm *vm, uint32_t msr, bool direct);
