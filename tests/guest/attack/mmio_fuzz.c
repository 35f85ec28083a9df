/* SPDX-License-Identifier: BSD-2-Clause */
/* Do emulated registers take accesses of any width at any offset, and is a local APIC's register only there at its own place and width? */
#include "tests/guest/attack/attack.h"

#define IOAPIC      0xfec00000u
#define LAPIC       0xfee00000u
#define CHIPSET     0xfed80000u
#define LAPIC_ICR   0x300u
#define LAPIC_SVR   0xf0u
#define LAPIC_ID    0x20u
#define LAPIC_TMICT 0x380u
#define ROUNDS      4000
#define PINS        24

static uint64_t read_as(uint64_t at, unsigned width)
{
    switch (width) {
    case 0:
        return *(volatile uint8_t *)at;
    case 1:
        return *(volatile uint16_t *)at;
    case 2:
        return *(volatile uint32_t *)at;
    default:
        return *(volatile uint64_t *)at;
    }
}

static void write_as(uint64_t at, unsigned width, uint64_t v)
{
    switch (width) {
    case 0:
        *(volatile uint8_t *)at = (uint8_t)v;
        break;
    case 1:
        *(volatile uint16_t *)at = (uint16_t)v;
        break;
    case 2:
        *(volatile uint32_t *)at = (uint32_t)v;
        break;
    default:
        *(volatile uint64_t *)at = v;
    }
}

/* One access that stays inside its page; interrupts to oneself are left out, for INIT ends the attack. */
static void poke(struct kit *k, uint64_t page)
{
    uint64_t r = kit_random(k);
    unsigned width = r & 3, off = (unsigned)(r >> 2 & 0xfff);

    if (r >> 32 & 1)
        off &= ~15u;
    if (off + (1u << width) > 0x1000 || (page == LAPIC && off + 8 > LAPIC_ICR && off < LAPIC_ICR + 4))
        return;
    if (r >> 33 & 1)
        write_as(page + off, width, kit_random(k));
    else
        (void)read_as(page + off, width);
}

static void quiet(void)
{
    for (unsigned i = 0x10; i < 0x10 + 2 * PINS; i += 2) {
        mmio_write(IOAPIC, i);
        mmio_write(IOAPIC + 0x10, 0x10000);
    }
    mmio_write(LAPIC + LAPIC_TMICT, 0);
    mmio_write(LAPIC + LAPIC_SVR, 0x1ff);
}

verdict attack_mmio_fuzz(struct kit *k)
{
    static const uint64_t pages[] = {IOAPIC, LAPIC, CHIPSET, CHIPSET + 0x1000};
    bool xapic = !(rdmsr(0x1b) & 0x400);

    for (unsigned i = 0; i < ROUNDS; i++)
        poke(k, pages[kit_random(k) % 4]);
    quiet();
    if (read_as(LAPIC + LAPIC_ID, 0) != 0xff || read_as(LAPIC + LAPIC_ID, 1) != 0xffff ||
        read_as(LAPIC + LAPIC_ID + 4, 2) != 0xffffffff)
        return "a local APIC's register at a wrong width or place";
    if (xapic && read_as(LAPIC + LAPIC_ID, 2) != 0)
        return "another processor's local APIC";
    return BLOCKED;
}
