/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual PCI, BARs, MSI-X, hand-over and quarantine, against a function like the 82576's VF. */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/iommu.c"
#include "tests/unit/fake/irq.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/pci.c"
#include "tests/unit/fake/shown.c"
#include "tests/unit/fake/strlcpy.c"
#include "tests/unit/fake/time.c"

#include "vm/assign/fault.c"
#include "vm/assign/function.c"
#include "vm/assign/move.c"
#include "vm/assign/msix.c"
#include "vm/assign/vpci.c"

#include "vm/vcpu.h"

/* --- the machine --- */

static struct fake_pci *hw; /* the physical function */

static uint64_t message_address;
static uint32_t message_data;
static unsigned messages;

void lapic_message(struct vm *vm, uint64_t address, uint32_t data)
{
    (void)vm;
    message_address = address;
    message_data = data;
    messages++;
}

static struct vcpu target = {.cpu = 2};

bool lapic_route(struct vm *vm, uint64_t address, uint32_t data, struct vcpu **v, uint8_t *vector)
{
    (void)vm, (void)address;
    *v = &target;
    *vector = (uint8_t)data;
    return true;
}

static struct vm vm, other = {.name = "db"};

struct vm *vm_first(void)
{
    return &vm;
}

static fault_fn *hook;

void fault_on_record(fault_fn *fn)
{
    hook = fn;
}

static unsigned stops;

void vm_stop(struct vm *m, struct vcpu *culprit, enum vm_end end, const char *fmt, ...)
{
    (void)fmt;
    CHECK(m == &vm && !culprit && end == VM_FAULTS);
    stops++;
}

int vm_io_register(struct vm *m, enum io_space space, uint64_t base, uint64_t size, io_fn *fn, void *dev)
{
    m->io[space][m->nio[space]++] = (struct io_region){base, size, fn, dev};
    return 0;
}

void vm_io_unregister(struct vm *m, enum io_space space, uint64_t base)
{
    for (unsigned i = 0; i < m->nio[space]; i++)
        if (m->io[space][i].base == base)
            m->io[space][i] = m->io[space][--m->nio[space]];
}

static unsigned map_changes;

void vm_interrupt(struct vm *m)
{
    (void)m;
    map_changes++;
}

void vm_complain(struct vm *m, const char *fmt, ...)
{
    (void)m, (void)fmt;
}

/* --- helpers --- */

static struct pci_dev *vf;
static struct boot_pci *is; /* the same */

static int assign(struct pci_dev *d, const char *label, enum boot_on_fault on_fault)
{
    fake_shown(d);
    return assign_function(&vm, d, label, on_fault);
}

static void set_up(void)
{
    memset(&vm, 0, sizeof(vm));
    memset(fake_iommu_devs, 0, sizeof(fake_iommu_devs));
    fake_iommu_dev_count = 0;
    fake_pci_resets = messages = 0;
    fake_pci_reset_rc = fake_iommu_rc = 0;
    fake_this_cpu(0);
    strcpy(vm.name, "web");
    vm.iommu = iommu_domain_create("web");
    hw = fake_pci_add(rid(0, 0, 0xa8), 0x8086, 0x10ca);
    vf = &hw->dev;
    is = &hw->is;
    is->class_rev = 0x02000001;
    is->pf = 0x28;
    is->reset = (struct boot_reset_way){is->rid, 0xa8, PCIE_DEVCTL_FLR, 0};
    is->bar[0] = (struct boot_bar){.base = 0xfe000000, .size = 0x4000, .wide64 = true};
    is->bar[3] = (struct boot_bar){.base = 0xfe100000, .size = 0x4000, .wide64 = true};
    is->cap_pcie = 0xa0;
    is->cap_msix = 0x70;
    hw->cfg[0xa0] = PCI_CAP_ID_PCIE;
    hw->cfg[0x70] = PCI_CAP_ID_MSIX;
    hw->cfg[0x72] = 2; /* three vectors */
    hw->cfg[0x74] = 3; /* table in BAR 3 at 0 */
    hw->cfg[0x78] = 3;
    hw->cfg[0x79] = 0x20;
    hw->cfg[0xa7] = 0x10; /* FLR */
    CHECK_EQ(fake_p2m_init(&vm.p2m, 1 << 20), 0);
    CHECK_EQ(vpci_create(&vm), 0);
}

static struct fake_iommu_irq *irte(unsigned i)
{
    return &fake_iommu_dev(vf->rid)->irq[i];
}

static void tear_down(void)
{
    fake_iommu_rc = 0;
    assign_release_all(&vm);
    CHECK_EQ(vm.vpci->irqs, 0);
    heap_free(vm.vpci, sizeof(*vm.vpci));
    fake_p2m_destroy(&vm.p2m);
    CHECK_EQ(iommu_domain_destroy(vm.iommu), 0);
    fake_pci_free_all();
    CHECK_EQ(fake_irqs_out, 0);
    CHECK_EQ(fake_heap_out, 0);
    CHECK_EQ(vm.nio[IO_MEM], 0);
}

static uint32_t port(uint16_t at, unsigned size, bool write, uint32_t val)
{
    struct io_access a = {.size = size, .write = write, .data = write ? val : ~0ull};

    for (unsigned i = 0; i < vm.nio[IO_PORT]; i++) {
        const struct io_region *r = &vm.io[IO_PORT][i];

        if (at < r->base || at >= r->base + r->size)
            continue;
        a.addr = at - r->base;
        r->fn(NULL, r->dev, &a);
    }
    return (uint32_t)a.data;
}

static uint32_t cfg_r(unsigned slot, unsigned off)
{
    port(0xcf8, 4, true, 0x80000000 | slot << 11 | (off & ~3u));
    return port((uint16_t)(0xcfc + (off & 3)), 4 - (off & 3), false, 0);
}

static void cfg_w(unsigned slot, unsigned off, unsigned size, uint32_t val)
{
    port(0xcf8, 4, true, 0x80000000 | slot << 11 | (off & ~3u));
    port((uint16_t)(0xcfc + (off & 3)), size, true, val);
}

static void table_w(unsigned entry, unsigned field, uint32_t val)
{
    const struct io_region *r = &vm.io[IO_MEM][0];
    struct io_access a = {.addr = entry * 16 + field, .size = 4, .write = true, .data = val};

    CHECK(vm.nio[IO_MEM] == 1);
    r->fn(NULL, r->dev, &a);
}

static void in_order(const struct pci_dev *d, unsigned off, unsigned size, uint32_t val)
{
    (void)d, (void)off, (void)size, (void)val;
    CHECK(!fake_pci_in_reset);
}

/* One blocked write of the VF at a time; the record as its hook left it. */
static struct fault_record fault_at(uint64_t ns, uint64_t addr)
{
    struct fault_record r = {.ns = ns,
                             .f = {.has_dev = true, .write = true, .dev = vf->rid, .addr = iova(addr)}};

    hook(&r);
    return r;
}

static void faults_at(uint64_t ns, unsigned n)
{
    while (n-- > 0)
        fault_at(ns, 1ull << 40);
}

/* --- tests --- */

TEST(empty_bus_reads_ones_and_has_a_bridge)
{
    set_up();
    CHECK_EQ(cfg_r(0, 0), 0x12378086);
    CHECK_EQ(cfg_r(0, 8), 0x06000002);
    CHECK_EQ(cfg_r(1, 0), 0xffffffff);
    cfg_w(1, 4, 2, 0xffff);
    port(0xcf8, 4, true, 0); /* not enabled */
    CHECK_EQ(port(0xcfc, 4, false, 0), 0xffffffff);
    port(0xcf8, 4, true, 0x80010000); /* bus 1 */
    CHECK_EQ(port(0xcfc, 4, false, 0), 0xffffffff);
    tear_down();
}

TEST(function_is_reset_attached_and_shown)
{
    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    CHECK(fake_log_has("web: has lan0/0"));
    CHECK_EQ(fake_pci_resets, 1);
    CHECK(fake_iommu_dev(vf->rid)->domain == vm.iommu);
    CHECK_EQ(cfg_r(1, 0), 0x10ca8086);
    CHECK_EQ(cfg_r(1, 8), 0x02000001);
    CHECK_EQ(cfg_r(1, PCI_BAR0), GPA_PCI_WINDOW);
    CHECK_EQ(cfg_r(1, PCI_BAR0 + 12), GPA_PCI_WINDOW + 0x4000);
    CHECK_EQ(hw->cfg[PCI_COMMAND] & PCI_COMMAND_BM, 0);
    tear_down();
}

TEST(attach_failure_leaves_nothing)
{
    set_up();
    fake_iommu_rc = -EBUSY;
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), -EBUSY);
    CHECK_EQ(cfg_r(1, 0), 0xffffffff);
    tear_down();
}

TEST(failed_reset_refuses_the_assignment)
{
    set_up();
    fake_pci_reset_rc = -ETIMEDOUT;
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), -ETIMEDOUT);
    CHECK(!fake_iommu_dev(vf->rid));
    tear_down();
}

TEST(capability_list_has_only_allowed_ones)
{
    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    CHECK_EQ(cfg_r(1, PCI_CAP_PTR) & 0xff, BOOT_SHOWN_PCIE);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_PCIE) & 0xffff, BOOT_SHOWN_MSIX << 8 | PCI_CAP_ID_PCIE);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSIX) & 0xffff, PCI_CAP_ID_MSIX);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSIX) >> 16, 2);
    tear_down();
}

TEST(bar_sizing_and_mapping_follow_command)
{
    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_BAR0, 4, 0xffffffff);
    CHECK_EQ(cfg_r(1, PCI_BAR0), 0xffffc000);
    cfg_w(1, PCI_BAR0, 4, 0xc0100000);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, 0xc0100000);
    CHECK_EQ(vm.nio[IO_MEM], 1);
    CHECK_EQ(vm.io[IO_MEM][0].base, GPA_PCI_WINDOW + 0x4000);
    CHECK_EQ(vm.io[IO_MEM][0].size, PAGE_SIZE);
    map_changes = 0;
    cfg_w(1, PCI_COMMAND, 2, 0);
    CHECK_EQ(map_changes, 2);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, 0);
    CHECK_EQ(vm.nio[IO_MEM], 0);
    tear_down();
}

TEST(bar_over_ram_another_bar_or_the_apic_is_not_decoded)
{
    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM);
    cfg_w(1, PCI_BAR0, 4, 0x00100000);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, 0);
    cfg_w(1, PCI_BAR0, 4, GPA_LAPIC);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, 0);
    cfg_w(1, PCI_BAR0, 4, GPA_PCI_WINDOW_END);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, 0);
    cfg_w(1, PCI_BAR0, 4, GPA_PCI_WINDOW + 0x4000); /* BAR 3 is there */
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, 0);
    cfg_w(1, PCI_BAR0 + 12, 4, GPA_PCI_WINDOW + 0x8000); /* it goes, the place is free */
    CHECK_EQ(vm.vpci->fn[1]->bar[3].at, GPA_PCI_WINDOW + 0x8000);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, GPA_PCI_WINDOW + 0x4000);
    cfg_w(1, PCI_BAR0, 4, GPA_PCI_WINDOW);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, GPA_PCI_WINDOW);
    tear_down();
}

TEST(bus_master_passes_through_and_nothing_else_does)
{
    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, 0xffff);
    CHECK_EQ(cfg_r(1, PCI_COMMAND) & 0xffff, PCI_COMMAND_MEM | PCI_COMMAND_BM | PCI_COMMAND_INTX);
    CHECK_EQ(pci_read16(vf, PCI_COMMAND), PCI_COMMAND_MEM | PCI_COMMAND_BM | PCI_COMMAND_INTX);
    cfg_w(1, PCI_COMMAND, 2, 0);
    CHECK_EQ(pci_read16(vf, PCI_COMMAND) & PCI_COMMAND_BM, 0);
    tear_down();
}

TEST(msix_entry_becomes_an_own_remapping_entry)
{
    volatile uint32_t *table;

    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    table = vf->msix_table;
    table_w(1, 0, 0xfee01000);
    table_w(1, 8, 0x4041);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    CHECK(!irte(1)->routed); /* still masked */
    table_w(1, 12, 0);
    CHECK(irte(1)->routed);
    CHECK_EQ(irte(1)->apic_id, cpu_get(2)->apic_id);
    CHECK_EQ(table[4], 0xfee00000);
    CHECK_EQ(table[6], 1);
    CHECK_EQ(table[7], 0);
    CHECK(fake_irq_raise(2, irte(1)->vector));
    CHECK_EQ(messages, 1);
    CHECK_EQ(message_address, 0xfee01000);
    CHECK_EQ(message_data, 0x4041);
    table_w(1, 12, 1);
    CHECK_EQ(table[7], 1);
    CHECK(irte(1)->routed);
    assign_release_all(&vm);
    CHECK(!irte(1)->routed);
    tear_down();
}

TEST(msix_table_ignores_odd_accesses)
{
    struct io_access a = {.addr = 1, .size = 4, .write = true, .data = 0x55};

    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM);
    msix_table_access(NULL, vm.vpci->fn[1], &a);
    a = (struct io_access){.addr = 8, .size = 2, .write = true, .data = 0x55};
    msix_table_access(NULL, vm.vpci->fn[1], &a);
    a = (struct io_access){.addr = 48, .size = 8, .write = true, .data = 0x55}; /* behind the last entry */
    msix_table_access(NULL, vm.vpci->fn[1], &a);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(vm.vpci->fn[1]->vec[i].entry[0] | vm.vpci->fn[1]->vec[i].entry[1] |
                     vm.vpci->fn[1]->vec[i].entry[2],
                 0);
    tear_down();
}

/* The page that traps begins with something else. */
TEST(msix_table_inside_its_page)
{
    struct io_access a = {.addr = 0x18, .size = 8, .write = true, .data = 0x55};
    struct vfunction *f;

    set_up();
    hw->cfg[0x74] = 0x23; /* BAR 3 at 0x20 */
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    f = vm.vpci->fn[1];
    msix_table_access(NULL, f, &a); /* ends where the table starts */
    a = (struct io_access){.addr = 0x1c, .size = 4, .data = ~0ull};
    msix_table_access(NULL, f, &a);
    CHECK_EQ(a.data, ~0ull);
    a = (struct io_access){.addr = 0x20, .size = 8, .write = true, .data = 0xfee01000};
    msix_table_access(NULL, f, &a);
    CHECK_EQ(f->vec[0].entry[0], 0xfee01000);
    a = (struct io_access){.addr = 0x28, .size = 8, .write = true, .data = 0xffffffff00004041};
    msix_table_access(NULL, f, &a);
    a = (struct io_access){.addr = 0x28, .size = 8};
    msix_table_access(NULL, f, &a);
    CHECK_EQ(a.data, 0x100004041); /* of the control only the mask is there */
    a.addr = 0x50;                 /* behind the last entry */
    msix_table_access(NULL, f, &a);
    tear_down();
}

TEST(a_full_cpu_passes_the_vector_on)
{
    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    for (unsigned i = 0; i < 192; i++)
        CHECK_EQ(irq_alloc(2, msix_fire, NULL), 0x20 + i);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    table_w(0, 12, 0);
    CHECK(irte(0)->routed);
    CHECK_EQ(irte(0)->apic_id, cpu_get(3)->apic_id);
    for (unsigned i = 0; i < 192; i++)
        irq_free(2, 0x20 + i);
    tear_down();
}

TEST(a_vm_leaves_the_others_their_share_of_vectors)
{
    static struct vm others[95]; /* 192 vectors of one CPU are two for each of 96 */

    set_up();
    fake_cpu_count = 1;
    vm.next = others;
    for (unsigned i = 1; i < ARRAY_SIZE(others); i++)
        others[i - 1].next = &others[i];
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    for (unsigned i = 0; i < 3; i++)
        table_w(i, 12, 0);
    CHECK(irte(0)->routed && irte(1)->routed && !irte(2)->routed);
    fake_cpu_count = 4;
    cpu_get(1)->apart = cpu_get(2)->apart = true; /* four each */
    table_w(2, 12, 0);
    CHECK(irte(2)->routed);
    cpu_get(1)->apart = cpu_get(2)->apart = false;
    tear_down();
}

TEST(a_function_without_msix)
{
    set_up();
    is->cap_msix = 0;
    hw->cfg[2] = 0xca;
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    CHECK_EQ(hw->cfg[2], 0xca); /* nothing is written where a capability would be */
    tear_down();
}

/* More than there are interrupts for: the guest sees fewer, and all of the table traps. */
TEST(a_table_with_too_many_vectors)
{
    set_up();
    hw->cfg[0x72] = 0xff;
    hw->cfg[0x73] = 0x03; /* 1024 */
    is->bar[3].size = 0x10000;
    CHECK_EQ(assign(vf, "00:06.0", BOOT_FAULT_QUARANTINE), 0);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSIX) >> 16, IOMMU_IRQS - 1);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM);
    CHECK_EQ(vm.io[IO_MEM][0].size, 0x4000);
    tear_down();
}

/* A function with MSI for 2^mmc vectors, in the 32-bit format, beside MSI-X. */
static void set_up_msi(unsigned mmc)
{
    set_up();
    is->cap_msi = 0x50;
    hw->cfg[0x50] = PCI_CAP_ID_MSI;
    hw->cfg[0x52] = (uint8_t)(mmc << 1);
    CHECK_EQ(assign(vf, "00:06.0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    cfg_w(1, BOOT_SHOWN_MSI + 4, 4, 0xfee01003);
    cfg_w(1, BOOT_SHOWN_MSI + 8, 4, 0);
    cfg_w(1, BOOT_SHOWN_MSI + 12, 4, 0xffff4051);
}

TEST(msi_is_shown_without_masks_and_with_64_bits)
{
    set_up_msi(7); /* reserved */
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSIX) >> 8 & 0xff, BOOT_SHOWN_MSI);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSI), 0x008a0000 | PCI_CAP_ID_MSI);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSI + 4), 0xfee01000);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSI + 12), 0x4051);
    tear_down();
}

TEST(msi_becomes_own_remapping_entries)
{
    set_up_msi(2);
    CHECK(!irte(0)->routed);
    CHECK_EQ(pci_read32(vf, 0x54), 0);                        /* nothing of the guest's is in the hardware */
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, PCI_MSI_ENABLE | 2 << 4); /* four vectors */
    for (unsigned i = 0; i < 4; i++)
        CHECK(irte(i)->routed);
    CHECK(!irte(4)->routed);
    CHECK_EQ(pci_read16(vf, 0x52), PCI_MSI_ENABLE | 2 << 4 | 2 << 1);
    CHECK_EQ(pci_read32(vf, 0x54), 0xfee00000);
    CHECK_EQ(pci_read16(vf, 0x58), 0);
    CHECK(fake_irq_raise(2, irte(3)->vector));
    CHECK(messages == 1 && message_address == 0xfee01000 && message_data == 0x4053);
    CHECK(fake_irq_raise(2, irte(0)->vector));
    CHECK_EQ(message_data, 0x4050);
    cfg_w(1, BOOT_SHOWN_MSI + 12, 2, 0x4060); /* the guest moves it */
    CHECK(fake_irq_raise(2, irte(1)->vector));
    CHECK_EQ(message_data, 0x4061);
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, 0);
    for (unsigned i = 0; i < 4; i++)
        CHECK(!irte(i)->routed);
    CHECK_EQ(pci_read16(vf, 0x52) & PCI_MSI_ENABLE, 0);
    CHECK_EQ(fake_irqs_out, 0);
    tear_down();
}

TEST(msi_in_the_64_bit_format)
{
    set_up_msi(0);
    hw->cfg[0x52] = (uint8_t)PCI_MSI_64BIT;
    hw->cfg[0x58] = hw->cfg[0x5c] = 0xaa;
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, PCI_MSI_ENABLE | 5 << 4); /* more than it has: one */
    CHECK(irte(0)->routed && !irte(1)->routed);
    CHECK_EQ(pci_read32(vf, 0x58), 0);
    CHECK_EQ(pci_read16(vf, 0x5c), 0);
    CHECK_EQ(pci_read16(vf, 0x52), PCI_MSI_ENABLE | PCI_MSI_64BIT);
    tear_down();
}

TEST(an_msi_that_moves_is_not_lost)
{
    set_up_msi(0);
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, PCI_MSI_ENABLE);
    CHECK_EQ(messages, 0);
    target.cpu = 1;
    cfg_w(1, BOOT_SHOWN_MSI + 12, 2, 0x4070);
    CHECK_EQ(irte(0)->apic_id, cpu_get(1)->apic_id);
    CHECK(messages == 1 && message_data == 0x4070);
    target.cpu = 2;
    tear_down();
}

TEST(msi_and_msix_are_never_on_together)
{
    set_up_msi(0);
    table_w(0, 0, 0xfee02000);
    table_w(0, 12, 0);
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, PCI_MSI_ENABLE);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    CHECK_EQ(pci_read16(vf, 0x72) & PCI_MSIX_ENABLE, 0);
    CHECK(fake_irq_raise(2, irte(0)->vector));
    CHECK_EQ(message_address, 0xfee01000);
    table_w(2, 12, 0); /* a vector that MSI has not */
    CHECK(!irte(2)->routed);
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, 0); /* now MSI-X comes through */
    CHECK(pci_read16(vf, 0x72) & PCI_MSIX_ENABLE);
    CHECK(fake_irq_raise(2, irte(0)->vector));
    CHECK_EQ(message_address, 0xfee02000);
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, PCI_MSI_ENABLE);
    CHECK_EQ(pci_read16(vf, 0x52) & PCI_MSI_ENABLE, 0);
    CHECK(fake_irq_raise(2, irte(0)->vector));
    CHECK_EQ(message_address, 0xfee02000);
    tear_down();
}

TEST(msi_after_msix_programs_the_capability)
{
    set_up_msi(0);
    table_w(0, 12, 0);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    CHECK(irte(0)->routed);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, 0);
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, PCI_MSI_ENABLE);
    CHECK_EQ(pci_read32(vf, 0x54), 0xfee00000);
    CHECK(pci_read16(vf, 0x52) & PCI_MSI_ENABLE);
    CHECK(irte(0)->routed);
    tear_down();
}

TEST(guest_reset_clears_msi)
{
    set_up_msi(1);
    cfg_w(1, BOOT_SHOWN_MSI + 2, 2, PCI_MSI_ENABLE | 1 << 4);
    CHECK(irte(1)->routed);
    cfg_w(1, BOOT_SHOWN_PCIE + PCIE_DEVCTL, 2, PCIE_DEVCTL_FLR);
    CHECK(!irte(0)->routed && !irte(1)->routed);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSI), 0x00820000 | PCI_CAP_ID_MSI);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSI + 4) | cfg_r(1, BOOT_SHOWN_MSI + 12), 0);
    tear_down();
}

TEST(a_bar_that_only_the_upper_window_has_room_for)
{
    const uint64_t high = GPA_PCI_HIGH(1 << 20);
    struct vbar *b;

    set_up();
    is->bar[0] = (struct boot_bar){.base = 0x8000000000, .size = SIZE_1G, .wide64 = true};
    CHECK_EQ(assign(vf, "00:06.0", BOOT_FAULT_QUARANTINE), 0);
    b = &vm.vpci->fn[1]->bar[0];
    CHECK_EQ(cfg_r(1, PCI_BAR0), 4);
    CHECK_EQ(cfg_r(1, PCI_BAR0 + 4), high >> 32);
    CHECK_EQ(cfg_r(1, PCI_BAR0 + 12), GPA_PCI_WINDOW);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM);
    CHECK_EQ(b->at, high);
    cfg_w(1, PCI_BAR0, 4, 0xffffffff);
    cfg_w(1, PCI_BAR0 + 4, 4, 0xffffffff);
    CHECK_EQ(b->at, 0);
    CHECK_EQ(cfg_r(1, PCI_BAR0), 0xc0000004);
    CHECK_EQ(cfg_r(1, PCI_BAR0 + 4), 0xffffffff);
    cfg_w(1, PCI_BAR0, 4, 0);
    cfg_w(1, PCI_BAR0 + 4, 4, (uint32_t)((high + GPA_PCI_HIGH_SIZE) >> 32));
    CHECK_EQ(b->at, 0); /* behind the window */
    cfg_w(1, PCI_BAR0 + 4, 4, 0);
    CHECK_EQ(b->at, 0); /* over RAM */
    cfg_w(1, PCI_BAR0, 4, 0xc0000000);
    CHECK_EQ(b->at, 0); /* over BAR 3, and too large for the lower window */
    cfg_w(1, PCI_BAR0, 4, 0xc0000000);
    cfg_w(1, PCI_BAR0 + 4, 4, (uint32_t)(high >> 32));
    CHECK_EQ(b->at, high + 0xc0000000);
    tear_down();
}

TEST(a_bar_that_no_window_has_room_for)
{
    set_up();
    is->bar[0] = (struct boot_bar){.base = 0x80000000, .size = SIZE_1G};
    CHECK_EQ(assign(vf, "00:06.0", BOOT_FAULT_QUARANTINE), -ENOSPC);
    is->bar[0] = (struct boot_bar){.base = 0x8000000000, .size = 2 * GPA_PCI_HIGH_SIZE, .wide64 = true};
    CHECK_EQ(assign(vf, "00:06.0", BOOT_FAULT_QUARANTINE), -ENOSPC);
    tear_down();
}

TEST(guest_reset_of_a_vf_clears_its_state)
{
    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    table_w(0, 8, 0x41);
    table_w(0, 12, 0);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    CHECK(irte(0)->routed);
    cfg_w(1, BOOT_SHOWN_PCIE + PCIE_DEVCTL, 2, PCIE_DEVCTL_FLR);
    CHECK_EQ(fake_pci_resets, 2);
    CHECK(!irte(0)->routed);
    fake_pci_reset_rc = -EAGAIN;
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM); /* is lost */
    CHECK_EQ(cfg_r(1, PCI_COMMAND), 0xffffffff);
    fake_pci_reset_rc = 0;
    CHECK_EQ(cfg_r(1, PCI_COMMAND) & 0xffff, 0);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, 0);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSIX) >> 16, 2);
    tear_down();
}

TEST(the_time_of_a_reset_is_waited_for_elsewhere)
{
    set_up();
    CHECK(!assign_must_wait(vf));
    vf->reset_ns = time_ns();
    fake_pci_reset_rc = -EAGAIN;
    CHECK(assign_must_wait(vf));
    fake_pci_reset_rc = -ETIMEDOUT;
    CHECK(!assign_must_wait(vf));
    fake_pci_reset_rc = 0;
    CHECK(!assign_must_wait(vf));
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    CHECK_EQ(fake_pci_resets, 0); /* no second one */
    CHECK_EQ(vf->reset_ns, 0);
    tear_down();
}

/* Its registers are left alone until the reset is over; then it is reset again. */
TEST(release_of_a_vf_in_reset)
{
    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, BOOT_SHOWN_PCIE + PCIE_DEVCTL, 2, PCIE_DEVCTL_FLR);
    CHECK_EQ(fake_pci_resets, 2);
    CHECK(fake_pci_in_reset);
    fake_pci_wr = in_order;
    assign_release_all(&vm);
    fake_pci_wr = NULL;
    CHECK_EQ(fake_pci_resets, 3);
    tear_down();
}

TEST(a_pf_is_not_reset_and_cannot_be)
{
    set_up();
    is->pf = is->rid;
    is->reset.bits = 0;
    CHECK_EQ(assign(vf, "lan0", BOOT_FAULT_QUARANTINE), 0);
    CHECK_EQ(fake_pci_resets, 0);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_PCIE + PCIE_DEVCAP) & PCIE_DEVCAP_FLR, 0);
    cfg_w(1, BOOT_SHOWN_PCIE + PCIE_DEVCTL, 2, PCIE_DEVCTL_FLR);
    CHECK_EQ(fake_pci_resets, 0);
    tear_down();
    CHECK_EQ(fake_pci_resets, 0);
}

TEST(two_functions_get_their_own_slots_and_addresses)
{
    struct fake_pci *second;

    set_up();
    second = fake_pci_add(rid(0, 0, 0xaa), 0x8086, 0x10ca);
    memcpy(second->cfg, hw->cfg, sizeof(hw->cfg));
    second->is.pf = 0x28;
    memcpy(second->is.bar, is->bar, sizeof(is->bar));
    second->is.cap_pcie = is->cap_pcie;
    second->is.cap_msix = is->cap_msix;
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    CHECK_EQ(assign(&second->dev, "lan0/1", BOOT_FAULT_QUARANTINE), 0);
    CHECK_EQ(cfg_r(2, PCI_BAR0), GPA_PCI_WINDOW + 0x8000);
    tear_down();
}

TEST(nonsense_in_the_msix_capability_is_left_out)
{
    set_up();
    hw->cfg[0x74] = 5; /* a BAR that is not there */
    CHECK(!fake_shown(vf));
    hw->cfg[0x74] = 3;
    CHECK(fake_shown(vf));
    hw->cfg[0x75] = 0x40; /* behind the BAR's end */
    CHECK(!fake_shown(vf));
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    CHECK_EQ(cfg_r(1, PCI_CAP_PTR) & 0xff, BOOT_SHOWN_PCIE);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_PCIE) >> 8 & 0xff, 0);
    CHECK_EQ(cfg_r(1, BOOT_SHOWN_MSIX), 0);
    tear_down();
}

static bool is_only_ram(hpa_t start)
{
    return start.a < 1 << 30;
}

TEST(a_record_gets_its_owner_and_what_is_at_the_address)
{
    static const struct {
        uint64_t addr;
        enum fault_class at;
    } rows[] = {
        {0x1000, FAULT_UNMAPPED}, /* its own memory, but closed */
        {0x2000fff, FAULT_HYPERVISOR},  {0x20000000, FAULT_OTHER_GUEST}, {0x21ffffff, FAULT_OTHER_GUEST},
        {0x22000000, FAULT_HYPERVISOR}, {0xfee00000, FAULT_INTERRUPT},   {0xfeefffff, FAULT_INTERRUPT},
        {0xfef00000, FAULT_MMIO},       {0xfe100000, FAULT_MMIO},        {0xb0000000, FAULT_MMIO},
        {0x4000001000, FAULT_MMIO},     {0x4000004000, FAULT_UNMAPPED},  {~0ull, FAULT_UNMAPPED},
    };
    const struct boot_block block = {.size = 0x2000000, .base = 0x20000000};
    struct fault_record r = {.f = {.has_dev = true, .dev = {0x1234}, .addr = iova(5)}, .owner = "quarantine"};

    set_up();
    assign_init();
    fake_is_ram = is_only_ram;
    vm.next = &other;
    other.p2m.block = &block;
    other.p2m.end = &block + 1;
    other.vpci = &(struct vpci){.slots = 1};
    is->bar[1] = (struct boot_bar){.base = 0x4000000000, .size = 0x4000};
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_LOG), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fault_record got = fault_at(1, rows[i].addr);

        CHECK_EQ(got.at, rows[i].at);
        CHECK(!strcmp(got.owner, "web") && !strcmp(got.label, "lan0/0"));
    }
    hook(&r); /* nobody's */
    CHECK(!strcmp(r.owner, "quarantine") && r.at == FAULT_HYPERVISOR);
    r.f.interrupt = true;
    hook(&r);
    CHECK_EQ(r.at, FAULT_INTERRUPT);
    CHECK_EQ(vf->faults.total, ARRAY_SIZE(rows));
    CHECK(!vf->faults.held && stops == 0);
    vm.next = NULL;
    is->bar[1].size = 0;
    tear_down();
}

static void give(enum boot_on_fault policy)
{
    set_up();
    assign_init();
    CHECK_EQ(assign(vf, "lan0/0", policy), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    table_w(1, 0, 0xfee01000);
    table_w(1, 12, 0);
    CHECK(irte(1)->routed);
    CHECK_EQ(fake_iommu_dev(vf->rid)->domain == vm.iommu, true);
}

static bool bus_master(void)
{
    return pci_read16(vf, PCI_COMMAND) & PCI_COMMAND_BM;
}

TEST(too_many_faults_within_a_second_bring_quarantine)
{
    give(BOOT_FAULT_QUARANTINE);
    faults_at(NS_PER_S, FAULTS_MAX - 1);
    faults_at(2 * NS_PER_S + 1, FAULTS_MAX - 1);
    CHECK(!vf->faults.held && bus_master());
    faults_at(2 * NS_PER_S + 2, 1);
    CHECK(vf->faults.held && !bus_master() && !irte(1)->routed && !fake_iommu_dev(vf->rid)->domain);
    CHECK_EQ(fake_pci_resets, 2);
    CHECK(fake_log_has("lan0/0: of web: in quarantine after 4 faults within a second; `vf lan0/0 restore`"));
    CHECK_EQ(stops, 0);
    tear_down();
}

TEST(quarantine_holds_whatever_the_guest_writes)
{
    volatile uint32_t *table;

    give(BOOT_FAULT_QUARANTINE);
    table = vf->msix_table;
    faults_at(1, FAULTS_MAX);
    assign_poll(); /* the end of its reset */
    CHECK_EQ(vf->reset_ns, 0);
    CHECK_EQ(cfg_r(1, PCI_COMMAND) & 0xffff, PCI_COMMAND_MEM | PCI_COMMAND_BM); /* as it has set it */
    CHECK(pci_read16(vf, PCI_COMMAND) & PCI_COMMAND_MEM);
    cfg_w(1, PCI_COMMAND, 2, 0xffff);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, 0);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    table_w(0, 12, 0);
    table_w(1, 12, 1);
    table_w(1, 12, 0);
    cfg_w(1, BOOT_SHOWN_PCIE + PCIE_DEVCTL, 2, PCIE_DEVCTL_FLR);
    cfg_w(1, PCI_COMMAND, 2, 0xffff);
    CHECK(!bus_master() && !irte(0)->routed && !irte(1)->routed && !fake_iommu_dev(vf->rid)->domain);
    CHECK(table[3] == 1 && table[7] == 1);
    faults_at(2, 100); /* of before */
    CHECK_EQ(fake_pci_resets, 3);
    assign_release_all(&vm);
    CHECK(!fake_log_has("did not confirm"));
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0); /* its VM restarts */
    cfg_w(1, PCI_COMMAND, 2, 0xffff);
    CHECK(vf->faults.held && !bus_master() && !fake_iommu_dev(vf->rid)->domain);
    tear_down();
}

TEST(the_guest_is_made_to_look_at_a_vf_in_quarantine)
{
    give(BOOT_FAULT_QUARANTINE);
    CHECK(!assign_is_held(vf));
    CHECK_EQ(messages, 0);
    faults_at(1, FAULTS_MAX);
    CHECK(assign_is_held(vf));
    CHECK_EQ(messages, 1); /* entries 0 and 2 are masked */
    CHECK_EQ(message_address, 0xfee01000);
    tear_down();
}

TEST(a_vf_given_back_is_as_its_guest_has_set_it_up)
{
    give(BOOT_FAULT_QUARANTINE);
    CHECK_EQ(assign_restore("lan0/0"), -EINVAL);
    CHECK_EQ(assign_restore("lan0/1"), -ENOENT);
    faults_at(1, FAULTS_MAX);
    CHECK_EQ(assign_restore("lan0/0"), -EAGAIN); /* in its reset */
    assign_poll();
    fake_iommu_rc = -ETIMEDOUT;
    CHECK_EQ(assign_restore("lan0/0"), -ETIMEDOUT);
    CHECK(vf->faults.held);
    fake_iommu_rc = 0;
    CHECK_EQ(assign_restore("lan0/0"), 0);
    CHECK(!vf->faults.held && fake_pci_resets == 3);
    CHECK(!bus_master()); /* until its reset has ended */
    assign_poll();
    CHECK(bus_master() && irte(1)->routed && fake_iommu_dev(vf->rid)->domain == vm.iommu);
    CHECK(!assign_is_held(vf));
    faults_at(2, FAULTS_MAX - 1);
    CHECK(!vf->faults.held);
    faults_at(2, 1);
    CHECK(vf->faults.held);
    tear_down();
}

TEST(other_policies)
{
    give(BOOT_FAULT_STOP);
    faults_at(1, FAULTS_MAX + 1);
    CHECK_EQ(stops, 1);
    CHECK(!vf->faults.held);
    tear_down();
    give(BOOT_FAULT_LOG);
    faults_at(1, 100);
    CHECK(stops == 1 && !vf->faults.held && bus_master());
    CHECK_EQ(vf->faults.total, 100);
    tear_down();
}

TEST(interrupts_for_a_lent_apic_go_straight)
{
    volatile uint32_t *table;

    set_up();
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    table = vf->msix_table;
    table_w(1, 0, 0xfee01000);
    table_w(1, 8, 0x41);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    table_w(1, 12, 0);
    CHECK(irte(1)->routed && irte(1)->vector != 0x41);
    CHECK_EQ(fake_irqs_out, 1);
    assign_reroute(&vm, true);
    CHECK(!irte(1)->routed);
    CHECK_EQ(table[7], 1);
    CHECK_EQ(fake_irqs_out, 0);
    target.lent = true;
    assign_reroute(&vm, false);
    CHECK(irte(1)->routed);
    CHECK_EQ(irte(1)->vector, 0x41);
    CHECK_EQ(irte(1)->apic_id, cpu_get(2)->apic_id);
    CHECK_EQ(table[7], 0);
    CHECK_EQ(fake_irqs_out, 0);
    table_w(1, 8, 0x42);
    CHECK_EQ(irte(1)->vector, 0x42);
    table_w(1, 8, 0x1f); /* the host would take it for an exception */
    CHECK(irte(1)->vector >= 32);
    CHECK_EQ(fake_irqs_out, 1);
    table_w(1, 8, 0x42);
    target.lent = false;
    assign_reroute(&vm, true);
    assign_reroute(&vm, false);
    CHECK(irte(1)->routed && irte(1)->vector != 0x42);
    CHECK_EQ(fake_irqs_out, 1);
    tear_down();
}

/* --- another function in its place --- */

static bool pending_for_ever;

bool pci_transactions_pending(const struct pci_dev *d)
{
    (void)d;
    return pending_for_ever;
}

/* The guest's function, set up, with an interrupt; and another VF like it. */
static struct fake_pci *set_up_two(void)
{
    struct fake_pci *second;

    set_up();
    second = fake_pci_add(rid(0, 0, 0xaa), 0x8086, 0x10ca);
    memcpy(second->cfg, hw->cfg, sizeof(hw->cfg));
    second->is = *is;
    second->is.rid = second->dev.rid.id;
    second->is.reset.at = second->is.rid;
    second->is.bar[0].base = 0xfe200000;
    second->is.bar[3].base = 0xfe300000;
    CHECK(fake_shown(&second->dev));
    CHECK_EQ(assign(vf, "lan0/0", BOOT_FAULT_QUARANTINE), 0);
    cfg_w(1, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM);
    table_w(1, 8, 0x4041);
    table_w(1, 12, 0);
    cfg_w(1, BOOT_SHOWN_MSIX + 2, 2, PCI_MSIX_ENABLE);
    CHECK(irte(1)->routed);
    return second;
}

TEST(a_function_is_silenced_and_given_back)
{
    set_up_two();
    pending_for_ever = false;
    CHECK_EQ(assign_quiesce(&vm, vf), 0);
    CHECK_EQ(hw->cfg[PCI_COMMAND] & PCI_COMMAND_BM, 0);
    CHECK(!irte(1)->routed && !fake_iommu_dev(vf->rid)->domain);
    messages = 0;
    CHECK_EQ(assign_switch(&vm, vf, vf, "lan0/0"), 0);
    CHECK(hw->cfg[PCI_COMMAND] & PCI_COMMAND_BM);
    CHECK(irte(1)->routed && fake_iommu_dev(vf->rid)->domain == vm.iommu);
    CHECK_EQ(messages, 1); /* what came meanwhile is made good */
    pending_for_ever = true;
    CHECK_EQ(assign_quiesce(&vm, vf), 1);
    CHECK_EQ(assign_switch(&vm, vf, vf, "lan0/0"), 0);
    tear_down();
}

TEST(another_function_takes_its_place)
{
    struct fake_pci *second = set_up_two();
    uint32_t id = cfg_r(1, 0), bar0 = cfg_r(1, PCI_BAR0), command = cfg_r(1, PCI_COMMAND);
    struct fake_iommu_dev *d;

    CHECK_EQ(assign_can_move(&vm, vf, &second->dev), 0);
    pending_for_ever = false;
    CHECK_EQ(assign_quiesce(&vm, vf), 0);
    CHECK_EQ(assign_switch(&vm, vf, &second->dev, "lan0/1"), 0);
    CHECK(cfg_r(1, 0) == id && cfg_r(1, PCI_BAR0) == bar0 && cfg_r(1, PCI_COMMAND) == command);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].target.a, 0xfe200000);
    CHECK_EQ(vm.vpci->fn[1]->bar[0].at, GPA_PCI_WINDOW);
    CHECK(second->cfg[PCI_COMMAND] & PCI_COMMAND_BM);
    d = fake_iommu_dev(second->dev.rid);
    CHECK(d->domain == vm.iommu && d->irq[1].routed && !d->irq[0].routed);
    CHECK(!irte(1)->routed && !fake_iommu_dev(vf->rid)->domain);
    CHECK(!strcmp(vm.vpci->fn[1]->label, "lan0/1"));
    tear_down();
}

TEST(one_that_came_into_quarantine_meanwhile_stays_there)
{
    struct fake_pci *second = set_up_two();

    pending_for_ever = false;
    CHECK_EQ(assign_quiesce(&vm, vf), 0);
    vf->faults.held = true;
    CHECK_EQ(assign_switch(&vm, vf, &second->dev, "lan0/1"), -EPERM);
    CHECK_EQ(assign_switch(&vm, vf, vf, "lan0/0"), 0);
    CHECK(!fake_iommu_dev(vf->rid)->domain && !fake_iommu_dev(second->dev.rid));
    CHECK_EQ(hw->cfg[PCI_COMMAND] & PCI_COMMAND_BM, 0);
    tear_down();
}

TEST(only_what_is_alike_takes_its_place)
{
    struct fake_pci *second = set_up_two();

    second->is.bar[3].size = 0x8000;
    CHECK_EQ(assign_can_move(&vm, vf, &second->dev), -ENODEV);
    second->is.bar[3].size = 0x4000;
    second->is.device = 0x1520;
    CHECK_EQ(assign_can_move(&vm, vf, &second->dev), -ENODEV);
    CHECK_EQ(assign_can_move(&vm, &second->dev, NULL), -ESRCH);
    vf->reset_ns = 1;
    CHECK_EQ(assign_can_move(&vm, vf, NULL), -EAGAIN);
    vf->reset_ns = 0;
    vf->faults.held = true;
    CHECK_EQ(assign_can_move(&vm, vf, NULL), -EPERM);
    vf->faults.held = false;
    tear_down();
}

TEST_MAIN()
