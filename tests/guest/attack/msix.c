/* SPDX-License-Identifier: BSD-2-Clause */
/* What can a guest make of its function's MSI-X table: accesses of every width, messages that are none? */
#include "tests/guest/attack/attack.h"

#define BAR0        0x10u
#define VF_EICS     0x1520u
#define VF_EIMS     0x1524u
#define VF_EIAC     0x152cu
#define VF_IVAR     0x1700u
#define MSIX_ON     0x8000u
#define CAP_POINTER 0x34u
#define CAP_MSIX    0x11u
#define VECTOR      0x51
#define RAM         (SCRATCH + 0x1000)
#define WAIT_MS     20

#define APIC_BASE_X2 0x400u
#define SVR_ON       0x1ffu

static volatile unsigned arrived;

static bool x2apic(void)
{
    return rdmsr(0x1b) & APIC_BASE_X2;
}

static void count(void)
{
    arrived++;
    if (x2apic())
        wrmsr(0x80b, 0);
    else
        mmio_write(0xfee000b0, 0);
}

static unsigned msix_capability(unsigned bdf)
{
    unsigned at = pci_read(bdf, CAP_POINTER, 1), left = 48;

    while (at && left-- && pci_read(bdf, at, 1) != CAP_MSIX)
        at = pci_read(bdf, at + 1, 1);
    return at;
}

static uint64_t table_of(const struct kit *k)
{
    uint32_t where = pci_read(k->vf.bdf, msix_capability(k->vf.bdf) + 4, 4);

    return (pci_read(k->vf.bdf, BAR0 + 4 * (where & 7), 4) & ~15u) + (where & ~7u);
}

static void entry_set(uint64_t table, uint64_t address, uint32_t data)
{
    mmio_write(table + 12, 1);
    mmio_write(table, (uint32_t)address);
    mmio_write(table + 4, (uint32_t)(address >> 32));
    mmio_write(table + 8, data);
    mmio_write(table + 12, 0);
}

/* Each entry is unchanged by accesses that are not aligned dwords or quadwords, and holds only bits that it has. */
verdict attack_msix_widths(struct kit *k)
{
    uint64_t table = table_of(k);
    verdict v = BLOCKED;

    entry_set(table, 0xfee00000, VECTOR);
    mmio_write(table + 12, 1);
    for (unsigned off = 0; off < 16; off++) {
        *(volatile uint8_t *)(table + off) = 0xa5;
        *(volatile uint16_t *)(table + off) = 0xa5a5;
        if (off & 3)
            *(volatile uint32_t *)(table + off) = 0xa5a5a5a5;
        if (off & 7)
            *(volatile uint64_t *)(table + off) = 0xa5a5a5a5a5a5a5a5;
    }
    if (mmio_read(table) != 0xfee00000 || mmio_read(table + 4) != 0 || mmio_read(table + 8) != VECTOR ||
        mmio_read(table + 12) != 1)
        v = "a narrow or crooked access";
    *(volatile uint64_t *)(table + 8) = ~0ull;
    *(volatile uint64_t *)table = ~0ull;
    if (mmio_read(table + 12) != 1 || mmio_read(table) != 0xfffffffc)
        v = "reserved bits";
    for (unsigned off = 0; off < 0x1000; off += 8)
        *(volatile uint64_t *)((table & ~0xfffull) + off) = kit_random(k);
    entry_set(table, 0xfee00000, VECTOR);
    return v ? v : kit_works(k) ? BLOCKED : "the function does not work any more";
}

/* Has the function raise its vector 0 and sees what comes. */
static unsigned fire(struct kit *k)
{
    uint64_t end = time_ms() + WAIT_MS;

    arrived = 0;
    vf_write(&k->vf, VF_EICS, 1);
    __asm__ volatile("sti" ::: "memory");
    while (time_ms() < end)
        ;
    __asm__ volatile("cli" ::: "memory");
    return arrived;
}

static bool interrupts_work(struct kit *k, uint64_t table)
{
    for (unsigned i = 32; i < 256; i++)
        on_vector(i, count);
    if (x2apic())
        wrmsr(0x80f, SVR_ON);
    else
        mmio_write(0xfee000f0, SVR_ON);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    pci_write(k->vf.bdf, msix_capability(k->vf.bdf) + 2, 2, MSIX_ON);
    vf_write(&k->vf, VF_IVAR, 0x8080);
    vf_write(&k->vf, VF_EIAC, 1);
    vf_write(&k->vf, VF_EIMS, 1);
    entry_set(table, 0xfee00000, VECTOR);
    return fire(k) > 0;
}

verdict attack_msix_message(struct kit *k)
{
    /* Memory, other delivery modes (SMI, INIT, ExtINT), vectors of exceptions, other processors, an address beyond. */
    static const struct {
        uint64_t address;
        uint32_t data;
    } messages[] = {
        {RAM, VECTOR},
        {0xfed00000, VECTOR},
        {0xfee00000, 0x200 | VECTOR},
        {0xfee00000, 0x500 | VECTOR},
        {0xfee00000, 0x700 | VECTOR},
        {0xfee00000, 0x600},
        {0xfee00000, 0},
        {0xfee00000, 8},
        {0xfee0f000, VECTOR},
        {0xfee02000, VECTOR},
        {0xfee01000, 0x400},
        {0x1fee00000, VECTOR},
        {0xfffffffffee00000, VECTOR},
    };
    uint64_t table = table_of(k);
    verdict v =
        interrupts_work(k, table) ? BLOCKED : "the function raises no interrupt, so nothing was tried";

    *(volatile uint64_t *)RAM = 0;
    for (unsigned i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        entry_set(table, messages[i].address, messages[i].data);
        if (fire(k))
            v = "a message that is none";
    }
    if (*(volatile uint64_t *)RAM)
        v = "a message into memory";
    mmio_write(table + 12, 1);
    pci_write(k->vf.bdf, msix_capability(k->vf.bdf) + 2, 2, 0);
    return v;
}
