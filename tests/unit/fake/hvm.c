/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for vm/hvm.h: one vCPU's registers as arrays (whichever vCPU is asked for), counters for what
 * neutral code asked the back end to do.
 */
#include "vm/hvm.h"
#include "vm/vcpu.h"

static struct {
    uint64_t reg[VM_REGS];
    struct vm_segment seg[VM_SEGS];
    unsigned cpl;
    bool can_intr, can_nmi, window;
    unsigned resets, shadow_cleared, flushes, loads, puts;
    uint64_t tsc_offset;
    void (*run)(struct vcpu *v, struct vm_exit *e);
    void (*msr_direct)(struct vm *vm, uint32_t msr, bool direct);
} fake_hvm = {.can_intr = true, .can_nmi = true};

uint64_t hvm_reg(const struct vcpu *v, enum vm_reg r)
{
    (void)v;
    return fake_hvm.reg[r];
}

void hvm_set_reg(struct vcpu *v, enum vm_reg r, uint64_t val)
{
    (void)v;
    fake_hvm.reg[r] = val;
}

void hvm_segment(const struct vcpu *v, enum vm_seg s, struct vm_segment *out)
{
    (void)v;
    *out = fake_hvm.seg[s];
}

void hvm_set_segment(struct vcpu *v, enum vm_seg s, const struct vm_segment *seg)
{
    (void)v;
    fake_hvm.seg[s] = *seg;
}

unsigned hvm_cpl(const struct vcpu *v)
{
    (void)v;
    return fake_hvm.cpl;
}

/* As after INIT (APM 2 table 14-1), as far as tests look. */
void hvm_reset(struct vcpu *v)
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

bool hvm_can_take_intr(const struct vcpu *v)
{
    (void)v;
    return fake_hvm.can_intr;
}

bool hvm_can_take_nmi(const struct vcpu *v)
{
    (void)v;
    return fake_hvm.can_nmi;
}

void hvm_want_window(struct vcpu *v, bool on)
{
    (void)v;
    fake_hvm.window = on;
}

void hvm_clear_shadow(struct vcpu *v)
{
    (void)v;
    fake_hvm.shadow_cleared++;
}

void hvm_flush(struct vcpu *v)
{
    (void)v;
    fake_hvm.flushes++;
}

void hvm_load(struct vcpu *v)
{
    (void)v;
    fake_hvm.loads++;
}

void hvm_put(struct vcpu *v)
{
    (void)v;
    fake_hvm.puts++;
}

void hvm_run(struct vcpu *v, struct vm_exit *e)
{
    if (fake_hvm.run)
        fake_hvm.run(v, e);
}

void hvm_set_tsc_offset(struct vcpu *v, uint64_t offset)
{
    (void)v;
    fake_hvm.tsc_offset = offset;
}

void hvm_msr_direct(struct vm *vm, uint32_t msr, bool direct)
{
    if (fake_hvm.msr_direct)
        fake_hvm.msr_direct(vm, msr, direct);
}

int hvm_vcpu_create(struct vcpu *v)
{
    (void)v;
    return 0;
}

void hvm_vcpu_destroy(struct vcpu *v)
{
    (void)v;
}

/* A flat 64-bit kernel mode without paging tables of its own: tests then change what they need. */
static inline void fake_hvm_long_mode(void)
{
    fake_hvm.reg[REG_CR0] = 0x80010033;
    fake_hvm.reg[REG_CR4] = 0x20;
    fake_hvm.reg[REG_EFER] = 0xd01;
    for (unsigned i = 0; i < VM_SEGS; i++)
        fake_hvm.seg[i] = (struct vm_segment){0x18, 0xc93, 0xffffffff, 0};
    fake_hvm.seg[SEG_CS] = (struct vm_segment){0x10, 0xa9b, 0xffffffff, 0};
    fake_hvm.cpl = 0;
}
