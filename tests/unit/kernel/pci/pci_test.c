/* SPDX-License-Identifier: BSD-2-Clause */
/* What is made of boot's list, and resets against modelled functions. */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/functions.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/time.c"

#include "boot/pci_regs.h"
#include "kernel/pci/pci.c"
#include "kernel/pci/reset.c"

static struct boot_pci functions[8];
static struct bootinfo info;
static struct boot_shown shown[8];
static uint64_t mapped;

static volatile void *map_nothing(hpa_t start, uint64_t size)
{
    CHECK_EQ(size, PAGE_SIZE);
    mapped = start.a;
    return NULL;
}

/* As boot/ has chosen. */
static void set_way(const struct pci_dev *d, uint32_t at, unsigned reg, unsigned bits, bool holds)
{
    functions[d->is - functions].reset = (struct boot_reset_way){at, (uint16_t)reg, (uint16_t)bits, holds};
}

/* One more, in the machine and in the list. */
static struct model *add(const struct boot_pci *f)
{
    functions[model_count] = *f;
    return model_add(f->rid);
}

static void written(struct model *m, unsigned off, unsigned size, uint32_t v)
{
    poke(m, off, size, v);
    if (off == 0xa0 + PCIE_DEVCTL && (v & PCIE_DEVCTL_FLR)) {
        poke(m, PCI_COMMAND, 2, 0);
        poke(m, 0xa0 + PCIE_DEVCTL, 2, 0);
        m->resets++;
        m->hidden = m->dies_at_flr;
    }
}

CONFIG_ACCESS(16, const struct pci_dev *d, d->rid.id, written)
CONFIG_ACCESS(32, const struct pci_dev *d, d->rid.id, written)

/* An 82576: BARs of 128K, flash, 32 bytes of I/O, 16K 64-bit. */
static struct model *add_igb(uint32_t rid, uint32_t bridge)
{
    const struct boot_pci f = {
        .rid = rid,
        .pf = rid,
        .bridge = bridge,
        .vendor = 0x8086,
        .device = 0x10c9,
        .class_rev = 0x02000001,
        .bar = {{0xc0200000, 0x20000, 0, 0}, {0}, {0x6000, 32, 1, 0}, {0x1c0240000, 0x4000, 0, 1}},
        .cap_pcie = 0xa0,
    };
    struct model *m = add(&f);

    poke(m, PCI_COMMAND, 2, 3);
    poke(m, 0xa0 + PCIE_DEVCTL, 2, 0x2810);
    return m;
}

static struct model *add_bridge(uint32_t rid)
{
    return add(&(struct boot_pci){.rid = rid, .pf = rid, .bridge = BOOT_NO_BRIDGE, .header_type = 1});
}

static void reset(void)
{
    heap_free(first, 0); /* one block for all */
    first = NULL;
    CHECK_EQ(fake_heap_out, 0);
    model_count = 0;
    fake_log_reset();
    add(&(struct boot_pci){
        .bridge = BOOT_NO_BRIDGE, .vendor = 0x8086, .device = 0x29c0, .class_rev = 0x06000000});
}

static int scan(void)
{
    info.functions = ptr_to_hpa(functions).a;
    info.shown = ptr_to_hpa(shown).a;
    info.function_count = model_count;
    return pci_init(&info);
}

TEST(the_list_is_taken_over)
{
    char name[PCI_NAME_LEN];
    struct pci_dev *d;

    reset();
    add_igb(0x28, 0x08);
    functions[1].num_vfs = 2;
    functions[1].first_vf = 2;
    for (unsigned i = 0; i < 2; i++)
        add(&(struct boot_pci){
            .rid = 0xa8 + 2 * i, .pf = 0x28, .vendor = 0x8086, .device = 0x10ca, .cap_pcie = 0xa0});
    CHECK_EQ(scan(), 0);
    CHECK(fake_log_has("PCI: 4 functions"));
    d = pci_find((rid_t){0x28});
    CHECK(d && pci_first()->next == d && !pci_find((rid_t){0x29}));
    if (!d)
        return;
    CHECK(d->is == &functions[1] && d->shown == &shown[1] && !d->regs);
    CHECK(&d->vf[0] == d->next && &d->vf[1] == pci_find((rid_t){0xaa}));
    CHECK(strcmp(pci_name((rid_t){0xab}, name), "00:15.3") == 0);
    CHECK(strcmp(pci_name((rid_t){0x1002a}, name), "0001:00:05.2") == 0);
    CHECK(strcmp(pci_name((rid_t){0xffffffff}, name), "ffff:ff:1f.7") == 0);
}

TEST(no_memory)
{
    reset();
    add_igb(0x28, BOOT_NO_BRIDGE);
    functions[1].regs = 0xb0028000;
    fake_mmio_map = map_nothing;
    CHECK_EQ(scan(), -ENOMEM);
    CHECK_EQ(mapped, 0xb0028000);
    fake_mmio_map = NULL;
    reset();
    fake_heap_fail_after = 0;
    CHECK_EQ(scan(), -ENOMEM);
    fake_heap_fail_after = -1;
}

TEST(function_level_reset)
{
    struct model *m;
    struct pci_dev *d;

    reset();
    m = add_igb(0x28, BOOT_NO_BRIDGE);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    CHECK_EQ(pci_reset_start(d), -EOPNOTSUPP); /* nobody has said how */
    set_way(d, 0x28, 0xa0 + PCIE_DEVCTL, PCIE_DEVCTL_FLR, false);
    CHECK_EQ(pci_reset_finish(d), 0); /* none is under way */
    CHECK_EQ(pci_reset_start(d), 0);
    CHECK_EQ(peek(m, PCI_COMMAND, 2), 0);
    CHECK_EQ(pci_reset_finish(d), -EAGAIN);
    CHECK_EQ(pci_reset_wait(d), 0);
    CHECK_EQ(pci_reset_finish(d), 0);
    CHECK_EQ(fake_log_lines, 1);
    m->dies_at_flr = true;
    CHECK_EQ(pci_reset_start(d), 0);
    CHECK_EQ(pci_reset_wait(d), -ETIMEDOUT);
}

/* A reset that takes the BARs and Device Control with it. */
static void forget(struct model *m)
{
    CHECK_EQ(peek(m, PCI_COMMAND, 2), 0);
    memset(m->cfg + PCI_BAR0, 0, 24);
    poke(m, 0xa0 + PCIE_DEVCTL, 2, 0);
}

static void check_restored(struct model *m)
{
    CHECK_EQ(peek(m, 0x10, 4), 0xc0200000);
    CHECK_EQ(peek(m, 0x1c, 4), 0xc0240000);
    CHECK_EQ(peek(m, 0x20, 4), 1);
    CHECK_EQ(peek(m, 0xa0 + PCIE_DEVCTL, 2), 0x2810);
}

TEST(reset_by_advanced_features)
{
    struct model *m;
    struct pci_dev *d;

    reset();
    m = add_igb(0x28, BOOT_NO_BRIDGE);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    set_way(d, 0x28, 0xc0 + PCI_AF_CTRL, PCI_AF_CTRL_FLR, false);
    CHECK_EQ(pci_reset_start(d), 0);
    CHECK_EQ(peek(m, 0xc4, 1), 1);
    forget(m);
    CHECK_EQ(pci_reset_wait(d), 0);
    check_restored(m);
}

/* Through the steps of a method that holds the function down by a bit. */
static void hold_and_release(struct pci_dev *d, struct model *m, struct model *at, unsigned reg,
                             uint32_t bits)
{
    CHECK_EQ(pci_reset_start(d), 0);
    CHECK_EQ(peek(at, reg, 2) & bits, bits);
    forget(m);
    fake_time_advance(9 * NS_PER_MS);
    CHECK_EQ(pci_reset_finish(d), -EAGAIN);
    CHECK_EQ(peek(at, reg, 2) & bits, bits);
    fake_time_advance(1 * NS_PER_MS);
    CHECK_EQ(pci_reset_finish(d), -EAGAIN);
    CHECK_EQ(peek(at, reg, 2) & bits, 0);
    fake_time_advance(90 * NS_PER_MS);
    CHECK_EQ(pci_reset_finish(d), -EAGAIN);
    CHECK_EQ(peek(m, 0x10, 4), 0); /* not touched yet */
    fake_time_advance(10 * NS_PER_MS);
    CHECK_EQ(pci_reset_finish(d), 0);
    check_restored(m);
}

TEST(reset_by_power_state)
{
    struct model *m;
    struct pci_dev *d;

    reset();
    m = add_igb(0x28, BOOT_NO_BRIDGE);
    poke(m, 0x54, 2, 0x0100); /* PME enable stays */
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    set_way(d, 0x28, 0x50 + PCI_PM_CSR, PCI_PM_CSR_D3HOT, true);
    hold_and_release(d, m, m, 0x54, 3);
    CHECK_EQ(peek(m, 0x54, 2), 0x0100);
}

TEST(reset_of_the_bus_above)
{
    struct model *m, *bridge;
    struct pci_dev *d;

    reset();
    add_bridge(0x08);
    bridge = add_bridge(0x108);
    poke(bridge, PCI_BRIDGE_CTRL, 2, 0x3);
    m = add_igb(0x200, 0x108);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x200});
    set_way(d, 0x108, PCI_BRIDGE_CTRL, PCI_BRIDGE_CTRL_RESET, true);
    hold_and_release(d, m, bridge, PCI_BRIDGE_CTRL, 0x40);
    CHECK_EQ(peek(bridge, PCI_BRIDGE_CTRL, 2), 3);
    CHECK_EQ(peek(model_at(8), PCI_BRIDGE_CTRL, 2), 0);
}

TEST(transactions_under_way_are_waited_for)
{
    struct model *m;
    struct pci_dev *d;
    uint64_t began;

    reset();
    m = add_igb(0x28, BOOT_NO_BRIDGE);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    set_way(d, 0x28, 0xa0 + PCIE_DEVCTL, PCIE_DEVCTL_FLR, false);
    poke(m, 0xa0 + PCIE_DEVSTA, 2, PCIE_DEVSTA_TRPND);
    began = fake_now_ns;
    CHECK_EQ(pci_reset_start(d), 0);
    CHECK_EQ(peek(m, PCI_COMMAND, 2), 0);
    CHECK(fake_now_ns - began < NS_PER_MS); /* not here */
    fake_time_advance(200 * NS_PER_MS);
    CHECK_EQ(pci_reset_finish(d), -EAGAIN);
    CHECK_EQ(m->resets, 0);
    poke(m, 0xa0 + PCIE_DEVSTA, 2, 0);
    CHECK_EQ(pci_reset_finish(d), -EAGAIN); /* begins now, and takes its time */
    CHECK_EQ(m->resets, 1);
    fake_time_advance(90 * NS_PER_MS);
    CHECK_EQ(pci_reset_finish(d), -EAGAIN);
    CHECK_EQ(pci_reset_wait(d), 0);
    CHECK_EQ(m->resets, 1);
    CHECK_EQ(fake_log_lines, 1);
    poke(m, 0xa0 + PCIE_DEVSTA, 2, PCIE_DEVSTA_TRPND); /* for ever */
    CHECK_EQ(pci_reset_start(d), 0);
    fake_time_advance(490 * NS_PER_MS);
    CHECK_EQ(pci_reset_finish(d), -EAGAIN);
    CHECK_EQ(m->resets, 1);
    CHECK_EQ(pci_reset_wait(d), 0);
    CHECK_EQ(m->resets, 2);
    CHECK(fake_log_has("00:05.0: transactions pending"));
}

TEST(leaves_nothing)
{
    reset(); /* checks the count, and lets the sanitizer look */
}

TEST_MAIN()
