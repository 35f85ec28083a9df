/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/hvm.h"
#include "kernel/console/log.h"

extern const struct hvm_ops svm_ops, vmx_ops;

static const struct hvm_ops *const backends[] = {&svm_ops, &vmx_ops};

const struct hvm_ops *hvm;

int hvm_init(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(backends); i++) {
        const char *why;

        if (backends[i]->supported(&why)) {
            hvm = backends[i];
            log_info("virtualisation: %s", hvm->name);
            return 0;
        }
        log_info("virtualisation: not %s: %s", backends[i]->name, why);
    }
    return -ENODEV;
}
