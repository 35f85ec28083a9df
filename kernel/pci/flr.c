/* SPDX-License-Identifier: BSD-2-Clause */
/* Function-level reset (PCIe 5.0 6.6.2). */
#include "kernel/console/log.h"
#include "kernel/lib/bits.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/wait.h"
#include "kernel/pci/internal.h"
#include "kernel/pci/regs.h"

#define TRPND_WAIT  (500 * NS_PER_MS)
#define FLR_TIME    (100 * NS_PER_MS)
#define ANSWER_WAIT NS_PER_S /* 6.6.1: a function may ask for retries that long after its reset */

/* A VF's Vendor ID reads as all ones even when it is there: Command and Status tell. */
static bool answers(const struct pci_dev *d)
{
    return pci_read32(d, PCI_COMMAND) != UINT32_MAX;
}

int pci_flr_start(struct pci_dev *d)
{
    char name[PCI_NAME_LEN];

    if (!d->cap_pcie || !(pci_read32(d, d->cap_pcie + PCIE_DEVCAP) & PCIE_DEVCAP_FLR))
        return -EOPNOTSUPP;
    pci_write16(d, PCI_COMMAND, 0);
    if (!wait_until(!(pci_read16(d, d->cap_pcie + PCIE_DEVSTA) & PCIE_DEVSTA_TRPND), TRPND_WAIT))
        log_warn("PCI: %s: transactions pending before its reset", pci_name(d->rid, name));
    pci_write16(d, d->cap_pcie + PCIE_DEVCTL,
                (uint16_t)(pci_read16(d, d->cap_pcie + PCIE_DEVCTL) | PCIE_DEVCTL_FLR));
    d->flr_ns = MAX(time_ns(), (uint64_t)1);
    return 0;
}

int pci_flr_finish(struct pci_dev *d)
{
    uint64_t now = time_ns();

    if (d->flr_ns == 0)
        return 0;
    if (now < d->flr_ns + FLR_TIME)
        return -EAGAIN;
    if (answers(d)) {
        d->flr_ns = 0;
        return 0;
    }
    return now < d->flr_ns + FLR_TIME + ANSWER_WAIT ? -EAGAIN : -ETIMEDOUT;
}

int pci_flr_wait(struct pci_dev *d)
{
    int rc = -EAGAIN;

    return wait_until((rc = pci_flr_finish(d)) != -EAGAIN, FLR_TIME + 2 * ANSWER_WAIT) ? rc : -ETIMEDOUT;
}
