/* SPDX-License-Identifier: BSD-2-Clause */
/* The seam to the CPU vendors' back ends: chooses one, and passes on. */
#include "vm/hvm.h"
#include "kernel/console/log.h"
#include "kernel/lib/errno.h"

extern const struct hvm_ops svm_ops;

static const struct hvm_ops *const backends[] = {&svm_ops};
static const struct hvm_ops *ops;

int hvm_init(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(backends); i++) {
        const char *why;

        if (backends[i]->supported(&why)) {
            ops = backends[i];
            log_info("virtualisation: %s", ops->name);
            return 0;
        }
        log_info("virtualisation: not %s: %s", backends[i]->name, why);
    }
    return -ENODEV;
}

int hvm_cpu_on(void)
{
    return ops->cpu_on();
}

const char *hvm_name(void)
{
    return ops->name;
}

int hvm_p2m_init(struct radix *t)
{
    return ops->p2m_init(t);
}

int hvm_vm_create(struct vm *vm)
{
    return ops->vm_create(vm);
}

void hvm_vm_destroy(struct vm *vm)
{
    ops->vm_destroy(vm);
}

int hvm_vcpu_create(struct vcpu *v)
{
    return ops->vcpu_create(v);
}

void hvm_vcpu_destroy(struct vcpu *v)
{
    ops->vcpu_destroy(v);
}

void hvm_reset(struct vcpu *v)
{
    ops->reset(v);
}

void hvm_load(struct vcpu *v)
{
    ops->load(v);
}

void hvm_put(struct vcpu *v)
{
    ops->put(v);
}

void hvm_run(struct vcpu *v, struct vm_exit *e)
{
    ops->run(v, e);
}

uint64_t hvm_reg(const struct vcpu *v, enum vm_reg r)
{
    return ops->reg(v, r);
}

void hvm_set_reg(struct vcpu *v, enum vm_reg r, uint64_t val)
{
    ops->set_reg(v, r, val);
}

void hvm_segment(const struct vcpu *v, enum vm_seg s, struct vm_segment *out)
{
    ops->segment(v, s, out);
}

void hvm_set_segment(struct vcpu *v, enum vm_seg s, const struct vm_segment *seg)
{
    ops->set_segment(v, s, seg);
}

unsigned hvm_cpl(const struct vcpu *v)
{
    return ops->cpl(v);
}

bool hvm_can_take_intr(const struct vcpu *v)
{
    return ops->can_take_intr(v);
}

bool hvm_can_take_nmi(const struct vcpu *v)
{
    return ops->can_take_nmi(v);
}

void hvm_want_window(struct vcpu *v, bool on)
{
    ops->want_window(v, on);
}

void hvm_clear_shadow(struct vcpu *v)
{
    ops->clear_shadow(v);
}

void hvm_flush(struct vcpu *v)
{
    ops->flush(v);
}

void hvm_set_tsc_offset(struct vcpu *v, uint64_t offset)
{
    ops->set_tsc_offset(v, offset);
}

void hvm_msr_direct(struct vm *vm, uint32_t msr, bool direct)
{
    ops->msr_direct(vm, msr, direct);
}
