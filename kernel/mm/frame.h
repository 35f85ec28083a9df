/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical memory in power-of-two blocks of 4 KiB frames, aligned to their size, order 0 (4 KiB) to FRAME_ORDER_MAX
 * (1 GiB). Own lock; callable from any CPU. Frames come back from frame_alloc() zeroed: no owner sees the
 * last one's data.
 */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/lib/types.h"

#define FRAME_ORDER_4K  0
#define FRAME_ORDER_MAX 18

/* Takes all that boot/ lists as free; boot CPU, once, before any other function here. */
void frame_init(const struct bootinfo *bi);

/* A zeroed block of 1 << order frames, aligned to its size, or hpa 0 if there is none (frame 0 is never given
 * out). */
MUST_USE hpa_t frame_alloc(unsigned order);

/* Gives back a block with the order that it was allocated with. */
void frame_free(hpa_t block, unsigned order);

/* Bytes that are given out. */
uint64_t frame_bytes_used(void);
