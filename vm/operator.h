/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's command line: a console channel named `lastmile` (kernel/console/console.h). */
#pragma once

/* Opens the channel; commands work from then on. Boot CPU, once, before the VMs are built. Without memory
 * there is no command line. */
void operator_init(void);
