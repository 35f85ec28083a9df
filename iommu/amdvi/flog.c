/* SPDX-License-Identifier: BSD-2-Clause */
/* The event log (2.5), polled. */
#include "iommu/amdvi/amdvi.h"
#include "kernel/lib/wait.h"

#define RESTART_LIMIT (10 * NS_PER_MS)

static const struct {
    const char *name;
    bool has_dev; /* DeviceID, the flags and the address describe a request */
} events[16] = {
    [0x1] = {"illegal device table entry", true},
    [0x2] = {"I/O page fault", true},
    [0x3] = {"device table hardware error", true},
    [0x4] = {"page table hardware error", true},
    [0x5] = {"illegal command", false},
    [0x6] = {"command buffer hardware error", false},
    [0x7] = {"IOTLB invalidation time-out", true},
    [0x8] = {"invalid device request", true},
};

static void decode(const struct amdvi_unit *u, const struct amdvi_entry *e, struct iommu_fault *out)
{
    unsigned code = (unsigned)FIELD_GET(EVT_CODE, e->q[0]);

    *out = (struct iommu_fault){
        .what = events[code].name ? events[code].name : "unknown event",
        .has_dev = events[code].has_dev,
        .write = e->q[0] & EVT_RW,
        .interrupt = e->q[0] & EVT_I,
        .dev = {(u->is->rid & ~(uint32_t)UINT16_MAX) | (uint32_t)FIELD_GET(EVT_DEVICE_ID, e->q[0])},
        .addr = iova(e->q[1]),
    };
}

/* After an overflow the log stands still until it is switched off and on again (2.5.2). */
static bool restart_log(struct amdvi_unit *u, struct iommu_fault *out)
{
    uint64_t control = mmio_read64(u->mmio, IOMMU_CONTROL);
    bool stopped;

    mmio_write64(u->mmio, IOMMU_CONTROL, control & ~CONTROL_EVT_LOG_EN);
    stopped = wait_until(!(mmio_read64(u->mmio, IOMMU_STATUS) & STATUS_EVT_LOG_RUN), RESTART_LIMIT);
    mmio_write64(u->mmio, IOMMU_STATUS, STATUS_EVT_OVERFLOW);
    mmio_write64(u->mmio, IOMMU_CONTROL, control | CONTROL_EVT_LOG_EN);
    *out = (struct iommu_fault){.what = stopped ? "event log overflow"
                                                : "event log overflow, and it does not restart"};
    return true;
}

/* The tail may be ahead of the entry's bytes: code 0 is none, so the entry is left for the next time, and is
 * made 0 when it is done with. */
bool amdvi_flog_next(struct amdvi_unit *u, struct iommu_fault *out)
{
    uint64_t head = mmio_read64(u->mmio, EVT_LOG_HEAD) & AMDVI_RING_PTR;
    uint64_t tail = mmio_read64(u->mmio, EVT_LOG_TAIL) & AMDVI_RING_PTR;
    volatile uint64_t *q = u->log[head / sizeof(struct amdvi_entry) % AMDVI_RING].q;
    struct amdvi_entry e = {{q[0], q[1]}};

    if (head == tail)
        return (mmio_read64(u->mmio, IOMMU_STATUS) & STATUS_EVT_OVERFLOW) && restart_log(u, out);
    if (FIELD_GET(EVT_CODE, e.q[0]) == 0)
        return false;
    q[0] = 0;
    q[1] = 0;
    mmio_write64(u->mmio, EVT_LOG_HEAD, (head + sizeof(e)) % PAGE_SIZE);
    decode(u, &e, out);
    return true;
}
