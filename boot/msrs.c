/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/msrs.h"
#include "kernel/lib/types.h"

#define MTRRCAP_WC        BIT(10)
#define MISC_FAST_STRINGS BIT(0)
#define MTRR_DEF_TYPE_WB  (BIT(11) | 6) /* enabled, all of memory write-back */
#define HWCR_TSC_FREQ_SEL BIT(24)       /* the TSC counts at the frequency of P-state 0 */
#define DE_CFG_LFENCE     BIT(1)        /* LFENCE waits for all that is before it */

/*
 * Names of the Intel SDM and the AMD APM. Memory types are the nested page table's business, so MTRRs only say that there are none: all write-back;
 * machine checks are the host's: no banks; the rest is AMD's, which Linux reads by family.
 */
static const struct boot_msr idle_msrs[] = {
    {0x0000008b, 0x0000008b, 1, 1, 0},                 /* PATCH_LEVEL */
    {0x000000fe, 0x000000fe, 1, 0, MTRRCAP_WC},        /* MTRRCAP */
    {0x00000179, 0x00000179, 1, 0, 0},                 /* MCG_CAP */
    {0x0000017a, 0x0000017a, 1, 1, 0},                 /* MCG_STATUS */
    {0x000001a0, 0x000001a0, 1, 1, MISC_FAST_STRINGS}, /* MISC_ENABLE */
    {0x000002ff, 0x000002ff, 1, 1, MTRR_DEF_TYPE_WB},  /* MTRR_DEF_TYPE */
    {0xc0010000, 0xc0010007, 0, 0,
     0}, /* performance counters: Linux tries them to find out that there are none */
    {0xc0010010, 0xc0010010, 1, 1, 0},                 /* SYSCFG */
    {0xc0010015, 0xc0010015, 1, 1, HWCR_TSC_FREQ_SEL}, /* HWCR */
    {0xc001001a, 0xc001001a, 1, 1, 0},                 /* TOP_MEM */
    {0xc001001d, 0xc001001d, 1, 1, 0},                 /* TOP_MEM2 */
    {0xc001001f, 0xc001001f, 1, 1, 0},                 /* NB_CFG */
    {0xc0011020, 0xc0011022, 1, 1, 0},                 /* LS_CFG to DC_CFG */
    {0xc0011028, 0xc0011028, 1, 1, 0},                 /* FP_CFG */
    {0xc0011029, 0xc0011029, 1, 1, DE_CFG_LFENCE},     /* DE_CFG */
};

_Static_assert(ARRAY_SIZE(idle_msrs) == BOOT_MSRS, "all of them");

void msrs_fill(struct boot_cpu *c)
{
    for (unsigned i = 0; i < BOOT_MSRS; i++)
        c->msr[i] = idle_msrs[i];
}
