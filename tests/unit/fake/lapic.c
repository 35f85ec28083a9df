/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for vm/emul/lapic.h where a test only looks at who is called: one task priority, one pending
 * vector, the last call. */
#include "vm/emul/lapic.h"
#include "vm/vcpu.h"

static struct {
    uint8_t tpr;
    int pending; /* vector, or -1 */
    uint32_t last_msr;
    uint64_t last_val;
    unsigned raised, tsc_changes, pv_eoi_syncs;
    int err; /* of the MSR functions */
} fake_lapic = {.pending = -1};

void lapic_set_tpr(struct vcpu *v, uint8_t tpr)
{
    (void)v;
    fake_lapic.tpr = tpr;
}

int lapic_pending(struct vcpu *v)
{
    (void)v;
    return fake_lapic.pending;
}

void lapic_raise(struct vcpu *v, uint8_t vector, bool level)
{
    (void)v, (void)level;
    fake_lapic.raised++;
    fake_lapic.pending = vector;
}

int lapic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    (void)v;
    fake_lapic.last_msr = msr;
    *val = fake_lapic.last_val;
    return fake_lapic.err;
}

int lapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)v;
    fake_lapic.last_msr = msr;
    fake_lapic.last_val = val;
    return fake_lapic.err;
}

void lapic_tsc_changed(struct vcpu *v)
{
    (void)v;
    fake_lapic.tsc_changes++;
}

void lapic_pv_eoi_sync(struct vcpu *v)
{
    v->pv_eoi_armed = false;
    fake_lapic.pv_eoi_syncs++;
}

int lapic_pv_eoi_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    fake_lapic.last_msr = msr;
    if (fake_lapic.err)
        return fake_lapic.err;
    v->pv_eoi_gpa = val;
    return 0;
}
