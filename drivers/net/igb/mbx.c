/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mailbox transport (datasheet 7.10, "VF to PF Mailbox"): 16 words per VF, shared by both sides and locked by
 * VFU or PFU. The VF is not to be trusted: the words are read once, and only what was read is looked at.
 */
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/io.h"

static uint32_t all_vfs(const struct igb *g)
{
    return IGB_BIT(g->nic.channels) - 1;
}

struct igb_mbx_events igb_mbx_pending(struct igb *g)
{
    struct igb_mbx_events e;
    uint32_t icr;

    e.resets = igb_rd(g, IGB_VFLRE) & all_vfs(g);
    igb_wr(g, IGB_VFLRE, e.resets);
    icr = igb_rd(g, IGB_MBVFICR);
    e.requests = IGB_GET(MBVFICR_REQ, icr) & all_vfs(g);
    igb_wr(g, IGB_MBVFICR, icr & MBVFICR_ACK);
    for (unsigned vf = 0; vf < g->nic.channels; vf++)
        if (IGB_GET(MBVFICR_ACK, icr) & IGB_BIT(vf))
            g->vf[vf].unread = false;
    return e;
}

bool igb_mbx_lock(struct igb *g, unsigned vf)
{
    igb_wr(g, IGB_P2VMAILBOX(vf), P2V_PFU);
    return igb_rd(g, IGB_P2VMAILBOX(vf)) & P2V_PFU;
}

void igb_mbx_unlock(struct igb *g, unsigned vf)
{
    igb_wr(g, IGB_P2VMAILBOX(vf), 0);
}

void igb_mbx_take(struct igb *g, unsigned vf, uint32_t msg[IGB_MSG_WORDS])
{
    for (unsigned i = 0; i < IGB_MSG_WORDS; i++)
        msg[i] = igb_rd(g, IGB_VMBMEM_WORD(vf, i));
}

/* Both signals in one write: a VF that saw the first might start its next message before the answer is in
 * place. */
void igb_mbx_reply(struct igb *g, unsigned vf, const uint32_t *msg, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        igb_wr(g, IGB_VMBMEM_WORD(vf, i), msg[i]);
    g->vf[vf].unread = n != 0;
    igb_wr(g, IGB_MBVFICR, IGB_PREP(MBVFICR_REQ, IGB_BIT(vf)) | IGB_PREP(MBVFICR_ACK, IGB_BIT(vf)));
    igb_wr(g, IGB_P2VMAILBOX(vf), n ? P2V_ACK | P2V_STS : P2V_ACK);
}

bool igb_mbx_is_locked(const struct igb *g, unsigned vf)
{
    return igb_rd(g, IGB_P2VMAILBOX(vf)) & P2V_PFU;
}

bool igb_mbx_has_request(const struct igb *g, unsigned vf)
{
    return IGB_GET(MBVFICR_REQ, igb_rd(g, IGB_MBVFICR)) & IGB_BIT(vf);
}

static bool is_unread(const struct igb *g, unsigned vf)
{
    return g->vf[vf].unread && !(IGB_GET(MBVFICR_ACK, igb_rd(g, IGB_MBVFICR)) & IGB_BIT(vf));
}

void igb_mbx_notify(struct igb *g, unsigned vf, uint32_t msg)
{
    if (!igb_mbx_lock(g, vf))
        return;
    if (igb_mbx_has_request(g, vf)) {
        igb_mbx_unlock(g, vf);
        return;
    }
    if (!is_unread(g, vf))
        igb_wr(g, IGB_VMBMEM_WORD(vf, 0), msg);
    igb_wr(g, IGB_P2VMAILBOX(vf), P2V_STS);
}

void igb_mbx_revoke(struct igb *g, unsigned vf)
{
    igb_wr(g, IGB_P2VMAILBOX(vf), P2V_RVFU);
    igb_wr(g, IGB_MBVFICR, IGB_PREP(MBVFICR_REQ, IGB_BIT(vf)));
}

void igb_mbx_scrub(struct igb *g, unsigned vf)
{
    /* The VF's driver may be in the middle of its first message after the reset: that one must not be lost.
     */
    if (!igb_mbx_lock(g, vf))
        return;
    if (!igb_mbx_has_request(g, vf)) {
        for (unsigned i = 0; i < IGB_MSG_WORDS; i++)
            igb_wr(g, IGB_VMBMEM_WORD(vf, i), 0);
    }
    igb_mbx_unlock(g, vf);
}

bool igb_mbx_clean(struct igb *g, unsigned vf)
{
    uint32_t left = 0;

    igb_wr(g, IGB_P2VMAILBOX(vf), P2V_RVFU);
    igb_wr(g, IGB_V2PMAILBOX(vf), 0);
    (void)igb_rd(g, IGB_V2PMAILBOX(vf)); /* clears what the last guest has not read */
    igb_wr(g, IGB_MBVFICR, IGB_PREP(MBVFICR_REQ, IGB_BIT(vf)) | IGB_PREP(MBVFICR_ACK, IGB_BIT(vf)));
    for (unsigned i = 0; i < IGB_MSG_WORDS; i++)
        igb_wr(g, IGB_VMBMEM_WORD(vf, i), 0);
    for (unsigned i = 0; i < IGB_MSG_WORDS; i++)
        left |= igb_rd(g, IGB_VMBMEM_WORD(vf, i));
    left |= igb_rd(g, IGB_V2PMAILBOX(vf)) & (V2P_VFU | V2P_PFSTS | V2P_PFACK);
    return left == 0 && !igb_mbx_has_request(g, vf);
}

void igb_mbx_mute(struct igb *g, uint32_t vfs)
{
    igb_wr(g, IGB_MBVFIMR, all_vfs(g) & ~vfs);
}
