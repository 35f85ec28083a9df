/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include <sys/mman.h>

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/insn.c"
#include "tests/unit/fake/p2m.c"

#include "boot/state.c"
#include "vm/cpustate.c"
#include "vm/loader.c"

#define RAM (4 * SIZE_2M)

static struct vm vm;
static struct vcpu vcpu[2];
static struct boot_guest cfg;
static uint8_t image[2 * SIZE_2M + 100];

/* One piece, the image at 1 MiB. */
static void setup(void)
{
    memset(&fake_hvm, 0, sizeof(fake_hvm));
    memset(vcpu, 0x77, sizeof(vcpu));
    memset(&vm, 0, sizeof(vm));
    for (size_t i = 0; i < sizeof(image) && !image[sizeof(image) - 1]; i++)
        image[i] = (uint8_t)(1 + i % 251);
    vm.cfg = &cfg;
    vm.vcpu[0] = &vcpu[0];
    vm.vcpu[1] = &vcpu[1];
    vm.nvcpus = 2;
    CHECK_EQ(fake_p2m_init(&vm.p2m, RAM), 0);
    cfg.start = (struct boot_start){
        .vcpu = {.rip = 0x100040, .gpr = {[RAX] = 1, [RBX] = 2, [RSI] = 3}},
        .npieces = 1,
        .piece = {{.at = 0x100000, .source = ptr_to_hpa(image).a, .size = sizeof(image)}},
    };
}

static int load(void)
{
    uint64_t done = 0;
    int rc;

    do
        rc = loader_load(&vm, &done);
    while (rc > 0);
    return rc;
}

static uint8_t *at(uint64_t addr)
{
    return p2m_ram(&vm.p2m, gpa(addr), 1);
}

TEST(starts_in_long_mode_with_page_tables)
{
    setup();
    state_start(&cfg.start.vcpu, 0x5000, 0x3000);
    CHECK_EQ(load(), 0);
    CHECK_EQ(fake_hvm.resets, 1);
    CHECK_EQ(vm.p2m.generation, 1);
    CHECK_EQ(vcpu[0].rip, 0x100040);
    CHECK_EQ(vcpu[0].rflags, 2);
    CHECK_EQ(vcpu[0].gpr[RAX], 1);
    CHECK_EQ(vcpu[0].gpr[RBX], 2);
    CHECK_EQ(vcpu[0].gpr[RSI], 3);
    CHECK_EQ(vcpu[0].gpr[RCX] | vcpu[0].gpr[RDI] | vcpu[0].gpr[R15], 0);
    CHECK_EQ(fake_hvm.reg[REG_EFER], 0x500);
    CHECK_EQ(fake_hvm.reg[REG_CR3], 0x3000);
    CHECK_EQ(fake_hvm.reg[REG_CR4], 0x20);
    CHECK_EQ(fake_hvm.reg[REG_CR0], 0x80000031);
    CHECK_EQ(fake_hvm.seg[SEG_GDTR].base, 0x5000);
    CHECK_EQ(fake_hvm.seg[SEG_GDTR].limit, 31);
    CHECK_EQ(fake_hvm.seg[SEG_CS].attr, 0xa9b);
    CHECK_EQ(fake_hvm.seg[SEG_CS].selector, 0x10);
    CHECK_EQ(fake_hvm.seg[SEG_DS].selector, 0x18);
    CHECK_EQ(fake_hvm.seg[SEG_DS].attr, 0xc93);
    CHECK_EQ(fake_hvm.seg[SEG_TR].attr, 0x8b);
    fake_p2m_destroy(&vm.p2m);
}

TEST(starts_in_flat_32_bit_mode_without)
{
    setup();
    state_start(&cfg.start.vcpu, 0x5000, 0);
    CHECK_EQ(load(), 0);
    CHECK_EQ(vcpu[0].rip, 0x100040);
    CHECK_EQ(fake_hvm.reg[REG_CR0], 0x11);
    CHECK_EQ(fake_hvm.reg[REG_CR4], 0);
    CHECK_EQ(fake_hvm.reg[REG_EFER], 0);
    CHECK_EQ(fake_hvm.seg[SEG_CS].attr, 0xc9b);
    fake_p2m_destroy(&vm.p2m);
}

TEST(pieces_are_copied_2_mib_at_a_time)
{
    uint64_t done = 0;

    setup();
    cfg.start.npieces = 3;
    cfg.start.piece[1] = (struct boot_piece){.at = 0x1000, .source = ptr_to_hpa(image).a + 5, .size = 7};
    cfg.start.piece[2] = (struct boot_piece){.at = RAM - 9, .source = ptr_to_hpa(image).a, .size = 9};
    for (unsigned i = 0; i < 5; i++) {
        static const uint64_t after[] = {SIZE_2M, 2 * SIZE_2M, sizeof(image), sizeof(image) + 7,
                                         sizeof(image) + 16};

        CHECK_EQ(loader_load(&vm, &done), 1);
        CHECK_EQ(done, after[i]);
        CHECK_EQ(fake_hvm.resets, 0);
    }
    CHECK_EQ(loader_load(&vm, &done), 0);
    CHECK_EQ(fake_hvm.resets, 1);
    CHECK(!memcmp(at(0x100000), image, sizeof(image)));
    CHECK(!memcmp(at(0x1000), image + 5, 7));
    CHECK(!memcmp(at(RAM - 9), image, 9));
    CHECK_EQ(*at(0x1007), 0);
    CHECK_EQ(*at(0x100000 + sizeof(image)), 0);
    fake_p2m_destroy(&vm.p2m);
}

TEST(what_is_as_it_must_be_is_not_written_again)
{
    setup();
    CHECK_EQ(load(), 0);
    *at(0x100000 + SIZE_2M + 99) ^= 1; /* the last byte of the second piece of work */
    CHECK_EQ(mprotect(at(0x100000), SIZE_2M, PROT_READ), 0);
    CHECK_EQ(load(), 0);
    CHECK_EQ(mprotect(at(0x100000), SIZE_2M, PROT_READ | PROT_WRITE), 0);
    CHECK(!memcmp(at(0x100000), image, sizeof(image)));
    fake_p2m_destroy(&vm.p2m);
}

TEST(pieces_outside_the_guests_ram_are_refused)
{
    static const uint64_t places[] = {RAM - 99,         RAM, 0xfee00000, 0x100000000, ~(uint64_t)0 - 10,
                                      ~(uint64_t)0 - 99};

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        setup();
        cfg.start.piece[0].at = places[i];
        cfg.start.piece[0].size = 100;
        CHECK_EQ(load(), -EFAULT);
        CHECK_EQ(fake_hvm.resets, 0);
        fake_p2m_destroy(&vm.p2m);
    }
}

TEST_MAIN()
