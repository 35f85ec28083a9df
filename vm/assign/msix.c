/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/assign/msix.h"

#include "iommu/iommu.h"
#include "kernel/console/log.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/irq.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/mmio.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "vm/emul/lapic.h"
#include "vm/vcpu.h"

/* Capability and table entry, PCIe base 7.7.2.2 to 7.7.2.8. */
#define CAP_CTRL     0x02
#define CAP_TABLE    0x04
#define CAP_BIR      GENMASK32(2, 0)
#define ENTRY_ADDR   0
#define ENTRY_DATA   8
#define ENTRY_CTRL   12
#define ENTRY_MASKED BIT32(0)

static reg32_t entry_reg(unsigned index, unsigned field)
{
    return (reg32_t){(uint32_t)(index * MSIX_ENTRY_BYTES + field)};
}

static unsigned index_of(const struct msix_vector *v)
{
    return (unsigned)(v - v->owner->vec);
}

static void hw_mask(struct msix_vector *v, bool masked)
{
    mmio_write32(v->owner->table, entry_reg(index_of(v), ENTRY_CTRL), masked ? ENTRY_MASKED : 0);
}

/*
 * The device's interrupt becomes the message that the guest wrote for this entry. No lock: a guest that
 * changes an unmasked entry may get half of the old message, as it would from a device.
 */
static void msix_fire(void *arg)
{
    struct msix_vector *v = arg;

    lapic_message(v->owner->vm, __atomic_load_n(&v->address, __ATOMIC_RELAXED),
                  __atomic_load_n(&v->data, __ATOMIC_RELAXED));
}

static void vector_release(struct msix_vector *v)
{
    struct msix *m = v->owner;

    if (v->vector < 0)
        return;
    hw_mask(v, true);
    if (iommu_irq_block(m->dev->rid, index_of(v)) != 0)
        log_error("%s: interrupt %u: the IOMMU did not confirm that it is blocked", m->vm->name, index_of(v));
    irq_free(v->cpu, (unsigned)v->vector);
    v->vector = -1;
}

/* The CPU where the interrupt is best taken: where the vCPU it is for runs now. */
static unsigned best_cpu(const struct msix_vector *v)
{
    struct vcpu *target;
    uint8_t vector;

    return lapic_route(v->owner->vm, v->address, v->data, &target, &vector) ? target->cpu : cpu_id();
}

/* On this CPU, or on the next one that has a vector left: a guest with many must not use up what others need
 * there. */
static int vector_alloc(struct msix_vector *v, unsigned cpu)
{
    int rc = -ENOSPC;

    for (unsigned i = 0; i < cpu_count() && rc < 0; i++) {
        v->cpu = (cpu + i) % cpu_count();
        rc = irq_alloc(v->cpu, msix_fire, v);
    }
    v->vector = rc < 0 ? -1 : rc;
    return rc < 0 ? rc : 0;
}

static int vector_route(struct msix_vector *v)
{
    struct msix *m = v->owner;
    unsigned cpu = best_cpu(v), index = index_of(v);
    struct iommu_msi msi;
    int rc;

    if (v->vector >= 0 && v->cpu == cpu)
        return 0;
    vector_release(v);
    rc = vector_alloc(v, cpu);
    if (rc != 0)
        return rc;
    rc = iommu_irq_route(m->dev->rid, index, cpu_get(v->cpu)->apic_id, (uint8_t)v->vector, &msi);
    if (rc != 0) {
        vector_release(v);
        return rc;
    }
    mmio_write32(m->table, entry_reg(index, ENTRY_ADDR), (uint32_t)msi.address);
    mmio_write32(m->table, entry_reg(index, ENTRY_ADDR + 4), (uint32_t)(msi.address >> 32));
    mmio_write32(m->table, entry_reg(index, ENTRY_DATA), msi.data);
    return 0;
}

/* Makes the device's entry agree with what the guest has asked for. */
static void vector_update(struct msix_vector *v)
{
    struct msix *m = v->owner;
    bool live = (m->ctrl & MSIX_CTRL_ENABLE) && !(m->ctrl & MSIX_CTRL_MASK) && !v->masked;

    if (!live) {
        if (v->vector >= 0)
            hw_mask(v, true);
        return;
    }
    if (vector_route(v) != 0) {
        vm_complain(m->vm, "no interrupt vector left for MSI-X entry %u", index_of(v));
        return;
    }
    hw_mask(v, false);
}

void msix_set_control(struct msix *m, uint16_t ctrl)
{
    if (m->count == 0)
        return;
    m->ctrl = ctrl & (MSIX_CTRL_ENABLE | MSIX_CTRL_MASK);
    pci_write16(m->dev, m->dev->cap_msix + CAP_CTRL, m->ctrl & MSIX_CTRL_ENABLE);
    for (unsigned i = 0; i < m->count; i++)
        vector_update(&m->vec[i]);
}

/* Byte `off` of a table entry, as the guest sees it. */
static uint32_t entry_dword(const struct msix_vector *v, unsigned off)
{
    switch (off) {
    case ENTRY_ADDR:
        return (uint32_t)v->address;
    case ENTRY_ADDR + 4:
        return (uint32_t)(v->address >> 32);
    case ENTRY_DATA:
        return v->data;
    default:
        return v->masked ? ENTRY_MASKED : 0;
    }
}

static void entry_set(struct msix_vector *v, unsigned off, uint32_t val)
{
    switch (off) {
    case ENTRY_ADDR:
        v->address = (v->address & ~(uint64_t)UINT32_MAX) | (val & ~3u);
        break;
    case ENTRY_ADDR + 4:
        v->address = (v->address & UINT32_MAX) | (uint64_t)val << 32;
        break;
    case ENTRY_DATA:
        v->data = val;
        break;
    default:
        v->masked = val & ENTRY_MASKED;
        break;
    }
}

/* Aligned dwords and qwords only (PCIe base 7.7.2: anything else is undefined): others read as ones and write
 * nothing. */
void msix_table_access(struct vcpu *v, void *dev, struct io_access *a)
{
    struct msix *m = dev;
    uint64_t start = m->offset & PAGE_MASK, off = a->addr - start;

    (void)v;
    if (a->size < 4 || !IS_ALIGNED(a->addr, a->size) || a->addr < start ||
        off + a->size > (uint64_t)m->count * MSIX_ENTRY_BYTES)
        return;
    spin_lock(m->lock);
    if (!a->write)
        a->data = 0;
    for (unsigned i = 0; i < a->size; i += 4) {
        struct msix_vector *vec = &m->vec[(off + i) / MSIX_ENTRY_BYTES];
        unsigned field = (unsigned)((off + i) % MSIX_ENTRY_BYTES);

        if (a->write)
            entry_set(vec, field, (uint32_t)(a->data >> (8 * i)));
        else
            a->data |= (uint64_t)entry_dword(vec, field) << (8 * i);
        if (a->write)
            vector_update(vec);
    }
    spin_unlock(m->lock);
}

void msix_reset(struct msix *m)
{
    m->ctrl = 0;
    for (unsigned i = 0; i < m->count; i++) {
        vector_release(&m->vec[i]);
        hw_mask(&m->vec[i], true);
        m->vec[i].address = 0;
        m->vec[i].data = 0;
        m->vec[i].masked = true;
    }
}

void msix_destroy(struct msix *m)
{
    if (m->count == 0)
        return;
    pci_write16(m->dev, m->dev->cap_msix + CAP_CTRL, 0);
    msix_reset(m);
    heap_free(m->vec, m->count * sizeof(*m->vec));
    m->count = 0;
}

int msix_init(struct msix *m, struct vm *vm, struct pci_dev *dev, struct spinlock *lock)
{
    uint32_t table;
    unsigned count;

    *m = (struct msix){.vm = vm, .dev = dev, .lock = lock};
    if (!dev->cap_msix)
        return 0;
    count = (pci_read16(dev, dev->cap_msix + CAP_CTRL) & MSIX_CTRL_SIZE) + 1u;
    table = pci_read32(dev, dev->cap_msix + CAP_TABLE);
    m->bar = FIELD_GET(CAP_BIR, table);
    m->offset = table & ~CAP_BIR;
    if (m->bar >= PCI_BARS || dev->bar[m->bar].io || count > IOMMU_IRQS ||
        m->offset + (uint64_t)count * MSIX_ENTRY_BYTES > dev->bar[m->bar].size)
        return -EINVAL;
    if (!dev->msix_table)
        dev->msix_table =
            mmio_map(hpa(dev->bar[m->bar].base.a + m->offset), (uint64_t)count * MSIX_ENTRY_BYTES);
    m->table = dev->msix_table;
    m->vec = heap_alloc(count * sizeof(*m->vec));
    if (!m->table || !m->vec) {
        heap_free(m->vec, count * sizeof(*m->vec));
        return -ENOMEM;
    }
    m->count = count;
    for (unsigned i = 0; i < count; i++)
        m->vec[i] = (struct msix_vector){.owner = m, .masked = true, .vector = -1};
    msix_reset(m);
    return 0;
}
