/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small objects out of frames: power-of-two size classes of 32 bytes to 2 KiB, whole frames above. Own lock.
 */
#pragma once

#include "kernel/lib/types.h"

/* Zeroed, aligned to the next power of two of `size` (at most a page); NULL if there is no memory. 1 <= size
 * <= 2 MiB. */
MUST_USE void *heap_alloc(size_t size);

/* Gives back what heap_alloc(size) returned; the caller passes the same size. NULL is allowed. */
void heap_free(void *p, size_t size);

/* Bytes of the size classes that are given out; whole frames are frame_bytes_used()'s. */
uint64_t heap_bytes_used(void);
