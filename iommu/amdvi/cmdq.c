/* SPDX-License-Identifier: BSD-2-Clause */
/* The command buffer (2.4): the tail register is written once a batch. */
#include "iommu/amdvi/amdvi.h"
#include "kernel/console/log.h"
#include "kernel/lib/wait.h"

#define COMPLETION_LIMIT NS_PER_S
/* Room for the completion wait, and a slot that stays free: tail == head is empty. */
#define BATCH (AMDVI_RING - 2)

static void push(struct amdvi_unit *u, unsigned opcode, uint64_t q0, uint64_t q1)
{
    u->cmd[u->tail] = (struct amdvi_entry){{FIELD_PREP(CMD_OPCODE, opcode) | q0, q1}};
    u->tail = (u->tail + 1) % AMDVI_RING;
    u->pending++;
}

/* Completion is seen in memory, never assumed. 2.4.1: the store happens when all commands before it are done,
 * which for invalidations includes DMA that used the old entries. */
int cmdq_sync(struct amdvi_unit *u)
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
        log_error("AMD-Vi: the unit at %#lx does not complete its commands", u->is->base);
        return -ETIMEDOUT;
    }
    u->pending = 0;
    return 0;
}

void cmdq_command(struct amdvi_unit *u, unsigned opcode, uint64_t q0, uint64_t q1)
{
    if (!u->stuck && (u->pending < BATCH || cmdq_sync(u) == 0))
        push(u, opcode, q0, q1);
}
