/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults are caused by guests at will: all are counted, few are printed. */
#include "iommu/fault.h"
#include "kernel/console/log.h"
#include "kernel/pci/pci.h"

static struct ratelimit budget = RATELIMIT_INIT(20, 2);
static uint64_t count;

uint64_t fault_count(void)
{
    return __atomic_load_n(&count, __ATOMIC_RELAXED);
}

void fault_record(const struct iommu_fault *f, const char *domain)
{
    const char *kind = f->interrupt ? "interrupt" : f->write ? "write" : "read";
    char name[PCI_NAME_LEN];

    __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
    if (!ratelimit_ok(&budget))
        return;
    if (f->has_dev)
        log_warn("IOMMU: %s: %s at %#lx by %s of %s", f->what, kind, (unsigned long)f->addr.a,
                 pci_name(f->dev, name), domain);
    else
        log_warn("IOMMU: %s at %#lx", f->what, (unsigned long)f->addr.a);
    if (budget.dropped) {
        log_warn("IOMMU: %u faults not shown", budget.dropped);
        budget.dropped = 0;
    }
}
