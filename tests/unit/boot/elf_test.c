/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "boot/elf.c"
#include "boot/text.c"

#define BASE 0xffffffff80000000ull
#define END  (~0ull)

/* A file with a text, a rodata and a data segment, as linker/hv.ld makes them. */
static struct {
    struct elf64_ehdr h;
    struct elf64_phdr ph[3];
    uint8_t body[0x3000];
} file;

static struct elf_image img;
static struct boot_error err;

static void make(void)
{
    memset(&file, 0, sizeof(file));
    memcpy(file.h.e_ident,
           "\x7f"
           "ELF\2\1\1",
           7);
    file.h.e_type = ET_EXEC;
    file.h.e_machine = EM_X86_64;
    file.h.e_entry = BASE + 0x10;
    file.h.e_phoff = sizeof(file.h);
    file.h.e_phentsize = sizeof(file.ph[0]);
    file.h.e_phnum = 3;
    file.ph[0] = (struct elf64_phdr){PT_LOAD, 5, 0x1000, BASE, 0, 0x800, 0x800, 0x1000};
    file.ph[1] = (struct elf64_phdr){PT_LOAD, 4, 0x2000, BASE + 0x1000, 0, 0x400, 0x400, 0x1000};
    file.ph[2] = (struct elf64_phdr){PT_LOAD, 6, 0x2400, BASE + 0x2000, 0, 0x200, 0x1800, 0x1000};
    memset((uint8_t *)&file + 0x1000, 0x11, 0x800);
    memset((uint8_t *)&file + 0x2000, 0x22, 0x400);
    memset((uint8_t *)&file + 0x2400, 0x33, 0x200);
}

static bool check_size(uint64_t size)
{
    void *copy = malloc(size ? size : 1);
    bool ok;

    memcpy(copy, &file, size);
    ok = elf_check(&img, "hv.elf", copy, size, BASE, END, &err);
    free(copy);
    return ok;
}

TEST(a_good_file_is_placed)
{
    uint8_t *dst = malloc(0x4000);

    make();
    CHECK(check_size(sizeof(file)));
    CHECK_EQ(img.size, 0x4000);
    CHECK_EQ(img.entry, BASE + 0x10);
    CHECK_EQ(img.nsegments, 3);
    CHECK(img.segment[0].exec && !img.segment[0].write);
    CHECK(!img.segment[1].exec && !img.segment[1].write);
    CHECK(!img.segment[2].exec && img.segment[2].write);
    memset(dst, 0xff, 0x4000);
    elf_place(&img, &file, dst);
    CHECK_EQ(dst[0x7ff], 0x11);
    CHECK_EQ(dst[0x800], 0);
    CHECK_EQ(dst[0x13ff], 0x22);
    CHECK_EQ(dst[0x21ff], 0x33);
    CHECK_EQ(dst[0x2200], 0);
    CHECK_EQ(dst[0x3fff], 0);
    free(dst);
}

TEST(every_truncation_is_refused_or_harmless)
{
    make();
    for (uint64_t size = 0; size < 0x2600; size += size < 0x200 ? 1 : 0x80)
        CHECK(!check_size(size));
    CHECK(check_size(0x2600)); /* the last byte that a segment needs */
}

#define REFUSED(why, ...)                                                                                    \
    do {                                                                                                     \
        make();                                                                                              \
        __VA_ARGS__;                                                                                         \
        CHECK(!check_size(sizeof(file)));                                                                    \
        CHECK(strncmp(err.text, "hv.elf: ", 8) == 0);                                                        \
        CHECK(strstr(err.text, why) != NULL);                                                                \
    } while (0)

TEST(hostile_headers_are_refused)
{
    REFUSED("no ELF64", file.h.e_ident[0] = 0);
    REFUSED("no ELF64", file.h.e_ident[4] = 1);
    REFUSED("no ELF64", file.h.e_type = 3);
    REFUSED("no ELF64", file.h.e_machine = 183);
    REFUSED("bad program header", file.h.e_phnum = 0);
    REFUSED("bad program header", file.h.e_phnum = 0xffff);
    REFUSED("bad program header", file.h.e_phentsize = 32);
    REFUSED("truncated in its program", file.h.e_phoff = sizeof(file) - 8);
    REFUSED("truncated in its program", file.h.e_phoff = ~0ull);
}

TEST(hostile_segments_are_refused)
{
    REFUSED("truncated: a segment", file.ph[0].p_offset = ~0ull);
    REFUSED("truncated: a segment", file.ph[1].p_filesz = file.ph[1].p_memsz = sizeof(file));
    REFUSED("truncated: a segment", file.ph[1].p_offset = sizeof(file) + 1);
    REFUSED("outside", file.ph[0].p_memsz = 0x10);
    REFUSED("outside", file.ph[0].p_vaddr = 0x1000);
    REFUSED("outside", file.ph[2].p_memsz = ~0ull);
    REFUSED("outside", file.ph[2].p_vaddr = BASE + ELF_IMAGE_MAX);
    REFUSED("does not begin on a page", file.ph[2].p_vaddr += 0x10);
    REFUSED("overlap", file.ph[1].p_vaddr = BASE);
    REFUSED("overlap", file.ph[0].p_memsz = 0x1001);
    REFUSED("writable and executable", file.ph[2].p_flags = 7);
    REFUSED("not linked for", file.ph[0].p_type = 0);
    REFUSED("not linked for", file.ph[0].p_type = file.ph[1].p_type = file.ph[2].p_type = 0);
    REFUSED("entry point", file.h.e_entry = BASE + 0x800);
    REFUSED("entry point", file.h.e_entry = BASE + 0x2000);
    REFUSED("entry point", file.h.e_entry = 0);
}

TEST(too_many_segments_are_refused)
{
    struct {
        struct elf64_ehdr h;
        struct elf64_phdr ph[ELF_SEGMENTS_MAX + 1];
    } many;

    make();
    many.h = file.h;
    many.h.e_phnum = ELF_SEGMENTS_MAX + 1;
    for (unsigned i = 0; i <= ELF_SEGMENTS_MAX; i++)
        many.ph[i] = (struct elf64_phdr){PT_LOAD, 5, 0, BASE + i * 0x1000, 0, 64, 64, 0x1000};
    CHECK(!elf_check(&img, "hv.elf", &many, sizeof(many), BASE, END, &err));
    CHECK(strstr(err.text, "too many segments") != NULL);
}

TEST_MAIN()
