/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/emul/lapic_lend.c with the emulated APIC and a model of the CPU's own: nothing is lost or doubled when the state moves. */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/platform.c"
#include "tests/unit/fake/time.c"

#include "vm/emul/lapic.c"
#include "vm/emul/lapic_lend.c"
#include "vm/emul/lapic_message.c"

#include "vm/emul/lapic_timer.c"

void ioapic_eoi(struct vm *vm, uint8_t vector)
{
    (void)vm, (void)vector;
}

/* --- the CPU's APIC: registers, requests taken in the window, ends --- */

static struct {
    uint32_t reg[APIC_REGS];
    unsigned writes;
} hw;

static uint64_t hw_rdmsr(uint32_t msr)
{
    CHECK(msr >= MSR_X2APIC_FIRST && msr < MSR_X2APIC_FIRST + APIC_REGS);
    return hw.reg[msr - MSR_X2APIC_FIRST];
}

static int hw_highest(unsigned reg)
{
    for (int i = 255; i >= 0; i--)
        if (hw.reg[reg + (unsigned)i / 32] >> (i % 32) & 1)
            return i;
    return -1;
}

static void hw_flip(unsigned reg, int vector)
{
    hw.reg[reg + (unsigned)vector / 32] ^= 1u << (vector % 32);
}

static void hw_wrmsr(uint32_t msr, uint64_t val)
{
    unsigned reg = msr - MSR_X2APIC_FIRST;

    CHECK(reg < APIC_REGS && val >> 32 == 0);
    hw.writes++;
    if (reg == APIC_SELF) {
        CHECK(val < 32 || !(hw.reg[APIC_IRR + val / 32] >> val % 32 & 1)); /* else it is lost */
        hw.reg[APIC_IRR + val / 32] |= 1u << val % 32;
    } else if (reg == APIC_EOI) {
        CHECK(hw_highest(APIC_ISR) >= 0);
        hw_flip(APIC_ISR, hw_highest(APIC_ISR));
    } else {
        hw.reg[reg] = (uint32_t)val;
        if (reg == APIC_TMICT)
            hw.reg[APIC_TMCCT] = (uint32_t)val;
    }
}

static bool
    late_kick; /* an NMI comes right behind the window, and the host makes an interrupt of it if nobody has the APIC */

/* The host's window: each request goes where the kernel sends it, unless something holds it up. */
static void window(void)
{
    int vector;

    while ((vector = hw_highest(APIC_IRR)) >= 0 && (uint32_t)vector / 16 > hw.reg[APIC_TPR] / 16 &&
           hw_highest(APIC_ISR) < 0) {
        hw_flip(APIC_IRR, vector);
        CHECK(vector >= 32); /* the host would take it for an exception */
        if (cpu_this()->collect)
            cpu_this()->collect(cpu_this()->collect_arg, (uint8_t)vector);
        else
            CHECK_EQ(vector, VECTOR_KICK);
    }
    if (late_kick && !cpu_this()->collect)
        hw_flip(APIC_IRR, VECTOR_KICK);
}

static unsigned holds, routes;

void assign_reroute(struct vm *vm, bool hold)
{
    (void)vm;
    if (!hold) {
        CHECK_EQ(holds, ++routes);
        return;
    }
    CHECK_EQ(holds, routes);
    CHECK(!fake_vm.vcpu[0].lent || !cpu_this()->collect || cpu_this()->collect == drop);
    holds++;
}

static struct vcpu *v;

static void setup(void)
{
    struct vm *vm = fake_vm_init(1);

    memset(&hw, 0, sizeof(hw));
    memset(&fake_hvm, 0, sizeof(fake_hvm));
    hw.reg[APIC_SVR] = SVR_ENABLE | VECTOR_SPURIOUS;
    holds = routes = 0;
    fake_now_ns = fake_tsc = NS_PER_S;
    fake_time_step_ns = 0;
    fake_rdmsr = hw_rdmsr;
    fake_wrmsr = hw_wrmsr;
    fake_on_interrupts = window;
    fake_this_cpu(1);
    cpu_set_apart(1);
    CHECK_EQ(fake_p2m_init(&vm->p2m, 2 << 20), 0);
    v = &fake_vm.vcpu[0];
    v->own_cpu = true;
    CHECK_EQ(lapic_create(v), 0);
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC | APIC_BASE_EN | APIC_BASE_EXTD), 0);
    CHECK_EQ(lapic_msr_write(v, MSR_X2APIC_FIRST + APIC_SVR, SVR_ENABLE | 0xff), 0);
}

static void teardown(void)
{
    lapic_take_back(v);
    apic_timer_stop(v->lapic);
    heap_free(v->lapic, sizeof(*v->lapic));
    fake_p2m_destroy(&fake_vm.vm.p2m);
    CHECK_EQ(fake_heap_out, 0);
    CHECK(list_empty(&fake_timers));
}

static void x2_write(unsigned reg, uint64_t val)
{
    CHECK_EQ(lapic_msr_write(v, MSR_X2APIC_FIRST + reg, val), 0);
}

TEST(state_goes_and_comes_back)
{
    setup();
    lapic_set_tpr(v, 0x20);
    lapic_raise(v, 0x51, false);
    hw_flip(APIC_IRR, VECTOR_KICK); /* from before: the guest must not see it */
    late_kick = true;
    lapic_lend(v);
    late_kick = false;
    CHECK(v->lent && fake_hvm.lent && cpu_this()->collect == collect);
    CHECK_EQ(routes, 1);
    CHECK_EQ(hw.reg[APIC_TPR], 0x20);
    CHECK_EQ(hw_highest(APIC_IRR), 0x51);
    hw_flip(APIC_IRR, 0x51);
    CHECK_EQ(hw_highest(APIC_IRR), -1);
    CHECK_EQ(lapic_pending(v), -1);
    /* In the guest: 0x51 in service, 0x61 and what looks like a kick requested, the priority raised. */
    hw_flip(APIC_ISR, 0x51);
    hw_flip(APIC_IRR, 0x61);
    hw_flip(APIC_IRR, VECTOR_KICK);
    hw.reg[APIC_TPR] = 0x40;
    lapic_take_back(v);
    CHECK(!v->lent && !fake_hvm.lent && !cpu_this()->collect);
    CHECK_EQ(routes, 2);
    CHECK_EQ(hw_highest(APIC_IRR), -1);
    CHECK_EQ(hw_highest(APIC_ISR), -1);
    CHECK_EQ(hw.reg[APIC_TPR], TPR_HOST);
    CHECK_EQ(hw.reg[APIC_SVR], SVR_ENABLE | VECTOR_SPURIOUS);
    CHECK_EQ(hw.reg[APIC_LVTT], LVT_MASKED);
    CHECK_EQ(apic_get(v->lapic, APIC_TPR), 0x40);
    CHECK_EQ(apic_get(v->lapic, APIC_PPR), 0x50);
    CHECK_EQ(apic_highest_irr(v->lapic), VECTOR_KICK);
    lapic_lend(v);
    CHECK(!v->lent); /* something is in service */
    x2_write(APIC_EOI, 0);
    lapic_lend(v);
    CHECK(v->lent);
    CHECK_EQ(hw_highest(APIC_IRR), VECTOR_KICK);
    hw_flip(APIC_IRR, VECTOR_KICK);
    CHECK_EQ(hw_highest(APIC_IRR), 0x61);
    teardown();
}

TEST(a_one_shot_timer_goes_on_on_either_side)
{
    setup();
    x2_write(APIC_LVTT, 0xec);
    x2_write(APIC_TDCR, 0xb);
    x2_write(APIC_TMICT, 1000000);
    fake_time_advance(400000);
    lapic_lend(v);
    CHECK_EQ(hw.reg[APIC_TMICT], 600000);
    CHECK_EQ(hw.reg[APIC_LVTT], 0xec);
    CHECK_EQ(hw.reg[APIC_TDCR], 0xb);
    CHECK(list_empty(&fake_timers));
    hw.reg[APIC_TMCCT] = 100000;
    lapic_take_back(v);
    CHECK_EQ(hw.reg[APIC_TMICT], 0);
    CHECK_EQ(apic_timer_count(v->lapic), 100000);
    fake_time_advance(100001);
    CHECK_EQ(apic_highest_irr(v->lapic), 0xec);
    lapic_lend(v);
    CHECK_EQ(hw_highest(APIC_IRR), 0xec);
    CHECK_EQ(hw.reg[APIC_TMICT], 0); /* it does not start again */
    lapic_take_back(v);
    CHECK(list_empty(&fake_timers));
    teardown();
}

/* The CPU's count is 0 before its interrupt is there, and taking the timer back ends what has not come. */
TEST(a_timer_that_is_over_but_has_not_come_yet_still_comes)
{
    setup();
    x2_write(APIC_LVTT, 0xec);
    x2_write(APIC_TDCR, 0xb);
    lapic_lend(v);
    hw.reg[APIC_TMICT] = 5000, hw.reg[APIC_TMCCT] = 0;
    lapic_take_back(v);
    fake_time_advance(2);
    CHECK_EQ(apic_highest_irr(v->lapic), 0xec);
    teardown();
}

TEST(a_timer_that_is_over_but_has_not_been_told_still_comes)
{
    setup();
    x2_write(APIC_LVTT, 0xec);
    x2_write(APIC_TDCR, 0xb);
    x2_write(APIC_TMICT, 1000);
    fake_now_ns += 5000; /* its handler runs later */
    lapic_lend(v);
    CHECK_EQ(hw.reg[APIC_TMICT], 1);
    teardown();
}

TEST(a_periodic_timer_keeps_its_period)
{
    setup();
    x2_write(APIC_LVTT, 0x200ec);
    x2_write(APIC_TDCR, 0xb);
    x2_write(APIC_TMICT, 1000000);
    fake_time_advance(1500000);
    lapic_lend(v);
    CHECK_EQ(hw.reg[APIC_TMICT], 1000000);
    CHECK_EQ(hw.reg[APIC_LVTT], 0x200ec);
    hw.reg[APIC_TMCCT] = 0;
    hw_flip(APIC_IRR, hw_highest(APIC_IRR));
    lapic_take_back(v);
    CHECK_EQ(apic_highest_irr(v->lapic), -1);
    fake_time_advance(1000001);
    CHECK_EQ(apic_highest_irr(v->lapic), 0xec);
    teardown();
}

TEST(what_needs_help_is_not_lent)
{
    setup();
    v->halted = true;
    lapic_lend(v);
    CHECK(!v->lent);
    v->halted = false;
    lapic_raise(v, 0x71, true); /* its end is reported */
    lapic_lend(v);
    CHECK(!v->lent);
    lapic_raise(v, 0x71, false);
    for (unsigned mode = 2; mode < 4; mode++) {
        x2_write(APIC_LVTT, mode << 17 | 0xec);
        lapic_lend(v);
        CHECK(!v->lent);
    }
    x2_write(APIC_LVTT, 0xec);
    v->pv_eoi_armed = true;
    lapic_lend(v);
    CHECK(!v->lent);
    v->pv_eoi_armed = false;
    fake_hvm.cannot_lend = true;
    hw.writes = 0;
    lapic_lend(v);
    CHECK(!v->lent);
    CHECK_EQ(hw.writes, 0);
    fake_hvm.cannot_lend = false;
    lapic_lend(v);
    CHECK(v->lent);
    lapic_raise(v, 0x72, true);
    lapic_lend(v);
    CHECK(!v->lent);
    CHECK_EQ(apic_highest_irr(v->lapic), 0x72);
    teardown();
}

TEST(it_comes_back_when_the_guest_switches_its_apic_off)
{
    setup();
    lapic_lend(v);
    hw_flip(APIC_IRR, 0x33);
    x2_write(APIC_SVR, 0xff);
    CHECK(!v->lent);
    lapic_lend(v);
    CHECK(!v->lent);
    x2_write(APIC_SVR, SVR_ENABLE | 0xfe);
    lapic_lend(v);
    CHECK(v->lent);
    CHECK_EQ(hw.reg[APIC_SVR], SVR_ENABLE | 0xfe);
    CHECK_EQ(hw_highest(APIC_IRR), 0x33);
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC), 0);
    CHECK(!v->lent);
    CHECK_EQ(hw_highest(APIC_IRR), -1);
    lapic_lend(v);
    CHECK(!v->lent);
    teardown();
}

TEST(a_request_that_looks_like_an_exception_never_reaches_the_host)
{
    setup();
    lapic_lend(v);
    hw_flip(APIC_IRR, 18);
    x2_write(APIC_SVR, 0xff);
    CHECK_EQ(apic_highest_irr(v->lapic), -1);
    window();
    x2_write(APIC_SVR, SVR_ENABLE | 0xff);
    lapic_lend(v);
    CHECK(v->lent);
    CHECK_EQ(hw_highest(APIC_IRR), 18);
    CHECK_EQ(apic_highest_irr(v->lapic), -1);
    teardown();
}

TEST(the_timer_entry_is_checked_on_its_way)
{
    setup();
    lapic_lend(v);
    x2_write(APIC_LVTT, 0xec);
    CHECK(v->lent);
    CHECK_EQ(hw.reg[APIC_LVTT], 0xec);
    CHECK_EQ(lapic_msr_write(v, MSR_X2APIC_FIRST + APIC_LVTT, 0x2ec), -EINVAL); /* an SMI */
    CHECK_EQ(hw.reg[APIC_LVTT], 0xec);
    x2_write(APIC_LVTT, 2u << 17 | 0xec);
    CHECK(!v->lent);
    CHECK_EQ(hw.reg[APIC_LVTT], LVT_MASKED);
    teardown();
}

static void raise_level(void)
{
    fake_on_interrupts = window;
    window();
    lapic_raise(v, 0x73, true); /* after it was decided that the APIC can be lent */
}

TEST(a_level_interrupt_that_comes_while_it_is_lent_is_not_handed_on)
{
    setup();
    fake_on_interrupts = raise_level;
    lapic_lend(v);
    CHECK(!v->lent);
    CHECK_EQ(hw_highest(APIC_IRR), -1);
    CHECK_EQ(apic_highest_irr(v->lapic), 0x73);
    teardown();
}

TEST(an_nmi_has_it_taken_back)
{
    setup();
    lapic_lend(v);
    v->nmi_pending = true;
    lapic_lend(v);
    CHECK(!v->lent);
    v->nmi_pending = false;
    lapic_lend(v);
    CHECK(v->lent);
    teardown();
}

static bool has(const uint32_t bits[8], unsigned vector)
{
    return bits[vector / 32] >> vector % 32 & 1;
}

TEST(interrupts_are_delegated_and_come_back)
{
    setup();
    CHECK(!lapic_delegate(v)); /* the CPU cannot */
    hvm_cpu.delegates = true;
    lapic_set_tpr(v, 0x20);
    lapic_raise(v, 0x71, false);
    apic_unrequest(v->lapic, 0x71);
    apic_in_service(v->lapic, 0x71);
    lapic_raise(v, 0x51, false);
    CHECK(lapic_delegate(v) && v->delegated);
    CHECK(has(fake_hvm.delegated.requested, 0x51) && has(fake_hvm.delegated.in_service, 0x71));
    CHECK_EQ(apic_highest_irr(v->lapic), -1);
    lapic_raise(v, 0x61, false); /* meanwhile, from another CPU */
    fake_hvm.delegated =
        (struct vm_interrupts){.requested = {[1] = 2}, .in_service = {[2] = BIT32(0x51 - 64)}};
    lapic_take_back(v);
    CHECK(!v->delegated);
    CHECK_EQ(apic_get(v->lapic, APIC_PPR), 0x50);
    CHECK_EQ(lapic_pending(v), 0x61);
    x2_write(APIC_EOI, 0);
    CHECK_EQ(apic_get(v->lapic, APIC_PPR), 0x20);
    apic_unrequest(v->lapic, 0x61);
    CHECK_EQ(lapic_pending(v), -1);             /* held back by the task priority, */
    CHECK_EQ(apic_highest_irr(v->lapic), 0x21); /* but there */
    hvm_cpu.delegates = false;
    teardown();
}

TEST(level_interrupts_are_not_delegated)
{
    setup();
    hvm_cpu.delegates = true;
    lapic_raise(v, 0x51, true);
    lapic_raise(v, 0x61, false);
    CHECK(!lapic_delegate(v) && !v->delegated);
    CHECK_EQ(lapic_pending(v), 0x61);
    apic_unrequest(v->lapic, 0x61);
    CHECK_EQ(lapic_pending(v), 0x51);
    apic_unrequest(v->lapic, 0x51);
    apic_in_service(v->lapic, 0x51);
    CHECK(!lapic_delegate(v));
    x2_write(APIC_EOI, 0);
    CHECK(lapic_delegate(v));
    hvm_cpu.delegates = false;
    teardown();
}

TEST(the_guest_switches_off_what_is_delegated)
{
    setup();
    hvm_cpu.delegates = true;
    lapic_raise(v, 0x51, false);
    CHECK(lapic_delegate(v));
    x2_write(APIC_SVR, 0xff);
    CHECK(!v->delegated && !lapic_delegate(v));
    CHECK_EQ(lapic_pending(v), 0x51);
    x2_write(APIC_SVR, SVR_ENABLE | 0xff);
    CHECK(lapic_delegate(v));
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC), 0); /* off: nothing of before is left */
    CHECK_EQ(lapic_msr_write(v, MSR_APIC_BASE, GPA_LAPIC | APIC_BASE_EN), 0);
    CHECK(!lapic_delegate(v)); /* xAPIC mode */
    CHECK_EQ(apic_highest_irr(v->lapic), -1);
    hvm_cpu.delegates = false;
    teardown();
}

TEST_MAIN()
