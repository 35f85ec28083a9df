/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of all buses, as boot/ has found them. */
#include "kernel/pci/pci.h"
#include "kernel/console/log.h"
#include "kernel/lib/string.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/internal.h"

static struct pci_dev *first;

_Static_assert(BOOT_FUNCTIONS_MAX * sizeof(struct pci_dev *) <= SIZE_2M, "heap_alloc()'s largest");

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

static void describe(struct pci_dev *d, const struct boot_pci *f)
{
    *d = (struct pci_dev){
        .rid = {f->rid},
        .pf = {f->pf},
        .bridge = {f->bridge},
        .vendor = f->vendor,
        .device = f->device,
        .class_rev = f->class_rev,
        .header_type = f->header_type,
        .is_vf = f->pf != f->rid,
        .cap_pcie = f->cap_pcie,
        .cap_msi = f->cap_msi,
        .cap_msix = f->cap_msix,
        .cap_pm = f->cap_pm,
        .cap_af = f->cap_af,
        .num_vfs = f->num_vfs,
        .reset = f->pf != f->rid ? BOOT_RESET_FLR : BOOT_RESET_NONE,
    };
    for (unsigned i = 0; i < PCI_BARS; i++)
        d->bar[i] = (struct pci_bar){hpa(f->bar[i].base), f->bar[i].size, f->bar[i].io, f->bar[i].wide64};
}

int pci_init(const struct bootinfo *bi)
{
    const struct boot_pci *f = hpa_to_ptr(hpa(bi->functions));
    struct pci_dev **list = heap_alloc(bi->function_count * sizeof(*list)), **last = &first;

    for (uint64_t i = 0; list && i < bi->function_count; i++, f++) {
        struct pci_dev *d = list[i] = heap_alloc(sizeof(*d));

        if (!d)
            return -ENOMEM;
        describe(d, f);
        d->vf = list + f->first_vf;
        *last = d;
        last = &d->next;
    }
    log_info("PCI: %lu functions", bi->function_count);
    return list ? ecam_init(bi) : -ENOMEM;
}
