# SPDX-License-Identifier: BSD-2-Clause
"""Two guests on one physical CPU share it evenly, and their traffic goes on."""
import re

from tests.system import guests, lib

SECONDS = 20


@lib.boot("share")
def share(build):
    text = (lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text()
    text = re.sub(r"^vcpus .*\ncpus .*$", "vcpus   = 1\ncpus    = 1", text, flags=re.M)
    return {"cfg": text, "ready": guests.ready}


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
