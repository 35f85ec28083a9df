/* SPDX-License-Identifier: BSD-2-Clause */
/* vm/hypercall.c: who may call what, and what hostile arguments get. */
#include "tests/unit/test.h"

#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"

#include "vm/hypercall.c"
#include <stdarg.h>

static struct vm vm = {.name = "test"};
static struct vcpu v = {.vm = &vm};
static char line[512];
static unsigned nics, statuses, cleans, moves;

void vm_complain(struct vm *m, const char *fmt, ...)
{
    va_list ap;

    (void)m;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
}

int64_t setup_nic_ready(struct vcpu *v_, const uint64_t arg[3])
{
    const struct vm *caller = v_->vm;
    uint64_t nic = arg[0];

    CHECK(caller == &vm);
    nics++;
    return nic == 0 ? 0 : -EINVAL;
}

int64_t setup_vf_status(UNUSED struct vcpu *v_, const uint64_t arg[3])
{
    uint64_t nic = arg[0], vf = arg[1];

    if (arg[2] > 1)
        return -EINVAL;
    statuses++;
    return nic != 0 || vf >= 4 ? -EINVAL : (int)vf;
}

int64_t setup_vf_clean(UNUSED struct vcpu *v_, const uint64_t arg[3])
{
    uint64_t nic = arg[0], vf = arg[1], number = arg[2];

    cleans++;
    return nic == 0 && vf == 3 && number == 1ull << 40 ? 0 : -EINVAL;
}

static uint64_t alive_ms;

int64_t setup_alive(UNUSED struct vcpu *v_, const uint64_t arg[3])
{
    uint64_t ms = arg[0];

    alive_ms = ms;
    return 0;
}

int64_t migrate_step(struct vm *caller, uint64_t step, gpa_t args)
{
    CHECK(caller == &vm);
    moves++;
    return step == MOVE_FREEZE && args.a == 0x2000 ? 77 : -EINVAL;
}

int migrate_fetch(struct vm *caller, gpa_t to, uint64_t vector)
{
    CHECK(caller == &vm);
    moves++;
    return to.a == 0x3000 && vector == 0x21 ? 1 : -EINVAL;
}

static int64_t hc(uint64_t nr, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
    v.gpr[RAX] = nr;
    v.gpr[RDI] = rdi;
    v.gpr[RSI] = rsi;
    v.gpr[RDX] = rdx;
    v.gpr[RBX] = 0x5a;
    CHECK_EQ(hypercall_handle(&v, NULL), THEN_SKIP);
    CHECK(v.gpr[RDI] == rdi && v.gpr[RSI] == rsi && v.gpr[RDX] == rdx && v.gpr[RBX] == 0x5a);
    return (int64_t)v.gpr[RAX];
}

TEST(permissions)
{
    static const bool privileged_only[] = {
        [HC_NIC_READY] = true, [HC_VF_STATUS] = true, [HC_CYCLES] = false, [HC_VF_CLEAN] = true,
        [HC_ALIVE] = true,     [HC_KEEP] = true,      [HC_MOVE] = true,    [HC_ORDER] = true};

    vm.privileged = false;
    fake_hvm.reg[REG_CPL] = 0;
    for (unsigned nr = 0; nr < ARRAY_SIZE(privileged_only); nr++)
        CHECK_EQ(hc(nr, 0, 0, 0) == -EPERM, privileged_only[nr]);
    CHECK_EQ(nics + statuses + cleans + moves, 0);
    vm.privileged = true;
    for (unsigned nr = 0; nr < ARRAY_SIZE(privileged_only); nr++)
        CHECK(hc(nr, 0, 0, 0) != -EPERM);
    fake_hvm.reg[REG_CPL] = 3;
    for (unsigned nr = 0; nr < ARRAY_SIZE(privileged_only); nr++)
        CHECK_EQ(hc(nr, 0, 0, 0), -EPERM);
    fake_hvm.reg[REG_CPL] = 0;
}

TEST(every_row_says_who)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        CHECK_EQ(rows[i].right != HC_NOBODY, rows[i].fn != NULL);
}

TEST(unknown_numbers)
{
    CHECK_EQ(hc(ARRAY_SIZE(rows), 0, 0, 0), -ENOSYS);
    CHECK_EQ(hc(~0ull, 0, 0, 0), -ENOSYS);
    CHECK_EQ(hc(1ull << 32, 0, 0, 0), -ENOSYS);
    CHECK_EQ(hc(HC_VERSION, 0, 0, 0), ABI_VERSION);
}

TEST(log)
{
    CHECK_EQ(fake_p2m_init(&vm.p2m, SIZE_2M), 0);
    memcpy(p2m_ram(&vm.p2m, gpa(0x1000), 16), "hi\x1b[31m\nyou\x7f\x80", 13);
    CHECK_EQ(hc(HC_LOG, 0x1000, 13, 0), 0);
    CHECK(strcmp(line, "hi\x1b[31m\nyou\x7f\x80") == 0); /* log_print() makes dots of them */
    memset(p2m_ram(&vm.p2m, gpa(0x1000), 256), 'x', 256);
    CHECK_EQ(hc(HC_LOG, 0x1000, 256, 0), 0);
    CHECK_EQ(strlen(line), 256);
    line[0] = 0;
    CHECK_EQ(hc(HC_LOG, 0x1000, 257, 0), -EINVAL);
    CHECK_EQ(hc(HC_LOG, 0x1000, 0, 0), -EINVAL);
    CHECK_EQ(hc(HC_LOG, 0x1000, ~0ull, 0), -EINVAL);
    CHECK_EQ(hc(HC_LOG, SIZE_2M - 1, 2, 0), -EFAULT);
    CHECK_EQ(hc(HC_LOG, ~0ull, 2, 0), -EFAULT);
    CHECK_EQ(line[0], 0);
    memcpy(p2m_ram(&vm.p2m, gpa(0x1000), 4), "%s%n", 4);
    CHECK_EQ(hc(HC_LOG, 0x1000, 4, 0), 0);
    CHECK(strcmp(line, "%s%n") == 0);
    fake_p2m_destroy(&vm.p2m);
}

TEST(the_keepsake)
{
    uint8_t *ram;

    CHECK_EQ(fake_p2m_init(&vm.p2m, SIZE_2M), 0);
    vm.privileged = true;
    ram = p2m_ram(&vm.p2m, gpa(0x1000), 0x10000);
    memset(ram, 0x5a, 0x10000);
    CHECK_EQ(hc(HC_KEEP, 0x1000, IODOM_KEEP_MAX, 0), 0); /* nothing was kept yet */
    CHECK(ram[0] == 0 && ram[IODOM_KEEP_MAX - 1] == 0 && ram[IODOM_KEEP_MAX] == 0x5a);
    memcpy(ram, "lease", 5);
    CHECK_EQ(hc(HC_KEEP, 0x1000, 5, 1), 0);
    memset(ram, 0xff, 16);
    CHECK_EQ(hc(HC_KEEP, 0x1001, 6, 0), 0);
    CHECK(memcmp(ram, "\xfflease\0\xff", 8) == 0);
    CHECK_EQ(hc(HC_KEEP, 0x1000, IODOM_KEEP_MAX + 1, 1), -EINVAL);
    CHECK_EQ(hc(HC_KEEP, 0x1000, ~0ull, 0), -EINVAL);
    CHECK_EQ(hc(HC_KEEP, 0x1000, 1, 2), -EINVAL);
    CHECK_EQ(hc(HC_KEEP, SIZE_2M - 4, 5, 1), -EFAULT);
    CHECK_EQ(hc(HC_KEEP, ~0ull, 5, 1), -EFAULT);
    CHECK_EQ(hc(HC_KEEP, SIZE_2M - 4, 5, 0), -EFAULT);
    CHECK_EQ(hc(HC_KEEP, 0x1001, 5, 0), 0); /* what failed has changed nothing */
    CHECK(memcmp(ram, "\xfflease", 6) == 0);
    fake_p2m_destroy(&vm.p2m);
}

TEST(nic_arguments_are_not_cut)
{
    vm.privileged = true;
    CHECK_EQ(hc(HC_NIC_READY, 0, 0, 0), 0);
    CHECK_EQ(hc(HC_NIC_READY, 1ull << 32, 0, 0), -EINVAL);
    CHECK_EQ(hc(HC_VF_STATUS, 0, 3, 1), 3);
    CHECK_EQ(hc(HC_VF_STATUS, 0, 1ull << 32, 1), -EINVAL);
    CHECK_EQ(hc(HC_VF_STATUS, 0, 3, 2), -EINVAL);
    CHECK_EQ(hc(HC_VF_CLEAN, 0, 3, 1ull << 40), 0);
    CHECK_EQ(hc(HC_ALIVE, 1ull << 32, 0, 0), 0);
    CHECK_EQ(alive_ms, 1ull << 32);
    CHECK_EQ(hc(HC_VF_CLEAN, 1ull << 32, 3, 1ull << 40), -EINVAL);
    CHECK_EQ(hc(HC_VF_CLEAN, 0, 1ull << 32 | 3, 1ull << 40), -EINVAL);
}

TEST(arguments_of_moves)
{
    vm.privileged = true;
    CHECK_EQ(hc(HC_MOVE, MOVE_FREEZE, 0x2000, 0), 77);
    CHECK_EQ(hc(HC_MOVE, 1ull << 32 | MOVE_FREEZE, 0x2000, 0), -EINVAL);
    CHECK_EQ(hc(HC_ORDER, 0x3000, 0x21, 0), 1);
    CHECK_EQ(hc(HC_ORDER, 0x3000, 1ull << 32 | 0x21, 0), -EINVAL);
}

TEST(cycles)
{
    v.exits[VM_EXIT_CPUID] = 3;
    v.exits[VM_EXIT_INVALID] = 4; /* the last kind */
    CHECK_EQ(hc(HC_CYCLES, 0, 0, 0), 7);
    CHECK_EQ(hc(HC_CYCLES, VM_EXIT_CPUID + 1, 0, 0), 3);
    CHECK_EQ(hc(HC_CYCLES, VM_EXIT_INVALID + 1, 0, 0), 4);
    CHECK_EQ(hc(HC_CYCLES, VM_EXIT_KINDS + 1, 0, 0), -EINVAL);
    CHECK_EQ(hc(HC_CYCLES, ~0ull, 0, 0), -EINVAL);
}

TEST_MAIN()
