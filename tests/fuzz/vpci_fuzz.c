/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest on its PCI bus: the input is a script of configuration accesses, writes to the MSI-X table, interrupts, resets that take their
 * time, and changes of who takes interrupts. Whatever comes, the hardware sees only what it is allowed to, BARs lie apart and inside their windows,
 * and nothing is left over in the end.
 */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
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

#include "vm/assign/function.c"
#include "vm/assign/msix.c"
#include "vm/assign/vpci.c"

#include "vm/vcpu.h"

#define FUNCTIONS 2
#define HW_MSI    0x50
#define HW_MSIX   0x70
#define HW_PCIE   0xa0
#define VECTORS   3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vm vm;
static struct vcpu target;
static uint8_t table[FUNCTIONS][PAGE_SIZE] __attribute__((aligned(4096)));

static void must(bool ok)
{
    if (!ok)
        abort();
}

void lapic_message(struct vm *m, uint64_t address, uint32_t data)
{
    (void)m, (void)address, (void)data;
}

struct vm *vm_first(void)
{
    return &vm;
}

bool lapic_route(struct vm *m, uint64_t address, uint32_t data, struct vcpu **v, uint8_t *vector)
{
    (void)m;
    *v = &target;
    *vector = (uint8_t)data;
    return (address >> 20) == 0xfee && *vector >= 16;
}

int vm_io_register(struct vm *m, enum io_space space, uint64_t base, uint64_t bytes, io_fn *fn, void *dev)
{
    must(m->nio[space] < VM_IO_REGIONS);
    m->io[space][m->nio[space]++] = (struct io_region){base, bytes, fn, dev};
    return 0;
}

void vm_io_unregister(struct vm *m, enum io_space space, uint64_t base)
{
    for (unsigned i = 0; i < m->nio[space]; i++)
        if (m->io[space][i].base == base)
            m->io[space][i] = m->io[space][--m->nio[space]];
}

void vm_interrupt(struct vm *m)
{
    (void)m;
}

void vm_complain(struct vm *m, const char *fmt, ...)
{
    (void)m, (void)fmt;
}

/* Every register that the hardware may be written at, and with what. */
static void allowed(const struct pci_dev *d, unsigned off, unsigned bytes, uint32_t v)
{
    (void)d;
    switch (off) {
    case PCI_COMMAND:
        must(bytes == 2 && !(v & ~(PCI_COMMAND_MEM | PCI_COMMAND_BM | PCI_COMMAND_INTX)));
        break;
    case HW_MSI + PCI_MSI_CTRL:
        must(bytes == 2 && FIELD_GET(PCI_MSI_MME, v) <= FIELD_GET(PCI_MSI_MMC, v));
        break;
    case HW_MSI + PCI_MSI_MESSAGE:
        must(bytes == 4 && v == 0xfee00000);
        break;
    case HW_MSI + PCI_MSI_MESSAGE + 4:
    case HW_MSI + PCI_MSI_MESSAGE + 8:
        must(v == 0);
        break;
    case HW_MSIX + PCI_MSIX_CTRL:
        must(bytes == 2 && !(v & ~PCI_MSIX_ENABLE));
        break;
    default:
        abort();
    }
}

static struct pci_dev *add_function(unsigned i)
{
    struct fake_pci *hw = fake_pci_add(rid(0, 0, 0x30 + 8 * i), 0x8086, 0x10d3);
    struct pci_dev *d = &hw->dev;

    hw->is.bar[0] = (struct boot_bar){.base = 0xfe000000 + i * 0x10000, .size = 0x4000};
    hw->is.bar[1] = (struct boot_bar){.base = 0xfe008000 + i * 0x10000, .size = 0x2000};
    hw->is.bar[4] = (struct boot_bar){.base = 0x8000000000 + i * SIZE_1G, .size = SIZE_1G, .wide64 = true};
    hw->is.reset = (struct boot_reset_way){hw->is.rid, HW_PCIE + PCIE_DEVCTL, PCIE_DEVCTL_FLR, 0};
    hw->is.cap_msi = HW_MSI;
    hw->is.cap_msix = HW_MSIX;
    hw->is.cap_pcie = HW_PCIE;
    d->msix_table = table[i];
    hw->cfg[HW_MSI] = PCI_CAP_ID_MSI;
    hw->cfg[HW_MSI + 2] = PCI_MSI_64BIT | 2 << 1;
    hw->cfg[HW_MSIX] = PCI_CAP_ID_MSIX;
    hw->cfg[HW_MSIX + 2] = VECTORS - 1;
    hw->cfg[HW_MSIX + 4] = 1;
    hw->cfg[HW_PCIE] = PCI_CAP_ID_PCIE;
    hw->cfg[HW_PCIE + 7] = 0x10;
    must(fake_shown(d));
    return d;
}

static void start(void)
{
    memset(&vm, 0, sizeof(vm));
    fake_iommu_dev_count = 0;
    fake_iommu_rc = fake_pci_reset_rc = fake_p2m_fail = 0;
    fake_this_cpu(0);
    vm.iommu = iommu_domain_create("fuzz");
    must(fake_p2m_init(&vm.p2m, 1 << 20) == 0 && vpci_create(&vm) == 0);
    for (unsigned i = 0; i < FUNCTIONS; i++)
        must(assign_function(&vm, add_function(i), "fn", BOOT_FAULT_LOG) == 0);
    fake_pci_wr = allowed;
}

static void finish(void)
{
    fake_pci_wr = NULL;
    fake_pci_reset_rc = 0;
    assign_release_all(&vm);
    heap_free(vm.vpci, sizeof(*vm.vpci));
    fake_p2m_destroy(&vm.p2m);
    must(iommu_domain_destroy(vm.iommu) == 0);
    fake_pci_free_all();
    must(fake_irqs_out == 0 && fake_heap_out == 0 && vm.nio[IO_MEM] == 0);
}

static bool apart(const struct vbar *a, const struct vbar *b)
{
    return a == b || !a->at || !b->at || a->at + a->size <= b->at || b->at + b->size <= a->at;
}

static bool in_a_window(const struct vbar *b)
{
    uint64_t high = GPA_PCI_HIGH(1 << 20), end = b->at + b->size;

    return !b->at || (b->at >= GPA_PCI_WINDOW && end <= GPA_PCI_WINDOW_END) ||
           (b->at >= high && end <= high + GPA_PCI_HIGH_SIZE);
}

static void check_function(const struct vfunction *f, unsigned i)
{
    const struct fake_iommu_dev *d = fake_iommu_dev(f->dev->rid);
    uint32_t entry[4];

    must(!f->msi || !f->ctrl);
    for (unsigned a = 0; a < PCI_BARS; a++)
        for (unsigned s = 1; s < vm.vpci->slots; s++)
            for (unsigned b = 0; b < PCI_BARS; b++)
                must(in_a_window(&f->bar[a]) && apart(&f->bar[a], &vm.vpci->fn[s]->bar[b]));
    for (unsigned n = 0; n < IOMMU_IRQS; n++) /* what no vector stands for is blocked */
        must(d->irq[n].routed == (f->vec[n].vector >= 0));
    for (unsigned n = 0; n < VECTORS; n++) {
        memcpy(entry, table[i] + n * MSIX_ENTRY_BYTES, sizeof(entry));
        must((entry[0] == 0xfee00000 || entry[0] == 0) && entry[1] == 0 && (entry[2] == n || entry[2] == 0));
    }
}

static void config(const uint8_t in[8])
{
    struct io_access a = {.size = 4, .write = true, .data = BIT32(31) | (in[1] % 4u) << 11 | (in[2] & 0xfcu)};
    unsigned bytes = 1u << (in[0] >> 4 & 3);

    address_access(NULL, vm.vpci, &a);
    a = (struct io_access){.addr = in[2] & 3u, .size = bytes > 4 ? 4 : bytes, .write = in[0] & 8};
    memcpy(&a.data, in + 4, 4);
    data_access(NULL, vm.vpci, &a);
}

static void memory(const uint8_t in[8])
{
    const struct io_region *r;
    struct io_access a = {.size = 1u << (in[0] >> 4 & 3), .write = in[0] & 8};

    if (vm.nio[IO_MEM] == 0)
        return;
    r = &vm.io[IO_MEM][in[1] % vm.nio[IO_MEM]];
    a.addr = (in[2] | (uint64_t)in[3] << 8) % (r->size - a.size + 1);
    memcpy(&a.data, in + 4, 4);
    r->fn(NULL, r->dev, &a);
}

static void step(const uint8_t in[8])
{
    switch (in[0] & 7) {
    case 0:
    case 1:
    case 2:
        config(in);
        break;
    case 3:
    case 4:
        memory(in);
        break;
    case 5:
        fake_irq_raise(in[1] % 4, in[2]);
        break;
    case 6:
        target.cpu = in[1] % 4;
        target.lent = in[2] & 1;
        assign_reroute(&vm, in[2] & 2);
        break;
    case 7:
        fake_pci_reset_rc = in[1] & 1 ? -EAGAIN : 0;
        fake_p2m_fail = in[1] & 2 ? -ENOMEM : 0;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(table, 0, sizeof(table));
    start();
    for (; size >= 8; data += 8, size -= 8) {
        step(data);
        for (unsigned s = 1; s < vm.vpci->slots; s++)
            check_function(vm.vpci->fn[s], s - 1);
    }
    finish();
    return 0;
}
