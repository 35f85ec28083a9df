/* SPDX-License-Identifier: BSD-2-Clause */
/* Services of the I/O domain on its own network address. */
#pragma once

#include <stdint.h>

/* For HC_ALIVE: within that time the event loop turns, or what holds it up says so itself. */
#define ALIVE_LIMIT_MS 3000

/* TCP echo (RFC 862) on port 7. Negative errno. */
int echo_start(void);

struct nic;

/*
 * Takes the operator's orders to move guests between VFs (migrate.c). nics[i] is NIC i, or NULL; the array stays. migrate_poll() carries out what is ordered,
 * a move in one piece, and returns when it wants to be called next, in ns of the clock.
 */
int migrate_start(struct nic *const *nics, unsigned count);
uint64_t migrate_poll(void);
