/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VM exits of a frame on a VF: sends `frames=` (default 1000) of them to itself through the NIC's switch,
 * polling, and counts the exits in between by the hypervisor's own counter.
 */
#include "tests/guest/lib/vf.h"
#include "vm/abi/hypercall.h"

#define PAYLOAD 64

static uint8_t header[14], out[PAYLOAD], in[4096] __attribute__((aligned(4096)));

int main(const char *cmdline)
{
    uint64_t frames = option(cmdline, "frames", 1000), got = 0;
    struct vf vf;

    if (!vf_find(&vf) || !vf_reset(&vf) || !vf_wait_link(&vf)) {
        print("bench: no VF\n");
        return 1;
    }
    vf_header(&vf, header);
    vf_start(&vf);
    int64_t empty = hypercall(HC_CYCLES, 0, 0, 0), before = hypercall(HC_CYCLES, 0, 0, 0);
    for (uint64_t i = 0; i < frames; i++) {
        vf_give(&vf, (uint64_t)in);
        vf_send(&vf, header, (uint64_t)out, PAYLOAD);
        got += vf_received(&vf) != 0;
    }
    int64_t after = hypercall(HC_CYCLES, 0, 0, 0);
    print("bench: vf-frames %lu received %lu exits %ld\n", frames, got, (after - before) - (before - empty));
    print("bench: done\n");
    return 0;
}
