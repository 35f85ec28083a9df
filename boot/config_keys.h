/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the two halves of the configuration's parser: config.c knows lines and sections, config_keys.c
 * knows keys and values.
 */
#pragma once

#include "boot/config.h"

enum section_kind { SECTION_GLOBAL, SECTION_NIC, SECTION_GUEST };

/* In boot_vf.on_fault until the whole of the guest is known. */
#define CONFIG_ON_FAULT_UNSAID UINT32_MAX

#define SECTIONS_MAX (1 + BOOT_NICS_MAX + BOOT_GUESTS_MAX)

struct section {
    unsigned line;
    enum section_kind kind;
    unsigned index; /* into boot.nic[] or boot.guest[] */
};

struct parser;

/* One key of a section: how it is set and what a message says it takes. */
struct key {
    const char *name;
    bool (*set)(struct parser *p, unsigned index, const char *value);
    const char *accepted;
    bool repeated, may_be_empty;
};

struct parser {
    struct config *cfg;
    struct boot_error *err;
    struct section section[SECTIONS_MAX];
    unsigned nsections;
    unsigned line;         /* of the key being read */
    const struct key *key; /* the key being read */
};

/* The keys of each kind of section, in the order of config.h's enums; by enum section_kind. */
struct config_keys {
    const char *section;
    const struct key *key;
    unsigned n;
};
extern const struct config_keys config_keys[];

/* How many characters at `s` can stand in the name of a NIC or a guest. */
size_t config_name_length(const char *s);
