/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keepsake: what the I/O domain leaves to its next incarnation when it dies, for what no register gives back. Records, each with
 * a type, a version and a length, in memory of the hypervisor's (HC_KEEP). The last incarnation may have been anybody's:
 * who reads a record trusts nothing in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum keep_type {
    KEEP_NIC = 1,   /* of a NIC, by PCI slot: its driver's own */
    KEEP_LEASE = 2, /* of an interface of the stack, by number */
};

/* A record in the keepsake; its contents follow, up to the next multiple of KEEP_ALIGN. Type 0: the end. */
struct keep_record {
    uint16_t type;
    uint8_t version, index;
    uint32_t length;
};
#define KEEP_ALIGN 8u
_Static_assert(sizeof(struct keep_record) == KEEP_ALIGN, "records stay aligned");

/* Takes over what the last incarnation left; nothing of it if it is no chain of records. */
void keep_init(void);

/* False if there is no such record, or it has another version or length. */
bool keep_get(enum keep_type type, unsigned index, unsigned version, void *data, size_t length);

/* Puts a record in the place of the one of its type and index. When this returns it outlives us, whole. -ENOSPC: no room, and there is none now. */
int keep_put(enum keep_type type, unsigned index, unsigned version, const void *data, size_t length);

void keep_drop(enum keep_type type, unsigned index);
