/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of functions, and VFs, against modelled functions: BARs with writable bits, VFs that appear with VF Enable. */
#include "tests/unit/test.h"

#include "tests/unit/fake/functions.c"

#include "boot/enumerate.c"
#include "boot/memmap.c"
#include "boot/text.c"

static unsigned dead_vfs, waited_ms;
static struct boot_machine machine;
static struct boot_pci functions[600];
static size_t room_for = 600;
static char warned[200];
static struct boot_config cfg;
static const struct boot_mem mem[] = {{0, 0x80000000, BOOT_MEM_USABLE, 0},
                                      {0xf0000000, 0x1000, BOOT_MEM_RESERVED, 0}};

void pci_use(const struct boot_machine *m)
{
    CHECK(m == &machine);
}

uint64_t pci_address(uint32_t rid)
{
    return 0xb0000000 + ((uint64_t)rid << 12);
}

static struct model *add(uint32_t rid, uint32_t ids, uint32_t class_rev, uint8_t layout)
{
    struct model *m = model_add(rid);

    poke(m, PCI_VENDOR_ID, 4, ids);
    poke(m, PCI_CLASS_REV, 4, class_rev);
    poke(m, PCI_HEADER_TYPE, 1, layout);
    return m;
}

static void vfs_appear(struct model *pf)
{
    unsigned cap = 0x160, n = peek(pf, cap + SRIOV_NUM_VFS, 2);

    for (unsigned i = 0; i < n; i++) {
        struct model *vf =
            add(pf->rid + peek(pf, cap + SRIOV_FIRST_VF_OFFSET, 2) + i * peek(pf, cap + SRIOV_VF_STRIDE, 2),
                0xffffffff, 0x02000001, 0);

        vf->hidden = i >= n - dead_vfs;
        poke(vf, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
        poke(vf, PCI_CAP_PTR, 1, 0x70);
        poke(vf, 0x70, 2, 0xa000 | PCI_CAP_ID_MSIX);
        poke(vf, 0xa0, 2, PCI_CAP_ID_PCIE);
        poke(vf, 0xa0 + PCIE_DEVCAP, 4, i == 3 ? 0 : PCIE_DEVCAP_FLR);
    }
    pf->vfs_made = n;
}

static void written(struct model *m, unsigned off, unsigned size, uint32_t v)
{
    if (off >= PCI_BAR0 && off < PCI_BAR0 + 24) {
        CHECK(!(peek(m, PCI_COMMAND, 2) & 3)); /* no BAR is touched while it is decoded */
        v = (peek(m, off, 4) & ~m->bar_bits[0][(off - 0x10) / 4]) | (v & m->bar_bits[0][(off - 0x10) / 4]);
    }
    if (m->bar_bits[1][0] && off >= 0x160 + SRIOV_VF_BAR0 && off < 0x160 + SRIOV_VF_BAR0 + 24) {
        unsigned i = (off - 0x160 - SRIOV_VF_BAR0) / 4;

        CHECK(!(peek(m, 0x160 + SRIOV_CTRL, 2) & SRIOV_CTRL_VFE));
        v = (peek(m, off, 4) & ~m->bar_bits[1][i]) | (v & m->bar_bits[1][i]);
    }
    poke(m, off, size, v);
    if (m->vfs_made == 0 && m->bar_bits[1][0] && off == 0x160 + SRIOV_CTRL && (v & SRIOV_CTRL_VFE))
        vfs_appear(m);
}

CONFIG_ACCESS(8, uint32_t rid, rid, written)
CONFIG_ACCESS(16, uint32_t rid, rid, written)
CONFIG_ACCESS(32, uint32_t rid, rid, written)

/* An 82576: BARs of 128K, flash, 32 bytes of I/O, 16K 64-bit; SR-IOV with 16K 64-bit VF BARs 0 and 3. */
static struct model *add_igb(uint32_t rid)
{
    struct model *m = add(rid, 0x10c98086, 0x02000001, 0);
    static const uint32_t bits[6] = {0xfffe0000, 0, 0xffe0, 0xffffc000, 0xffffffff, 0};
    static const uint32_t vf_bits[6] = {0xffffc000, 0xffffffff, 0, 0xffffc000, 0xffffffff, 0};

    memcpy(m->bar_bits[0], bits, sizeof(bits));
    memcpy(m->bar_bits[1], vf_bits, sizeof(vf_bits));
    poke(m, PCI_COMMAND, 2, 7);
    poke(m, 0x10, 4, 0xc0200000);
    poke(m, 0x18, 4, 0x6001);
    poke(m, 0x1c, 4, 0xc0240004);
    poke(m, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
    poke(m, PCI_CAP_PTR, 1, 0x52); /* the low bits are reserved */
    poke(m, 0x50, 4, 0x00010000 | 0x7000 | PCI_CAP_ID_MSI);
    poke(m, 0x70, 4, 0x80090000 | 0xa000 | PCI_CAP_ID_MSIX);
    poke(m, 0xa0, 2, PCI_CAP_ID_PCIE);
    poke(m, 0xa0 + PCIE_DEVCAP, 4, PCIE_DEVCAP_FLR);
    poke(m, 0x100, 4, 0x15010001);
    poke(m, 0x150, 4, 0x16010000 | PCI_EXT_CAP_ID_ARI);
    poke(m, 0x160, 4, 0x00010000 | PCI_EXT_CAP_ID_SRIOV);
    poke(m, 0x160 + SRIOV_TOTAL_VFS, 2, 8);
    poke(m, 0x160 + SRIOV_FIRST_VF_OFFSET, 2, 0x80);
    poke(m, 0x160 + SRIOV_VF_STRIDE, 2, 2);
    poke(m, 0x160 + SRIOV_VF_DEVICE_ID, 2, 0x10ca);
    poke(m, 0x160 + SRIOV_VF_BAR0, 4, 0x0000000c);
    poke(m, 0x160 + SRIOV_VF_BAR0 + 4, 4, 0x80);
    poke(m, 0x160 + SRIOV_VF_BAR0 + 12, 4, 0x0002000c);
    poke(m, 0x160 + SRIOV_VF_BAR0 + 16, 4, 0x80);
    return m;
}

static struct model *add_bridge(uint32_t rid, uint8_t sec, uint8_t sub)
{
    struct model *m = add(rid, 0x12345678, 0x06040000, 1);

    poke(m, PCI_COMMAND, 2, 7);
    poke(m, PCI_SECONDARY_BUS, 1, sec);
    poke(m, PCI_SUBORDINATE_BUS, 1, sub);
    return m;
}

static void reset(void)
{
    model_count = 0;
    dead_vfs = 0;
    waited_ms = 0;
    warned[0] = 0;
    machine = (struct boot_machine){.necam = 1, .ecam = {{.last_bus = 255}}};
    add(0, 0x29c08086, 0x06000000, 0);
}

static size_t scan(void)
{
    return enumerate(&machine, functions, room_for);
}

static void warn(const char *line)
{
    text_format(warned, sizeof(warned), "%s", line);
}

static void wait_ms(unsigned ms)
{
    waited_ms += ms;
}

/* `n` VFs of the NIC 00:05.0 at these addresses. */
static size_t enable_vfs(unsigned n, uint64_t bar0, uint64_t bar3)
{
    const struct enable e = {mem, 2, warn, wait_ms};

    cfg = (struct boot_config){.nnics = 1,
                               .nic = {{.rid = 0x28, .vfs = (uint16_t)n, .vf_bar = {bar0, 0, 0, bar3}}}};
    return enumerate_enable_vfs(&cfg, &e);
}

TEST(functions_are_found_and_described)
{
    const struct boot_pci *d;
    char name[NAME_LEN];

    reset();
    add_igb(0x28);
    poke(add(0xf8, 0x11112222, 0x06010000, 0x80), PCI_COMMAND, 2, 3);
    add(0xfa, 0x11112223, 0x01060100, 0);
    CHECK_EQ(scan(), 4);
    d = find(0x28);
    CHECK(d && find(0xf8) && find(0xfa) && !find(0xf9));
    if (!d)
        return;
    CHECK(d->vendor == 0x8086 && d->device == 0x10c9 && d->class_rev == 0x02000001);
    CHECK(d->bar[0].base == 0xc0200000 && d->bar[0].size == 0x20000 && !d->bar[0].wide64 && !d->bar[0].io);
    CHECK(d->bar[1].size == 0 && d->bar[4].size == 0 && d->bar[5].size == 0);
    CHECK(d->bar[2].io && d->bar[2].base == 0x6000 && d->bar[2].size != 0);
    CHECK(d->bar[3].wide64 && d->bar[3].base == 0xc0240000 && d->bar[3].size == 0x4000);
    CHECK(d->cap_msi == 0x50 && d->cap_msix == 0x70 && d->cap_pcie == 0xa0 && d->cap_sriov == 0x160);
    CHECK(d->cap_pm == 0 && d->cap_af == 0 && d->pf == 0x28 && d->bridge == BOOT_NO_BRIDGE && !d->num_vfs);
    CHECK_EQ(peek(model_at(0x28), PCI_COMMAND, 2), 7);
    CHECK_EQ(peek(model_at(0x28), 0x10, 4), 0xc0200000);
    CHECK(strcmp(name_of(0xab, name), "00:15.3") == 0);
    CHECK(strcmp(name_of(0x1002a, name), "0001:00:05.2") == 0);
    CHECK(strcmp(name_of(0xffffffff, name), "ffff:ff:1f.7") == 0);
}

TEST(bridges_and_their_lies)
{
    reset();
    add_bridge(0x08, 1, 3);
    add_bridge(0x100, 2, 2);
    add_bridge(0x208, 1, 9); /* points back up: not followed */
    add_bridge(0x210, 2, 2); /* its own bus */
    add_bridge(0x218, 0, 0); /* not set up */
    add_bridge(0x220, 9, 9); /* beyond the window */
    add(0x228, 0x77778888, 0x02000000, 0);
    add_bridge(0x108, 2, 2); /* a second way to bus 2 */
    machine.ecam[0].last_bus = 4;
    CHECK_EQ(scan(), 9);
    CHECK(find(0x228) != NULL);
    CHECK_EQ(find(0x228)->bridge, 0x100);
    CHECK_EQ(find(0x100)->bridge, 0x08);
    CHECK_EQ(find(0x08)->bridge, BOOT_NO_BRIDGE);
    room_for = 9;
    CHECK_EQ(scan(), 9);
    room_for = 8;
    CHECK_EQ(scan(), 0);
    room_for = 600;
    machine.necam = 0; /* through the ports: segment 0, all buses */
    CHECK_EQ(scan(), 9);
}

TEST(capability_lists_that_loop)
{
    struct model *m;

    reset();
    m = add(0x28, 0x10c98086, 0x02000001, 0);
    poke(m, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
    poke(m, PCI_CAP_PTR, 1, 0x40);
    poke(m, 0x40, 2, 0x5001);
    poke(m, 0x50, 2, 0x4001);
    poke(m, 0x100, 4, 0x20010001);
    poke(m, 0x200, 4, 0x10010002);
    CHECK_EQ(scan(), 2);
    CHECK_EQ(find_cap(find(0x28), PCI_CAP_ID_MSI), 0);
    CHECK_EQ(find_ext_cap(find(0x28), PCI_EXT_CAP_ID_SRIOV), 0);
    CHECK_EQ(find_ext_cap(find(0x28), 2), 0x200);
}

static bool is_way(uint32_t rid, uint32_t at, unsigned reg, unsigned bits, bool holds)
{
    const struct boot_reset_way *w = &find(rid)->reset;

    return w->at == at && w->reg == reg && w->bits == bits && w->holds == holds;
}

TEST(how_functions_are_reset)
{
    struct boot_guest *g = &cfg.guest[0];

    reset();
    add_igb(0x28);
    add_bridge(0x08, 1, 1);
    poke(add(0x100, 0x11112222, 0x02000000, 0), PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
    poke(model_at(0x100), PCI_CAP_PTR, 1, 0x40);
    poke(model_at(0x100), 0x40, 2, 0x5000 | PCI_CAP_ID_PM);
    poke(model_at(0x100), 0x50, 2, 0x6000 | PCI_CAP_ID_AF);
    poke(model_at(0x100), 0x60, 2, PCI_CAP_ID_PCIE);
    CHECK_EQ(scan(), 4);
    CHECK_EQ(find(0x100)->regs, pci_address(0x100));
    CHECK_EQ(enable_vfs(4, 0xc0220000, 0xc0260000), 8);
    CHECK(is_way(0xa8, 0xa8, 0xa0 + PCIE_DEVCTL, PCIE_DEVCTL_FLR, false));
    CHECK(is_way(0xae, 0, 0, 0, false)); /* has no FLR */
    CHECK_EQ(find(0xa8)->regs, pci_address(0xa8));
    cfg.nguests = 1;
    g->nfunctions = 4;
    g->function[1].rid = 0x28; /* a PF, a bridge, a VF: none of them */
    g->function[2].rid = 0x08;
    g->function[3].rid = 0xae;
    for (unsigned i = 0; i < 4; i++)
        g->function[i].reset = BOOT_RESET_PM;
    g->function[0].rid = 0x100;
    enumerate_resets(&cfg);
    CHECK(is_way(0x100, 0x100, 0x40 + PCI_PM_CSR, PCI_PM_CSR_D3HOT, true));
    CHECK(is_way(0x28, 0, 0, 0, false) && is_way(0x08, 0, 0, 0, false) && is_way(0xae, 0, 0, 0, false));
    g->function[0].reset = BOOT_RESET_FLR;
    enumerate_resets(&cfg);
    CHECK(is_way(0x100, 0x100, 0x60 + PCIE_DEVCTL, PCIE_DEVCTL_FLR, false));
    g->function[0].reset = BOOT_RESET_AF;
    enumerate_resets(&cfg);
    CHECK(is_way(0x100, 0x100, 0x50 + PCI_AF_CTRL, PCI_AF_CTRL_FLR, false));
    g->function[0].reset = BOOT_RESET_BUS;
    enumerate_resets(&cfg);
    CHECK(is_way(0x100, 0x08, PCI_BRIDGE_CTRL, PCI_BRIDGE_CTRL_RESET, true));
    g->function[0].reset = BOOT_RESET_NONE;
    enumerate_resets(&cfg);
    CHECK(is_way(0x100, 0, 0, 0, false));
}

TEST(silence_stops_what_firmware_left_running)
{
    struct model *m;

    reset();
    m = add_igb(0x28);
    poke(m, 0x160 + SRIOV_CTRL, 2, SRIOV_CTRL_VFE | SRIOV_CTRL_MSE);
    add_bridge(0x08, 1, 1);
    CHECK_EQ(scan(), 3);
    enumerate_stop_vfs(wait_ms);
    CHECK_EQ(waited_ms, 1000);
    enumerate_stop_vfs(wait_ms);
    CHECK_EQ(waited_ms, 1000);
    enumerate_silence();
    CHECK_EQ(peek(m, PCI_COMMAND, 2), 3);
    CHECK_EQ(peek(m, 0x52, 2), 0);
    CHECK_EQ(peek(m, 0x72, 2), 9);
    CHECK_EQ(peek(m, 0x160 + SRIOV_CTRL, 2), 0);
    CHECK_EQ(peek(model_at(8), PCI_COMMAND, 2), 7);
}

TEST(vfs_come_up_in_32_bit_space)
{
    const struct boot_pci *pf, *vf;
    struct model *m;

    reset();
    m = add_igb(0x28);
    CHECK_EQ(scan(), 2);
    CHECK_EQ(enable_vfs(9, 0xc0220000, 0xc0260000), 2); /* more than TotalVFs */
    CHECK_EQ(enable_vfs(0, 0xc0220000, 0xc0260000), 2);
    CHECK_EQ(enable_vfs(4, 0xc0220000, 0xc0260000), 6);
    CHECK_EQ(waited_ms, 100);
    CHECK_EQ(enable_vfs(4, 0xc0220000, 0xc0260000), 6); /* they are */
    pf = find(0x28);
    CHECK(pf->num_vfs == 4 && pf->first_vf == 2);
    CHECK_EQ(peek(m, 0x160 + SRIOV_SYS_PAGE_SIZE, 4), 1);
    CHECK_EQ(peek(m, 0x160 + SRIOV_CTRL, 2), SRIOV_CTRL_VFE | SRIOV_CTRL_MSE);
    CHECK_EQ(peek(m, 0x160 + SRIOV_VF_BAR0, 4), 0xc022000c);
    CHECK_EQ(peek(m, 0x160 + SRIOV_VF_BAR0 + 4, 4), 0);
    CHECK_EQ(peek(m, 0x160 + SRIOV_VF_BAR0 + 12, 4), 0xc026000c);
    CHECK_EQ(peek(m, 0x160 + SRIOV_VF_BAR0 + 16, 4), 0);
    vf = &functions[pf->first_vf + 3];
    CHECK(vf == find(0x28 + 0x80 + 6) && vf->pf == 0x28 && vf->bridge == BOOT_NO_BRIDGE);
    CHECK(vf->vendor == 0x8086 && vf->device == 0x10ca && vf->cap_msix == 0x70 && vf->cap_pcie == 0xa0);
    CHECK(vf->bar[0].base == 0xc022c000 && vf->bar[0].size == 0x4000 && vf->bar[3].base == 0xc026c000);
    CHECK_EQ(peek(model_at(vf->rid), PCI_COMMAND, 2), PCI_COMMAND_MEM);
    enumerate_silence();
    CHECK_EQ(peek(model_at(vf->rid), PCI_COMMAND, 2), PCI_COMMAND_MEM);
    CHECK_EQ(peek(m, 0x160 + SRIOV_CTRL, 2), SRIOV_CTRL_VFE | SRIOV_CTRL_MSE);
}

TEST(a_function_without_vfs_has_none)
{
    reset();
    add(0x28, 0x10c98086, 0x02000001, 0);
    CHECK_EQ(scan(), 2);
    CHECK_EQ(enable_vfs(1, 0xc0220000, 0xc0260000), 2);
    reset();
    CHECK_EQ(scan(), 1);
    CHECK_EQ(enable_vfs(1, 0xc0220000, 0xc0260000), 1); /* nor one that is not there */
}

/* Whether two VFs get a place for VF BAR 3. */
static bool enable_with(uint64_t bar3, bool firmware_placed)
{
    struct model *m;
    bool ok;

    reset();
    m = add_igb(0x28);
    if (!firmware_placed) {
        poke(m, 0x160 + SRIOV_VF_BAR0 + 12, 4, 0xc);
        poke(m, 0x160 + SRIOV_VF_BAR0 + 16, 4, 0);
    }
    CHECK_EQ(scan(), 2);
    ok = enable_vfs(2, 0xc0220000, bar3) == 4;
    if (ok)
        CHECK_EQ(functions[3].bar[3].base, (bar3 ? bar3 : 0x8000020000) + 0x4000);
    else
        CHECK(functions[1].num_vfs == 0 && peek(m, 0x160 + SRIOV_NUM_VFS, 2) == 0);
    return ok;
}

TEST(places_for_vf_bars_are_checked)
{
    CHECK(enable_with(0xc0260000, false));
    CHECK(enable_with(0, true)); /* stays where the firmware put it */
    CHECK(!enable_with(0, false));
    CHECK(strstr(warned, "no room for VF BAR 3: 32 KiB"));
    CHECK(!enable_with(0xc0260000 + 0x2000, true)); /* not aligned */
    CHECK(!enable_with(0x40000000, true));          /* RAM */
    CHECK(!enable_with(0xffffc000, true));          /* the second one is beyond 4 GiB */
}

TEST(requester_ids_carry_and_are_checked)
{
    struct model *m;

    reset();
    m = add_igb(0x28);
    poke(m, 0x160 + SRIOV_TOTAL_VFS, 2, 300);
    poke(m, 0x160 + SRIOV_VF_STRIDE, 2, 1);
    CHECK_EQ(scan(), 2);
    CHECK_EQ(enable_vfs(255, 0xc0800000, 0xc1000000), 257);
    CHECK_EQ(functions[256].rid, 0x28 + 0x80 + 254); /* on bus 1 */
    for (unsigned bad = 0; bad < 3; bad++) {         /* the last runs over, meets the PF, all are one */
        reset();
        m = add_igb(0x28);
        poke(m, 0x160 + SRIOV_FIRST_VF_OFFSET, 2, bad == 0 ? 0xffd0 : bad == 1 ? 0 : 0x80);
        poke(m, 0x160 + SRIOV_VF_STRIDE, 2, bad == 2 ? 0 : 8);
        CHECK_EQ(scan(), 2);
        CHECK_EQ(enable_vfs(8, 0xc0800000, 0xc1000000), 2);
        CHECK(strstr(warned, "00:05.0: there is no address for VF"));
    }
}

TEST(vfs_that_stay_away_leave_nothing_behind)
{
    struct model *m;

    reset();
    m = add_igb(0x28);
    CHECK_EQ(scan(), 2);
    dead_vfs = 1;
    CHECK_EQ(enable_vfs(4, 0xc0220000, 0xc0260000), 2);
    CHECK(strstr(warned, "VF 3 does not answer"));
    CHECK_EQ(peek(m, 0x160 + SRIOV_CTRL, 2), 0);
    CHECK_EQ(functions[1].num_vfs, 0);
    reset();
    add_igb(0x28);
    room_for = 5;
    CHECK_EQ(scan(), 2);
    CHECK_EQ(enable_vfs(4, 0xc0220000, 0xc0260000), 2);
    CHECK(strstr(warned, "no room in the list"));
    room_for = 600;
}

TEST_MAIN()
