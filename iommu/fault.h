/* SPDX-License-Identifier: BSD-2-Clause */
/* What an IOMMU reports about itself or a device, in the same terms for both vendors. */
#ifndef IOMMU_FAULT_H
#define IOMMU_FAULT_H

#include "kernel/lib/types.h"

struct iommu_fault {
    const char *what; /* in the specification's words */
    bool has_dev;     /* dev, addr, write and interrupt mean something */
    bool write, interrupt;
    rid_t dev;
    iova_t addr;
};

/* Counts a fault and logs it as far as the budget of lines goes. `domain`: whose device it is. The caller
 * holds the IOMMU lock. */
void fault_record(const struct iommu_fault *f, const char *domain);

uint64_t fault_count(void);

#endif
