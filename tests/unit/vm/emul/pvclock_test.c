/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/platform.c"
#include "tests/unit/fake/time.c"

#include "vm/emul/pvclock.c"

#define PAGE 0x1000

static struct vm *vm;

static void setup(unsigned n)
{
    vm = fake_vm_init(n);
    CHECK_EQ(fake_p2m_init(&vm->p2m, 2 << 20), 0);
    fake_tsc_khz = 1000000;
}

static struct vcpu_time_info page(uint64_t at)
{
    struct vcpu_time_info t;

    CHECK_EQ(p2m_read(&vm->p2m, gpa(at), &t, sizeof(t)), 0);
    return t;
}

/* As a guest does it (msr.rst). */
static uint64_t guest_time(const struct vcpu_time_info *t, uint64_t tsc)
{
    uint64_t delta = tsc - t->tsc_timestamp;

    delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
    return t->system_time + (uint64_t)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
}

TEST(guests_clock_is_the_hosts)
{
    static const uint32_t khz[] = {1,       1000,    999999,  1000000, 1000001,
                                   1800000, 1999999, 2596123, 3999999, 5200000};

    setup(1);
    for (unsigned i = 0; i < ARRAY_SIZE(khz); i++) {
        uint64_t host_tsc = (uint64_t)khz[i] * 1000 * 3600; /* an hour after the start */
        struct vcpu_time_info t;
        int64_t error;

        fake_tsc_khz = khz[i];
        vm->vcpu[0]->tsc_offset = (uint64_t)-12345;
        CHECK_EQ(pvclock_msr_write(vm->vcpu[0], MSR_KVM_SYSTEM_TIME, PAGE | 1), 0);
        t = page(PAGE);
        error = (int64_t)(guest_time(&t, host_tsc - 12345) - 3600 * NS_PER_S);
        CHECK(error <= 0 && error > -2000);
        CHECK_EQ(t.flags, 1);
        CHECK(t.tsc_to_system_mul >> 31);
        CHECK_EQ(t.version, (i + 1) * 2);
    }
    fake_p2m_destroy(&vm->p2m);
}

TEST(all_vcpus_have_one_line)
{
    struct vcpu_time_info a, b;

    setup(2);
    CHECK_EQ(pvclock_msr_write(vm->vcpu[0], MSR_KVM_SYSTEM_TIME, PAGE | 1), 0);
    fake_now_ns += NS_PER_S;
    fake_tsc += NS_PER_S;
    CHECK_EQ(pvclock_msr_write(vm->vcpu[1], MSR_KVM_SYSTEM_TIME, (PAGE + 64) | 1), 0);
    a = page(PAGE);
    b = page(PAGE + 64);
    CHECK(!memcmp(&a, &b, sizeof(a)));
    vm->vcpu[1]->tsc_offset = 1000;
    pvclock_update(vm->vcpu[1]);
    b = page(PAGE + 64);
    CHECK_EQ(guest_time(&b, 6000), guest_time(&a, 5000));
    CHECK_EQ(b.version, 4);
    fake_p2m_destroy(&vm->p2m);
}

TEST(wall_clock)
{
    struct wall_clock w;

    setup(1);
    fake_wall_base_ns = 1700000000 * NS_PER_S + 5;
    CHECK_EQ(pvclock_msr_write(vm->vcpu[0], MSR_KVM_WALL_CLOCK, PAGE), 0);
    CHECK_EQ(p2m_read(&vm->p2m, gpa(PAGE), &w, sizeof(w)), 0);
    CHECK_EQ(w.sec, 1700000000);
    CHECK_EQ(w.nsec, 5);
    CHECK_EQ(w.version, 2);
    fake_p2m_destroy(&vm->p2m);
}

TEST(bad_addresses)
{
    static const struct {
        uint32_t msr;
        uint64_t val;
        int err;
    } rows[] = {
        {MSR_KVM_SYSTEM_TIME, PAGE | 3, -EINVAL},
        {MSR_KVM_SYSTEM_TIME, (2 << 20) | 1, -EINVAL},
        {MSR_KVM_SYSTEM_TIME, ((2 << 20) - 28) | 1, -EINVAL},
        {MSR_KVM_SYSTEM_TIME, ~(uint64_t)2, -EINVAL},
        {MSR_KVM_SYSTEM_TIME, 0xfee00001, -EINVAL},
        {MSR_KVM_SYSTEM_TIME, ((2 << 20) - 32) | 1, 0},
        {MSR_KVM_SYSTEM_TIME, ~(uint64_t)1, 0}, /* off */
        {MSR_KVM_WALL_CLOCK, PAGE | 1, -EINVAL},
        {MSR_KVM_WALL_CLOCK, (2 << 20) - 8, -EINVAL},
        {MSR_KVM_WALL_CLOCK, (2 << 20) - 12, 0},
    };

    setup(1);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        CHECK_EQ(pvclock_msr_write(vm->vcpu[0], rows[i].msr, rows[i].val), rows[i].err);
    pvclock_update(vm->vcpu[0]); /* off: nothing to do */
    CHECK_EQ(vm->vcpu[0]->wallclock_gpa, (2 << 20) - 12);
    fake_p2m_destroy(&vm->p2m);
}

TEST_MAIN()
