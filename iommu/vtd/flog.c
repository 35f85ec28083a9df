/* SPDX-License-Identifier: BSD-2-Clause */
/* Fault records (7.2) and the event that says that there are some. */
#include "iommu/vtd/vtd.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/wait.h"

#define QUIET        (50 * NS_PER_MS) /* between two fault events: devices cause them at will */
#define QUEUE_ERRORS (FSTS_IQE | FSTS_ICE | FSTS_ITE)

/* 7.1.3 and 5.1.4.1, tables of reasons */
static const char *const reasons[] = {
    [0x01] = "root entry not present",
    [0x02] = "context entry not present",
    [0x03] = "invalid context entry",
    [0x04] = "address beyond the tables",
    [0x05] = "no write permission",
    [0x06] = "no read permission",
    [0x07] = "page table not accessible",
    [0x08] = "root table not accessible",
    [0x09] = "context table not accessible",
    [0x0a] = "reserved bits in a root entry",
    [0x0b] = "reserved bits in a context entry",
    [0x0c] = "reserved bits in a page table entry",
    [0x0d] = "translated request blocked",
    [0x20] = "reserved bits in an interrupt request",
    [0x21] = "interrupt index beyond the table",
    [0x22] = "interrupt entry not present",
    [0x23] = "interrupt table not accessible",
    [0x24] = "reserved bits in an interrupt entry",
    [0x25] = "compatibility format blocked",
    [0x26] = "interrupt of another source",
};

static void fault_event(void *arg)
{
    struct vtd_unit *u = arg;

    mmio_write32(u->mmio, FECTL, FECTL_IM);
    u->quiet_until = time_ns() + QUIET;
    iommu_poll_faults();
}

/* The event's own interrupt is not remapped (7.3). */
int vtd_flog_on(struct vtd_unit *u)
{
    uint32_t apic_id = cpu_get(0)->apic_id;
    int vector = irq_alloc(0, fault_event, u);

    if (vector < 0)
        return vector;
    mmio_write32(u->mmio, FEDATA, (uint32_t)vector);
    mmio_write32(u->mmio, FEADDR, MSI_ADDRESS | (apic_id & 0xff) << 12);
    mmio_write32(u->mmio, FEUADDR, apic_id & ~(uint32_t)0xff);
    mmio_write32(u->mmio, FECTL, 0);
    return 0;
}

static void decode(const struct vtd_unit *u, uint64_t lo, uint64_t hi, struct iommu_fault *out)
{
    unsigned reason = (unsigned)FIELD_GET(FRCD_HI_FR, hi);
    bool interrupt = reason >> 4 == 2; /* 5.1.4.1 */

    *out = (struct iommu_fault){
        .what = reason < ARRAY_SIZE(reasons) && reasons[reason] ? reasons[reason] : "unknown fault",
        .has_dev = true,
        .write = !(hi & FRCD_HI_T1),
        .interrupt = interrupt,
        .dev = {u->is->rid | (uint32_t)FIELD_GET(FRCD_HI_SID, hi)},
        .addr = iova(interrupt ? FIELD_GET(FRCD_INDEX, lo) : lo & FRCD_FI),
    };
}

/* What is wrong with the unit itself, or with its having no room for more records. */
static bool unit_fault(struct vtd_unit *u, struct iommu_fault *out)
{
    uint32_t status = mmio_read32(u->mmio, FSTS) & (QUEUE_ERRORS | FSTS_PFO);

    mmio_write32(u->mmio, FSTS, status);
    *out = (struct iommu_fault){.what = status & FSTS_PFO ? "faults lost" : "invalidation queue error"};
    return status;
}

bool vtd_flog_next(struct vtd_unit *u, struct iommu_fault *out)
{
    unsigned count = (unsigned)FIELD_GET(CAP_NFR, u->cap) + 1;

    for (unsigned i = 0; i < count; i++) {
        uint32_t at = (uint32_t)FIELD_GET(CAP_FRO, u->cap) * 16 + (u->next_fault + i) % count * 16;
        uint64_t hi = mmio_read64(u->mmio, (reg64_t){at + 8});

        if (!(hi & FRCD_HI_F))
            continue;
        decode(u, mmio_read64(u->mmio, (reg64_t){at}), hi, out);
        mmio_write64(u->mmio, (reg64_t){at + 8}, FRCD_HI_F);
        u->next_fault = (u->next_fault + i + 1) % count;
        return true;
    }
    if (u->quiet_until && time_ns() >= u->quiet_until) {
        u->quiet_until = 0;
        mmio_write32(u->mmio, FECTL, 0);
    }
    return unit_fault(u, out);
}
