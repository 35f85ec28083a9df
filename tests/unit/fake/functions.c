/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Modelled PCI functions: each has 4 KiB of configuration space that is plain memory, and an id that the test gives it. CONFIG_ACCESS()
 * makes the functions of configuration access over them that the file under test calls: ones where no function is, writes lost.
 */
#include "tests/unit/test.h"

struct model {
    uint32_t rid;
    bool hidden, dies_at_flr;
    uint8_t cfg[4096];
    uint32_t bar_bits[2][6]; /* writable bits of BARs and VF BARs */
    unsigned vfs_made, resets;
};

static struct model models[600];
static unsigned model_count;

/* All zero but for its id. */
static struct model *model_add(uint32_t rid)
{
    struct model *m = &models[model_count++];

    memset(m, 0, sizeof(*m));
    m->rid = rid;
    return m;
}

static struct model *model_at(uint32_t rid)
{
    for (unsigned i = 0; i < model_count; i++)
        if (models[i].rid == rid && !models[i].hidden)
            return &models[i];
    return NULL;
}

static void poke(struct model *m, unsigned off, unsigned size, uint32_t v)
{
    memcpy(m->cfg + off, &v, size);
}

static uint32_t peek(struct model *m, unsigned off, unsigned size)
{
    uint32_t v = 0;

    memcpy(&v, m->cfg + off, size);
    return v;
}

/* The function for an access that must be within it, or NULL. */
static struct model *model_for(uint32_t rid, unsigned off, unsigned size)
{
    CHECK(off % size == 0 && off + size <= 4096);
    return model_at(rid);
}

/* `id`: the requester id of `who`. written(m, off, size, v) does what a write does to a model. */
#define CONFIG_ACCESS(bits, who, id, written)                                                                \
    uint##bits##_t pci_read##bits(who, unsigned off)                                                         \
    {                                                                                                        \
        struct model *m = model_for(id, off, bits / 8);                                                      \
                                                                                                             \
        return (uint##bits##_t)(m ? peek(m, off, bits / 8) : ~0u);                                           \
    }                                                                                                        \
    void pci_write##bits(who, unsigned off, uint##bits##_t v)                                                \
    {                                                                                                        \
        struct model *m = model_for(id, off, bits / 8);                                                      \
                                                                                                             \
        if (m)                                                                                               \
            written(m, off, bits / 8, v);                                                                    \
    }
