/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/config.h"
#include <ini.h>
#include <string.h>

enum section_kind { SECTION_GLOBAL, SECTION_NIC, SECTION_GUEST };

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
};

struct parser {
    struct config *cfg;
    struct boot_error *err;
    struct section section[SECTIONS_MAX];
    unsigned nsections;
    unsigned line;         /* of the key being read */
    const struct key *key; /* the key being read */
};

static const char *const kind_name[] = {"global", "nic", "guest"};

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

/* A value is wrong: says so with its first characters, and what the key takes. */
static bool bad_value(struct parser *p, const char *value, const char *why)
{
    char shown[41];
    bool whole = text_copy(shown, sizeof(shown), value);

    return config_error(p->cfg, p->err, p->line, p->key->name, "\"%s%s\" %s, accepted: %s", shown,
                        whole ? "" : "...", why, p->key->accepted);
}

/* --- values --------------------------------------------------------------------------------------------- */

static const char *skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

static bool at_end_of_word(const char *s)
{
    return !*s || *s == ' ' || *s == '\t';
}

/* Moves *s behind `word` if that is what stands there. */
static bool take(const char **s, const char *word)
{
    size_t n = strlen(word);

    if (memcmp(*s, word, n < strlen(*s) ? n : strlen(*s)) != 0 || strlen(*s) < n)
        return false;
    *s += n;
    return true;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static bool name_valid(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if (!name_char(s[i]))
            return false;
    return n > 0 && n < BOOT_NAME_MAX;
}

/* One of the words in a list that ends with NULL; its position, or -1. */
static int which(const char *value, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (text_equal(value, words[i]))
            return i;
    return -1;
}

static bool set_console(struct parser *p, unsigned index, const char *value)
{
    uint64_t port = 0;

    (void)index;
    if (text_equal(value, "com1"))
        port = 0x3f8;
    else if (text_equal(value, "com2"))
        port = 0x2f8;
    else if (value[0] != '0' || !text_number_all(value, 0xfff8, &port) || port < 0x100)
        return bad_value(p, value, "is no serial port");
    p->cfg->boot.console_port = (uint16_t)port;
    return true;
}

static bool set_loglevel(struct parser *p, unsigned index, const char *value)
{
    static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
    int level = which(value, levels);

    (void)index;
    if (level < 0)
        return bad_value(p, value, "is no log level");
    p->cfg->boot.loglevel = (uint16_t)level;
    return true;
}

/* [SEGMENT:]BUS:DEVICE.FUNCTION in hexadecimal, as lspci prints it. */
static bool parse_rid(const char *s, uint32_t *rid)
{
    uint64_t part[3], segment = 0, function;
    const char *t = s;

    if (!text_number(&t, 16, 0xffff, &part[0]) || *t++ != ':' || !text_number(&t, 16, 0xff, &part[1]))
        return false;
    if (*t == ':') {
        t++;
        segment = part[0];
        part[0] = part[1];
        if (!text_number(&t, 16, 0x1f, &part[1]))
            return false;
    }
    if (part[0] > 0xff || part[1] > 0x1f || *t++ != '.' || !text_number(&t, 16, 7, &function) || *t)
        return false;
    *rid = (uint32_t)(segment << 16 | part[0] << 8 | part[1] << 3 | function);
    return true;
}

static bool set_pf(struct parser *p, unsigned index, const char *value)
{
    if (!parse_rid(value, &p->cfg->boot.nic[index].rid))
        return bad_value(p, value, "is no PCI address");
    for (unsigned i = 0; i < p->cfg->boot.nnics; i++)
        if (i != index && p->cfg->nic[i].key_line[NIC_PF] &&
            p->cfg->boot.nic[i].rid == p->cfg->boot.nic[index].rid)
            return config_error(p->cfg, p->err, p->line, "pf",
                                "is already [nic %s], accepted: one section for each PF",
                                p->cfg->boot.nic[i].name);
    return true;
}

/* A station's own address: not multicast (IEEE 802 bit 0 of the first octet), not all zero. */
static bool check_mac(struct parser *p, const char *value, const uint8_t mac[6])
{
    static const uint8_t zero[6];

    if (mac[0] & 1)
        return bad_value(p, value, "is a multicast address");
    if (memcmp(mac, zero, 6) == 0)
        return bad_value(p, value, "is all zero");
    return true;
}

/*
 * False, with a message, if the address is another NIC's or VF's. `nic` is the asking NIC, or BOOT_NICS_MAX.
 */
static bool mac_free(struct parser *p, const uint8_t mac[6], unsigned nic)
{
    const struct boot_config *b = &p->cfg->boot;

    for (unsigned i = 0; i < b->nnics; i++)
        if (i != nic && p->cfg->nic[i].key_line[NIC_MAC] && memcmp(p->cfg->nic[i].mac, mac, 6) == 0)
            return config_error(p->cfg, p->err, p->line, p->key->name,
                                "this MAC is already that of [nic %s], accepted: each address once",
                                b->nic[i].name);
    for (unsigned g = 0; g < b->nguests; g++)
        for (unsigned i = 0; i < b->guest[g].nvfs; i++)
            if (memcmp(b->guest[g].vf[i].mac, mac, 6) == 0)
                return config_error(p->cfg, p->err, p->line, p->key->name,
                                    "this MAC is already given to [guest %s], accepted: each address once",
                                    b->guest[g].name);
    return true;
}

static bool set_nic_mac(struct parser *p, unsigned index, const char *value)
{
    uint8_t *mac = p->cfg->nic[index].mac;
    const char *s = value;

    if (!text_mac(&s, mac) || *s)
        return bad_value(p, value, "is no MAC address");
    return check_mac(p, value, mac) && mac_free(p, mac, index);
}

static bool set_vfs(struct parser *p, unsigned index, const char *value)
{
    uint64_t n;

    if (!text_number_all(value, 256, &n))
        return bad_value(p, value, "is no number of VFs");
    p->cfg->boot.nic[index].vfs = (uint16_t)n;
    return true;
}

static bool set_mode(struct parser *p, unsigned index, const char *value)
{
    static const char *const modes[] = {"veb", "vepa", NULL};
    int mode = which(value, modes);

    if (mode < 0)
        return bad_value(p, value, "is no mode of the NIC's switch");
    p->cfg->boot.nic[index].mode = (uint16_t)mode;
    return true;
}

/* a.b.c.d at *s, most significant octet first in the result. */
static bool take_ipv4(const char **s, uint32_t *ip)
{
    uint64_t octet;

    *ip = 0;
    for (unsigned i = 0; i < 4; i++) {
        if ((i && *(*s)++ != '.') || !text_number(s, 10, 255, &octet))
            return false;
        *ip = *ip << 8 | (uint32_t)octet;
    }
    return true;
}

/* An address that a host in that network can have. */
static bool host_address(uint32_t ip, uint32_t mask)
{
    uint32_t top = ip >> 24;

    return top != 0 && top != 127 && top < 224 && (ip & ~mask) != 0 && (ip | mask) != 0xffffffffu;
}

static bool set_ip(struct parser *p, unsigned index, const char *value)
{
    struct boot_nic *nic = &p->cfg->boot.nic[index];
    const char *s = value;
    uint32_t ip, mask, gateway = 0;
    uint64_t bits;

    if (text_equal(value, "dhcp"))
        return true;
    if (!take_ipv4(&s, &ip) || *s++ != '/' || !text_number(&s, 10, 30, &bits) || bits == 0 ||
        !at_end_of_word(s))
        return bad_value(p, value, "is no IPv4 address with a prefix length of 1 to 30");
    mask = ~(uint32_t)0 << (32 - bits);
    if (!host_address(ip, mask))
        return bad_value(p, value, "is no host's address");
    s = skip_blanks(s);
    if (take(&s, "gw=")) {
        if (!take_ipv4(&s, &gateway) || !at_end_of_word(s))
            return bad_value(p, value, "has a gateway that is no IPv4 address");
        if (((gateway ^ ip) & mask) != 0 || gateway == ip || !host_address(gateway, mask))
            return bad_value(p, value, "has a gateway that is not another host of the same network");
    }
    if (*skip_blanks(s))
        return bad_value(p, value, "goes on after the address");
    nic->ip = __builtin_bswap32(ip);
    nic->netmask = __builtin_bswap32(mask);
    nic->gateway = __builtin_bswap32(gateway);
    return true;
}

/* A name that stays in the configuration's folder and that FAT can hold. */
static bool set_file(struct parser *p, char dst[CONFIG_FILE_MAX], const char *value)
{
    const char *part = value;

    if (!text_copy(dst, CONFIG_FILE_MAX, value))
        return bad_value(p, value, "is longer than 127 characters");
    for (const char *s = value;; s++) {
        if (*s && ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e || strchr("\\:*?\"<>|", *s)))
            return bad_value(p, value, "has a character that a file name on the EFI partition cannot have");
        if (*s && *s != '/')
            continue;
        if (s == part || (s - part == 1 && part[0] == '.') ||
            (s - part == 2 && part[0] == '.' && part[1] == '.'))
            return bad_value(p, value, "leaves the folder, or has an empty part");
        if (!*s)
            return true;
        part = s + 1;
    }
}

static bool set_kernel(struct parser *p, unsigned index, const char *value)
{
    return set_file(p, p->cfg->guest[index].kernel, value);
}

static bool set_initrd(struct parser *p, unsigned index, const char *value)
{
    return set_file(p, p->cfg->guest[index].initrd, value);
}

static bool set_cmdline(struct parser *p, unsigned index, const char *value)
{
    if (!text_copy(p->cfg->boot.guest[index].cmdline, BOOT_CMDLINE_MAX, value))
        return bad_value(p, value, "is too long");
    return true;
}

static bool set_memory(struct parser *p, unsigned index, const char *value)
{
    const char *s = value;
    uint64_t n;
    unsigned shift = 0;

    if (!text_number(&s, 10, (uint64_t)1 << 40, &n))
        return bad_value(p, value, "is no size");
    if (*s == 'K' || *s == 'k')
        shift = 10;
    else if (*s == 'M' || *s == 'm')
        shift = 20;
    else if (*s == 'G' || *s == 'g')
        shift = 30;
    if (s[shift ? 1 : 0])
        return bad_value(p, value, "is no size");
    if (n == 0 || n > (uint64_t)1 << (40 - shift) || ((n << shift) & 0x1fffff) != 0)
        return bad_value(p, value, "is out of range or not a multiple of 2M");
    p->cfg->boot.guest[index].memory = n << shift;
    return true;
}

static bool set_vcpus(struct parser *p, unsigned index, const char *value)
{
    uint64_t n;

    if (!text_number_all(value, CONFIG_VCPUS, &n) || n == 0)
        return bad_value(p, value, "is no number of virtual CPUs");
    p->cfg->boot.guest[index].vcpus = (uint32_t)n;
    return true;
}

static bool set_cpus(struct parser *p, unsigned index, const char *value)
{
    const char *s = value;
    uint64_t first, last, mask = 0;

    do {
        s = skip_blanks(s);
        if (!text_number(&s, 10, CONFIG_CPUS - 1, &first))
            return bad_value(p, value, "is no list of CPUs");
        last = first;
        if (*s == '-') {
            s++;
            if (!text_number(&s, 10, CONFIG_CPUS - 1, &last) || last < first)
                return bad_value(p, value, "has a range that is none");
        }
        mask |= (~(uint64_t)0 >> (63 - last)) & (~(uint64_t)0 << first);
        s = skip_blanks(s);
    } while (*s++ == ',');
    if (s[-1])
        return bad_value(p, value, "is no list of CPUs");
    p->cfg->boot.guest[index].cpus = mask;
    return true;
}

/* The options behind NIC/INDEX. */
static bool take_vf_options(struct parser *p, const char *value, const char *s, struct boot_vf *vf)
{
    bool mac = false;
    uint64_t vlan;

    for (s = skip_blanks(s); *s; s = skip_blanks(s)) {
        if (!mac && take(&s, "mac=")) {
            if (!text_mac(&s, vf->mac) || !at_end_of_word(s))
                return bad_value(p, value, "has a MAC address that is none");
            mac = true;
        } else if (!vf->vlan && take(&s, "vlan=")) {
            if (!text_number(&s, 10, 4094, &vlan) || !vlan || !at_end_of_word(s))
                return bad_value(p, value, "has a VLAN that is not 1 to 4094");
            vf->vlan = (uint16_t)vlan;
        } else {
            return bad_value(p, value, "has an option that is unknown or given twice");
        }
    }
    return !mac || (check_mac(p, value, vf->mac) && mac_free(p, vf->mac, BOOT_NICS_MAX));
}

static bool set_vf(struct parser *p, unsigned index, const char *value)
{
    struct boot_guest *b = &p->cfg->boot.guest[index];
    struct config_guest *g = &p->cfg->guest[index];
    struct boot_vf vf = {0};
    const char *s = value;
    uint64_t number;
    size_t n = 0;

    if (b->nvfs == BOOT_GUEST_VFS)
        return config_error(p->cfg, p->err, p->line, "vf",
                            "one VF too many, accepted: at most %u for each guest", BOOT_GUEST_VFS);
    while (name_char(value[n]))
        n++;
    s += n;
    if (n == 0 || n >= BOOT_NAME_MAX || *s++ != '/' || !text_number(&s, 10, 255, &number) ||
        !at_end_of_word(s))
        return bad_value(p, value, "does not begin with NIC/INDEX");
    if (!take_vf_options(p, value, s, &vf))
        return false;
    memcpy(g->vf_nic[b->nvfs], value, n);
    g->vf_nic[b->nvfs][n] = 0;
    g->vf_line[b->nvfs] = p->line;
    vf.index = (uint16_t)number;
    b->vf[b->nvfs++] = vf;
    return true;
}

static bool set_on_crash(struct parser *p, unsigned index, const char *value)
{
    static const char *const words[] = {"restart", "stop", NULL};
    int word = which(value, words);

    if (word < 0)
        return bad_value(p, value, "is not known");
    p->cfg->boot.guest[index].on_crash = (uint32_t)word;
    return true;
}

/* --- keys ----------------------------------------------------------------------------------------------- */

static const struct key global_keys[GLOBAL_KEYS] = {
    [GLOBAL_CONSOLE] = {"console", set_console, "com1, com2, or a port from 0x100 to 0xfff8"},
    [GLOBAL_LOGLEVEL] = {"loglevel", set_loglevel, "error, warn, info, debug"},
};

static const struct key nic_keys[NIC_KEYS] = {
    [NIC_PF] = {"pf", set_pf, "BUS:DEVICE.FUNCTION in hexadecimal, such as 00:05.0"},
    [NIC_MAC] = {"mac", set_nic_mac, "a unicast address such as 52:54:00:12:34:56"},
    [NIC_VFS] = {"vfs", set_vfs, "0 to 256, and no more than the NIC has"},
    [NIC_MODE] = {"mode", set_mode, "veb, vepa"},
    [NIC_IP] = {"ip", set_ip, "dhcp, or such as 10.0.2.15/24 gw=10.0.2.2"},
};

#define FILE_ACCEPTED "a file in the configuration's folder or below, such as guest/vmlinuz"

static const struct key guest_keys[GUEST_KEYS] = {
    [GUEST_KERNEL] = {"kernel", set_kernel, FILE_ACCEPTED},
    [GUEST_INITRD] = {"initrd", set_initrd, FILE_ACCEPTED},
    [GUEST_CMDLINE] = {"cmdline", set_cmdline, "at most 1023 characters"},
    [GUEST_MEMORY] = {"memory", set_memory, "2M to 1024G in steps of 2M, such as 256M"},
    [GUEST_VCPUS] = {"vcpus", set_vcpus, "1 to 16"},
    [GUEST_CPUS] = {"cpus", set_cpus, "CPU numbers from 0 to 63, such as 1-3,5"},
    [GUEST_VF] = {"vf", set_vf,
                  "NIC/INDEX [mac=ADDRESS] [vlan=1..4094], such as lan0/0 mac=02:00:00:00:00:01"},
    [GUEST_ON_CRASH] = {"on_crash", set_on_crash, "restart, stop"},
};

static const struct {
    const struct key *key;
    unsigned n;
} keys_of[] = {{global_keys, GLOBAL_KEYS}, {nic_keys, NIC_KEYS}, {guest_keys, GUEST_KEYS}};

/* The row whose name is the fewest editing steps away. */
static unsigned nearest_key(enum section_kind kind, const char *name)
{
    unsigned best = 0;

    for (unsigned i = 1; i < keys_of[kind].n; i++)
        if (text_distance(name, keys_of[kind].key[i].name) <
            text_distance(name, keys_of[kind].key[best].name))
            best = i;
    return best;
}

static bool unknown_key(struct parser *p, enum section_kind kind, const char *name)
{
    const struct key *k = keys_of[kind].key;
    char list[128], shown[41];
    size_t n = 0;

    text_copy(shown, sizeof(shown), name);
    for (unsigned i = 0; i < keys_of[kind].n; i++)
        n += text_format(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", k[i].name);
    return config_error(p->cfg, p->err, p->line, shown,
                        "unknown key in a [%s] section, did you mean %s? accepted: %s", kind_name[kind],
                        k[nearest_key(kind, name)].name, list);
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
    const struct key *k = keys_of[s->kind].key;
    unsigned *seen = key_lines(p->cfg, s), i = 0;

    while (i < keys_of[s->kind].n && !text_equal(name, k[i].name))
        i++;
    if (i == keys_of[s->kind].n)
        return unknown_key(p, s->kind, name);
    p->key = &k[i];
    if (seen[i] && k[i].set != set_vf)
        return config_error(p->cfg, p->err, p->line, name, "given twice, first in line %u, accepted: once",
                            seen[i]);
    if (!*value && k[i].set != set_cmdline)
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

/* --- the first pass: bytes, lines, section headers ------------------------------------------------------ */

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
    if (take(&name, "nic") && at_end_of_word(name) && *name)
        kind = SECTION_NIC;
    else if (name = inside, take(&name, "guest") && at_end_of_word(name) && *name)
        kind = SECTION_GUEST;
    else if (!text_equal(inside, "global"))
        return header_error(p, shown, "unknown section");
    name = skip_blanks(name);
    if (kind != SECTION_GLOBAL && !name_valid(name))
        return config_error(cfg, p->err, p->line, shown,
                            "bad name, accepted: 1 to %u letters, digits, '-', '_' or '.'",
                            BOOT_NAME_MAX - 1);
    if (kind == SECTION_GUEST && text_equal(name, "iodom"))
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

    for (s = skip_blanks(s + 1); s < end && *s != ']'; s++) {
        if (n == sizeof(inside) - 1)
            return header_error(p, "[...]", "section name too long");
        inside[n++] = *s;
    }
    if (s == end)
        return header_error(p, "[", "no closing bracket");
    while (n && (inside[n - 1] == ' ' || inside[n - 1] == '\t'))
        n--;
    inside[n] = 0;
    s = skip_blanks(s + 1);
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
        s = skip_blanks(text);
        if (s < eol && *s == '[' && !check_header_line(p, s, eol))
            return false;
        text = eol + 1;
    }
    return true;
}

/* --- after the last line: what must be there, and what must fit together -------------------------------- */

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
    return true;
}

static bool guest_is_whole(struct parser *p, unsigned g)
{
    static const enum config_guest_key needed[] = {GUEST_KERNEL, GUEST_MEMORY};
    const struct config_guest *c = &p->cfg->guest[g];

    for (unsigned i = 0; i < 2; i++)
        if (!c->key_line[needed[i]])
            return config_error(p->cfg, p->err, c->line, guest_keys[needed[i]].name,
                                "missing in [guest %s], accepted: %s", p->cfg->boot.guest[g].name,
                                guest_keys[needed[i]].accepted);
    for (unsigned i = 0; i < p->cfg->boot.guest[g].nvfs; i++)
        if (!vf_is_whole(p, g, i))
            return false;
    return true;
}

static bool check_whole(struct parser *p)
{
    const struct boot_config *b = &p->cfg->boot;

    if (b->nnics + b->nguests == 0)
        return config_error(
            p->cfg, p->err, 1, "[guest NAME]",
            "nothing is configured, accepted: at least one [guest NAME] or [nic NAME] section");
    for (unsigned i = 0; i < b->nnics; i++)
        if (!nic_is_whole(p, i))
            return false;
    for (unsigned g = 0; g < b->nguests; g++)
        if (!guest_is_whole(p, g))
            return false;
    return true;
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
