/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/load.c"
#include "boot/load_bzimage.c"
#include "boot/load_elf.c"
#include "boot/load_multiboot.c"
#include "boot/state.c"
#include "boot/tables.c"
#include "boot/text.c"

/* Stands in for dsdt.S. */
__asm__(".globl dsdt_aml, dsdt_aml_end\n"
        "dsdt_aml: .byte 'D', 'S', 'D', 'T'\n"
        "dsdt_aml_end:\n");

#define RAM ((uint64_t)64 << 20)

static struct load_image img;
static struct load_data data;
static struct boot_start start;
static uint8_t *ram; /* the guest's, where an accepted plan is carried out */
static uint8_t image[65536], initrd[10000];

static void setup(void)
{
    memset(image, 0, sizeof(image));
    memset(initrd, 0x5a, sizeof(initrd));
    ram = calloc(1, RAM);
    img = (struct load_image){
        .kernel = image, .kernel_size = sizeof(image), .cmdline = "console=ttyS0", .memory = RAM, .vcpus = 2};
}

static void teardown(void)
{
    free(ram);
}

static void *at(uint64_t addr)
{
    return ram + addr;
}

static void plan(void)
{
    memset(&data, 0, sizeof(data));
    memset(&start, 0xff, sizeof(start));
    load_plan(&start, &img, &data);
}

/* The image is accepted; its pieces lie in RAM and apart from each other. */
static void carry_out(void)
{
    plan();
    CHECK(!start.refusal[0]);
    CHECK(start.npieces >= 3 && start.npieces <= BOOT_PIECES_MAX);
    CHECK_EQ(start.vcpu.segment[SEG_GDTR].base, LOAD_GDT);
    for (unsigned i = 0; i < start.npieces; i++) {
        const struct boot_piece *p = &start.piece[i];

        CHECK(p->size > 0);
        for (unsigned j = 0; j < i; j++)
            CHECK(p->at + p->size <= start.piece[j].at || start.piece[j].at + start.piece[j].size <= p->at);
        if (p->at < RAM && p->size <= RAM - p->at)
            memcpy(ram + p->at, (const void *)(uintptr_t)p->source, p->size);
        else
            test_fail(__FILE__, __LINE__, "a piece outside RAM");
    }
}

/* The image is refused, and the reason holds `text`. */
#define CHECK_REFUSED(text)                                                                                  \
    do {                                                                                                     \
        plan();                                                                                              \
        CHECK_EQ(start.npieces, 0);                                                                          \
        if (!strstr(start.refusal, text))                                                                    \
            test_fail(__FILE__, __LINE__, start.refusal);                                                    \
    } while (0)

/* A bzImage of 1 + 4 sectors and 8 KiB of code. */
static struct setup_header *make_bzimage(void)
{
    struct setup_header *h = (struct setup_header *)(image + 0x1f1);

    *h = (struct setup_header){.setup_sects = 4,
                               .syssize = 512,
                               .boot_flag = 0xaa55,
                               .header_length = 0x6a,
                               .header = 0x53726448,
                               .version = 0x20f,
                               .loadflags = 1,
                               .initrd_addr_max = 0x7fffffff,
                               .kernel_alignment = 0x200000,
                               .relocatable_kernel = 1,
                               .xloadflags = 1,
                               .cmdline_size = 2047,
                               .pref_address = 0x1000000,
                               .init_size = 0x100000};
    for (unsigned i = 0; i < 8192; i++)
        image[2560 + i] = (uint8_t)(i * 7 + 1);
    img.kernel_size = 2560 + 8192;
    return h;
}

TEST(bzimage_goes_to_its_preferred_address_and_starts_in_long_mode)
{
    setup();
    make_bzimage();
    carry_out();
    CHECK(!memcmp(at(0x1000000), image + 2560, 8192));
    CHECK_EQ(start.vcpu.rip, 0x1000200);
    CHECK_EQ(start.vcpu.gpr[RSI], LOAD_INFO);
    CHECK_EQ(start.vcpu.gpr[RAX] | start.vcpu.gpr[RBX], 0);
    CHECK(start.vcpu.reg[REG_CR3] != 0);
    CHECK_EQ(((uint64_t *)at(start.vcpu.segment[SEG_GDTR].base))[2], 0x00af9b000000ffff);
    CHECK_EQ(((uint64_t *)at(start.vcpu.segment[SEG_GDTR].base))[3], 0x00cf93000000ffff);
    teardown();
}

TEST(page_tables_map_the_first_4_gib_onto_themselves)
{
    static const uint64_t probes[] = {0, 0x1000200, 0xc0000000, 0xfee00000, 0xffe00000};

    setup();
    make_bzimage();
    carry_out();
    for (unsigned i = 0; i < ARRAY_SIZE(probes); i++) {
        uint64_t *pml4 = at(start.vcpu.reg[REG_CR3]), *pdpt, *pd, a = probes[i];

        pdpt = at(pml4[a >> 39] & ~0xfffull);
        pd = at(pdpt[a >> 30 & 511] & ~0xfffull);
        CHECK_EQ(pd[a >> 21 & 511], (a & ~0x1fffffull) | 0xe3);
    }
    teardown();
}

TEST(zero_page_holds_header_map_command_line_and_initrd)
{
    struct boot_params *bp;
    struct setup_header *h;

    setup();
    make_bzimage();
    img.initrd = initrd;
    img.initrd_size = sizeof(initrd);
    carry_out();
    bp = at(LOAD_INFO);
    h = (struct setup_header *)bp->setup_header;
    CHECK_EQ(h->header, 0x53726448);
    CHECK_EQ(h->type_of_loader, 0xff);
    CHECK_EQ(h->ramdisk_image, RAM - 12288);
    CHECK_EQ(h->ramdisk_size, sizeof(initrd));
    CHECK(!memcmp(at(h->ramdisk_image), initrd, sizeof(initrd)));
    CHECK(!strcmp(at(h->cmd_line_ptr), "console=ttyS0"));
    CHECK(!memcmp(at(bp->acpi_rsdp_addr), "RSD PTR ", 8));
    CHECK_EQ(bp->e820_entries, 3);
    CHECK_EQ(bp->e820[0].size, 0x9fc00);
    CHECK_EQ(bp->e820[1].type, 2);
    CHECK_EQ(bp->e820[1].base + bp->e820[1].size, 0x100000);
    CHECK_EQ(bp->e820[2].base + bp->e820[2].size, RAM);
    teardown();
}

TEST(memory_beyond_the_hole_is_in_the_map_and_the_initrd_below_the_hole)
{
    struct boot_params *bp = (struct boot_params *)(data.low + LOAD_INFO - LOAD_GDT);

    setup();
    make_bzimage()->initrd_addr_max = 0xffffffff;
    img.initrd = initrd;
    img.initrd_size = sizeof(initrd);
    img.memory = ((uint64_t)3 << 30) + SIZE_2M;
    plan();
    CHECK(!start.refusal[0]);
    CHECK_EQ(bp->e820_entries, 4);
    CHECK_EQ(bp->e820[2].base + bp->e820[2].size, 0xc0000000);
    CHECK_EQ(bp->e820[3].base, 0x100000000);
    CHECK_EQ(bp->e820[3].size, SIZE_2M);
    CHECK_EQ(((struct setup_header *)bp->setup_header)->ramdisk_image, 0xc0000000 - 12288);
    teardown();
}

TEST(initrd_stays_below_the_kernels_limit)
{
    struct boot_params *bp;

    setup();
    make_bzimage()->initrd_addr_max = 0x1ffffff;
    img.initrd = initrd;
    img.initrd_size = sizeof(initrd);
    carry_out();
    bp = at(LOAD_INFO);
    CHECK_EQ(((struct setup_header *)bp->setup_header)->ramdisk_image, 0x2000000 - 12288);
    teardown();
}

TEST(initrd_goes_below_the_kernel_if_there_is_no_room_above)
{
    setup();
    make_bzimage()->initrd_addr_max = 0x10fffff; /* ends with init_size */
    img.initrd = initrd;
    img.initrd_size = sizeof(initrd);
    carry_out();
    CHECK_EQ(((struct setup_header *)((struct boot_params *)at(LOAD_INFO))->setup_header)->ramdisk_image,
             0x1000000 - 12288);
    teardown();
}

TEST(bzimage_that_is_cut_off_is_refused)
{
    setup();
    make_bzimage();
    img.kernel_size = 2560 + 8191;
    CHECK_REFUSED("cut off: needs 10752 bytes, has 10751");
    img.kernel_size = 0x1f1 + 20;
    CHECK_REFUSED("neither");
    img.kernel_size = 0;
    CHECK_REFUSED("neither");
    teardown();
}

TEST(bzimage_without_a_64_bit_entry_is_refused)
{
    setup();
    make_bzimage()->xloadflags = 0;
    CHECK_REFUSED("no 64-bit entry (boot protocol 2.15");
    make_bzimage()->version = 0x20b;
    CHECK_REFUSED("no 64-bit entry");
    make_bzimage()->loadflags = 0;
    CHECK_REFUSED("zImage");
    teardown();
}

TEST(bzimage_with_an_impossible_header_is_refused)
{
    setup();
    make_bzimage()->header_length = 0x61;
    CHECK_REFUSED("impossible length");
    make_bzimage()->header_length = 0xff;
    CHECK_REFUSED("impossible length");
    make_bzimage()->kernel_alignment = 0x300000;
    CHECK_REFUSED("power of two");
    make_bzimage()->cmdline_size = 5;
    CHECK_REFUSED("command line");
    make_bzimage()->syssize = 32;
    CHECK_REFUSED("no code");
    teardown();
}

TEST(bzimage_that_wants_memory_beyond_the_guests_is_refused)
{
    setup();
    make_bzimage()->init_size = RAM - 0x1000000 + 1;
    CHECK_REFUSED("give the guest more memory");
    make_bzimage()->pref_address = RAM;
    CHECK_REFUSED("give the guest more memory");
    make_bzimage()->pref_address = ~(uint64_t)0 - 4096;
    CHECK_REFUSED("does not exist");
    make_bzimage()->pref_address = 0x8000000000000000;
    CHECK_REFUSED("give the guest more memory");
    teardown();
}

TEST(initrd_without_room_is_refused)
{
    setup();
    make_bzimage()->init_size = RAM - 0x1000000;
    img.initrd = initrd;
    img.initrd_size = 0xf00001;
    CHECK_REFUSED("no room for the initrd");
    img.initrd_size = ~(uint64_t)0;
    CHECK_REFUSED("no room for the initrd");
    make_bzimage()->initrd_addr_max = 100;
    img.initrd_size = 10;
    CHECK_REFUSED("no room for the initrd");
    teardown();
}

struct elf64_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf32_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf32_phdr {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

/* An ELF64 with a PVH note and two segments: 0x1000 bytes at 2 MiB, and 16 bytes with bss at 3 MiB. */
struct elf_image {
    struct elf64_header h;
    struct elf64_phdr ph[3];
    struct elf_note note;
    char name[4];
    uint32_t entry;
    uint8_t text[0x1000];
    uint8_t data[16];
};

#define ELF_SIZE (offsetof(struct elf_image, data) + 16)

static struct elf_image *make_elf(void)
{
    struct elf_image *e = (struct elf_image *)image;

    memset(image, 0, sizeof(image));
    *e = (struct elf_image){
        .h = {.ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
              .type = 2,
              .machine = EM_X86_64,
              .entry = 0xffffffff80000010,
              .phoff = offsetof(struct elf_image, ph),
              .phentsize = sizeof(struct elf64_phdr),
              .phnum = 3},
        .ph = {{.type = PT_LOAD,
                .offset = offsetof(struct elf_image, text),
                .vaddr = 0xffffffff80000000,
                .paddr = 0x200000,
                .filesz = 0x1000,
                .memsz = 0x1000},
               {.type = PT_LOAD,
                .offset = offsetof(struct elf_image, data),
                .paddr = 0x300000,
                .filesz = 16,
                .memsz = 0x2000},
               {.type = PT_NOTE, .offset = offsetof(struct elf_image, note), .filesz = 20, .memsz = 20}},
        .note = {4, 4, 18},
        .name = "Xen",
        .entry = 0x200040,
    };
    memset(e->text, 0xcc, sizeof(e->text));
    memset(e->data, 0xdd, sizeof(e->data));
    img.kernel_size = ELF_SIZE;
    return e;
}

TEST(elf_with_a_pvh_note_starts_in_flat_protected_mode)
{
    struct pvh_info *info;

    setup();
    make_elf();
    img.initrd = initrd;
    img.initrd_size = sizeof(initrd);
    carry_out();
    CHECK_EQ(start.vcpu.rip, 0x200040);
    CHECK_EQ(start.vcpu.gpr[RBX], LOAD_INFO);
    CHECK_EQ(start.vcpu.reg[REG_CR3], 0);
    CHECK_EQ(((uint64_t *)at(start.vcpu.segment[SEG_GDTR].base))[2], 0x00cf9b000000ffff);
    CHECK_EQ(*(uint8_t *)at(0x200fff), 0xcc);
    CHECK_EQ(*(uint8_t *)at(0x30000f), 0xdd);
    CHECK_EQ(*(uint8_t *)at(0x300010), 0);
    info = at(LOAD_INFO);
    CHECK_EQ(info->start.magic, 0x336ec578);
    CHECK_EQ(info->start.version, 1);
    CHECK(!memcmp(at(info->start.rsdp_paddr), "RSD PTR ", 8));
    CHECK_EQ(info->start.nr_modules, 1);
    CHECK_EQ(info->start.memmap_entries, 3);
    CHECK_EQ(((struct hvm_memmap_entry *)at(info->start.memmap_paddr))[2].range.size, RAM - 0x100000);
    CHECK_EQ(((struct hvm_modlist_entry *)at(info->start.modlist_paddr))->size, sizeof(initrd));
    CHECK_EQ(info->module.paddr, RAM - 12288);
    CHECK(!strcmp(at(info->start.cmdline_paddr), "console=ttyS0"));
    teardown();
}

TEST(a_segment_without_bytes_is_not_copied)
{
    setup();
    make_elf()->ph[1].filesz = 0;
    carry_out();
    CHECK_EQ(start.npieces, 3); /* boot data, tables, the other segment */
    teardown();
}

TEST(elf_that_is_cut_off_is_refused)
{
    setup();
    make_elf();
    img.kernel_size--;
    CHECK_REFUSED("cut off: segment at 0x300000");
    make_elf()->h.phnum = 0xffff;
    CHECK_REFUSED("program headers are not in the file");
    make_elf()->h.phoff = ~(uint64_t)0 - 8;
    CHECK_REFUSED("program headers are not in the file");
    make_elf()->ph[0].offset = ~(uint64_t)0 - 8;
    CHECK_REFUSED("cut off");
    make_elf()->ph[2].offset = ELF_SIZE - 19;
    CHECK_REFUSED("notes are not in the file");
    make_elf();
    img.kernel_size = 10;
    CHECK_REFUSED("cut off in its ELF header");
    img.kernel_size = 40;
    CHECK_REFUSED("cut off in its ELF header");
    teardown();
}

TEST(elf_outside_the_guests_memory_is_refused)
{
    setup();
    make_elf()->ph[1].paddr = RAM - 0x1fff;
    CHECK_REFUSED("not the guest's memory");
    make_elf()->ph[1].paddr = ~(uint64_t)0 - 0xfff;
    CHECK_REFUSED("not the guest's memory");
    make_elf()->ph[1].memsz = ~(uint64_t)0;
    CHECK_REFUSED("not the guest's memory");
    make_elf()->ph[1].paddr = 0xc0000000;
    CHECK_REFUSED("not the guest's memory");
    make_elf()->ph[1].paddr = 0x2000;
    CHECK_REFUSED("boot data");
    make_elf()->ph[1].paddr = 0x9ec00;
    CHECK_REFUSED("boot data");
    img.memory = 0;
    CHECK_REFUSED("less than 2 MiB");
    teardown();
}

TEST(elf_that_overlaps_itself_is_refused)
{
    setup();
    make_elf()->ph[1].paddr = 0x200fff;
    CHECK_REFUSED("overlaps itself");
    make_elf()->ph[1].paddr = 0x1ff000;
    CHECK_REFUSED("overlaps itself");
    teardown();
}

TEST(elf_with_impossible_sizes_or_machine_is_refused)
{
    struct elf_image *e;

    setup();
    make_elf()->ph[1].memsz = 15;
    CHECK_REFUSED("larger in the file");
    make_elf()->h.machine = 183;
    CHECK_REFUSED("machine 183");
    make_elf()->h.ident[5] = 2;
    CHECK_REFUSED("no x86 processor");
    make_elf()->h.phentsize = 32;
    CHECK_REFUSED("impossible size");
    make_elf()->entry = 0x201000;
    CHECK_REFUSED("not in the kernel");
    img.memory = ((uint64_t)3 << 30) + SIZE_2M;
    make_elf()->ph[0].paddr = GPA_HIGH_RAM; /* 32-bit code cannot start there */
    e = (struct elf_image *)image;
    e->note.descsz = 8;
    e->ph[2].filesz = 24;
    e->entry = 0x40;
    memcpy(e->text, (uint32_t[]){1}, 4); /* the upper half */
    CHECK_REFUSED("entry 0x100000040 is not");
    img.memory = RAM;
    make_elf()->name[0] = 'Y';
    CHECK_REFUSED("neither a PVH note nor");
    make_elf()->note.descsz = 0xffffffff;
    CHECK_REFUSED("neither a PVH note nor");
    teardown();
}

TEST(too_many_segments_are_refused)
{
    struct elf_image *e;

    setup();
    e = make_elf();
    e->h.phnum = LOAD_PIECES + 1;
    e->h.phoff = 0x4000;
    img.kernel_size = sizeof(image);
    for (unsigned i = 0; i <= LOAD_PIECES; i++)
        ((struct elf64_phdr *)(image + 0x4000))[i] =
            (struct elf64_phdr){.type = PT_LOAD, .paddr = 0x200000 + i * 0x1000, .filesz = 16, .memsz = 16};
    CHECK_REFUSED("more than 24 segments");
    teardown();
}

/* An ELF32 with one segment of 4 KiB at 1 MiB; the Multiboot header at its start. */
struct elf32_image {
    struct elf32_header h;
    struct elf32_phdr ph;
    uint8_t text[0x1000];
};

static struct elf32_image *make_multiboot(uint32_t flags)
{
    struct elf32_image *e = (struct elf32_image *)image;

    memset(image, 0, sizeof(image));
    *e = (struct elf32_image){
        .h = {.ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1},
              .type = 2,
              .machine = EM_386,
              .entry = 0xc0000010,
              .phoff = offsetof(struct elf32_image, ph),
              .phentsize = sizeof(struct elf32_phdr),
              .phnum = 1},
        .ph = {.type = PT_LOAD,
               .offset = offsetof(struct elf32_image, text),
               .vaddr = 0xc0000000,
               .paddr = 0x100000,
               .filesz = 0x1000,
               .memsz = 0x3000},
    };
    *(struct multiboot_header *)e->text =
        (struct multiboot_header){0x1badb002, flags, 0u - 0x1badb002 - flags};
    e->text[0xfff] = 0xee;
    img.kernel_size = sizeof(*e);
    return e;
}

TEST(multiboot_starts_with_its_magic)
{
    struct multiboot_info *mb;

    setup();
    make_multiboot(3);
    img.initrd = initrd;
    img.initrd_size = sizeof(initrd);
    carry_out();
    CHECK_EQ(start.vcpu.rip, 0x100010);
    CHECK_EQ(start.vcpu.gpr[RAX], 0x2badb002);
    CHECK_EQ(start.vcpu.gpr[RBX], LOAD_INFO);
    CHECK_EQ(*(uint8_t *)at(0x100fff), 0xee);
    CHECK_EQ(*(uint8_t *)at(0x101000), 0);
    mb = at(LOAD_INFO);
    CHECK_EQ(mb->info.flags, 0x4d);
    CHECK_EQ(mb->info.mem_lower, 639);
    CHECK_EQ(mb->info.mem_upper, (RAM - 0x100000) >> 10);
    CHECK_EQ(mb->info.mods_count, 1);
    CHECK_EQ(((struct module *)at(mb->info.mods_addr))->end -
                 ((struct module *)at(mb->info.mods_addr))->start,
             sizeof(initrd));
    CHECK_EQ(mb->info.mmap_length, 72);
    CHECK_EQ(((struct map_entry *)at(mb->info.mmap_addr))[1].range.base, 0x9fc00);
    CHECK(!strcmp(at(mb->info.cmdline), "console=ttyS0"));
    teardown();
}

TEST(multiboot_elf_of_64_bits_starts_at_its_physical_entry)
{
    struct elf_image *e;

    setup();
    e = make_elf();
    e->h.phnum = 2;
    *(struct multiboot_header *)e->text = (struct multiboot_header){0x1badb002, 3, 0u - 0x1badb005};
    carry_out();
    CHECK_EQ(start.vcpu.rip, 0x200010);
    CHECK_EQ(start.vcpu.gpr[RAX], 0x2badb002);
    teardown();
}

TEST(multiboot_that_cannot_be_had_is_refused)
{
    setup();
    make_multiboot(0x10003); /* placed by its own addresses */
    CHECK_REFUSED("features 0x10000");
    make_multiboot(0x87);
    CHECK_REFUSED("features 0x80");
    make_multiboot(3)->h.entry = 0xc0001000;
    CHECK_REFUSED("entry 0x101000");
    make_multiboot(3)->h.entry = 0x100;
    CHECK_REFUSED("entry 0x100 is not");
    make_multiboot(3)->text[8]++; /* the checksum */
    CHECK_REFUSED("neither a PVH note nor");
    make_multiboot(3)->h.ident[0] = 0;
    CHECK_REFUSED("neither a Linux bzImage nor");
    make_multiboot(3)->ph.paddr = RAM - 0x2fff;
    CHECK_REFUSED("not the guest's memory");
    make_multiboot(3)->h.phentsize++;
    CHECK_REFUSED("impossible size");
    img.kernel_size = sizeof(struct elf32_header) - 1;
    CHECK_REFUSED("cut off in its ELF header");
    teardown();
}

TEST(a_command_line_that_is_too_long_is_refused)
{
    static char line[5000];

    setup();
    make_elf();
    memset(line, 'x', sizeof(line) - 1);
    img.cmdline = line;
    CHECK_REFUSED("command line is longer than 4095");
    teardown();
}

TEST_MAIN()
