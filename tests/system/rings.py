# SPDX-License-Identifier: BSD-2-Clause
"""A guest is moved with its rings empty, busy and full (tests/guest/rings.c): frames that it has queued go out once, and none that has come is lost."""
from tests.system import handover, lib, texts
from tests.system.migrate import order, until_clean

GUEST = """[guest {name}]
kernel = rings.elf
cmdline = self={self} peer={peer}{more}
memory = 16M
cpus = {cpus}
vf = lan0/{vf} mac=02:00:00:00:00:{self:02}
"""
UNSENT = {"0": 0, "5": 5, "f": 31}
VFS = ("lan0/0", "lan0/3")


@lib.boot("rings")
def machine(_build):
    return {"cfg": handover.CFG + GUEST.format(name="a", self=1, peer=2, cpus="1-2", vf=0, more="") + GUEST.format(name="b", self=2, peer=1, cpus="3", vf=1, more=" source=1"),
            "ready": ready}


@lib.boot("rings-vtd", "vtd")
def machine_vtd(build):
    return machine(build)


def ready(host):
    host.line(texts.NIC_UP, 120, fail=texts.PANIC)
    for guest in "ab":
        host.line(texts.of(texts.PREFIX, guest) + "rings: starts|" + r"\[" + guest + r"\] rings: starts", 60, start=0, fail=texts.PANIC)


def moved(host, i, rx, tx):
    """What the guest says of a move in which its rings were so."""
    to = VFS[(i + 1) % 2]
    until_clean(host, to)
    host.focus("a")
    at = len(host.text)
    host.send(rx + tx)
    unsent = int(host.line(rf"rings: ready {rx}{tx} unsent (\d+)", 20, start=at)[1])
    assert unsent == UNSENT[tx], unsent
    done = order(host, f"move a {to}")
    assert (done["result"], done["lost"], done["duplicated"]) == ("done", "0", "0"), done
    host.focus("a")
    at = len(host.text)
    host.send("g")
    line = host.line(r"rings: received (\d+) lost (\d+) doubled (\d+) arrived (\d+) lost (\d+) doubled (\d+) of (\d+) then (\d+) lost (\d+) doubled (\d+)", 30, start=at)
    return tuple(int(n) for n in line.groups())


def states_test(on, prefix):
    @lib.test(f"system migrate: {prefix}a guest is moved with each of its rings empty, busy and full, every frame comes once", on=on, limit=200)
    def states(host):
        faults = handover.told(host, "faults")
        for i, (rx, tx) in enumerate((rx, tx) for rx in "ebf" for tx in UNSENT):
            received, lost, doubled, arrived, out_lost, out_doubled, queued, then, then_lost, then_doubled = what = moved(host, i, rx, tx)
            assert (lost, doubled, out_lost, out_doubled, then_lost, then_doubled) == (0,) * 6, (rx, tx, what)
            assert arrived == queued == UNSENT[tx] and then > 0, (rx, tx, what)
            assert received == 0 if rx == "e" else received >= 31 if rx == "f" else received > 0, (rx, tx, what)
        assert handover.told(host, "faults") == faults


states_test("rings", "")
states_test("rings-vtd", "behind VT-d, ")
