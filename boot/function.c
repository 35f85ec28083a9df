/* SPDX-License-Identifier: BSD-2-Clause */
/* Section numbers are of the PCI Express Base Specification 6.0. */
#include "boot/function.h"
#include "boot/pci_config.h"
#include "vm/abi/platform.h"
#include <string.h>

#define CLASS_BRIDGE  0x06
#define CLASS_SYSTEM  0x08 /* interrupt controllers, DMA, timers, IOMMUs */
#define CLASS_IOMMU   0x0806
#define CLASS_SD_HOST 0x0805
#define HEADER_BRIDGE 1
#define PAGE          4096u
#define NODES_MAX     1024
#define BAR_MAX       BIT(28) /* several still fit between GPA_PCI_WINDOW and its end */
#define BAR_MAX_64    GPA_PCI_HIGH_SIZE
#define UART_PORTS    8u
#define BAR_IO_ADDR   0xfffcu

#define CAP_PM           0x01
#define CAP_MSI          0x05
#define CAP_PCIE         0x10
#define CAP_MSIX         0x11
#define CAP_AF           0x13
#define PM_CSR           0x04u
#define PM_NO_SOFT_RESET BIT32(3)
#define PCIE_TYPE        GENMASK32(23, 20) /* 7.5.3.2 */
#define PCIE_ROOT_PORT   4
#define PCIE_DOWNSTREAM  6
#define PCIE_TO_PCI      7
#define PCIE_FROM_PCI    8
#define PCIE_DEVCAP      0x04u
#define PCIE_DEVCAP_FLR  BIT32(28)
#define AF_CAPS_FLR      (BIT32(24) | BIT32(25)) /* Advanced Features ECN: FLR, and Transactions Pending */

/* Access Control Services, 7.7.11: the control bits are where the capability's are, 16 bits up. */
#define ACS_CAP        0x04u
#define ACS_REQUEST    BIT32(2)
#define ACS_COMPLETION BIT32(3)
#define ACS_FUNCTION   (ACS_REQUEST | ACS_COMPLETION) /* a device of several functions: P2P Redirect */
#define ACS_PORT                                                                                             \
    (BIT32(0) | ACS_FUNCTION | BIT32(4)) /* a port: Source Validation and Upstream Forwarding too */

/* SR-IOV, 9.3.3. */
#define SRIOV_OFFSET 0x14u /* First VF Offset; VF Stride in the high half */

struct look {
    const struct acpi_facts *a;
    struct config *cfg;
    uint32_t booted_from;
    const struct boot_guest *guest;
    uint32_t rid;
    cfg_t c;
    char *why; /* of a struct function_refusal */
};

static bool refuse(const struct look *l, const char *fmt, ...) BOOT_PRINTF(2, 3);
static bool refuse(const struct look *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    text_vformat(l->why, FUNCTION_WHY_MAX, fmt, ap);
    va_end(ap);
    return false;
}

/* "00:06.0", in one of four buffers in turn. */
static const char *name_of(uint32_t rid)
{
    static char name[4][20];
    static unsigned turn;
    char *s = name[++turn % 4];
    size_t n = rid >> 16 ? text_format(s, sizeof(name[0]), "%04x:", rid >> 16) : 0;

    text_format(s + n, sizeof(name[0]) - n, "%02x:%02x.%u", rid >> 8 & 0xff, rid >> 3 & 0x1f, rid & 7);
    return s;
}

static unsigned header_kind(cfg_t c)
{
    return FIELD_GET(PCI_HEADER_KIND, rd(c, PCI_HEADER));
}

static unsigned pcie_type(cfg_t c)
{
    unsigned cap = cfg_find_cap(c, CAP_PCIE);

    return cap ? FIELD_GET(PCIE_TYPE, rd(c, cap)) : ~0u;
}

/* --- where it is --- */

/* Every function of the machine, once. */
static struct node {
    uint32_t rid;
    unsigned secondary, subordinate; /* buses behind a bridge that the firmware has set up; else 0 */
} node[NODES_MAX];
static unsigned nnodes;

/* Ends when there is no room for more. */
static bool add_node(cfg_t c, uint32_t rid, void *arg)
{
    uint32_t buses = header_kind(c) == HEADER_BRIDGE ? rd(c, PCI_BUSES) : 0;

    (void)arg;
    if (nnodes == NODES_MAX)
        return true;
    node[nnodes] = (struct node){.rid = rid};
    if (FIELD_GET(PCI_SECONDARY, buses) > (rid >> 8 & 0xff)) {
        node[nnodes].secondary = FIELD_GET(PCI_SECONDARY, buses);
        node[nnodes].subordinate = FIELD_GET(PCI_SUBORDINATE, buses);
    }
    nnodes++;
    return false;
}

/* The bridge right above a function, or FUNCTION_NO_DEVICE on a root bus. */
static uint32_t bridge_above(uint32_t rid)
{
    const struct node *found = NULL;
    unsigned bus = rid >> 8 & 0xff;

    for (const struct node *n = node; n < node + nnodes; n++)
        if (n->secondary && n->rid >> 16 == rid >> 16 && bus >= n->secondary && bus <= n->subordinate &&
            (!found || n->secondary > found->secondary))
            found = n;
    return found ? found->rid : FUNCTION_NO_DEVICE;
}

/* --- with whom it shares: functions that it can reach without the IOMMU --- */

/*
 * What at one place of the way up to the root complex goes elsewhere than to the IOMMU. Both are FUNCTION_NO_DEVICE
 * if nothing does.
 */
struct leak {
    uint32_t slot;   /* to all functions of this device, and what is behind them */
    uint32_t bridge; /* to all that is behind this one */
};

static bool has_siblings(const struct acpi_facts *a, uint32_t rid)
{
    return rd(cfg_of(a, rid & ~7u), PCI_HEADER) & PCI_MULTI;
}

/*
 * 6.12.1: a port forwards to other ports, a function to its siblings, where Access Control Services do not stop it.
 * As elsewhere, root ports that are different devices count as apart, and so do devices on a root bus.
 */
static struct leak leak_at(const struct acpi_facts *a, uint32_t rid)
{
    struct leak leak = {FUNCTION_NO_DEVICE, FUNCTION_NO_DEVICE};
    cfg_t c = cfg_of(a, rid);
    unsigned type = pcie_type(c), cap = cfg_find_ext(c, EXT_ACS);
    bool port = type == PCIE_ROOT_PORT || type == PCIE_DOWNSTREAM;
    uint32_t needed = port ? ACS_PORT : ACS_FUNCTION;

    if (cap && (rd(c, cap + ACS_CAP) & needed) == needed)
        return leak;
    if (port || has_siblings(a, rid))
        leak.slot = rid & ~7u;
    if (type == PCIE_DOWNSTREAM)
        leak.bridge = bridge_above(rid);
    return leak;
}

static bool leaks_to(const struct leak *leak, uint32_t rid)
{
    for (uint32_t up = rid; up != FUNCTION_NO_DEVICE; up = bridge_above(up))
        if ((up & ~7u) == leak->slot || (up != rid && up == leak->bridge))
            return true;
    return false;
}

static bool has_function(const struct boot_guest *g, uint32_t rid)
{
    for (unsigned i = 0; i < g->nfunctions; i++)
        if (g->function[i].rid == rid)
            return true;
    return false;
}

static bool is_alone(const struct look *l)
{
    for (uint32_t at = l->rid; at != FUNCTION_NO_DEVICE; at = bridge_above(at)) {
        const struct leak leak = leak_at(l->a, at);

        for (const struct node *n = node; n < node + nnodes; n++)
            if (header_kind(cfg_of(l->a, n->rid)) != HEADER_BRIDGE && leaks_to(&leak, n->rid) &&
                !has_function(l->guest, n->rid))
                return refuse(
                    l,
                    "%s reaches %s around the IOMMU (no ACS at %s), accepted: both in one guest, or "
                    "another slot",
                    name_of(l->rid), name_of(n->rid), name_of(at));
    }
    return true;
}

/* --- resets --- */

static bool is_alone_on_its_bus(uint32_t rid)
{
    for (const struct node *n = node; n < node + nnodes; n++)
        if (n->rid != rid && n->rid >> 8 == rid >> 8)
            return false;
    return true;
}

static enum boot_reset best_reset(const struct look *l)
{
    unsigned pcie = cfg_find_cap(l->c, CAP_PCIE), af = cfg_find_cap(l->c, CAP_AF),
             pm = cfg_find_cap(l->c, CAP_PM);

    if (pcie && (rd(l->c, pcie + PCIE_DEVCAP) & PCIE_DEVCAP_FLR))
        return BOOT_RESET_FLR;
    if (af && (rd(l->c, af) & AF_CAPS_FLR) == AF_CAPS_FLR)
        return BOOT_RESET_AF;
    if (pm && !(rd(l->c, pm + PM_CSR) & PM_NO_SOFT_RESET))
        return BOOT_RESET_PM;
    if (bridge_above(l->rid) != FUNCTION_NO_DEVICE && is_alone_on_its_bus(l->rid))
        return BOOT_RESET_BUS;
    return BOOT_RESET_NONE;
}

static bool can_be_reset(const struct look *l, uint32_t *reset)
{
    *reset = best_reset(l);
    return *reset != BOOT_RESET_NONE ||
           refuse(l,
                  "%s cannot be reset, accepted: function-level reset (PCI Express or Advanced Features), "
                  "power states without No_Soft_Reset, or a port "
                  "of its own",
                  name_of(l->rid));
}

/* --- what it is --- */

/* Is the address that of a VF which is enabled only later? */
static bool is_no_vf(const struct look *l)
{
    for (unsigned i = 0; i < l->cfg->boot.nnics; i++) {
        const struct boot_nic *nic = &l->cfg->boot.nic[i];
        cfg_t pf = cfg_of(l->a, nic->rid);
        unsigned cap = pf && rd(pf, PCI_ID) != ~0u ? cfg_find_ext(pf, EXT_SRIOV) : 0;
        uint32_t place = cap ? rd(pf, cap + SRIOV_OFFSET) : 0;

        for (unsigned vf = 0; cap && vf < nic->vfs; vf++)
            if (nic->rid + (place & 0xffff) + vf * (place >> 16) == l->rid)
                return refuse(l, "%s is a VF of [nic %s], accepted: vf = %s/%u", name_of(l->rid), nic->name,
                              nic->name, vf);
    }
    return true;
}

static bool is_no_nic(const struct look *l)
{
    for (unsigned i = 0; i < l->cfg->boot.nnics; i++) {
        const struct boot_nic *nic = &l->cfg->boot.nic[i];

        if (nic->rid == l->rid)
            return refuse(
                l,
                "%s is [nic %s], which the I/O domain has, accepted: vf = %s/N, or no [nic] section for it",
                name_of(l->rid), nic->name, nic->name);
    }
    return true;
}

static bool is_there(const struct look *l)
{
    if (nnodes == NODES_MAX)
        return refuse(l, "the machine has more than %u PCI functions, accepted: fewer", NODES_MAX - 1);
    return (l->c && rd(l->c, PCI_ID) != ~0u) ||
           refuse(l, "no device at %s, accepted: the address of a PCI function", name_of(l->rid));
}

static bool is_device(const struct look *l)
{
    unsigned class = rd(l->c, PCI_CLASS) >> 16;

    if (header_kind(l->c) != 0 || class >> 8 == CLASS_BRIDGE)
        return refuse(l, "%s is a bridge, accepted: a device", name_of(l->rid));
    if (class == CLASS_IOMMU)
        return refuse(l, "%s is an IOMMU, accepted: a device", name_of(l->rid));
    if (class >> 8 == CLASS_SYSTEM && class != CLASS_SD_HOST)
        return refuse(l, "%s is interrupt or timer hardware of the machine, accepted: a device",
                      name_of(l->rid));
    return true;
}

/* Does an I/O BAR have the console's port? */
static bool has_port(cfg_t c, unsigned offset, unsigned port)
{
    uint32_t bar = rd(c, offset), mask;

    if (!(bar & BAR_IO))
        return false;
    wr(c, offset, ~0u);
    mask = rd(c, offset) & BAR_IO_ADDR;
    wr(c, offset, bar);
    return mask && (bar & BAR_IO_ADDR) < port + UART_PORTS &&
           port < (bar & BAR_IO_ADDR) + (~mask & 0xffff) + 1;
}

static bool is_ours(const struct look *l)
{
    unsigned port = l->cfg->boot.console_port;

    for (unsigned at = PCI_BAR0; at < PCI_BAR0 + 24; at += 4)
        if (has_port(l->c, at, port))
            return refuse(l, "%s has the console's port 0x%x, accepted: another device, or another console",
                          name_of(l->rid), port);
    return l->rid != l->booted_from ||
           refuse(l, "%s is what Lastmile is started from, accepted: another device", name_of(l->rid));
}

/* Behind a bridge to conventional PCI all requests bear the bridge's id. */
static bool has_own_id(const struct look *l)
{
    for (uint32_t up = bridge_above(l->rid); up != FUNCTION_NO_DEVICE; up = bridge_above(up)) {
        unsigned type = pcie_type(cfg_of(l->a, up));

        if (type == ~0u || type == PCIE_TO_PCI || type == PCIE_FROM_PCI)
            return refuse(l,
                          "%s is behind the PCI bridge %s, for whose id the IOMMU takes all that is there, "
                          "accepted: a PCI Express slot",
                          name_of(l->rid), name_of(up));
    }
    return true;
}

/* Its registers can be mapped by pages, and nobody else's are in them. */
static bool has_pages(const struct look *l)
{
    uint32_t command = rd(l->c, PCI_COMMAND) & 0xffff;
    unsigned bars = 0, bad = 6;
    struct bar b;

    wr(l->c, PCI_COMMAND, command & ~PCI_COMMAND_MEM);
    for (unsigned i = 0; i < 6 && bad == 6; i += 1u + b.wide) {
        b = cfg_size_bar(l->c, PCI_BAR0 + 4 * i);
        if (b.size && (!b.base || !IS_ALIGNED(b.base | b.size, (uint64_t)PAGE) ||
                       b.size > (b.wide ? BAR_MAX_64 : BAR_MAX)))
            bad = i;
        bars += b.size != 0;
    }
    wr(l->c, PCI_COMMAND, command);
    if (bad < 6)
        return refuse(l,
                      "%s: BAR %u is 0x%lx bytes at 0x%lx, accepted: whole pages, which the firmware has "
                      "given an address",
                      name_of(l->rid), bad, b.size, b.base);
    return bars ||
           refuse(l, "%s has no registers in memory, accepted: a device with a memory BAR", name_of(l->rid));
}

static bool has_messages(const struct look *l)
{
    return cfg_find_cap(l->c, CAP_MSI) || cfg_find_cap(l->c, CAP_MSIX) ||
           refuse(l, "%s has a pin for its interrupt only, accepted: a device with MSI or MSI-X",
                  name_of(l->rid));
}

static bool is_free_of_firmware(const struct look *l)
{
    for (const struct boot_ids *c = l->a->claimed; c < l->a->claimed + l->a->nclaimed; c++)
        if (l->rid >= c->first && l->rid <= c->last)
            return refuse(l, "%s: the firmware keeps memory for it (RMRR or IVMD), accepted: another device",
                          name_of(l->rid));
    return true;
}

static bool look_at(const struct look *l, uint32_t *reset)
{
    static bool (*const questions[])(const struct look *l) = {
        is_no_nic,  is_no_vf,  is_there,     is_device,           is_ours,
        has_own_id, has_pages, has_messages, is_free_of_firmware, is_alone};

    for (unsigned i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        if (!questions[i](l))
            return false;
    return can_be_reset(l, reset);
}

void function_look(const struct acpi_facts *a, struct config *cfg, uint32_t booted_from,
                   struct function_refusal *refused)
{
    nnodes = 0;
    cfg_each_function(a, add_node, NULL);
    for (unsigned g = 0; g < cfg->boot.nguests; g++) {
        for (unsigned i = 0; i < cfg->boot.guest[g].nfunctions; i++) {
            struct boot_function *f = &cfg->boot.guest[g].function[i];
            struct look l = {a,           cfg, booted_from, &cfg->boot.guest[g], f->rid, cfg_of(a, f->rid),
                             refused->why};

            if (!look_at(&l, &f->reset)) {
                refused->line = cfg->guest[g].device_line[i];
                return;
            }
        }
    }
}

static bool switch_acs_on(cfg_t c, uint32_t rid, void *arg)
{
    unsigned cap = cfg_find_ext(c, EXT_ACS);

    (void)rid, (void)arg;
    if (cap)
        wr(c, cap + ACS_CAP, (rd(c, cap + ACS_CAP) & ACS_PORT) << 16);
    return false;
}

void function_isolate(const struct acpi_facts *a)
{
    cfg_each_function(a, switch_acs_on, NULL);
}
