/* SPDX-License-Identifier: BSD-2-Clause */
/* Second-stage page tables (9.8). */
#include "iommu/vtd/vtd.h"

static struct radix_format pt_format = {
    .present = SS_R | SS_W,
    .table = SS_R | SS_W,
    .large = SS_PS,
    .flag = {SS_R, SS_W},
};

/* A device's request not to snoop is overridden, where all units can. */
int vtd_pt_init(struct radix *t)
{
    pt_format.leaf = vtd_ecap & ECAP_SC ? SS_SNP : 0;
    *t = (struct radix){
        .format = &pt_format,
        .levels = vtd_cap & CAP_SAGAW_48 ? 4 : 3,
        .max_leaf_level = !(vtd_cap & CAP_SLLPS_2M)   ? 0
                          : !(vtd_cap & CAP_SLLPS_1G) ? 1
                                                      : 2,
        .flush = !(vtd_ecap & ECAP_C),
    };
    return radix_init(t);
}
