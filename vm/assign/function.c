/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/assign/function.h"

#include "kernel/console/log.h"
#include "kernel/lib/string.h"
#include "vm/migrate/state.h"

#define MSI_CAP_BYTES 16

/* --- BARs --- */

/*
 * Unmaps what the guest sees of a BAR. Its pages were mapped by bars_update(), so the tables for them exist.
 * Nobody waits for other vCPUs to forget the old place: until they do, they reach the same function's
 * registers.
 */
static void bar_unmap(struct vfunction *f, struct vbar *b)
{
    if (b->at == 0)
        return;
    if (p2m_unmap(&f->vm->p2m, gpa(b->at), b->size) != 0)
        panic("%s: %s: a mapped BAR cannot be unmapped", f->vm->name, f->label);
    if (b->table_size)
        vm_io_unregister(f->vm, IO_MEM, b->at + b->table);
    vm_interrupt(f->vm);
    b->at = 0;
}

/* A BAR may be decoded inside a window, over nothing else. */
static bool bar_fits(const struct vpci *p, uint64_t at, uint64_t size)
{
    bool ok = (at >= GPA_PCI_WINDOW && at < GPA_PCI_WINDOW_END && size <= GPA_PCI_WINDOW_END - at) ||
              (at >= p->high && at < p->high + GPA_PCI_HIGH_SIZE && size <= p->high + GPA_PCI_HIGH_SIZE - at);

    for (unsigned s = 1; s < p->slots; s++)
        for (const struct vbar *o = p->fn[s]->bar; o < p->fn[s]->bar + PCI_BARS; o++)
            ok &= o->at == 0 || at + size <= o->at || o->at + o->size <= at;
    return ok;
}

/* Maps the parts on both sides of the trapped pages straight through. */
static int bar_map_pages(struct vfunction *f, const struct vbar *b)
{
    uint64_t after = b->table + b->table_size;
    int rc = 0;

    if (b->table)
        rc = p2m_map(&f->vm->p2m, gpa(b->at), b->target, b->table, RADIX_R | RADIX_W | RADIX_UC);
    if (rc == 0 && after < b->size)
        rc = p2m_map(&f->vm->p2m, gpa(b->at + after), hpa(b->target.a + after), b->size - after,
                     RADIX_R | RADIX_W | RADIX_UC);
    if (rc == 0 && b->table_size)
        rc = vm_io_register(f->vm, IO_MEM, b->at + b->table, b->table_size, msix_table_access, f);
    return rc;
}

/* What the guest has written to a BAR. */
static uint64_t bar_address(const struct vfunction *f, unsigned i)
{
    uint64_t high = f->bar[i].wide64 ? cfg_get(f->cfg, PCI_BAR0 + 4 * (i + 1), 4) : 0;

    return high << 32 | (cfg_get(f->cfg, PCI_BAR0 + 4 * i, 4) & ~PCI_BAR_MEM_ATTR);
}

static void bars_update(struct vfunction *f)
{
    bool decode = cfg_get(f->cfg, PCI_COMMAND, 2) & PCI_COMMAND_MEM;

    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct vbar *b = &f->bar[i];
        uint64_t want = decode && b->size ? bar_address(f, i) : 0;

        if (b->at == want)
            continue;
        bar_unmap(f, b);
        if (want == 0 || !bar_fits(f->vm->vpci, want, b->size))
            continue;
        b->at = want;
        if (bar_map_pages(f, b) != 0) {
            vm_complain(f->vm, "%s: no memory to map BAR %u", f->label, i);
            bar_unmap(f, b);
        }
    }
}

/* The next free place, in the upper window if it must be; 0: there is none. */
static uint64_t place(struct vpci *p, struct vbar *b, bool may_be_high)
{
    uint64_t at = ALIGN_UP(p->window_next, b->size);

    if (at < GPA_PCI_WINDOW_END && b->size <= GPA_PCI_WINDOW_END - at) {
        p->window_next = at + b->size;
        return at;
    }
    b->wide64 = may_be_high;
    at = ALIGN_UP(p->high_next, b->size);
    if (!may_be_high || b->size > GPA_PCI_HIGH_SIZE || at - p->high > GPA_PCI_HIGH_SIZE - b->size)
        return 0;
    p->high_next = at + b->size;
    return at;
}

/* The register, or both, with the bits that stand for its size. */
static void bar_show(struct vfunction *f, unsigned i, uint64_t at)
{
    uint64_t mask = ~(f->bar[i].size - 1);

    cfg_set(f->cfg, PCI_BAR0 + 4 * i, 4, (uint32_t)at);
    cfg_set(f->wmask, PCI_BAR0 + 4 * i, 4, (uint32_t)mask);
    if (!f->bar[i].wide64)
        return;
    cfg_set(f->cfg, PCI_BAR0 + 4 * i, 4, (uint32_t)at | FIELD_PREP(PCI_BAR_TYPE, PCI_BAR_TYPE_64));
    cfg_set(f->cfg, PCI_BAR0 + 4 * (i + 1), 4, (uint32_t)(at >> 32));
    cfg_set(f->wmask, PCI_BAR0 + 4 * (i + 1), 4, (uint32_t)(mask >> 32));
}

static int bars_init(struct vfunction *f)
{
    int rc = -ENODEV;

    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct boot_bar *hw = &f->dev->is->bar[i];
        struct vbar *b = &f->bar[i];
        uint64_t at;

        if (hw->size == 0 || hw->io || hw->base == 0 || !IS_ALIGNED(hw->base | hw->size, PAGE_SIZE))
            continue;
        b->target = hpa(hw->base);
        b->size = hw->size;
        at = place(f->vm->vpci, b, hw->wide64);
        if (!at)
            return -ENOSPC;
        bar_show(f, i, at);
        if (f->vectors && f->dev->is->msix_bar == i) {
            b->table = ALIGN_DOWN(f->dev->is->msix_offset, PAGE_SIZE);
            b->table_size = ALIGN_UP(f->dev->is->msix_offset + msix_bytes(f->dev), PAGE_SIZE) - b->table;
        }
        rc = 0;
    }
    return rc;
}

int function_init(struct vfunction *f, struct vm *vm, struct pci_dev *dev, const char *label)
{
    int rc;

    f->vm = vm;
    f->dev = dev;
    strlcpy(f->label, label, sizeof(f->label));
    memcpy(f->cfg, dev->shown->cfg, sizeof(f->cfg));
    memcpy(f->wmask, dev->shown->wmask, sizeof(f->wmask));
    rc = msix_init(f);
    return rc ? rc : bars_init(f);
}

void function_destroy(struct vfunction *f)
{
    for (unsigned i = 0; i < PCI_BARS; i++)
        bar_unmap(f, &f->bar[i]);
    msix_reset(f);
}

/* --- the guest's accesses --- */

/* The hardware always decodes memory; whether the guest may reach it is the nested table's business. */
static void command_update(struct vfunction *f)
{
    uint32_t bme = f->dev->faults.held ? 0 : cfg_get(f->cfg, PCI_COMMAND, 2) & PCI_COMMAND_BM;

    pci_write16(f->dev, PCI_COMMAND, (uint16_t)(PCI_COMMAND_MEM | PCI_COMMAND_INTX | bme));
    bars_update(f);
}

void function_show(struct vfunction *f, struct pci_dev *dev, const char *label)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        bar_unmap(f, &f->bar[i]);
        f->bar[i].target = hpa(dev->is->bar[i].base);
    }
    f->dev = dev;
    strlcpy(f->label, label, sizeof(f->label));
    command_update(f);
}

void function_reset_state(struct vfunction *f)
{
    cfg_set(f->cfg, PCI_COMMAND, 2, 0);
    if (f->vectors)
        cfg_set(f->cfg, BOOT_SHOWN_MSIX + PCI_MSIX_CTRL, 2, f->vectors - 1);
    for (unsigned i = BOOT_SHOWN_MSI; i < BOOT_SHOWN_MSI + MSI_CAP_BYTES; i++)
        f->cfg[i] &= (uint8_t)~f->wmask[i];
    command_update(f);
    msix_reset(f);
}

bool function_answers(struct vfunction *f)
{
    if (f->dev->reset_ns == 0)
        return true;
    if (pci_reset_finish(f->dev) != 0)
        return false;
    f->dev->reset_ns = 0;
    command_update(f);
    msix_refresh(f);
    return true;
}

static void cfg_write(struct vfunction *f, unsigned off, unsigned size, uint32_t val)
{
    uint32_t mask = cfg_get(f->wmask, off, size);

    cfg_set(f->cfg, off, size, (cfg_get(f->cfg, off, size) & ~mask) | (val & mask));
    if (off < PCI_BAR0 + 4 * PCI_BARS)
        command_update(f);
    msix_update(f);
    if (off == BOOT_SHOWN_PCIE + PCIE_DEVCTL && size >= 2 && (val & PCIE_DEVCTL_FLR) &&
        (cfg_get(f->cfg, BOOT_SHOWN_PCIE + PCIE_DEVCAP, 4) & PCIE_DEVCAP_FLR)) {
        function_reset_state(f);
        if (pci_reset_start(f->dev) != 0)
            vm_complain(f->vm, "%s: cannot be reset", f->label);
    }
}

void function_cfg_access(struct vfunction *f, unsigned off, struct io_access *a)
{
    if (!function_answers(f))
        return; /* ones, as a real one may (PCIe base 2.3.1) */
    if (a->write)
        cfg_write(f, off, a->size, (uint32_t)a->data);
    else
        a->data = cfg_get(f->cfg, off, a->size);
}

/* --- the record of a guest's only one --- */

uint32_t function_state_bytes(const struct vm *vm)
{
    return (uint32_t)sizeof(struct state_function) + MSIX_ENTRY_BYTES * vm->vpci->fn[1]->vectors;
}

/* With the lock held, and all of it the other way. */
static void copy(struct vpci *p, struct state_function *s, bool in)
{
    struct vfunction *f = p->fn[1];

    memcpy(in ? f->cfg : s->cfg, in ? s->cfg : f->cfg, sizeof(f->cfg));
    *(in ? &p->address : &s->address) = in ? s->address : p->address;
    for (unsigned n = 0; n < f->vectors; n++)
        memcpy(in ? f->vec[n].entry : s->entry[n], in ? s->entry[n] : f->vec[n].entry, MSIX_ENTRY_BYTES);
}

static void function_save(struct vm *vm, UNUSED unsigned i, void *data)
{
    spin_guard(&vm->vpci->lock);
    copy(vm->vpci, data, false);
}

/* What the guest cannot write is the function's own. */
static const char *function_check(const struct vm *vm, UNUSED unsigned i, const void *data)
{
    const struct vfunction *f = vm->vpci->fn[1];
    const struct state_function *s = data;

    for (unsigned at = 0; at < sizeof(s->cfg); at++)
        if ((s->cfg[at] ^ f->cfg[at]) & ~f->wmask[at])
            return "configuration space";
    for (unsigned n = 0; n < 4 * f->vectors; n++)
        if (s->entry[n / 4][n % 4] & ~msix_writable[n % 4])
            return "MSI-X table";
    return s->address & 3 ? "address" : NULL;
}

static void function_load(struct vm *vm, UNUSED unsigned i, const void *data)
{
    spin_guard(&vm->vpci->lock);

    copy(vm->vpci, (struct state_function *)(uintptr_t)data, true);
    command_update(vm->vpci->fn[1]);
    msix_update(vm->vpci->fn[1]);
}

const struct state_part function_part = {"function",   0, false, NULL, function_save, function_check,
                                         function_load};
