/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes all that a guest has no business with, `what=msr|port|pci|apic`, `rounds=` times (default
 * 1), and lives. Left alone: what would end or silence this guest itself (console, power, reset, its own page
 * tables and APIC base).
 */
#include "tests/guest/lib/lib.h"

#define MSR_EFER    0xc0000080u
#define MSR_APIC    0x1bu
#define MSR_FS_BASE 0xc0000100u
#define COM1        0x3f8
#define X2APIC_ICR  0x830u
#define X2APIC_SELF 0x83fu

struct access {
    uint64_t value;
    uint32_t index;
};

static struct {
    uint64_t read, written, faults;
} count;

static uint64_t seed = 88172645463325252ull;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void msr_in(void *arg)
{
    struct access *a = arg;
    a->value = rdmsr(a->index);
}

static void msr_out(void *arg)
{
    struct access *a = arg;
    wrmsr(a->index, a->value);
}

static void one_msr(uint32_t index)
{
    struct access a = {0, index};

    if (try(msr_in, &a) < 0) {
        count.read++;
        /* What it holds goes back first: a write that keeps the guest alive whatever the MSR does. */
        count.faults += try(msr_out, &a) >= 0;
    } else {
        count.faults++;
    }
    if (index == MSR_EFER || index == MSR_APIC || index == X2APIC_ICR || index == X2APIC_SELF)
        return;
    a.value = random64();
    if (try(msr_out, &a) < 0)
        count.written++;
    else
        count.faults++;
}

static const struct {
    uint32_t first, last;
} msr_ranges[] = {
    {0, 0x7ff},
    {0x800, 0x8ff},
    {0x900, 0x1fff},
    {0x40000000, 0x400000ff},
    {0x4b564d00, 0x4b564d0f},
    {0xc0000080, 0xc0000fff},
    {0xc0010000, 0xc0011fff},
    {0xc0020000, 0xc00200ff},
    {0xffffff00, 0xffffffff},
};

static void poke_msr(void)
{
    for (size_t i = 0; i < sizeof(msr_ranges) / sizeof(msr_ranges[0]); i++)
        for (uint64_t m = msr_ranges[i].first; m <= msr_ranges[i].last; m++)
            if (m < 0xc0000081 || m > 0xc0000084)
                one_msr((uint32_t)m);
}

static bool port_spared(unsigned port)
{
    return (port >= COM1 && port < COM1 + 8) || (port >= 0x600 && port < 0x610) ||
           (port >= 0xcf8 && port <= 0xcff) || port == 0x64 || port == 0x92 || port == 0xb2;
}

static void poke_port(void)
{
    for (unsigned port = 0; port < 0x10000; port++) {
        if (port_spared(port))
            continue;
        (void)inb((uint16_t)port);
        (void)inw((uint16_t)port);
        (void)inl((uint16_t)port);
        outb((uint16_t)port, (uint8_t)random64());
        count.read += 3;
        count.written++;
        if (port_spared(port + 1) || port_spared(port + 3))
            continue;
        outw((uint16_t)port, (uint16_t)random64());
        outl((uint16_t)port, (uint32_t)random64());
        count.written += 2;
    }
}

static void poke_pci(void)
{
    for (unsigned bdf = 0; bdf < 0x10000; bdf++) {
        bool there = pci_read(bdf, 0, 4) != 0xffffffff;
        count.read++;
        for (unsigned off = 0; off < 256 && (there || bdf < 256); off++) {
            uint32_t old = pci_read(bdf, off, 1);
            pci_write(bdf, off, 1, (uint32_t)random64() & 0xff);
            pci_write(bdf, off, 1, old);
            count.read++;
            count.written += 2;
        }
    }
}

static void apic_page(void *arg)
{
    struct access *a = arg;
    a->value = mmio_read(0xfee00000u + a->index);
    mmio_write(0xfec00000u + a->index, (uint32_t)a->value);
    (void)mmio_read(0xfec00000u + a->index);
}

static void poke_apic(void)
{
    for (uint32_t off = 0; off < 4096; off += 4) {
        struct access a = {0, off};
        if (try(apic_page, &a) >= 0)
            count.faults++;
        count.read++;
    }
}

int main(const char *cmdline)
{
    const char *what = option_text(cmdline, "what");
    uint64_t rounds = option(cmdline, "rounds", 1);

    for (uint64_t i = 0; what && i < rounds; i++) {
        void (*fn)(void) = what[0] == 'm'                     ? poke_msr
                           : what[0] == 'p' && what[1] == 'o' ? poke_port
                           : what[0] == 'p'                   ? poke_pci
                                                              : poke_apic;
        fn();
        print("poke: round %lu read %lu written %lu faults %lu\n", i, count.read, count.written,
              count.faults);
    }
    print("poke: done\n");
    return 0;
}
