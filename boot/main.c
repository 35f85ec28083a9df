/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BOOTX64.EFI: reads lastmile.cfg and what it names, checks the machine, leaves the firmware and jumps into
 * hv.elf. Until the very last step nothing is changed: whatever is wrong becomes one line, and the firmware
 * goes on with an error status.
 */
#include "boot/check.h"
#include "boot/config.h"
#include "boot/cpu.h"
#include "boot/elf.h"
#include "boot/firmware.h"
#include "boot/handoff.h"
#include "boot/iodom.h"
#include "boot/load.h"
#include "boot/machine.h"
#include "boot/permissions.h"
#include "kernel/cpu/x86.h"
#include "kernel/lib/types.h"
#include "kernel/mm/layout.h"
#include <string.h>

#define CONFIG_NAME "lastmile.cfg"

static struct config config;
static struct boot_facts facts;
static struct elf_image image;
static struct boot_file hv;
static struct bootinfo *info;

static bool read_config(struct boot_error *err)
{
    struct boot_file text;

    if (!fw_open_folder(CONFIG_NAME, err) || !fw_file_size(CONFIG_NAME, &text.size))
        return false;
    if (text.size > CONFIG_TEXT_MAX)
        return error_set(err, CONFIG_NAME ":1: text: %lu bytes, accepted: at most %u", text.size,
                         CONFIG_TEXT_MAX);
    return fw_file_read_quietly(CONFIG_NAME, CONFIG_TEXT_MAX, &text, err) &&
           config_parse(&config, CONFIG_NAME, (const char *)text.base, text.size, err);
}

/* Adds a guest's file to the sum; says which line names it if it is not there. */
static bool measure(const char *path, unsigned line, const char *key, struct boot_error *err)
{
    uint64_t size;

    if (!path[0])
        return true;
    if (!fw_file_size(path, &size))
        return config_error(&config, err, line, key,
                            "%s not found, accepted: a file in the folder of " CONFIG_NAME, path);
    if (!size)
        return config_error(&config, err, line, key, "%s is empty, accepted: a file with something in it",
                            path);
    facts.file_bytes += ALIGN_UP(size, PAGE_SIZE);
    return true;
}

static bool measure_files(struct boot_error *err)
{
    for (unsigned i = 0; i < config.boot.nguests; i++) {
        const struct config_guest *g = &config.guest[i];

        if (!measure(g->kernel, g->key_line[GUEST_KERNEL], "kernel", err) ||
            !measure(g->initrd, g->key_line[GUEST_INITRD], "initrd", err))
            return false;
    }
    return true;
}

static bool check_the_machine(struct boot_error *err)
{
    return machine_look(&facts, &config, err) && check_machine(&config, &facts, err);
}

/* A guest's files and command line become its start plan; what is wrong with them is the plan's to say. */
static bool plan(struct boot_guest *g, const struct boot_file *kernel, const struct boot_file *initrd,
                 const char *cmdline, struct boot_error *err)
{
    const struct load_image img = {.kernel = (const void *)kernel->base,
                                   .kernel_size = kernel->size,
                                   .initrd = (const void *)initrd->base,
                                   .initrd_size = initrd->size,
                                   .cmdline = cmdline,
                                   .memory = g->memory,
                                   .vcpus = g->vcpus};
    struct load_data *data = fw_pages(sizeof(*data), PAGE_SIZE);

    if (!data)
        return error_set(err, "memory: no room for the start of guest %s", g->name);
    load_plan(&g->start, &img, data);
    return true;
}

static bool load_iodom(struct boot_error *err)
{
    struct boot_file kernel, module = {.size = sizeof(struct iodom_info)};

    if (!fw_file_read("iodom.elf", &kernel, err))
        return false;
    module.base = (uint64_t)fw_pages(module.size, PAGE_SIZE);
    if (!module.base)
        return error_set(err, "memory: no room for the I/O domain's information");
    iodom_info((struct iodom_info *)module.base, &config.boot);
    info->iodom_info = module.base;
    iodom_guest(&info->iodom);
    return plan(&info->iodom, &kernel, &module, "", err);
}

static bool load_guest(unsigned i, struct boot_error *err)
{
    const struct config_guest *g = &config.guest[i];
    struct boot_file kernel, initrd = {0, 0};

    if (!fw_file_read(g->kernel, &kernel, err) || (g->initrd[0] && !fw_file_read(g->initrd, &initrd, err)))
        return false;
    return plan(&info->config.guest[i], &kernel, &initrd, g->cmdline, err);
}

static bool load_files(struct boot_error *err)
{
    fw_print("lastmile: loading\n");
    info = fw_pages(sizeof(*info), PAGE_SIZE);
    if (!info)
        return error_set(err, "memory: no room for the hand-off");
    *info = (struct bootinfo){.magic = BOOTINFO_MAGIC, .version = BOOTINFO_VERSION, .size = sizeof(*info)};
    info->config = config.boot;
    if (!fw_file_read("hv.elf", &hv, err))
        return false;
    /* Without a NIC there is nothing for an I/O domain to do. */
    if (config.boot.nnics && !load_iodom(err))
        return false;
    for (unsigned i = 0; i < config.boot.nguests; i++)
        if (!load_guest(i, err))
            return false;
    return true;
}

static bool place_hypervisor(struct boot_error *err)
{
    void *block;

    if (!elf_check(&image, "hv.elf", (const void *)hv.base, hv.size, IMAGE_BASE, ~(uint64_t)0, err))
        return false;
    block = fw_pages(image.size, SIZE_2M);
    if (!block)
        return error_set(err, "hv.elf: no memory for its %lu bytes", image.size);
    elf_place(&image, (const void *)hv.base, block);
    info->image_base = (uint64_t)block;
    info->image_size = image.size;
    return true;
}

static bool prepare(struct boot_error *err)
{
    uint8_t *maps = fw_pages(BOOT_MAPS_BYTES, PAGE_SIZE);

    if (!maps)
        return error_set(err, "memory: no room for the permission maps");
    info->machine = facts.machine;
    info->machine.processor.maps = (uint64_t)maps;
    permissions_fill(maps, &info->machine.processor);
    cpu_show(&info->iodom);
    for (unsigned i = 0; i < info->config.nguests; i++)
        cpu_show(&info->config.guest[i]);
    if (!handoff_prepare(info, &image, err))
        return false;
    machine_isolate();
    return machine_functions(info, err);
}

static const struct {
    bool (*step)(struct boot_error *err);
    EFI_STATUS status; /* what the firmware gets if it fails */
} steps[] = {
    {read_config, EFI_INVALID_PARAMETER}, /* the text and what it says by itself */
    {measure_files, EFI_NOT_FOUND},       /* the guests' files are there, and how large they are */
    {check_the_machine, EFI_UNSUPPORTED}, /* processor, IOMMU, NICs and memory can do what it asks for */
    {load_files, EFI_LOAD_ERROR},         /* everything into memory, and how each guest starts */
    {place_hypervisor, EFI_LOAD_ERROR},   /* hv.elf's segments to where they run */
    {prepare, EFI_OUT_OF_RESOURCES},      /* page tables, stacks, trampoline, list of functions, VFs */
};

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *table);
EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *table)
{
    uint64_t start = rdtsc();
    struct boot_error err = {""};

    fw_init(handle, table);
    fw_print("Lastmile " LASTMILE_VERSION "\n");
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        if (!steps[i].step(&err)) {
            fw_print("lastmile: %s\n", err.text);
            fw_release();
            return steps[i].status;
        }
    }
    fw_print("lastmile: leaving the firmware after %lu ms\n", fw_ms(start));
    handoff_go(info);
    return EFI_ABORTED;
}
