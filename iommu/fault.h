/* SPDX-License-Identifier: BSD-2-Clause */
/* What the IOMMUs report: one record for both vendors, the log's line, and the latest records for the operator. */
#pragma once

#include "kernel/lib/types.h"

#define FAULT_NAME_MAX 24

/* As the unit has it. Whatever a device can make it say is possible here. */
struct iommu_fault {
    const char *what; /* in the specification's words */
    bool has_dev;     /* dev, addr, write and interrupt mean something; else the unit speaks of itself */
    bool write, interrupt;
    rid_t dev;
    iova_t addr; /* of an interrupt that was looked up: its index */
};

/* What lies at the address for one that takes it for the machine's. */
enum fault_class { FAULT_UNMAPPED, FAULT_OTHER_GUEST, FAULT_HYPERVISOR, FAULT_MMIO, FAULT_INTERRUPT };

struct fault_record {
    uint64_t ns; /* time_ns() when it was taken from the unit */
    struct iommu_fault f;
    enum fault_class at;
    char owner[FAULT_NAME_MAX]; /* the guest, or "quarantine" */
    char label[FAULT_NAME_MAX]; /* the function as the operator knows it: lan0/2 */
};

/*
 * Who knows owners and addresses: called for each record with has_dev before it is logged, owner and label being
 * what the IOMMU's tables say; fills in more and acts on it. From iommu_poll_faults(), so with no lock held. Once,
 * before the first poll.
 */
typedef void fault_fn(struct fault_record *r);
void fault_on_record(fault_fn *fn);

/* Has it looked at, keeps it, and logs it if there is a line left: peers cause faults at will. */
void fault_report(struct fault_record *r);

/* A copy of the latest record but `age`; false if it is not kept (any more). */
#define FAULTS_KEPT 64
bool fault_get(unsigned age, struct fault_record *out);

/* The record as one line of text; returns buf. */
#define FAULT_TEXT_MAX 160
char *fault_text(const struct fault_record *r, char buf[FAULT_TEXT_MAX]);
