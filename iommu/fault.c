/* SPDX-License-Identifier: BSD-2-Clause */
#include "iommu/fault.h"
#include "kernel/console/log.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/string.h"
#include "kernel/pci/pci.h"

static struct {
    struct spinlock lock;
    struct fault_record kept[FAULTS_KEPT]; /* a ring */
    unsigned count;                        /* of all that came */
    struct ratelimit budget;
    fault_fn *fn;
} faults = {.budget = RATELIMIT_INIT(20, 2)};

void fault_on_record(fault_fn *fn)
{
    faults.fn = fn;
}

char *fault_text(const struct fault_record *r, char buf[FAULT_TEXT_MAX])
{
    static const char *const places[] = {
        [FAULT_UNMAPPED] = "unmapped",         [FAULT_OTHER_GUEST] = "other guest",
        [FAULT_HYPERVISOR] = "hypervisor",     [FAULT_MMIO] = "MMIO",
        [FAULT_INTERRUPT] = "interrupt range",
    };
    const char *kind = r->f.interrupt ? "interrupt" : r->f.write ? "write" : "read";
    char name[PCI_NAME_LEN];

    if (r->f.has_dev)
        snprintf(buf, FAULT_TEXT_MAX, "%s: %s at %#lx (%s) by %s %s of %s", r->f.what, kind, r->f.addr.a,
                 places[r->at], r->label, pci_name(r->f.dev, name), r->owner);
    else
        snprintf(buf, FAULT_TEXT_MAX, "%s at %#lx", r->f.what, r->f.addr.a);
    return buf;
}

void fault_report(struct fault_record *r)
{
    char text[FAULT_TEXT_MAX];

    if (r->f.has_dev && faults.fn)
        faults.fn(r);
    spin_guard(&faults.lock);
    faults.kept[faults.count++ % FAULTS_KEPT] = *r;
    if (!ratelimit_ok(&faults.budget))
        return;
    log_warn("IOMMU: %s", fault_text(r, text));
    if (faults.budget.dropped)
        log_warn("IOMMU: %u faults not shown", faults.budget.dropped);
    faults.budget.dropped = 0;
}

bool fault_get(unsigned age, struct fault_record *out)
{
    spin_guard(&faults.lock);

    if (age >= FAULTS_KEPT || age >= faults.count)
        return false;
    *out = faults.kept[(faults.count - 1 - age) % FAULTS_KEPT];
    return true;
}
