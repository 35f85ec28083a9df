/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/buf.h"
#include <stddef.h>

static uint8_t memory[BUF_COUNT][BUF_SIZE] __attribute__((aligned(4096)));
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
    }
    return buf;
}

void buf_free(struct nic_buf *buf)
{
    buf->next = pool;
    pool = buf;
    pool_count++;
}

unsigned buf_count_free(void)
{
    return pool_count;
}
