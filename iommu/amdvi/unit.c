/* SPDX-License-Identifier: BSD-2-Clause */
/* One unit: switching it on in the order of section 2.11 (initialization), its commands and its events. */
#include "iommu/amdvi/amdvi.h"
#include "kernel/console/log.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/paging.h"
#include "kernel/pci/pci.h"
#include "kernel/pci/regs.h"

#define DEVTAB_SIZE      (AMDVI_IDS * sizeof(struct amdvi_dte))
#define STOP_LIMIT       (100 * NS_PER_MS)
#define RESTART_LIMIT    (10 * NS_PER_MS)
#define COMPLETION_LIMIT NS_PER_S
#define EFR_NEEDED       (EFR_GA_SUP | EFR_XT_SUP | EFR_IA_SUP)
/* Room for the completion wait, and a slot that stays free: tail == head is empty. */
#define BATCH (AMDVI_RING - 2)

_Static_assert(DEVTAB_SIZE == SIZE_2M, "one large frame");
_Static_assert(AMDVI_RING * sizeof(struct amdvi_entry) == PAGE_SIZE, "one frame");

/* Stops what the firmware may have left running: the rings first, and translation once they stand (3.4.1,
 * Control). */
static int stop(struct amdvi_unit *u)
{
    uint64_t control = mmio_read64(u->mmio, IOMMU_CONTROL);

    mmio_write64(u->mmio, IOMMU_CONTROL, control & CONTROL_IOMMU_EN);
    if (!wait_until(!(mmio_read64(u->mmio, IOMMU_STATUS) & (STATUS_CMD_BUF_RUN | STATUS_EVT_LOG_RUN)),
                    STOP_LIMIT)) {
        log_error("AMD-Vi: unit %04x does not stop", u->device_id);
        return -ETIMEDOUT;
    }
    mmio_write64(u->mmio, IOMMU_CONTROL, 0);
    return 0;
}

/* Memory of a unit lives for ever; what is taken when a later step fails stays taken, and the machine does
 * not start. */
int unit_setup(struct amdvi_unit *u)
{
    hpa_t devtab = frame_alloc(FRAME_ORDER_2M), cmd = frame_alloc(FRAME_ORDER_4K),
          log = frame_alloc(FRAME_ORDER_4K);

    u->devtab = devtab.a ? hpa_to_ptr(devtab) : NULL;
    u->cmd = cmd.a ? hpa_to_ptr(cmd) : NULL;
    u->log = log.a ? hpa_to_ptr(log) : NULL;
    u->done = heap_alloc(sizeof(*u->done));
    u->mmio = mmio_map(u->base, AMDVI_MMIO_SIZE);
    if (!u->devtab || !u->cmd || !u->log || !u->done || !u->mmio)
        return -ENOMEM;
    pci_reserve(u->base, AMDVI_MMIO_SIZE);
    if ((mmio_read64(u->mmio, EXT_FEATURE) & EFR_NEEDED) != EFR_NEEDED) {
        log_error(
            "AMD-Vi: unit %04x has no 128-bit interrupt remapping to x2APIC ids, or no INVALIDATE_IOMMU_ALL",
            u->device_id);
        return -ENODEV;
    }
    return stop(u);
}

static uint64_t ring_base(const void *ring)
{
    return (ptr_to_hpa(ring).a & AMDVI_BASE) | FIELD_PREP(AMDVI_RING_LEN, AMDVI_RING_LN);
}

static uint64_t control_bits(const struct amdvi_unit *u)
{
    return CONTROL_COHERENT | CONTROL_EVT_LOG_EN | CONTROL_CMD_BUF_EN | CONTROL_GA_EN | CONTROL_XT_EN |
           (u->ivhd_flags & IVHD_HT_TUN_EN ? CONTROL_HT_TUN_EN : 0) |
           (u->ivhd_flags & IVHD_PASS_PW ? CONTROL_PASS_PW : 0) |
           (u->ivhd_flags & IVHD_RES_PASS_PW ? CONTROL_RES_PASS_PW : 0) |
           (u->ivhd_flags & IVHD_ISOC ? CONTROL_ISOC : 0);
}

/* The unit reads its tables and writes its log as a bus master; its own function was silenced with all
 * others. */
static void master_bus(const struct amdvi_unit *u)
{
    const struct pci_dev *d = pci_find((rid_t){(uint32_t)u->segment << 16 | u->device_id});

    if (d)
        pci_write16(d, PCI_COMMAND, (uint16_t)(pci_read16(d, PCI_COMMAND) | PCI_COMMAND_BM));
}

/*
 * GAEn and XTEn take effect only while IommuEn is 0. Nothing that the unit has cached from before survives:
 * INVALIDATE_IOMMU_ALL covers everything; device table entries are named one by one all the same, for that is
 * the rule for every entry that was changed.
 */
int unit_on(struct amdvi_unit *u)
{
    master_bus(u);
    mmio_write64(u->mmio, DEV_TAB_BASE,
                 ptr_to_hpa(u->devtab).a | FIELD_PREP(DEV_TAB_BASE_SIZE, DEVTAB_SIZE / PAGE_SIZE - 1));
    mmio_write64(u->mmio, CMD_BUF_BASE, ring_base(u->cmd));
    mmio_write64(u->mmio, EVT_LOG_BASE, ring_base(u->log));
    mmio_write64(u->mmio, CMD_BUF_HEAD, 0);
    mmio_write64(u->mmio, CMD_BUF_TAIL, 0);
    mmio_write64(u->mmio, EVT_LOG_HEAD, 0);
    mmio_write64(u->mmio, EVT_LOG_TAIL, 0);
    mmio_write64(u->mmio, IOMMU_STATUS, STATUS_EVT_OVERFLOW);
    mmio_write64(u->mmio, IOMMU_CONTROL, control_bits(u));
    mmio_write64(u->mmio, IOMMU_CONTROL, control_bits(u) | CONTROL_IOMMU_EN);
    unit_command(u, CMD_INVALIDATE_ALL, 0, 0);
    for (uint32_t id = 0; id < AMDVI_IDS; id++)
        unit_command(u, CMD_INVALIDATE_DEVTAB, FIELD_PREP(CMD_DEVICE_ID, id), 0);
    return unit_sync(u);
}

/* --- the command buffer (2.4): the tail register is written once a batch --- */

static void push(struct amdvi_unit *u, unsigned opcode, uint64_t q0, uint64_t q1)
{
    u->cmd[u->tail] = (struct amdvi_entry){{FIELD_PREP(CMD_OPCODE, opcode) | q0, q1}};
    u->tail = (u->tail + 1) % AMDVI_RING;
    u->pending++;
}

/* Completion is seen in memory, never assumed. 2.4.1: the store happens when all commands before it are done,
 * which for invalidations includes DMA that used the old entries. */
int unit_sync(struct amdvi_unit *u)
{
    uint64_t done = ptr_to_hpa((const void *)(uintptr_t)u->done).a;

    if (u->stuck)
        return -ETIMEDOUT;
    u->sequence++;
    push(u, CMD_COMPLETION_WAIT, (done & CMD_WAIT_ADDR) | CMD_WAIT_STORE, u->sequence);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* tables and commands before the doorbell */
    mmio_write64(u->mmio, CMD_BUF_TAIL, u->tail * sizeof(struct amdvi_entry));
    if (!wait_until(*u->done == u->sequence, COMPLETION_LIMIT)) {
        u->stuck = true;
        log_error("AMD-Vi: unit %04x does not complete its commands", u->device_id);
        return -ETIMEDOUT;
    }
    u->pending = 0;
    return 0;
}

void unit_command(struct amdvi_unit *u, unsigned opcode, uint64_t q0, uint64_t q1)
{
    if (!u->stuck && (u->pending < BATCH || unit_sync(u) == 0))
        push(u, opcode, q0, q1);
}

/* --- the event log (2.5), polled --- */

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
        .dev = {(uint32_t)u->segment << 16 | (uint32_t)FIELD_GET(EVT_DEVICE_ID, e->q[0])},
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
bool unit_next_fault(struct amdvi_unit *u, struct iommu_fault *out)
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
