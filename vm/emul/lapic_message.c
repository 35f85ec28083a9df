/* SPDX-License-Identifier: BSD-2-Clause */
/* Who gets an interrupt: destinations of IPIs and of interrupt messages (SDM 3A 11.6, 11.11, 11.12.10). */
#include "vm/emul/apic.h"
#include "vm/emul/lapic.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

/* Logical destination: x2APIC cluster, xAPIC flat, xAPIC cluster. */
static bool logical_match(const struct lapic *l, uint32_t dest)
{
    uint32_t ldr = apic_get(l, APIC_LDR);

    if (apic_x2(l))
        return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff) != 0;
    ldr >>= 24;
    if ((apic_get(l, APIC_DFR) & DFR_FLAT) == DFR_FLAT)
        return (ldr & dest) != 0;
    return (dest >> 4 == ldr >> 4 || dest >> 4 == 0xf) && (ldr & dest & 0xf) != 0;
}

static bool match(const struct lapic *l, const struct apic_message *m)
{
    if (m->dest == APIC_BROADCAST)
        return true;
    return m->logical ? logical_match(l, m->dest) : m->dest == l->v->id;
}

static void deliver_to(struct vcpu *v, const struct apic_message *m)
{
    if (!(__atomic_load_n(&v->lapic->base, __ATOMIC_RELAXED) & APIC_BASE_EN))
        return;
    switch (m->mode) {
    case ICR_MODE_FIXED:
        lapic_raise(v, m->vector, m->level);
        break;
    case ICR_MODE_NMI:
        __atomic_store_n(&v->nmi_pending, true, __ATOMIC_RELEASE);
        vcpu_request(v, VCPU_REQ_EVENT);
        break;
    case ICR_MODE_INIT:
        vcpu_request(v, VCPU_REQ_INIT);
        break;
    case ICR_MODE_STARTUP:
        __atomic_store_n(&v->sipi_vector, m->vector, __ATOMIC_RELEASE);
        vcpu_request(v, VCPU_REQ_SIPI);
        break;
    }
}

/* A bit for each vCPU that the message reaches: of those that could take a lowest-priority one, the first of the lowest priority. */
static uint32_t destinations(struct vm *vm, const struct apic_message *m)
{
    uint32_t found = 0, lowest = UINT32_MAX;

    for (unsigned i = 0; i < vm->nvcpus; i++) {
        const struct lapic *l = vm->vcpu[i]->lapic;

        if (!match(l, m) || (m->lowest && (!lapic_enabled(l->v) || apic_get(l, APIC_PPR) >= lowest)))
            continue;
        found = (m->lowest ? 0 : found) | BIT32(i);
        lowest = apic_get(l, APIC_PPR);
    }
    return found;
}

static void deliver(struct vm *vm, const struct apic_message *m, uint32_t to)
{
    for (; to != 0; to &= to - 1)
        deliver_to(vm->vcpu[__builtin_ctz(to)], m);
}

/* Eight bits of destination: 0xff means everybody in either mode. */
static uint32_t wide_dest(uint64_t dest8)
{
    return dest8 == 0xff ? APIC_BROADCAST : (uint32_t)dest8;
}

void apic_send_icr(struct lapic *l, uint64_t icr)
{
    uint64_t shorthand = FIELD_GET(ICR_SHORTHAND, icr);
    struct apic_message m = {
        .dest = apic_x2(l) ? (uint32_t)FIELD_GET(ICR_DEST, icr) : wide_dest(FIELD_GET(ICR_XAPIC_DEST, icr)),
        .logical = icr & ICR_LOGICAL,
        .mode = (uint8_t)FIELD_GET(ICR_MODE, icr),
        .vector = (uint8_t)icr,
    };

    if (m.mode == ICR_MODE_LOWEST) {
        m.lowest = shorthand == SHORTHAND_NONE;
        m.mode = ICR_MODE_FIXED;
    }
    /* INIT level de-assert has had no effect since the Pentium 4 (SDM 3A 11.6.1). */
    if (m.mode == ICR_MODE_INIT && (icr & ICR_TRIGGER_LEVEL) && !(icr & ICR_LEVEL_ASSERT))
        return;
    if (shorthand != SHORTHAND_NONE) {
        m.dest = shorthand == SHORTHAND_SELF ? l->v->id : APIC_BROADCAST;
        m.logical = false;
    }
    /* With oneself among the destinations by shorthand only fixed interrupts are valid (SDM 3A table 11-3).
     */
    if (m.mode == ICR_MODE_FIXED || shorthand == SHORTHAND_NONE || shorthand == SHORTHAND_OTHERS)
        deliver(l->v->vm, &m,
                destinations(l->v->vm, &m) & ~(shorthand == SHORTHAND_OTHERS ? BIT32(l->v->id) : 0));
}

/* False: not an interrupt message, or a delivery mode that no device of ours may ask for. */
static bool message_decode(uint64_t address, uint32_t data, struct apic_message *m)
{
    uint8_t mode = (uint8_t)FIELD_GET(MSI_MODE, data);

    *m = (struct apic_message){
        .dest = wide_dest(FIELD_GET(MSI_DEST, address)),
        .logical = address & MSI_LOGICAL,
        .lowest = mode == ICR_MODE_LOWEST || (mode == ICR_MODE_FIXED && (address & MSI_REDIRECTION)),
        .level = data & MSI_TRIGGER,
        .mode = mode == ICR_MODE_LOWEST ? ICR_MODE_FIXED : mode,
        .vector = (uint8_t)FIELD_GET(MSI_VECTOR, data),
    };
    return (address & MSI_ADDRESS_MASK) == MSI_ADDRESS &&
           (m->mode == ICR_MODE_FIXED || m->mode == ICR_MODE_NMI);
}

void lapic_message(struct vm *vm, uint64_t address, uint32_t data)
{
    struct apic_message m;

    if (message_decode(address, data, &m))
        deliver(vm, &m, destinations(vm, &m));
    else
        vm_complain(vm, "interrupt message %#lx/%#x dropped", address, data);
}

bool lapic_route(struct vm *vm, uint64_t address, uint32_t data, struct vcpu **v, uint8_t *vector)
{
    struct apic_message m;
    uint32_t to;

    if (!message_decode(address, data, &m) || m.mode != ICR_MODE_FIXED || m.level || m.vector < 16)
        return false;
    to = destinations(vm, &m);
    if (to == 0 || (to & (to - 1)) != 0)
        return false;
    *v = vm->vcpu[__builtin_ctz(to)];
    *vector = m.vector;
    return true;
}
