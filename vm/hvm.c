/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/hvm.h"
#include "kernel/console/log.h"

extern const struct hvm_ops svm_ops, vmx_ops;

static const struct hvm_ops *const back_ends[] = {[BOOT_VIRT_SVM] = &svm_ops, [BOOT_VIRT_VMX] = &vmx_ops};

const struct hvm_ops *hvm;
struct boot_cpu hvm_cpu;

void hvm_init(const struct boot_cpu *cpu)
{
    hvm_cpu = *cpu;
    hvm = back_ends[cpu->virt];
    log_info("virtualisation: %s", hvm->name);
}
