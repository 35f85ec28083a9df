/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A register file in the place of drivers/net/igb/io.h, with the mailbox as the 82576 has it (W1C causes, PFU
 * only while VFU is 0), the other end of each mailbox, and a clock; and one without all that for a second NIC.
 * Include once, before the files under test.
 */
#define DRIVERS_NET_IGB_IO_H
#include "drivers/net/igb/igb.h"
#include "drivers/net/igb/regs.h"
#include "drivers/sys/sys.h"
#include <stdlib.h>
#include <string.h>

#define FAKE_V2P_PFSTS 0x10
#define FAKE_V2P_PFACK 0x20

static uint32_t fake_regs[IGB_BAR_SIZE / 4], fake_second_regs[IGB_BAR_SIZE / 4];
static const struct igb *fake_second,
    *fake_writer;                    /* the second NIC, if there is one; whose register was written last */
static uint32_t fake_v2p[IGB_POOLS]; /* what the VF sees: PFSTS, PFACK */
static uint32_t fake_stuck;          /* a register that ignores writes; 0: none */
static unsigned fake_word_reads[IGB_POOLS][IGB_MSG_WORDS]; /* of the mailbox buffers */
static void (*fake_on_write)(uint32_t off, uint32_t v) __attribute__((unused));
static uint64_t fake_ns;
static long fake_accesses;

uint64_t clock_ns(void)
{
    return fake_ns;
}

static uint32_t *fake_reg(igb_reg r)
{
    if (r.off % 4 || r.off >= IGB_BAR_SIZE)
        abort();
    return &fake_regs[r.off / 4];
}

static inline uint32_t *fake_reg_of(const struct igb *g, igb_reg r)
{
    return g && g == fake_second ? fake_second_regs + (fake_reg(r) - fake_regs) : fake_reg(r);
}

static inline uint32_t igb_rd(const struct igb *g, igb_reg r)
{
    uint32_t mem = r.off - IGB_VMBMEM(0).off;

    fake_accesses++;
    fake_ns += 100; /* an access takes its time, so that bounded waits end */
    if (mem < IGB_POOLS * 0x40)
        fake_word_reads[mem / 0x40][mem % 0x40 / 4]++;
    return *fake_reg_of(g, r);
}

static void fake_p2v_write(unsigned vf, uint32_t v)
{
    uint32_t *reg = fake_reg(IGB_P2VMAILBOX(vf));

    if (v & P2V_RVFU)
        *reg &= ~P2V_VFU;
    *reg &= ~P2V_PFU;
    if (v & P2V_PFU && !(*reg & P2V_VFU))
        *reg |= P2V_PFU;
    fake_v2p[vf] |= (v & P2V_STS ? FAKE_V2P_PFSTS : 0) | (v & P2V_ACK ? FAKE_V2P_PFACK : 0);
}

static inline void igb_wr(const struct igb *g, igb_reg r, uint32_t v)
{
    uint32_t p2v = r.off - IGB_P2VMAILBOX(0).off;

    fake_writer = g;
    fake_accesses++;
    fake_ns += 100;
    if (r.off == fake_stuck && fake_stuck)
        return;
    if (g && g == fake_second)
        *fake_reg_of(g, r) = v;
    else if (r.off == IGB_MBVFICR.off || r.off == IGB_VFLRE.off)
        *fake_reg(r) &= ~v;
    else if (p2v < IGB_POOLS * 4)
        fake_p2v_write(p2v / 4, v);
    else
        *fake_reg(r) = v;
    if (fake_on_write)
        fake_on_write(r.off, v);
}

/* --- the VF's side --- */

static inline void fake_vf_send(unsigned vf, const uint32_t *msg, unsigned n)
{
    fake_v2p[vf] = 0;
    memset(fake_word_reads[vf], 0, sizeof(fake_word_reads[vf]));
    memcpy(fake_reg(IGB_VMBMEM(vf)), msg, n * 4);
    *fake_reg(IGB_MBVFICR) |= 1u << vf;
}

/* The VF has read what the PF told it. */
static inline void fake_vf_ack(unsigned vf)
{
    fake_v2p[vf] = 0;
    *fake_reg(IGB_MBVFICR) |= IGB_PREP(MBVFICR_ACK, 1u << vf);
}

static inline uint32_t fake_vf_word(unsigned vf, unsigned w)
{
    return *fake_reg(IGB_VMBMEM_WORD(vf, w));
}

static inline void fake_reset(void)
{
    memset(fake_regs, 0, sizeof(fake_regs));
    memset(fake_second_regs, 0, sizeof(fake_second_regs));
    memset(fake_v2p, 0, sizeof(fake_v2p));
    memset(fake_word_reads, 0, sizeof(fake_word_reads));
    fake_stuck = 0;
    fake_accesses = 0;
    fake_on_write = NULL;
}
