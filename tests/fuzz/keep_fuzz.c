/* SPDX-License-Identifier: BSD-2-Clause */
/* A keepsake that anybody may have written: its records are walked, replaced and dropped inside its bounds. */
#include "tests/unit/fake/keepsake.c"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* One operation for each byte after the keepsake: type, index, length, which. */
static void operate(uint8_t op)
{
    static uint8_t text[32], got[32];
    enum keep_type type = 1 + (op & 1);
    unsigned index = op >> 1 & 1, length = op >> 2 & 31;

    memset(text, op, sizeof(text));
    if (op & 0x80) {
        keep_drop(type, index);
        must(!keep_get(type, index, 1, got, length));
    } else if (keep_put(type, index, 1, text, length) == 0) {
        must(keep_get(type, index, 1, got, length) && memcmp(text, got, length) == 0);
        keep_init();
        must(keep_get(type, index, 1, got, length) && memcmp(text, got, length) == 0);
    }
    must(used <= sizeof(blob));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size < sizeof(fake_keepsake) ? size : sizeof(fake_keepsake);

    memset(fake_keepsake, 0, sizeof(fake_keepsake));
    memcpy(fake_keepsake, data, n);
    keep_init();
    for (size_t i = 0; i < 16 && i < size; i++)
        operate(data[size - 1 - i]);
    return 0;
}
