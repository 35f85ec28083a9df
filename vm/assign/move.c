/* SPDX-License-Identifier: BSD-2-Clause */
/* One function in another's place, for a guest that goes on using it. */
#include "kernel/lib/wait.h"
#include "vm/assign/assign.h"
#include "vm/assign/function.h"

/* With the vpci lock held; or NULL. */
static struct vfunction *function_of(const struct vm *vm, const struct pci_dev *d)
{
    for (unsigned s = 1; s < vm->vpci->slots; s++)
        if (vm->vpci->fn[s]->dev == d)
            return vm->vpci->fn[s];
    return NULL;
}

static bool alike(const struct boot_pci *a, const struct boot_pci *b)
{
    bool same = a->vendor == b->vendor && a->device == b->device && a->class_rev == b->class_rev &&
                a->cap_msix == b->cap_msix && a->cap_pcie == b->cap_pcie && a->cap_msi == b->cap_msi &&
                a->msix_vectors == b->msix_vectors && a->msix_bar == b->msix_bar &&
                a->msix_offset == b->msix_offset;

    for (unsigned i = 0; i < PCI_BARS; i++)
        same &= a->bar[i].size == b->bar[i].size && a->bar[i].io == b->bar[i].io;
    return same;
}

int assign_can_move(struct vm *vm, const struct pci_dev *from, struct pci_dev *to)
{
    const struct vfunction *f;
    spin_guard(&vm->vpci->lock);

    f = function_of(vm, from);
    if (!f)
        return -ESRCH;
    if (from->faults.held)
        return -EPERM;
    if (from->reset_ns != 0)
        return -EAGAIN;
    if (!to)
        return 0;
    return alike(from->is, to->is) ? msix_map(to) : -ENODEV;
}

int assign_quiesce(struct vm *vm, struct pci_dev *d)
{
    struct vfunction *f;
    int pending, rc;
    spin_guard(&vm->vpci->lock);

    f = function_of(vm, d);
    if (!f)
        return -ESRCH;
    pci_write16(d, PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_INTX);
    msix_reroute(f, true);
    pending = !wait_until(!pci_transactions_pending(d), NS_PER_MS);
    rc = iommu_detach(vm->iommu, d->rid);
    return rc ? rc : pending;
}

int assign_switch(struct vm *vm, const struct pci_dev *from, struct pci_dev *to, const char *label)
{
    struct vfunction *f;
    int rc;
    spin_guard(&vm->vpci->lock);

    f = function_of(vm, from);
    if (f && from->faults.held) /* meanwhile: `vf restore` brings it back, and nothing else */
        return from == to ? 0 : -EPERM;
    rc = f ? iommu_attach(vm->iommu, to->rid) : -ESRCH;
    if (rc != 0)
        return rc;
    function_show(f, to, label);
    msix_refresh(f);
    msix_raise(f);
    return 0;
}
