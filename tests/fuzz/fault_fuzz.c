/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device can have an IOMMU record: entries of AMD's event log and VT-d's fault records with any content, the
 * registers that say where they are too. Each goes all the way: decoded, given to its owner, counted, acted on, kept,
 * made a line of text. The input: vendor, policy, capability (8 bytes), status, head and tail (4 bytes each), then
 * records of 16 bytes.
 */
#include "tests/unit/test.h"

#include "tests/unit/fake/cpu.c"
#include "tests/unit/fake/frame.c"
#include "tests/unit/fake/heap.c"
#include "tests/unit/fake/iommu.c"
#include "tests/unit/fake/irq.c"
#include "tests/unit/fake/log.c"
#include "tests/unit/fake/p2m.c"
#include "tests/unit/fake/paging.c"
#include "tests/unit/fake/pci.c"
#include "tests/unit/fake/strlcpy.c"
#include "tests/unit/fake/time.c"

/* Seen through iommu/ops.h only, which has a domain of its own. */
#define iommu_domain seam_domain
#include "iommu/amdvi/flog.c"
#undef iommu_domain
#define decode decode_record
#include "iommu/vtd/flog.c"
#undef decode

#include "iommu/fault.c"
#include "vm/assign/fault.c"
#include "vm/assign/function.c"
#include "vm/assign/msix.c"
#include "vm/assign/vpci.c"

#define VF      0xa8u
#define HEADER  22
#define RECORD  16
#define MMIO    0x5000
#define RECORDS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vm vm = {.name = "web"};
static struct fake_pci *hw;

struct vm *vm_first(void)
{
    return &vm;
}

void vm_stop(struct vm *m, struct vcpu *culprit, enum vm_end end, const char *fmt, ...)
{
    (void)culprit, (void)end, (void)fmt;
    if (m != &vm)
        abort();
}

int vm_io_register(struct vm *m, enum io_space space, uint64_t base, uint64_t size, io_fn *fn, void *dev)
{
    (void)m, (void)space, (void)base, (void)size, (void)fn, (void)dev;
    return 0;
}

void vm_io_unregister(struct vm *m, enum io_space space, uint64_t base)
{
    (void)m, (void)space, (void)base;
}

void vm_interrupt(struct vm *m)
{
    (void)m;
}

void vm_complain(struct vm *m, const char *fmt, ...)
{
    (void)m, (void)fmt;
}

void lapic_message(struct vm *m, uint64_t address, uint32_t data)
{
    (void)m, (void)address, (void)data;
}

bool lapic_route(struct vm *m, uint64_t address, uint32_t data, struct vcpu **v, uint8_t *vector)
{
    (void)m, (void)address, (void)data, (void)v, (void)vector;
    return false;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* The VF belongs to the guest again, whatever the last input has done to it. */
static void start(enum boot_on_fault policy)
{
    if (!hw) {
        vm.iommu = iommu_domain_create("web");
        hw = fake_pci_add((rid_t){VF}, 0x8086, 0x10ca);
        hw->is.pf = 0x28;
        hw->is.bar[0] = (struct boot_bar){.base = 0xfe000000, .size = 0x4000};
        must(fake_p2m_init(&vm.p2m, 1 << 20) == 0 && vpci_create(&vm) == 0);
        assign_init();
    }
    assign_release_all(&vm);
    fake_log_reset();
    hw->dev.faults = (struct pci_faults){0};
    must(assign_function(&vm, &hw->dev, "lan0/0", policy) == 0);
}

static void take(const struct iommu_fault *f, unsigned *mine)
{
    struct fault_record r = {.ns = 1, .f = *f, .owner = "quarantine", .label = "function"}, kept;
    char text[FAULT_TEXT_MAX];

    must(f->what && *f->what);
    fault_report(&r);
    must(fault_get(0, &kept) && strlen(fault_text(&kept, text)) < FAULT_TEXT_MAX);
    for (const char *c = text; *c; c++)
        must(*c >= ' ' && *c <= '~');
    must(kept.at <= FAULT_INTERRUPT);
    must(!strcmp(kept.owner, "web") == (f->has_dev && f->dev.id == VF));
    *mine += f->has_dev && f->dev.id == VF;
    must(hw->dev.faults.total == *mine);
}

static void check(enum boot_on_fault policy, unsigned mine)
{
    must(hw->dev.faults.held == (policy == BOOT_FAULT_QUARANTINE && mine >= FAULTS_MAX));
    must(!fake_iommu_dev((rid_t){VF})->domain == hw->dev.faults.held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t mmio[MMIO];
    static struct amdvi_entry log[AMDVI_RING];
    struct boot_unit unit = {0};
    enum boot_on_fault policy;
    struct iommu_fault f;
    unsigned mine = 0, n;
    uint64_t cap;

    if (size < HEADER)
        return 0;
    unit.rid = (uint32_t)(data[0] >> 4) << 16;
    policy = data[1] % 3;
    start(policy);
    memset(mmio, 0, sizeof(mmio));
    memset(log, 0, sizeof(log));
    n = (unsigned)((size - HEADER) / RECORD);
    n = n < RECORDS ? n : RECORDS;
    memcpy(&cap, data + 2, 8);
    if (data[0] & 1) {
        struct amdvi_unit u = {.is = &unit, .mmio = mmio, .log = log};

        memcpy(log, data + HEADER, (size_t)n * RECORD);
        memcpy(mmio + IOMMU_STATUS.off, data + 10, 4);
        memcpy(mmio + EVT_LOG_HEAD.off, data + 14, 4);
        memcpy(mmio + EVT_LOG_TAIL.off, data + 18, 4);
        for (unsigned i = 0; i < RECORDS && amdvi_flog_next(&u, &f); i++)
            take(&f, &mine);
    } else {
        struct vtd_unit u = {.is = &unit, .mmio = mmio, .cap = cap};
        size_t at = FIELD_GET(CAP_FRO, cap) * 16;

        memcpy(mmio + at, data + HEADER, (size_t)n * RECORD < MMIO - at ? (size_t)n * RECORD : MMIO - at);
        memcpy(mmio + FSTS.off, data + 10, 4);
        for (unsigned i = 0; i < RECORDS && vtd_flog_next(&u, &f); i++)
            take(&f, &mine);
    }
    check(policy, mine);
    return 0;
}
