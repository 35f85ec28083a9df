/* SPDX-License-Identifier: BSD-2-Clause */
/* The kit in place of the I/O domain. */
#pragma once

#include "tests/guest/attack/attack.h"

/*
 * True if this VM is the I/O domain. Then the PF is set up, as badly as is enough for VFs to talk to each other, the guests that wait for it
 * are started, and k->vf is a queue of the PF's own.
 */
bool iodom_start(struct kit *k);
