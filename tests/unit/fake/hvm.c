/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for vm/hvm.h: one vCPU's registers as arrays (whichever vCPU is asked for), counters for what
 * neutral code asked the back end to do.
 */
#include "vm/hvm.h"
#include "vm/cpustate.h"
#include "vm/vcpu.h"

static struct {
    uint64_t reg[VM_REGS];
    struct vm_segment seg[VM_SEGS];
    bool can_intr, can_nmi, window, can_queue, delivers, cannot_lend, lent;
    uint8_t queued;
    struct vm_interrupts delegated;
    unsigned resets, shadow_cleared, flushes, loads, puts;
    struct cpustate cpustate;
    void (*run)(struct vcpu *v, struct vm_exit *e);
} fake_hvm = {.can_intr = true, .can_nmi = true};

static uint64_t fake_reg(const struct vcpu *v, enum vm_reg r)
{
    (void)v;
    return fake_hvm.reg[r];
}

static void fake_set_reg(struct vcpu *v, enum vm_reg r, uint64_t val)
{
    (void)v;
    fake_hvm.reg[r] = val;
}

static struct vm_segment fake_segment(const struct vcpu *v, enum vm_seg s)
{
    (void)v;
    return fake_hvm.seg[s];
}

static void fake_set_segment(struct vcpu *v, enum vm_seg s, const struct vm_segment *seg)
{
    (void)v;
    fake_hvm.seg[s] = *seg;
}

/* As after INIT (APM 2 table 14-1), as far as tests look. */
static void fake_reset(struct vcpu *v)
{
    for (unsigned i = 0; i < GPRS; i++)
        v->gpr[i] = 0;
    for (unsigned i = 0; i < VM_REGS; i++)
        fake_hvm.reg[i] = 0;
    for (unsigned i = 0; i < VM_SEGS; i++)
        fake_hvm.seg[i] = (struct vm_segment){0, 0x93, 0xffff, 0};
    fake_hvm.seg[SEG_CS] = (struct vm_segment){0xf000, 0x9b, 0xffff, 0xffff0000};
    fake_hvm.reg[REG_CR0] = 0x60000010;
    v->rip = 0xfff0;
    v->rflags = 2;
    fake_hvm.resets++;
}

static bool fake_can_take_intr(const struct vcpu *v)
{
    (void)v;
    return fake_hvm.can_intr;
}

static bool fake_can_take_nmi(const struct vcpu *v)
{
    (void)v;
    return fake_hvm.can_nmi;
}

static void fake_want_window(struct vcpu *v, bool on)
{
    (void)v;
    fake_hvm.window = on;
}

static bool fake_queue_intr(struct vcpu *v, uint8_t vector)
{
    bool ok = fake_hvm.can_intr || fake_hvm.can_queue;

    (void)v;
    fake_hvm.queued = ok ? vector : 0;
    fake_hvm.window &= !ok;
    return ok;
}

static bool fake_intr_delivered(struct vcpu *v)
{
    (void)v;
    return fake_hvm.can_intr || fake_hvm.delivers;
}

static void fake_clear_shadow(struct vcpu *v)
{
    (void)v;
    fake_hvm.shadow_cleared++;
}

static void fake_flush(struct vcpu *v)
{
    (void)v;
    fake_hvm.flushes++;
}

static void fake_load(struct vcpu *v)
{
    (void)v;
    fake_hvm.loads++;
}

static void fake_put(struct vcpu *v)
{
    (void)v;
    fake_hvm.puts++;
}

static void fake_run(struct vcpu *v, struct vm_exit *e)
{
    if (fake_hvm.run)
        fake_hvm.run(v, e);
}

static bool fake_lend_apic(struct vcpu *v, bool lend)
{
    (void)v;
    fake_hvm.lent = lend && !fake_hvm.cannot_lend;
    return !fake_hvm.cannot_lend;
}

static void fake_delegate(struct vcpu *v, const struct vm_interrupts *i)
{
    (void)v;
    fake_hvm.delegated = *i;
}

static void fake_recall(struct vcpu *v, struct vm_interrupts *i)
{
    (void)v;
    *i = fake_hvm.delegated;
}

static struct cpustate *fake_cpustate(struct vcpu *v)
{
    (void)v;
    return &fake_hvm.cpustate;
}

static int fake_vcpu_create(struct vcpu *v)
{
    (void)v;
    return 0;
}

static const struct hvm_ops fake_hvm_ops = {
    .reg = fake_reg,
    .set_reg = fake_set_reg,
    .segment = fake_segment,
    .set_segment = fake_set_segment,
    .reset = fake_reset,
    .can_take_intr = fake_can_take_intr,
    .can_take_nmi = fake_can_take_nmi,
    .want_window = fake_want_window,
    .queue_intr = fake_queue_intr,
    .intr_delivered = fake_intr_delivered,
    .clear_shadow = fake_clear_shadow,
    .flush = fake_flush,
    .load = fake_load,
    .put = fake_put,
    .run = fake_run,
    .lend_apic = fake_lend_apic,
    .delegate = fake_delegate,
    .recall = fake_recall,
    .cpustate = fake_cpustate,
    .vcpu_create = fake_vcpu_create,
};

const struct hvm_ops *hvm = &fake_hvm_ops;
struct boot_cpu hvm_cpu;

/* A flat 64-bit kernel mode without paging tables of its own: tests then change what they need. */
static inline void fake_hvm_long_mode(void)
{
    fake_hvm.reg[REG_CR0] = 0x80010033;
    fake_hvm.reg[REG_CR4] = 0x20;
    fake_hvm.reg[REG_EFER] = 0xd01;
    for (unsigned i = 0; i < VM_SEGS; i++)
        fake_hvm.seg[i] = (struct vm_segment){0x18, 0xc93, 0xffffffff, 0};
    fake_hvm.seg[SEG_CS] = (struct vm_segment){0x10, 0xa9b, 0xffffffff, 0};
    fake_hvm.reg[REG_CPL] = 0;
}
