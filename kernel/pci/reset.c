/* SPDX-License-Identifier: BSD-2-Clause */
/* Reset of one function: by bits of a register that begin it; those that hold the function down are taken back to end it. */
#include "kernel/console/log.h"
#include "kernel/lib/wait.h"
#include "kernel/pci/pci.h"
#include "kernel/pci/regs.h"

#define TRPND_WAIT  (500 * NS_PER_MS) /* 50 ms is the completion timeout's default upper end (7.5.3.16) */
#define HOLD_TIME   (10 * NS_PER_MS)  /* in D3hot (5.9); of a bus, 1 ms would do (PCI 3.0, 4.3.2) */
#define RESET_TIME  (100 * NS_PER_MS) /* 6.6.1, 6.6.2 */
#define ANSWER_WAIT NS_PER_S          /* 6.6.1: a function may ask for retries that long after its reset */

static void change(const struct pci_dev *d, bool begin)
{
    const struct boot_reset_way *way = &d->is->reset;
    const struct pci_dev *at = pci_find((rid_t){way->at});
    uint16_t v = pci_read16(at, way->reg);

    pci_write16(at, way->reg, (uint16_t)(begin ? v | way->bits : v & ~way->bits));
}

/* Clearing Command has ended new requests; a completion that arrives after the reset could be taken for that of
 * a new request, so those that are under way are waited for. */
int pci_reset_start(struct pci_dev *d)
{
    int rc;

    if (!d->is->reset.bits)
        return -EOPNOTSUPP;
    if (d->is->cap_pcie)
        d->devctl = pci_read16(d, d->is->cap_pcie + PCIE_DEVCTL);
    pci_write16(d, PCI_COMMAND, 0);
    d->reset_ns = time_ns();
    d->reset_step = PCI_RESET_ASKED;
    rc = pci_reset_finish(d);
    return rc == -EAGAIN ? 0 : rc;
}

bool pci_transactions_pending(const struct pci_dev *d)
{
    return d->is->cap_pcie && (pci_read16(d, d->is->cap_pcie + PCIE_DEVSTA) & PCIE_DEVSTA_TRPND);
}

/* From asked to held (or straight to over), and on to over; true there. */
static bool advance(struct pci_dev *d)
{
    uint64_t now = time_ns();
    char name[PCI_NAME_LEN];

    if (d->reset_step == PCI_RESET_ASKED) {
        if (pci_transactions_pending(d)) {
            if (now < d->reset_ns + TRPND_WAIT)
                return false;
            log_warn("PCI: %s: transactions pending before its reset", pci_name(d->rid, name));
        }
        __atomic_fetch_add(&d->resets, 1, __ATOMIC_SEQ_CST); /* first: who sees the reset finds its number */
        change(d, true);
        d->reset_ns = now;
        d->reset_step = d->is->reset.holds ? PCI_RESET_HELD : PCI_RESET_OVER;
    }
    if (d->reset_step == PCI_RESET_HELD && now >= d->reset_ns + HOLD_TIME) {
        change(d, false);
        d->reset_ns = now;
        d->reset_step = PCI_RESET_OVER;
    }
    return d->reset_step == PCI_RESET_OVER;
}

/* What the firmware has set up: addresses, and the payload size that the port above expects. A VF has neither. */
static void restore(const struct pci_dev *d)
{
    if (d->is->pf != d->rid.id)
        return;
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct boot_bar *b = &d->is->bar[i];

        if (b->size)
            pci_write32(d, PCI_BAR0 + 4 * i, (uint32_t)b->base);
        if (b->wide64)
            pci_write32(d, PCI_BAR0 + 4 * (i + 1), (uint32_t)(b->base >> 32));
    }
    if (d->is->cap_pcie)
        pci_write16(d, d->is->cap_pcie + PCIE_DEVCTL, d->devctl);
}

/* A VF's Vendor ID reads as all ones even when it is there: Command and Status tell whether it answers. */
int pci_reset_finish(struct pci_dev *d)
{
    uint64_t now = time_ns();

    if (d->reset_ns == 0)
        return 0;
    if (!advance(d) || now < d->reset_ns + RESET_TIME)
        return -EAGAIN;
    if (pci_read32(d, PCI_COMMAND) == UINT32_MAX)
        return now < d->reset_ns + RESET_TIME + ANSWER_WAIT ? -EAGAIN : -ETIMEDOUT;
    restore(d);
    return 0;
}

int pci_reset_wait(struct pci_dev *d)
{
    int rc = -EAGAIN;

    (void)wait_until((rc = pci_reset_finish(d)) != -EAGAIN,
                     TRPND_WAIT + HOLD_TIME + RESET_TIME + 2 * ANSWER_WAIT);
    return rc == -EAGAIN ? -ETIMEDOUT : rc;
}
