/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual functions: where their registers go, and switching them on (PCIe 5.0 chapter 9). */
#include "kernel/console/log.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/pci/internal.h"
#include "kernel/pci/regs.h"

#define VFE_TIME (100 * NS_PER_MS) /* 9.3.3.3.1: after VF Enable is set, before a VF is touched */

/*
 * Behind a port, VFs whose device number is not 0 are reached only if the port forwards by ARI
 * (6.13, 9.3.3.3.5). This moves First VF Offset and VF Stride, so it comes first.
 */
static uint16_t enable_ari(const struct pci_dev *pf)
{
    const struct pci_dev *port = pci_bridge_of(pf->rid);

    if (!port || !port->cap_pcie || !pci_find_ext_cap(pf, PCI_EXT_CAP_ID_ARI) ||
        !(pci_read32(port, port->cap_pcie + PCIE_DEVCAP2) & PCIE_DEVCAP2_ARI_FWD))
        return 0;
    pci_write16(port, port->cap_pcie + PCIE_DEVCTL2,
                (uint16_t)(pci_read16(port, port->cap_pcie + PCIE_DEVCTL2) | PCIE_DEVCTL2_ARI_FWD));
    return SRIOV_CTRL_ARI;
}

/* One VF BAR stands for NumVFs slices of its size, one after the other (9.3.3.14). */
static int place_vf_bars(const struct pci_dev *pf, unsigned n, const uint64_t place[PCI_BARS],
                         struct pci_bar bars[PCI_BARS])
{
    char name[PCI_NAME_LEN];

    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *b = &bars[i];
        uint64_t size = b->size * n;

        if (!size || b->io)
            continue;
        if (place[i])
            b->base = hpa(place[i]);
        if (!b->base.a || !IS_ALIGNED(b->base.a, b->size) || place[i] + size > SIZE_4G ||
            frame_is_ram(b->base, PAGE_SIZE)) {
            log_error("PCI: %s: no room for VF BAR %u: %lu KiB below 4 GiB are missing",
                      pci_name(pf->rid, name), i, size >> 10);
            return -ENOSPC;
        }
        pci_write32(pf, pf->cap_sriov + SRIOV_VF_BAR0 + 4 * i, (uint32_t)b->base.a);
        if (b->wide64)
            pci_write32(pf, pf->cap_sriov + SRIOV_VF_BAR0 + 4 * (i + 1), (uint32_t)(b->base.a >> 32));
    }
    return 0;
}

/* Requester id of VF i (9.3.3.9, 9.3.3.10): plain addition, which may carry into the bus number. -ERANGE
 * where there is no such id. */
static int vf_rid(const struct pci_dev *pf, unsigned i, rid_t *out)
{
    uint32_t offset = pci_read16(pf, pf->cap_sriov + SRIOV_FIRST_VF_OFFSET);
    uint32_t stride = pci_read16(pf, pf->cap_sriov + SRIOV_VF_STRIDE);
    uint64_t id = (uint64_t)(pf->rid.id & UINT16_MAX) + offset + (uint64_t)stride * i;

    if (id > UINT16_MAX)
        return -ERANGE;
    *out = (rid_t){(pf->rid.id & ~(uint32_t)UINT16_MAX) | (uint32_t)id};
    if (pci_find(*out) || (i && !stride) || pci_bridge_of(*out) != pci_bridge_of(pf->rid))
        return -ERANGE;
    return 0;
}

/* The VFs and the table of pointers to them are one piece of memory. */
static size_t vfs_size(unsigned n)
{
    return n * (sizeof(struct pci_dev *) + sizeof(struct pci_dev));
}

static int make_vfs(struct pci_dev *pf, unsigned n, const struct pci_bar bars[PCI_BARS])
{
    struct pci_dev *vfs;
    int rc = 0;

    pf->vf = heap_alloc(vfs_size(n));
    if (!pf->vf)
        return -ENOMEM;
    vfs = (struct pci_dev *)(pf->vf + n);
    for (unsigned i = 0; i < n && !rc; i++) {
        pf->vf[i] = &vfs[i];
        vfs[i] = (struct pci_dev){
            .vendor = pf->vendor,
            .device = pci_read16(pf, pf->cap_sriov + SRIOV_VF_DEVICE_ID),
            .is_vf = true,
            .reset = BOOT_RESET_FLR,
        };
        for (unsigned b = 0; b < PCI_BARS; b++) {
            vfs[i].bar[b] = bars[b];
            vfs[i].bar[b].base.a += bars[b].size * i;
        }
        rc = vf_rid(pf, i, &vfs[i].rid);
    }
    return rc;
}

/* VF Enable, and a look whether every VF is there before any is shown around. */
static int switch_on(struct pci_dev *pf, unsigned n, uint16_t ctrl)
{
    char name[PCI_NAME_LEN];

    pci_write16(pf, pf->cap_sriov + SRIOV_CTRL, (uint16_t)(ctrl | SRIOV_CTRL_VFE | SRIOV_CTRL_MSE));
    (void)wait_until(false, VFE_TIME);
    for (unsigned i = 0; i < n; i++) {
        if (pci_read32(pf->vf[i], PCI_COMMAND) == UINT32_MAX) {
            log_error("PCI: %s: VF %u does not answer", pci_name(pf->rid, name), i);
            return -EIO;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        pci_read_header(pf->vf[i]);
        pci_write16(pf->vf[i], PCI_COMMAND, PCI_COMMAND_MEM);
        pci_add(pf->vf[i]);
    }
    return 0;
}

int pci_sriov_enable(struct pci_dev *pf, unsigned n, const uint64_t place[PCI_BARS])
{
    struct pci_bar bars[PCI_BARS] = {0};
    uint16_t ctrl;
    int rc;

    if (!pf->cap_sriov)
        return -ENODEV;
    if (n > pci_read16(pf, pf->cap_sriov + SRIOV_TOTAL_VFS))
        return -ERANGE;
    if (pf->num_vfs || (pci_read16(pf, pf->cap_sriov + SRIOV_CTRL) & SRIOV_CTRL_VFE))
        return -EBUSY;
    if (n == 0)
        return 0;
    ctrl = enable_ari(pf);
    pci_write16(pf, pf->cap_sriov + SRIOV_CTRL, ctrl);
    pci_write32(pf, pf->cap_sriov + SRIOV_SYS_PAGE_SIZE, SRIOV_PAGE_4K); /* 9.3.3.13: BAR sizes follow it */
    pci_write16(pf, pf->cap_sriov + SRIOV_NUM_VFS, (uint16_t)n); /* offset and stride may depend on it */
    pci_size_bars(pf, pf->cap_sriov + SRIOV_VF_BAR0, bars);
    rc = place_vf_bars(pf, n, place, bars);
    if (!rc)
        rc = make_vfs(pf, n, bars);
    if (!rc)
        rc = switch_on(pf, n, ctrl);
    if (!rc) {
        pf->num_vfs = n;
        return 0;
    }
    pci_write16(pf, pf->cap_sriov + SRIOV_CTRL, 0);
    pci_write16(pf, pf->cap_sriov + SRIOV_NUM_VFS, 0);
    heap_free(pf->vf, vfs_size(n));
    pf->vf = NULL;
    return rc;
}
