# SPDX-License-Identifier: BSD-2-Clause
"""Guests that are not in the attack kit: the one that is aimed at addresses (dma.py), which waits for a key before it begins, and images
that must not start."""
import random
import re

from tests.system import guests, lib, texts

PINGS = 200                        # a round
VF_DMA = 4                         # of the guest that attacks memory, on lan0: the kit has the others

# name: (image, command line, on_crash, more lines)
BAD = {"dma": ("dmaattack.elf", "wait=1", "stop", f"vf = lan0/{VF_DMA} mac=02:00:00:00:00:0{VF_DMA + 1} on_fault=log\n")}


def section(name):
    """Its section of a configuration."""
    kernel, cmdline, on_crash, more = BAD[name]
    return f"\n[guest {name}]\nkernel = {kernel}\ncmdline = {cmdline}\nmemory = 16M\nvcpus = 1\ncpus = 1-3\non_crash = {on_crash}\n{more}"


# Offsets in an ELF file, and in an entry of its program header table.
PHOFF, PHENTSIZE, P_VADDR, P_PADDR, P_MEMSZ = 32, 56, 16, 24, 40


def placed(good, segment, **fields):
    """An ELF image in which a segment has other fields."""
    image = bytearray(good)
    at = int.from_bytes(good[PHOFF:PHOFF + 8], "little") + segment * PHENTSIZE
    for field, value in fields.items():
        image[at + globals()[field]:at + globals()[field] + 8] = value.to_bytes(8, "little")
    return bytes(image)


# Images that must not start, made from a good one: what is done to it, and what is said of it.
BROKEN = {
    "cut": (lambda good: good[:4096 + 512], "cut off"),
    "outside": (lambda good: placed(good, 0, P_VADDR=1 << 40, P_PADDR=1 << 40), "not the guest's memory"),
    "wrapped": (lambda good: placed(good, 0, P_MEMSZ=(1 << 64) - 4096), "not the guest's memory"),
    "overlap": (lambda good: placed(good, 1, P_VADDR=1 << 20, P_PADDR=1 << 20), "overlaps itself"),
    "noise": (lambda good: random.Random(1).randbytes(len(good)), "neither"),
}


def broken_images(build, boot):
    """In a folder of that boot's own: another one may make the same at the same time."""
    folder = build / "system" / boot
    folder.mkdir(parents=True, exist_ok=True)
    good = (build / "guest/hello.elf").read_bytes()
    for name, (breaks, _) in BROKEN.items():
        (folder / f"hello-{name}.elf").write_bytes(breaks(good))
    return [f"hello-{name}.elf={folder}/hello-{name}.elf" for name in BROKEN]


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
