/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share. */
#pragma once

#include "kernel/pci/pci.h"

/* Maps the windows that boot/ found in the MCFG. -ENOMEM. */
MUST_USE int ecam_init(const struct bootinfo *bi);
