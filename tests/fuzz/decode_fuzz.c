/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes in any mode: the decoder stays in the buffer, says the same twice, and gives operands that exist.
 * Byte 0 chooses the mode. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vm/emul/decode.c"

#define REQUIRE(cond)                                                                                        \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)

static bool is_size(uint8_t size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

static void check(const struct insn *i, unsigned bits, unsigned n)
{
    REQUIRE(i->len >= 1 && i->len <= INSN_MAX && i->len <= n);
    REQUIRE(i->op > INSN_NONE && i->op <= INSN_LMSW);
    REQUIRE(is_size(i->size) && is_size(i->reg_size));
    REQUIRE(bits == 64 || (i->size <= 4 && i->reg_size <= 4));
    REQUIRE(i->reg < GPRS && i->rm < GPRS);
    REQUIRE(!i->reg_high || (i->reg <= RBX && i->reg_size == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned modes[] = {16, 32, 64};
    unsigned bits, n;
    uint8_t *exact;
    struct insn insn;
    if (size < 2)
        return 0;
    bits = modes[data[0] % 3];
    n = (unsigned)(size - 1 > 32 ? 32 : size - 1);
    exact = malloc(n); /* so that the sanitizer sees a read behind the end */
    memcpy(exact, data + 1, n);
    REQUIRE(insn_prefixes(exact, n, bits) <= n);
    if (insn_decode(exact, n, bits, &insn) == 0) {
        struct insn again;
        unsigned len = insn.len;

        check(&insn, bits, n);
        REQUIRE(insn_prefixes(exact, n, bits) < len);
        /* What follows does not matter, and nothing shorter will do. */
        REQUIRE(insn_decode(exact, len, bits, &again) == 0 && again.len == len);
        REQUIRE(insn_decode(exact, len - 1, bits, &again) != 0);
    }
    free(exact);
    return 0;
}
