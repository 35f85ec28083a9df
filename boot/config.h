/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lastmile.cfg: text in, struct boot_config plus the names of the guests' files out. The text is hostile: any
 * bytes may come. inih splits the lines; what they mean is decided here. Knows no EFI type and no hardware:
 * what only the machine can tell is in check.c.
 *
 *   [global]      console loglevel
 *   [nic NAME]    pf | mac, vfs, mode, ip
 *   [guest NAME]  kernel initrd cmdline memory vcpus cpus vf device (both repeated) on_crash on_fault
 */
#pragma once

#include "boot/bootinfo.h"
#include "boot/ini_options.h"
#include "boot/text.h"

#define CONFIG_TEXT_MAX    65536 /* bytes of the whole file */
#define CONFIG_FILE_MAX    128   /* a file's name, with the terminating 0 */
#define CONFIG_CMDLINE_MAX 1024  /* a guest's command line, with the terminating 0 */
#define CONFIG_CPUS        64    /* bits in boot_guest.cpus */

enum config_global_key { GLOBAL_CONSOLE, GLOBAL_LOGLEVEL, GLOBAL_KEYS };
enum config_nic_key { NIC_PF, NIC_MAC, NIC_VFS, NIC_MODE, NIC_IP, NIC_KEYS };
enum config_guest_key {
    GUEST_KERNEL,
    GUEST_INITRD,
    GUEST_CMDLINE,
    GUEST_MEMORY,
    GUEST_VCPUS,
    GUEST_CPUS,
    GUEST_VF,
    GUEST_DEVICE,
    GUEST_ON_CRASH,
    GUEST_ON_FAULT,
    GUEST_KEYS
};

/* Where things were said, for the messages of later checks; line 0: not said. */
struct config_nic {
    unsigned line, key_line[NIC_KEYS];
    uint8_t mac[6]; /* with key_line[NIC_MAC]; boot.nic[].rid is then still to be looked up */
};

struct config_guest {
    unsigned line, key_line[GUEST_KEYS];
    char kernel[CONFIG_FILE_MAX], initrd[CONFIG_FILE_MAX]; /* relative, '/' between; initrd "" if none */
    char cmdline[CONFIG_CMDLINE_MAX];
    unsigned vf_line[BOOT_GUEST_VFS];
    char vf_nic[BOOT_GUEST_VFS][BOOT_NAME_MAX];
    unsigned device_line[BOOT_GUEST_FUNCTIONS];
};

struct config {
    const char *file; /* as messages call it */
    struct boot_config boot;
    unsigned global_line, global_key_line[GLOBAL_KEYS];
    struct config_nic nic[BOOT_NICS_MAX];
    struct config_guest guest[BOOT_GUESTS_MAX];
};

/*
 * Reads `size` bytes at `text`; text[size] must be a 0 byte that belongs to the caller. False, with one line
 * in `err`, at the first thing that is wrong; `cfg` is then of no use. No start plan, rid of a `mac =` NIC or
 * TotalVFs is known yet.
 */
bool config_parse(struct config *cfg, const char *file, const char *text, size_t size,
                  struct boot_error *err);

/* Is there a NIC, or a device for a guest? */
bool config_has_devices(const struct config *cfg);

/* "FILE:LINE: KEY: what" into `err`; returns false. For the checks that follow. */
bool config_error(const struct config *cfg, struct boot_error *err, unsigned line, const char *key,
                  const char *fmt, ...) BOOT_PRINTF(5, 6);
