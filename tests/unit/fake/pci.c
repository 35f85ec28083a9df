/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/pci/pci.h over functions made by the test: fake_pci_add() gives one with 4 KiB of configuration
 * space that is plain memory. fake_pci_wr, if set, sees each write after it has been done. Include once,
 * before the file under test.
 */
#include "kernel/pci/pci.h"
#include "boot/pci_regs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_pci {
    struct boot_pci is;
    struct boot_shown shown;
    uint8_t cfg[4096];
    struct pci_dev dev;  /* not of VFs, which stand in the array of their PF */
    struct pci_dev *vfs; /* that array, to be given back */
};

static struct pci_dev *fake_pci_first __attribute__((unused));
static void (*fake_pci_wr)(const struct pci_dev *d, unsigned off, unsigned size, uint32_t v)
    __attribute__((unused));
static int fake_pci_reset_rc __attribute__((unused));
static unsigned fake_pci_resets __attribute__((unused)); /* resets asked for */
static bool fake_pci_in_reset __attribute__((unused));   /* the last one's end has not been seen */

static inline struct fake_pci *fake_pci_of(const struct pci_dev *d)
{
    return (struct fake_pci *)(uintptr_t)d->is;
}

static inline struct fake_pci *fake_pci_add_as(struct pci_dev *d, rid_t rid_, uint16_t vendor,
                                               uint16_t device)
{
    struct fake_pci *f = calloc(1, sizeof(*f));
    struct pci_dev **last = &fake_pci_first;

    if (!d)
        d = &f->dev;
    f->is.rid = f->is.pf = rid_.id;
    f->is.vendor = vendor;
    f->is.device = device;
    d->is = &f->is;
    d->shown = &f->shown;
    d->rid = rid_;
    memcpy(f->cfg, &vendor, 2);
    memcpy(f->cfg + 2, &device, 2);
    while (*last)
        last = &(*last)->next;
    *last = d;
    return f;
}

/* Fills in the ids of the configuration space too; the caller sets what else it needs. */
static inline struct fake_pci *fake_pci_add(rid_t rid_, uint16_t vendor, uint16_t device)
{
    return fake_pci_add_as(NULL, rid_, vendor, device);
}

static inline void fake_pci_free_all(void)
{
    struct pci_dev *arrays[16] = {NULL};
    unsigned n = 0;

    while (fake_pci_first) {
        struct fake_pci *f = fake_pci_of(fake_pci_first);

        fake_pci_first = fake_pci_first->next;
        if (f->vfs)
            arrays[n++] = f->vfs;
        free(f);
    }
    while (n)
        free(arrays[--n]);
}

int pci_init(const struct bootinfo *bi)
{
    (void)bi;
    return 0;
}

struct pci_dev *pci_first(void)
{
    return fake_pci_first;
}

struct pci_dev *pci_find(rid_t r)
{
    struct pci_dev *d = fake_pci_first;

    while (d && d->rid.id != r.id)
        d = d->next;
    return d;
}

#define FAKE_PCI_ACCESS(bits)                                                                                \
    uint##bits##_t pci_read##bits(const struct pci_dev *d, unsigned off)                                     \
    {                                                                                                        \
        uint##bits##_t v;                                                                                    \
                                                                                                             \
        memcpy(&v, fake_pci_of(d)->cfg + off, sizeof(v));                                                    \
        return v;                                                                                            \
    }                                                                                                        \
    void pci_write##bits(const struct pci_dev *d, unsigned off, uint##bits##_t v)                            \
    {                                                                                                        \
        memcpy(fake_pci_of(d)->cfg + off, &v, sizeof(v));                                                    \
        if (fake_pci_wr)                                                                                     \
            fake_pci_wr(d, off, sizeof(v), v);                                                               \
    }
FAKE_PCI_ACCESS(16)
FAKE_PCI_ACCESS(32)

char *pci_name(rid_t r, char buf[PCI_NAME_LEN])
{
    snprintf(buf, PCI_NAME_LEN, "%02x:%02x.%x", r.id >> 8 & 0xff, r.id >> 3 & 0x1f, r.id & 7);
    return buf;
}

int pci_reset_start(struct pci_dev *d)
{
    fake_pci_resets++;
    d->reset_ns = 1;
    fake_pci_in_reset = true;
    return 0;
}

/* 0, -EAGAIN or -ETIMEDOUT, as the test has said. */
int pci_reset_finish(struct pci_dev *d)
{
    fake_pci_in_reset &= fake_pci_reset_rc != 0;
    return d->reset_ns ? fake_pci_reset_rc : 0;
}

int pci_reset_wait(struct pci_dev *d)
{
    return pci_reset_finish(d);
}

/* VFs as the 82576 has them: offset 0x80, stride 2, one memory BAR of 16 KiB at 0 and one at 3. */
static inline void fake_pci_add_vfs(struct pci_dev *pf, unsigned n)
{
    pf->vf = fake_pci_of(pf)->vfs = calloc(n, sizeof(pf->vf[0]));
    fake_pci_of(pf)->is.num_vfs = (uint16_t)n;
    for (unsigned i = 0; i < n; i++) {
        struct fake_pci *f =
            fake_pci_add_as(&pf->vf[i], (rid_t){pf->rid.id + 0x80 + 2 * i}, pf->is->vendor, 0x10ca);

        f->is.pf = pf->rid.id;
        f->is.bar[0] = (struct boot_bar){0xe0000000 + i * 0x4000, 0x4000, 0, 1};
        f->is.bar[3] = (struct boot_bar){0xe0100000 + i * 0x4000, 0x4000, 0, 1};
    }
}
