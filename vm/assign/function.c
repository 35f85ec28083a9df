/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/assign/function.h"

#include "kernel/console/log.h"
#include "kernel/lib/string.h"

#define CAP_NEXT       0x01
#define PCIE_CAP_BYTES 0x3c
#define MSIX_CAP_BYTES 12

static uint32_t cfg_get(const uint8_t *cfg, unsigned off, unsigned size)
{
    uint32_t v = 0;

    memcpy(&v, cfg + off, size);
    return v;
}

static void cfg_set(uint8_t *cfg, unsigned off, unsigned size, uint32_t v)
{
    memcpy(cfg + off, &v, size);
}

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

/* A BAR may be decoded inside the window, over nothing else. */
static bool bar_fits(const struct vpci *p, uint64_t at, uint64_t size)
{
    bool ok = at >= GPA_PCI_WINDOW && at + size <= GPA_PCI_WINDOW_END;

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

static void bars_update(struct vfunction *f)
{
    bool decode = cfg_get(f->cfg, PCI_COMMAND, 2) & PCI_COMMAND_MEM;

    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct vbar *b = &f->bar[i];
        uint64_t want = decode ? cfg_get(f->cfg, PCI_BAR0 + 4 * i, 4) : 0;

        if (b->at == want)
            continue;
        bar_unmap(f, b);
        if (!decode || !bar_fits(f->vm->vpci, want, b->size))
            continue;
        b->at = want;
        if (bar_map_pages(f, b) != 0) {
            vm_complain(f->vm, "%s: no memory to map BAR %u", f->label, i);
            bar_unmap(f, b);
        }
    }
}

static int bars_init(struct vfunction *f)
{
    uint64_t *next = &f->vm->vpci->window_next;
    int rc = -ENODEV;

    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *hw = &f->dev->bar[i];
        struct vbar *b = &f->bar[i];

        if (hw->size == 0 || hw->io || hw->base.a == 0 || !IS_ALIGNED(hw->base.a | hw->size, PAGE_SIZE))
            continue;
        *next = ALIGN_UP(*next, hw->size);
        if (*next + hw->size > GPA_PCI_WINDOW_END)
            return -ENOSPC;
        b->target = hw->base;
        b->size = hw->size;
        cfg_set(f->wmask, PCI_BAR0 + 4 * i, 4, (uint32_t) ~(hw->size - 1));
        cfg_set(f->cfg, PCI_BAR0 + 4 * i, 4, (uint32_t)*next);
        *next += hw->size;
        if (f->vectors && f->table_bar == i) {
            uint64_t end = f->table_offset + (uint64_t)f->vectors * MSIX_ENTRY_BYTES;

            b->table = ALIGN_DOWN(f->table_offset, PAGE_SIZE);
            b->table_size = ALIGN_UP(end, PAGE_SIZE) - b->table;
        }
        rc = 0;
    }
    return rc;
}

/* Copies a capability of the hardware's to `at` and puts it in front of the list. */
static void add_cap(struct vfunction *f, unsigned at, unsigned hw, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 4)
        cfg_set(f->cfg, at + i, 4, pci_read32(f->dev, hw + i));
    f->cfg[at + CAP_NEXT] = f->cfg[PCI_CAP_PTR];
    f->cfg[PCI_CAP_PTR] = (uint8_t)at;
    f->cfg[PCI_STATUS] = PCI_STATUS_CAP_LIST;
}

static void caps_init(struct vfunction *f)
{
    uint32_t devcap;

    if (f->vectors) {
        add_cap(f, VCAP_MSIX, f->dev->cap_msix, MSIX_CAP_BYTES);
        cfg_set(f->wmask, VCAP_MSIX + PCI_MSIX_CTRL, 2, PCI_MSIX_ENABLE | PCI_MSIX_MASK);
    }
    if (f->dev->cap_pcie) {
        add_cap(f, VCAP_PCIE, f->dev->cap_pcie, PCIE_CAP_BYTES);
        devcap = cfg_get(f->cfg, VCAP_PCIE + PCIE_DEVCAP, 4);
        f->may_reset = f->dev->reset == BOOT_RESET_FLR;
        if (!f->may_reset)
            cfg_set(f->cfg, VCAP_PCIE + PCIE_DEVCAP, 4, devcap & ~PCIE_DEVCAP_FLR);
    }
}

int function_init(struct vfunction *f, struct vm *vm, struct pci_dev *dev, const char *label)
{
    int rc;

    f->vm = vm;
    f->dev = dev;
    strlcpy(f->label, label, sizeof(f->label));
    rc = msix_init(f);
    if (rc == 0)
        rc = bars_init(f);
    if (rc != 0)
        return rc;
    cfg_set(f->cfg, 0, 4, (uint32_t)dev->device << 16 | dev->vendor);
    cfg_set(f->cfg, PCI_CLASS_REV, 4, dev->class_rev);
    cfg_set(f->cfg, PCI_SUBSYSTEM, 4, pci_read32(dev, PCI_SUBSYSTEM));
    cfg_set(f->wmask, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BM | PCI_COMMAND_INTX);
    caps_init(f);
    return 0;
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

void function_reset_state(struct vfunction *f)
{
    cfg_set(f->cfg, PCI_COMMAND, 2, 0);
    if (f->vectors)
        cfg_set(f->cfg, VCAP_MSIX + PCI_MSIX_CTRL, 2, f->vectors - 1);
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
    msix_set_control(f, f->ctrl);
    return true;
}

static void cfg_write(struct vfunction *f, unsigned off, unsigned size, uint32_t val)
{
    uint32_t mask = cfg_get(f->wmask, off, size);
    uint16_t ctrl;

    cfg_set(f->cfg, off, size, (cfg_get(f->cfg, off, size) & ~mask) | (val & mask));
    if (off < PCI_BAR0 + 4 * PCI_BARS)
        command_update(f);
    ctrl = cfg_get(f->cfg, VCAP_MSIX + PCI_MSIX_CTRL, 2) & (PCI_MSIX_ENABLE | PCI_MSIX_MASK);
    if (ctrl != f->ctrl)
        msix_set_control(f, ctrl);
    if (f->may_reset && off == VCAP_PCIE + PCIE_DEVCTL && size >= 2 && (val & PCIE_DEVCTL_FLR)) {
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
