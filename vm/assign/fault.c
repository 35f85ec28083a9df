/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose fault it was, and what becomes of the function. Hardware may record fewer faults than there were, never
 * more (VT-d has as little as one record in 100 ms). A driver that keeps to its guest's memory causes none.
 */
#include "iommu/fault.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/string.h"
#include "kernel/mm/paging.h"
#include "vm/assign/assign.h"
#include "vm/assign/function.h"

#define FAULTS_MAX      4 /* so many within FAULT_WINDOW_NS are too many */
#define FAULT_WINDOW_NS NS_PER_S
#define MSI_RANGE       0xfee00000u /* 1 MiB, on both vendors' machines */

/* Of a VM that may be NULL. RAM lists never change once a VM is in the list. */
static enum fault_class class_of(const struct vm *vm, const struct iommu_fault *f)
{
    uint64_t at = f->addr.a;

    if (f->interrupt || at >> 20 == MSI_RANGE >> 20)
        return FAULT_INTERRUPT;
    if (vm && p2m_ram(&vm->p2m, gpa(at), 1))
        return FAULT_UNMAPPED; /* its own, but it is closed */
    for (const struct vm *other = vm_first(); other; other = other->next)
        for (const struct boot_block *b = other->p2m.block; b < other->p2m.end; b++)
            if (at - b->base < b->size)
                return FAULT_OTHER_GUEST;
    if (paging_is_ram(hpa(at)))
        return FAULT_HYPERVISOR;
    for (const struct pci_dev *d = pci_first(); d; d = d->next)
        for (const struct boot_bar *b = d->is->bar; b < d->is->bar + PCI_BARS; b++)
            if (at - b->base < b->size)
                return FAULT_MMIO;
    return at < SIZE_4G ? FAULT_MMIO : FAULT_UNMAPPED; /* below, what is not RAM is the chip set's */
}

/* A VM's function that has this id, or this label if there is one, with the VM's vpci lock held; or NULL. */
static struct vfunction *function_lock(rid_t id, const char *label)
{
    for (struct vm *vm = vm_first(); vm; vm = vm->next) {
        spin_lock(&vm->vpci->lock);
        for (unsigned s = 1; s < vm->vpci->slots; s++) {
            struct vfunction *f = vm->vpci->fn[s];

            if (label ? strcmp(f->label, label) == 0 : f->dev->rid.id == id.id)
                return f;
        }
        spin_unlock(&vm->vpci->lock);
    }
    return NULL;
}

static void function_unlock(struct vfunction *f)
{
    spin_unlock(&f->vm->vpci->lock);
}

/*
 * Silent on the bus first, then closed. The reset stops its queues, and tells the PF's driver, which asks why
 * (HC_VF_STATUS).
 */
static void hold(struct vfunction *f)
{
    struct pci_dev *d = f->dev;

    d->faults.held = true;
    if (d->reset_ns == 0) /* a reset has silenced it, and it must not be touched */
        pci_write16(d, PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_INTX);
    msix_refresh(f);
    if (iommu_detach(f->vm->iommu, d->rid) != 0)
        log_error("%s: the IOMMU did not confirm that it is closed", f->label);
    if (d->is->reset.bits && d->reset_ns == 0 && pci_reset_start(d) != 0)
        log_error("%s: cannot be reset", f->label);
    log_error("%s: of %s: in quarantine after %u faults within a second; `vf %s restore` gives it back",
              f->label, f->vm->name, FAULTS_MAX, f->label);
}

static bool too_many(struct pci_faults *n, uint64_t now)
{
    if (now - n->since_ns >= FAULT_WINDOW_NS) {
        n->since_ns = now;
        n->recent = 0;
    }
    n->total++;
    return ++n->recent == FAULTS_MAX;
}

static void on_record(struct fault_record *r)
{
    struct vfunction *f = function_lock(r->f.dev, NULL);

    r->at = class_of(f ? f->vm : NULL, &r->f);
    if (!f)
        return;
    strlcpy(r->owner, f->vm->name, sizeof(r->owner));
    strlcpy(r->label, f->label, sizeof(r->label));
    if (too_many(&f->dev->faults, r->ns) && !f->dev->faults.held) {
        if (f->on_fault == BOOT_FAULT_QUARANTINE)
            hold(f);
        else if (f->on_fault == BOOT_FAULT_STOP)
            vm_stop(f->vm, NULL, VM_FAULTS, "%s: %u faults within a second (on_fault = stop)", f->label,
                    FAULTS_MAX);
    }
    function_unlock(f);
}

static int restore(struct vfunction *f)
{
    struct pci_dev *d = f->dev;
    int rc;

    if (!d->faults.held)
        return -EINVAL;
    if (d->reset_ns != 0)
        return -EAGAIN;
    rc = iommu_attach(f->vm->iommu, d->rid);
    if (rc != 0)
        return rc;
    d->faults.held = false;
    d->faults.recent = 0;
    return pci_reset_start(d);
}

int assign_restore(const char *label)
{
    struct vfunction *f = function_lock((rid_t){0}, label);
    int rc;

    if (!f)
        return -ENOENT;
    rc = restore(f);
    function_unlock(f);
    return rc;
}

bool assign_is_held(const struct pci_dev *d)
{
    struct vfunction *f = d->faults.held ? function_lock(d->rid, NULL) : NULL;

    if (!f)
        return false;
    msix_raise(f);
    function_unlock(f);
    return true;
}

void assign_poll(void)
{
    for (struct vm *vm = vm_first(); vm; vm = vm->next) {
        spin_guard(&vm->vpci->lock);
        for (unsigned s = 1; s < vm->vpci->slots; s++)
            (void)function_answers(vm->vpci->fn[s]);
    }
}

void assign_init(void)
{
    fault_on_record(on_record);
}
