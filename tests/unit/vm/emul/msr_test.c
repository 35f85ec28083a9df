/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/regs.h"
#include "tests/unit/test.h"

#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/lapic.c"
#include "tests/unit/fake/platform.c"

#include "boot/msrs.c"
#include "vm/emul/msr.c"

static int msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    return msr_access(v, msr, false, val);
}

static int msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    return msr_access(v, msr, true, &val);
}

static unsigned clock_updates;
static uint64_t clock_val;

int pvclock_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)v, (void)msr;
    clock_val = val;
    return 0;
}

void pvclock_update(struct vcpu *v)
{
    (void)v;
    clock_updates++;
}

static struct vcpu *v;

static void setup(void)
{
    fake_vm_init(1);
    hvm_cpu.efer_valid = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    msrs_fill(&hvm_cpu);
    v = &fake_vm.vcpu[0];
    memset(fake_hvm.reg, 0, sizeof(fake_hvm.reg));
    fake_tsc = 1000000;
}

static uint64_t get(uint32_t msr)
{
    uint64_t val = 0xbad;

    CHECK_EQ(msr_read(v, msr, &val), 0);
    return val;
}

TEST(unknown_ones_are_gp_and_logged)
{
    static const uint32_t unknown[] = {0,          1,          0x3a,       0x48,       0x49,       0xc1,
                                       0x186,      0x200,      0x26f,      0x38f,      0x480,      0x6e1,
                                       0x7ff,      0x900,      0xda0,      0x40000000, 0x4b564d02, 0x4b564d03,
                                       0x4b564d05, 0xc0000105, 0xc0010114, 0xc0010117, 0xffffffff};
    uint64_t val;

    setup();
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
        CHECK_EQ(msr_read(v, unknown[i], &val), -EINVAL);
        CHECK_EQ(msr_write(v, unknown[i], 0), -EINVAL);
        CHECK_EQ(fake_vm.complaints, 2 * (i + 1));
    }
    CHECK(strstr(fake_vm.complaint, "write of MSR 0xffffffff"));
}

TEST(constants)
{
    static const struct {
        uint32_t msr;
        uint64_t val;
        int write;
    } rows[] = {
        {0x0fe, BIT(10), -EINVAL},
        {0x2ff, 0x806, 0},
        {0x179, 0, -EINVAL},
        {0x17a, 0, 0},
        {0x1a0, 1, 0},
        {0x08b, 0, 0},
        {0xc0010010, 0, 0},
        {0xc0010015, BIT(24), 0},
        {0xc001001f, 0, 0},
        {0xc0011029, 2, 0},
        {0xc0011020, 0, 0},
        {0xc0011028, 0, 0},
        {0xc001001d, 0, 0},
    };

    setup();
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_EQ(get(rows[i].msr), rows[i].val);
        CHECK_EQ(msr_write(v, rows[i].msr, ~(uint64_t)0), rows[i].write);
        CHECK_EQ(get(rows[i].msr), rows[i].val);
    }
    CHECK_EQ(fake_vm.complaints, 0);
}

TEST(performance_counters_are_quietly_absent)
{
    uint64_t val;

    setup();
    CHECK_EQ(msr_read(v, 0xc0010000, &val), -EINVAL);
    CHECK_EQ(msr_write(v, 0xc0010007, 0), -EINVAL);
    CHECK_EQ(fake_vm.complaints, 0);
}

TEST(efer)
{
    static const struct {
        uint64_t cr0, old, val;
        int err;
        uint64_t now;
    } rows[] = {
        {0, 0, EFER_LME | EFER_SCE | EFER_NXE, 0, EFER_LME | EFER_SCE | EFER_NXE},
        {0, 0, EFER_SVME, -EINVAL, 0},
        {0, 0, BIT(14) /* FFXSR */, -EINVAL, 0}, /* CPUID has it not */
        {0, 0, BIT(1), -EINVAL, 0},
        {0, 0, BIT(63), -EINVAL, 0},
        {CR0_PG, 0, EFER_LME, -EINVAL, 0},
        {CR0_PG, EFER_LME | EFER_LMA, EFER_LMA, -EINVAL, EFER_LME | EFER_LMA},
        {CR0_PG, EFER_LME | EFER_LMA, EFER_LME | EFER_NXE, 0, EFER_LME | EFER_LMA | EFER_NXE}, /* LMA stays */
        {0, EFER_LME, EFER_LME | EFER_LMA, 0, EFER_LME},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        setup();
        fake_hvm.reg[REG_CR0] = rows[i].cr0;
        fake_hvm.reg[REG_EFER] = rows[i].old;
        CHECK_EQ(msr_write(v, MSR_EFER, rows[i].val), rows[i].err);
        CHECK_EQ(get(MSR_EFER), rows[i].now);
    }
}

TEST(pat_and_debugctl)
{
    setup();
    CHECK_EQ(msr_write(v, MSR_PAT, PAT_POWER_ON), 0);
    CHECK_EQ(get(MSR_PAT), PAT_POWER_ON);
    CHECK_EQ(msr_write(v, MSR_PAT, 2), -EINVAL);
    CHECK_EQ(msr_write(v, MSR_PAT, (uint64_t)3 << 56), -EINVAL);
    CHECK_EQ(msr_write(v, MSR_PAT, (uint64_t)8 << 32), -EINVAL);
    CHECK_EQ(get(MSR_PAT), PAT_POWER_ON);
    CHECK_EQ(msr_write(v, MSR_DEBUGCTL, 2), 0);
    CHECK_EQ(fake_hvm.reg[REG_DEBUGCTL], 2);
    CHECK_EQ(msr_write(v, MSR_DEBUGCTL, BIT(6)), -EINVAL);
}

TEST(tsc)
{
    setup();
    v->tsc_offset = 5;
    CHECK_EQ(get(MSR_TSC), 1000005);
    CHECK_EQ(msr_write(v, MSR_TSC, 100), 0);
    CHECK_EQ(get(MSR_TSC), 100);
    CHECK_EQ(fake_hvm.reg[REG_TSC_OFFSET], (uint64_t)100 - 1000000);
    CHECK_EQ(clock_updates, 1);
    CHECK_EQ(fake_lapic.tsc_changes, 1);
}

TEST(the_apics_go_to_the_apic)
{
    static const uint32_t msrs[] = {MSR_APIC_BASE, MSR_TSC_DEADLINE, 0x800, 0x8ff};
    uint64_t val;

    setup();
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        CHECK_EQ(msr_write(v, msrs[i], 42), 0);
        CHECK_EQ(fake_lapic.last_msr, msrs[i]);
        fake_lapic.last_msr = 0;
        CHECK_EQ(get(msrs[i]), 42);
        CHECK_EQ(fake_lapic.last_msr, msrs[i]);
    }
    fake_lapic.err = -EINVAL;
    CHECK_EQ(msr_write(v, 0x80b, 42), -EINVAL);
    CHECK_EQ(msr_read(v, 0x80b, &val), -EINVAL);
    fake_lapic.err = 0;
}

TEST(kvms)
{
    setup();
    CHECK_EQ(msr_write(v, MSR_KVM_SYSTEM_TIME, 0x1001), 0);
    CHECK_EQ(clock_val, 0x1001);
    CHECK_EQ(msr_write(v, MSR_KVM_PV_EOI, 0x2001), 0);
    v->wallclock_gpa = 7;
    v->pvclock_gpa = 8;
    CHECK_EQ(get(MSR_KVM_WALL_CLOCK), 7);
    CHECK_EQ(get(MSR_KVM_SYSTEM_TIME), 8);
    CHECK_EQ(get(MSR_KVM_PV_EOI), 0x2001);
}

TEST_MAIN()
