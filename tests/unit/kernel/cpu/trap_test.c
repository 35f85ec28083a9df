/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/log.c"

#include "kernel/cpu/trap.c"

#define EXC_PF 14

const char cpu_idle_hlt[1];
static bool spurious_in_service;
static unsigned timer_interrupts, eois, nmis, calls;

void time_interrupt(void)
{
    timer_interrupts++;
}

void panic_nmi(void)
{
    nmis++;
}

_Noreturn void panic_trap(const struct trap_frame *f)
{
    panic("trap %llu", (unsigned long long)f->vector);
}

static void count_eoi(uint32_t msr, uint64_t v)
{
    (void)v;
    eois += msr == MSR_X2APIC_EOI;
}

static uint64_t in_service(uint32_t msr)
{
    CHECK_EQ(msr, MSR_X2APIC_ISR_LAST);
    return spurious_in_service ? BIT(31) : 0;
}

static void handler(void *arg)
{
    CHECK_EQ(eois, 0); /* EOI comes after the handler */
    CHECK(arg == &calls);
    calls++;
}

static void raise(unsigned vector)
{
    struct trap_frame f = {.vector = vector};

    fake_wrmsr = count_eoi;
    fake_rdmsr = in_service;
    eois = 0;
    trap_handle(&f);
}

TEST(a_device_interrupt_reaches_its_handler_on_its_cpu)
{
    int v = irq_alloc(1, handler, &calls);

    CHECK(v >= VECTOR_DEVICE_LO && v <= VECTOR_DEVICE_HI);
    fake_this_cpu(1);
    raise((unsigned)v);
    CHECK_EQ(calls, 1);
    CHECK_EQ(eois, 1);
    fake_this_cpu(2);
    raise((unsigned)v); /* nobody's there */
    CHECK_EQ(calls, 1);
    CHECK_EQ(eois, 1);
    irq_free(1, (unsigned)v);
    fake_this_cpu(1);
    raise((unsigned)v);
    CHECK_EQ(calls, 1);
    fake_this_cpu(0);
}

TEST(fixed_vectors)
{
    raise(VECTOR_TIMER);
    CHECK_EQ(timer_interrupts, 1);
    CHECK_EQ(eois, 1);
    raise(VECTOR_KICK);
    CHECK_EQ(eois, 1);
    raise(VECTOR_SPURIOUS);
    CHECK_EQ(eois, 0);
    spurious_in_service = true; /* a guest's own, too late */
    raise(VECTOR_SPURIOUS);
    CHECK_EQ(eois, 1);
    spurious_in_service = false;
}

TEST(without_x2apic_mode_the_page_says_whether_it_is_spurious)
{
    static uint32_t page[PAGE_SIZE / 4];
    uint32_t *in_service_now = &page[APIC_PAGE_REG(MSR_X2APIC_ISR_LAST)],
             *eoi = &page[APIC_PAGE_REG(MSR_X2APIC_EOI)];

    apic_page = page;
    spurious_in_service = true; /* the MSR, which is not there */
    *eoi = 1;
    raise(VECTOR_SPURIOUS);
    CHECK_EQ(*eoi, 1);
    *in_service_now = (uint32_t)BIT(31);
    raise(VECTOR_SPURIOUS);
    CHECK_EQ(*eoi, 0);
    spurious_in_service = false;
    apic_page = NULL;
}

TEST(all_device_vectors_once_and_a_freed_one_rests)
{
    bool seen[256] = {false};
    int v, n = 0;

    while ((v = irq_alloc(3, handler, &calls)) >= 0) {
        CHECK(v >= VECTOR_DEVICE_LO && v <= VECTOR_DEVICE_HI && !seen[v]);
        seen[v] = true;
        n++;
    }
    CHECK_EQ(v, -ENOSPC);
    CHECK_EQ(n, VECTOR_DEVICE_HI - VECTOR_DEVICE_LO + 1);
    irq_free(3, 0x30);
    irq_free(3, 0x31);
    CHECK_EQ(irq_alloc(3, handler, &calls), 0x30);
    irq_free(3, 0x30);
    CHECK_EQ(irq_alloc(3, handler, &calls), 0x31);
    for (unsigned i = VECTOR_DEVICE_LO; i <= VECTOR_DEVICE_HI; i++)
        irq_free(3, i);
}

TEST(unexpected_nmis_are_told_at_the_next_timer)
{
    fake_log_reset();
    raise(EXC_NMI);
    raise(EXC_NMI);
    CHECK_EQ(nmis, 2);
    CHECK_EQ(eois, 0);
    CHECK_EQ(fake_log_lines, 0);
    raise(VECTOR_TIMER);
    CHECK(fake_log_has("cpu 0: 2 unexpected NMIs"));
    raise(VECTOR_TIMER);
    CHECK_EQ(fake_log_lines, 1);
    fake_ratelimit_full = true;
    raise(EXC_NMI);
    raise(VECTOR_TIMER);
    CHECK_EQ(fake_log_lines, 1);
    fake_ratelimit_full = false; /* none was forgotten */
    raise(EXC_NMI);
    raise(VECTOR_TIMER);
    CHECK(fake_log_has("cpu 0: 2 unexpected NMIs"));
    CHECK_EQ(fake_log_lines, 2);
}

TEST(exceptions_panic)
{
    CHECK(FAKE_EXPECT_PANIC(raise(EXC_PF)));
    CHECK(FAKE_EXPECT_PANIC(raise(EXC_MC)));
}

/* SDM 3A table 11-1: registers every 16 bytes, the interrupt command in two of them. */
TEST(without_x2apic_mode_the_local_apic_is_a_page)
{
    static volatile uint32_t page[1024];

    apic_page = page;
    page[0xb0 / 4] = 7;
    raise(VECTOR_KICK);
    CHECK_EQ(eois, 0);
    CHECK_EQ(page[0xb0 / 4], 0);
    apic_send(3, ICR_LEVEL_ASSERT | VECTOR_KICK);
    CHECK_EQ(page[0x310 / 4], 0x03000000);
    CHECK_EQ(page[0x300 / 4], 0x40e1);
    apic_write(MSR_X2APIC_TIMER_INIT, 9);
    CHECK_EQ(page[0x380 / 4], 9);
    CHECK_EQ(apic_read(MSR_X2APIC_TIMER_INIT), 9);
    apic_page = NULL;
}

/* A CPU's table of vectors stays for good. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static uint8_t collected[4];
static unsigned ncollected, self_ipis;

static void collect(void *arg, uint8_t vector)
{
    CHECK(arg == &calls);
    collected[ncollected++] = vector;
}

static void count_self(uint32_t msr, uint64_t v)
{
    if (msr == MSR_X2APIC_SELF_IPI) {
        CHECK_EQ(v, VECTOR_KICK);
        self_ipis++;
    }
    eois += msr == MSR_X2APIC_EOI;
}

static void nmi(void)
{
    struct trap_frame f = {.vector = EXC_NMI};

    fake_wrmsr = count_self;
    trap_handle(&f);
}

TEST(a_kick_right_before_the_halt_leaves_it_out)
{
    struct trap_frame f = {.vector = EXC_NMI, .rip = (uint64_t)cpu_idle_hlt};

    cpu_set_apart(1);
    fake_this_cpu(1);
    fake_wrmsr = count_self;
    trap_handle(&f);
    CHECK_EQ(f.rip, (uint64_t)cpu_idle_hlt + 1);
    f.rip -= 2;
    trap_handle(&f);
    CHECK_EQ(f.rip, (uint64_t)cpu_idle_hlt - 1);
    self_ipis = 0;
    (void)cpu_nudged();
    fake_this_cpu(0);
}

TEST(a_cpu_set_apart_has_kicks_that_are_nmis_and_no_device_vectors)
{
    cpu_set_apart(1);
    CHECK_EQ(irq_alloc(1, handler, &calls), -ENOSPC);
    fake_this_cpu(1);
    CHECK(!cpu_nudged());
    nmi();
    CHECK_EQ(self_ipis, 1); /* so that a halt that is yet to come ends */
    CHECK(cpu_nudged() && !cpu_nudged());
    fake_log_reset();
    raise(VECTOR_TIMER);
    CHECK_EQ(fake_log_lines, 0); /* they are nothing unexpected */
    fake_this_cpu(0);
}

TEST(interrupts_of_a_lent_apic_are_collected)
{
    static const uint8_t vectors[4] = {0x31, VECTOR_TIMER, VECTOR_KICK, VECTOR_SPURIOUS};

    fake_this_cpu(1);
    cpu_lend_apic(collect, &calls);
    timer_interrupts = self_ipis = 0;
    raise(VECTOR_SPURIOUS);
    CHECK_EQ(ncollected, 0);
    spurious_in_service = true;
    for (unsigned i = 0; i < 4; i++) {
        raise(vectors[i]);
        CHECK_EQ(collected[i], vectors[i]);
        CHECK_EQ(eois, 1);
    }
    CHECK_EQ(ncollected, 4);
    CHECK_EQ(timer_interrupts, 0);
    nmi();
    CHECK_EQ(self_ipis, 0); /* it would reach the guest */
    CHECK(cpu_nudged());
    spurious_in_service = false;
    cpu_take_apic();
    raise(VECTOR_TIMER);
    CHECK_EQ(timer_interrupts, 1);
    CHECK_EQ(ncollected, 4);
    fake_this_cpu(0);
}

TEST_MAIN()
