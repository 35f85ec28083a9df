/* SPDX-License-Identifier: BSD-2-Clause */
/* MSRs that stock kernels touch without asking, and that guests have for that reason alone. */
#pragma once

#include "boot/bootinfo.h"

/* Fills in c->msr. */
void msrs_fill(struct boot_cpu *c);
