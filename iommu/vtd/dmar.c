/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DMAR table (section 8): which unit translates which function, and memory that firmware wants to stay
 * reachable. Of ATSR nothing is needed: device TLBs stay off, and translated requests are blocked.
 */
#include "iommu/vtd/vtd.h"
#include "kernel/console/log.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/pci/pci.h"
#include "kernel/pci/regs.h"

/* All or none: the devices of a unit that is left out would not be held back by anything. */
unsigned dmar_units(struct vtd_unit *units, unsigned max)
{
    const struct dmar *t = (const struct dmar *)acpi_find("DMAR");
    const uint8_t *where;
    unsigned count = 0;
    size_t off = 0;
    struct drhd d;

    if (t && (t->header.length < sizeof(*t) || !(t->flags & DMAR_INTR_REMAP))) {
        log_warn("VT-d: table DMAR: the machine does not remap interrupts");
        return 0;
    }
    while (t && iommu_next_block(&t->header, &off, &d, sizeof(d), &where)) {
        if (d.block.type != DMAR_DRHD)
            continue;
        if (d.block.length < sizeof(d) || !d.base || !IS_ALIGNED(d.base, PAGE_SIZE) || d.base >= ADDR_LIMIT ||
            frame_is_ram(hpa(d.base), PAGE_SIZE) || count == max) {
            log_error("VT-d: table DMAR: unit %u at %#lx cannot be used", count, d.base);
            return 0;
        }
        units[count++] = (struct vtd_unit){
            .segment = d.segment,
            .all = d.flags & DRHD_INCLUDE_PCI_ALL,
            .base = hpa(d.base),
            .scopes = where + sizeof(d),
            .scopes_size = d.block.length - sizeof(d),
        };
    }
    return count;
}

/* The function at the end of a scope's path (8.3.1), found as its bridges are numbered now. */
static bool follow_path(uint16_t segment, const struct dmar_scope *s, const uint8_t *path, rid_t *end)
{
    const struct pci_dev *bridge;
    unsigned bus = s->bus;

    for (size_t left = (s->length - sizeof(*s)) / 2; left; left--, path += 2) {
        *end = rid(segment, bus, (path[0] & 0x1fu) << 3 | (path[1] & 7u));
        bridge = pci_find(*end);
        if (left > 1 && (!bridge || !bridge->secondary))
            return false;
        bus = bridge ? bridge->secondary : 0;
    }
    return true;
}

static unsigned bus_of(rid_t id)
{
    return id.id >> 8 & 0xff;
}

static bool is_behind(rid_t dev, const struct pci_dev *bridge)
{
    return bridge->secondary && bridge->rid.id >> 16 == dev.id >> 16 && bus_of(dev) >= bridge->secondary &&
           bus_of(dev) <= bridge->subordinate;
}

static bool scopes_name(uint16_t segment, const uint8_t *p, size_t left, rid_t dev, bool bridges)
{
    const struct pci_dev *bridge;
    struct dmar_scope s;
    rid_t end;

    for (; left >= sizeof(s); p += s.length, left -= s.length) {
        memcpy(&s, p, sizeof(s));
        if (s.length < sizeof(s) + 2 || s.length > left)
            break;
        if ((s.type != SCOPE_ENDPOINT && s.type != SCOPE_BRIDGE) ||
            !follow_path(segment, &s, p + sizeof(s), &end))
            continue;
        bridge = s.type == SCOPE_BRIDGE && bridges ? pci_find(end) : NULL;
        if (end.id == dev.id || (bridge && is_behind(dev, bridge)))
            return true;
    }
    return false;
}

/* A VF is in no scope: it goes with its PF (8.3.1). */
static rid_t named_as(rid_t dev)
{
    for (const struct pci_dev *pf = pci_first(); pf; pf = pf->next)
        for (unsigned i = 0; i < pf->num_vfs; i++)
            if (pf->vf[i]->rid.id == dev.id)
                return pf->rid;
    return dev;
}

bool dmar_covers(const struct vtd_unit *u, rid_t dev)
{
    return u->segment == dev.id >> 16 &&
           scopes_name(u->segment, u->scopes, u->scopes_size, named_as(dev), true);
}

/* A bridge from PCI Express to PCI may put its own bus and device 0 in place of the id. */
rid_t dmar_alias(rid_t dev)
{
    for (const struct pci_dev *b = pci_first(); b; b = b->next)
        if (b->cap_pcie &&
            FIELD_GET(PCIE_FLAGS_TYPE, pci_read16(b, b->cap_pcie + PCIE_FLAGS)) == PCIE_TYPE_TO_PCI &&
            is_behind(dev, b))
            return rid(dev.id >> 16, b->secondary, 0);
    return dev;
}

/* RMRR: 8.4. */
bool dmar_unity(rid_t dev, unsigned i, struct iommu_unity *out)
{
    const struct acpi_header *h = acpi_find("DMAR");
    const uint8_t *where;
    size_t off = 0;
    struct rmrr r;

    while (h && iommu_next_block(h, &off, &r, sizeof(r), &where)) {
        if (r.block.type != DMAR_RMRR || r.block.length < sizeof(r) || r.segment != dev.id >> 16 ||
            !scopes_name(r.segment, where + sizeof(r), r.block.length - sizeof(r), dev, false) || i-- > 0)
            continue;
        *out = (struct iommu_unity){iova(r.base), r.limit - r.base + 1, IOMMU_R | IOMMU_W};
        return true;
    }
    return false;
}
