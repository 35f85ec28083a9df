/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC: x2APIC where the CPU has it, else the memory-mapped page; one-shot timer; Intel SDM vol. 3,
 * chapter 11. */
#include "drivers/sys/sys.h"
#include "drivers/sys/x86.h"

#define MSR_APIC_BASE       0x1b
#define APIC_BASE_ENABLE    (1u << 11)
#define APIC_BASE_X2APIC    (1u << 10)
#define APIC_BASE_ADDRESS   0x000ffffffffff000ull
#define MSR_X2APIC          0x800
#define CPUID_X2APIC        (1u << 21)
#define APIC_ID             0x020
#define APIC_TPR            0x080
#define APIC_SVR            0x0f0
#define APIC_LVT_TIMER      0x320
#define APIC_TIMER_INITIAL  0x380
#define APIC_TIMER_CURRENT  0x390
#define APIC_TIMER_DIVIDE   0x3e0
#define SVR_ENABLE          0x100
#define SVR_SPURIOUS_VECTOR (IRQ_VECTOR_BASE + IRQ_SPURIOUS)
#define TIMER_DIVIDE_BY_1   0xb
#define MSI_ADDRESS         0xfee00000ull
#define PIC1_MASK           0x21
#define PIC2_MASK           0xa1
#define CALIBRATE_NS        NS_PER_MS
#define SLEEP_MAX_NS        NS_PER_S

extern volatile uint8_t *apic_mmio; /* trap.S writes its EOI register; NULL in x2APIC mode */
volatile uint8_t *apic_mmio;

static uint64_t timer_hz;

static void apic_write(unsigned reg, uint32_t v)
{
    if (apic_mmio)
        *(volatile uint32_t *)(apic_mmio + reg) = v;
    else
        wrmsr(MSR_X2APIC + (reg >> 4), v);
}

static uint32_t apic_read(unsigned reg)
{
    if (apic_mmio)
        return *(volatile uint32_t *)(apic_mmio + reg);
    return (uint32_t)rdmsr(MSR_X2APIC + (reg >> 4));
}

static void apic_calibrate(void)
{
    uint64_t start, end;
    uint32_t left;

    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
    start = clock_ns();
    do {
        left = apic_read(APIC_TIMER_CURRENT); /* an exit, as the write was */
        end = clock_ns();
    } while (end - start < CALIBRATE_NS);
    timer_hz = (uint64_t)(UINT32_MAX - left) * NS_PER_S / (end - start);
    apic_write(APIC_TIMER_INITIAL, 0);
    if (timer_hz == 0)
        sys_crash("the local APIC timer does not run");
}

void apic_init(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    /* 8259s, where a machine has them, may be left running by its firmware. */
    outb(PIC1_MASK, 0xff);
    outb(PIC2_MASK, 0xff);
    if (cpuid_features() & CPUID_X2APIC)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    else
        apic_mmio = (volatile uint8_t *)page_map_device(base & APIC_BASE_ADDRESS, PAGE_BYTES);
    apic_write(APIC_SVR, SVR_ENABLE | SVR_SPURIOUS_VECTOR);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, IRQ_VECTOR_BASE + IRQ_TIMER); /* one-shot, not masked */
    apic_calibrate();
}

uint64_t apic_msi_address(void)
{
    uint32_t id = apic_mmio ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID);

    return MSI_ADDRESS | (uint64_t)(id & 0xff) << 12;
}

uint32_t apic_msi_data(unsigned irq)
{
    return IRQ_VECTOR_BASE + irq; /* fixed delivery, edge */
}

static uint32_t timer_count(uint64_t ns)
{
    uint64_t count = (ns < SLEEP_MAX_NS ? ns : SLEEP_MAX_NS) * timer_hz / NS_PER_S;

    if (count > UINT32_MAX)
        return UINT32_MAX;
    return count ? (uint32_t)count : 1;
}

void sys_idle(uint64_t deadline)
{
    uint64_t now = clock_ns();

    if (now >= deadline)
        return;
    apic_write(APIC_TIMER_INITIAL, timer_count(deadline - now));
    sti_hlt_cli();
    (void)irq_take(IRQ_TIMER); /* the caller looks at the clock */
}
