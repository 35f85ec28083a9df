/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/platform.c"

#include "vm/emul/power.c"

TEST(what_each_write_does)
{
    static const struct {
        uint16_t port;
        uint32_t val;
        int power;
    } rows[] = {
        {POWER_SLEEP_CONTROL, 0x34, VM_POWER_OFF},
        {POWER_SLEEP_CONTROL, 0x14, -1}, /* without SLP_EN */
        {POWER_SLEEP_CONTROL, 0x24, -1}, /* another state */
        {POWER_SLEEP_STATUS, 0x80, -1},
        {POWER_SLEEP_STATUS, 0x34, -1},
        {POWER_RESET, POWER_RESET_VALUE, VM_POWER_RESET},
        {POWER_RESET, 0x02, -1}, /* only says which kind */
        {0x64, 0xfe, VM_POWER_RESET},
        {0x64, 0xd1, -1},
        {0x61, 0xff, -1},
        {0x80, 0xff, -1},
    };
    struct vm *vm = fake_vm_init(1);

    CHECK_EQ(power_create(vm), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_vm.power = -1;
        fake_io_write(&fake_vm.vcpu[0], IO_PORT, rows[i].port, 1, rows[i].val);
        CHECK_EQ(fake_vm.power, rows[i].power);
    }
    CHECK_EQ(fake_vm.complaints, 0);
}

TEST(reads)
{
    struct vm *vm = fake_vm_init(1);
    struct vcpu *v = &fake_vm.vcpu[0];

    CHECK_EQ(power_create(vm), 0);
    CHECK_EQ(fake_io_read(v, IO_PORT, POWER_SLEEP_CONTROL, 1), 0);
    CHECK_EQ(fake_io_read(v, IO_PORT, POWER_SLEEP_STATUS, 1), 0);
    CHECK_EQ(fake_io_read(v, IO_PORT, POWER_RESET, 1), 0);
    CHECK_EQ(fake_io_read(v, IO_PORT, 0x64, 1), 0xff);
    CHECK(vm_io(v, IO_MEM, &(struct io_access){.addr = 0xfed803c0, .size = 4})); /* the chipset, silent */
    CHECK_EQ(fake_io_read(v, IO_PORT, 0x61, 1), 0);
}

TEST(creation_fails)
{
    for (unsigned n = 1; n <= 6; n++) {
        struct vm *vm = fake_vm_init(1);

        fake_vm.register_fails_after = n;
        CHECK_EQ(power_create(vm), -ENOSPC);
    }
}

TEST_MAIN()
