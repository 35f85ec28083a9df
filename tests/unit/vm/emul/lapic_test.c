/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/platform.c"
#include "tests/unit/fake/time.c"

#include "vm/emul/lapic.c"
#include "vm/emul/lapic_message.c"
#include "vm/emul/lapic_timer.c"

void lapic_take_back(struct vcpu *x)
{
    CHECK(!x->lent);
}

static uint8_t ioapic_eoi_vector;
static unsigned ioapic_eois;

void ioapic_eoi(struct vm *vm, uint8_t vector)
{
    (void)vm;
    ioapic_eoi_vector = vector;
    ioapic_eois++;
}

#define BASE_X2 (GPA_LAPIC | APIC_BASE_EN | APIC_BASE_EXTD)
#define X2(reg) (MSR_X2APIC_FIRST + (reg))

static struct vcpu *v;

static void setup(unsigned n, bool x2)
{
    struct vm *vm = fake_vm_init(n);

    ioapic_eois = 0;
    fake_now_ns = fake_tsc = NS_PER_S;
    fake_time_step_ns = 0;
    CHECK_EQ(fake_p2m_init(&vm->p2m, 2 << 20), 0);
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(lapic_create(&fake_vm.vcpu[i]), 0);
        if (x2)
            CHECK_EQ(lapic_msr_write(&fake_vm.vcpu[i], MSR_APIC_BASE, BASE_X2), 0);
        fake_vm.vcpu[i].lapic->reg[APIC_SVR] = 0x1ff;
    }
    v = &fake_vm.vcpu[0];
}

static void teardown(void)
{
    for (unsigned i = 0; i < fake_vm.vm.nvcpus; i++) {
        apic_timer_stop(fake_vm.vcpu[i].lapic);
        heap_free(fake_vm.vcpu[i].lapic, sizeof(struct lapic));
    }
    fake_p2m_destroy(&fake_vm.vm.p2m);
    CHECK_EQ(fake_heap_out, 0);
    CHECK(list_empty(&fake_timers));
}

/* Moves both clocks. */
static void pass(uint64_t ns)
{
    fake_time_advance(ns);
    fake_tsc = fake_now_ns;
}

static uint64_t x2_read(unsigned reg)
{
    uint64_t val = 0;

    CHECK_EQ(lapic_msr_read(v, X2(reg), &val), 0);
    return val;
}

static int x2_write(unsigned reg, uint64_t val)
{
    return lapic_msr_write(v, X2(reg), val);
}

static uint32_t mmio_read(unsigned reg)
{
    return (uint32_t)fake_io_read(v, IO_MEM, GPA_LAPIC + reg * 16, 4);
}

static void mmio_write(unsigned reg, uint32_t val)
{
    fake_io_write(v, IO_MEM, GPA_LAPIC + reg * 16, 4, val);
}

static void take(int vector)
{
    CHECK_EQ(lapic_pending(v), vector);
    lapic_queue(v, (uint8_t)vector);
    lapic_unqueue(v, (uint8_t)vector, true);
}

/* --- priorities --- */

TEST(highest_vector_goes_first_and_blocks_its_class)
{
    setup(1, true);
    CHECK_EQ(lapic_pending(v), -1);
    lapic_raise(v, 0x41, false);
    lapic_raise(v, 0x52, false);
    CHECK(v->requests & VCPU_REQ_EVENT);
    take(0x52);
    CHECK_EQ(x2_read(APIC_PPR), 0x50);
    CHECK_EQ(lapic_pending(v), -1); /* 0x41 waits */
    lapic_raise(v, 0x5f, false);
    CHECK_EQ(lapic_pending(v), -1); /* same class */
    lapic_raise(v, 0x60, false);
    take(0x60);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    CHECK_EQ(x2_read(APIC_PPR), 0x50);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    take(0x5f);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    take(0x41);
    CHECK_EQ(x2_read(APIC_ISR + 2), 2);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    CHECK_EQ(x2_read(APIC_ISR + 2), 0);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0); /* nothing in service: no effect */
    CHECK_EQ(lapic_pending(v), -1);
    teardown();
}

TEST(task_priority_holds_back)
{
    setup(1, true);
    lapic_raise(v, 0x45, false);
    CHECK_EQ(x2_write(APIC_TPR, 0x40), 0);
    CHECK_EQ(fake_hvm.reg[REG_CR8], 4);
    CHECK_EQ(lapic_pending(v), -1);
    v->recheck = false;
    CHECK_EQ(x2_write(APIC_TPR, 0x3f), 0);
    CHECK(v->recheck);
    CHECK_EQ(lapic_pending(v), 0x45);
    CHECK_EQ(x2_read(APIC_PPR), 0x3f);
    teardown();
}

TEST(every_vector_is_found)
{
    setup(1, true);
    for (int i = 16; i < 256; i++)
        lapic_raise(v, (uint8_t)i, false);
    for (int i = 255; i >= 16; i--) {
        take(i);
        CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    }
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(v->lapic->irr_words, 0);
    teardown();
}

TEST(a_second_raise_asks_for_nothing)
{
    setup(1, true);
    lapic_raise(v, 0x30, false);
    lapic_raise(v, 0x30, false);
    CHECK_EQ(fake_vm.requests[0], 1);
    teardown();
}

TEST(illegal_vectors_are_dropped)
{
    setup(1, true);
    lapic_raise(v, 15, false);
    CHECK_EQ(x2_write(APIC_ICR, 0x4000f), 0); /* to oneself */
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(v->lapic->irr_words, 0);
    CHECK_EQ(x2_write(APIC_ESR, 0), 0);
    CHECK_EQ(x2_read(APIC_ESR), 0);
    teardown();
}

TEST(level_interrupts_tell_the_ioapic)
{
    setup(1, true);
    lapic_raise(v, 0x70, true);
    CHECK_EQ(x2_read(APIC_TMR + 3), 1 << 16);
    take(0x70);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    CHECK_EQ(ioapic_eois, 1);
    CHECK_EQ(ioapic_eoi_vector, 0x70);
    lapic_raise(v, 0x70, false);
    take(0x70);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    CHECK_EQ(ioapic_eois, 1);
    teardown();
}

TEST(disabled_apic_takes_nothing)
{
    setup(1, true);
    CHECK_EQ(x2_write(APIC_SVR, 0xff), 0);
    CHECK(!lapic_enabled(v));
    lapic_raise(v, 0x40, false);
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(x2_write(APIC_LVT, 0x40), 0);
    CHECK_EQ(x2_read(APIC_LVT), 0x10040); /* stays masked */
    teardown();
}

/* --- x2APIC: what is #GP (SDM 3A 11.12) --- */

TEST(x2apic_gp_rules)
{
    static const struct {
        unsigned reg;
        bool readable;
        uint64_t good, bad; /* bad 0: any write is #GP */
    } rows[] = {
        {APIC_ID, true, 0, 0},
        {APIC_VERSION, true, 0, 0},
        {APIC_TPR, true, 0xff, 0x100},
        {0x09, false, 0, 0},
        {APIC_PPR, true, 0, 0},
        {APIC_EOI, false, 0, 1},
        {0x0c, false, 0, 0},
        {APIC_LDR, true, 0, 0},
        {APIC_DFR, false, 0, 0},
        {APIC_SVR, true, 0x1ff, BIT(12)},
        {APIC_ISR, true, 0, 0},
        {APIC_TMR + 7, true, 0, 0},
        {APIC_IRR + 7, true, 0, 0},
        {APIC_ESR, true, 0, 1},
        {0x29, false, 0, 0},
        {0x2f, false, 0, 0},
        {APIC_ICR, true, 0x40000, BIT(20)},
        {APIC_ICR, true, 0x40000, BIT(12)},
        {APIC_ICR2, false, 0, 0},
        {APIC_LVT, true, 0x750ff, BIT(19)}, /* two read-only bits */
        {APIC_LVT + 1, true, 0x107ff, BIT(17)},
        {APIC_LVT + 3, true, 0x1a7ff, BIT(11)},
        {APIC_LVT + 5, true, 0x100ff, BIT(8)},
        {APIC_TMICT, true, 0xffffffff, BIT(32)},
        {APIC_TMCCT, true, 0, 0},
        {0x3a, false, 0, 0},
        {APIC_TDCR, true, 0xb, 4},
        {APIC_SELF, false, 0xff, 0x100},
        {0x40, false, 0, 0},
        {0xff, false, 0, 0},
    };
    uint64_t val;

    setup(1, true);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_EQ(lapic_msr_read(v, X2(rows[i].reg), &val), rows[i].readable ? 0 : -EINVAL);
        CHECK_EQ(x2_write(rows[i].reg, rows[i].bad), -EINVAL);
        if (rows[i].bad)
            CHECK_EQ(x2_write(rows[i].reg, rows[i].good), 0);
    }
    teardown();
}

TEST(mode_changes)
{
    static const struct {
        uint64_t from, to;
        int err;
    } rows[] = {
        {APIC_BASE_EN, APIC_BASE_EN | APIC_BASE_EXTD, 0},
        {APIC_BASE_EN, 0, 0},
        {APIC_BASE_EN, APIC_BASE_EXTD, -EINVAL},
        {0, APIC_BASE_EN, 0},
        {0, APIC_BASE_EN | APIC_BASE_EXTD, -EINVAL},
        {0, APIC_BASE_EXTD, -EINVAL},
        {APIC_BASE_EN | APIC_BASE_EXTD, 0, 0},
        {APIC_BASE_EN | APIC_BASE_EXTD, APIC_BASE_EN, -EINVAL},
        {APIC_BASE_EN | APIC_BASE_EXTD, APIC_BASE_EN | APIC_BASE_EXTD, 0},
    };
    uint64_t val;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        setup(1, false);
        v->lapic->base = GPA_LAPIC | APIC_BASE_BSP | rows[i].from;
        CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC | rows[i].to), rows[i].err);
        CHECK_EQ(lapic_msr_read(v, MSR_APIC_BASE, &val), 0);
        CHECK_EQ(val, GPA_LAPIC | APIC_BASE_BSP | (rows[i].err ? rows[i].from : rows[i].to));
        teardown();
    }
    setup(1, false);
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, 0xfed00000 | APIC_BASE_EN), -EINVAL);
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC | APIC_BASE_EN | 1), -EINVAL);
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC | APIC_BASE_EN | BIT(52)), -EINVAL);
    CHECK_EQ(lapic_msr_read(v, X2(APIC_TPR), &val), -EINVAL); /* not in xAPIC mode */
    CHECK_EQ(lapic_msr_write(v, X2(APIC_EOI), 0), -EINVAL);
    lapic_raise(v, 0x50, false);
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC), 0); /* off: forgets what was pending */
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC | APIC_BASE_EN), 0);
    CHECK_EQ(lapic_pending(v), -1);
    teardown();
}

/* --- xAPIC page --- */

TEST(xapic_page)
{
    setup(2, false);
    v = &fake_vm.vcpu[1];
    CHECK_EQ(mmio_read(APIC_ID), 1 << 24);
    mmio_write(APIC_ID, 5 << 24);
    CHECK_EQ(mmio_read(APIC_ID), 1 << 24);
    CHECK_EQ(mmio_read(APIC_VERSION), 0x50014);
    mmio_write(APIC_LDR, 0x02ffffff);
    CHECK_EQ(mmio_read(APIC_LDR), 0x02000000);
    CHECK_EQ(mmio_read(APIC_DFR), 0xffffffff);
    mmio_write(APIC_DFR, 0);
    CHECK_EQ(mmio_read(APIC_DFR), 0x0fffffff);
    mmio_write(APIC_TDCR, 0xffffffff);
    CHECK_EQ(mmio_read(APIC_TDCR), 0xb);
    CHECK_EQ(fake_io_read(v, IO_MEM, GPA_LAPIC + 0x30, 2), 0xffff); /* only whole registers */
    CHECK_EQ(fake_io_read(v, IO_MEM, GPA_LAPIC + 0x34, 4), 0xffffffff);
    CHECK_EQ(mmio_read(0x3a), 0);
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, BASE_X2), 0);
    CHECK_EQ(mmio_read(APIC_VERSION), 0xffffffff); /* no page in x2APIC mode */
    teardown();
}

TEST(creation_fails_clean)
{
    setup(1, false);
    struct vcpu other = {.vm = &fake_vm.vm};

    fake_vm.register_fails_after = 1;
    CHECK_EQ(lapic_create(&other), -ENOSPC);
    heap_free(other.lapic, sizeof(*other.lapic));
    fake_heap_fail_after = 0;
    CHECK_EQ(lapic_create(&other), -ENOMEM);
    fake_heap_fail_after = -1;
    teardown();
}

/* --- destinations --- */

/* Mask of the vCPUs that have vector 0x55 waiting. */
static unsigned got(void)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < fake_vm.vm.nvcpus; i++) {
        mask |= (unsigned)(lapic_pending(&fake_vm.vcpu[i]) == 0x55) << i;
        fake_vm.vcpu[i].lapic->reg[APIC_IRR + 2] = 0;
    }
    return mask;
}

TEST(x2apic_icr_destinations)
{
    static const struct {
        uint64_t icr;
        unsigned mask;
    } rows[] = {
        {0x0000000100000055, 0x2}, {0x0000000300000055, 0x8},
        {0x0000000400000055, 0x0}, {0x0001000000000055, 0x0},
        {0xffffffff00000055, 0xf}, {0x000000ff00000055, 0x0}, /* 8-bit broadcast is not one here */
        {0x0000000000040055, 0x1}, {0x0000000000040855, 0x1}, /* shorthands: self, all, others */
        {0x0000000000080055, 0xf}, {0x00000000000c0055, 0xe},
        {0x0000000600000855, 0x6}, /* logical: cluster 0, members 1 and 2 */
        {0x0001000600000855, 0x0}, {0xffffffff00000855, 0xf},
        {0x0000000c00000155, 0x0}, /* lowest priority, physical 12 */
        {0x0000000c00000955, 0x4},
    };

    setup(4, true);
    CHECK_EQ(x2_read(APIC_LDR), 1);
    CHECK_EQ(fake_vm.vcpu[3].lapic->reg[APIC_ID], 3);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_EQ(x2_write(APIC_ICR, rows[i].icr), 0);
        CHECK_EQ(got(), rows[i].mask);
    }
    CHECK_EQ(x2_read(APIC_ICR), 0x0000000c00000955);
    CHECK_EQ(x2_write(APIC_SELF, 0x55), 0);
    CHECK_EQ(got(), 1);
    teardown();
}

TEST(xapic_icr_destinations)
{
    static const struct {
        uint32_t dfr, high, low;
        unsigned mask;
    } rows[] = {
        {0xffffffff, 0x02000000, 0x55, 0x4},  {0xffffffff, 0xff000000, 0x55, 0xf},
        {0xffffffff, 0x0a000000, 0x855, 0xa},                                       /* flat */
        {0xffffffff, 0xff000000, 0x855, 0xf}, {0x0fffffff, 0x03000000, 0x855, 0x3}, /* cluster 0 */
        {0x0fffffff, 0x13000000, 0x855, 0x0}, {0x0fffffff, 0xf4000000, 0x855, 0x4}, /* in all clusters */
    };

    setup(4, false);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned j = 0; j < 4; j++) {
            fake_vm.vcpu[j].lapic->reg[APIC_LDR] = BIT32(24 + j);
            fake_vm.vcpu[j].lapic->reg[APIC_DFR] = rows[i].dfr;
        }
        mmio_write(APIC_ICR2, rows[i].high);
        mmio_write(APIC_ICR, rows[i].low);
        CHECK_EQ(got(), rows[i].mask);
    }
    CHECK_EQ(mmio_read(APIC_ICR2), 0xf4000000);
    CHECK_EQ(mmio_read(APIC_ICR), 0x855);
    teardown();
}

TEST(startup_messages)
{
    setup(3, true);
    CHECK_EQ(x2_write(APIC_ICR, 0x0000000100004500), 0); /* INIT */
    CHECK_EQ(fake_vm.vcpu[1].requests, VCPU_REQ_INIT);
    CHECK_EQ(x2_write(APIC_ICR, 0x000000010000469a), 0); /* start-up */
    CHECK_EQ(fake_vm.vcpu[1].requests, VCPU_REQ_INIT | VCPU_REQ_SIPI);
    CHECK_EQ(fake_vm.vcpu[1].sipi_vector, 0x9a);
    CHECK_EQ(x2_write(APIC_ICR, 0x0000000200008500), 0); /* INIT level de-assert */
    CHECK_EQ(fake_vm.vcpu[2].requests, 0);
    CHECK_EQ(x2_write(APIC_ICR, 0x00000000000c4400), 0); /* NMI to the others */
    CHECK(fake_vm.vcpu[1].nmi_pending && fake_vm.vcpu[2].nmi_pending && !v->nmi_pending);
    CHECK_EQ(x2_write(APIC_ICR, 0x0000000000044500), 0); /* INIT to oneself by shorthand: not valid */
    CHECK_EQ(v->requests & VCPU_REQ_INIT, 0);
    teardown();
}

TEST(lowest_priority_picks_the_least_busy)
{
    setup(3, true);
    lapic_set_tpr(&fake_vm.vcpu[0], 0x30);
    lapic_set_tpr(&fake_vm.vcpu[2], 0x10);
    lapic_set_tpr(&fake_vm.vcpu[1], 0x20);
    lapic_message(&fake_vm.vm, 0xfee07004, 0x155);
    CHECK_EQ(got(), 4);
    fake_vm.vcpu[2].lapic->reg[APIC_SVR] = 0xff;
    lapic_message(&fake_vm.vm, 0xfee0700c, 0x055); /* fixed with the redirection hint */
    CHECK_EQ(got(), 2);
    teardown();
}

TEST(interrupt_messages)
{
    static const struct {
        uint64_t address;
        uint32_t data;
        unsigned mask, complaints;
    } rows[] = {
        {0xfee02000, 0x55, 0x4, 0},  {0xfeeff000, 0x55, 0xf, 0},  {0xfee05004, 0x55, 0x5, 0},
        {0xfee09000, 0x55, 0x0, 0},  {0xfef02000, 0x55, 0x0, 1},  /* not the address of messages */
        {0x1fee02000, 0x55, 0x0, 1}, {0xfee02000, 0x255, 0x0, 1}, /* SMI */
        {0xfee02000, 0x555, 0x0, 1},                              /* INIT */
        {0xfee02000, 0x755, 0x0, 1},                              /* ExtINT */
    };

    setup(4, true);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_vm.complaints = 0;
        lapic_message(&fake_vm.vm, rows[i].address, rows[i].data);
        CHECK_EQ(got(), rows[i].mask);
        CHECK_EQ(fake_vm.complaints, rows[i].complaints);
    }
    lapic_message(&fake_vm.vm, 0xfee02000, 0x400);
    CHECK(fake_vm.vcpu[2].nmi_pending);
    teardown();
}

TEST(routes)
{
    static const struct {
        uint64_t address;
        uint32_t data;
        int vcpu; /* -1: none, or several */
    } rows[] = {
        {0xfee02000, 0x55, 2},  {0xfeeff000, 0x55, -1}, {0xfee05004, 0x55, -1},  {0xfee04004, 0x55, 2},
        {0xfee06004, 0x155, 1}, {0xfee02000, 0x05, -1}, {0xfee02000, 0x455, -1}, {0xfee02000, 0x8055, -1},
        {0xfee20000, 0x55, -1}, {0xfed02000, 0x55, -1},
    };

    setup(4, true);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vcpu *to = NULL;
        uint8_t vector = 0;
        bool ok = lapic_route(&fake_vm.vm, rows[i].address, rows[i].data, &to, &vector);

        CHECK_EQ(ok, rows[i].vcpu >= 0);
        if (ok) {
            CHECK_EQ(to->id, rows[i].vcpu);
            CHECK_EQ(vector, 0x55);
        }
    }
    CHECK_EQ(got(), 0);
    teardown();
}

/* --- timer --- */

TEST(one_shot_timer)
{
    setup(1, true);
    CHECK_EQ(x2_write(APIC_LVT, 0x40), 0);
    CHECK_EQ(x2_write(APIC_TDCR, 0x3), 0); /* by 16 */
    CHECK_EQ(x2_write(APIC_TMICT, 1000), 0);
    pass(8000);
    CHECK_EQ(x2_read(APIC_TMCCT), 500);
    pass(7999);
    CHECK_EQ(lapic_pending(v), -1);
    pass(1);
    take(0x40);
    CHECK_EQ(x2_read(APIC_TMCCT), 0);
    CHECK_EQ(x2_read(APIC_TMICT), 1000);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    pass(NS_PER_S);
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(x2_write(APIC_TMICT, 1000), 0);
    CHECK_EQ(x2_write(APIC_TMICT, 0), 0); /* stops it */
    pass(NS_PER_S);
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(x2_write(APIC_LVT, 0x10040), 0); /* masked: counts, but says nothing */
    CHECK_EQ(x2_write(APIC_TMICT, 1000), 0);
    pass(NS_PER_S);
    CHECK_EQ(lapic_pending(v), -1);
    teardown();
}

/* As a record of one that had run out has it (vm/migrate/state.c). */
TEST(a_timer_that_has_run_out_becomes_periodic)
{
    setup(1, true);
    CHECK_EQ(x2_write(APIC_LVT, 0x40), 0);
    apic_timer_start(v->lapic, 1000000, 0);
    CHECK_EQ(x2_read(APIC_TMICT), 1000000);
    CHECK_EQ(x2_write(APIC_LVT, 0x20040), 0);
    pass(500);
    CHECK(x2_read(APIC_TMCCT) <= 1000000);
    teardown();
}

TEST(divide_configuration)
{
    static const uint8_t shift[] = {1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 0};

    setup(1, true);
    for (unsigned i = 0; i < 12; i++) {
        if (i & 4)
            continue;
        CHECK_EQ(x2_write(APIC_TDCR, i), 0);
        CHECK_EQ(x2_write(APIC_TMICT, 10), 0);
        CHECK_EQ(v->lapic->expiry_ns - fake_now_ns, 10u << shift[i]);
    }
    teardown();
}

TEST(periodic_timer)
{
    setup(1, true);
    CHECK_EQ(x2_write(APIC_LVT, 0x20040), 0);
    CHECK_EQ(x2_write(APIC_TDCR, 0xb), 0);
    CHECK_EQ(x2_write(APIC_TMICT, 1000000), 0);
    for (unsigned i = 0; i < 5; i++) {
        pass(1000000);
        take(0x40);
        CHECK_EQ(x2_write(APIC_EOI, 0), 0);
        CHECK_EQ(x2_read(APIC_TMCCT), 1000000);
    }
    pass(250000);
    CHECK_EQ(x2_read(APIC_TMCCT), 750000);
    CHECK_EQ(x2_write(APIC_TMICT, 1), 0); /* a storm is stretched */
    CHECK_EQ(v->lapic->period_ns, APIC_PERIOD_MIN_NS);
    CHECK_EQ(next_expiry(100, 10, 99), 100);
    CHECK_EQ(next_expiry(100, 10, 100), 110);
    CHECK_EQ(next_expiry(100, 10, 1005), 1010);
    fake_now_ns += 10 * NS_PER_S; /* the CPU was away: no burst afterwards */
    fake_time_advance(0);
    CHECK(v->lapic->timer.deadline_ns > fake_now_ns);
    CHECK(v->lapic->timer.deadline_ns <= fake_now_ns + APIC_PERIOD_MIN_NS);
    teardown();
}

TEST(tsc_deadline_timer)
{
    uint64_t val;

    setup(1, true);
    v->tsc_offset = (uint64_t)-500;                                      /* guest TSC = TSC - 500 */
    CHECK_EQ(lapic_msr_write(v, MSR_TSC_DEADLINE, fake_tsc + 10000), 0); /* another mode: ignored */
    CHECK(!v->lapic->timer.armed);
    CHECK_EQ(x2_write(APIC_LVT, 0x40040), 0);
    CHECK_EQ(lapic_msr_write(v, MSR_TSC_DEADLINE, fake_tsc - 500 + 10000), 0);
    CHECK_EQ(lapic_msr_read(v, MSR_TSC_DEADLINE, &val), 0);
    CHECK_EQ(val, fake_tsc + 9500);
    pass(9999);
    CHECK_EQ(lapic_pending(v), -1);
    pass(1);
    take(0x40);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    CHECK_EQ(lapic_msr_read(v, MSR_TSC_DEADLINE, &val), 0);
    CHECK_EQ(val, 0);
    CHECK_EQ(lapic_msr_write(v, MSR_TSC_DEADLINE, 1), 0); /* long past */
    take(0x40);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    CHECK_EQ(lapic_msr_write(v, MSR_TSC_DEADLINE, fake_tsc + 10000), 0);
    CHECK_EQ(lapic_msr_write(v, MSR_TSC_DEADLINE, 0), 0); /* disarms */
    pass(NS_PER_S);
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(lapic_msr_write(v, MSR_TSC_DEADLINE, ~(uint64_t)0), 0); /* centuries: no overflow */
    CHECK(v->lapic->timer.deadline_ns > fake_now_ns + 3600 * NS_PER_S);
    CHECK_EQ(x2_write(APIC_TMICT, 5), 0); /* ignored in this mode */
    CHECK_EQ(x2_read(APIC_TMICT), 0);
    CHECK_EQ(x2_write(APIC_LVT, 0x40), 0); /* leaving the mode disarms */
    CHECK(!v->lapic->timer.armed);
    teardown();
}

TEST(tsc_write_moves_the_deadline)
{
    setup(1, true);
    CHECK_EQ(x2_write(APIC_LVT, 0x40040), 0);
    CHECK_EQ(lapic_msr_write(v, MSR_TSC_DEADLINE, fake_tsc + 10000), 0);
    v->tsc_offset = 9000;
    lapic_tsc_changed(v);
    pass(1000);
    take(0x40);
    v->tsc_offset = 0;
    lapic_tsc_changed(v); /* it has fired: does not come back */
    CHECK(!v->lapic->timer.armed);
    teardown();
}

TEST(reset_forgets)
{
    setup(2, true);
    CHECK_EQ(x2_write(APIC_LVT, 0x20040), 0);
    CHECK_EQ(x2_write(APIC_TMICT, 100), 0);
    lapic_raise(v, 0x99, false);
    take(0x99);
    lapic_raise(v, 0x45, true);
    lapic_reset(v);
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(v->lapic->base, GPA_LAPIC | APIC_BASE_EN | APIC_BASE_BSP);
    CHECK_EQ(mmio_read(APIC_SVR), 0xff);
    CHECK_EQ(mmio_read(APIC_PPR), 0);
    CHECK_EQ(mmio_read(APIC_LVT), 0x10000);
    CHECK(!v->lapic->timer.armed);
    lapic_reset(&fake_vm.vcpu[1]);
    CHECK_EQ(fake_vm.vcpu[1].lapic->base, GPA_LAPIC | APIC_BASE_EN);
    teardown();
}

/* --- paravirtual EOI --- */

static uint32_t *eoi_word(void)
{
    return p2m_ram(&fake_vm.vm.p2m, gpa(0x1000), 4);
}

TEST(pv_eoi_addresses)
{
    setup(1, true);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0x1001), 0);
    CHECK_EQ(v->pv_eoi_gpa, 0x1001);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0x1003), -EINVAL);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0x200001), -EINVAL); /* beyond RAM */
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, GPA_LAPIC | 1), -EINVAL);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, ~(uint64_t)2), -EINVAL);
    CHECK_EQ(v->pv_eoi_gpa, 0x1001);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0), 0);
    CHECK(!v->lapic->pv_eoi);
    teardown();
}

TEST(pv_eoi_offer_and_answer)
{
    setup(1, true);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0x1001), 0);
    lapic_raise(v, 0x40, false);
    take(0x40);
    CHECK(v->pv_eoi_armed);
    CHECK_EQ(*eoi_word(), 1);
    *eoi_word() = 0; /* the guest's EOI */
    lapic_pv_eoi_sync(v);
    CHECK(!v->pv_eoi_armed);
    CHECK_EQ(v->lapic->isr_words, 0);

    lapic_raise(v, 0x41, false);
    take(0x41);
    lapic_pv_eoi_sync(v); /* not yet: taken back */
    CHECK_EQ(*eoi_word(), 0);
    CHECK_EQ(x2_read(APIC_PPR), 0x40);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    CHECK_EQ(x2_read(APIC_PPR), 0);
    teardown();
}

TEST(pv_eoi_is_not_offered)
{
    setup(1, true);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0x1001), 0);
    lapic_raise(v, 0x40, true); /* level */
    take(0x40);
    CHECK(!v->pv_eoi_armed);
    lapic_raise(v, 0x60, false); /* something in service below */
    take(0x60);
    CHECK(!v->pv_eoi_armed);
    CHECK_EQ(*eoi_word(), 0);
    teardown();
}

/* --- left to the CPU --- */

TEST(queued_and_delivered)
{
    setup(1, true);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0x1001), 0);
    lapic_raise(v, 0x60, false);
    CHECK_EQ(v->lapic->isr_words, 0);
    lapic_queue(v, 0x60);
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(*eoi_word(), 1);
    lapic_raise(v, 0x60, false); /* again, after the delivery: not lost */
    *eoi_word() = 0;
    lapic_unqueue(v, 0x60, true);
    CHECK(v->lapic->isr_words);
    lapic_pv_eoi_sync(v);
    CHECK_EQ(v->lapic->isr_words, 0);
    take(0x60);
    teardown();
}

TEST(queued_and_taken_back)
{
    setup(1, true);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0x1001), 0);
    lapic_raise(v, 0x60, false);
    lapic_queue(v, 0x60);
    lapic_unqueue(v, 0x60, false);
    lapic_pv_eoi_sync(v);
    CHECK_EQ(*eoi_word(), 0);
    CHECK_EQ(v->lapic->isr_words, 0);
    lapic_raise(v, 0x41, false);
    take(0x60);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    lapic_queue(v, 0x41);
    *eoi_word() = 0; /* an EOI of nothing ends nothing */
    lapic_unqueue(v, 0x41, false);
    CHECK(v->pv_eoi_armed);
    lapic_pv_eoi_sync(v);
    take(0x41);
    teardown();
}

TEST(queued_with_others_behind)
{
    setup(1, true);
    CHECK_EQ(lapic_pv_eoi_write(v, MSR_KVM_PV_EOI, 0x1001), 0);
    lapic_raise(v, 0x60, false);
    lapic_raise(v, 0x61, false);
    lapic_queue(v, 0x61);
    CHECK(!v->pv_eoi_armed); /* its end must be seen */
    lapic_unqueue(v, 0x61, true);
    CHECK_EQ(lapic_pending(v), -1);
    CHECK_EQ(x2_write(APIC_EOI, 0), 0);
    take(0x60);
    teardown();
}

TEST_MAIN()
