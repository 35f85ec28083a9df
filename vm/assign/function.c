/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/assign/function.h"

#include "kernel/console/log.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/assign/assign.h"

/* Capability ids and registers: PCIe base 7.5.3 (PCI Express), 7.7.2 (MSI-X). */
#define CAP_ID_PCIE     0x10
#define CAP_ID_MSIX     0x11
#define PCIE_CAP_BYTES  0x3c
#define PCIE_DEVCAP     0x04
#define PCIE_DEVCTL     0x08
#define PCIE_DEVCAP_FLR BIT32(28)
#define PCIE_DEVCTL_FLR BIT32(15)
#define MSIX_CAP_BYTES  12
#define MSIX_CTRL       0x02

/* Where the allowed capabilities stand in every virtual configuration space. */
#define VCAP_PCIE 0x40
#define VCAP_MSIX 0x80

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

static unsigned bar_reg(unsigned i)
{
    return PCI_BAR0 + 4 * i;
}

/*
 * Unmaps what the guest sees of a BAR. Its pages were mapped by bar_map(), so the tables for them exist.
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

static bool overlaps(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
    return a < b + blen && b < a + alen;
}

/* A BAR may be decoded inside the window, over nothing else. */
static bool bar_fits(const struct vfunction *f, const struct vbar *b, uint64_t at)
{
    if (at < GPA_PCI_WINDOW || at + b->size > GPA_PCI_WINDOW_END)
        return false;
    for (unsigned s = 1; s < VPCI_SLOTS; s++) {
        const struct vfunction *o = f->vm->vpci->fn[s];

        for (unsigned i = 0; o && i < PCI_BARS; i++)
            if (o->bar[i].at && overlaps(at, b->size, o->bar[i].at, o->bar[i].size))
                return false;
    }
    return true;
}

/* Maps the parts on both sides of the trapped pages straight through. */
static int bar_map_pages(struct vfunction *f, struct vbar *b, uint64_t at)
{
    uint64_t after = b->table + b->table_size;
    int rc = 0;

    if (b->table)
        rc = p2m_map(&f->vm->p2m, gpa(at), b->target, b->table, RADIX_R | RADIX_W | RADIX_UC);
    if (rc == 0 && after < b->size)
        rc = p2m_map(&f->vm->p2m, gpa(at + after), hpa(b->target.a + after), b->size - after,
                     RADIX_R | RADIX_W | RADIX_UC);
    if (rc == 0 && b->table_size)
        rc = vm_io_register(f->vm, IO_MEM, at + b->table, b->table_size, msix_table_access, &f->msix);
    return rc;
}

static void bar_map(struct vfunction *f, unsigned i)
{
    struct vbar *b = &f->bar[i];
    uint64_t at = cfg_get(f->cfg, bar_reg(i), 4) & ~(uint64_t)0xf;

    if (b->size == 0 || !bar_fits(f, b, at))
        return;
    if (bar_map_pages(f, b, at) != 0) {
        vm_complain(f->vm, "%s: no memory to map BAR %u", f->label, i);
        if (p2m_unmap(&f->vm->p2m, gpa(at), b->size) != 0)
            panic("%s: %s: a half-mapped BAR cannot be unmapped", f->vm->name, f->label);
        return;
    }
    b->at = at;
}

static void bars_update(struct vfunction *f)
{
    bool decode = cfg_get(f->cfg, PCI_COMMAND, 2) & PCI_COMMAND_MEM;

    for (unsigned i = 0; i < PCI_BARS; i++) {
        uint64_t want = decode ? cfg_get(f->cfg, bar_reg(i), 4) & ~(uint64_t)0xf : 0;

        if (f->bar[i].at == want)
            continue;
        bar_unmap(f, &f->bar[i]);
        if (decode)
            bar_map(f, i);
    }
}

static void bars_init(struct vfunction *f)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *hw = &f->dev->bar[i];
        struct vbar *b = &f->bar[i];

        if (hw->size == 0 || hw->io || hw->base.a == 0 || !IS_ALIGNED(hw->base.a | hw->size, PAGE_SIZE))
            continue;
        b->target = hw->base;
        b->size = hw->size;
        cfg_set(f->wmask, bar_reg(i), 4, (uint32_t) ~(hw->size - 1));
        if (f->msix.count && f->msix.bar == i) {
            uint64_t end = f->msix.offset + (uint64_t)f->msix.count * MSIX_ENTRY_BYTES;

            b->table = ALIGN_DOWN(f->msix.offset, PAGE_SIZE);
            b->table_size = ALIGN_UP(end, PAGE_SIZE) - b->table;
        }
    }
}

int function_place_bars(struct vfunction *f, uint64_t *next)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        uint64_t at = ALIGN_UP(*next, MAX(f->bar[i].size, (uint64_t)1));

        if (f->bar[i].size == 0)
            continue;
        if (at + f->bar[i].size > GPA_PCI_WINDOW_END)
            return -ENOSPC;
        cfg_set(f->cfg, bar_reg(i), 4, (uint32_t)at);
        *next = at + f->bar[i].size;
    }
    return 0;
}

/* --- capabilities --- */

static void copy_hw(struct vfunction *f, unsigned to, unsigned from, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 4)
        cfg_set(f->cfg, to + i, 4, pci_read32(f->dev, from + i));
}

static void link_cap(struct vfunction *f, unsigned *tail, unsigned cap, uint8_t id)
{
    f->cfg[*tail] = (uint8_t)cap;
    f->cfg[cap] = id;
    f->cfg[cap + 1] = 0;
    *tail = cap + 1;
    f->cfg[PCI_STATUS] |= PCI_STATUS_CAPS;
}

static void caps_init(struct vfunction *f)
{
    unsigned tail = PCI_CAP_POINTER;

    if (f->dev->cap_pcie) {
        uint32_t devcap;

        copy_hw(f, VCAP_PCIE, f->dev->cap_pcie, PCIE_CAP_BYTES);
        link_cap(f, &tail, VCAP_PCIE, CAP_ID_PCIE);
        f->cap_pcie = VCAP_PCIE;
        devcap = cfg_get(f->cfg, VCAP_PCIE + PCIE_DEVCAP, 4);
        f->may_reset = f->dev->is_vf && (devcap & PCIE_DEVCAP_FLR);
        if (!f->may_reset)
            cfg_set(f->cfg, VCAP_PCIE + PCIE_DEVCAP, 4, devcap & ~PCIE_DEVCAP_FLR);
    }
    if (f->msix.count) {
        copy_hw(f, VCAP_MSIX, f->dev->cap_msix, MSIX_CAP_BYTES);
        link_cap(f, &tail, VCAP_MSIX, CAP_ID_MSIX);
        cfg_set(f->wmask, VCAP_MSIX + MSIX_CTRL, 2, MSIX_CTRL_ENABLE | MSIX_CTRL_MASK);
        f->cap_msix = VCAP_MSIX;
    }
}

int function_init(struct vfunction *f, struct vm *vm, struct pci_dev *dev, unsigned slot, const char *label)
{
    int rc;

    f->vm = vm;
    f->dev = dev;
    f->slot = slot;
    strlcpy(f->label, label, sizeof(f->label));
    rc = msix_init(&f->msix, vm, dev, &vm->vpci->lock);
    if (rc != 0)
        return rc;
    bars_init(f);
    cfg_set(f->cfg, 0, 4, (uint32_t)dev->device << 16 | dev->vendor);
    cfg_set(f->cfg, PCI_CLASS_REV, 4, dev->class_rev);
    cfg_set(f->cfg, PCI_SUBSYSTEM, 4, pci_read32(dev, PCI_SUBSYSTEM));
    cfg_set(f->wmask, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_BME | PCI_COMMAND_INTX);
    caps_init(f);
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (f->bar[i].size)
            return 0;
    msix_destroy(&f->msix);
    return -ENODEV;
}

void function_destroy(struct vfunction *f)
{
    for (unsigned i = 0; i < PCI_BARS; i++)
        bar_unmap(f, &f->bar[i]);
    msix_destroy(&f->msix);
}

/* --- the guest's accesses --- */

/* The hardware always decodes memory; whether the guest may reach it is the nested table's business. */
static void command_update(struct vfunction *f)
{
    uint16_t hw = PCI_COMMAND_MEM | PCI_COMMAND_INTX;

    if (cfg_get(f->cfg, PCI_COMMAND, 2) & PCI_COMMAND_BME)
        hw |= PCI_COMMAND_BME;
    pci_write16(f->dev, PCI_COMMAND, hw);
    bars_update(f);
}

void function_reset_state(struct vfunction *f)
{
    cfg_set(f->cfg, PCI_COMMAND, 2, 0);
    if (f->cap_msix)
        cfg_set(f->cfg, f->cap_msix + MSIX_CTRL, 2, f->msix.count - 1);
    command_update(f);
    msix_set_control(&f->msix, 0);
    msix_reset(&f->msix);
}

static void guest_reset(struct vfunction *f)
{
    function_reset_state(f);
    if (pci_flr_start(f->dev) == 0)
        f->in_reset = true;
}

/* False while a reset that the guest began is under way; the function then reads as ones, as a real one may
 * (PCIe base 2.3.1). */
static bool answers(struct vfunction *f)
{
    if (!f->in_reset)
        return true;
    if (pci_flr_finish(f->dev) != 0)
        return false;
    f->in_reset = false;
    command_update(f);
    return true;
}

uint32_t function_cfg_read(struct vfunction *f, unsigned off, unsigned size)
{
    return answers(f) ? cfg_get(f->cfg, off, size) : UINT32_MAX;
}

static bool touches(unsigned off, unsigned size, unsigned reg, unsigned bytes)
{
    return off < reg + bytes && reg < off + size;
}

void function_cfg_write(struct vfunction *f, unsigned off, unsigned size, uint32_t val)
{
    uint32_t mask = cfg_get(f->wmask, off, size);

    if (!answers(f))
        return;
    cfg_set(f->cfg, off, size, (cfg_get(f->cfg, off, size) & ~mask) | (val & mask));
    if (touches(off, size, PCI_COMMAND, 2))
        command_update(f);
    if (touches(off, size, PCI_BAR0, 4 * PCI_BARS))
        bars_update(f);
    if (f->cap_msix && touches(off, size, f->cap_msix + MSIX_CTRL, 2))
        msix_set_control(&f->msix, (uint16_t)cfg_get(f->cfg, f->cap_msix + MSIX_CTRL, 2));
    if (f->may_reset && off <= f->cap_pcie + PCIE_DEVCTL && off + size >= f->cap_pcie + PCIE_DEVCTL + 2 &&
        ((val >> (8 * (f->cap_pcie + PCIE_DEVCTL - off))) & PCIE_DEVCTL_FLR))
        guest_reset(f);
}
