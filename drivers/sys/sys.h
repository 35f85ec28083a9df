/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O domain's machine: one CPU, one thread. Interrupts are off except inside sys_idle(); all they do is
 * set a flag, so no code here ever runs concurrently with other code.
 */
#pragma once

#include "vm/abi/iodom.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define PAGE_BYTES    4096ull

/* For large arrays: what is in them at start is not defined, and may be what the last incarnation left. */
#define NOT_ZEROED __attribute__((section(".bss.not_zeroed")))

/* --- start-up (config.c): called by start.S with the address of struct hvm_start_info; calls main() --- */

void sys_start(uint64_t start_info) __attribute__((noreturn));

/* The configuration, checked and copied at start; NULL if there was none or it was unusable. */
const struct iodom_info *sys_config(void);

/* --- memory (page.c): identity map; the image W^X, nothing else but what is asked for --- */

void page_init(void);

/* Maps [pa, pa + size) uncached, read/write. Returns its address, NULL when the tables are used up. Never
 * unmapped. */
volatile void *page_map_device(uint64_t pa, size_t size);

/* --- traps and interrupts (trap.c, trap.S) --- */

#define IRQ_VECTOR_BASE 0x20
#define IRQ_COUNT       16

/* Interrupt numbers: vector - IRQ_VECTOR_BASE. Those between are for devices. */
enum { IRQ_TIMER = 0, IRQ_SPURIOUS = IRQ_COUNT - 1 };

void trap_init(void);

/* An interrupt number of its own for a device; negative errno if none is left. */
int irq_alloc(void);

/* Whether interrupt `irq` came since the last call. */
bool irq_take(unsigned irq);

/* --- time (clock.c, apic.c) --- */

void clock_init(uint32_t tsc_khz);
uint64_t clock_ns(void);      /* since start */
uint64_t clock_board_s(void); /* of the board, in seconds: goes on when the I/O domain starts anew */
uint32_t clock_seed(void);    /* differs from start to start; no secret */
void apic_init(void);

/* Where a device's MSI must go to raise interrupt `irq`. */
uint64_t apic_msi_address(void);
uint32_t apic_msi_data(unsigned irq);

/*
 * Sleeps until an interrupt comes, one came that nobody has taken, or clock_ns() reaches `deadline`. No
 * wake-up is lost: a device event after the caller's last look at the device leaves its interrupt pending in
 * the local APIC, which ends HLT.
 */
void sys_idle(uint64_t deadline);

/* Waits for `cond` up to `limit_ns`; false when it never came true. The result must be looked at. */
#define sys_wait(cond, limit_ns)                                                                             \
    __extension__({                                                                                          \
        uint64_t wait_end = clock_ns() + (limit_ns);                                                         \
        bool wait_ok;                                                                                        \
        while (!(wait_ok = (cond)) && clock_ns() < wait_end)                                                 \
            __builtin_ia32_pause();                                                                          \
        sys_wait_result(wait_ok || (cond));                                                                  \
    })

static inline __attribute__((warn_unused_result)) bool sys_wait_result(bool ok)
{
    return ok;
}

/* --- hypercalls (hypercall.c): -ENOSYS where no hypervisor of ours answers --- */

void hypercall_init(void);
long hypercall(unsigned nr, uint64_t a, uint64_t b, uint64_t c);

/* --- PCI (pci.c): functions of virtual bus 0 by device and function number --- */

uint32_t pci_read(unsigned devfn, unsigned reg, unsigned size);
void pci_write(unsigned devfn, unsigned reg, unsigned size, uint32_t v);

/* Offset of capability `id`, 0 if there is none. */
unsigned pci_find_cap(unsigned devfn, uint8_t id);

/* Memory BAR `n`'s address, 0 if it is not a memory BAR or was given no address. */
uint64_t pci_bar(unsigned devfn, unsigned n);

/* Bits of the command register to switch on: decoding of memory BARs; DMA. */
#define PCI_COMMAND_MEMORY 0x02
#define PCI_COMMAND_MASTER 0x04
void pci_enable(unsigned devfn, uint32_t bits);

/* Switches MSI-X on with entry i raising irq[i], the other entries masked. Negative errno if the function
 * cannot. */
int pci_msix_enable(unsigned devfn, const unsigned *irq, unsigned n);

/* --- console (console.c): 16550 at COM1, polled --- */

void console_init(void);
void console_write(const char *s, size_t n);

/* Sends a little of what was written. True if there is more. */
bool console_send(void);

/* Prints what and stops the domain so that the hypervisor notices (triple fault). */
void sys_crash(const char *what) __attribute__((noreturn));
