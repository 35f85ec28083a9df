/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of drivers: the one file that names them. */
#include "drivers/net/nic.h"
#include "drivers/net/igb/igb.h"
#include "drivers/sys/sys.h"
#include <errno.h>
#include <stdio.h>

static const struct nic_driver {
    uint16_t vendor, device;
    int (*open)(const struct nic_config *config, struct nic **out);
} drivers[] = {
    {0x8086, 0x10c9, igb_open}, /* 82576, copper */
};

int nic_open(const struct nic_config *config, const struct nic_events *events, struct nic **out)
{
    uint32_t id = pci_read(config->devfn, 0, 4);

    for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++) {
        if (id == (drivers[i].vendor | (uint32_t)drivers[i].device << 16)) {
            int err = drivers[i].open(config, out);

            if (!err)
                (*out)->events = events;
            return err;
        }
    }
    printf("%s: no driver for PCI function %02x.%x (id %04x:%04x)\n", config->name, config->devfn >> 3,
           config->devfn & 7, (unsigned)(id & 0xffff), (unsigned)(id >> 16));
    return -ENODEV;
}
