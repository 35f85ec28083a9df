/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/config_keys.h"
#include <ini.h>
#include <string.h>

bool config_error(const struct config *cfg, struct boot_error *err, unsigned line, const char *key,
                  const char *fmt, ...)
{
    size_t n = text_format(err->text, sizeof(err->text), "%s:%u: %s: ", cfg->file, line, key);
    va_list ap;

    va_start(ap, fmt);
    text_vformat(err->text + n, sizeof(err->text) - n, fmt, ap);
    va_end(ap);
    return false;
}

/* The row whose name is the fewest editing steps away. */
static unsigned nearest_key(enum section_kind kind, const char *name)
{
    unsigned best = 0;

    for (unsigned i = 1; i < config_keys[kind].n; i++)
        if (text_distance(name, config_keys[kind].key[i].name) <
            text_distance(name, config_keys[kind].key[best].name))
            best = i;
    return best;
}

static bool unknown_key(struct parser *p, enum section_kind kind, const char *name)
{
    const struct key *k = config_keys[kind].key;
    char list[128], shown[41];
    size_t n = 0;

    text_copy(shown, sizeof(shown), name);
    for (unsigned i = 0; i < config_keys[kind].n; i++)
        n += text_format(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", k[i].name);
    return config_error(p->cfg, p->err, p->line, shown,
                        "unknown key in a [%s] section, did you mean %s? accepted: %s",
                        config_keys[kind].section, k[nearest_key(kind, name)].name, list);
}

static unsigned *key_lines(struct config *cfg, const struct section *s)
{
    switch (s->kind) {
    case SECTION_NIC:
        return cfg->nic[s->index].key_line;
    case SECTION_GUEST:
        return cfg->guest[s->index].key_line;
    default:
        return cfg->global_key_line;
    }
}

static bool set_key(struct parser *p, const struct section *s, const char *name, const char *value)
{
    const struct key *k = config_keys[s->kind].key;
    unsigned *seen = key_lines(p->cfg, s), i = 0;

    while (i < config_keys[s->kind].n && !text_equal(name, k[i].name))
        i++;
    if (i == config_keys[s->kind].n)
        return unknown_key(p, s->kind, name);
    p->key = &k[i];
    if (seen[i] && !k[i].repeated)
        return config_error(p->cfg, p->err, p->line, name, "given twice, first in line %u, accepted: once",
                            seen[i]);
    if (!*value && !k[i].may_be_empty)
        return config_error(p->cfg, p->err, p->line, name, "has no value, accepted: %s", k[i].accepted);
    if (!k[i].set(p, s->index, value))
        return false;
    seen[i] = p->line;
    return true;
}

/* inih's callback: 1 goes on, 0 stops. Which section a line belongs to is known from the first pass. */
static int on_key(void *user, const char *section, const char *name, const char *value, int line)
{
    struct parser *p = user;
    const struct section *s = NULL;

    (void)section;
    p->line = (unsigned)line;
    if (!name || !value)
        return 1;
    for (unsigned i = 0; i < p->nsections && p->section[i].line < p->line; i++)
        s = &p->section[i];
    if (!s) {
        char shown[41];

        text_copy(shown, sizeof(shown), name);
        return config_error(p->cfg, p->err, p->line, shown,
                            "stands before any section, accepted: [global], [nic NAME], [guest NAME]");
    }
    return set_key(p, s, name, value);
}

/* --- the first pass: bytes, lines, section headers --- */

static bool check_bytes(struct parser *p, const char *text, size_t size)
{
    unsigned line = 1;
    size_t start = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\t' && c != '\n' && !(c == '\r' && text[i + 1] == '\n')) || c == 0x7f)
            return config_error(p->cfg, p->err, line, "text",
                                "byte 0x%02x, accepted: plain text without control characters", c);
        if (c == '\n') {
            line++;
            start = i + 1;
        } else if (i - start >= CONFIG_LINE_MAX) {
            return config_error(p->cfg, p->err, line, "text",
                                "line too long, accepted: at most %u characters", CONFIG_LINE_MAX);
        }
    }
    return true;
}

static bool name_valid(const char *s)
{
    size_t n = config_name_length(s);

    return n > 0 && n < BOOT_NAME_MAX && !s[n];
}

static bool header_error(struct parser *p, const char *header, const char *why)
{
    return config_error(p->cfg, p->err, p->line, header, "%s, accepted: [global], [nic NAME], [guest NAME]",
                        why);
}

static bool same_name(const struct config *cfg, enum section_kind kind, const char *name)
{
    if (kind == SECTION_GLOBAL)
        return cfg->global_line != 0;
    for (unsigned i = 0; kind == SECTION_NIC && i < cfg->boot.nnics; i++)
        if (text_equal(cfg->boot.nic[i].name, name))
            return true;
    for (unsigned i = 0; kind == SECTION_GUEST && i < cfg->boot.nguests; i++)
        if (text_equal(cfg->boot.guest[i].name, name))
            return true;
    return false;
}

static void new_section(struct parser *p, enum section_kind kind, const char *name)
{
    struct config *cfg = p->cfg;
    struct section *s = &p->section[p->nsections++];

    *s = (struct section){p->line, kind, 0};
    if (kind == SECTION_NIC) {
        s->index = cfg->boot.nnics++;
        cfg->nic[s->index].line = p->line;
        text_copy(cfg->boot.nic[s->index].name, BOOT_NAME_MAX, name);
    } else if (kind == SECTION_GUEST) {
        s->index = cfg->boot.nguests++;
        cfg->guest[s->index].line = p->line;
        cfg->boot.guest[s->index].vcpus = 1;
        text_copy(cfg->boot.guest[s->index].name, BOOT_NAME_MAX, name);
    } else {
        cfg->global_line = p->line;
    }
}

/* `inside` is what stands between the brackets. */
static bool read_header(struct parser *p, const char *inside)
{
    const struct config *cfg = p->cfg;
    char shown[48];
    enum section_kind kind = SECTION_GLOBAL;
    const char *name = inside;

    text_format(shown, sizeof(shown), "[%s]", inside);
    if (text_take(&name, "nic") && text_word_ends(name) && *name)
        kind = SECTION_NIC;
    else if (name = inside, text_take(&name, "guest") && text_word_ends(name) && *name)
        kind = SECTION_GUEST;
    else if (!text_equal(inside, "global"))
        return header_error(p, shown, "unknown section");
    name = text_skip_blanks(name);
    if (kind != SECTION_GLOBAL && !name_valid(name))
        return config_error(cfg, p->err, p->line, shown,
                            "bad name, accepted: 1 to %u letters, digits, '-', '_' or '.'",
                            BOOT_NAME_MAX - 1);
    if (kind == SECTION_GUEST && text_equal(name, "iodomain"))
        return config_error(cfg, p->err, p->line, shown,
                            "this name is the I/O domain's, accepted: any other");
    if (same_name(cfg, kind, name))
        return config_error(cfg, p->err, p->line, shown, "given twice, accepted: each section once");
    if (kind == SECTION_NIC && cfg->boot.nnics == BOOT_NICS_MAX)
        return config_error(cfg, p->err, p->line, shown, "too many NICs, accepted: at most %u",
                            BOOT_NICS_MAX);
    if (kind == SECTION_GUEST && cfg->boot.nguests == BOOT_GUESTS_MAX)
        return config_error(cfg, p->err, p->line, shown, "too many guests, accepted: at most %u",
                            BOOT_GUESTS_MAX);
    new_section(p, kind, name);
    return true;
}

/* `s` .. `end` is one line whose first character that is not blank is '['. */
static bool check_header_line(struct parser *p, const char *s, const char *end)
{
    char inside[64];
    size_t n = 0;

    for (s = text_skip_blanks(s + 1); s < end && *s != ']'; s++) {
        if (n == sizeof(inside) - 1)
            return header_error(p, "[...]", "section name too long");
        inside[n++] = *s;
    }
    if (s == end)
        return header_error(p, "[", "no closing bracket");
    while (n && (inside[n - 1] == ' ' || inside[n - 1] == '\t'))
        n--;
    inside[n] = 0;
    s = text_skip_blanks(s + 1);
    if (s < end && *s != ';' && *s != '#' && *s != '\r')
        return header_error(p, "]", "text behind a section's bracket");
    return read_header(p, inside);
}

static bool find_sections(struct parser *p, const char *text, size_t size)
{
    const char *end = text + size;

    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; /* a byte order mark, which inih skips too */
    for (p->line = 1; text < end; p->line++) {
        const char *eol = text, *s;

        while (eol < end && *eol != '\n')
            eol++;
        s = text_skip_blanks(text);
        if (s < eol && *s == '[' && !check_header_line(p, s, eol))
            return false;
        text = eol + 1;
    }
    return true;
}

/* --- after the last line: what must be there, and what must fit together --- */

static bool nic_is_whole(struct parser *p, unsigned i)
{
    const struct config_nic *n = &p->cfg->nic[i];

    if (!n->key_line[NIC_PF] && !n->key_line[NIC_MAC])
        return config_error(p->cfg, p->err, n->line, "pf",
                            "missing in [nic %s], accepted: pf = %s or mac = ADDRESS",
                            p->cfg->boot.nic[i].name, "BUS:DEVICE.FUNCTION");
    if (n->key_line[NIC_PF] && n->key_line[NIC_MAC])
        return config_error(p->cfg, p->err, n->key_line[NIC_MAC], "mac",
                            "given together with pf, accepted: one of the two");
    return true;
}

static bool find_nic(struct parser *p, const char *name, uint16_t *index)
{
    const struct boot_config *b = &p->cfg->boot;
    unsigned best = 0;

    for (unsigned i = 0; i < b->nnics; i++) {
        if (text_distance(name, b->nic[i].name) < text_distance(name, b->nic[best].name))
            best = i;
        if (text_equal(name, b->nic[i].name)) {
            *index = (uint16_t)i;
            return true;
        }
    }
    if (!b->nnics)
        return config_error(p->cfg, p->err, p->line, "vf", "no [nic %s], accepted: a NIC that has a section",
                            name);
    return config_error(p->cfg, p->err, p->line, "vf",
                        "no [nic %s], did you mean %s? accepted: a NIC that has a section", name,
                        b->nic[best].name);
}

/* Is this VF one of the first `n` of guest `g`? */
static bool vf_among(const struct boot_guest *g, unsigned n, const struct boot_vf *vf)
{
    for (unsigned i = 0; i < n; i++)
        if (g->vf[i].nic == vf->nic && g->vf[i].index == vf->index)
            return true;
    return false;
}

static bool vf_is_whole(struct parser *p, unsigned g, unsigned i)
{
    struct boot_config *b = &p->cfg->boot;
    struct boot_vf *vf = &b->guest[g].vf[i];
    const char *nic = p->cfg->guest[g].vf_nic[i];

    p->line = p->cfg->guest[g].vf_line[i];
    if (!find_nic(p, nic, &vf->nic))
        return false;
    if (vf->index >= b->nic[vf->nic].vfs)
        return config_error(p->cfg, p->err, p->line, "vf",
                            "%s/%u is not among the NIC's VFs, accepted: an index under vfs = %u", nic,
                            vf->index, b->nic[vf->nic].vfs);
    for (unsigned h = 0; h <= g; h++)
        if (vf_among(&b->guest[h], h == g ? i : b->guest[h].nvfs, vf))
            return config_error(p->cfg, p->err, p->line, "vf",
                                "%s/%u is already given to [guest %s], accepted: each VF once", nic,
                                vf->index, b->guest[h].name);
    if (vf->on_fault == CONFIG_ON_FAULT_UNSAID)
        vf->on_fault = b->guest[g].on_fault;
    b->guest[g].nics |= 1u << vf->nic;
    return true;
}

static bool guest_is_whole(struct parser *p, unsigned g)
{
    static const enum config_guest_key needed[] = {GUEST_KERNEL, GUEST_MEMORY};
    const struct config_guest *c = &p->cfg->guest[g];

    for (unsigned i = 0; i < 2; i++)
        if (!c->key_line[needed[i]])
            return config_error(p->cfg, p->err, c->line, config_keys[SECTION_GUEST].key[needed[i]].name,
                                "missing in [guest %s], accepted: %s", p->cfg->boot.guest[g].name,
                                config_keys[SECTION_GUEST].key[needed[i]].accepted);
    for (unsigned i = 0; i < p->cfg->boot.guest[g].nvfs; i++)
        if (!vf_is_whole(p, g, i))
            return false;
    return true;
}

/* Each vCPU a CPU to itself; the first CPU has the hypervisor's own work. A guest without `cpus` may run anywhere. */
static bool has_own_cpus(const struct boot_config *b, const struct boot_guest *g)
{
    uint64_t left = g->cpus;
    uint32_t n = 0;

    for (const struct boot_guest *other = b->guest; other < b->guest + b->nguests; other++)
        if (other != g && (!other->cpus || (other->cpus & g->cpus)))
            return false;
    for (; left; left &= left - 1)
        n++;
    return n == g->vcpus && !(g->cpus & 1);
}

static bool check_whole(struct parser *p)
{
    struct boot_config *b = &p->cfg->boot;

    if (b->nnics + b->nguests == 0)
        return config_error(
            p->cfg, p->err, 1, "[guest NAME]",
            "nothing is configured, accepted: at least one [guest NAME] or [nic NAME] section");
    for (unsigned i = 0; i < b->nnics; i++)
        if (!nic_is_whole(p, i))
            return false;
    for (unsigned g = 0; g < b->nguests; g++) {
        if (!guest_is_whole(p, g))
            return false;
        b->guest[g].own_cpus = has_own_cpus(b, &b->guest[g]);
    }
    return true;
}

bool config_has_devices(const struct config *cfg)
{
    uint32_t devices = cfg->boot.nnics;

    for (unsigned g = 0; g < cfg->boot.nguests; g++)
        devices += cfg->boot.guest[g].nfunctions;
    return devices != 0;
}

bool config_parse(struct config *cfg, const char *file, const char *text, size_t size, struct boot_error *err)
{
    struct parser p = {.cfg = cfg, .err = err};
    int bad;

    memset(cfg, 0, sizeof(*cfg));
    err->text[0] = 0;
    cfg->file = file;
    cfg->boot.console_port = 0x3f8;
    cfg->boot.loglevel = 2;
    if (size > CONFIG_TEXT_MAX)
        return config_error(cfg, err, 1, "text", "%lu bytes, accepted: at most %u", (uint64_t)size,
                            CONFIG_TEXT_MAX);
    if (!check_bytes(&p, text, size) || !find_sections(&p, text, size))
        return false;
    bad = ini_parse_string(text, on_key, &p);
    if (err->text[0])
        return false;
    if (bad)
        return config_error(cfg, err, bad > 0 ? (unsigned)bad : 1, "text",
                            "neither a section nor KEY = VALUE, accepted: %s",
                            "[SECTION], KEY = VALUE, ; comment");
    return check_whole(&p);
}
