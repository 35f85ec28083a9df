# SPDX-License-Identifier: BSD-2-Clause
"""Guests that do their worst while two others ping each other: nothing of that is lost, the culprit is stopped or restarted. All on one
boot; each bad guest waits for a key before it begins. dma.py has the one that attacks memory."""
import re

from tests.system import guests, lib, texts

PINGS = 200  # a round
VF_DMA = 3                       # of the guest that attacks memory, on lan0
TRACE = "log/hostile-iommu.trace"  # under the build's folder

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
    "dma": ("dmaattack.elf", "wait=1", "stop", f"vf = lan0/{VF_DMA} mac=02:00:00:00:00:04\n"),
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
    trace = ["-trace", "amdvi_translation_result", "-trace", "amdvi_page_fault", "-D", str(build / TRACE)]
    return {"cfg": text, "files": broken_images(build), "ready": guests.ready, "extra": trace}


def while_pinging(host, attack):
    """Runs attack() while web pings db; the pings lose nothing, the hypervisor does not panic."""
    peer = guests.ADDRESS["db"]
    start = len(host.text)
    host.run("web", f"(until rm /tmp/enough; do lmping {peer} {PINGS} 10; done) >/tmp/ping 2>/dev/null &")
    attack()
    output = host.run("web", "touch /tmp/enough; wait; cat /tmp/ping", 90)
    rounds = re.findall(r"guest: ping[^\n]*", output)
    assert rounds and all(lib.ping_line(line, peer)[:2] == (PINGS, 0) for line in rounds), output
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


@lib.test("system attack: guests with a damaged image are not started, the others are", on="hostile", limit=60)
def broken(host):
    for guest in BROKEN:
        lib.find(texts.of(texts.NOT_STARTED, guest), host.text)
    assert lib.ping_line(host.run("web", f"lmping {guests.ADDRESS['db']} 20"), guests.ADDRESS["db"])[:2] == (20, 0)


@lib.test("system attack: a guest that spins with interrupts off gets no more than its share", on="hostile", limit=120)
def spin(host):  # last: it goes on for ever
    while_pinging(host, lambda: set_off(host, "spin", r"crash: now spin"))
