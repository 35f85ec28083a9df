/* SPDX-License-Identifier: BSD-2-Clause */
/* inih as boot/ compiles it, in one translation unit with the test; -I names its folder. */
#include "boot/ini_options.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <ini.c>
#pragma GCC diagnostic pop
