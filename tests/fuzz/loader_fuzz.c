/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any image, initrd size and guest memory: a refused image has a reason and no piece; an accepted one has
 * pieces that the hypervisor's loader takes, each in the guest's RAM and apart from the others, and starts
 * inside itself. Bytes 0 to 3 choose memory, initrd and the length of the command line; the rest is the image.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/insn.c"
#include "tests/unit/fake/p2m.c"

#include "boot/load.c"
#include "boot/load_bzimage.c"
#include "boot/load_elf.c"
#include "boot/load_multiboot.c"
#include "boot/state.c"
#include "boot/tables.c"
#include "boot/text.c"
#include "vm/cpustate.c"
#include "vm/loader.c"

/* Stands in for dsdt.S. */
__asm__(".globl dsdt_aml, dsdt_aml_end\n"
        "dsdt_aml: .byte 'D', 'S', 'D', 'T'\n"
        "dsdt_aml_end:\n");

#define REQUIRE(cond)                                                                                        \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)

#define RAM_MAX  (8u << 20) /* of guests whose plan is carried out */
#define RAM_HIGH ((uint64_t)GPA_PCI_WINDOW + SIZE_2M)

static struct vm vm;
static struct vcpu vcpu = {.vm = &vm};
static struct boot_guest guest;
static struct load_data data_block;
static uint8_t initrd[1 << 20];
static char cmdline[5000];

static void start(uint64_t bytes)
{
    if (!vm.p2m.block)
        REQUIRE(fake_p2m_init(&vm.p2m, RAM_MAX) == 0);
    vm.p2m.ram_low = MIN(bytes, (uint64_t)GPA_PCI_WINDOW);
    vm.p2m.ram_high = bytes - vm.p2m.ram_low;
    vm.cfg = &guest;
    vm.vcpu[0] = &vcpu;
    vm.nvcpus = 1;
    fake_hvm.resets = 0;
}

static bool overlap(const struct boot_piece *p, const struct boot_piece *q)
{
    return p->at < q->at + q->size && q->at < p->at + p->size;
}

static void check(struct boot_start *s)
{
    REQUIRE(s->npieces <= BOOT_PIECES_MAX);
    for (unsigned i = 0; i < s->npieces; i++) {
        REQUIRE(s->piece[i].size > 0 && p2m_is_ram(&vm.p2m, gpa(s->piece[i].at), s->piece[i].size));
        for (unsigned j = 0; j < i; j++)
            REQUIRE(!overlap(&s->piece[i], &s->piece[j]));
    }
    REQUIRE(p2m_is_ram(&vm.p2m, gpa(s->vcpu.rip), 1) && s->vcpu.rip >= LOAD_DATA_END);
}

/* RAM is then zero again for the next one. */
static void carry_out(struct boot_start *s)
{
    uint64_t done = 0;
    int rc;

    for (unsigned i = 0; i < s->npieces; i++)
        s->piece[i].source = ptr_to_hpa((const void *)(uintptr_t)s->piece[i].source).a;
    do
        rc = loader_load(&vm, &done);
    while (rc > 0);
    REQUIRE(rc == 0 && fake_hvm.resets == 1 && vcpu.rip == s->vcpu.rip);
    memset(p2m_ram(&vm.p2m, gpa(0), 1), 0, vm.p2m.ram_low);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct load_image img = {.cmdline = cmdline, .vcpus = 1};
    uint8_t *kernel;

    if (size < 4)
        return 0;
    img.memory = data[0] & 0x80 ? RAM_HIGH : (1 + data[0] % 4) * SIZE_2M;
    start(img.memory);
    img.kernel_size = size - 4;
    kernel = malloc(size - 4); /* so that the sanitizer sees a read behind the end */
    memcpy(kernel, data + 4, size - 4);
    img.kernel = kernel;
    img.initrd = data[1] ? initrd : NULL;
    img.initrd_size = data[1] ? (uint64_t)data[1] << (data[2] % 13) : 0;
    memset(cmdline, 'x', sizeof(cmdline));
    cmdline[data[3] * 17] = 0;

    memset(&data_block, 0, sizeof(data_block));
    memset(&guest.start, 0xff, sizeof(guest.start));
    load_plan(&guest.start, &img, &data_block);
    if (guest.start.refusal[0]) {
        REQUIRE(guest.start.npieces == 0 && strlen(guest.start.refusal) < BOOT_REFUSAL_MAX);
    } else {
        check(&guest.start);
        if (img.memory <= RAM_MAX)
            carry_out(&guest.start);
    }
    free(kernel);
    return 0;
}
