/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "tests/unit/fake/inih.c"

#include "boot/config.c"
#include "boot/config_keys.c"
#include "boot/text.c"

static struct config cfg;
static struct boot_error err;

/* The text in a heap block of its own, so that the address sanitizer sees a read beyond it. */
static bool parse_bytes(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    bool ok;

    memcpy(copy, text, size);
    copy[size] = 0;
    ok = config_parse(&cfg, "t.cfg", copy, size, &err);
    free(copy);
    return ok;
}

static bool parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

#define GUEST "[guest g]\nkernel = k\nmemory = 64M\n"
#define NIC   "[nic lan0]\npf = 00:05.0\nvfs = 4\n"

static const char whole[] = "[global]\n"
                            "console  = com2                 ; com1 | com2 | 0xPORT\n"
                            "loglevel = debug\n"
                            "\n"
                            "[nic lan0]\n"
                            "pf   = 00:05.0                  ; or: mac = 52:54:00:12:34:56\n"
                            "vfs  = 4\n"
                            "mode = vepa\n"
                            "ip = 10.0.2.15/24 gw=10.0.2.2\n"
                            "[nic lan1]\n"
                            "mac = 52:54:00:12:34:56\n"
                            "[guest web]\n"
                            "kernel  = guest/vmlinuz\n"
                            "initrd  = web.cpio.gz\n"
                            "cmdline = console=ttyS0 a=b;c\n"
                            "memory  = 256M\r\n"
                            "vcpus   = 4\n"
                            "cpus    = 1-3, 63\n"
                            "vf      = lan0/0 mac=02:00:00:00:00:01 vlan=100 ; repeat for more\n"
                            "vf      = lan0/3\n"
                            "vf      = lan0/2 on_fault=quarantine\n"
                            "on_crash = stop\n"
                            "on_fault = log\n"
                            "[guest db]\n"
                            "kernel = k\n"
                            "memory = 1G\n";

TEST(every_key_is_read)
{
    const struct boot_config *b = &cfg.boot;
    uint8_t ip[4] = {10, 0, 2, 15}, mask[4] = {255, 255, 255, 0}, gw[4] = {10, 0, 2, 2};

    CHECK(parse(whole));
    CHECK_EQ(b->console_port, 0x2f8);
    CHECK_EQ(b->loglevel, 3);
    CHECK_EQ(b->nnics, 2);
    CHECK_EQ(b->nic[0].rid, 0x28);
    CHECK_EQ(b->nic[0].vfs, 4);
    CHECK_EQ(b->nic[0].mode, BOOT_NIC_VEPA);
    CHECK(memcmp(&b->nic[0].ip, ip, 4) == 0);
    CHECK(memcmp(&b->nic[0].netmask, mask, 4) == 0);
    CHECK(memcmp(&b->nic[0].gateway, gw, 4) == 0);
    CHECK_EQ(cfg.nic[1].key_line[NIC_MAC], 11);
    CHECK_EQ(cfg.nic[1].mac[0], 0x52);
    CHECK_EQ(cfg.nic[1].mac[5], 0x56);
    CHECK_EQ(b->nguests, 2);
    CHECK(strcmp(b->guest[0].name, "web") == 0);
    CHECK(strcmp(cfg.guest[0].kernel, "guest/vmlinuz") == 0);
    CHECK(strcmp(cfg.guest[0].initrd, "web.cpio.gz") == 0);
    CHECK(strcmp(cfg.guest[0].cmdline, "console=ttyS0 a=b;c") == 0);
    CHECK_EQ(b->guest[0].memory, 256ull << 20);
    CHECK_EQ(b->guest[0].vcpus, 4);
    CHECK_EQ(b->guest[0].cpus, 0x800000000000000e);
    CHECK_EQ(b->guest[0].nvfs, 3);
    CHECK_EQ(b->guest[0].nics, 1);
    CHECK_EQ(b->guest[0].vf[0].mac[5], 1);
    CHECK_EQ(b->guest[0].vf[0].vlan, 100);
    CHECK_EQ(b->guest[0].vf[1].index, 3);
    CHECK_EQ(b->guest[0].on_crash, BOOT_CRASH_STOP);
    CHECK_EQ(b->guest[0].on_fault, BOOT_FAULT_LOG);
    CHECK_EQ(b->guest[0].vf[1].on_fault, BOOT_FAULT_LOG);
    CHECK_EQ(b->guest[0].vf[2].on_fault, BOOT_FAULT_QUARANTINE);
    CHECK_EQ(cfg.guest[0].key_line[GUEST_MEMORY], 16);
    CHECK_EQ(b->guest[1].memory, 1ull << 30);
}

TEST(defaults)
{
    CHECK(parse(NIC GUEST));
    CHECK_EQ(cfg.boot.console_port, 0x3f8);
    CHECK_EQ(cfg.boot.loglevel, 2);
    CHECK_EQ(cfg.boot.nic[0].ip, 0);
    CHECK_EQ(cfg.boot.nic[0].mode, BOOT_NIC_VEB);
    CHECK_EQ(cfg.boot.guest[0].vcpus, 1);
    CHECK_EQ(cfg.boot.guest[0].cpus, 0);
    CHECK_EQ(cfg.boot.guest[0].on_crash, BOOT_CRASH_RESTART);
    CHECK_EQ(cfg.boot.guest[0].on_fault, BOOT_FAULT_QUARANTINE);
    CHECK_EQ(cfg.guest[0].initrd[0], 0);
}

TEST(devices)
{
    const struct boot_guest *b = cfg.boot.guest;

    CHECK(parse("[guest g]\nkernel = k\nmemory = 2M\n" NIC));
    CHECK(config_has_devices(&cfg));
    CHECK(parse(GUEST));
    CHECK(!config_has_devices(&cfg));
    CHECK(parse(
        GUEST "device = 00:06.0\ndevice = 1:0a:1f.7\n[guest h]\nkernel = k\nmemory = 2M\ndevice = 6:0.0\n"));
    CHECK(config_has_devices(&cfg));
    CHECK_EQ(b[0].nfunctions, 2);
    CHECK_EQ(b[0].function[0].rid, 0x30);
    CHECK_EQ(b[0].function[1].rid, 0x10aff);
    CHECK_EQ(b[1].function[0].rid, 0x600);
    CHECK_EQ(cfg.guest[0].device_line[1], 5);
    CHECK_EQ(cfg.guest[1].device_line[0], 9);
}

/* What must be taken. */
TEST(good_values)
{
    static const char *const rows[] = {
        "[global]\nconsole = 0x3e8\n" GUEST,
        "[ global ]\n" GUEST,
        "\xef\xbb\xbf" GUEST,
        "[nic a]\npf = 0001:ff:1f.7\n",
        "[nic a]\npf = 0:5.0\nip = dhcp\n",
        "[nic a]\npf = 0:5.0\nip = 192.168.1.1/30 gw=192.168.1.2\n",
        "[nic a]\npf = 0:5.0\nvfs = 0\n",
        "# comment\n; comment\n" GUEST "cmdline =\n",
        GUEST "cpus = 0\n",
        "[guest a.b-c_1]\nkernel = a/b.c\nmemory = 2097152\n",
        "[guest g]\nkernel = k\nmemory = 2048k\n",
        "[guest g]\nkernel = k\nmemory = 1024G\n",
        GUEST "vf = lan0/3 vlan=4094 mac=02:00:00:00:00:0A\n" NIC,
        GUEST "vf = lan0/0\nvf = lan0/1\n[guest h]\nkernel = k\nmemory = 2M\nvf = lan0/2\n" NIC,
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool ok = parse(rows[i]);

        CHECK(ok);
        if (!ok)
            printf("    row %u: %s\n", i, err.text);
    }
}

/* One row for each rule: the text, and how the line that refuses it begins. */
TEST(bad_values)
{
    static const struct {
        const char *text, *line;
    } rows[] = {
        /* files */
        {"", "t.cfg:1: [guest NAME]: nothing is configured"},
        {"[global]\n", "t.cfg:1: [guest NAME]: nothing is configured"},
        {"\n; only a comment\n", "t.cfg:1: [guest NAME]: nothing is configured"},
        {"kernel = k\n", "t.cfg:1: kernel: stands before any section"},
        {GUEST "what is this\n", "t.cfg:4: text: neither a section nor KEY = VALUE"},
        {GUEST "\x01\n", "t.cfg:4: text: byte 0x01"},
        {GUEST "a\rb\n", "t.cfg:4: text: byte 0x0d"},
        {GUEST "\x7f\n", "t.cfg:4: text: byte 0x7f"},
        /* sections */
        {"[gest web]\n", "t.cfg:1: [gest web]: unknown section"},
        {"[guestweb]\n", "t.cfg:1: [guestweb]: unknown section"},
        {"[guest]\n", "t.cfg:1: [guest]: unknown section"},
        {"[guest web\n", "t.cfg:1: [: no closing bracket"},
        {"[guest web] kernel = k\n", "t.cfg:1: ]: text behind a section's bracket"},
        {"[guest a b]\n", "t.cfg:1: [guest a b]: bad name"},
        {"[guest sixteencharacter]\n", "t.cfg:1: [guest sixteencharacter]: bad name"},
        {"[nic a/b]\n", "t.cfg:1: [nic a/b]: bad name"},
        {"[guest iodomain]\n", "t.cfg:1: [guest iodomain]: this name is the I/O domain's"},
        {"[guest 0123456789012345678901234567890123456789012345678901234567890123456789]\n",
         "t.cfg:1: [...]: section name too long"},
        {GUEST "[guest g]\n", "t.cfg:4: [guest g]: given twice"},
        {NIC NIC, "t.cfg:4: [nic lan0]: given twice"},
        {"[global]\n[global]\n", "t.cfg:2: [global]: given twice"},
        /* keys */
        {GUEST "memroy = 1M\n", "t.cfg:4: memroy: unknown key in a [guest] section, did you mean memory?"},
        {NIC "vf = 1\n", "t.cfg:4: vf: unknown key in a [nic] section, did you mean pf?"},
        {"[global]\nloglvl = x\n",
         "t.cfg:2: loglvl: unknown key in a [global] section, did you mean loglevel?"},
        {GUEST "memory = 2M\n", "t.cfg:4: memory: given twice, first in line 3"},
        {GUEST "vcpus =\n", "t.cfg:4: vcpus: has no value, accepted: 1 to 16"},
        {"[guest g]\nmemory = 2M\n", "t.cfg:1: kernel: missing in [guest g]"},
        {"[guest g]\nkernel = k\n", "t.cfg:1: memory: missing in [guest g]"},
        {"[nic n]\nvfs = 1\n", "t.cfg:1: pf: missing in [nic n]"},
        {NIC "mac = 02:00:00:00:00:01\n", "t.cfg:4: mac: given together with pf"},
        /* [global] */
        {"[global]\nconsole = com3\n", "t.cfg:2: console: \"com3\" is no serial port, accepted: com1, com2"},
        {"[global]\nconsole = 0xff\n", "t.cfg:2: console: \"0xff\" is no serial port"},
        {"[global]\nconsole = 0xfff9\n", "t.cfg:2: console: \"0xfff9\" is no serial port"},
        {"[global]\nconsole = 1016\n", "t.cfg:2: console: \"1016\" is no serial port"},
        {"[global]\nloglevel = loud\n", "t.cfg:2: loglevel: \"loud\" is no log level, accepted: error, warn"},
        /* [nic] */
        {"[nic n]\npf = 00:20.0\n", "t.cfg:2: pf: \"00:20.0\" is no PCI address"},
        {"[nic n]\npf = 00:05.8\n", "t.cfg:2: pf: \"00:05.8\" is no PCI address"},
        {"[nic n]\npf = 00:05\n", "t.cfg:2: pf: \"00:05\" is no PCI address"},
        {"[nic n]\npf = 100:05.0\n", "t.cfg:2: pf: \"100:05.0\" is no PCI address"},
        {"[nic n]\npf = 10000:00:05.0\n", "t.cfg:2: pf: \"10000:00:05.0\" is no PCI address"},
        {"[nic n]\npf = 00:05.0x\n", "t.cfg:2: pf: \"00:05.0x\" is no PCI address"},
        {NIC "[nic b]\npf = 0000:00:05.0\n", "t.cfg:5: pf: is already [nic lan0]"},
        {"[nic n]\nmac = 52:54:00:12:34\n", "t.cfg:2: mac: \"52:54:00:12:34\" is no MAC address"},
        {"[nic n]\nmac = 52:54:00:12:34:567\n", "t.cfg:2: mac: \"52:54:00:12:34:567\" is no MAC address"},
        {"[nic n]\nmac = 01:54:00:12:34:56\n", "t.cfg:2: mac: \"01:54:00:12:34:56\" is a multicast address"},
        {"[nic n]\nmac = 00:00:00:00:00:00\n", "t.cfg:2: mac: \"00:00:00:00:00:00\" is all zero"},
        {"[nic n]\nmac = 02:00:00:00:00:01\n[nic m]\nmac = 02:00:00:00:00:01\n",
         "t.cfg:4: mac: this MAC is already that of [nic n]"},
        {"[nic n]\npf = 0:5.0\nvfs = 257\n", "t.cfg:3: vfs: \"257\" is no number of VFs, accepted: 0 to 256"},
        {"[nic n]\npf = 0:5.0\nvfs = -1\n", "t.cfg:3: vfs: \"-1\" is no number of VFs"},
        {"[nic n]\npf = 0:5.0\nvfs = 18446744073709551617\n",
         "t.cfg:3: vfs: \"18446744073709551617\" is no number"},
        {"[nic n]\npf = 0:5.0\nvfs = 0x\n", "t.cfg:3: vfs: \"0x\" is no number of VFs"},
        {"[nic n]\nmode = bridge\n",
         "t.cfg:2: mode: \"bridge\" is no mode of the NIC's switch, accepted: veb, vepa"},
        {"[nic n]\nip = 10.0.2.15\n", "t.cfg:2: ip: \"10.0.2.15\" is no IPv4 address with a prefix length"},
        {"[nic n]\nip = 10.0.2.256/24\n", "t.cfg:2: ip: \"10.0.2.256/24\" is no IPv4 address"},
        {"[nic n]\nip = 10.0.2.1/0\n", "t.cfg:2: ip: \"10.0.2.1/0\" is no IPv4 address"},
        {"[nic n]\nip = 10.0.2.1/31\n", "t.cfg:2: ip: \"10.0.2.1/31\" is no IPv4 address"},
        {"[nic n]\nip = 10.0.2.0/24\n", "t.cfg:2: ip: \"10.0.2.0/24\" is no host's address"},
        {"[nic n]\nip = 10.0.2.255/24\n", "t.cfg:2: ip: \"10.0.2.255/24\" is no host's address"},
        {"[nic n]\nip = 224.0.0.5/24\n", "t.cfg:2: ip: \"224.0.0.5/24\" is no host's address"},
        {"[nic n]\nip = 127.0.0.1/8\n", "t.cfg:2: ip: \"127.0.0.1/8\" is no host's address"},
        {"[nic n]\nip = 10.0.2.1/24 gw=10.0.3.1\n",
         "t.cfg:2: ip: \"10.0.2.1/24 gw=10.0.3.1\" has a gateway that is not"},
        {"[nic n]\nip = 10.0.2.1/24 gw=10.0.2.1\n",
         "t.cfg:2: ip: \"10.0.2.1/24 gw=10.0.2.1\" has a gateway that is not"},
        {"[nic n]\nip = 10.0.2.1/24 gw=x\n",
         "t.cfg:2: ip: \"10.0.2.1/24 gw=x\" has a gateway that is no IPv4"},
        {"[nic n]\nip = 10.0.2.1/24 up\n", "t.cfg:2: ip: \"10.0.2.1/24 up\" goes on after the address"},
        /* [guest] */
        {"[guest g]\nkernel = /k\n", "t.cfg:2: kernel: \"/k\" leaves the folder"},
        {"[guest g]\nkernel = ../k\n", "t.cfg:2: kernel: \"../k\" leaves the folder"},
        {"[guest g]\nkernel = a/./k\n", "t.cfg:2: kernel: \"a/./k\" leaves the folder"},
        {"[guest g]\nkernel = a../k\n", "t.cfg:2: kernel: \"a../k\" leaves the folder, or has a part"},
        {"[guest g]\nkernel = a /k\n", "t.cfg:2: kernel: \"a /k\" leaves the folder"},
        {"[guest g]\nkernel = a/\n", "t.cfg:2: kernel: \"a/\" leaves the folder"},
        {"[guest g]\nkernel = a\\k\n", "t.cfg:2: kernel: \"a\\k\" has a character"},
        {"[guest g]\ninitrd = k?\n", "t.cfg:2: initrd: \"k?\" has a character"},
        {"[guest g]\nmemory = 1M\n",
         "t.cfg:2: memory: \"1M\" is out of range or not a multiple of 2M, accepted: 2M to"},
        {"[guest g]\nmemory = 0\n", "t.cfg:2: memory: \"0\" is out of range"},
        {"[guest g]\nmemory = 1025G\n", "t.cfg:2: memory: \"1025G\" is out of range"},
        {"[guest g]\nmemory = 64Q\n", "t.cfg:2: memory: \"64Q\" is no size"},
        {"[guest g]\nmemory = 64MB\n", "t.cfg:2: memory: \"64MB\" is no size"},
        {"[guest g]\nmemory = 99999999999999999999\n",
         "t.cfg:2: memory: \"99999999999999999999\" is no size"},
        {"[guest g]\nvcpus = 0\n", "t.cfg:2: vcpus: \"0\" is no number of virtual CPUs"},
        {"[guest g]\nvcpus = 17\n", "t.cfg:2: vcpus: \"17\" is no number of virtual CPUs"},
        {"[guest g]\ncpus = 64\n", "t.cfg:2: cpus: \"64\" is no list of CPUs"},
        {"[guest g]\ncpus = 3-1\n", "t.cfg:2: cpus: \"3-1\" has a range that is none"},
        {"[guest g]\ncpus = 1,\n", "t.cfg:2: cpus: \"1,\" is no list of CPUs"},
        {"[guest g]\ncpus = 1 2\n", "t.cfg:2: cpus: \"1 2\" is no list of CPUs"},
        {"[guest g]\non_crash = reboot\n",
         "t.cfg:2: on_crash: \"reboot\" is not known, accepted: restart, stop"},
        {"[guest g]\non_fault = logs\n",
         "t.cfg:2: on_fault: \"logs\" is not known, accepted: log, quarantine, stop"},
        {GUEST "vf = lan0/0 on_fault=none\n", "t.cfg:4: vf: \"lan0/0 on_fault=none\" has an on_fault that"},
        {GUEST "vf = lan0/0 on_fault=stopped\n", "t.cfg:4: vf: \"lan0/0 on_fault=stopped\" has an on_fault"},
        {GUEST "vf = lan0/0 on_fault=log on_fault=log\n",
         "t.cfg:4: vf: \"lan0/0 on_fault=log on_fault=log\" has an option that is"},
        /* VFs */
        {GUEST "vf = lan0\n", "t.cfg:4: vf: \"lan0\" does not begin with NIC/INDEX"},
        {GUEST "vf = /0\n", "t.cfg:4: vf: \"/0\" does not begin with NIC/INDEX"},
        {GUEST "vf = lan0/256\n", "t.cfg:4: vf: \"lan0/256\" does not begin with NIC/INDEX"},
        {GUEST "device = 6\n",
         "t.cfg:4: device: \"6\" is no PCI address, accepted: [SEGMENT:]BUS:DEVICE.FUNCTION"},
        {GUEST "device = 0:6.0\ndevice = 0:7.0\ndevice = 00:06.0\n",
         "t.cfg:6: device: is already given to [guest g], accepted: each device once"},
        {GUEST
         "device=0:1.0\ndevice=0:1.1\ndevice=0:1.2\ndevice=0:1.3\ndevice=0:1.4\ndevice=0:1.5\ndevice=0:1.6\n"
         "device=0:1.7\ndevice=0:2.0\n",
         "t.cfg:12: device: one device too many, accepted: at most 8 for each guest"},
        {GUEST "vf = lan0/0 vlan=0\n", "t.cfg:4: vf: \"lan0/0 vlan=0\" has a VLAN that is not 1 to 4094"},
        {GUEST "vf = lan0/0 vlan=4095\n", "t.cfg:4: vf: \"lan0/0 vlan=4095\" has a VLAN that is not"},
        {GUEST "vf = lan0/0 rate=1\n", "t.cfg:4: vf: \"lan0/0 rate=1\" has an option that is unknown"},
        {GUEST "vf = lan0/0 vlan=1 vlan=2\n", "t.cfg:4: vf: \"lan0/0 vlan=1 vlan=2\" has an option that is"},
        {GUEST "vf = lan0/0 mac=1\n", "t.cfg:4: vf: \"lan0/0 mac=1\" has a MAC address that is none"},
        {GUEST "vf = lan0/0 mac=03:00:00:00:00:01\n",
         "t.cfg:4: vf: \"lan0/0 mac=03:00:00:00:00:01\" is a multicast"},
        {GUEST "vf = lan0/0 mac=02:00:00:00:00:01\nvf = lan0/1 mac=02:00:00:00:00:01\n" NIC,
         "t.cfg:5: vf: this MAC is already given to [guest g]"},
        {"[nic n]\nmac = 02:00:00:00:00:01\nvfs = 1\n" GUEST "vf = n/0 mac=02:00:00:00:00:01\n",
         "t.cfg:7: vf: this MAC is already that of [nic n]"},
        {GUEST "vf = lan1/0\n" NIC, "t.cfg:4: vf: no [nic lan1], did you mean lan0?"},
        {GUEST "vf = lan1/0\n", "t.cfg:4: vf: no [nic lan1], accepted"},
        {GUEST "vf = lan0/4\n" NIC,
         "t.cfg:4: vf: lan0/4 is not among the NIC's VFs, accepted: an index under vfs = 4"},
        {GUEST "vf = lan0/1\nvf = lan0/1\n" NIC, "t.cfg:5: vf: lan0/1 is already given to [guest g]"},
        {GUEST "vf = lan0/1\n[guest h]\nkernel = k\nmemory = 2M\nvf = lan0/1\n" NIC,
         "t.cfg:8: vf: lan0/1 is already given to [guest g]"},
        {"[nic n]\npf=0:1.0\nvfs=99\n" GUEST
         "vf=n/0\nvf=n/1\nvf=n/2\nvf=n/3\nvf=n/4\nvf=n/5\nvf=n/6\nvf=n/7\nvf=n/8\n",
         "t.cfg:15: vf: one VF too many, accepted: at most 8"},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool ok = parse(rows[i].text), same = strncmp(err.text, rows[i].line, strlen(rows[i].line)) == 0;

        CHECK(!ok);
        CHECK(same);
        CHECK(strchr(err.text, '\n') == NULL);
        CHECK(strstr(err.text, "accepted: ") != NULL);
        if (!same)
            printf("    row %u: got  %s\n    row %u: want %s\n", i, err.text, i, rows[i].line);
    }
}

TEST(nul_byte_is_refused)
{
    CHECK(!parse_bytes("[guest g]\nkernel\0 = k\n", 22));
    CHECK(strncmp(err.text, "t.cfg:2: text: byte 0x00", 24) == 0);
}

TEST(long_line_is_refused_and_the_longest_is_read)
{
    char text[CONFIG_LINE_MAX + 64];
    size_t n = (size_t)sprintf(text, GUEST "cmdline = ");

    memset(text + n, 'x', CONFIG_CMDLINE_MAX - 1);
    strcpy(text + n + CONFIG_CMDLINE_MAX - 1, "\n");
    CHECK(parse(text));
    CHECK_EQ(strlen(cfg.guest[0].cmdline), CONFIG_CMDLINE_MAX - 1);

    strcpy(text + n + CONFIG_CMDLINE_MAX - 1, "x\n");
    CHECK(!parse(text));
    CHECK(strstr(err.text, "is too long, accepted: at most 1023 characters") != NULL);

    strcpy(text, "; ");
    memset(text + 2, 'x', CONFIG_LINE_MAX - 2);
    strcpy(text + CONFIG_LINE_MAX, "\n" GUEST);
    CHECK(parse(text));
    strcpy(text + CONFIG_LINE_MAX, "x\n" GUEST);
    CHECK(!parse(text));
    CHECK(strncmp(err.text, "t.cfg:1: text: line too long, accepted: at most 1500", 50) == 0);
}

TEST(too_large_a_file_is_refused)
{
    size_t size = CONFIG_TEXT_MAX + 1;
    char *text = malloc(size);

    memset(text, '\n', size);
    CHECK(!parse_bytes(text, size));
    CHECK(strcmp(err.text, "t.cfg:1: text: 65537 bytes, accepted: at most 65536") == 0);
    memcpy(text, GUEST, strlen(GUEST));
    CHECK(parse_bytes(text, size - 1));
    free(text);
}

TEST(too_many_sections_are_refused)
{
    char text[4096];
    size_t n = 0;

    for (unsigned i = 0; i <= BOOT_GUESTS_MAX; i++)
        n += (size_t)sprintf(text + n, "[guest g%u]\nkernel = k\nmemory = 2M\n", i);
    CHECK(!parse(text));
    CHECK(strcmp(err.text, "t.cfg:97: [guest g32]: too many guests, accepted: at most 32") == 0);
    n = 0;
    for (unsigned i = 0; i <= BOOT_NICS_MAX; i++)
        n += (size_t)sprintf(text + n, "[nic n%u]\npf = 0:%u.0\n", i, i);
    CHECK(!parse(text));
    CHECK(strcmp(err.text, "t.cfg:17: [nic n8]: too many NICs, accepted: at most 8") == 0);
}

/* The message is cut, never overrun, whatever stands in the line. */
TEST(hostile_names_are_cut)
{
    char text[CONFIG_LINE_MAX + 64];
    size_t n = (size_t)sprintf(text, GUEST);

    memset(text + n, 'k', 1400);
    strcpy(text + n + 1400, " = v\n");
    CHECK(!parse(text));
    CHECK(strlen(err.text) < 300);
    CHECK(strstr(err.text, "unknown key") != NULL);
}

#define OTHER(cpus) "[guest h]\nkernel = k\nmemory = 2M\n" cpus

/* Whether the first guest has its CPUs to itself. */
TEST(own_cpus)
{
    static const struct {
        const char *text;
        bool own;
    } rows[] = {
        {GUEST "cpus = 1\n", true},
        {GUEST "cpus = 1-3\n", false},
        {GUEST "cpus = 0\n", false},
        {GUEST, false},
        {GUEST "cpus = 2,3\nvcpus = 2\n", true},
        {GUEST "cpus = 0,3\nvcpus = 2\n", false},
        {GUEST "cpus = 2\nvcpus = 2\n", false},
        {GUEST "cpus = 1\n" OTHER("cpus = 2\n"), true},
        {GUEST "cpus = 1\n" OTHER("cpus = 1-2\n"), false},
        {GUEST "cpus = 1\n" OTHER(""), false},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK(parse(rows[i].text));
        CHECK_EQ(cfg.boot.guest[0].own_cpus, rows[i].own);
    }
}

TEST_MAIN()
