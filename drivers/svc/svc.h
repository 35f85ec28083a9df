/* SPDX-License-Identifier: BSD-2-Clause */
/* Services of the I/O domain on its own network address. */
#pragma once

/* TCP echo (RFC 862) on port 7. Negative errno. */
int echo_start(void);
