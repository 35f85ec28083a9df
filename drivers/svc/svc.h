/* SPDX-License-Identifier: BSD-2-Clause */
/* Services of the I/O domain on its own network address. */
#ifndef DRIVERS_SVC_SVC_H
#define DRIVERS_SVC_SVC_H

/* TCP echo (RFC 862) on port 7. Negative errno. */
int echo_start(void);

#endif
