/* SPDX-License-Identifier: BSD-2-Clause */
/* Does a guest see a function that is not its own, and which bytes of its own's configuration can it change? */
#include "tests/guest/attack/attack.h"

#define COMMAND_BITS  0x0406u /* INTx disable, bus master, memory */
#define BAR_FIRST     0x10u
#define BAR_LAST      0x28u
#define CAP_POINTER   0x34u
#define CAP_MSIX      0x11u
#define CAP_PCIE      0x10u
#define CAP_MSI       0x05u
#define MSI_BITS      0x71u /* enable, number of vectors */
#define BUS_MASTER    4u
#define MSIX_BITS     0xc000u
#define BUS_TRIES     4000
#define CONFIG_ROUNDS 600
#define RESET_MS      400

/* Bus 0 holds the bridge at 0 and its functions at 1 and so on, function 0 each. */
verdict attack_pci_bus(struct kit *k)
{
    verdict v = BLOCKED;
    unsigned devices = 0;

    while (devices < 32 && pci_read(devices << 3, 0, 4) != 0xffffffff)
        devices++;
    for (unsigned bdf = 0; bdf < 256 + BUS_TRIES; bdf++) {
        unsigned at = bdf < 256 ? bdf : (unsigned)(256 + kit_random(k) % (65536 - 256));

        if ((at & 7 || at >> 3 >= devices) && pci_read(at, (unsigned)kit_random(k) & 0xfc, 4) != 0xffffffff)
            v = "a function that is not the guest's";
        pci_write(at & 7 || at >> 3 >= devices ? at : 0, (unsigned)kit_random(k) & 0xfc, 4,
                  (uint32_t)kit_random(k));
    }
    return v;
}

static unsigned capability(unsigned bdf, unsigned id)
{
    unsigned at = pci_read(bdf, CAP_POINTER, 1), left = 48;

    while (at && left-- && pci_read(bdf, at, 1) != id)
        at = pci_read(bdf, at + 1, 1);
    return at;
}

/* Bits that a guest may change of the MSI capability at `msi`, whose address is of 64 bits: its message is the guest's own. */
static uint32_t may_change_msi(unsigned msi, unsigned off)
{
    return off == msi        ? MSI_BITS << 16
           : off == msi + 4  ? ~3u
           : off == msi + 8  ? ~0u
           : off == msi + 12 ? 0xffff
                             : 0;
}

/* Bits of a dword that a guest may change. */
static uint32_t may_change(unsigned bdf, unsigned off)
{
    unsigned msix = capability(bdf, CAP_MSIX), msi = capability(bdf, CAP_MSI);

    if (msi && off - msi < 16)
        return may_change_msi(msi, off);
    return off == 4                             ? COMMAND_BITS
           : off >= BAR_FIRST && off < BAR_LAST ? 0xfffff000u
           : msix && off == msix                ? MSIX_BITS << 16
                                                : 0;
}

static void write_parts(unsigned bdf, unsigned off, unsigned size, uint32_t v)
{
    for (unsigned i = 0; i < 4; i += size)
        pci_write(bdf, off + i, size, v >> 8 * i);
}

/* Each dword, in each width, with its opposite and back; one that begins a reset has answered before and does after a while. */
static bool sticks(const struct kit *k, unsigned off, unsigned size)
{
    unsigned pcie = capability(k->vf.bdf, CAP_PCIE);
    uint32_t reset = pcie && off == pcie + 8 ? 0x8000u : 0, old = pci_read(k->vf.bdf, off, 4);
    uint32_t may = may_change(k->vf.bdf, off), now, kept = reset | (k->is_pf && off == 4 ? BUS_MASTER : 0);

    write_parts(k->vf.bdf, off, size, (~old & ~kept) | (old & kept & ~reset));
    now = pci_read(k->vf.bdf, off, 4);
    write_parts(k->vf.bdf, off, size, old & ~reset);
    return (old ^ now) & ~may;
}

static void restore(struct kit *k, const uint32_t saved[64])
{
    pause_ms(RESET_MS);
    for (unsigned i = 1; i < 64; i++)
        pci_write(k->vf.bdf, 4 * i, 4, saved[i] & (i == 1 ? 0xffff : ~0u));
}

verdict attack_config_bytes(struct kit *k)
{
    uint32_t saved[64];
    verdict v = BLOCKED;

    for (unsigned i = 0; i < 64; i++)
        saved[i] = pci_read(k->vf.bdf, 4 * i, 4);
    for (unsigned off = 0; off < 256; off += 4)
        for (unsigned size = 1; size <= 4; size *= 2)
            if (sticks(k, off, size))
                v = "a byte of the configuration that is not the guest's";
    for (unsigned i = 0; i < CONFIG_ROUNDS; i++) {
        unsigned size = 1u << kit_random(k) % 3, off = (unsigned)kit_random(k) & 0xff & ~(size - 1);

        if (!k->is_pf ||
            off >=
                8) /* a PF without bus mastering receives nothing for its VFs, which is the I/O domain's to decide */
            pci_write(k->vf.bdf, off, size, (uint32_t)kit_random(k));
    }
    restore(k, saved);
    for (unsigned i = 0; i < 64; i++)
        if (pci_read(k->vf.bdf, 4 * i, 4) != saved[i])
            v = "a byte of the configuration that does not come back";
    if (!k->is_pf && !vf_reset(&k->vf))
        v = "the function is gone";
    return kit_works(k) ? v : "the function does not work any more";
}
