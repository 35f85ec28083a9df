/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lastmile.cfg from any bytes: either one line that says what is wrong, or a configuration whose every field
 * keeps what boot/bootinfo.h promises.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake/inih.c"

#include "boot/config.c"
#include "boot/config_keys.c"
#include "boot/text.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void must_be_sound(const struct config *cfg, unsigned g)
{
    const struct boot_guest *b = &cfg->boot.guest[g];

    must(b->name[0] && strlen(b->name) < BOOT_NAME_MAX, "guest name");
    must(strlen(cfg->guest[g].cmdline) < CONFIG_CMDLINE_MAX, "cmdline");
    must(b->memory && b->memory % (2 << 20) == 0 && b->memory <= (uint64_t)1 << 40, "memory");
    must(b->vcpus >= 1 && b->vcpus <= BOOT_VCPUS_MAX, "vcpus");
    must(b->on_crash <= BOOT_CRASH_STOP, "on_crash");
    must(b->on_fault <= BOOT_FAULT_STOP, "on_fault");
    must(b->nvfs <= BOOT_GUEST_VFS, "number of VFs");
    must(b->nfunctions <= BOOT_GUEST_FUNCTIONS, "number of devices");
    must(cfg->guest[g].kernel[0] && cfg->guest[g].kernel[0] != '/' && !strstr(cfg->guest[g].kernel, "../"),
         "kernel");
    must(strlen(cfg->guest[g].initrd) < CONFIG_FILE_MAX, "initrd");
    for (unsigned i = 0; i < b->nvfs; i++) {
        must(b->vf[i].nic < cfg->boot.nnics && b->vf[i].index < cfg->boot.nic[b->vf[i].nic].vfs, "VF");
        must(!(b->vf[i].mac[0] & 1) && b->vf[i].vlan <= 4094, "MAC or VLAN");
        must(b->vf[i].on_fault <= BOOT_FAULT_STOP, "on_fault of a VF");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config cfg;
    struct boot_error err;
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = 0;
    if (!config_parse(&cfg, "fuzz.cfg", text, size, &err)) {
        must(strncmp(err.text, "fuzz.cfg:", 9) == 0 && strlen(err.text) < sizeof(err.text), "no message");
        must(!strchr(err.text, '\n') && strstr(err.text, "accepted: "), "the message's form");
    } else {
        must(cfg.boot.nnics <= BOOT_NICS_MAX && cfg.boot.nguests <= BOOT_GUESTS_MAX, "counts");
        must(cfg.boot.loglevel <= 3 && cfg.boot.console_port >= 0x100, "[global]");
        for (unsigned g = 0; g < cfg.boot.nguests; g++)
            must_be_sound(&cfg, g);
    }
    free(text);
    return 0;
}
