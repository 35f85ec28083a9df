/* SPDX-License-Identifier: BSD-2-Clause */
/* Does a guest have an instruction of the virtualisation extensions, or one that waits, resets or tells what is the host's? (AMD APM 3
 * chapter 4, Intel SDM 3C chapter 31.) All must be #UD. */
#include "tests/guest/attack/attack.h"

#define MSR_EFER  0xc0000080u
#define EFER_SVME 0x1000u
#define GENUINE   0x756e6547u /* in EBX of CPUID leaf 0 */

struct instruction {
    const char *name;
    uint8_t size, code[6];
};

static const struct instruction instructions[] = {
    {"VMRUN", 3, {0x0f, 0x01, 0xd8}},
    {"VMLOAD", 3, {0x0f, 0x01, 0xda}},
    {"VMSAVE", 3, {0x0f, 0x01, 0xdb}},
    {"STGI", 3, {0x0f, 0x01, 0xdc}},
    {"CLGI", 3, {0x0f, 0x01, 0xdd}},
    {"SKINIT", 3, {0x0f, 0x01, 0xde}},
    {"INVLPGA", 3, {0x0f, 0x01, 0xdf}},
    {"MONITOR", 3, {0x0f, 0x01, 0xc8}},
    {"MWAIT", 3, {0x0f, 0x01, 0xc9}},
    {"RDPRU", 3, {0x0f, 0x01, 0xfd}},
    {"INVLPGB", 3, {0x0f, 0x01, 0xfe}},
    {"TLBSYNC", 3, {0x0f, 0x01, 0xff}},
    {"VMLAUNCH", 3, {0x0f, 0x01, 0xc2}},
    {"VMRESUME", 3, {0x0f, 0x01, 0xc3}},
    {"VMXOFF", 3, {0x0f, 0x01, 0xc4}},
    {"VMREAD", 3, {0x0f, 0x78, 0xc3}},
    {"VMWRITE", 3, {0x0f, 0x79, 0xc3}},
    {"VMFUNC", 3, {0x0f, 0x01, 0xd4}},
    {"INVEPT", 5, {0x66, 0x0f, 0x38, 0x80, 0x00}},
    {"INVVPID", 5, {0x66, 0x0f, 0x38, 0x81, 0x00}},
    {"GETSEC", 2, {0x0f, 0x37}},
};

/* Elsewhere TCG takes these for RDRAND or RDSEED (CAVEATS.md). */
static const struct instruction intel[] = {
    {"VMXON", 4, {0xf3, 0x0f, 0xc7, 0x30}},
    {"VMCLEAR", 4, {0x66, 0x0f, 0xc7, 0x30}},
    {"VMPTRLD", 3, {0x0f, 0xc7, 0x30}},
    {"VMPTRST", 3, {0x0f, 0xc7, 0x38}},
};

/* RAX, which most of them take for an address, is that of a page of the guest's own. */
static int execute(const struct instruction *i)
{
    static const uint8_t load_rax[] = {0xb8, 0, 0, 0xb0, 0}; /* MOV EAX, B00000h */
    uint8_t code[sizeof(load_rax) + sizeof(i->code)];

    memcpy(code, load_rax, sizeof(load_rax));
    memcpy(code + sizeof(load_rax), i->code, i->size);
    return kit_execute(code, (unsigned)sizeof(load_rax) + i->size);
}

static verdict execute_all(const struct instruction *table, size_t n)
{
    verdict v = BLOCKED;

    for (const struct instruction *i = table; i < table + n; i++)
        if (execute(i) != VEC_UD)
            v = i->name;
    return v;
}

verdict attack_instructions(struct kit *k)
{
    verdict v = execute_all(instructions, sizeof(instructions) / sizeof(instructions[0]));

    (void)k;
    if (!v && cpuid(0, 0).ebx == GENUINE)
        v = execute_all(intel, sizeof(intel) / sizeof(intel[0]));
    if (kit_wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME) != VEC_GP)
        v = "EFER.SVME";
    return v;
}
