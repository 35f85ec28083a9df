/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any image, initrd size and guest memory: nothing outside the guest's RAM is written, a refused image writes
 * nothing and says why, an accepted one starts inside itself. Bytes 0 to 3 choose memory, initrd and the
 * length of the command line; the rest is the image.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake/hvm.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/strlcpy.c"

#include "vm/load_bzimage.c"
#include "vm/load_elf.c"
#include "vm/load_multiboot.c"
#include "vm/loader.c"

#define REQUIRE(cond)                                                                                        \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)

void guest_forget(const struct vcpu *v)
{
    REQUIRE(v->vm);
}

#define RAM_MAX  (8u << 20)
#define HIGH_RAM SIZE_2M

static struct vm vm;
static struct vcpu vcpu = {.vm = &vm};
static uint8_t initrd[1 << 20];
static char cmdline[5000];

/* The same RAM serves every run: pages that an accepted image wrote are cleared again. */
static void start(uint64_t bytes, bool high)
{
    if (!vm.p2m.chunks)
        REQUIRE(p2m_init(&vm.p2m, RAM_MAX + HIGH_RAM) == 0);
    vm.p2m.ram_low = bytes;
    vm.p2m.ram_high = high ? HIGH_RAM : 0;
    vm.vcpu[0] = &vcpu;
    vm.nvcpus = 1;
    vm.stop_reason[0] = 0;
    fake_hvm.resets = 0;
}

static bool ram_is_zero(void)
{
    const char *ram = p2m_ram(&vm.p2m, gpa(0), 1);

    return ram[0] == 0 && memcmp(ram, ram + 1, vm.p2m.ram_low + vm.p2m.ram_high - 1) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct load_image img = {.cmdline = cmdline};
    const char *why = NULL;
    uint8_t *kernel;
    static unsigned runs;

    if (size < 4)
        return 0;
    start((1 + data[0] % 4) * SIZE_2M, data[0] & 0x80);
    img.kernel_size = size - 4;
    kernel = malloc(size - 4); /* so that the sanitizer sees a read behind the end */
    memcpy(kernel, data + 4, size - 4);
    img.kernel = kernel;
    img.initrd = data[1] ? initrd : NULL;
    img.initrd_size = data[1] ? (uint64_t)data[1] << (data[2] % 13) : 0;
    memset(cmdline, 'x', sizeof(cmdline));
    cmdline[data[3] * 17] = 0;

    if (loader_load(&vm, &img, &why) == 0) {
        REQUIRE(fake_hvm.resets == 1);
        REQUIRE(p2m_is_ram(&vm.p2m, gpa(vcpu.rip), 1) && vcpu.rip >= LOAD_DATA_END);
        memset(p2m_ram(&vm.p2m, gpa(0), 1), 0, vm.p2m.ram_low + vm.p2m.ram_high);
    } else {
        REQUIRE(why && why[0] && strlen(why) < sizeof(vm.stop_reason));
        REQUIRE(fake_hvm.resets == 0);
        REQUIRE(runs++ % 64 || ram_is_zero());
    }
    free(kernel);
    return 0;
}
