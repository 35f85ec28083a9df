/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "vm/emul/decode.c"

struct length_case {
    const char *what;
    uint8_t bits, n;
    uint8_t bytes[15];
};

/* Expected lengths are the number of bytes given (taken from an assembler). */
static const struct length_case lengths[] = {
    {"lmsw ax", 16, 3, {0x0f, 0x01, 0xf0}},
    {"mov cr0, rax", 64, 3, {0x0f, 0x22, 0xc0}},
    {"mov cr0 ignores mod", 64, 3, {0x0f, 0x22, 0x04}},
    {"mov cr8, r9", 64, 4, {0x45, 0x0f, 0x22, 0xc1}},
    {"mov [rip+4], eax", 64, 6, {0x89, 0x05, 4, 0, 0, 0}},
    {"mov qword [rbx], imm32", 64, 7, {0x48, 0xc7, 0x03, 1, 2, 3, 4}},
    {"mov word [rbx], imm16", 64, 5, {0x66, 0xc7, 0x03, 1, 2}},
    {"mov eax, moffs64", 64, 9, {0xa1, 1, 2, 3, 4, 5, 6, 7, 8}},
    {"mov eax, moffs32 (67)", 64, 6, {0x67, 0xa1, 1, 2, 3, 4}},
    {"mov al, moffs16", 16, 3, {0xa0, 1, 2}},
    {"mov [bp+disp8], ax", 16, 3, {0x89, 0x46, 4}},
    {"mov [disp16], ax", 16, 4, {0x89, 0x06, 4, 0}},
    {"mov [esp+disp32], ax (67)", 16, 8, {0x67, 0x89, 0x84, 0x24, 4, 0, 0, 0}},
    {"test byte [rax], imm8", 64, 3, {0xf6, 0x00, 1}},
    {"mov [si], ax", 16, 2, {0x89, 0x04}},
    {"mov [disp32], eax by SIB", 64, 7, {0x89, 0x04, 0x25, 1, 2, 3, 4}},
    {"mov eax, fs:[eax] (67)", 64, 4, {0x64, 0x67, 0x8b, 0x00}},
    {"mov ax, es:[eax]", 32, 4, {0x26, 0x66, 0x8b, 0x00}},
    {"mov eax, [si] (67)", 32, 3, {0x67, 0x8b, 0x04}},
    {"a useless REX before a prefix", 64, 4, {0x48, 0x66, 0x8b, 0x00}},
    {"15 bytes",
     64,
     15,
     {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x89, 0x00}},
};

static int insn_length(const uint8_t *buf, unsigned n, unsigned bits)
{
    struct insn insn;
    int err = insn_decode(buf, n, bits, &insn);

    return err ? err : insn.len;
}

TEST(lengths_of_the_instructions_that_exit)
{
    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        const struct length_case *c = &lengths[i];
        int len = insn_length(c->bytes, c->n, c->bits);

        if (len != c->n) {
            printf("    %s: %d\n", c->what, len);
            CHECK_EQ(len, c->n);
        }
        for (unsigned n = 0; n < c->n; n++)
            CHECK_EQ(insn_length(c->bytes, n, c->bits), -EINVAL);
    }
}

TEST(unknown_and_overlong_instructions_are_refused)
{
    static const struct length_case bad[] = {
        {"0f 0b", 64, 2, {0x0f, 0x0b}},
        {"vex", 64, 3, {0xc5, 0xf8, 0x77}},
        {"arpl", 32, 2, {0x63, 0x00}},
        {"mul", 64, 2, {0xf7, 0x20}},
        {"push [rax]", 64, 2, {0xff, 0x30}},
        {"mov es, [rax]", 64, 2, {0x8e, 0x00}},
        {"not", 64, 2, {0xf7, 0x10}},
        {"xchg", 64, 2, {0x87, 0x00}},
        {"cmpxchg", 64, 3, {0x0f, 0xb1, 0x00}},
        {"insb", 64, 1, {0x6c}},
        {"vmmcall", 64, 3, {0x0f, 0x01, 0xd9}},
        {"rep stosb", 64, 2, {0xf3, 0xaa}},
        {"mov rax, cr4", 64, 3, {0x0f, 0x20, 0xe0}},
    };
    uint8_t prefixes[32];

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_EQ(insn_length(bad[i].bytes, 15, bad[i].bits), -EINVAL);
    memset(prefixes, 0x66, sizeof(prefixes));
    prefixes[14] = 0x89;
    prefixes[15] = 0x00;
    CHECK_EQ(insn_length(prefixes, sizeof(prefixes), 64), -EINVAL);
}

TEST(prefixes_are_counted)
{
    static const struct {
        uint8_t bits, n, prefixes;
        uint8_t bytes[15];
    } rows[] = {
        {64, 2, 0, {0x0f, 0xa2}},             /* cpuid */
        {64, 4, 2, {0x66, 0xf3, 0x0f, 0xa2}}, /* cpuid */
        {16, 1, 0, {0xf4}},                   /* hlt */
        {64, 3, 1, {0xf3, 0x0f, 0x09}},       /* wbnoinvd */
        {64, 3, 1, {0x48, 0x0f, 0x32}},       /* rdmsr */
        {32, 3, 0, {0x48, 0x0f, 0x32}},       /* dec eax */
        {64, 0, 0, {0}},
        {64, 2, 2, {0x66, 0x66}}, /* the rest cannot be read */
        {64, 8, 7, {0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf0, 0xf4}},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        CHECK_EQ(insn_prefixes(rows[i].bytes, rows[i].n, rows[i].bits), rows[i].prefixes);
}

static struct insn decoded(unsigned bits, const char *bytes, unsigned n)
{
    struct insn insn;

    CHECK_EQ(insn_decode((const uint8_t *)bytes, n, bits, &insn), 0);
    CHECK_EQ(insn.len, n);
    return insn;
}
#define DECODE(bits, bytes) decoded(bits, bytes, sizeof(bytes) - 1)

TEST(mov_load_and_store)
{
    struct insn i = DECODE(64, "\x8b\x83\xf0\x00\x00\x00"); /* mov eax, [rbx+0xf0] */

    CHECK_EQ(i.op, INSN_MOV);
    CHECK(i.mem && !i.to_rm && !i.has_imm);
    CHECK_EQ(i.size, 4);
    CHECK_EQ(i.reg, RAX);

    i = DECODE(64, "\x4e\x89\x7c\xe5\xf8"); /* mov [rbp+r12*8-8], r15 */
    CHECK(i.to_rm);
    CHECK_EQ(i.size, 8);
    CHECK_EQ(i.reg, R15);
}

TEST(byte_registers_with_and_without_rex)
{
    struct insn i = DECODE(64, "\x88\x20"); /* mov [rax], ah */

    CHECK_EQ(i.reg, RAX);
    CHECK(i.reg_high);
    i = DECODE(64, "\x40\x88\x20"); /* mov [rax], spl */
    CHECK_EQ(i.reg, RSP);
    CHECK(!i.reg_high);
    i = DECODE(64, "\x0f\xb6\x20"); /* movzx esp, byte [rax] */
    CHECK_EQ(i.reg, RSP);
    CHECK(!i.reg_high);
    i = DECODE(64, "\x80\x20\x7f"); /* and byte [rax], 0x7f: ModRM.reg is no register */
    CHECK(!i.reg_high);
}

TEST(sizes_of_extending_moves)
{
    struct insn i = DECODE(64, "\x48\x0f\xb7\x00"); /* movzx rax, word [rax] */

    CHECK_EQ(i.op, INSN_MOVZX);
    CHECK_EQ(i.size, 2);
    CHECK_EQ(i.reg_size, 8);
    i = DECODE(64, "\x66\x0f\xbe\x00"); /* movsx ax, byte [rax] */
    CHECK_EQ(i.size, 1);
    CHECK_EQ(i.reg_size, 2);
}

TEST(a_rex_before_another_prefix_counts_for_nothing)
{
    CHECK_EQ(DECODE(64, "\x4c\x66\x8b\x00").size, 2);
    CHECK_EQ(DECODE(64, "\x4c\x66\x8b\x00").reg, RAX);
    CHECK_EQ(DECODE(64, "\x66\x4c\x8b\x00").size, 8);
    CHECK_EQ(DECODE(64, "\x66\x4c\x8b\x00").reg, R8);
}

TEST(immediates_are_sign_extended)
{
    struct insn i = DECODE(64, "\x48\xc7\x00\xfe\xff\xff\xff");

    CHECK(i.has_imm);
    CHECK_EQ(i.imm, ~(uint64_t)1);
    i = DECODE(64, "\x83\x08\xff"); /* or dword [rax], -1 */
    CHECK_EQ(i.op, INSN_OR);
    CHECK_EQ(i.imm, ~(uint64_t)0);
}

TEST(groups_give_their_operations)
{
    static const enum insn_op ops[] = {INSN_ADD, INSN_OR,  INSN_ADC, INSN_SBB,
                                       INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP};

    for (unsigned i = 0; i < 8; i++) {
        uint8_t group[] = {0x81, (uint8_t)(i << 3), 0, 0, 0, 0}, plain[] = {(uint8_t)(i << 3 | 3), 0};

        CHECK_EQ(decoded(64, (char *)group, 6).op, ops[i]);
        CHECK(decoded(64, (char *)group, 6).to_rm);
        CHECK_EQ(decoded(64, (char *)plain, 2).op, ops[i]);
        CHECK(!decoded(64, (char *)plain, 2).to_rm);
        CHECK_EQ(decoded(64, (char *)plain, 2).size, 4);
    }
    CHECK_EQ(DECODE(64, "\xf7\x00\x01\x00\x00\x00").op, INSN_TEST);
    CHECK_EQ(DECODE(64, "\x0f\x01\xf3").op, INSN_LMSW);
    CHECK_EQ(DECODE(64, "\x0f\x01\xf3").rm, RBX);
}

TEST(mov_to_cr_names_both_registers)
{
    struct insn i = DECODE(64, "\x45\x0f\x22\xc1"); /* mov cr8, r9 */

    CHECK_EQ(i.op, INSN_MOV_TO_CR);
    CHECK_EQ(i.reg, 8);
    CHECK_EQ(i.rm, R9);
    i = DECODE(32, "\x0f\x22\xe3"); /* mov cr4, ebx */
    CHECK_EQ(i.reg, 4);
    CHECK_EQ(i.rm, RBX);
    CHECK_EQ(DECODE(32, "\xf0\x0f\x22\xc0").reg, 8); /* lock mov cr0, eax: CR8 */
}

TEST_MAIN()
