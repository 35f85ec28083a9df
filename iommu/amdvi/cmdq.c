/* SPDX-License-Identifier: BSD-2-Clause */
/* The command buffer (section 2.4). The tail register is written once a batch; completion is seen in memory,
 * never assumed. */
#include "iommu/amdvi/amdvi.h"
#include "kernel/console/log.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/paging.h"

#define COMPLETION_LIMIT NS_PER_S
#define BATCH                                                                                                \
    (AMDVI_RING - 2) /* room for the completion wait, and a slot that stays free: tail == head is empty */

static void push(struct amdvi_unit *u, struct amdvi_cmd c)
{
    u->cmd[u->tail] = c;
    u->tail = (u->tail + 1) % AMDVI_RING;
    u->pending++;
}

/* 2.4.1: the store happens when all commands before it are done, which for invalidations includes DMA that
 * used the old entries. */
int cmdq_sync(struct amdvi_unit *u)
{
    uint64_t done = ptr_to_hpa((const void *)(uintptr_t)u->done).a;

    if (u->stuck)
        return -ETIMEDOUT;
    u->sequence++;
    push(u, (struct amdvi_cmd){
                {FIELD_PREP(CMD_OPCODE, CMD_COMPLETION_WAIT) | (done & CMD_WAIT_ADDR) | CMD_WAIT_STORE,
                 u->sequence}});
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* tables and commands before the doorbell */
    mmio_write64(u->mmio, CMD_BUF_TAIL, u->tail * sizeof(struct amdvi_cmd));
    if (!wait_until(*u->done == u->sequence, COMPLETION_LIMIT)) {
        u->stuck = true;
        log_error("AMD-Vi: unit %04x does not complete its commands", u->device_id);
        return -ETIMEDOUT;
    }
    u->pending = 0;
    return 0;
}

int cmdq_add(struct amdvi_unit *u, struct amdvi_cmd c)
{
    int rc = u->stuck ? -ETIMEDOUT : u->pending < BATCH ? 0 : cmdq_sync(u);

    if (!rc)
        push(u, c);
    return rc;
}

struct amdvi_cmd cmd_invalidate_devtab(rid_t id)
{
    return (struct amdvi_cmd){
        {FIELD_PREP(CMD_OPCODE, CMD_INVALIDATE_DEVTAB) | FIELD_PREP(CMD_DEVICE_ID, id.id), 0}};
}

struct amdvi_cmd cmd_invalidate_inttab(rid_t id)
{
    return (struct amdvi_cmd){
        {FIELD_PREP(CMD_OPCODE, CMD_INVALIDATE_INTTAB) | FIELD_PREP(CMD_DEVICE_ID, id.id), 0}};
}

/* All of a domain: mappings change when guests come and go, never on the data path, and large flushes are
 * simple ones (2.4.3). */
struct amdvi_cmd cmd_invalidate_pages(uint16_t domain)
{
    return (struct amdvi_cmd){
        {FIELD_PREP(CMD_OPCODE, CMD_INVALIDATE_PAGES) | FIELD_PREP(CMD_DOMAIN_ID, domain),
         CMD_PAGES_ALL | CMD_PAGES_S | CMD_PAGES_PDE}};
}
