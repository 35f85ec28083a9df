/* SPDX-License-Identifier: BSD-2-Clause */
/* What each key of lastmile.cfg takes: one function for each, and the tables that name them. */
#include "boot/config_keys.h"
#include <string.h>

/* A value is wrong: says so with its first characters, and what the key takes. */
static bool bad_value(struct parser *p, const char *value, const char *why)
{
    char shown[41];
    bool whole = text_copy(shown, sizeof(shown), value);

    return config_error(p->cfg, p->err, p->line, p->key->name, "\"%s%s\" %s, accepted: %s", shown,
                        whole ? "" : "...", why, p->key->accepted);
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

size_t config_name_length(const char *s)
{
    size_t n = 0;

    while (name_char(s[n]))
        n++;
    return n;
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
        !text_word_ends(s))
        return bad_value(p, value, "is no IPv4 address with a prefix length of 1 to 30");
    mask = ~(uint32_t)0 << (32 - bits);
    if (!host_address(ip, mask))
        return bad_value(p, value, "is no host's address");
    s = text_skip_blanks(s);
    if (text_take(&s, "gw=")) {
        if (!take_ipv4(&s, &gateway) || !text_word_ends(s))
            return bad_value(p, value, "has a gateway that is no IPv4 address");
        if (((gateway ^ ip) & mask) != 0 || gateway == ip || !host_address(gateway, mask))
            return bad_value(p, value, "has a gateway that is not another host of the same network");
    }
    if (*text_skip_blanks(s))
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
        /* "." and ".." among them; FAT drops a dot or a blank at the end of a name, so that two names would
         * be one. */
        if (s == part || s[-1] == '.' || s[-1] == ' ')
            return bad_value(p, value,
                             "leaves the folder, or has a part that is empty or ends with a dot or blank");
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
    if (!text_copy(p->cfg->guest[index].cmdline, CONFIG_CMDLINE_MAX, value))
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

    if (!text_number_all(value, BOOT_VCPUS_MAX, &n) || n == 0)
        return bad_value(p, value, "is no number of virtual CPUs");
    p->cfg->boot.guest[index].vcpus = (uint32_t)n;
    return true;
}

static bool set_cpus(struct parser *p, unsigned index, const char *value)
{
    const char *s = value;
    uint64_t first, last, mask = 0;

    do {
        s = text_skip_blanks(s);
        if (!text_number(&s, 10, CONFIG_CPUS - 1, &first))
            return bad_value(p, value, "is no list of CPUs");
        last = first;
        if (*s == '-') {
            s++;
            if (!text_number(&s, 10, CONFIG_CPUS - 1, &last) || last < first)
                return bad_value(p, value, "has a range that is none");
        }
        mask |= (~(uint64_t)0 >> (63 - last)) & (~(uint64_t)0 << first);
        s = text_skip_blanks(s);
    } while (*s++ == ',');
    if (s[-1])
        return bad_value(p, value, "is no list of CPUs");
    p->cfg->boot.guest[index].cpus = mask;
    return true;
}

/* A whole word at *s; moves *s behind it. */
static bool take_on_fault(const char **s, uint32_t *policy)
{
    static const char *const words[] = {
        [BOOT_FAULT_QUARANTINE] = "quarantine", [BOOT_FAULT_LOG] = "log", [BOOT_FAULT_STOP] = "stop"};

    for (unsigned i = 0; i < 3; i++)
        if (text_take(s, words[i])) {
            *policy = i;
            return text_word_ends(*s);
        }
    return false;
}

/* The options behind NIC/INDEX. */
static bool take_vf_options(struct parser *p, const char *value, const char *s, struct boot_vf *vf)
{
    bool mac = false;
    uint64_t vlan;

    for (s = text_skip_blanks(s); *s; s = text_skip_blanks(s)) {
        if (!mac && text_take(&s, "mac=")) {
            if (!text_mac(&s, vf->mac) || !text_word_ends(s))
                return bad_value(p, value, "has a MAC address that is none");
            mac = true;
        } else if (!vf->vlan && text_take(&s, "vlan=")) {
            if (!text_number(&s, 10, 4094, &vlan) || !vlan || !text_word_ends(s))
                return bad_value(p, value, "has a VLAN that is not 1 to 4094");
            vf->vlan = (uint16_t)vlan;
        } else if (vf->on_fault == CONFIG_ON_FAULT_UNSAID && text_take(&s, "on_fault=")) {
            if (!take_on_fault(&s, &vf->on_fault))
                return bad_value(p, value, "has an on_fault that is not known");
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
    struct boot_vf vf = {.on_fault = CONFIG_ON_FAULT_UNSAID};
    const char *s = value;
    uint64_t number;
    size_t n;

    if (b->nvfs == BOOT_GUEST_VFS)
        return config_error(p->cfg, p->err, p->line, "vf",
                            "one VF too many, accepted: at most %u for each guest", BOOT_GUEST_VFS);
    n = config_name_length(value);
    s += n;
    if (n == 0 || n >= BOOT_NAME_MAX || *s++ != '/' || !text_number(&s, 10, 255, &number) ||
        !text_word_ends(s))
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

static bool set_device(struct parser *p, unsigned index, const char *value)
{
    struct boot_guest *b = &p->cfg->boot.guest[index];
    uint32_t rid;

    if (!parse_rid(value, &rid))
        return bad_value(p, value, "is no PCI address");
    if (b->nfunctions == BOOT_GUEST_FUNCTIONS)
        return config_error(p->cfg, p->err, p->line, "device",
                            "one device too many, accepted: at most %u for each guest", BOOT_GUEST_FUNCTIONS);
    for (unsigned g = 0; g < p->cfg->boot.nguests; g++)
        for (unsigned i = 0; i < p->cfg->boot.guest[g].nfunctions; i++)
            if (p->cfg->boot.guest[g].function[i].rid == rid)
                return config_error(p->cfg, p->err, p->line, "device",
                                    "is already given to [guest %s], accepted: each device once",
                                    p->cfg->boot.guest[g].name);
    p->cfg->guest[index].device_line[b->nfunctions] = p->line;
    b->function[b->nfunctions++].rid = rid;
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

static bool set_on_fault(struct parser *p, unsigned index, const char *value)
{
    const char *s = value;

    return (take_on_fault(&s, &p->cfg->boot.guest[index].on_fault) && !*s) ||
           bad_value(p, value, "is not known");
}

static const struct key global_keys[GLOBAL_KEYS] = {
    [GLOBAL_CONSOLE] = {.name = "console",
                        .set = set_console,
                        .accepted = "com1, com2, or a port from 0x100 to 0xfff8"},
    [GLOBAL_LOGLEVEL] = {.name = "loglevel", .set = set_loglevel, .accepted = "error, warn, info, debug"},
};

static const struct key nic_keys[NIC_KEYS] = {
    [NIC_PF] = {.name = "pf",
                .set = set_pf,
                .accepted = "BUS:DEVICE.FUNCTION in hexadecimal, such as 00:05.0"},
    [NIC_MAC] = {.name = "mac",
                 .set = set_nic_mac,
                 .accepted = "a unicast address such as 52:54:00:12:34:56"},
    [NIC_VFS] = {.name = "vfs", .set = set_vfs, .accepted = "0 to 256, and no more than the NIC has"},
    [NIC_MODE] = {.name = "mode", .set = set_mode, .accepted = "veb, vepa"},
    [NIC_IP] = {.name = "ip", .set = set_ip, .accepted = "dhcp, or such as 10.0.2.15/24 gw=10.0.2.2"},
};

#define FILE_ACCEPTED "a file in the configuration's folder or below, such as guest/vmlinuz"

static const struct key guest_keys[GUEST_KEYS] = {
    [GUEST_KERNEL] = {.name = "kernel", .set = set_kernel, .accepted = FILE_ACCEPTED},
    [GUEST_INITRD] = {.name = "initrd", .set = set_initrd, .accepted = FILE_ACCEPTED},
    [GUEST_CMDLINE] = {.name = "cmdline",
                       .set = set_cmdline,
                       .accepted = "at most 1023 characters",
                       .may_be_empty = true},
    [GUEST_MEMORY] = {.name = "memory",
                      .set = set_memory,
                      .accepted = "2M to 1024G in steps of 2M, such as 256M"},
    [GUEST_VCPUS] = {.name = "vcpus", .set = set_vcpus, .accepted = "1 to 16"},
    [GUEST_CPUS] = {.name = "cpus", .set = set_cpus, .accepted = "CPU numbers from 0 to 63, such as 1-3,5"},
    [GUEST_VF] =
        {.name = "vf",
         .set = set_vf,
         .accepted =
             "NIC/INDEX [mac=ADDRESS] [vlan=1..4094] [on_fault=log|quarantine|stop], such as lan0/0 vlan=100",
         .repeated = true},
    [GUEST_DEVICE] = {.name = "device",
                      .set = set_device,
                      .accepted = "[SEGMENT:]BUS:DEVICE.FUNCTION in hexadecimal, such as 00:06.0",
                      .repeated = true},
    [GUEST_ON_CRASH] = {.name = "on_crash", .set = set_on_crash, .accepted = "restart, stop"},
    [GUEST_ON_FAULT] = {.name = "on_fault", .set = set_on_fault, .accepted = "log, quarantine, stop"},
};

const struct config_keys config_keys[] = {
    {"global", global_keys, GLOBAL_KEYS},
    {"nic", nic_keys, NIC_KEYS},
    {"guest", guest_keys, GUEST_KEYS},
};
