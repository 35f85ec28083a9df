/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space through ECAM, for the files of boot/ that look at functions (PCI Express Base 6.0, section 7). */
#pragma once

#include "boot/acpi.h"
#include "kernel/lib/types.h"

#define PCI_ID          0x00u
#define PCI_COMMAND     0x04u
#define PCI_COMMAND_MEM BIT32(1)
#define PCI_STATUS_CAPS BIT32(20) /* there is a list of capabilities */
#define PCI_CLASS       0x08u     /* in bits 31:8 */
#define PCI_HEADER      0x0cu     /* header type in bits 23:16 */
#define PCI_MULTI       BIT32(23)
#define PCI_HEADER_KIND GENMASK32(22, 16)
#define PCI_BAR0        0x10u
#define PCI_BUSES       0x18u
#define PCI_SECONDARY   GENMASK32(15, 8)
#define PCI_SUBORDINATE GENMASK32(23, 16)
#define PCI_CAPS        0x34u

#define BAR_IO       BIT32(0)
#define BAR_KIND_64  BIT32(2)
#define BAR_PREFETCH BIT32(3)
#define BAR_ADDR     (~(uint64_t)0xf)

/* Extended capabilities, section 7.6.3. */
#define EXT_FIRST 0x100u
#define EXT_ID    GENMASK32(15, 0)
#define EXT_NEXT  GENMASK32(31, 20)
#define EXT_ACS   0x0du
#define EXT_SRIOV 0x10u

typedef volatile uint32_t *cfg_t;

static inline uint32_t rd(cfg_t c, unsigned offset)
{
    return c[offset / 4];
}

static inline void wr(cfg_t c, unsigned offset, uint32_t v)
{
    c[offset / 4] = v;
}

/* The 4 KiB of a function's configuration space, or NULL if no window covers its bus. */
cfg_t cfg_of(const struct acpi_facts *a, uint32_t rid);

/* Offset of a capability of the list in the first 256 bytes, and of an extended one; 0: there is none. */
unsigned cfg_find_cap(cfg_t c, unsigned id);
unsigned cfg_find_ext(cfg_t c, unsigned id);

struct bar {
    uint64_t base, size; /* size 0: not implemented, or I/O ports */
    bool wide;           /* takes two registers */
    bool prefetch;
};

/* Reads and sizes the BAR at `offset` (section 7.5.1.2.1). The function must not decode memory meanwhile. */
struct bar cfg_size_bar(cfg_t c, unsigned offset);

/* Calls `visit` for each function that answers, until it returns true. */
bool cfg_each_function(const struct acpi_facts *a, bool (*visit)(cfg_t c, uint32_t rid, void *arg),
                       void *arg);
