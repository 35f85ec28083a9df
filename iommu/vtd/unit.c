/* SPDX-License-Identifier: BSD-2-Clause */
/* One unit: switched on (6.5.2, 5.1.4, 9.1). boot/ has stopped it, and no memory is protected from it. */
#include "iommu/vtd/vtd.h"
#include "kernel/console/log.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/heap.h"

#define TABLE_SIZE (VTD_IDS * sizeof(struct vtd_entry))
#define BUSES      256
#define LIMIT      (100 * NS_PER_MS)

_Static_assert(TABLE_SIZE == BIT(20) && VTD_IDS == VTD_IRTES, "a power of two: heap_alloc() aligns it");
_Static_assert(IOMMU_DEVS *IOMMU_IRQS == VTD_IRTES, "handles have 16 bits");
_Static_assert(IOMMU_DOMAINS == 256, "as boot/place.c checks");
_Static_assert(VTD_RING * sizeof(struct vtd_entry) == PAGE_SIZE, "one frame");

/* One thing at a time (11.4.4): switched on or off, or done once, and confirmed. */
static int command(struct vtd_unit *u, uint32_t what, bool on)
{
    uint32_t lasting = mmio_read32(u->mmio, GSTS) & G_LASTING & ~what;

    mmio_write32(u->mmio, GCMD, on ? lasting | what : lasting);
    if (wait_until(!(mmio_read32(u->mmio, GSTS) & what) == !on, LIMIT))
        return 0;
    log_error("VT-d: the unit at %#lx does not answer command %#x", u->is->base, what);
    return -ETIMEDOUT;
}

/* Memory of a unit lives for ever; what is taken when a later step fails stays taken, and the machine does
 * not start. */
int vtd_unit_setup(struct vtd_unit *u)
{
    u->root = heap_alloc(PAGE_SIZE);
    u->context = heap_alloc(TABLE_SIZE);
    u->irt = heap_alloc(TABLE_SIZE);
    u->queue = heap_alloc(PAGE_SIZE);
    u->done = heap_alloc(sizeof(*u->done));
    u->mmio = mmio_map(hpa(u->is->base), VTD_MMIO_SIZE);
    if (!u->root || !u->context || !u->irt || !u->queue || !u->done || !u->mmio)
        return -ENOMEM;
    u->cap = mmio_read64(u->mmio, CAP);
    u->ecap = mmio_read64(u->mmio, ECAP);
    return 0;
}

/* Nothing that the unit has cached from before survives. Interrupts in compatibility format are blocked, as
 * with 32-bit destinations they always are (5.1.4). */
int vtd_unit_on(struct vtd_unit *u)
{
    int rc;

    vtd_written(u->context, TABLE_SIZE);
    vtd_written(u->irt, TABLE_SIZE);
    for (unsigned bus = 0; bus < BUSES; bus++)
        vtd_store(&u->root[bus].q[0], ROOT_P | (ptr_to_hpa(u->context).a + bus * PAGE_SIZE));
    mmio_write64(u->mmio, IQT, 0);
    mmio_write64(u->mmio, IQA, ptr_to_hpa(u->queue).a);
    mmio_write64(u->mmio, RTADDR, ptr_to_hpa(u->root).a);
    mmio_write64(u->mmio, IRTA,
                 ptr_to_hpa(u->irt).a | IRTA_EIME | FIELD_PREP(IRTA_S, __builtin_ctz(VTD_IRTES) - 1));
    rc = command(u, G_QIE, true);
    rc = rc ? rc : command(u, G_SRTP, true);
    rc = rc ? rc : command(u, G_SIRTP, true);
    invq_command(u, INV_CONTEXT | FIELD_PREP(INV_G, G_GLOBAL), 0);
    invq_command(u, INV_IOTLB | FIELD_PREP(INV_G, G_GLOBAL) | INV_DRAIN_R | INV_DRAIN_W, 0);
    invq_command(u, INV_IEC, 0);
    rc = rc ? rc : invq_sync(u);
    rc = rc ? rc : command(u, G_CFI, false);
    rc = rc ? rc : command(u, G_IRE, true);
    rc = rc ? rc : command(u, G_TE, true);
    return rc ? rc : vtd_flog_on(u);
}
