/* SPDX-License-Identifier: BSD-2-Clause */
/* inih asks for this header; with INI_CUSTOM_ALLOCATOR it uses nothing from it. */
#pragma once

#include <stddef.h>
