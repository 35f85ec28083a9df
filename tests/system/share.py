# SPDX-License-Identifier: BSD-2-Clause
"""Guests on one physical CPU share it evenly, and their traffic goes on; also with one that never gives the CPU away."""
import re

from tests.system import guests, lib

SECONDS = 20
SPIN = "\n[guest spin]\nkernel = attack.elf\ncmdline = wait=1 run=spin vf=0\nmemory = 16M\ncpus = 1\n"
ENOUGH_MS = 3000


@lib.boot("share")
def share(build):
    text = (lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text()
    text = re.sub(r"^vcpus .*\ncpus .*$", "vcpus   = 1\ncpus    = 1", text, flags=re.M)
    return {"cfg": text + SPIN, "ready": guests.ready}


def turns(text):
    return {int(second): int(n) for second, n in re.findall(r"guest: cpu (\d+) turns (\d+)", text)}


@lib.test("system share: two busy guests on one CPU each get 45 to 55 % of it, and pings flow", on="share", limit=180)
def fair(host):
    for guest in guests.ADDRESS:
        host.run(guest, f"traffic cpu {SECONDS} >/tmp/cpu &")
    output = host.run("web", f"lmping {guests.ADDRESS['db']} 100 20", 120)
    assert lib.ping_line(output, guests.ADDRESS["db"])[:2] == (100, 0)
    work = {guest: turns(host.run(guest, "wait; cat /tmp/cpu", 120)) for guest in guests.ADDRESS}
    # The first and the last second of each are not whole; of the others, those that both have seen.
    common = sorted(set(work["web"]) & set(work["db"]))[1:-1]
    assert len(common) >= SECONDS // 2, f"only {len(common)} seconds in common: {work}"
    total = {guest: sum(work[guest][second] for second in common) for guest in work}
    part = total["web"] / sum(total.values())
    assert 0.45 <= part <= 0.55, f"web has {part:.1%} of the turns"


def processor_time(host):
    """{guest: milliseconds} of the operator's `list`."""
    host.focus("lastmile")
    start = len(host.text)
    host.send("list\n")
    host.line(r"\d running +spin$", 20, start=start)
    return {name: int(ms) for ms, name in re.findall(r" (\d+) running +(\w+)$", host.text[start:], re.M)}


@lib.test("system share: a guest that spins with interrupts off gets 45 to 55 % beside a busy one", on="share", limit=180)
def spin(host):
    host.focus("spin")
    host.send("x")
    host.line("attack spin: begins", 60)
    host.run("web", f"traffic cpu {3 * SECONDS} >/tmp/cpu &")
    first = now = processor_time(host)
    while now["web"] - first["web"] < ENOUGH_MS:
        now = processor_time(host)
    ran = {guest: now[guest] - first[guest] for guest in ("spin", "web")}
    part = ran["spin"] / sum(ran.values())
    assert 0.45 <= part <= 0.55, f"spin has {part:.1%}: {ran}"
