/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive buffers. Who owns a buffer is where it is: in the pool, posted in a ring, or with the stack; their
 * sum is constant. Buffers are identity-mapped, so their address is the one the device uses.
 */
#pragma once

#include <stdint.h>

#define BUF_SIZE  2048
#define BUF_COUNT 4352 /* of them 2048 for frames that are parked */

struct nic_buf {
    struct nic_buf *next; /* in the pool; or of the same frame, or NULL */
    uint8_t *data;        /* BUF_SIZE bytes */
    uint16_t len;         /* of what it holds of the frame */
    uint16_t index;       /* 0 to BUF_COUNT - 1, for the holder's own tables */
};

void buf_init(void);

/* A free buffer, or NULL. */
struct nic_buf *buf_alloc(void);
void buf_free(struct nic_buf *buf);
/* All buffers of a frame. */
void buf_free_frame(struct nic_buf *frame);

/* Buffers in the pool. */
unsigned buf_count_free(void);
