/* SPDX-License-Identifier: BSD-2-Clause */
/* First C code: takes the configuration out of the PVH start info, then sets up the machine and calls main().
 */
#include "drivers/sys/sys.h"
#include <string.h>

/* Xen's public/arch-x86/hvm/start_info.h describes these two. */
struct hvm_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
    uint32_t memmap_entries, reserved;
};
_Static_assert(sizeof(struct hvm_start_info) == 56, "PVH start info");

struct hvm_modlist_entry {
    uint64_t paddr, size, cmdline_paddr, reserved;
};
_Static_assert(sizeof(struct hvm_modlist_entry) == 32, "PVH module");

#define HVM_START_MAGIC 0x336ec578
#define BOOT_MAP_SIZE   (1ull << 30) /* what start.S mapped */
#define TSC_KHZ_DEFAULT 1000000      /* only so that messages can be printed before giving up */

int main(void);

static struct iodom_info info;
static bool info_ok;

const struct iodom_info *sys_config(void)
{
    return info_ok ? &info : NULL;
}

static bool in_boot_map(uint64_t at, uint64_t size)
{
    return at != 0 && at < BOOT_MAP_SIZE && size <= BOOT_MAP_SIZE - at;
}

static bool take_config(uint64_t at)
{
    const struct hvm_start_info *start = (const void *)(uintptr_t)at;
    const struct hvm_modlist_entry *module;

    if (!in_boot_map(at, sizeof(*start)) || start->magic != HVM_START_MAGIC || start->nr_modules == 0 ||
        !in_boot_map(start->modlist_paddr, sizeof(*module)))
        return false;
    module = (const void *)(uintptr_t)start->modlist_paddr;
    if (module->size < sizeof(info) || !in_boot_map(module->paddr, sizeof(info)))
        return false;
    memcpy(&info, (const void *)(uintptr_t)module->paddr, sizeof(info));
    if (info.magic != IODOM_INFO_MAGIC || info.size != sizeof(info) || info.tsc_khz == 0 ||
        info.nnics > IODOM_NICS_MAX)
        return false;
    for (unsigned i = 0; i < info.nnics; i++) {
        info.nic[i].name[IODOM_NAME_MAX - 1] = 0;
        if (info.nic[i].vfs > IODOM_VFS_MAX)
            return false;
    }
    return true;
}

void sys_start(uint64_t start_info)
{
    console_init();
    trap_init();
    info_ok = take_config(start_info);
    page_init();
    clock_init(info_ok ? info.tsc_khz : TSC_KHZ_DEFAULT);
    apic_init();
    hypercall_init();
    (void)main();
    sys_crash("main() returned");
}
