# SPDX-License-Identifier: BSD-2-Clause
"""Guests that do their worst while two others ping each other: nothing of that is lost, the culprit is stopped or restarted, and no byte of
foreign memory is read or written. All on one boot; each bad guest waits for a key before it begins."""
import mmap
import pathlib
import re

from tests.system import guests, lib, texts

PINGS = 400
SECRET = bytes.fromhex("5ec2e7a77ac40000")[::-1] * 16  # what dmaattack writes
TARGETS = [(32 + 48 * i) << 20 for i in range(41)]     # through 2 GiB, all beyond its own 16 MiB
VF_DMA = 3                                             # its VF on lan0

# name: (image, command line, on_crash, more lines)
BAD = {
    "triple": ("crash.elf", "wait=1 how=triple", "stop", ""),
    "garbage": ("crash.elf", "wait=1 how=garbage", "stop", ""),
    "badmem": ("crash.elf", "wait=1 how=badmem", "stop", ""),
    "jump": ("crash.elf", "wait=1 how=jump", "stop", ""),
    "badstate": ("crash.elf", "wait=1 how=badstate", "stop", ""),
    "again": ("crash.elf", "wait=1 how=triple", "restart", ""),
    "spin": ("crash.elf", "wait=1 how=spin", "stop", ""),
    "msr": ("poke.elf", "wait=1 what=msr", "stop", ""),
    "port": ("poke.elf", "wait=1 what=port", "stop", ""),
    "pci": ("poke.elf", "wait=1 what=pci", "stop", ""),
    "apic": ("poke.elf", "wait=1 what=apic", "stop", ""),
    "flood": ("mbxflood.elf", "wait=1 count=5000", "stop", "vf = lan0/2 mac=02:00:00:00:00:03\n"),
    "dma": ("dmaattack.elf", "wait=1 targets=" + ",".join(hex(t) for t in TARGETS), "stop",
            f"vf = lan0/{VF_DMA} mac=02:00:00:00:00:04\n"),
}

# Images that must not start; made from a good one.
BROKEN = {"cut": "hello-cut.elf", "outside": "hello-outside.elf"}


def broken_images(build):
    """hello.elf cut off in its code; and one whose first segment wants to lie beyond the guest's memory."""
    folder = build / "system"
    folder.mkdir(parents=True, exist_ok=True)
    good = (build / "guest/hello.elf").read_bytes()
    (folder / BROKEN["cut"]).write_bytes(good[:4096 + 512])
    outside, first = bytearray(good), int.from_bytes(good[32:40], "little")
    outside[first + 24:first + 32] = outside[first + 16:first + 24] = (1 << 40).to_bytes(8, "little")
    (folder / BROKEN["outside"]).write_bytes(outside)
    return [f"{name}={folder}/{name}" for name in BROKEN.values()]


@lib.boot("hostile")
def hostile(build):
    text = (lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text()
    for name, (kernel, cmdline, on_crash, more) in BAD.items():
        text += f"\n[guest {name}]\nkernel = {kernel}\ncmdline = {cmdline}\nmemory = 16M\nvcpus = 1\ncpus = 1-3\non_crash = {on_crash}\n{more}"
    for name, kernel in BROKEN.items():
        text += f"\n[guest {name}]\nkernel = {kernel}\nmemory = 16M\n"
    trace = ["-trace", "amdvi_translation_result", "-trace", "amdvi_page_fault", "-D", str(build / "log/hostile-iommu.trace")]
    return {"cfg": text, "files": broken_images(build), "ready": guests.ready, "extra": trace}


def while_pinging(host, attack):
    """Runs attack() while web pings db; the pings lose nothing, the hypervisor does not panic."""
    peer = guests.ADDRESS["db"]
    start = len(host.text)
    host.run("web", f"lmping {peer} {PINGS} 10 >/tmp/ping 2>&1 &")
    attack()
    output = host.run("web", "wait; cat /tmp/ping", 90)
    assert lib.ping_line(output, peer)[:2] == (PINGS, 0), output
    host.never(texts.PANIC, start=start)


def set_off(host, guest, *outcomes, seconds=60):
    """A key for a waiting guest, then what must be seen."""
    host.focus(guest)
    start = len(host.text)
    host.send("x")
    return [host.line(outcome, seconds, start=start) for outcome in outcomes]


def crash_test(guest, what):
    @lib.test(f"system attack: a guest that {what} is stopped, with its registers in the log", on="hostile", limit=120)
    def crash(host):
        while_pinging(host, lambda: set_off(host, guest, texts.of(texts.STOPS, guest), texts.of(texts.REGISTERS, guest)))


crash_test("triple", "triple-faults")
crash_test("garbage", "executes garbage")
crash_test("jump", "executes where there is no memory")


@lib.test("system attack: a guest that touches memory which is not there is stopped", on="hostile", limit=120)
def badmem(host):
    while_pinging(host, lambda: set_off(host, "badmem", texts.of(texts.STOPS, "badmem")))


@lib.test("system attack: a CR4 that no CPU has faults or stops that guest", on="hostile", limit=120)
def badstate(host):
    outcome = texts.of(texts.STOPS, "badstate") + "|guest: exception 13"
    while_pinging(host, lambda: set_off(host, "badstate", outcome))


@lib.test("system attack: on_crash = restart starts the guest again, but not for ever", on="hostile", limit=200)
def restart(host):
    set_off(host, "again", texts.of(texts.RESTARTED, "again"))
    for _ in range(10):
        host.line(texts.of(texts.STAYS_DOWN, "again") + "|" + texts.GUEST_WAITS, 60)
        if re.search(texts.of(texts.STAYS_DOWN, "again"), host.spoken()):
            return
        host.send("x")
    raise AssertionError("it crashed ten times and is still started again")


def poke_test(guest, what):
    @lib.test(f"system attack: a guest reads and writes every {what} and goes on; the others notice nothing", on="hostile", limit=240)
    def poke(host):
        start = len(host.text)
        while_pinging(host, lambda: set_off(host, guest, r"poke: done", seconds=180))
        lines = re.findall(rf"^\[ *[\d.]+\] .*\[{guest}\]", host.text[start:], re.M)
        assert len(lines) < 200, f"{len(lines)} lines of the log are about it"


poke_test("msr", "model-specific register")
poke_test("port", "I/O port")
poke_test("pci", "byte of PCI configuration space")
poke_test("apic", "register of the interrupt controllers' pages")


@lib.test("system attack: a guest that floods its VF's mailbox gets its NACKs, the other VFs go on", on="hostile", limit=240)
def flood(host):
    while_pinging(host, lambda: set_off(host, "flood", r"mbxflood: done", seconds=180))
    said = re.sub(r"(\r?\n\[ *[\d.]+\] [^\r\n]*)+\r?\n", "", host.text)  # the log may cut a guest's line in two
    lib.find(r"mbxflood: reset works, mac 02:00:00:00:00:03", said)
    counts = lib.find(r"mbxflood: acks (\d+) nacks (\d+)", said)
    assert int(counts[2]) > 0, counts[0]


def physical_memory(host, build):
    """The machine's RAM below 2 GiB, into a file."""
    path = pathlib.Path(build) / "system/memory.bin"
    host.qmp("pmemsave", val=0, size=2 << 30, filename=str(path))
    return path


@lib.test("system attack: a guest's VF cannot read or write a byte outside that guest", on="hostile", limit=240)
def dma(host):
    start = len(host.text)
    while_pinging(host, lambda: set_off(host, "dma", r"dmaattack: done", seconds=180))
    spoken = host.text[start:]
    assert spoken.count("own traffic works") >= 2, spoken
    assert "LEAKED" not in spoken, lib.find(r"[^\n]*LEAKED[^\n]*", spoken)[0]
    assert len(re.findall(r"dmaattack: write ", spoken)) == len(TARGETS)
    path = physical_memory(host, host.build)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        found, at = [], memory.find(SECRET)
        while at >= 0:
            found.append(at)
            at = memory.find(SECRET, at + len(SECRET))
    path.unlink()
    # Its own transmit and receive buffers are all; they lie within one guest's memory.
    assert len(found) <= 2 and (not found or max(found) - min(found) < 16 << 20), [hex(a) for a in found]
    for target in TARGETS:
        assert not any(target <= a < target + 4096 for a in found), hex(target)
    # The emulator's own record: no translation was ever given to this VF for one of those addresses.
    device = f"{guests_devfn(VF_DMA):02x}"
    granted = re.findall(rf"amdvi_translation_result.*?{device}.*?gpa (0x[0-9a-f]+) hpa (0x[0-9a-f]+)",
                         (host.build / "log/hostile-iommu.trace").read_text(errors="replace"))
    assert not [g for g in granted if int(g[0], 16) in TARGETS and int(g[1], 16)], granted[:5]


def guests_devfn(index):
    """Slot of VF `index` of the PF at 00:05.0: its devfn + 0x80 + 2 * index."""
    return (5 * 8 + 0x80 + 2 * index) >> 3


@lib.test("system attack: guests with a damaged image are not started, the others are", on="hostile", limit=60)
def broken(host):
    for guest in BROKEN:
        lib.find(texts.of(texts.NOT_STARTED, guest), host.text)
    assert lib.ping_line(host.run("web", f"lmping {guests.ADDRESS['db']} 20"), guests.ADDRESS["db"])[:2] == (20, 0)


@lib.test("system attack: a guest that spins with interrupts off gets no more than its share", on="hostile", limit=120)
def spin(host):  # last: it goes on for ever
    while_pinging(host, lambda: set_off(host, "spin", r"crash: now spin"))
