/* SPDX-License-Identifier: BSD-2-Clause */
/* Register access. Unit tests put a fake register file in this header's place. */
#ifndef DRIVERS_NET_IGB_IO_H
#define DRIVERS_NET_IGB_IO_H

#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/regs.h"

static inline uint32_t igb_rd(const struct igb *g, igb_reg r)
{
    igb_accesses++;
    return *(volatile uint32_t *)(g->regs + r.off);
}

static inline void igb_wr(const struct igb *g, igb_reg r, uint32_t v)
{
    igb_accesses++;
    *(volatile uint32_t *)(g->regs + r.off) = v;
}

#endif
