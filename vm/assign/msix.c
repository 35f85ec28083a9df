/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI-X and MSI: the same vectors, one of the two at a time. */
#include "kernel/console/log.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/mmio.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"
#include "vm/assign/function.h"
#include "vm/emul/lapic.h"
#include "vm/vcpu.h"

/* Table entry, PCIe base 7.7.2.5 to 7.7.2.8. */
#define ENTRY_ADDR   0 /* in dwords */
#define ENTRY_UPPER  1
#define ENTRY_DATA   2
#define ENTRY_CTRL   3
#define ENTRY_MASKED BIT32(0)

static unsigned index_of(const struct msix_vector *v)
{
    return (unsigned)(v - v->f->vec);
}

/* Writes a dword of the device's own table, which has no part in MSI. */
static void hw_write(const struct msix_vector *v, unsigned dword, uint32_t val)
{
    const reg32_t reg = {index_of(v) * MSIX_ENTRY_BYTES + 4 * dword};

    if (!v->f->msi)
        mmio_write32(v->f->dev->msix_table, reg, val);
}

/* What was written has arrived: from now on the device keeps what it has to say. */
static void hw_flush(const struct msix_vector *v)
{
    const reg32_t reg = {index_of(v) * MSIX_ENTRY_BYTES + 4 * ENTRY_CTRL};

    if (!v->f->msi)
        (void)mmio_read32(v->f->dev->msix_table, reg);
}

/* With several MSI vectors, the low bits of the one message's data are the vector's number (6.1.4.4). */
static struct iommu_msi guest_message(const struct msix_vector *v)
{
    unsigned n = __atomic_load_n(&v->f->msi, __ATOMIC_RELAXED);
    const uint32_t *entry = n ? v->f->message : v->entry;
    uint32_t data = __atomic_load_n(&entry[ENTRY_DATA], __ATOMIC_RELAXED);

    return (struct iommu_msi){
        (uint64_t)__atomic_load_n(&entry[ENTRY_UPPER], __ATOMIC_RELAXED) << 32 |
            __atomic_load_n(&entry[ENTRY_ADDR], __ATOMIC_RELAXED),
        n ? (data & ~(n - 1)) | index_of(v) : data,
    };
}

/*
 * The device's interrupt becomes the message that the guest wrote for this entry. No lock: a guest that
 * changes an unmasked entry may get half of the old message, as it would from a device.
 */
static void msix_fire(void *arg)
{
    const struct msix_vector *v = arg;
    const struct iommu_msi m = guest_message(v);

    lapic_message(v->f->vm, m.address, m.data);
}

static void vector_release(struct msix_vector *v)
{
    const struct vfunction *f = v->f;

    if (v->vector < 0)
        return;
    hw_write(v, ENTRY_CTRL, ENTRY_MASKED);
    hw_flush(v);
    if (iommu_irq_block(f->dev->rid, index_of(v)) != 0)
        log_error("%s: interrupt %u: the IOMMU did not confirm that it is blocked", f->vm->name, index_of(v));
    if (!v->straight)
        irq_free(v->cpu, (unsigned)v->vector);
    f->vm->vpci->irqs -= !v->straight;
    v->vector = -1;
}

/* Host vectors are shared evenly: as many as this VM may have, every other can have, too. */
static bool may_have_more(const struct vm *vm)
{
    unsigned vectors = 0, vms = 0;

    for (unsigned i = 0; i < cpu_count(); i++)
        vectors += cpu_get(i)->apart ? 0 : VECTOR_DEVICE_HI - VECTOR_DEVICE_LO + 1;
    for (const struct vm *other = vm_first(); other; other = other->next)
        vms++;
    return vm->vpci->irqs < vectors / vms;
}

/* On the best CPU, where the vCPU it is for runs now, or on the next one that has a vector left: a guest with
 * many must not use up what others need there. */
static void vector_alloc(struct msix_vector *v, unsigned best)
{
    unsigned tries = may_have_more(v->f->vm) ? cpu_count() : 0;

    for (unsigned i = 0; i < tries && v->vector < 0; i++) {
        v->cpu = (best + i) % cpu_count();
        v->vector = irq_alloc(v->cpu, msix_fire, v);
        v->f->vm->vpci->irqs += v->vector >= 0;
    }
}

/* The message of vector 0 stands for all of MSI. Later ones are the same. */
static void msi_program(const struct vfunction *f, const struct iommu_msi *msi)
{
    unsigned at = f->dev->is->cap_msi;
    bool wide = pci_read16(f->dev, at + PCI_MSI_CTRL) & PCI_MSI_64BIT;

    pci_write32(f->dev, at + PCI_MSI_MESSAGE, (uint32_t)msi->address);
    if (wide)
        pci_write32(f->dev, at + PCI_MSI_MESSAGE + 4, (uint32_t)(msi->address >> 32));
    pci_write16(f->dev, at + PCI_MSI_MESSAGE + (wide ? 8 : 4), (uint16_t)msi->data);
}

/* Straight to the guest, if it is for a vCPU that has its CPU's local APIC, and the host could take it, too. */
static bool vector_route(struct msix_vector *v)
{
    const struct iommu_msi m = guest_message(v);
    struct vcpu *target;
    uint8_t vector;
    bool one = lapic_route(v->f->vm, m.address, m.data, &target, &vector),
         straight = one && vector >= 32 && __atomic_load_n(&target->lent, __ATOMIC_SEQ_CST);
    bool moves = v->vector >= 0;
    unsigned cpu = one ? target->cpu : cpu_id();
    struct iommu_msi msi;

    if (moves && v->cpu == cpu && v->straight == straight && (!straight || v->vector == vector))
        return true;
    vector_release(v);
    v->cpu = cpu;
    v->straight = straight;
    if (straight)
        v->vector = vector;
    else
        vector_alloc(v, cpu);
    if (v->vector < 0 || iommu_irq_route(v->f->dev->rid, index_of(v), cpu_get(v->cpu)->apic_id,
                                         (uint8_t)v->vector, &msi) != 0) {
        vector_release(v);
        return false;
    }
    if (v->f->msi && index_of(v) == 0)
        msi_program(v->f, &msi);
    hw_write(v, ENTRY_ADDR, (uint32_t)msi.address);
    hw_write(v, ENTRY_UPPER, (uint32_t)(msi.address >> 32));
    hw_write(v, ENTRY_DATA, msi.data);
    if (moves && v->f->msi)
        msix_fire(v); /* without a mask, one that came meanwhile is lost */
    return true;
}

static bool wanted(const struct msix_vector *v)
{
    return v->f->msi ? index_of(v) < v->f->msi
                     : v->f->ctrl == PCI_MSIX_ENABLE && !(v->entry[ENTRY_CTRL] & ENTRY_MASKED);
}

void msix_raise(struct vfunction *f)
{
    for (struct msix_vector *v = f->vec; v < f->vec + MAX(f->vectors, f->msi); v++)
        if (wanted(v))
            msix_fire(v);
}

/* Makes the device's entry agree with what the guest has asked for. */
static void vector_update(struct msix_vector *v)
{
    bool live = wanted(v);

    if (v->f->dev->faults.held)
        vector_release(v);
    else if (live && !vector_route(v))
        vm_complain(v->f->vm, "no interrupt vector left for MSI or MSI-X vector %u", index_of(v));
    else if (live || v->vector >= 0)
        hw_write(v, ENTRY_CTRL, live ? 0 : ENTRY_MASKED);
}

void msix_refresh(struct vfunction *f)
{
    unsigned msi = f->dev->is->cap_msi + PCI_MSI_CTRL;

    if (f->vectors)
        pci_write16(f->dev, f->dev->is->cap_msix + PCI_MSIX_CTRL, f->ctrl & PCI_MSIX_ENABLE);
    for (unsigned i = 0; i < MAX(f->vectors, f->msi); i++)
        vector_update(&f->vec[i]);
    if (f->msi)
        pci_write16(f->dev, msi,
                    (uint16_t)((pci_read16(f->dev, msi) & ~PCI_MSI_MME) | PCI_MSI_ENABLE |
                               FIELD_PREP(PCI_MSI_MME, (unsigned)__builtin_ctz(f->msi))));
}

static void set_control(struct vfunction *f, uint16_t ctrl)
{
    if (f->vectors == 0 || ctrl == f->ctrl)
        return;
    f->ctrl = ctrl;
    msix_refresh(f);
}

/* MSI with `n` vectors and the message in the guest's capability. */
static void set_msi(struct vfunction *f, unsigned n)
{
    unsigned reg = f->dev->is->cap_msi + PCI_MSI_CTRL;
    uint32_t message[3];

    memcpy(message, f->cfg + BOOT_SHOWN_MSI + PCI_MSI_MESSAGE, sizeof(message));
    if (n == f->msi && (n == 0 || memcmp(message, f->message, sizeof(message)) == 0))
        return;
    memcpy(f->message, message, sizeof(message));
    if (n != f->msi) {
        pci_write16(f->dev, reg, (uint16_t)(pci_read16(f->dev, reg) & ~(PCI_MSI_ENABLE | PCI_MSI_MME)));
        for (unsigned i = 0; i < MAX(n, f->msi); i++) /* those of MSI-X among them */
            vector_release(&f->vec[i]);
    }
    __atomic_store_n(&f->msi, n, __ATOMIC_RELAXED);
    if (n)
        msix_refresh(f);
}

/* Of the two, the one that is on keeps the other off (7.7.1.2). */
void msix_update(struct vfunction *f)
{
    uint32_t msi = cfg_get(f->cfg, BOOT_SHOWN_MSI + PCI_MSI_CTRL, 2);
    unsigned bits = MIN(FIELD_GET(PCI_MSI_MME, msi), FIELD_GET(PCI_MSI_MMC, msi));

    set_msi(f, (msi & PCI_MSI_ENABLE) && !(f->ctrl & PCI_MSIX_ENABLE) ? 1u << bits : 0);
    set_control(f, f->msi ? 0
                          : (uint16_t)(cfg_get(f->cfg, BOOT_SHOWN_MSIX + PCI_MSIX_CTRL, 2) &
                                       (PCI_MSIX_ENABLE | PCI_MSIX_MASK)));
}

const uint32_t msix_writable[4] = {~3u, ~0u, ~0u, ENTRY_MASKED};

/* Aligned dwords and qwords only (PCIe base 7.7.2: anything else is undefined): others read as ones and write
 * nothing. */
void msix_table_access(UNUSED struct vcpu *v, void *dev, struct io_access *a)
{
    struct vfunction *f = dev;
    uint64_t bytes = (uint64_t)f->vectors * MSIX_ENTRY_BYTES,
             off = a->addr - (f->dev->is->msix_offset & PAGE_MASK);
    struct msix_vector *vec;
    unsigned dword;

    if (a->size < 4 || !IS_ALIGNED(a->addr, a->size) || off >= bytes || a->size > bytes - off)
        return;
    vec = &f->vec[off / MSIX_ENTRY_BYTES];
    dword = (unsigned)(off % MSIX_ENTRY_BYTES) / 4;
    spin_guard(&f->vm->vpci->lock);
    if (!a->write) {
        memcpy(&a->data, &vec->entry[dword], a->size);
        return;
    }
    for (unsigned i = 0; i < a->size / 4; i++)
        vec->entry[dword + i] = (uint32_t)(a->data >> (32 * i)) & msix_writable[dword + i];
    vector_update(vec);
}

void msix_reroute(struct vfunction *f, bool hold)
{
    for (unsigned i = 0; i < MAX(f->vectors, f->msi); i++)
        (hold ? vector_release : vector_update)(&f->vec[i]);
    if (!hold && f->msi)
        msix_raise(f); /* without a mask, one that came meanwhile is lost */
}

void msix_reset(struct vfunction *f)
{
    set_msi(f, 0);
    set_control(f, 0);
    for (unsigned i = 0; i < f->vectors; i++) {
        vector_release(&f->vec[i]);
        f->vec[i] = (struct msix_vector){.f = f, .entry = {[ENTRY_CTRL] = ENTRY_MASKED}, .vector = -1};
        hw_write(&f->vec[i], ENTRY_CTRL, ENTRY_MASKED);
    }
}

int msix_map(struct pci_dev *dev)
{
    if (dev->is->msix_vectors && !dev->msix_table)
        dev->msix_table =
            mmio_map(hpa(dev->is->bar[dev->is->msix_bar].base + dev->is->msix_offset), msix_bytes(dev));
    return dev->is->msix_vectors && !dev->msix_table ? -ENOMEM : 0;
}

int msix_init(struct vfunction *f)
{
    f->vectors = MIN(f->dev->is->msix_vectors, IOMMU_IRQS);
    for (unsigned i = 0; i < IOMMU_IRQS; i++)
        f->vec[i] = (struct msix_vector){.f = f, .vector = -1};
    if (msix_map(f->dev) != 0)
        return -ENOMEM;
    msix_reset(f);
    return 0;
}
