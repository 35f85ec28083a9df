/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the functions of all buses, once. */
#include "kernel/pci/pci.h"
#include "kernel/console/log.h"
#include "kernel/lib/string.h"
#include "kernel/lib/wait.h"
#include "kernel/mm/heap.h"
#include "kernel/pci/internal.h"
#include "kernel/pci/regs.h"

#define CAPS_MAX     48       /* as many as fit between 0x40 and 0x100 */
#define EXT_CAPS_MAX 480      /* as many as fit above 0x100 */
#define VFE_CLEAR    NS_PER_S /* 9.3.3.3.1: after VF Enable is cleared, before anything else is done */

static struct pci_dev *first, **last = &first;

struct pci_dev *pci_first(void)
{
    return first;
}

struct pci_dev *pci_find(rid_t r)
{
    struct pci_dev *d = first;

    while (d && d->rid.id != r.id)
        d = d->next;
    return d;
}

/* Whether a bus lies behind a bridge. */
static bool is_behind(const struct pci_dev *b, rid_t r)
{
    unsigned bus = r.id >> 8 & 0xff;

    return b->secondary && b->rid.id >> 16 == r.id >> 16 && bus >= b->secondary && bus <= b->subordinate;
}

const struct pci_dev *pci_bridge_of(rid_t r)
{
    const struct pci_dev *found = NULL;

    for (const struct pci_dev *d = first; d; d = d->next)
        if (is_behind(d, r) && (!found || d->secondary > found->secondary))
            found = d;
    return found;
}

void pci_add(struct pci_dev *d)
{
    d->next = NULL;
    *last = d;
    last = &d->next;
}

char *pci_name(rid_t r, char buf[PCI_NAME_LEN])
{
    unsigned segment = r.id >> 16, n = 0;

    if (segment)
        n = (unsigned)snprintf(buf, PCI_NAME_LEN, "%04x:", segment);
    snprintf(buf + n, PCI_NAME_LEN - n, "%02x:%02x.%x", r.id >> 8 & 0xff, r.id >> 3 & 0x1f, r.id & 7);
    return buf;
}

uint16_t pci_find_cap(const struct pci_dev *d, uint8_t id)
{
    uint8_t off = pci_read16(d, PCI_STATUS) & PCI_STATUS_CAP_LIST ? pci_read8(d, PCI_CAP_PTR) : 0;

    for (unsigned n = 0; n < CAPS_MAX && off >= PCI_CAP_BASE; n++) {
        uint16_t header = pci_read16(d, off & PCI_CAP_ALIGN);

        if ((header & UINT8_MAX) == id)
            return off & PCI_CAP_ALIGN;
        off = (uint8_t)(header >> 8);
    }
    return 0;
}

uint16_t pci_find_ext_cap(const struct pci_dev *d, uint16_t id)
{
    uint16_t off = PCI_EXT_CAP_BASE;

    for (unsigned n = 0; n < EXT_CAPS_MAX && off >= PCI_EXT_CAP_BASE; n++) {
        uint32_t header = pci_read32(d, off);

        if (header == 0 || header == UINT32_MAX)
            return 0;
        if ((header & UINT16_MAX) == id)
            return off;
        off = (uint16_t)(FIELD_GET(PCI_EXT_CAP_NEXT, header) & ~3u);
    }
    return 0;
}

/* Writes all ones and reads back which bits stick; restores what was there. */
static uint32_t probe_bits(const struct pci_dev *d, unsigned off, uint32_t *was)
{
    uint32_t bits;

    *was = pci_read32(d, off);
    pci_write32(d, off, UINT32_MAX);
    bits = pci_read32(d, off);
    pci_write32(d, off, *was);
    return bits;
}

void pci_size_bars(const struct pci_dev *d, unsigned off, struct pci_bar bars[PCI_BARS])
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        uint32_t low, high = 0, low_bits = probe_bits(d, off + 4 * i, &low);
        bool io = low_bits & PCI_BAR_IO;
        uint32_t attr = io ? PCI_BAR_IO_ATTR : PCI_BAR_MEM_ATTR;
        uint64_t bits = low_bits | (uint64_t)UINT32_MAX << 32;
        struct pci_bar *b = &bars[i];

        if (low_bits == 0 || low_bits == UINT32_MAX)
            continue;
        b->io = io;
        b->wide64 = !io && FIELD_GET(PCI_BAR_TYPE, low_bits) == PCI_BAR_TYPE_64 && i + 1 < PCI_BARS;
        if (b->wide64)
            bits = low_bits | (uint64_t)probe_bits(d, off + 4 * ++i, &high) << 32;
        bits &= ~(uint64_t)attr;
        b->size = bits & -bits; /* the lowest bit that sticks */
        b->base = hpa((low & ~attr) | (uint64_t)high << 32);
    }
}

void pci_read_header(struct pci_dev *d)
{
    d->class_rev = pci_read32(d, PCI_CLASS_REV);
    d->header_type = pci_read8(d, PCI_HEADER_TYPE) & PCI_HEADER_LAYOUT;
    d->cap_pcie = pci_find_cap(d, PCI_CAP_ID_PCIE);
    d->cap_msi = pci_find_cap(d, PCI_CAP_ID_MSI);
    d->cap_msix = pci_find_cap(d, PCI_CAP_ID_MSIX);
    if (!d->is_vf && d->cap_pcie)
        d->cap_sriov = pci_find_ext_cap(d, PCI_EXT_CAP_ID_SRIOV);
}

/* The bus behind a bridge that the firmware has set up has a higher number than the bridge's own. */
static void read_bridge(struct pci_dev *b)
{
    uint8_t secondary = pci_read8(b, PCI_SECONDARY_BUS);

    if (secondary > (b->rid.id >> 8 & 0xff)) {
        b->secondary = secondary;
        b->subordinate = pci_read8(b, PCI_SUBORDINATE_BUS);
    }
}

/* While a BAR is being sized it decodes nonsense: the function must not respond. */
static void read_bars(struct pci_dev *d)
{
    uint16_t command = pci_read16(d, PCI_COMMAND);

    pci_write16(d, PCI_COMMAND, (uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEM)));
    pci_size_bars(d, PCI_BAR0, d->bar);
    pci_write16(d, PCI_COMMAND, command);
}

/* NULL where there is no function. */
static struct pci_dev *scan_function(rid_t r)
{
    struct pci_dev *d, probe = {.rid = r};

    probe.vendor = pci_read16(&probe, PCI_VENDOR_ID);
    if (probe.vendor == PCI_ABSENT)
        return NULL;
    d = heap_alloc(sizeof(*d));
    if (!d)
        panic("PCI: no memory for the list of functions");
    *d = probe;
    d->device = pci_read16(d, PCI_DEVICE_ID);
    pci_read_header(d);
    if (d->header_type == PCI_LAYOUT_BRIDGE)
        read_bridge(d);
    if (d->header_type < PCI_LAYOUT_BRIDGE)
        read_bars(d);
    pci_add(d);
    return d;
}

/* Functions 1 to 7 are only where function 0 says so. */
static void scan_bus(unsigned segment, unsigned bus, bool reached[256])
{
    for (unsigned fn = 0, step; fn < 256; fn += step) {
        const struct pci_dev *d = scan_function(rid(segment, bus, fn));

        step = fn % 8 || (d && (pci_read8(d, PCI_HEADER_TYPE) & PCI_HEADER_MULTI)) ? 1 : 8;
        if (d && d->secondary)
            reached[d->secondary] = true;
    }
}

int pci_init(const struct bootinfo *bi)
{
    const struct ecam_window *w;
    unsigned count = 0;
    int rc = ecam_init(bi);

    first = NULL;
    last = &first;
    for (unsigned i = 0; !rc && (w = ecam_window(i)); i++) {
        bool reached[256] = {false};

        reached[w->first] = true;
        for (unsigned bus = w->first; bus <= w->last; bus++)
            if (reached[bus])
                scan_bus(w->segment, bus, reached);
    }
    for (struct pci_dev *d = first; d; d = d->next)
        count++;
    log_info("PCI: %u functions", count);
    return rc;
}

static void clear16(const struct pci_dev *d, unsigned off, uint32_t bits)
{
    uint16_t v = pci_read16(d, off);

    if (v & bits)
        pci_write16(d, off, (uint16_t)(v & ~bits));
}

void pci_silence_all(void)
{
    bool had_vfs = false;

    for (struct pci_dev *d = first; d; d = d->next) {
        if (d->header_type != PCI_LAYOUT_BRIDGE)
            clear16(d, PCI_COMMAND, PCI_COMMAND_BM);
        if (d->cap_msi)
            clear16(d, d->cap_msi + PCI_MSI_CTRL, PCI_MSI_ENABLE);
        if (d->cap_msix)
            clear16(d, d->cap_msix + PCI_MSIX_CTRL, PCI_MSIX_ENABLE);
        if (d->cap_sriov) {
            had_vfs |= pci_read16(d, d->cap_sriov + SRIOV_CTRL) & SRIOV_CTRL_VFE;
            clear16(d, d->cap_sriov + SRIOV_CTRL, SRIOV_CTRL_VFE | SRIOV_CTRL_MSE);
        }
    }
    if (had_vfs)
        (void)wait_until(false, VFE_CLEAR);
}
