/* SPDX-License-Identifier: BSD-2-Clause */
/* Bus 0 of a VM: configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2) and the functions behind it. */
#include "iommu/iommu.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "vm/assign/assign.h"
#include "vm/assign/function.h"

#define PORT_ADDRESS   0xcf8
#define PORT_DATA      0xcfc
#define ADDRESS_ENABLE BIT32(31)
#define ADDRESS_BUS    GENMASK32(23, 16)
#define ADDRESS_DEVICE GENMASK32(15, 11)
#define ADDRESS_FUNC   GENMASK32(10, 8)
#define ADDRESS_REG    GENMASK32(7, 2)
/* 8086:1237, class 0600: the bridge that operating systems expect behind mechanism 1. */
#define BRIDGE_ID    0x12378086u
#define BRIDGE_CLASS 0x06000002u

/* Only a whole dword at 0xcf8 is the address register; smaller accesses belong to other devices (0xcf9). */
static void address_access(UNUSED struct vcpu *v, void *dev, struct io_access *a)
{
    struct vpci *p = dev;

    if (a->size != 4)
        return;
    spin_guard(&p->lock);
    if (a->write)
        p->address = (uint32_t)a->data & ~3u;
    else
        a->data = p->address;
}

static void data_access(UNUSED struct vcpu *v, void *dev, struct io_access *a)
{
    static const uint32_t bridge[BOOT_SHOWN_BYTES / 4] = {BRIDGE_ID, [PCI_CLASS_REV / 4] = BRIDGE_CLASS};
    struct vpci *p = dev;
    unsigned slot, reg;
    spin_guard(&p->lock);

    slot = FIELD_GET(ADDRESS_DEVICE, p->address);
    reg = (p->address & ADDRESS_REG) + (unsigned)a->addr;
    if (a->addr + a->size > 4 ||
        (p->address & (ADDRESS_ENABLE | ADDRESS_BUS | ADDRESS_FUNC)) != ADDRESS_ENABLE)
        return;
    if (slot == 0 && !a->write)
        memcpy(&a->data, (const uint8_t *)bridge + reg, a->size);
    else if (p->fn[slot])
        function_cfg_access(p->fn[slot], reg, a);
}

int vpci_create(struct vm *vm)
{
    struct vpci *p = vm->vpci = heap_alloc(sizeof(*p));
    int rc;

    if (!p)
        return -ENOMEM;
    p->slots = 1;
    p->window_next = GPA_PCI_WINDOW;
    p->high = p->high_next = GPA_PCI_HIGH(vm->p2m.ram_low + vm->p2m.ram_high);
    rc = vm_io_register(vm, IO_PORT, PORT_ADDRESS, 1, address_access, p);
    return rc ? rc : vm_io_register(vm, IO_PORT, PORT_DATA, 4, data_access, p);
}

/* --- hand-over --- */

static int show(struct vm *vm, struct pci_dev *d, const char *label, enum boot_on_fault on_fault)
{
    struct vpci *p = vm->vpci;
    struct vfunction *f;
    int rc;

    if (p->slots == VPCI_SLOTS)
        return -ENOSPC;
    f = heap_alloc(sizeof(*f));
    if (!f)
        return -ENOMEM;
    rc = function_init(f, vm, d, label);
    if (rc != 0) {
        heap_free(f, sizeof(*f));
        return rc;
    }
    f->on_fault = on_fault;
    spin_guard(&p->lock);
    p->fn[p->slots] = f;
    p->slots++;
    function_reset_state(f);
    return 0;
}

/*
 * Bus Master off before anything else: what the last owner set up must not run on into the next owner's
 * memory. A function that is in quarantine since its last reset began needs no second one.
 */
static int make_clean(struct pci_dev *d)
{
    int rc = 0;

    if (d->is->reset.bits && d->reset_ns == 0)
        rc = pci_reset_start(d);
    if (rc == 0)
        rc = pci_reset_wait(d);
    d->reset_ns = 0; /* from here on it is used */
    pci_write16(d, PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_INTX);
    return rc;
}

bool assign_must_wait(struct pci_dev *d)
{
    return pci_reset_finish(d) == -EAGAIN;
}

int assign_function(struct vm *vm, struct pci_dev *d, const char *label, enum boot_on_fault on_fault)
{
    const char *step = "reset";
    int rc = make_clean(d);

    if (rc == 0 && !d->faults.held) {
        step = "attach to the IOMMU domain";
        rc = iommu_attach(vm->iommu, d->rid);
    }
    if (rc == 0) {
        step = "virtual configuration space";
        rc = show(vm, d, label, on_fault);
        if (rc != 0 && !d->faults.held && iommu_detach(vm->iommu, d->rid) != 0)
            log_error("%s: cannot be detached again; it stays with %s", label, vm->name);
    }
    if (rc != 0)
        log_error("%s: cannot be given to %s: %s failed (error %d)", label, vm->name, step, -rc);
    else if (vm->end == VM_HELD) /* of restarts there may be many */
        log_info("%s: has %s", vm->name, label);
    return rc;
}

static void release(struct vfunction *f)
{
    struct vm *vm = f->vm;

    if (pci_reset_wait(f->dev) != 0) /* until then it must not be touched */
        log_error("%s: does not come back from the reset that %s began", f->label, vm->name);
    pci_write16(f->dev, PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_INTX);
    function_destroy(f);
    if (!f->dev->faults.held && iommu_detach(vm->iommu, f->dev->rid) != 0)
        log_error("%s: the IOMMU did not confirm that it was taken from %s", f->label, vm->name);
    if (f->dev->is->reset.bits && pci_reset_start(f->dev) != 0)
        log_error("%s: cannot be reset", f->label);
    heap_free(f, sizeof(*f));
}

void assign_reroute(struct vm *vm, bool hold)
{
    spin_guard(&vm->vpci->lock);

    for (unsigned i = 1; i < vm->vpci->slots; i++)
        msix_reroute(vm->vpci->fn[i], hold);
}

void assign_release_all(struct vm *vm)
{
    struct vpci *p = vm->vpci;

    while (p->slots > 1) {
        struct vfunction *f = p->fn[p->slots - 1];

        spin_lock(&p->lock); /* faults are looked up here */
        p->fn[--p->slots] = NULL;
        spin_unlock(&p->lock);
        release(f);
    }
    p->window_next = GPA_PCI_WINDOW;
    p->high_next = p->high;
}
