/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/enumerate.h"
#include "boot/memmap.h"
#include "boot/pci_access.h"
#include "boot/pci_regs.h"
#include "boot/text.h"
#include "kernel/lib/types.h"

#define CAPS_MAX     48   /* as many as fit between 0x40 and 0x100 */
#define EXT_CAPS_MAX 480  /* as many as fit above 0x100 */
#define VFE_CLEAR_MS 1000 /* 9.3.3.3.1: after VF Enable is cleared, before anything else is done */
#define VFE_SET_MS   100  /* after it is set, before a VF is touched */
#define NAME_LEN     16

static struct boot_pci *list;
static unsigned count, room;

/* "00:15.2", with "0001:" in front where the segment is not 0. */
static char *name_of(uint32_t rid, char buf[NAME_LEN])
{
    size_t n = rid >> 16 ? text_format(buf, NAME_LEN, "%04x:", rid >> 16) : 0;

    text_format(buf + n, NAME_LEN - n, "%02x:%02x.%x", rid >> 8 & 0xff, rid >> 3 & 0x1f, rid & 7);
    return buf;
}

static const struct boot_pci *find(uint32_t rid)
{
    for (const struct boot_pci *d = list; d < list + count; d++)
        if (d->rid == rid)
            return d;
    return NULL;
}

/* Whether a bus lies behind a bridge. */
static bool is_behind(const struct boot_pci *b, uint32_t rid)
{
    unsigned bus = rid >> 8 & 0xff;

    return b->secondary && b->rid >> 16 == rid >> 16 && bus >= b->secondary && bus <= b->subordinate;
}

/* The bridge right above a bus, or NULL on a root bus. */
static const struct boot_pci *bridge_of(uint32_t rid)
{
    const struct boot_pci *found = NULL;

    for (const struct boot_pci *d = list; d < list + count; d++)
        if (is_behind(d, rid) && (!found || d->secondary > found->secondary))
            found = d;
    return found;
}

static uint16_t find_cap(const struct boot_pci *d, uint8_t id)
{
    uint8_t off = pci_read16(d->rid, PCI_STATUS) & PCI_STATUS_CAP_LIST ? pci_read8(d->rid, PCI_CAP_PTR) : 0;

    for (unsigned n = 0; n < CAPS_MAX && off >= PCI_CAP_BASE; n++) {
        uint16_t header = pci_read16(d->rid, off & PCI_CAP_ALIGN);

        if ((header & UINT8_MAX) == id)
            return off & PCI_CAP_ALIGN;
        off = (uint8_t)(header >> 8);
    }
    return 0;
}

static uint16_t find_ext_cap(const struct boot_pci *d, uint16_t id)
{
    uint16_t off = PCI_EXT_CAP_BASE;

    for (unsigned n = 0; n < EXT_CAPS_MAX && off >= PCI_EXT_CAP_BASE; n++) {
        uint32_t header = pci_read32(d->rid, off);

        if (header == 0 || header == UINT32_MAX)
            return 0;
        if ((header & UINT16_MAX) == id)
            return off;
        off = (uint16_t)(FIELD_GET(PCI_EXT_CAP_NEXT, header) & ~3u);
    }
    return 0;
}

/* Writes all ones and reads back which bits stick; restores what was there. */
static uint32_t probe_bits(const struct boot_pci *d, unsigned off, uint32_t *was)
{
    uint32_t bits;

    *was = pci_read32(d->rid, off);
    pci_write32(d->rid, off, UINT32_MAX);
    bits = pci_read32(d->rid, off);
    pci_write32(d->rid, off, *was);
    return bits;
}

static void size_bars(const struct boot_pci *d, unsigned off, struct boot_bar bars[BOOT_VF_BARS])
{
    for (unsigned i = 0; i < BOOT_VF_BARS; i++) {
        uint32_t low, high = 0, low_bits = probe_bits(d, off + 4 * i, &low);
        bool io = low_bits & PCI_BAR_IO;
        uint32_t attr = io ? PCI_BAR_IO_ATTR : PCI_BAR_MEM_ATTR;
        uint64_t bits = low_bits | (uint64_t)UINT32_MAX << 32;
        struct boot_bar *b = &bars[i];

        if (low_bits == 0 || low_bits == UINT32_MAX)
            continue;
        b->io = io;
        b->wide64 = !io && FIELD_GET(PCI_BAR_TYPE, low_bits) == PCI_BAR_TYPE_64 && i + 1 < BOOT_VF_BARS;
        if (b->wide64)
            bits = low_bits | (uint64_t)probe_bits(d, off + 4 * ++i, &high) << 32;
        bits &= ~(uint64_t)attr;
        b->size = bits & -bits; /* the lowest bit that sticks */
        b->base = (low & ~attr) | (uint64_t)high << 32;
    }
}

static void read_header(struct boot_pci *d)
{
    d->class_rev = pci_read32(d->rid, PCI_CLASS_REV);
    d->header_type = pci_read8(d->rid, PCI_HEADER_TYPE) & PCI_HEADER_LAYOUT;
    d->cap_pcie = find_cap(d, PCI_CAP_ID_PCIE);
    d->cap_msi = find_cap(d, PCI_CAP_ID_MSI);
    d->cap_msix = find_cap(d, PCI_CAP_ID_MSIX);
    d->cap_pm = find_cap(d, PCI_CAP_ID_PM);
    d->cap_af = find_cap(d, PCI_CAP_ID_AF);
    if (d->pf == d->rid && d->cap_pcie)
        d->cap_sriov = find_ext_cap(d, PCI_EXT_CAP_ID_SRIOV);
}

/* The bus behind a bridge that the firmware has set up has a higher number than the bridge's own. */
static void read_bridge(struct boot_pci *b)
{
    uint8_t secondary = pci_read8(b->rid, PCI_SECONDARY_BUS);

    if (secondary > (b->rid >> 8 & 0xff)) {
        b->secondary = secondary;
        b->subordinate = pci_read8(b->rid, PCI_SUBORDINATE_BUS);
    }
}

/* While a BAR is being sized it decodes nonsense: the function must not respond. */
static void read_bars(struct boot_pci *d)
{
    uint16_t command = pci_read16(d->rid, PCI_COMMAND);

    pci_write16(d->rid, PCI_COMMAND, (uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEM)));
    size_bars(d, PCI_BAR0, d->bar);
    pci_write16(d->rid, PCI_COMMAND, command);
}

/* NULL where there is no function, or no room for one more. */
static struct boot_pci *scan_function(uint32_t rid)
{
    struct boot_pci *d;
    uint16_t vendor = pci_read16(rid, PCI_VENDOR_ID);

    if (vendor == PCI_ABSENT || count > room)
        return NULL;
    if (count++ == room)
        return NULL;
    d = &list[count - 1];
    *d = (struct boot_pci){.rid = rid,
                           .pf = rid,
                           .vendor = vendor,
                           .device = pci_read16(rid, PCI_DEVICE_ID),
                           .regs = pci_address(rid)};
    read_header(d);
    if (d->header_type == PCI_LAYOUT_BRIDGE)
        read_bridge(d);
    if (d->header_type < PCI_LAYOUT_BRIDGE)
        read_bars(d);
    return d;
}

/* Functions 1 to 7 are only where function 0 says so. */
static void scan_bus(unsigned segment, unsigned bus, bool reached[256])
{
    for (unsigned fn = 0, step; fn < 256; fn += step) {
        const struct boot_pci *d = scan_function((uint32_t)segment << 16 | bus << 8 | fn);

        step = fn % 8 || (d && (pci_read8(d->rid, PCI_HEADER_TYPE) & PCI_HEADER_MULTI)) ? 1 : 8;
        if (d && d->secondary)
            reached[d->secondary] = true;
    }
}

static void scan_window(const struct boot_ecam *w)
{
    bool reached[256] = {false};

    reached[w->first_bus] = true;
    for (unsigned bus = w->first_bus; bus <= w->last_bus; bus++)
        if (reached[bus])
            scan_bus(w->segment, bus, reached);
}

static void note_bridges(void)
{
    for (struct boot_pci *d = list; d < list + count; d++) {
        const struct boot_pci *b = bridge_of(d->rid);

        d->bridge = b ? b->rid : BOOT_NO_BRIDGE;
    }
}

size_t enumerate(const struct boot_machine *m, struct boot_pci *to, size_t max)
{
    static const struct boot_ecam ports = {.last_bus = UINT8_MAX};

    list = to;
    room = (unsigned)max;
    count = 0;
    pci_use(m);
    for (const struct boot_ecam *w = m->ecam; w < m->ecam + m->necam; w++)
        scan_window(w);
    if (!m->necam)
        scan_window(&ports);
    if (count > room)
        return 0;
    note_bridges();
    return count;
}

/* --- resets --- */

/* The function has what the method needs. */
static struct boot_reset_way way_of(const struct boot_pci *d, uint32_t reset)
{
    switch (reset) {
    case BOOT_RESET_FLR:
        return (struct boot_reset_way){d->rid, d->cap_pcie + PCIE_DEVCTL, PCIE_DEVCTL_FLR, 0};
    case BOOT_RESET_AF:
        return (struct boot_reset_way){d->rid, d->cap_af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 0};
    case BOOT_RESET_PM:
        return (struct boot_reset_way){d->rid, d->cap_pm + PCI_PM_CSR, PCI_PM_CSR_D3HOT, 1};
    case BOOT_RESET_BUS:
        return (struct boot_reset_way){d->bridge, PCI_BRIDGE_CTRL, PCI_BRIDGE_CTRL_RESET, 1};
    default:
        return (struct boot_reset_way){0};
    }
}

void enumerate_resets(const struct boot_config *cfg)
{
    for (const struct boot_guest *g = cfg->guest; g < cfg->guest + cfg->nguests; g++)
        for (const struct boot_function *f = g->function; f < g->function + g->nfunctions; f++)
            for (struct boot_pci *d = list; d < list + count; d++)
                if (d->rid == f->rid && d->pf == d->rid && !d->header_type && !d->num_vfs)
                    d->reset = way_of(d, f->reset);
}

/* --- VFs --- */

/* Says why, and is false. */
static BOOT_PRINTF(2, 3) bool complain(const struct enable *e, const char *fmt, ...)
{
    char line[128];
    va_list ap;

    va_start(ap, fmt);
    text_vformat(line, sizeof(line), fmt, ap);
    va_end(ap);
    e->warn(line);
    return false;
}

static void clear16(const struct boot_pci *d, unsigned off, uint32_t bits)
{
    uint16_t v = pci_read16(d->rid, off);

    if (v & bits)
        pci_write16(d->rid, off, (uint16_t)(v & ~bits));
}

void enumerate_stop_vfs(void (*wait_ms)(unsigned ms))
{
    bool had_vfs = false;

    for (const struct boot_pci *d = list; d < list + count; d++) {
        if (!d->cap_sriov)
            continue;
        had_vfs |= pci_read16(d->rid, d->cap_sriov + SRIOV_CTRL) & SRIOV_CTRL_VFE;
        clear16(d, d->cap_sriov + SRIOV_CTRL, SRIOV_CTRL_VFE | SRIOV_CTRL_MSE);
    }
    if (had_vfs)
        wait_ms(VFE_CLEAR_MS);
}

/*
 * Behind a port, VFs whose device number is not 0 are reached only if the port forwards by ARI
 * (6.13, 9.3.3.3.5). This moves First VF Offset and VF Stride, so it comes first.
 */
static uint16_t enable_ari(const struct boot_pci *pf)
{
    const struct boot_pci *port = bridge_of(pf->rid);

    if (!port || !port->cap_pcie || !find_ext_cap(pf, PCI_EXT_CAP_ID_ARI) ||
        !(pci_read32(port->rid, port->cap_pcie + PCIE_DEVCAP2) & PCIE_DEVCAP2_ARI_FWD))
        return 0;
    pci_write16(port->rid, port->cap_pcie + PCIE_DEVCTL2,
                (uint16_t)(pci_read16(port->rid, port->cap_pcie + PCIE_DEVCTL2) | PCIE_DEVCTL2_ARI_FWD));
    return SRIOV_CTRL_ARI;
}

/* One VF BAR stands for NumVFs slices of its size, one after the other (9.3.3.14). */
static bool place_vf_bars(const struct enable *e, const struct boot_pci *pf, unsigned n,
                          const uint64_t place[BOOT_VF_BARS], struct boot_bar bars[BOOT_VF_BARS])
{
    char name[NAME_LEN];

    for (unsigned i = 0; i < BOOT_VF_BARS; i++) {
        struct boot_bar *b = &bars[i];
        uint64_t size = b->size * n;

        if (!size || b->io)
            continue;
        if (place[i])
            b->base = place[i];
        if (!b->base || !IS_ALIGNED(b->base, b->size) || place[i] + size > SIZE_4G ||
            memmap_over_ram(e->mem, e->nmem, b->base, size))
            return complain(e, "PCI: %s: no room for VF BAR %u: %lu KiB below 4 GiB are missing",
                            name_of(pf->rid, name), i, size >> 10);
        pci_write32(pf->rid, pf->cap_sriov + SRIOV_VF_BAR0 + 4 * i, (uint32_t)b->base);
        if (b->wide64)
            pci_write32(pf->rid, pf->cap_sriov + SRIOV_VF_BAR0 + 4 * (i + 1), (uint32_t)(b->base >> 32));
    }
    return true;
}

/* Requester id of VF i (9.3.3.9, 9.3.3.10): plain addition, which may carry into the bus number. False
 * where there is no such id. */
static bool vf_rid(const struct boot_pci *pf, unsigned i, uint32_t *out)
{
    uint32_t offset = pci_read16(pf->rid, pf->cap_sriov + SRIOV_FIRST_VF_OFFSET);
    uint32_t stride = pci_read16(pf->rid, pf->cap_sriov + SRIOV_VF_STRIDE);
    uint64_t id = (uint64_t)(pf->rid & UINT16_MAX) + offset + (uint64_t)stride * i;

    *out = (pf->rid & ~(uint32_t)UINT16_MAX) | (uint32_t)(id & UINT16_MAX);
    return id <= UINT16_MAX && !find(*out) && !(i && !stride) && bridge_of(*out) == bridge_of(pf->rid);
}

/* Behind the list's end: they belong to it when all of them answer. */
static bool make_vfs(const struct enable *e, const struct boot_pci *pf, unsigned n,
                     const struct boot_bar bars[BOOT_VF_BARS])
{
    char name[NAME_LEN];

    if (n > room - count)
        return complain(e, "PCI: %s: no room in the list for its VFs", name_of(pf->rid, name));
    for (unsigned i = 0; i < n; i++) {
        struct boot_pci *vf = &list[count + i];

        *vf = (struct boot_pci){.pf = pf->rid,
                                .bridge = pf->bridge,
                                .vendor = pf->vendor,
                                .device = pci_read16(pf->rid, pf->cap_sriov + SRIOV_VF_DEVICE_ID)};
        for (unsigned b = 0; b < BOOT_VF_BARS; b++) {
            vf->bar[b] = bars[b];
            vf->bar[b].base += bars[b].size * i;
        }
        if (!vf_rid(pf, i, &vf->rid))
            return complain(e, "PCI: %s: there is no address for VF %u", name_of(pf->rid, name), i);
        vf->regs = pci_address(vf->rid);
    }
    return true;
}

/* VF Enable, and a look whether every VF is there before any is listed. */
static bool switch_on(const struct enable *e, struct boot_pci *pf, unsigned n, uint16_t ctrl)
{
    struct boot_pci *vf = &list[count];
    char name[NAME_LEN];

    pci_write16(pf->rid, pf->cap_sriov + SRIOV_CTRL, (uint16_t)(ctrl | SRIOV_CTRL_VFE | SRIOV_CTRL_MSE));
    e->wait_ms(VFE_SET_MS);
    for (unsigned i = 0; i < n; i++)
        if (pci_read32(vf[i].rid, PCI_COMMAND) == UINT32_MAX)
            return complain(e, "PCI: %s: VF %u does not answer", name_of(pf->rid, name), i);
    for (unsigned i = 0; i < n; i++) {
        read_header(&vf[i]);
        if (vf[i].cap_pcie && (pci_read32(vf[i].rid, vf[i].cap_pcie + PCIE_DEVCAP) & PCIE_DEVCAP_FLR))
            vf[i].reset = way_of(&vf[i], BOOT_RESET_FLR);
        pci_write16(vf[i].rid, PCI_COMMAND, PCI_COMMAND_MEM);
    }
    pf->first_vf = (uint16_t)count;
    pf->num_vfs = (uint16_t)n;
    count += n;
    return true;
}

static bool enable(const struct enable *e, struct boot_pci *pf, const struct boot_nic *nic)
{
    struct boot_bar bars[BOOT_VF_BARS] = {{0}};
    uint16_t ctrl = enable_ari(pf);

    pci_write16(pf->rid, pf->cap_sriov + SRIOV_CTRL, ctrl);
    pci_write32(pf->rid, pf->cap_sriov + SRIOV_SYS_PAGE_SIZE,
                SRIOV_PAGE_4K);                                    /* 9.3.3.13: BAR sizes follow it */
    pci_write16(pf->rid, pf->cap_sriov + SRIOV_NUM_VFS, nic->vfs); /* offset and stride may depend on it */
    size_bars(pf, pf->cap_sriov + SRIOV_VF_BAR0, bars);
    return place_vf_bars(e, pf, nic->vfs, nic->vf_bar, bars) && make_vfs(e, pf, nic->vfs, bars) &&
           switch_on(e, pf, nic->vfs, ctrl);
}

size_t enumerate_enable_vfs(const struct boot_config *cfg, const struct enable *e)
{
    for (const struct boot_nic *nic = cfg->nic; nic < cfg->nic + cfg->nnics; nic++) {
        struct boot_pci *pf = list + (find(nic->rid) ? find(nic->rid) - list : count);

        if (pf == list + count || !pf->cap_sriov || !nic->vfs || pf->num_vfs ||
            nic->vfs > pci_read16(pf->rid, pf->cap_sriov + SRIOV_TOTAL_VFS) || enable(e, pf, nic))
            continue;
        pci_write16(pf->rid, pf->cap_sriov + SRIOV_CTRL, 0);
        pci_write16(pf->rid, pf->cap_sriov + SRIOV_NUM_VFS, 0);
    }
    return count;
}

void enumerate_silence(void)
{
    for (const struct boot_pci *d = list; d < list + count; d++) {
        if (d->header_type != PCI_LAYOUT_BRIDGE)
            clear16(d, PCI_COMMAND, PCI_COMMAND_BM);
        if (d->cap_msi)
            clear16(d, d->cap_msi + PCI_MSI_CTRL, PCI_MSI_ENABLE);
        if (d->cap_msix)
            clear16(d, d->cap_msix + PCI_MSIX_CTRL, PCI_MSIX_ENABLE);
    }
}
