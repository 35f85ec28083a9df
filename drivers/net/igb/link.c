/* SPDX-License-Identifier: BSD-2-Clause */
/* The copper PHY behind MDIC, and the link (datasheet 4.5, "Link Setup Mechanisms"; 8.2, MDIC). */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"
#include "drivers/sys/sys.h"
#include <errno.h>

static int mdic(struct igb *g, uint32_t op, unsigned reg, uint16_t data)
{
    uint32_t v;

    igb_wr(g, IGB_MDIC,
           op | IGB_PREP(MDIC_PHYADD, PHY_ADDRESS) | IGB_PREP(MDIC_REGADD, reg) | IGB_PREP(MDIC_DATA, data));
    if (!sys_wait((v = igb_rd(g, IGB_MDIC)) & MDIC_READY, 10 * NS_PER_MS))
        return -ETIMEDOUT;
    if (v & MDIC_ERROR)
        return -EIO;
    return (int)IGB_GET(MDIC_DATA, v);
}

/* Speed and duplex come from the PHY; negotiation with the other end begins anew. */
int igb_link_start(struct igb *g)
{
    int control;
    uint32_t ctrl = igb_rd(g, IGB_CTRL) & ~(CTRL_FRCSPD | CTRL_FRCDPLX);

    igb_wr(g, IGB_CTRL, ctrl | CTRL_SLU);
    control = mdic(g, MDIC_OP_READ, PHY_CONTROL, 0);
    if (control < 0)
        return control;
    control = mdic(g, MDIC_OP_WRITE, PHY_CONTROL, (uint16_t)(control | PHY_CONTROL_ANEN | PHY_CONTROL_ANRST));
    return control < 0 ? control : 0;
}

bool igb_link_update(struct igb *g)
{
    static const unsigned mbps[] = {10, 100, 1000, 1000};
    uint32_t status = igb_rd(g, IGB_STATUS);
    struct nic_link now = {.up = status & STATUS_LU,
                           .full_duplex = status & STATUS_FD,
                           .mbps = mbps[IGB_GET(STATUS_SPEED, status)]};
    bool changed = now.up != g->nic.link.up;

    g->nic.link = now;
    return changed;
}
