/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst, zero-page.rst). */
#include "boot/load.h"
#include <string.h>

#define SETUP_HEADER 0x1f1 /* in the file and in the zero page */

struct setup_header {
    uint8_t setup_sects;
    uint16_t root_flags;
    uint32_t syssize;
    uint16_t ram_size, vid_mode, root_dev, boot_flag;
    uint8_t jump, header_length; /* counted from 0x202 */
    uint32_t header;
    uint16_t version;
    uint32_t realmode_swtch;
    uint16_t start_sys_seg, kernel_version;
    uint8_t type_of_loader, loadflags;
    uint16_t setup_move_size;
    uint32_t code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
    uint16_t heap_end_ptr;
    uint8_t ext_loader_ver, ext_loader_type;
    uint32_t cmd_line_ptr, initrd_addr_max, kernel_alignment;
    uint8_t relocatable_kernel, min_alignment;
    uint16_t xloadflags;
    uint32_t cmdline_size, hardware_subarch;
    uint64_t hardware_subarch_data;
    uint32_t payload_offset, payload_length;
    uint64_t setup_data, pref_address;
    uint32_t init_size;
} __attribute__((packed));
_Static_assert(SETUP_HEADER + offsetof(struct setup_header, header) == 0x202, "boot.rst");
_Static_assert(SETUP_HEADER + offsetof(struct setup_header, pref_address) == 0x258, "boot.rst");
_Static_assert(SETUP_HEADER + sizeof(struct setup_header) == 0x264, "boot.rst");

#define BOOT_FLAG           0xaa55
#define SETUP_MAGIC         0x53726448 /* "HdrS" */
#define VERSION_XLOADFLAGS  0x020c
#define LOADED_HIGH         0x01
#define XLF_KERNEL_64       0x0001
#define TYPE_OF_LOADER_NONE 0xff
#define ENTRY_64            0x200
#define SECTOR              512

/* zero-page.rst */
#define E820_MAX 128
struct boot_params {
    uint8_t pad0[0x70];
    uint64_t acpi_rsdp_addr;
    uint8_t pad1[0x1e8 - 0x78];
    uint8_t e820_entries;
    uint8_t pad2[SETUP_HEADER - 0x1e9];
    uint8_t setup_header[0x290 - SETUP_HEADER];
    uint8_t pad3[0x2d0 - 0x290];
    struct load_range e820[E820_MAX];
    uint8_t pad4[PAGE_SIZE - 0xcd0];
} __attribute__((packed));
_Static_assert(offsetof(struct boot_params, e820_entries) == 0x1e8, "zero-page.rst");
_Static_assert(offsetof(struct boot_params, e820) == 0x2d0, "zero-page.rst");
_Static_assert(sizeof(struct boot_params) == PAGE_SIZE, "zero-page.rst");

/* A copy of the header; false if the image ends before it does. */
static bool read_setup(const struct load_plan *p, struct setup_header *h)
{
    const void *src = load_bytes(p, SETUP_HEADER, sizeof(*h));

    if (src)
        memcpy(h, src, sizeof(*h));
    return src;
}

bool bzimage_is(const struct load_plan *p)
{
    struct setup_header h;

    return read_setup(p, &h) && h.boot_flag == BOOT_FLAG && h.header == SETUP_MAGIC;
}

/* Bytes of the header as the kernel counts them: it may be longer than the part known here, but must fit into
 * the zero page. */
static uint64_t header_size(const struct setup_header *h)
{
    return 0x202 - SETUP_HEADER + (uint64_t)h->header_length;
}

static bool check_header(const struct load_plan *p, const struct setup_header *h)
{
    uint64_t size = header_size(h);

    if (h->version < VERSION_XLOADFLAGS || !(h->xloadflags & XLF_KERNEL_64))
        return load_fail(p, "kernel has no 64-bit entry (boot protocol %u.%u; 2.12 is needed)",
                         h->version >> 8, h->version & 0xff);
    if (!(h->loadflags & LOADED_HIGH))
        return load_fail(p, "kernel is a zImage, which loads below 1 MiB; a bzImage is needed");
    if (size < sizeof(*h) || size > sizeof(((struct boot_params *)NULL)->setup_header) ||
        !load_bytes(p, SETUP_HEADER, size))
        return load_fail(p, "kernel's setup header has an impossible length of %lu bytes", size);
    if (h->kernel_alignment & (h->kernel_alignment - 1))
        return load_fail(p, "kernel's alignment 0x%x is not a power of two", h->kernel_alignment);
    if (strlen(p->img->cmdline) > h->cmdline_size)
        return load_fail(p, "command line is longer than the kernel takes (%u characters)", h->cmdline_size);
    return true;
}

/*
 * The preferred address, aligned as the kernel asks. Nowhere lower: a kernel that finds itself below it moves
 * up to it, whether it is relocatable or not (boot.rst, pref_address), and then needs init_size bytes there.
 */
static uint64_t load_address(const struct setup_header *h)
{
    uint64_t align = MAX(h->kernel_alignment, (uint32_t)PAGE_SIZE), at = MAX(h->pref_address, LOAD_1M);

    return h->relocatable_kernel ? ALIGN_UP(at, align) : at;
}

/* `entry` is where the kernel's own 64-bit entry lies. */
static void fill_zero_page(const struct load_plan *p, struct setup_header h, uint64_t entry)
{
    struct boot_params *bp = load_low(p, LOAD_INFO);

    memcpy(bp->setup_header, load_bytes(p, SETUP_HEADER, header_size(&h)), header_size(&h));
    h.type_of_loader = TYPE_OF_LOADER_NONE;
    h.code32_start = (uint32_t)(entry - ENTRY_64);
    h.cmd_line_ptr = LOAD_CMDLINE;
    h.ramdisk_image = (uint32_t)p->initrd;
    h.ramdisk_size = p->initrd ? (uint32_t)p->img->initrd_size : 0;
    h.setup_data = 0;
    memcpy(bp->setup_header, &h, sizeof(h));
    bp->acpi_rsdp_addr = LOAD_TABLES;
    bp->e820_entries = (uint8_t)load_ranges(p, bp->e820);
}

bool bzimage_plan(struct load_plan *p)
{
    struct setup_header h;
    uint64_t setup, size, at, need, low = p->ram_low;

    if (!read_setup(p, &h))
        return load_fail(p, "kernel is cut off in its setup header");
    if (!check_header(p, &h))
        return false;
    setup = (h.setup_sects ? h.setup_sects + 1u : 5u) * SECTOR; /* 0 means 4 */
    size = (uint64_t)h.syssize * 16;
    if (!load_bytes(p, setup, size))
        return load_fail(p, "kernel is cut off: needs %lu bytes, has %lu", setup + size, p->img->kernel_size);
    if (size <= ENTRY_64)
        return load_fail(p, "kernel has no code behind its setup sectors");
    at = load_address(&h);
    if (at < h.pref_address)
        return load_fail(p, "kernel asks for the address 0x%lx, which does not exist", h.pref_address);
    need = MAX(size, h.init_size);
    if (at > low || need > low - at)
        return load_fail(p, "kernel needs %lu MiB at %lu MiB: give the guest more memory", need >> 20,
                         at >> 20);
    if (!load_piece(p, at, need, load_bytes(p, setup, size), size) ||
        !load_initrd(p, (uint64_t)h.initrd_addr_max + 1))
        return false;
    p->long_mode = true;
    p->start->vcpu.rip = at + ENTRY_64;
    p->start->vcpu.gpr[RSI] = LOAD_INFO;
    fill_zero_page(p, h, p->start->vcpu.rip);
    return true;
}
