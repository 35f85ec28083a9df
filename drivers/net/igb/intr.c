/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X interrupts (datasheet 7.3): one vector for the PF's queues, one for mailboxes, VF resets and link. A
 * vector masks itself when it fires (EIAM); the event loop unmasks it before it sleeps. Vectors of VFs are
 * theirs and left alone.
 */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"
#include "drivers/sys/sys.h"

#define QUEUES_INTERVAL_US 50
#define OTHER_INTERVAL_US                                                                                    \
    500 /* a flood of mailbox messages wakes the I/O domain 2,000 times a second at most */
#define PF_VECTORS (IGB_BIT(IGB_VECTOR_QUEUES) | IGB_BIT(IGB_VECTOR_OTHER))

void igb_intr_off(struct igb *g)
{
    igb_wr(g, IGB_IMC, UINT32_MAX);
    igb_wr(g, IGB_EIMC, PF_VECTORS);
}

int igb_intr_setup(struct igb *g)
{
    igb_wr(g, IGB_GPIE, GPIE_MSIX_MODE | GPIE_PBA | GPIE_EIAME | GPIE_NSICR);
    igb_wr(g, IGB_IVAR(IGB_PF_POOL),
           IGB_PREP(IVAR_RX, IVAR_VALID | IGB_VECTOR_QUEUES) |
               IGB_PREP(IVAR_TX, IVAR_VALID | IGB_VECTOR_QUEUES));
    igb_wr(g, IGB_IVAR_MISC, IGB_PREP(IVAR_MISC_OTHER, IVAR_VALID | IGB_VECTOR_OTHER));
    igb_wr(g, IGB_EITR(IGB_VECTOR_QUEUES), IGB_PREP(EITR_INTERVAL, QUEUES_INTERVAL_US));
    igb_wr(g, IGB_EITR(IGB_VECTOR_OTHER), IGB_PREP(EITR_INTERVAL, OTHER_INTERVAL_US));
    igb_wr(g, IGB_EIAC, igb_rd(g, IGB_EIAC) | PF_VECTORS);
    igb_wr(g, IGB_EIAM, igb_rd(g, IGB_EIAM) | PF_VECTORS);
    igb_wr(g, IGB_IMS, ICR_LSC | ICR_VMMB);
    return pci_msix_enable(g->devfn, g->irq, IGB_VECTORS);
}

void igb_intr_arm(struct igb *g)
{
    igb_wr(g, IGB_EIMS, PF_VECTORS);
}
