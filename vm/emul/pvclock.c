/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's paravirtual clock (Linux Documentation/virt/kvm/x86/msr.rst). The guest's clock is the host's
 * time_ns() without the time for which the VM was saved (vm->gap): it would have been 0 when the host's TSC was vm->gap, which is a
 * guest TSC of v->tsc_offset + vm->gap. So all vCPUs of a VM have the same line, and the page changes only with these.
 */
#include "kernel/cpu/time.h"
#include "kernel/lib/string.h"
#include "vm/emul/emul.h"
#include "vm/emul/regs.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

#define TSC_STABLE BIT32(0) /* all vCPUs agree */

struct vcpu_time_info {
    uint32_t version; /* odd: being changed */
    uint32_t pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t pad[2];
};
_Static_assert(sizeof(struct vcpu_time_info) == 32, "msr.rst");
_Static_assert(offsetof(struct vcpu_time_info, tsc_shift) == 28, "msr.rst");

struct wall_clock {
    uint32_t version, sec, nsec;
};
_Static_assert(sizeof(struct wall_clock) == 12, "msr.rst");

/* Nanoseconds a tick as mul * 2^(shift - 32), with mul's top bit set: 32 significant bits of 2^44 times that, which has as many. */
static void set_rate(struct vcpu_time_info *t, uint32_t khz)
{
    uint64_t rate = (NS_PER_MS << 44) / khz;
    unsigned zeros = (unsigned)__builtin_clzll(rate);

    t->tsc_to_system_mul = (uint32_t)(rate << zeros >> 32);
    t->tsc_shift = (int8_t)(20 - (int)zeros);
}

/* Writes a structure that begins with a version, which is odd meanwhile for readers on other vCPUs. */
static int publish(struct vcpu *v, gpa_t at, const void *fresh, uint64_t size)
{
    uint32_t *version = p2m_ram(&v->vm->p2m, at, size), next;

    if (!version)
        return -EINVAL;
    next = (__atomic_load_n(version, __ATOMIC_RELAXED) | 1) + 1;
    __atomic_store_n(version, next - 1, __ATOMIC_SEQ_CST);
    memcpy(version + 1, (const uint32_t *)fresh + 1, size - sizeof(next));
    __atomic_store_n(version, next, __ATOMIC_SEQ_CST);
    return 0;
}

static int publish_time(struct vcpu *v, gpa_t at)
{
    struct vcpu_time_info t = {.tsc_timestamp = v->tsc_offset + v->vm->gap, .flags = TSC_STABLE};

    set_rate(&t, time_tsc_khz());
    return publish(v, at, &t, sizeof(t));
}

/* The wall clock when the guest's clock was 0. */
static int publish_wall(struct vcpu *v, gpa_t at)
{
    uint64_t base = time_wall_base_ns() + time_tsc_to_ns(v->vm->gap);
    struct wall_clock w = {.sec = (uint32_t)(base / NS_PER_S), .nsec = (uint32_t)(base % NS_PER_S)};

    return publish(v, at, &w, sizeof(w));
}

int pvclock_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    if (msr == MSR_KVM_WALL_CLOCK) {
        if ((val & 3) || publish_wall(v, gpa(val)))
            return -EINVAL;
        v->wallclock_gpa = val;
        return 0;
    }
    if ((val & KVM_MSR_ENABLE) && ((val & 2) || publish_time(v, gpa(val & ~KVM_MSR_ENABLE))))
        return -EINVAL;
    v->pvclock_gpa = val;
    return 0;
}

/* The address was RAM when it was taken, and RAM stays RAM. */
void pvclock_update(struct vcpu *v)
{
    if (v->pvclock_gpa & KVM_MSR_ENABLE)
        (void)publish_time(v, gpa(v->pvclock_gpa & ~KVM_MSR_ENABLE));
}
