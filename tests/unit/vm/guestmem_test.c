/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/regs.h"
#include "tests/unit/test.h"

#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"

#include "vm/guestmem.c"

static struct vm vm;
static struct vcpu vcpu = {.vm = &vm};

#define PML4 0x10000
#define PDPT 0x11000
#define PD   0x12000
#define PT   0x13000

#define RW  0x3
#define URW 0x7

static void set64(uint64_t at, uint64_t val)
{
    memcpy(p2m_ram(&vm.p2m, gpa(at), 8), &val, 8);
}

static void set32(uint64_t at, uint32_t val)
{
    memcpy(p2m_ram(&vm.p2m, gpa(at), 4), &val, 4);
}

/* 4-level tables: page 5 at linear 0x5000 -> 0x105000 (user, writable), 2 MiB at 0x200000, 1 GiB at
 * 0x40000000. */
static void setup(void)
{
    memset(&fake_hvm, 0, sizeof(fake_hvm));
    vcpu.rflags = 2;
    vcpu.cpu = 0;
    CHECK_EQ(fake_p2m_init(&vm.p2m, 8 << 20), 0);
    fake_hvm_long_mode();
    fake_hvm.reg[REG_CR3] = PML4;
    set64(PML4, PDPT | URW);
    set64(PDPT, PD | URW);
    set64(PDPT + 8, 0x0 | URW | 0x80);
    set64(PD, PT | URW);
    set64(PD + 8, 0x400000 | RW | 0x80);
    set64(PT + 5 * 8, 0x105000 | URW);
    set64(PT + 6 * 8, 0x106000 | RW);
    memset(last_fetch, 0, sizeof(last_fetch));
}

static void teardown(void)
{
    fake_p2m_destroy(&vm.p2m);
}

/* What is fetched at `addr` in 64-bit code comes from `to`; 0: nothing is. */
static bool maps(uint64_t addr, uint64_t to)
{
    uint8_t buf[15], *ram = to ? p2m_ram(&vm.p2m, gpa(to), 1) : NULL;
    unsigned n;

    vcpu.rip = addr;
    if (!to)
        return guest_fetch(&vcpu, buf) == 0;
    *ram = 0xa5;
    n = guest_fetch(&vcpu, buf);
    *ram = 0;
    return n > 0 && buf[0] == 0xa5;
}

TEST(four_levels_with_all_page_sizes)
{
    setup();
    CHECK(maps(0x5123, 0x105123));
    CHECK(maps(0x212345, 0x412345));
    CHECK(maps(0x40012345, 0x12345));
    CHECK(maps(0x9000, 0));
    CHECK(maps(0x8000000000, 0));
    set64(PML4 + 511 * 8, PDPT | URW);
    CHECK(maps(0xffffff8000005123, 0x105123));
    teardown();
}

TEST(tables_outside_ram_are_not_followed)
{
    setup();
    set64(PD, 0xfee00000 | URW);
    CHECK(maps(0x5000, 0));
    set64(PD, 0xffffffffff000 | URW);
    CHECK(maps(0x5000, 0));
    fake_hvm.reg[REG_CR3] = ~(uint64_t)0;
    CHECK(maps(0x5000, 0));
    teardown();
}

TEST(pages_outside_ram_are_not_read)
{
    setup();
    set64(PT + 5 * 8, 0xfee00000 | URW);
    CHECK(maps(0x5000, 0));
    set64(PT + 5 * 8, 0xffffffffff000 | URW);
    CHECK(maps(0x5000, 0));
    teardown();
}

TEST(two_level_paging_with_large_pages)
{
    setup();
    fake_hvm.reg[REG_EFER] = 0;
    fake_hvm.reg[REG_CR4] = BIT(4) /* PSE */;
    fake_hvm.seg[SEG_CS].attr = 0xc9b;
    set32(PML4, PT | URW);
    set64(PT, 0);
    set32(PT + 5 * 4, 0x205000 | RW);
    set32(PML4 + 4, 0x400000 | RW | 0x80);
    CHECK(maps(0x5678, 0x205678));
    CHECK(last_fetch[0].owner == NULL); /* an entry of 32 bits is not compared */
    CHECK(maps(0x412345, 0x412345));
    CHECK(maps(0x800000, 0));
    teardown();
}

TEST(pae_paging)
{
    setup();
    fake_hvm.reg[REG_EFER] = EFER_NXE;
    fake_hvm.reg[REG_CR3] = PDPT + 0x20;
    fake_hvm.seg[SEG_CS].attr = 0xc9b;
    set64(PDPT + 0x20, PD | 1);
    CHECK(maps(0x5123, 0x105123));
    CHECK(maps(0x212345, 0x412345));
    CHECK(maps(0x40000000, 0));
    teardown();
}

TEST(fetch_stops_where_the_code_does)
{
    uint8_t buf[15] = {0};

    setup();
    memcpy(p2m_ram(&vm.p2m, gpa(0x105ffe), 2), "\x0f\xa2", 2);
    vcpu.rip = 0x5ffe;
    CHECK_EQ(guest_fetch(&vcpu, buf), 15);
    set64(PT + 6 * 8, 0);
    CHECK_EQ(guest_fetch(&vcpu, buf), 2);
    CHECK_EQ(buf[1], 0xa2);
    vcpu.rip = 0x9000;
    CHECK_EQ(guest_fetch(&vcpu, buf), 0);
    teardown();
}

TEST(fetch_notices_new_tables_new_code_and_new_owners)
{
    uint8_t buf[15];

    setup();
    memset(p2m_ram(&vm.p2m, gpa(0x105000), 15), 0x11, 15);
    memset(p2m_ram(&vm.p2m, gpa(0x109000), 15), 0x22, 15);
    memset(p2m_ram(&vm.p2m, gpa(0x5000), 15), 0x33, 15);
    vcpu.rip = 0x5000;
    CHECK_EQ(guest_fetch(&vcpu, buf), 15);
    CHECK_EQ(buf[0], 0x11);
    CHECK(last_fetch[0].owner == &vcpu);
    *(uint8_t *)p2m_ram(&vm.p2m, gpa(0x105000), 1) = 0x12;
    guest_fetch(&vcpu, buf);
    CHECK_EQ(buf[0], 0x12);
    set64(PT + 5 * 8, 0x109000 | URW);
    guest_fetch(&vcpu, buf);
    CHECK_EQ(buf[0], 0x22);
    fake_hvm.reg[REG_CR0] &= ~(uint64_t)CR0_PG;
    fake_hvm.seg[SEG_CS].attr = 0xc9b; /* paging goes off in compatibility mode only */
    guest_fetch(&vcpu, buf);
    CHECK_EQ(buf[0], 0x33);
    fake_hvm.reg[REG_CR0] |= CR0_PG;
    fake_hvm.seg[SEG_CS].attr = 0xa9b;
    guest_fetch(&vcpu, buf);
    fake_hvm.reg[REG_CR3] = 0x14000; /* another address space, empty */
    CHECK_EQ(guest_fetch(&vcpu, buf), 0);
    fake_hvm.reg[REG_CR3] = PML4;
    guest_fetch(&vcpu, buf);
    vm.p2m.generation++;
    CHECK(!remembered(&vcpu, 0x5000, PML4, &last_fetch[0]));
    guest_fetch(&vcpu, buf);
    CHECK(remembered(&vcpu, 0x5000, PML4, &last_fetch[0]));
    teardown();
}

TEST(fetch_adds_the_code_segment_in_16_and_32_bit_modes)
{
    uint8_t buf[15];

    setup();
    fake_hvm.reg[REG_CR0] = 0x10;
    fake_hvm.reg[REG_EFER] = 0;
    fake_hvm.seg[SEG_CS] = (struct vm_segment){0x1000, 0x9b, 0xffff, 0x10000};
    *(uint8_t *)p2m_ram(&vm.p2m, gpa(0x10123), 1) = 0x44;
    vcpu.rip = 0x123;
    CHECK_EQ(guest_bits(&vcpu), 16);
    CHECK_EQ(guest_fetch(&vcpu, buf), 15);
    CHECK_EQ(buf[0], 0x44);
    fake_hvm.seg[SEG_CS].attr |= 0x400;
    CHECK_EQ(guest_bits(&vcpu), 32);
    teardown();
}

TEST_MAIN()
