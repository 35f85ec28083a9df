/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of all buses, as boot/ has found them. */
#include "kernel/pci/pci.h"
#include "kernel/console/log.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"

static struct pci_dev *first;

struct pci_dev *pci_first(void)
{
    return first;
}

struct pci_dev *pci_find(rid_t r)
{
    struct pci_dev *d = first;

    while (d && d->rid.id != r.id)
        d = d->next;
    return d;
}

char *pci_name(rid_t r, char buf[PCI_NAME_LEN])
{
    unsigned segment = r.id >> 16, n = 0;

    if (segment)
        n = (unsigned)snprintf(buf, PCI_NAME_LEN, "%04x:", segment);
    snprintf(buf + n, PCI_NAME_LEN - n, "%02x:%02x.%x", r.id >> 8 & 0xff, r.id >> 3 & 0x1f, r.id & 7);
    return buf;
}

int pci_init(const struct bootinfo *bi)
{
    const struct boot_pci *f = hpa_to_ptr(hpa(bi->functions));
    const struct boot_shown *shown = hpa_to_ptr(hpa(bi->shown));
    struct pci_dev *devs = heap_alloc(bi->function_count * sizeof(*devs)), **last = &first;

    if (!devs)
        return -ENOMEM;
    for (struct pci_dev *d = devs; d < devs + bi->function_count; d++, f++) {
        d->is = f;
        d->shown = shown++;
        d->rid = (rid_t){f->rid};
        d->vf = devs + f->first_vf;
        d->regs = f->regs ? mmio_map(hpa(f->regs), PAGE_SIZE) : NULL;
        if (f->regs && !d->regs)
            return -ENOMEM;
        *last = d;
        last = &d->next;
    }
    log_info("PCI: %lu functions", bi->function_count);
    return 0;
}
