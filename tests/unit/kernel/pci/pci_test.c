/* SPDX-License-Identifier: BSD-2-Clause */
/* Enumeration, BARs, SR-IOV and reset against modelled functions: BARs with writable bits, VFs that appear
 * with VF Enable. */
#include "tests/unit/test.h"

#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/time.c"

#include "kernel/pci/pci.c"
#include "kernel/pci/reset.c"
#include "kernel/pci/sriov.c"

struct model {
    uint32_t rid;
    bool hidden, sticky_trpnd, dies_at_flr;
    uint8_t cfg[4096];
    uint32_t bar_bits[2][6]; /* writable bits of BARs and VF BARs */
    unsigned vfs_made, resets;
};

static struct model models[600];
static unsigned model_count;
static struct ecam_window window = {.last = 255};
static bool window_off;
static struct bootinfo info;
static unsigned dead_vfs;
static const uint64_t place[PCI_BARS] = {0xc0220000, 0, 0, 0xc0260000};

int ecam_init(const struct bootinfo *bi)
{
    (void)bi;
    return window_off ? -ENOENT : 0;
}

const struct ecam_window *ecam_window(unsigned i)
{
    return i ? NULL : &window;
}

static struct model *model_at(uint32_t rid)
{
    for (unsigned i = 0; i < model_count; i++)
        if (models[i].rid == rid && !models[i].hidden)
            return &models[i];
    return NULL;
}

static void poke(struct model *m, unsigned off, unsigned size, uint32_t v)
{
    memcpy(m->cfg + off, &v, size);
}

static uint32_t peek(struct model *m, unsigned off, unsigned size)
{
    uint32_t v = 0;

    memcpy(&v, m->cfg + off, size);
    return v;
}

static struct model *add(uint32_t rid, uint32_t ids, uint32_t class_rev, uint8_t layout)
{
    struct model *m = &models[model_count++];

    memset(m, 0, sizeof(*m));
    m->rid = rid;
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
    }
    pf->vfs_made = n;
}

static void written(struct model *m, unsigned off, uint32_t v)
{
    if (m->vfs_made == 0 && m->bar_bits[1][0] && off == 0x160 + SRIOV_CTRL && (v & SRIOV_CTRL_VFE))
        vfs_appear(m);
    if (off == 0xa0 + PCIE_DEVCTL && (v & PCIE_DEVCTL_FLR)) {
        poke(m, PCI_COMMAND, 2, 0);
        poke(m, 0xa0 + PCIE_DEVCTL, 2, 0);
        m->resets++;
        m->hidden = m->dies_at_flr;
    }
}

static uint32_t config_read(const struct pci_dev *d, unsigned off, unsigned size)
{
    struct model *m = model_at(d->rid.id);

    CHECK(off % size == 0 && off + size <= 4096);
    return m ? peek(m, off, size) : ~0u;
}

static void config_write(const struct pci_dev *d, unsigned off, unsigned size, uint32_t v)
{
    struct model *m = model_at(d->rid.id);

    CHECK(off % size == 0 && off + size <= 4096);
    if (!m)
        return;
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
    written(m, off, v);
}

#define MODEL_ACCESS(bits)                                                                                   \
    uint##bits##_t pci_read##bits(const struct pci_dev *d, unsigned off)                                     \
    {                                                                                                        \
        return (uint##bits##_t)config_read(d, off, bits / 8);                                                \
    }                                                                                                        \
    void pci_write##bits(const struct pci_dev *d, unsigned off, uint##bits##_t v)                            \
    {                                                                                                        \
        config_write(d, off, bits / 8, v);                                                                   \
    }
MODEL_ACCESS(8)
MODEL_ACCESS(16)
MODEL_ACCESS(32)

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
    for (struct pci_dev **p = &first; *p;) /* VFs are part of what their PF's `vf` points to */
        if ((*p)->is_vf)
            *p = (*p)->next;
        else
            p = &(*p)->next;
    while (first) {
        struct pci_dev *d = first;

        first = d->next;
        heap_free(d->vf, 0);
        heap_free(d, 0);
    }
    last = &first;
    CHECK_EQ(fake_heap_out, 0);
    model_count = 0;
    dead_vfs = 0;
    fake_log_reset();
    add(0, 0x29c08086, 0x06000000, 0);
}

static bool ram_below_2g(hpa_t start, uint64_t size)
{
    return start.a + size <= 0x80000000;
}

static int scan(void)
{
    fake_frame_is_ram = ram_below_2g;
    return pci_init(&info);
}

TEST(functions_are_found_and_described)
{
    struct pci_dev *d;
    char name[PCI_NAME_LEN];

    reset();
    add_igb(0x28);
    poke(add(0xf8, 0x11112222, 0x06010000, 0x80), PCI_COMMAND, 2, 3);
    add(0xfa, 0x11112223, 0x01060100, 0);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    CHECK(d && pci_find((rid_t){0xf8}) && pci_find((rid_t){0xfa}) && !pci_find((rid_t){0xf9}));
    if (!d)
        return;
    CHECK(d->vendor == 0x8086 && d->device == 0x10c9 && d->class_rev == 0x02000001);
    CHECK(d->bar[0].base.a == 0xc0200000 && d->bar[0].size == 0x20000 && !d->bar[0].wide64 && !d->bar[0].io);
    CHECK(d->bar[1].size == 0 && d->bar[4].size == 0 && d->bar[5].size == 0);
    CHECK(d->bar[2].io && d->bar[2].base.a == 0x6000 && d->bar[2].size != 0);
    CHECK(d->bar[3].wide64 && d->bar[3].base.a == 0xc0240000 && d->bar[3].size == 0x4000);
    CHECK(d->cap_msi == 0x50 && d->cap_msix == 0x70 && d->cap_pcie == 0xa0 && d->cap_sriov == 0x160);
    CHECK_EQ(peek(model_at(0x28), PCI_COMMAND, 2), 7);
    CHECK_EQ(peek(model_at(0x28), 0x10, 4), 0xc0200000);
    CHECK(strcmp(pci_name((rid_t){0xab}, name), "00:15.3") == 0);
    CHECK(strcmp(pci_name((rid_t){0x1002a}, name), "0001:00:05.2") == 0);
    CHECK(strcmp(pci_name((rid_t){0xffffffff}, name), "ffff:ff:1f.7") == 0);
}

TEST(bridges_and_their_lies)
{
    reset();
    window_off = true;
    CHECK_EQ(scan(), -ENOENT);
    window_off = false;
    add_bridge(0x08, 1, 3);
    add_bridge(0x100, 2, 2);
    add_bridge(0x208, 1, 9); /* points back up: not followed */
    add_bridge(0x210, 2, 2); /* its own bus */
    add_bridge(0x218, 0, 0); /* not set up */
    add_bridge(0x220, 9, 9); /* beyond the window */
    add(0x228, 0x77778888, 0x02000000, 0);
    add_bridge(0x108, 2, 2); /* a second way to bus 2 */
    window.last = 4;
    CHECK_EQ(scan(), 0);
    window.last = 255;
    CHECK(pci_find((rid_t){0x228}) != NULL);
    CHECK(fake_log_has("PCI: 9 functions"));
    CHECK_EQ(pci_bridge_of((rid_t){0x228})->rid.id, 0x100);
    CHECK(!pci_bridge_of((rid_t){0x28}));
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
    CHECK_EQ(scan(), 0);
    CHECK_EQ(pci_find_cap(pci_find((rid_t){0x28}), PCI_CAP_ID_MSI), 0);
    CHECK_EQ(pci_find_ext_cap(pci_find((rid_t){0x28}), PCI_EXT_CAP_ID_SRIOV), 0);
    CHECK_EQ(pci_find_ext_cap(pci_find((rid_t){0x28}), 2), 0x200);
}

TEST(silence_stops_what_firmware_left_running)
{
    struct model *m;

    reset();
    m = add_igb(0x28);
    poke(m, 0x160 + SRIOV_CTRL, 2, SRIOV_CTRL_VFE | SRIOV_CTRL_MSE);
    add_bridge(0x08, 1, 1);
    CHECK_EQ(scan(), 0);
    pci_silence_all();
    CHECK_EQ(peek(m, PCI_COMMAND, 2), 3);
    CHECK_EQ(peek(m, 0x52, 2), 0);
    CHECK_EQ(peek(m, 0x72, 2), 9);
    CHECK_EQ(peek(m, 0x160 + SRIOV_CTRL, 2), 0);
    CHECK_EQ(peek(model_at(8), PCI_COMMAND, 2), 7);
}

TEST(vfs_come_up_in_32_bit_space)
{
    struct model *m;
    struct pci_dev *pf, *vf;

    reset();
    m = add_igb(0x28);
    CHECK_EQ(scan(), 0);
    pf = pci_find((rid_t){0x28});
    CHECK_EQ(pci_sriov_enable(pci_find((rid_t){0}), 1, place), -ENODEV);
    CHECK_EQ(pci_sriov_enable(pf, 9, place), -ERANGE);
    CHECK_EQ(pci_sriov_enable(pf, 0, place), 0);
    CHECK_EQ(pci_sriov_enable(pf, 4, place), 0);
    CHECK_EQ(pci_sriov_enable(pf, 4, place), -EBUSY);
    CHECK_EQ(pf->num_vfs, 4);
    CHECK_EQ(peek(m, 0x160 + SRIOV_SYS_PAGE_SIZE, 4), 1);
    CHECK_EQ(peek(m, 0x160 + SRIOV_CTRL, 2), SRIOV_CTRL_VFE | SRIOV_CTRL_MSE);
    CHECK_EQ(peek(m, 0x160 + SRIOV_VF_BAR0, 4), 0xc022000c);
    CHECK_EQ(peek(m, 0x160 + SRIOV_VF_BAR0 + 4, 4), 0);
    CHECK_EQ(peek(m, 0x160 + SRIOV_VF_BAR0 + 12, 4), 0xc026000c);
    CHECK_EQ(peek(m, 0x160 + SRIOV_VF_BAR0 + 16, 4), 0);
    vf = pf->vf[3];
    CHECK(vf == pci_find((rid_t){0x28 + 0x80 + 6}) && vf->is_vf);
    CHECK(vf->vendor == 0x8086 && vf->device == 0x10ca && vf->cap_msix == 0x70 && vf->cap_pcie == 0xa0);
    CHECK(vf->bar[0].base.a == 0xc022c000 && vf->bar[0].size == 0x4000 && vf->bar[3].base.a == 0xc026c000);
    CHECK_EQ(peek(model_at(vf->rid.id), PCI_COMMAND, 2), PCI_COMMAND_MEM);
}

/* Whether two VFs get a place for VF BAR 3. */
static int enable_with(uint64_t bar3, bool firmware_placed)
{
    const uint64_t at[PCI_BARS] = {0xc0220000, 0, 0, bar3};
    struct model *m;
    struct pci_dev *pf;
    int rc;

    reset();
    m = add_igb(0x28);
    if (!firmware_placed) {
        poke(m, 0x160 + SRIOV_VF_BAR0 + 12, 4, 0xc);
        poke(m, 0x160 + SRIOV_VF_BAR0 + 16, 4, 0);
    }
    CHECK_EQ(scan(), 0);
    pf = pci_find((rid_t){0x28});
    rc = pci_sriov_enable(pf, 2, at);
    if (rc == 0)
        CHECK_EQ(pf->vf[1]->bar[3].base.a, (bar3 ? bar3 : 0x8000020000) + 0x4000);
    else
        CHECK(!pf->vf && pf->num_vfs == 0 && peek(m, 0x160 + SRIOV_NUM_VFS, 2) == 0);
    return rc;
}

TEST(places_for_vf_bars_are_checked)
{
    CHECK_EQ(enable_with(0xc0260000, false), 0);
    CHECK_EQ(enable_with(0, true), 0); /* stays where the firmware put it */
    CHECK_EQ(enable_with(0, false), -ENOSPC);
    CHECK(fake_log_has("no room for VF BAR 3: 32 KiB"));
    CHECK_EQ(enable_with(0xc0260000 + 0x2000, true), -ENOSPC); /* not aligned */
    CHECK_EQ(enable_with(0x40000000, true), -ENOSPC);          /* RAM */
    CHECK_EQ(enable_with(0xffffc000, true), -ENOSPC);          /* the second one is beyond 4 GiB */
}

TEST(requester_ids_carry_and_are_checked)
{
    struct model *m;
    struct pci_dev *pf;

    reset();
    m = add_igb(0x28);
    poke(m, 0x160 + SRIOV_TOTAL_VFS, 2, 300);
    poke(m, 0x160 + SRIOV_VF_STRIDE, 2, 1);
    CHECK_EQ(scan(), 0);
    pf = pci_find((rid_t){0x28});
    CHECK_EQ(pci_sriov_enable(pf, 255, place), 0);
    CHECK_EQ(pf->vf[254]->rid.id, 0x28 + 0x80 + 254); /* on bus 1 */
    for (unsigned bad = 0; bad < 3; bad++) {
        reset();
        m = add_igb(0x28);
        poke(m, 0x160 + SRIOV_FIRST_VF_OFFSET, 2,
             bad == 0   ? 0xffd0
             : bad == 1 ? 0
                        : 0x80); /* last runs over, meets the PF */
        poke(m, 0x160 + SRIOV_VF_STRIDE, 2, bad == 2 ? 0 : 8);
        CHECK_EQ(scan(), 0);
        CHECK_EQ(pci_sriov_enable(pci_find((rid_t){0x28}), 8, place), -ERANGE);
    }
}

TEST(vfs_that_stay_away_leave_nothing_behind)
{
    struct model *m;
    struct pci_dev *pf;
    long out;

    reset();
    m = add_igb(0x28);
    CHECK_EQ(scan(), 0);
    pf = pci_find((rid_t){0x28});
    out = fake_heap_out;
    dead_vfs = 1;
    CHECK_EQ(pci_sriov_enable(pf, 4, place), -EIO);
    CHECK(fake_log_has("VF 3 does not answer"));
    CHECK_EQ(peek(m, 0x160 + SRIOV_CTRL, 2), 0);
    CHECK_EQ(fake_heap_out, out);
    fake_heap_fail_after = 0;
    CHECK_EQ(pci_sriov_enable(pf, 4, place), -ENOMEM);
    CHECK_EQ(fake_heap_out, out);
    fake_heap_fail_after = -1;
}

TEST(function_level_reset)
{
    struct model *m;
    struct pci_dev *d;

    reset();
    m = add_igb(0x28);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    CHECK_EQ(pci_reset_start(d), -EOPNOTSUPP); /* nobody has said how */
    d->reset = BOOT_RESET_FLR;
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
    d = pci_find((rid_t){0});
    for (d->reset = BOOT_RESET_FLR; d->reset <= BOOT_RESET_BUS; d->reset++)
        CHECK_EQ(pci_reset_start(d), -EOPNOTSUPP);
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
    CHECK_EQ(peek(m, 0x1c, 4) & ~0xfu, 0xc0240000);
    CHECK_EQ(peek(m, 0x20, 4), 1);
    CHECK_EQ(peek(m, 0xa0 + PCIE_DEVCTL, 2), 0x2810);
}

static struct model *add_high_igb(uint32_t rid)
{
    struct model *m = add_igb(rid);

    poke(m, 0x20, 4, 1);
    poke(m, 0xa0 + PCIE_DEVCTL, 2, 0x2810);
    poke(m, 0x50, 4, 0x0000c000 | PCI_CAP_ID_PM); /* instead of MSI */
    poke(m, 0xc0, 4, 0x03067000 | PCI_CAP_ID_AF);
    return m;
}

TEST(reset_by_advanced_features)
{
    struct model *m;
    struct pci_dev *d;

    reset();
    m = add_high_igb(0x28);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    d->reset = BOOT_RESET_AF;
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
    m = add_high_igb(0x28);
    poke(m, 0x54, 2, 0x0100); /* PME enable stays */
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    d->reset = BOOT_RESET_PM;
    hold_and_release(d, m, m, 0x54, 3);
    CHECK_EQ(peek(m, 0x54, 2), 0x0100);
}

TEST(reset_of_the_bus_above)
{
    struct model *m, *bridge;
    struct pci_dev *d;

    reset();
    add_bridge(0x08, 1, 2);
    bridge = add_bridge(0x108, 2, 2);
    poke(bridge, PCI_BRIDGE_CTRL, 2, 0x3);
    m = add_high_igb(0x200);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x200});
    d->reset = BOOT_RESET_BUS;
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
    m = add_igb(0x28);
    CHECK_EQ(scan(), 0);
    d = pci_find((rid_t){0x28});
    d->reset = BOOT_RESET_FLR;
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
