/* SPDX-License-Identifier: BSD-2-Clause */
/* inih's functions that read files are compiled but never called: the configuration is parsed from memory. */
#pragma once

#include <stddef.h>

typedef struct boot_no_file FILE;

FILE *fopen(const char *name, const char *mode);
char *fgets(char *s, int size, FILE *f);
int fclose(FILE *f);
