/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What iommu.h promises, as tests that every back end has to pass. The including file has the real iommu.c
 * and the back end above it and a model of the hardware, which caches all that hardware may cache (absence
 * too) until it is told to drop it:
 */
#pragma once

struct contract_hw {
    void (*power_on)(void); /* as firmware leaves it: open, running */
    bool (*dma)(rid_t dev, uint64_t addr, bool write,
                uint64_t *target); /* does it go through, and where to */
    bool (*msi)(rid_t dev, struct iommu_msi msi, uint32_t *apic_id, uint8_t *vector);
    struct iommu_msi (*forge)(rid_t dev, unsigned index); /* what would use the device's entry */
    void (*hang)(bool on);                                /* it does not answer any more */
    void (*raise)(rid_t dev, uint64_t addr, bool write);
    unsigned faults_kept; /* of many at once, with the line that says that there were more */
};

/* The model's machine has these. */
#define DEV         ((rid_t){0x0028}) /* has a unity range */
#define SIBLING     ((rid_t){0x00a8}) /* same unit */
#define FAR         ((rid_t){0x0208}) /* other unit */
#define FAR_BUS     0x0200            /* all of it behind that one */
#define ALIASED     ((rid_t){0x0130}) /* its requests may come as ALIAS */
#define ALIAS       ((rid_t){0x0100})
#define NOWHERE     ((rid_t){0x0500}) /* no unit */
#define UNITY       0x7f000000ull     /* two pages, read-write, for DEV */
#define OTHER_UNITY 0x7e000000ull     /* one page, to be read, for 16 ids on FAR_BUS */

static const struct contract_hw hw;
static struct boot_iommu machine_; /* what boot/ says of it; power_on() puts it right */

/* The functions of the machine, behind the units that boot/ finds for them. */
static void put_functions(void)
{
    fake_pci_free_all();
    fake_pci_add_vfs(&fake_pci_add(DEV, 0x8086, 0x10c9)->dev, 1); /* it is SIBLING */
    fake_pci_add(ALIASED, 0x8086, 0x1533);
    fake_pci_add(ALIAS, 0x8086, 0x1534);
    fake_pci_add(NOWHERE, 0x8086, 0x1535);
    for (uint32_t i = 0; i < 256; i++)
        fake_pci_add((rid_t){FAR_BUS + i}, 0x8086, 0x1536);
    for (struct pci_dev *d = fake_pci_first; d; d = d->next)
        place_functions(&machine_, &fake_pci_of(d)->is, 1);
}

static long frames_before;

/* Domains that the last test could not destroy because its hardware was hung. */
static void free_domains(void)
{
    for (unsigned i = 0; i < IOMMU_DEVS; i++)
        if (devs[i].domain && devs[i].irt.a)
            frame_free(devs[i].irt, 0);
    for (unsigned i = 0; i < IOMMU_DOMAINS; i++)
        if (domains[i].name)
            radix_destroy(&domains[i].pt);
    memset(devs, 0, sizeof(devs));
    memset(domains, 0, sizeof(domains));
}

static bool reads(rid_t dev, uint64_t addr, uint64_t want)
{
    uint64_t target = 0;

    return hw.dma(dev, addr, false, &target) && target == want;
}

static bool is_blocked(rid_t dev, uint64_t addr)
{
    uint64_t target;

    return !hw.dma(dev, addr, false, &target) && !hw.dma(dev, addr, true, &target);
}

static bool is_silent(rid_t dev, unsigned index)
{
    uint32_t apic_id;
    uint8_t vector;

    return !hw.msi(dev, hw.forge(dev, index), &apic_id, &vector);
}

static void start(void)
{
    free_domains();
    hw.power_on();
    put_functions();
    CHECK_EQ(iommu_init(&machine_), 0);
    frames_before = fake_frames_out;
}

/* The start goes on, but nothing can be given away. */
static bool nothing_of_use(void)
{
    return iommu_init(&machine_) == 0 && !iommu_domain_create("guest");
}

static void no_leaks(void)
{
    CHECK_EQ(fake_frames_out, frames_before);
}

static void scrap(struct iommu_domain *d)
{
    CHECK_EQ(iommu_domain_destroy(d), 0);
    no_leaks();
}

TEST(every_slot_of_the_table_is_filled)
{
    void *const *slot;

    start();
    slot = (void *const *)ops;
    for (unsigned i = 0; i < sizeof(struct iommu_ops) / sizeof(void *); i++)
        CHECK(slot[i] != NULL);
}

TEST(a_fresh_machine_blocks_every_id)
{
    start();
    for (uint32_t id = 0; id < 65536; id++) {
        bool closed = is_blocked((rid_t){id}, 0) && is_blocked((rid_t){id}, 0x12345000) &&
                      is_silent((rid_t){id}, 0) && is_silent((rid_t){id}, 255);

        CHECK(closed);
        if (!closed)
            break;
    }
}

TEST(attach_opens_and_detach_closes)
{
    struct iommu_domain *d;

    start();
    d = iommu_domain_create("web");
    CHECK_EQ(iommu_map(d, iova(0x5000), hpa(0x12345000), 0x1000, IOMMU_R | IOMMU_W), 0);
    CHECK(is_blocked(SIBLING, 0x5000));
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK(reads(SIBLING, 0x5678, 0x12345678));
    CHECK(is_blocked(SIBLING, 0x6000) && is_blocked(SIBLING, 0x4fff) &&
          is_blocked(SIBLING, 1ull << 48 | 0x5000));
    CHECK(is_blocked(DEV, 0x5000) && is_blocked(FAR, 0x5000));
    CHECK(is_silent(SIBLING, 0) && is_silent(SIBLING, 255));
    CHECK_EQ(iommu_attach(d, FAR), 0);
    CHECK(reads(FAR, 0x5000, 0x12345000));
    CHECK_EQ(iommu_domain_destroy(d), -EBUSY);
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK(is_blocked(SIBLING, 0x5000) && is_silent(SIBLING, 0));
    CHECK(reads(FAR, 0x5000, 0x12345000));
    CHECK_EQ(iommu_detach(d, FAR), 0);
    CHECK(is_blocked(FAR, 0x5000));
    scrap(d);
}

TEST(one_owner_at_a_time)
{
    struct iommu_domain *a, *b;

    start();
    a = iommu_domain_create("a");
    b = iommu_domain_create("b");
    CHECK_EQ(iommu_attach(a, SIBLING), 0);
    CHECK_EQ(iommu_attach(b, SIBLING), -EBUSY);
    CHECK_EQ(iommu_attach(a, SIBLING), -EBUSY);
    CHECK_EQ(iommu_detach(b, SIBLING), -ENODEV);
    CHECK_EQ(iommu_detach(a, FAR), -ENODEV);
    CHECK_EQ(iommu_attach(a, NOWHERE), -ENODEV);
    CHECK_EQ(iommu_attach(a, (rid_t){0x10000 | SIBLING.id}), -ENODEV); /* another segment */
    CHECK_EQ(iommu_detach(a, SIBLING), 0);
    CHECK_EQ(iommu_map(b, iova(0), hpa(0x9000), 0x1000, IOMMU_R), 0);
    CHECK_EQ(iommu_attach(b, SIBLING), 0);
    CHECK(reads(SIBLING, 0, 0x9000));
    CHECK_EQ(iommu_detach(b, SIBLING), 0);
    CHECK_EQ(iommu_domain_destroy(a), 0);
    scrap(b);
}

TEST(leaves_of_all_sizes)
{
    static const uint64_t at[] = {0x40000000, 0x7fffffff, 0x80000000, 0x801fffff, 0x80200000, 0x80200fff};
    const uint64_t size = SIZE_1G + SIZE_2M + PAGE_SIZE;
    struct iommu_domain *d;
    long frames;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        CHECK(is_blocked(SIBLING, at[i])); /* and the hardware remembers that */
    frames = fake_frames_out;
    CHECK_EQ(iommu_map(d, iova(0x40000000), hpa(0x100000000), size, IOMMU_R | IOMMU_W), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        CHECK(reads(SIBLING, at[i], at[i] + 0xc0000000));
    CHECK(is_blocked(SIBLING, 0x3fffffff) && is_blocked(SIBLING, 0x80201000));
    CHECK_EQ(fake_frames_out - frames, 3); /* below the root: the large leaves are large */
    CHECK_EQ(iommu_unmap(d, iova(0x40000000 + SIZE_2M), PAGE_SIZE), 0);
    CHECK(is_blocked(SIBLING, 0x40200000) && reads(SIBLING, 0x40201000, 0x100201000) &&
          reads(SIBLING, 0x401fffff, 0x1001fffff));
    CHECK_EQ(iommu_unmap(d, iova(0x40000000), size), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        CHECK(is_blocked(SIBLING, at[i]));
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    scrap(d);
}

TEST(permissions_and_replacement)
{
    struct iommu_domain *d;
    uint64_t target;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_map(d, iova(0), hpa(0x8000), 0x1000, IOMMU_R), 0);
    CHECK_EQ(iommu_map(d, iova(0x1000), hpa(0x9000), 0x1000, IOMMU_W), 0);
    CHECK(hw.dma(SIBLING, 0, false, &target) && !hw.dma(SIBLING, 0, true, &target));
    CHECK(!hw.dma(SIBLING, 0x1000, false, &target) && hw.dma(SIBLING, 0x1000, true, &target));
    CHECK_EQ(iommu_map(d, iova(0), hpa(0xa000), 0x1000, IOMMU_R | IOMMU_W), 0);
    CHECK(reads(SIBLING, 0x10, 0xa010) && hw.dma(SIBLING, 0, true, &target));
    CHECK_EQ(iommu_map(d, iova(0), hpa(0), 0x1000, 0), -EINVAL);
    CHECK_EQ(iommu_map(d, iova(0), hpa(0), 0x1000, 4), -EINVAL);
    CHECK_EQ(iommu_map(d, iova(0x800), hpa(0), 0x1000, IOMMU_R), -EINVAL);
    CHECK_EQ(iommu_map(d, iova(0), hpa(0x10), 0x1000, IOMMU_R), -EINVAL);
    CHECK_EQ(iommu_map(d, iova(0), hpa(0), 0, IOMMU_R), -EINVAL);
    CHECK_EQ(iommu_map(d, iova(0xfffffffff000), hpa(0), 0x2000, IOMMU_R), -EINVAL);
    CHECK_EQ(iommu_unmap(d, iova(1), 0x1000), -EINVAL);
    CHECK(reads(SIBLING, 0x10, 0xa010));
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    scrap(d);
}

TEST(a_domain_id_used_again_brings_nothing_back)
{
    struct iommu_domain *d;
    unsigned id;

    start();
    d = iommu_domain_create("old");
    id = d->id;
    CHECK_EQ(iommu_map(d, iova(0), hpa(0x8000), 0x1000, IOMMU_R), 0);
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK(reads(SIBLING, 0, 0x8000));
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK_EQ(iommu_domain_destroy(d), 0);
    d = iommu_domain_create("new");
    CHECK_EQ(d->id, id);
    CHECK_EQ(iommu_attach(d, FAR), 0);
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK(is_blocked(SIBLING, 0) && is_blocked(FAR, 0));
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK_EQ(iommu_detach(d, FAR), 0);
    scrap(d);
}

TEST(unity_ranges_are_for_their_device_only)
{
    struct iommu_domain *d, *e;

    start();
    d = iommu_domain_create("d");
    e = iommu_domain_create("e");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_attach(d, FAR), 0);
    CHECK(is_blocked(SIBLING, UNITY) && is_blocked(FAR, UNITY));
    CHECK_EQ(iommu_attach(e, DEV), 0);
    CHECK(reads(DEV, UNITY, UNITY) && reads(DEV, UNITY + 0x1fff, UNITY + 0x1fff) &&
          is_blocked(DEV, UNITY + 0x2000));
    CHECK(is_blocked(SIBLING, UNITY) && is_blocked(DEV, OTHER_UNITY));
    CHECK_EQ(iommu_detach(e, DEV), 0);
    CHECK(is_blocked(DEV, UNITY));
    CHECK_EQ(iommu_attach(e, FAR), -EBUSY);
    CHECK_EQ(iommu_detach(d, FAR), 0);
    CHECK_EQ(iommu_attach(e, FAR), 0);
    CHECK(is_blocked(FAR, UNITY)); /* it went with its device */
    CHECK_EQ(iommu_map(e, iova(UNITY + 0x1000), hpa(0x30000), 0x1000, IOMMU_R), 0);
    CHECK_EQ(iommu_attach(e, DEV), -EBUSY); /* the domain's own memory is there */
    CHECK(is_blocked(DEV, UNITY) && reads(FAR, UNITY + 0x1000, 0x30000));
    CHECK_EQ(iommu_detach(e, FAR), 0);
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK_EQ(iommu_domain_destroy(e), 0);
    scrap(d);
}

TEST(unity_ranges_of_several_devices)
{
    struct iommu_domain *d;
    uint64_t target;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_attach(d, (rid_t){FAR_BUS + 16}), 0);
    CHECK_EQ(iommu_attach(d, (rid_t){FAR_BUS + 31}), 0);
    CHECK(reads((rid_t){FAR_BUS + 16}, OTHER_UNITY, OTHER_UNITY));
    CHECK(!hw.dma((rid_t){FAR_BUS + 16}, OTHER_UNITY, true, &target));
    CHECK_EQ(iommu_detach(d, (rid_t){FAR_BUS + 16}), 0);
    CHECK(reads((rid_t){FAR_BUS + 31}, OTHER_UNITY, OTHER_UNITY)); /* the other one still needs it */
    CHECK_EQ(iommu_detach(d, (rid_t){FAR_BUS + 31}), 0);
    scrap(d);
}

TEST(aliases_come_and_go_with_their_device)
{
    struct iommu_domain *d, *e;
    struct iommu_msi msi;
    uint32_t apic_id;
    uint8_t vector;

    start();
    d = iommu_domain_create("d");
    e = iommu_domain_create("e");
    CHECK_EQ(iommu_map(d, iova(0), hpa(0x8000), 0x1000, IOMMU_R), 0);
    CHECK_EQ(iommu_attach(d, ALIASED), 0);
    CHECK(reads(ALIASED, 0, 0x8000) && reads(ALIAS, 0, 0x8000));
    CHECK_EQ(iommu_attach(e, ALIAS), -EBUSY);
    CHECK_EQ(iommu_irq_route(ALIASED, 3, 1, 0x40, &msi), 0);
    CHECK(hw.msi(ALIAS, msi, &apic_id, &vector) && hw.msi(ALIASED, msi, &apic_id, &vector));
    CHECK_EQ(iommu_irq_block(ALIASED, 3), 0);
    CHECK(!hw.msi(ALIAS, msi, &apic_id, &vector) && !hw.msi(ALIASED, msi, &apic_id, &vector));
    CHECK_EQ(iommu_detach(d, ALIAS), -ENODEV);
    CHECK_EQ(iommu_detach(d, ALIASED), 0);
    CHECK(is_blocked(ALIASED, 0) && is_blocked(ALIAS, 0));
    CHECK_EQ(iommu_domain_destroy(e), 0);
    scrap(d);
}

TEST(interrupts_go_where_they_are_routed)
{
    struct iommu_domain *d;
    struct iommu_msi msi, other;
    uint32_t apic_id;
    uint8_t vector;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_irq_route(SIBLING, 0, 0, 0x40, &msi), -ENODEV);
    CHECK_EQ(iommu_irq_block(SIBLING, 0), -ENODEV);
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_attach(d, FAR), 0);
    CHECK_EQ(iommu_irq_route(SIBLING, IOMMU_IRQS, 0, 0x40, &msi), -EINVAL);
    CHECK_EQ(iommu_irq_route(SIBLING, 0, 0, 15, &msi), -EINVAL);
    CHECK_EQ(iommu_irq_block(SIBLING, IOMMU_IRQS), -EINVAL);
    CHECK_EQ(iommu_irq_route(SIBLING, 255, 0x12345678, 0x41, &msi), 0);
    CHECK_EQ(iommu_irq_route(SIBLING, 0, 1, 0xdf, &other), 0);
    CHECK(msi.address == other.address && msi.data == 255 &&
          other.data == 0); /* so that MSI can have several vectors */
    CHECK(hw.msi(SIBLING, msi, &apic_id, &vector) && apic_id == 0x12345678 && vector == 0x41);
    CHECK(hw.msi(SIBLING, other, &apic_id, &vector) && apic_id == 1 && vector == 0xdf);
    CHECK(!hw.msi(FAR, msi, &apic_id, &vector) && !hw.msi(DEV, msi, &apic_id, &vector));
    CHECK(is_silent(SIBLING, 1) && is_silent(SIBLING, 254));
    CHECK_EQ(iommu_irq_route(SIBLING, 255, 2, 0x50, &msi),
             0); /* moved, while the hardware has the old one cached */
    CHECK(hw.msi(SIBLING, msi, &apic_id, &vector) && apic_id == 2 && vector == 0x50);
    CHECK_EQ(iommu_irq_block(SIBLING, 255), 0);
    CHECK(!hw.msi(SIBLING, msi, &apic_id, &vector) && hw.msi(SIBLING, other, &apic_id, &vector));
    CHECK_EQ(iommu_irq_route(SIBLING, 100, 1, 0x60, &msi), 0);
    CHECK(hw.msi(SIBLING, msi, &apic_id, &vector));
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK(!hw.msi(SIBLING, other, &apic_id, &vector));
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK(is_silent(SIBLING, 0) && is_silent(SIBLING, 100)); /* the next owner inherits nothing */
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK_EQ(iommu_detach(d, FAR), 0);
    scrap(d);
}

TEST(queues_wrap)
{
    struct iommu_domain *d;
    struct iommu_msi msi;
    uint32_t apic_id;
    uint8_t vector;

    start();
    d = iommu_domain_create("d");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ(iommu_irq_route(SIBLING, i % 7, i, (uint8_t)(32 + i % 128), &msi), 0);
        CHECK(hw.msi(SIBLING, msi, &apic_id, &vector) && apic_id == i && vector == 32 + i % 128);
    }
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    scrap(d);
}

TEST(a_machine_without_a_unit)
{
    free_domains();
    hw.power_on();
    machine_.kind = BOOT_IOMMU_NONE;
    CHECK(nothing_of_use());
    iommu_poll_faults();
    start();
}

TEST(hardware_that_does_not_answer)
{
    struct iommu_domain *d, *e;
    struct iommu_msi msi;

    free_domains();
    hw.power_on();
    hw.hang(true);
    CHECK_EQ(iommu_init(&machine_), -ETIMEDOUT);
    start();
    d = iommu_domain_create("d");
    e = iommu_domain_create("e");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    hw.hang(true);
    CHECK_EQ(iommu_map(d, iova(0), hpa(0x8000), 0x1000, IOMMU_R), -ETIMEDOUT);
    CHECK_EQ(iommu_unmap(d, iova(0), 0x1000), -ETIMEDOUT);
    CHECK_EQ(iommu_irq_route(SIBLING, 0, 0, 0x40, &msi), -ETIMEDOUT);
    CHECK_EQ(iommu_irq_block(SIBLING, 0), -ETIMEDOUT);
    CHECK_EQ(iommu_detach(d, SIBLING), -ETIMEDOUT);
    CHECK_EQ(iommu_attach(e, DEV), -ETIMEDOUT);
    hw.hang(false); /* too late */
    CHECK_EQ(iommu_irq_route(SIBLING, 0, 0, 0x40, &msi), -ENODEV);
    CHECK_EQ(iommu_attach(e, SIBLING), -EBUSY);
    CHECK_EQ(iommu_attach(d, DEV), -EBUSY);
    CHECK_EQ(iommu_domain_destroy(d), -EBUSY); /* tables that it may still walk are kept */
    CHECK_EQ(iommu_domain_destroy(e), -EBUSY);
}

TEST(no_memory_no_change)
{
    struct iommu_domain *d;
    int rc;

    start();
    fake_frame_fail_after = 0;
    CHECK(!iommu_domain_create("d"));
    no_leaks();
    fake_frame_fail_after = -1;
    d = iommu_domain_create("d");
    for (int i = 0; i < 3; i++) { /* three tables are needed */
        fake_frame_fail_after = i;
        CHECK_EQ(iommu_map(d, iova(0x5000), hpa(0x8000), 0x1000, IOMMU_R), -ENOMEM);
        fake_frame_fail_after = -1;
        CHECK(!radix_lookup(&d->pt, 0x5000, NULL, NULL));
        CHECK_EQ(iommu_domain_destroy(d), 0);
        d = iommu_domain_create("d");
    }
    fake_frame_fail_after = 0;
    rc = iommu_attach(d, SIBLING);
    fake_frame_fail_after = -1;
    CHECK(rc == -ENOMEM || (rc == 0 && iommu_detach(d, SIBLING) == 0)); /* not all need memory for it */
    CHECK(is_blocked(SIBLING, 0) && is_silent(SIBLING, 0));
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    scrap(d);
}

TEST(domain_ids_run_out_and_come_back)
{
    static struct iommu_domain *all[IOMMU_DOMAINS];
    unsigned n = 0;

    start();
    while (n < IOMMU_DOMAINS && (all[n] = iommu_domain_create("d")))
        n++;
    CHECK_EQ(n, IOMMU_DOMAINS - 1);
    while (n)
        CHECK_EQ(iommu_domain_destroy(all[--n]), 0);
    no_leaks();
}

TEST(devices_run_out_and_come_back)
{
    struct iommu_domain *d;

    start();
    d = iommu_domain_create("d");
    for (uint32_t i = 0; i < IOMMU_DEVS; i++)
        CHECK_EQ(iommu_attach(d, (rid_t){FAR_BUS + i}), 0);
    CHECK_EQ(iommu_attach(d, SIBLING), -ENOMEM);
    CHECK(is_blocked(SIBLING, 0));
    CHECK_EQ(iommu_detach(d, FAR), 0);
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    for (uint32_t i = 0; i < IOMMU_DEVS; i++)
        CHECK_EQ(iommu_detach(d, (rid_t){FAR_BUS + i}), FAR_BUS + i == FAR.id ? -ENODEV : 0);
    scrap(d);
}

/* DEV and SIBLING have the same unit and different owners. */
TEST(forged_interrupts_are_refused_and_recorded)
{
    struct iommu_domain *d, *e;
    struct iommu_msi msi;
    uint32_t apic_id;
    uint8_t vector;

    start();
    d = iommu_domain_create("d");
    e = iommu_domain_create("e");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    CHECK_EQ(iommu_attach(e, DEV), 0);
    CHECK_EQ(iommu_irq_route(SIBLING, 7, 1, 0x40, &msi), 0);
    CHECK(hw.msi(SIBLING, msi, &apic_id, &vector));
    fake_log_reset();
    CHECK(!hw.msi(DEV, msi, &apic_id, &vector)); /* another one's message */
    iommu_poll_faults();
    CHECK(fake_log_has(": interrupt at ") && fake_log_has("by function 00:05.0 of e"));
    fake_log_reset();
    CHECK(!hw.msi(SIBLING, hw.forge(SIBLING, 8), &apic_id, &vector)); /* of its own, but not routed */
    iommu_poll_faults();
    CHECK(fake_log_has(": interrupt at ") && fake_log_has("by function 00:15.0 of d"));
    fake_log_reset();
    msi = (struct iommu_msi){0xfee00000 | 1 << 12, 0x40}; /* as without remapping: CPU 1, vector 0x40 */
    CHECK(!hw.msi(DEV, msi, &apic_id, &vector) && !hw.msi(SIBLING, msi, &apic_id, &vector));
    iommu_poll_faults();
    CHECK(fake_log_has("of e") && fake_log_has("of d"));
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    CHECK_EQ(iommu_detach(e, DEV), 0);
    CHECK_EQ(iommu_domain_destroy(e), 0);
    scrap(d);
}

TEST(faults_are_logged_within_bounds)
{
    struct iommu_domain *d;
    char lost[40];

    start();
    d = iommu_domain_create("web");
    CHECK_EQ(iommu_attach(d, SIBLING), 0);
    fake_log_reset();
    iommu_poll_faults();
    CHECK_EQ(fake_log_lines, 0);
    hw.raise(SIBLING, 0xdead000, true);
    hw.raise(FAR, 0xbeef000, false);
    iommu_poll_faults();
    CHECK_EQ(fake_log_lines, 2);
    CHECK(fake_log_has("write at 0xdead000 (unmapped) by function 00:15.0 of web"));
    CHECK(fake_log_has("read at 0xbeef000 (unmapped) by function 02:01.0 of quarantine"));
    fake_ratelimit_full = true;
    fake_log_reset();
    for (unsigned i = 0; i < 300; i++)
        hw.raise(SIBLING, i << 12, true);
    for (unsigned i = 0; i < 8; i++)
        iommu_poll_faults();
    CHECK_EQ(fake_log_lines, 0);
    snprintf(lost, sizeof(lost), " %u faults not shown", hw.faults_kept);
    fake_ratelimit_full = false;
    hw.raise(SIBLING, 0x77000, true); /* the log was full, and works again */
    iommu_poll_faults();
    CHECK(fake_log_has("write at 0x77000") && fake_log_has(lost));
    CHECK_EQ(iommu_detach(d, SIBLING), 0);
    scrap(d);
}
