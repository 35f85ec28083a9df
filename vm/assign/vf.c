/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/assign/vf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "vm/assign/assign.h"

#define CLEAN_LIMIT_NS (5 * NS_PER_S)

static struct vf *first, **last = &first;

struct vf *vf_add(const struct pci_dev *pf, const char *nic)
{
    struct vf *f = heap_alloc(pf->is->num_vfs * sizeof(*f));

    for (unsigned i = 0; f && i < pf->is->num_vfs; i++) {
        f[i].dev = &pf->vf[i];
        snprintf(f[i].label, sizeof(f[i].label), "%s/%u", nic, i);
        *last = &f[i];
        last = &f[i].next;
    }
    return f;
}

struct vf *vf_first(void)
{
    return first;
}

struct vf *vf_find(const char *label)
{
    struct vf *f = first;

    while (f && strcmp(f->label, label) != 0)
        f = f->next;
    return f;
}

bool vf_is_clean(const struct vf *f)
{
    uint64_t clean = __atomic_load_n(&f->clean, __ATOMIC_SEQ_CST);

    return clean != 0 && clean == __atomic_load_n(&f->dev->resets, __ATOMIC_SEQ_CST);
}

bool vf_claim(struct vf *f, struct vm *vm)
{
    struct vm *nobody = NULL;

    return __atomic_compare_exchange_n(&f->owner, &nobody, vm, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

int vf_give(struct vf *f, struct vm *vm)
{
    spin_guard(&vm->lock);

    if (vm->state != VM_STOPPED)
        return -EBUSY;
    if (vm->nvfs == BOOT_GUEST_VFS)
        return -ENOSPC;
    if (!vf_claim(f, vm))
        return -EEXIST;
    vm->vf[vm->nvfs++] = f;
    f->on_fault = vm->cfg->on_fault;
    return 0;
}

int vf_take(struct vf *f)
{
    struct vm *vm = __atomic_load_n(&f->owner, __ATOMIC_SEQ_CST);
    unsigned i = 0;

    if (!vm)
        return -EBUSY;
    spin_guard(&vm->lock);
    if (vm->state != VM_STOPPED || f->owner != vm) /* a move that ends gives its destination back */
        return -EBUSY;
    while (vm->vf[i] != f)
        i++;
    for (vm->nvfs--; i < vm->nvfs; i++)
        vm->vf[i] = vm->vf[i + 1];
    f->owner = NULL;
    f->dev->faults = (struct pci_faults){0}; /* nothing of it comes to the next owner */
    return 0;
}

void vf_move(struct vf *from, struct vf *to)
{
    struct vm *vm = from->owner;
    spin_guard(&vm->lock);

    for (struct vf **v = vm->vf; v < vm->vf + vm->nvfs; v++)
        *v = *v == from ? to : *v;
    to->mac = from->mac;
    to->on_fault = from->on_fault;
    from->mac = NULL;
    from->dev->faults = (struct pci_faults){0};
    __atomic_store_n(&from->used, false, __ATOMIC_SEQ_CST);
}

/* --- hand-over --- */

/* 0: out of its reset, and clean since. -EAGAIN: not yet. The next attempt after an error begins with a new reset. */
static int is_ready(const struct vf *f)
{
    struct pci_dev *d = f->dev;
    int rc = d->reset_ns ? 0 : pci_reset_start(d);

    if (rc == 0)
        rc = pci_reset_finish(d);
    if (rc == 0 && (!f->up_ns || !vf_is_clean(f)))
        rc = f->up_ns && time_ns() > MAX(d->reset_ns, f->up_ns) + CLEAN_LIMIT_NS ? -ETIMEDOUT : -EAGAIN;
    if (rc != 0 && rc != -EAGAIN) {
        log_error("%s: cannot be given to %s: it was not found clean after its reset (error %d)", f->label,
                  f->owner->name, -rc);
        d->reset_ns = 0;
    }
    return rc;
}

int vf_check_all(struct vm *vm)
{
    int rc = 0;

    for (unsigned i = 0; i < vm->nvfs && rc == 0; i++)
        rc = is_ready(vm->vf[i]);
    return rc;
}

int vf_assign_all(struct vm *vm)
{
    int rc = 0;

    for (unsigned i = 0; i < vm->nvfs && rc == 0; i++) {
        vm->vf[i]->used = true;
        rc = assign_function(vm, vm->vf[i]->dev, vm->vf[i]->label, vm->vf[i]->on_fault);
    }
    return rc;
}

void vf_end_use(struct vm *vm)
{
    for (unsigned i = 0; i < vm->nvfs; i++)
        __atomic_store_n(&vm->vf[i]->used, false, __ATOMIC_SEQ_CST);
}

uint64_t vf_reset_number(const struct vf *f)
{
    return __atomic_load_n(&f->used, __ATOMIC_SEQ_CST) ? 0
                                                       : __atomic_load_n(&f->dev->resets, __ATOMIC_SEQ_CST);
}

int vf_set_clean(struct vf *f, uint64_t number)
{
    if (number == 0 || number != vf_reset_number(f))
        return -EINVAL;
    __atomic_store_n(&f->clean, number, __ATOMIC_SEQ_CST);
    return 0;
}
