/* SPDX-License-Identifier: BSD-2-Clause */
/* Reset of one function, by any of four methods. */
#include "kernel/console/log.h"
#include "kernel/lib/wait.h"
#include "kernel/pci/pci.h"
#include "kernel/pci/regs.h"

#define TRPND_WAIT  (500 * NS_PER_MS) /* 50 ms is the completion timeout's default upper end (7.5.3.16) */
#define HOLD_TIME   (10 * NS_PER_MS)  /* in D3hot (5.9); of a bus, 1 ms would do (PCI 3.0, 4.3.2) */
#define RESET_TIME  (100 * NS_PER_MS) /* 6.6.1, 6.6.2 */
#define ANSWER_WAIT NS_PER_S          /* 6.6.1: a function may ask for retries that long after its reset */

/* Bits of a register that begin a reset. Those that hold the function down are taken back to end it. */
struct method {
    const struct pci_dev *at;
    unsigned reg;
    uint16_t bits;
    bool hold;
};

/* Without `at` where the function has not what its method needs. */
static struct method method_of(const struct pci_dev *d)
{
    switch (d->reset) {
    case BOOT_RESET_FLR:
        if (d->cap_pcie && (pci_read32(d, d->cap_pcie + PCIE_DEVCAP) & PCIE_DEVCAP_FLR))
            return (struct method){d, d->cap_pcie + PCIE_DEVCTL, PCIE_DEVCTL_FLR, false};
        break;
    case BOOT_RESET_AF:
        if (d->cap_af)
            return (struct method){d, d->cap_af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, false};
        break;
    case BOOT_RESET_PM:
        if (d->cap_pm)
            return (struct method){d, d->cap_pm + PCI_PM_CSR, PCI_PM_CSR_D3HOT, true};
        break;
    case BOOT_RESET_BUS:
        return (struct method){pci_find(d->bridge), PCI_BRIDGE_CTRL, PCI_BRIDGE_CTRL_RESET, true};
    default:
        break;
    }
    return (struct method){0};
}

static void change(const struct method *m, bool begin)
{
    uint16_t v = pci_read16(m->at, m->reg);

    pci_write16(m->at, m->reg, (uint16_t)(begin ? v | m->bits : v & ~m->bits));
}

/* Clearing Command has ended new requests; a completion that arrives after the reset could be taken for that of
 * a new request, so those that are under way are waited for. */
int pci_reset_start(struct pci_dev *d)
{
    int rc;

    if (!method_of(d).at)
        return -EOPNOTSUPP;
    if (d->cap_pcie)
        d->devctl = pci_read16(d, d->cap_pcie + PCIE_DEVCTL);
    pci_write16(d, PCI_COMMAND, 0);
    d->reset_ns = time_ns();
    d->reset_step = PCI_RESET_ASKED;
    rc = pci_reset_finish(d);
    return rc == -EAGAIN ? 0 : rc;
}

bool pci_transactions_pending(const struct pci_dev *d)
{
    return d->cap_pcie && (pci_read16(d, d->cap_pcie + PCIE_DEVSTA) & PCIE_DEVSTA_TRPND);
}

/* From asked to held (or straight to over), and on to over; true there. */
static bool advance(struct pci_dev *d)
{
    const struct method m = method_of(d);
    uint64_t now = time_ns();
    char name[PCI_NAME_LEN];

    if (d->reset_step == PCI_RESET_ASKED) {
        if (pci_transactions_pending(d)) {
            if (now < d->reset_ns + TRPND_WAIT)
                return false;
            log_warn("PCI: %s: transactions pending before its reset", pci_name(d->rid, name));
        }
        __atomic_fetch_add(&d->resets, 1, __ATOMIC_SEQ_CST); /* first: who sees the reset finds its number */
        change(&m, true);
        d->reset_ns = now;
        d->reset_step = m.hold ? PCI_RESET_HELD : PCI_RESET_OVER;
    }
    if (d->reset_step == PCI_RESET_HELD && now >= d->reset_ns + HOLD_TIME) {
        change(&m, false);
        d->reset_ns = now;
        d->reset_step = PCI_RESET_OVER;
    }
    return d->reset_step == PCI_RESET_OVER;
}

/* What the firmware has set up: addresses, and the payload size that the port above expects. A VF has neither. */
static void restore(const struct pci_dev *d)
{
    if (d->is_vf)
        return;
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *b = &d->bar[i];

        if (b->size)
            pci_write32(d, PCI_BAR0 + 4 * i, (uint32_t)b->base.a);
        if (b->wide64)
            pci_write32(d, PCI_BAR0 + 4 * (i + 1), (uint32_t)(b->base.a >> 32));
    }
    if (d->cap_pcie)
        pci_write16(d, d->cap_pcie + PCIE_DEVCTL, d->devctl);
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
