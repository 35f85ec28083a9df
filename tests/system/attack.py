# SPDX-License-Identifier: BSD-2-Clause
"""Guests that do their worst while two others ping each other: nothing of that is lost, the culprit is stopped or restarted. All on one
boot (hostile.py); dma.py has the one that attacks memory."""
import re

from tests.system import guests, lib, texts
from tests.system.hostile import BROKEN, set_off, while_pinging


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
    for guest, (_, why) in BROKEN.items():
        said = lib.find(texts.of(texts.NOT_STARTED, guest), host.text)["why"]
        assert why in said, f"{guest}: {said}"
    assert lib.ping_line(host.run("web", f"lmping {guests.ADDRESS['db']} 20"), guests.ADDRESS["db"])[:2] == (20, 0)


@lib.test("system attack: a guest that spins with interrupts off costs the others no ping", on="hostile", limit=120)
def spin(host):  # last: it goes on for ever
    while_pinging(host, lambda: set_off(host, "spin", r"crash: now spin"))
