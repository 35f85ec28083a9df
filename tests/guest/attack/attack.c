/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runner: without `run=` all attacks that the attacker survives, `run=NAME,NAME` some of them, or one that it does not. `seed=` starts the random ones,
 * `after=` is the wait before the first in milliseconds, `rest=` between two, so that the log's budget of lines recovers; `vf=0`: it has none;
 * `vcpus=` as in its section.
 */
#include "tests/guest/attack/attack.h"
#include "tests/guest/attack/iodom.h"

const char TRIED[] = "";

static const struct {
    const char *name;
    verdict (*run)(struct kit *k);
    enum {
        ANY = 0,
        VF = 1,
        ALONE = 2,
        GUEST = 4
    } needs; /* VF: a function; ALONE: not in `all`; GUEST: not by the I/O domain */
} attacks[] = {
    {"instructions", attack_instructions, ANY},
    {"control", attack_control, ANY},
    {"cpuid", attack_cpuid, ANY},
    {"msr", attack_msr, ANY},
    {"pv", attack_pv, ANY},
    {"hypercall", attack_hypercall, ANY},
    {"pci-bus", attack_pci_bus, ANY},
    {"port", attack_port, ANY},
    {"mmio-fuzz", attack_mmio_fuzz, ANY},
    {"config-bytes", attack_config_bytes, VF},
    {"bar-ram", attack_bar_ram, VF},
    {"bar-interrupts", attack_bar_interrupts, VF},
    {"bar-bar", attack_bar_bar, VF},
    {"bar-fuzz", attack_bar_fuzz, VF},
    {"msix-widths", attack_msix_widths, VF},
    {"msix-message", attack_msix_message, VF | GUEST},
    {"msi-forged", attack_msi_forged, VF},
    {"dma-sweep", attack_dma_sweep, VF},
    {"rings", attack_rings, VF},
    {"flr-storm", attack_flr_storm, VF | GUEST},
    {"flr-dma", attack_flr_dma, VF | GUEST},
    {"mailbox", attack_mailbox, VF | GUEST},
    {"ap-odd", attack_ap_odd, GUEST},
    {"ipi-storm", attack_ipi_storm, GUEST},
    {"x2apic-fuzz", attack_x2apic_fuzz, ANY},
    {"msr-fuzz", attack_msr_fuzz, ANY},
    {"triple", attack_triple, ALONE},
    {"garbage", attack_garbage, ALONE},
    {"hole", attack_hole, ALONE},
    {"jump", attack_jump, ALONE},
    {"cr3", attack_cr3, ALONE},
    {"idt-hole", attack_idt_hole, ALONE},
    {"stack-mmio", attack_stack_mmio, ALONE},
    {"triple-ipi", attack_triple_ipi, ALONE},
    {"restart-dma", attack_restart_dma, ALONE | VF},
    {"spin", attack_spin, ALONE},
};
#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static unsigned blocked, tried, passed;

static void run(struct kit *k, unsigned i)
{
    verdict why;

    print("attack %s: begins at %lu ms\n", attacks[i].name, time_ms());
    why = attacks[i].run(k);
    if (!why)
        print("attack %s: blocked\n", attacks[i].name);
    else if (why == TRIED)
        print("attack %s: tried\n", attacks[i].name);
    else
        print("attack %s: PASSED: %s\n", attacks[i].name, why);
    ++*(!why ? &blocked : why == TRIED ? &tried : &passed);
}

/* A whole word of a list with commas. */
static bool is_name(const char *text, const char *name)
{
    while (*name && *text == *name)
        text++, name++;
    return !*name && (!*text || *text == ' ' || *text == ',');
}

static bool is_in(const char *list, const char *name)
{
    while (!is_name(list, name)) {
        while (*list && *list != ' ' && *list != ',')
            list++;
        if (*list++ != ',')
            return false;
    }
    return true;
}

static bool wanted(const struct kit *k, const char *which, unsigned i)
{
    unsigned needs = attacks[i].needs;

    if (which)
        return is_in(which, attacks[i].name);
    return !(needs & ALONE) && !((needs & VF) && !k->has_vf) && !((needs & GUEST) && k->is_pf);
}

static bool find_function(struct kit *k, const char *cmdline)
{
    k->ram_end = RAM_END;
    k->is_pf = iodom_start(k);
    if (k->is_pf)
        return true;
    return option(cmdline, "vf", 1) && vf_find(&k->vf) && vf_reset(&k->vf) && vf_wait_link(&k->vf);
}

/* One whose attacks are not of the kind that ends it leaves its APIC as it is for them, and spins. */
static void wait_before(uint64_t ms, const struct kit *k, const char *which)
{
    uint64_t end = time_ms() + ms;
    bool ends = false;

    for (unsigned i = 0; i < ATTACKS; i++)
        ends |= wanted(k, which, i) && (attacks[i].needs & ALONE);
    if (!ends) {
        pause_ms(ms);
        return;
    }
    ticks_on();
    while (time_ms() < end)
        idle();
}

int main(const char *cmdline)
{
    static struct kit k;
    const char *which = option_text(cmdline, "run");
    uint64_t rest = option(cmdline, "rest", 500);

    k.seed = option(cmdline, "seed", 0x2545f4914f6cdd1d);
    k.vcpus = (unsigned)option(cmdline, "vcpus", 1);
    wait_before(option(cmdline, "after", 0), &k, which); /* without the function: see restart-dma */
    k.has_vf = find_function(&k, cmdline);
    if (k.has_vf)
        vf_header(&k.vf, k.header);
    print("attack: begins, seed %lx, function %s\n", k.seed, k.is_pf ? "PF" : k.has_vf ? "VF" : "none");
    for (unsigned i = 0; i < ATTACKS; i++) {
        if (!wanted(&k, which, i))
            continue;
        run(&k, i);
        pause_ms(rest);
    }
    print("attack: done, %u blocked, %u tried, %u PASSED\n", blocked, tried, passed);
    return 0;
}
