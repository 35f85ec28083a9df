/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/iodom.c"
#include "boot/text.c"

static struct iodom_info info;

TEST(the_io_domain_is_a_small_guest_that_restarts)
{
    struct boot_guest g;

    memset(&g, 0xff, sizeof(g));
    iodom_guest(&g);
    CHECK(!strcmp(g.name, "iodomain"));
    CHECK_EQ(g.memory, 16 << 20);
    CHECK_EQ(g.vcpus, 1);
    CHECK_EQ(g.on_crash, BOOT_CRASH_RESTART);
    CHECK_EQ(g.nvfs, 0);
}

TEST(it_is_told_of_every_nic_and_of_the_vfs_that_guests_have)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
    static const struct boot_config cfg = {
        .nnics = 2,
        .nic = {{.name = "lan0", .vfs = 4, .mode = BOOT_NIC_VEPA, .ip = 1, .netmask = 2, .gateway = 3},
                {.name = "lan1", .vfs = 255}},
        .nguests = 2,
        .guest = {{.nvfs = 1, .vf = {{.nic = 0, .index = 3, .vlan = 100}}},
                  {.nvfs = 2, .vf = {{.nic = 1, .index = 255, .mac = {2, 0, 0, 0, 0, 9}}, {.nic = 0}}}}};

    memset(&info, 0, sizeof(info));
    iodom_info(&info, &cfg);
    CHECK_EQ(info.magic, IODOM_INFO_MAGIC);
    CHECK_EQ(info.size, sizeof(info));
    CHECK_EQ(info.nnics, 2);
    CHECK_EQ(info.tsc_khz, 0);
    CHECK(!strcmp(info.nic[0].name, "lan0"));
    CHECK_EQ(info.nic[0].vfs, 4);
    CHECK_EQ(info.nic[0].mode, 1);
    CHECK_EQ(info.nic[0].ip, 1);
    CHECK_EQ(info.nic[0].netmask, 2);
    CHECK_EQ(info.nic[0].gateway, 3);
    CHECK_EQ(info.nic[0].vf[3].vlan, 100);
    CHECK_EQ(info.nic[0].vf[3].assigned, 1);
    CHECK_EQ(info.nic[0].vf[0].assigned, 1);
    CHECK_EQ(info.nic[0].vf[1].assigned, 0);
    CHECK(!strcmp(info.nic[1].name, "lan1"));
    CHECK_EQ(info.nic[1].ip, 0);
    CHECK(!memcmp(info.nic[1].vf[255].mac, mac, 6));
}

TEST_MAIN()
