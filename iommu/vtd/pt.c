/* SPDX-License-Identifier: BSD-2-Clause */
/* Second-stage page tables (9.8). */
#include "iommu/vtd/vtd.h"

static const struct radix_format plain = {
    .present = SS_R | SS_W,
    .table = SS_R | SS_W,
    .large = SS_PS,
    .flag = {SS_R, SS_W},
};

/* A device's request not to snoop is overridden, where all units can. */
static const struct radix_format snooped = {
    .present = SS_R | SS_W,
    .table = SS_R | SS_W,
    .large = SS_PS,
    .leaf = SS_SNP,
    .flag = {SS_R, SS_W},
};

unsigned vtd_pt_levels(void)
{
    return vtd_cap & CAP_SAGAW_48 ? 4 : vtd_cap & CAP_SAGAW_39 ? 3 : 0;
}

int vtd_pt_init(struct radix *t)
{
    *t = (struct radix){
        .format = vtd_ecap & ECAP_SC ? &snooped : &plain,
        .levels = vtd_pt_levels(),
        .max_leaf_level = !(vtd_cap & CAP_SLLPS_2M)   ? 0
                          : !(vtd_cap & CAP_SLLPS_1G) ? 1
                                                      : 2,
        .flush = !(vtd_ecap & ECAP_C),
    };
    return radix_init(t);
}
