/* SPDX-License-Identifier: BSD-2-Clause */
/* How inih is compiled, for boot/ and for its host tests: include it before ini.h and before ini.c. */
#pragma once

/*
 * A line of lastmile.cfg is at most CONFIG_LINE_MAX characters, its end not counted; inih's buffer is larger
 * than that.
 */
#define CONFIG_LINE_MAX 1500

#define INI_HANDLER_LINENO      1
#define INI_STOP_ON_FIRST_ERROR 1
#define INI_ALLOW_MULTILINE     0
#define INI_USE_STACK           1
#define INI_MAX_LINE            2048
#define INI_CUSTOM_ALLOCATOR    1
