/* SPDX-License-Identifier: BSD-2-Clause */
/* inih asks for this header; with INI_CUSTOM_ALLOCATOR it uses nothing from it. */
#ifndef BOOT_LIBC_STDLIB_H
#define BOOT_LIBC_STDLIB_H

#include <stddef.h>

#endif
