/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for messages and configuration values. Knows no EFI type; the firmware's console gets UCS-2 from it in
 * firmware.c.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOT_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* One line for the operator, without the leading "lastmile: "; empty if all went well. */
struct boot_error {
    char text[512];
};

/*
 * printf into a buffer: %s %c %u %x %% with a width, '0' and '-' before it, and l or ll for the numbers.
 * Always terminates (size >= 1); what does not fit is cut. Returns the length written.
 */
size_t text_vformat(char *dst, size_t size, const char *fmt, va_list ap);
size_t text_format(char *dst, size_t size, const char *fmt, ...) BOOT_PRINTF(3, 4);

/* Fills `err` with the formatted line; returns false, so that `return error_set(...)` reads well. */
bool error_set(struct boot_error *err, const char *fmt, ...) BOOT_PRINTF(2, 3);

/*
 * Reads a number in `base` (10 or 16) at *s and moves *s behind it. False, and *s unmoved, if there is no
 * digit or the value is over `max`.
 */
bool text_number(const char **s, unsigned base, uint64_t max, uint64_t *value);

/* The same for a whole string: decimal, or hexadecimal after 0x. */
bool text_number_all(const char *s, uint64_t max, uint64_t *value);

/* 12:34:56:78:9a:bc at *s, upper or lower case; moves *s behind it. */
bool text_mac(const char **s, uint8_t mac[6]);

bool text_equal(const char *a, const char *b);

const char *text_skip_blanks(const char *s);

/* Does a word end at `s`: with a blank, or with the string? */
bool text_word_ends(const char *s);

/* Moves *s behind `word` if that is what stands there. */
bool text_take(const char **s, const char *word);

/* Copies, cuts to size - 1 characters and terminates; false if it had to cut. */
bool text_copy(char *dst, size_t size, const char *src);

/*
 * Editing steps (insert, delete, replace, swap neighbours) from one word to the other; words over 31
 * characters count as far apart.
 */
unsigned text_distance(const char *a, const char *b);
