/* SPDX-License-Identifier: BSD-2-Clause */
/* The invalidation queue (6.5.2): the tail register is written once for what is waited for together, which is
 * never more than a few descriptors. */
#include "iommu/vtd/vtd.h"
#include "kernel/console/log.h"
#include "kernel/lib/wait.h"

#define COMPLETION_LIMIT NS_PER_S

void invq_command(struct vtd_unit *u, uint64_t q0, uint64_t q1)
{
    u->queue[u->tail] = (struct vtd_entry){{q0, q1}};
    u->tail = (u->tail + 1) % VTD_RING;
}

/* Completion is seen in memory, never assumed. 6.5.2.8: the store happens when all descriptors before it are
 * done, which includes the draining that they ask for. */
int invq_sync(struct vtd_unit *u)
{
    if (u->stuck)
        return -ETIMEDOUT;
    u->sequence++;
    invq_command(u, INV_WAIT | INV_WAIT_SW | FIELD_PREP(INV_WAIT_DATA, u->sequence),
                 ptr_to_hpa((const void *)(uintptr_t)u->done).a);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* tables and descriptors before the doorbell */
    mmio_write64(u->mmio, IQT, u->tail * sizeof(struct vtd_entry));
    if (!wait_until(*u->done == u->sequence, COMPLETION_LIMIT)) {
        u->stuck = true;
        log_error("VT-d: the unit at %#lx does not complete its invalidations", u->is->base);
        return -ETIMEDOUT;
    }
    return 0;
}
