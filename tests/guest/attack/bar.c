/* SPDX-License-Identifier: BSD-2-Clause */
/* Can a guest put its function's registers where something else is: its own RAM, the interrupt controllers, another of its BARs? What was
 * there must stay, and the registers must be back once they are where they may be. */
#include "tests/guest/attack/attack.h"

#define BAR0        0x10u
#define BARS        6u
#define COMMAND     4u
#define MEMORY_ON   6u
#define MAGIC       0x6d61676963c0ffeeull
#define IOAPIC      0xfec00000u
#define LAPIC       0xfee00000u
#define WINDOW      0xc0000000u
#define SPARE       0xc2000000u /* of the window: beyond what its functions have */
#define MSIX_DATA   8u
#define MSIX_MASKED 0xcu
#define DATA        0x5au
#define ROUNDS      400

static void bar_set(const struct kit *k, unsigned bar, uint32_t v)
{
    pci_write(k->vf.bdf, BAR0 + 4 * bar, 4, v);
}

static uint32_t bar_get(const struct kit *k, unsigned bar)
{
    return pci_read(k->vf.bdf, BAR0 + 4 * bar, 4);
}

/* Finds the BAR of the MSI-X table: the other one. 0: none. */
static unsigned other_bar(const struct kit *k)
{
    for (unsigned i = BARS - 1; i > 0; i--)
        if (bar_get(k, i))
            return i;
    return 0;
}

verdict attack_bar_ram(struct kit *k)
{
    volatile uint64_t *ram = (uint64_t *)SCRATCH;
    uint32_t home = bar_get(k, 0);
    verdict v = BLOCKED;

    for (unsigned i = 0; i < SCRATCH_SIZE / 8; i += 64)
        ram[i] = MAGIC + i;
    bar_set(k, 0, SCRATCH);
    for (unsigned i = 0; i < SCRATCH_SIZE / 8; i += 64)
        if (ram[i] != MAGIC + i)
            v = "registers over RAM";
    ram[0] = ~MAGIC;
    if (ram[0] != ~MAGIC)
        v = "registers over RAM";
    bar_set(k, 0, 0);
    bar_set(k, 0, home);
    return v ? v : kit_works(k) ? BLOCKED : "the function does not work any more";
}

static uint32_t ioapic_version(void)
{
    mmio_write(IOAPIC, 1);
    return mmio_read(IOAPIC + 0x10);
}

/* As large as it is, it lies over them or over their border. */
verdict attack_bar_interrupts(struct kit *k)
{
    static const uint32_t places[] = {IOAPIC,     LAPIC,      0xfe000000, 0xfebfc000,
                                      0xff000000, 0xfffff000, 0xbffff000, 0xbf800000};
    uint32_t home = bar_get(k, 0), ioapic = ioapic_version(), lapic = mmio_read(LAPIC + 0x30);
    verdict v = BLOCKED;

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        bar_set(k, 0, places[i]);
        if (ioapic_version() != ioapic || mmio_read(LAPIC + 0x30) != lapic)
            v = "registers over the interrupt controllers";
    }
    bar_set(k, 0, home);
    return v ? v : kit_works(k) ? BLOCKED : "the function does not work any more";
}

/* The table of interrupts is trapped: what is written to it reads back masked as it must. */
verdict attack_bar_bar(struct kit *k)
{
    unsigned other = other_bar(k);
    uint32_t home = bar_get(k, 0), table = bar_get(k, other), value;

    if (!other)
        return "there is only one BAR, so nothing was tried";
    mmio_write(table + MSIX_MASKED, ~0u);
    value = mmio_read(table + MSIX_MASKED);
    bar_set(k, 0, table);
    verdict v = mmio_read(table + MSIX_MASKED) == value ? BLOCKED : "registers over the table of interrupts";
    bar_set(k, 0, home);
    bar_set(k, other, home);
    if (mmio_read(home + VF_STATUS) == 0xffffffff)
        v = "the table of interrupts over registers";
    bar_set(k, other, table);
    return v ? v : kit_works(k) ? BLOCKED : "the function does not work any more";
}

/* The table of interrupts where the registers were, and these elsewhere: what answers is what was moved there, and nothing of what was there before. */
static bool follow(const struct kit *k, unsigned other, const uint32_t home[2])
{
    uint32_t status = mmio_read(home[0] + VF_STATUS);
    bool ok;

    mmio_write(home[1] + MSIX_DATA, DATA);
    bar_set(k, 0, SPARE);
    bar_set(k, other, home[0]);
    ok = mmio_read(home[0] + MSIX_DATA) == DATA && mmio_read(SPARE + VF_STATUS) == status;
    bar_set(k, other, home[1]);
    bar_set(k, 0, home[0]);
    return ok && mmio_read(home[0] + VF_STATUS) == status && mmio_read(home[1] + MSIX_DATA) == DATA;
}

/* With frames under way, whose doorbell may be where it was a moment ago. The PF keeps its bus mastering: without it, its VFs receive nothing, which is the
 * I/O domain's to decide. */
verdict attack_bar_fuzz(struct kit *k)
{
    unsigned other = other_bar(k);
    uint32_t home[2] = {bar_get(k, 0), bar_get(k, other)};
    bool ok = true;

    vf_start(&k->vf);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t r = (uint32_t)kit_random(k);

        bar_set(k, r & 1 ? other : 0, r & 2 ? (uint32_t)kit_random(k) : WINDOW + (r & 0x03ff0000));
        if (r & 12)
            continue;
        bar_set(k, 0, home[0]);
        bar_set(k, other, home[1]);
        pci_write(k->vf.bdf, COMMAND, 2, k->is_pf || r & 16 ? MEMORY_ON : 2);
        ok &= follow(k, other, home);
        vf_write(&k->vf, VF_TDT, r >> 16 & 31);
        pci_write(k->vf.bdf, COMMAND, 2, r & 32 ? MEMORY_ON : 4);
    }
    pci_write(k->vf.bdf, COMMAND, 2, 4);
    bar_set(k, 0, home[0]);
    bar_set(k, other, home[1]);
    pci_write(k->vf.bdf, COMMAND, 2, MEMORY_ON);
    return !ok            ? "registers where they were before"
           : kit_works(k) ? BLOCKED
                          : "the function does not work any more";
}
