/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attack kit: one image, an attack a file, a question each, the table in attack.c. Each attack prints lines that a script can read:
 *
 *   attack NAME: begins at T ms       T: as the hypervisor's log counts
 *   attack NAME: blocked              nothing came of it
 *   attack NAME: tried                the attacker cannot tell: whoever looks from outside can
 *   attack NAME: PASSED: what         it reached what it must not reach
 *
 * An attack that should end its own VM has no line after the first; the hypervisor's log says `[guest] stops: why`.
 */
#pragma once

#include "tests/guest/lib/vf.h"

/* What came of an attack: BLOCKED, TRIED, or words that say what got through. */
typedef const char *verdict;
#define BLOCKED ((verdict)0)
extern const char TRIED[];

/* Memory of the guest that no image uses: code and data of attacks. Guests have 16 MiB, the I/O domain more. */
#define SCRATCH      0xa00000u
#define SCRATCH_SIZE 0x200000u
#define RAM_END      0x1000000u

#define VEC_UD 6
#define VEC_GP 13

struct kit {
    uint64_t seed;    /* of random64() */
    uint64_t ram_end; /* bytes of its RAM */
    unsigned vcpus;
    bool has_vf, is_pf; /* is_pf: this is the I/O domain, and `vf` the PF's own queue */
    struct vf vf;
    uint8_t header[14]; /* from the VF to itself */
};

uint64_t kit_random(struct kit *k);

/* The function starts anew and receives a frame that it sends to itself: whatever was done to it, it works. */
bool kit_works(struct kit *k);

/* Runs the bytes at `code`, as a function, and returns the vector of the exception, or -1. */
int kit_execute(const void *code, unsigned size);

/* try() of a write or a read. */
int kit_wrmsr(uint32_t msr, uint64_t v);
int kit_rdmsr(uint32_t msr, uint64_t *v);

/* The attacks; k->has_vf is true where they need one. */
verdict attack_instructions(struct kit *k);
verdict attack_control(struct kit *k);
verdict attack_cpuid(struct kit *k);
verdict attack_msr(struct kit *k);
verdict attack_msr_fuzz(struct kit *k);
verdict attack_x2apic_fuzz(struct kit *k);
verdict attack_pv(struct kit *k);
verdict attack_port(struct kit *k);
verdict attack_mmio_fuzz(struct kit *k);
verdict attack_hypercall(struct kit *k);
verdict attack_pci_bus(struct kit *k);
verdict attack_config_bytes(struct kit *k);
verdict attack_bar_ram(struct kit *k);
verdict attack_bar_interrupts(struct kit *k);
verdict attack_bar_bar(struct kit *k);
verdict attack_bar_fuzz(struct kit *k);
verdict attack_msix_widths(struct kit *k);
verdict attack_msix_message(struct kit *k);
verdict attack_msi_forged(struct kit *k);
verdict attack_flr_storm(struct kit *k);
verdict attack_flr_dma(struct kit *k);
verdict attack_dma_sweep(struct kit *k);
verdict attack_rings(struct kit *k);
verdict attack_mailbox(struct kit *k);
verdict attack_ap_odd(struct kit *k);
verdict attack_ipi_storm(struct kit *k);

/* These end their own VM. */
verdict attack_triple(struct kit *k);
verdict attack_garbage(struct kit *k);
verdict attack_hole(struct kit *k);
verdict attack_jump(struct kit *k);
verdict attack_idt_hole(struct kit *k);
verdict attack_stack_mmio(struct kit *k);
verdict attack_triple_ipi(struct kit *k);
verdict attack_restart_dma(struct kit *k);
verdict attack_spin(struct kit *k);
verdict attack_cr3(struct kit *k);
