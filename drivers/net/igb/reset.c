/* SPDX-License-Identifier: BSD-2-Clause */
/* Global reset and general configuration (datasheet 4.5, "Initialization Sequence" and "Global Reset"). */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"
#include "drivers/sys/sys.h"
#include <errno.h>

int igb_reset(struct igb *g)
{
    igb_wr(g, IGB_IMC, UINT32_MAX);
    igb_wr(g, IGB_EIMC, UINT32_MAX);
    igb_wr(g, IGB_RCTL, 0);
    igb_wr(g, IGB_TCTL, 0);
    igb_wr(g, IGB_CTRL, igb_rd(g, IGB_CTRL) | CTRL_RST);
    if (!sys_wait(!(igb_rd(g, IGB_CTRL) & CTRL_RST), 10 * NS_PER_MS))
        return -ETIMEDOUT;
    /* The EEPROM is read again after the reset; what is needed of it is the station address. */
    if (!sys_wait(igb_rd(g, IGB_EEC) & EEC_AUTO_RD || igb_rd(g, IGB_RAH(IGB_RAR_PF)) & RAH_AV,
                  100 * NS_PER_MS))
        return -ETIMEDOUT;
    igb_wr(g, IGB_IMC, UINT32_MAX);
    igb_wr(g, IGB_EIMC, UINT32_MAX);
    (void)igb_rd(g, IGB_ICR);
    igb_wr(g, IGB_CTRL_EXT, igb_rd(g, IGB_CTRL_EXT) | CTRL_EXT_DRV_LOAD);
    g->rxctl = igb_rd(g, IGB_RXCTL(0));
    g->txctl = igb_rd(g, IGB_TXCTL(0));
    igb_rar_get(g, IGB_RAR_PF, g->nic.mac);
    return nic_mac_is_station(g->nic.mac) ? 0 : -EIO;
}
