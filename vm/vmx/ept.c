/* SPDX-License-Identifier: BSD-2-Clause */
/* Extended page tables (SDM 3 29.3): rights in bits 2:0, the memory type in 5:3. Of RAM it is write-back whatever the guest's PAT says. */
#include "vm/vmx/vmx.h"

#define EPT_LEVELS     4 /* 48 bits, as the host's own tables */
#define EPT_R          BIT(0)
#define EPT_W          BIT(1)
#define EPT_X          BIT(2)
#define EPT_MEMTYPE_WB FIELD_PREP(GENMASK(5, 3), 6) /* turned into 0, uncacheable, for devices */
#define EPT_IGNORE_PAT BIT(6)
#define EPT_LARGE      BIT(7)

static const struct radix_format ept_format = {
    .present = EPT_R | EPT_W | EPT_X,
    .table = EPT_R | EPT_W | EPT_X,
    .large = EPT_LARGE,
    .leaf = EPT_MEMTYPE_WB | EPT_IGNORE_PAT,
    .flag = {EPT_R, EPT_W, EPT_X, EPT_MEMTYPE_WB},
};

int vmx_p2m_init(struct radix *t)
{
    *t = (struct radix){
        .format = &ept_format, .levels = EPT_LEVELS, .max_leaf_level = hvm_cpu.leaf_1g ? 2 : 1};
    return radix_init(t);
}
