/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/platform.c"

#include "boot/cpu.c"
#include "boot/state.c"
#include "boot/msrs.c"
#include "vm/emul/cpuid.c"

static bool poor;
static struct boot_guest guest;

/* A CPU that has everything: all ones wherever a leaf is features. */
static struct cpuid_regs host(uint32_t leaf, uint32_t sub)
{
    switch (leaf) {
    case 0:
        return (struct cpuid_regs){poor ? 1 : 0x10, 0x68747541, 0x444d4163, 0x69746e65};
    case 1:
        return (struct cpuid_regs){0x800f12, 0xffffffff, poor ? 0 : ~0u, ~0u};
    case 0xd:
        if (sub == 0)
            return (struct cpuid_regs){0x2ff, 832, 2696, 0};
        if (sub == 1)
            return (struct cpuid_regs){0xffffffff, 900, 0xffffffff, 0xffffffff};
        return sub == 2 ? (struct cpuid_regs){256, 576, 0xfffffffe, 1}
                        : (struct cpuid_regs){64, 1024 + 64 * sub, 0, 0};
    case 0x80000000:
        return (struct cpuid_regs){0x80000021, 1, 2, 3};
    case 0x80000008:
        return (struct cpuid_regs){0x00303028, ~0u, ~0u, ~0u};
    default:
        return (struct cpuid_regs){~0u, ~0u, ~0u, ~0u};
    }
}

static struct cpuid_regs get(struct vcpu *v, uint32_t leaf, uint32_t sub)
{
    v->gpr[RAX] = 0xdead00000000 | leaf; /* the upper halves do not matter */
    v->gpr[RCX] = 0xdead00000000 | sub;
    CHECK_EQ(emul_cpuid(v, NULL), THEN_SKIP);
    CHECK((v->gpr[RAX] | v->gpr[RBX] | v->gpr[RCX] | v->gpr[RDX]) >> 32 == 0);
    return (struct cpuid_regs){(uint32_t)v->gpr[RAX], (uint32_t)v->gpr[RBX], (uint32_t)v->gpr[RCX],
                               (uint32_t)v->gpr[RDX]};
}

/* As the boot loader hands it over. */
static void take_table(void)
{
    struct boot_facts f = {0};

    cpu_look(&f);
    hvm_cpu = f.machine.processor;
    guest.vcpus = fake_vm.vm.nvcpus;
    cpu_show(&guest);
    fake_vm.vm.cfg = &guest;
}

static struct vcpu *setup(unsigned nvcpus, unsigned id)
{
    struct vm *vm = fake_vm_init(nvcpus);

    poor = false;
    fake_cpuid = host;
    fake_hvm.reg[REG_CR4] = 0;
    take_table();
    return vm->vcpu[id];
}

static bool all_zero(struct cpuid_regs r)
{
    return (r.eax | r.ebx | r.ecx | r.edx) == 0;
}

TEST(signatures)
{
    struct vcpu *v = setup(1, 0);
    struct cpuid_regs r = get(v, 0x40000000, 0);

    CHECK_EQ(r.eax, 0x40000001);
    CHECK(!memcmp(&r.ebx, "KVMKVMKVM\0\0\0", 12));
    CHECK_EQ(get(v, 0x40000001, 0).eax, 0x0100004a);
    CHECK_EQ(get(v, 0, 0).eax, 0xd);
    CHECK_EQ(get(v, 0, 0).ebx, 0x68747541);
    CHECK_EQ(get(v, 0x80000000, 0).eax, 0x80000008);
}

TEST(forbidden_features_are_not_there)
{
    static const struct {
        uint32_t leaf, reg, bit; /* reg: 0 eax .. 3 edx */
    } rows[] = {
        {1, 2, 2},           {1, 2, 3},           {1, 2, 5},           {1, 2, 6},
        {1, 2, 7},           {1, 2, 8},           {1, 2, 15},          {1, 2, 17},
        {1, 2, 27},          {1, 3, 21},          {1, 3, 22},          {1, 3, 28},
        {1, 3, 29},          {1, 3, 10},          {7, 1, 1},           {7, 1, 2},
        {7, 1, 4},           {7, 1, 10},          {7, 1, 11},          {7, 1, 14},
        {7, 1, 25},          {7, 2, 3},           {7, 2, 5},           {7, 2, 7},
        {7, 2, 16},          {7, 2, 28},          {7, 3, 26},          {7, 3, 27},
        {7, 3, 29},          {7, 3, 31},          {0x80000001, 2, 2},  {0x80000001, 2, 3},
        {0x80000001, 2, 9},  {0x80000001, 2, 10}, {0x80000001, 2, 12}, {0x80000001, 2, 13},
        {0x80000001, 2, 15}, {0x80000001, 2, 22}, {0x80000001, 2, 23}, {0x80000001, 2, 24},
        {0x80000001, 2, 26}, {0x80000001, 2, 28}, {0x80000001, 2, 29}, {0x80000007, 3, 7},
        {0x80000008, 1, 12},
    };
    struct vcpu *v = setup(1, 0);

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct cpuid_regs r = get(v, rows[i].leaf, 0);
        uint32_t regs[4] = {r.eax, r.ebx, r.ecx, r.edx};

        if (regs[rows[i].reg] & BIT32(rows[i].bit))
            printf("    leaf %#x register %u bit %u\n", rows[i].leaf, rows[i].reg, rows[i].bit);
        CHECK(!(regs[rows[i].reg] & BIT32(rows[i].bit)));
    }
}

TEST(needed_features_are_there)
{
    static const struct {
        uint32_t leaf, reg, bit;
    } rows[] = {
        {1, 2, 0},           {1, 2, 13},          {1, 2, 21},          {1, 2, 24},
        {1, 2, 26},          {1, 2, 28},          {1, 2, 30},          {1, 2, 31},
        {1, 3, 0},           {1, 3, 4},           {1, 3, 6},           {1, 3, 9},
        {1, 3, 12},          {1, 3, 16},          {1, 3, 26},          {6, 0, 2},
        {7, 1, 0},           {7, 1, 5},           {7, 1, 7},           {7, 1, 9},
        {7, 1, 18},          {7, 1, 19},          {7, 1, 20},          {7, 1, 23},
        {7, 1, 24},          {7, 1, 29},          {7, 2, 2},           {0x80000001, 2, 0},
        {0x80000001, 3, 11}, {0x80000001, 3, 20}, {0x80000001, 3, 26}, {0x80000001, 3, 29},
        {0x80000007, 3, 8},
    };
    struct vcpu *v = setup(1, 0);

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct cpuid_regs r = get(v, rows[i].leaf, 0);
        uint32_t regs[4] = {r.eax, r.ebx, r.ecx, r.edx};

        CHECK(regs[rows[i].reg] & BIT32(rows[i].bit));
    }
}

TEST(unknown_leaves_are_zero)
{
    static const uint32_t leaves[] = {2,          3,          4,          5,          8,          9,
                                      0xa,        0xc,        0xe,        0x14,       0x15,       0x16,
                                      0x1f,       0x3fffffff, 0x40000002, 0x40000100, 0x80000009, 0x8000000a,
                                      0x8000001e, 0xc0000000, 0xffffffff};
    struct vcpu *v = setup(2, 1);

    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++)
        CHECK(all_zero(get(v, leaves[i], 0)));
    CHECK(all_zero(get(v, 7, 1)));
    CHECK(all_zero(get(v, 0xd, 64)));
    CHECK(all_zero(get(v, 0xd, 9))); /* PKRU: not allowed */
    CHECK(all_zero(get(v, 0xd, 0xffffffff)));
}

TEST(topology_is_consistent)
{
    for (unsigned n = 1; n <= 16; n++) {
        unsigned bits = 0;
        struct vcpu *v = setup(n, n - 1);

        while ((1u << bits) < n)
            bits++;
        CHECK_EQ(get(v, 1, 0).ebx >> 24, n - 1);
        CHECK_EQ(get(v, 1, 0).ebx >> 16 & 0xff, n);
        CHECK_EQ(!!(get(v, 1, 0).edx & F1_EDX_HTT), n > 1);
        CHECK_EQ(!!(get(v, 0x80000001, 0).ecx & E1_ECX_CMP_LEGACY), n > 1);
        CHECK_EQ(get(v, 0x80000008, 0).ecx, (n - 1) | bits << 12);
        CHECK_EQ(get(v, 0xb, 0).eax, 0);
        CHECK_EQ(get(v, 0xb, 0).ebx, 1);
        CHECK_EQ(get(v, 0xb, 0).ecx, 0x100);
        CHECK_EQ(get(v, 0xb, 1).eax, bits);
        CHECK_EQ(get(v, 0xb, 1).ebx, n);
        CHECK_EQ(get(v, 0xb, 1).ecx, 0x201);
        CHECK_EQ(get(v, 0xb, 1).edx, n - 1);
        CHECK_EQ(get(v, 0xb, 2).ebx, 0);
        CHECK_EQ(get(v, 0xb, 2).ecx, 2);
    }
}

TEST(xsave_state)
{
    struct vcpu *v = setup(1, 0);
    struct cpuid_regs r = get(v, 0xd, 0);

    CHECK_EQ(r.eax, 0xe7);
    CHECK_EQ(r.ebx, 832); /* what the CPU says of the guest's own XCR0 */
    CHECK_EQ(r.ecx, 2696);
    CHECK_EQ(r.edx, 0);
    CHECK_EQ(get(v, 0xd, 1).eax, 7);
    CHECK_EQ(get(v, 0xd, 1).ecx, 0);
    CHECK_EQ(get(v, 0xd, 2).eax, 256);
    CHECK_EQ(get(v, 0xd, 2).ecx, 2);
    CHECK_EQ(get(v, 1, 0).ecx & F1_ECX_OSXSAVE, 0);
    fake_hvm.reg[REG_CR4] = CR4_OSXSAVE;
    CHECK_EQ(get(v, 1, 0).ecx & F1_ECX_OSXSAVE, F1_ECX_OSXSAVE);
}

TEST(what_follows)
{
    struct vcpu *v = setup(1, 0);

    CHECK_EQ(hvm_cpu.cr4_valid, 0x350fff);
    CHECK_EQ(hvm_cpu.xcr0_valid, 0xe7);
    CHECK_EQ(hvm_cpu.efer_valid, 0x4d01);
    poor = true;
    take_table();
    CHECK_EQ(hvm_cpu.cr4_valid, 0x407ff);
    CHECK_EQ(get(v, 1, 0).ecx, F1_ECX_SET);
}

TEST(no_tsc_deadline_for_one_with_its_own_cpu)
{
    struct vcpu *v = setup(1, 0);

    CHECK(get(v, 1, 0).ecx & F1_ECX_TSC_DEADLINE);
    v->own_cpu = true;
    CHECK(!(get(v, 1, 0).ecx & F1_ECX_TSC_DEADLINE));
    CHECK(get(v, 6, 0).eax & BIT32(2));
}

TEST_MAIN()
