/* SPDX-License-Identifier: BSD-2-Clause */
/* Function-level reset (PCIe 5.0 6.6.2). */
#include "kernel/console/log.h"
#include "kernel/lib/wait.h"
#include "kernel/pci/internal.h"
#include "kernel/pci/regs.h"

#define TRPND_WAIT  (500 * NS_PER_MS) /* 50 ms is the completion timeout's default upper end (7.5.3.16) */
#define FLR_TIME    (100 * NS_PER_MS)
#define ANSWER_WAIT NS_PER_S /* 6.6.1: a function may ask for retries that long after its reset */

/* Clearing Command has ended new requests; a completion that arrives after the reset could be taken for that of
 * a new request, so those that are under way are waited for. */
int pci_flr_start(struct pci_dev *d)
{
    int rc;

    if (!d->cap_pcie || !(pci_read32(d, d->cap_pcie + PCIE_DEVCAP) & PCIE_DEVCAP_FLR))
        return -EOPNOTSUPP;
    pci_write16(d, PCI_COMMAND, 0);
    d->flr_ns = time_ns();
    d->flr_begun = false;
    rc = pci_flr_finish(d);
    return rc == -EAGAIN ? 0 : rc;
}

static bool transactions_pending(const struct pci_dev *d)
{
    return pci_read16(d, d->cap_pcie + PCIE_DEVSTA) & PCIE_DEVSTA_TRPND;
}

/* A VF's Vendor ID reads as all ones even when it is there: Command and Status tell whether it answers. */
int pci_flr_finish(struct pci_dev *d)
{
    uint64_t now = time_ns();
    char name[PCI_NAME_LEN];

    if (d->flr_ns == 0)
        return 0;
    if (!d->flr_begun) {
        if (transactions_pending(d)) {
            if (now < d->flr_ns + TRPND_WAIT)
                return -EAGAIN;
            log_warn("PCI: %s: transactions pending before its reset", pci_name(d->rid, name));
        }
        pci_write16(d, d->cap_pcie + PCIE_DEVCTL,
                    (uint16_t)(pci_read16(d, d->cap_pcie + PCIE_DEVCTL) | PCIE_DEVCTL_FLR));
        d->flr_ns = now;
        d->flr_begun = true;
    }
    if (now < d->flr_ns + FLR_TIME)
        return -EAGAIN;
    if (pci_read32(d, PCI_COMMAND) == UINT32_MAX)
        return now < d->flr_ns + FLR_TIME + ANSWER_WAIT ? -EAGAIN : -ETIMEDOUT;
    return 0;
}

int pci_flr_wait(struct pci_dev *d)
{
    int rc = -EAGAIN;

    (void)wait_until((rc = pci_flr_finish(d)) != -EAGAIN, TRPND_WAIT + FLR_TIME + 2 * ANSWER_WAIT);
    return rc == -EAGAIN ? -ETIMEDOUT : rc;
}
