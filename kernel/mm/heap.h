/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of the hypervisor's. Each has its frames to itself: they are few, some for each VM, vCPU and device, and what
 * is written behind the end of one rarely is another.
 */
#pragma once

#include "kernel/lib/types.h"

/* Zeroed, aligned to the next power of two of `size` (a page at least); NULL if there is no memory. */
MUST_USE void *heap_alloc(size_t size);

/* Gives back what heap_alloc(size) returned; the caller passes the same size. NULL is allowed. */
void heap_free(void *p, size_t size);
