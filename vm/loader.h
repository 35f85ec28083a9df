/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts a kernel into a guest's memory and sets vCPU 0's start state: Linux bzImage (64-bit boot protocol,
 * Documentation/arch/x86/boot.rst), ELF with a PVH note (Xen's pvh.h start info), or Multiboot 1 ELF. The
 * image is hostile: nothing outside the guest's RAM is written, and nothing is written before every header
 * has been checked.
 */
#pragma once

#include "kernel/lib/types.h"
#include "vm/vm.h"

struct load_image {
    const void *kernel;
    uint64_t kernel_size;
    const void *initrd; /* or PVH module 0; NULL: none */
    uint64_t initrd_size;
    const char *cmdline;
};

/* 0, or a negative errno with *why a sentence for the user ("kernel is cut off: needs N bytes, has M"). */
MUST_USE int loader_load(struct vm *vm, const struct load_image *img, const char **why);
