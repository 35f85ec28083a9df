/* SPDX-License-Identifier: BSD-2-Clause */
/* Ways of a guest to end: it is stopped with its name and the reason in the log, and nobody else notices. None of these returns. */
#include "tests/guest/attack/attack.h"

#define HOLE  0x60000000u /* neither RAM nor a device */
#define LAPIC 0xfee00000u

static const char goes_on[] = "it goes on";

static void load_idt(uint64_t base, uint16_t limit)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {limit, base};

    __asm__ volatile("lidt %0" ::"m"(pointer) : "memory");
}

verdict attack_triple(struct kit *k)
{
    (void)k;
    load_idt(0, 0);
    __asm__ volatile("ud2");
    return goes_on;
}

verdict attack_garbage(struct kit *k)
{
    static const uint8_t garbage[64] = {[0 ... 63] = 0xff};

    (void)k;
    load_idt(0, 0);
    ((void (*)(void))(uintptr_t)garbage)();
    return goes_on;
}

verdict attack_hole(struct kit *k)
{
    (void)k;
    mmio_write(HOLE, mmio_read(HOLE));
    return goes_on;
}

verdict attack_jump(struct kit *k)
{
    (void)k;
    ((void (*)(void))(uintptr_t)HOLE)();
    return goes_on;
}

/* Page tables where there is no memory. */
verdict attack_cr3(struct kit *k)
{
    (void)k;
    __asm__ volatile("mov %0, %%cr3" ::"r"((uint64_t)HOLE) : "memory");
    return goes_on;
}

/* The exception's delivery faults in the nested tables: its gate is where there is no memory. */
verdict attack_idt_hole(struct kit *k)
{
    (void)k;
    load_idt(HOLE, 0xfff);
    __asm__ volatile("ud2");
    return goes_on;
}

/* ... or its stack is registers: the MOV that RIP points to, which faults by an address that is none, must not be taken for the access. */
verdict attack_stack_mmio(struct kit *k)
{
    (void)k;
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "mov %%eax, (%1)\n\t"
                     "mov %%eax, (%1)\n\t"
                     "ud2" ::"r"((uint64_t)LAPIC + 0x800),
                     "r"(1ull << 63)
                     : "memory");
    return goes_on;
}

verdict attack_spin(struct kit *k)
{
    (void)k;
    __asm__ volatile("cli");
    for (;;)
        ;
}

static uint64_t words_or(const void *at, uint64_t size)
{
    const volatile uint64_t *words = at;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < size / 8; i++)
        sum |= words[i];
    return sum;
}

/*
 * A VF that sends and has buffers free to receive when its VM crashes, and is made anew: rings and buffers that nobody has written since
 * must be zero, though one of the bystanders sends frames there once a second, and this guest waits before it touches its function. The log
 * says how often it came; after three crashes it stays down.
 */
verdict attack_restart_dma(struct kit *k)
{
    uint8_t(*buffers)[VF_BUFFER] = (uint8_t(*)[VF_BUFFER])SCRATCH;
    uint64_t ring = VF_RING * sizeof(struct vf_desc);

    if (words_or(buffers, SCRATCH_SIZE) | words_or(k->vf.rx_ring, ring) | words_or(k->vf.tx_ring, ring))
        return "memory was written after the restart";
    print("attack restart-dma: memory is clean\n");
    vf_start(&k->vf);
    vf_give_all(&k->vf, buffers);
    for (unsigned i = 0; i < VF_RING / 2; i++)
        vf_send(&k->vf, k->header, SCRATCH, 64);
    for (unsigned i = 0; i < VF_RING; i++)
        vf_write(&k->vf, VF_TDT, i);
    vf_give_all(&k->vf, buffers);
    vf_write(&k->vf, VF_RDT, VF_RING - 2); /* those frames have used all up to the last one */
    return attack_triple(k);
}
