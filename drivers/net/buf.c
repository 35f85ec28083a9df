/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/buf.h"
#include "drivers/sys/sys.h"
#include <stddef.h>

static uint8_t memory[BUF_COUNT][BUF_SIZE] __attribute__((aligned(4096))) NOT_ZEROED;
static struct nic_buf bufs[BUF_COUNT], *pool;
static unsigned pool_count;

void buf_init(void)
{
    pool = NULL;
    pool_count = 0;
    for (unsigned i = 0; i < BUF_COUNT; i++) {
        bufs[i].data = memory[i];
        bufs[i].index = (uint16_t)i;
        buf_free(&bufs[i]);
    }
}

struct nic_buf *buf_alloc(void)
{
    struct nic_buf *buf = pool;

    if (buf) {
        pool = buf->next;
        pool_count--;
        buf->next = NULL;
    }
    return buf;
}

void buf_free(struct nic_buf *buf)
{
    buf->next = pool;
    pool = buf;
    pool_count++;
}

void buf_free_frame(struct nic_buf *frame)
{
    while (frame) {
        struct nic_buf *next = frame->next;

        buf_free(frame);
        frame = next;
    }
}

unsigned buf_count_free(void)
{
    return pool_count;
}
