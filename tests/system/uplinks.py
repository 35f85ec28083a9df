# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest is moved to a VF of another NIC and back: both uplinks are on one network outside of the machine, with others on it: a station,
and a second guest behind a third NIC. UPLINK_MOVES says how often each way (3)."""
import os
import re
import statistics

from tests.system import guests, handover, lib
from tests.system.guests import ADDRESS, MAC
from tests.system.migrate import ACCESSES_MAX, BATCH, REORDERED_MAX, add_vlan, count, numbers, order, report, transfers, transfers_end, until_clean
from tests.system.switch import Pinger, Switch

MOVES = int(os.environ.get("UPLINK_MOVES") or 3)
PINGS = 50  # a second, from the station
VLAN_ACCESSES = 6  # 56 with a VLAN where there are 50 without
VLAN, IN_VLAN = 5, {"web": "10.0.5.101", "db": "10.0.5.102"}
SLOTS = (5, 7, 9)  # apart: VFs have the ids from 16 slots on
STATION = "10.0.2.9"
NICS = "\n".join(f"[nic lan{i}]\npf = 00:{slot:02x}.0\nvfs = 4\nip = 10.0.2.{200 + i}/24" for i, slot in enumerate(SLOTS))

outside = None  # the Switch


def cfg_text():
    text = (lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text()
    text = re.sub(r"\[nic lan0\][^[]*", NICS + "\n\n", text)
    return text.replace("lan0/1 mac", "lan2/0 mac")


def ready(host):
    guests.ready(host)
    for guest, address in IN_VLAN.items():
        add_vlan(host, guest, VLAN, address)


@lib.boot("uplinks")
def machine(_build):
    global outside
    outside = Switch(len(SLOTS), STATION)
    extra = []
    for i, slot in enumerate(SLOTS):
        extra += ["-netdev", outside.arguments(i, f"n{i}"), "-device", f"igb,netdev=n{i},bus=pcie.0,addr={slot:#x}"]
    return {"cfg": cfg_text(), "nic": False, "extra": extra, "ready": ready}


@lib.test("system migrate: guests on two NICs reach each other and a station outside", on="uplinks", limit=120)
def reach(host):
    assert lib.ping_line(host.run("web", f"lmping {ADDRESS['db']} 100 5"), ADDRESS["db"])[:2] == (100, 0)
    for guest in ADDRESS:
        assert lib.ping_line(host.run(guest, f"lmping {STATION} 50 5"), STATION)[:2] == (50, 0)


@lib.test("system migrate: why a move to another NIC is refused, and what it would take", on="uplinks", limit=120)
def refused(host):
    dry = order(host, "move web lan1/0 --dry-run")
    assert dry["result"] == "possible" and int(dry["predicted_ns"]) > 0, dry
    assert order(host, "move web lan2/0")["reason"] == "vf-in-use"
    host.qmp("set_link", name="n1", up=False)
    host.line("lan1: link down", 20)
    assert order(host, "move web lan1/0 --dry-run")["reason"] == "link-down"
    assert order(host, "move web lan1/0")["reason"] == "link-down"
    host.qmp("set_link", name="n1", up=True)
    host.line("lan1: link up", 20)
    assert order(host, "move web lan1/0 --dry-run")["result"] == "possible"


def one_move(host, to):
    """To that VF: what is reported of it. The switch outside has learned where the guest is, once, and has heard of it as often as was said."""
    web = bytes.fromhex(MAC["web"].replace(":", ""))
    until_clean(host, to)
    learned, announced = outside.moves[web], [outside.announced[web, vlan] for vlan in (None, VLAN)]
    done = order(host, f"move web {to}")
    assert (done["result"], done["to"]) == ("done", to), done
    said = host.line(r"migrate: id=\d+ announced=(\d+) late=(\d+)", 20)
    told = [outside.announced[web, vlan] - before for vlan, before in zip((None, VLAN), announced)]
    assert told == [int(said[1])] * 2, f"announcements, untagged and in the VLAN: {told}"
    assert outside.moves[web] - learned == 1, "the switch did not learn, or not for good"
    parked, looped = int(done["parked"]), int(done["looped"])
    assert int(done["accesses"]) <= ACCESSES_MAX + VLAN_ACCESSES + looped + parked // BATCH, done
    assert (done["lost"], done["duplicated"]) == ("0", "0"), done
    return {**done, "late": said[2]}


@lib.test(f"system migrate: {MOVES} moves to another NIC and back, a station's pings and a third guest's TCP go on, nothing lost",
          on="uplinks", limit=180 + 30 * MOVES)
def moves(host):
    count(host, "web", "db", 3)
    assert numbers(host, "web", 60)[1:3] == (0, 0), "lost without any move"
    transfers(host, "web", "db", 1)
    count(host, "web", "db", 10 * MOVES)
    host.run("web", f"rm -f /tmp/vlan; traffic number {IN_VLAN['db']} {500 * MOVES} 50 >/tmp/vlan 2>&1 &")
    pinger = Pinger(outside, ADDRESS["web"], PINGS)
    done = [one_move(host, to) for _ in range(MOVES) for to in ("lan1/0", "lan0/0")]
    report(done)
    assert statistics.median(int(one["accesses"]) - int(one["looped"]) - int(one["parked"]) // BATCH for one in done) <= ACCESSES_MAX, done
    pings = pinger.result(20)
    datagrams = numbers(host, "web", 60 + 20 * MOVES)
    tagged = numbers(host, "web", 60 + 20 * MOVES, "/tmp/vlan")
    print(f"migrate: sent, lost, doubled, late: the station's pings {pings}, datagrams {datagrams}, in the VLAN {tagged}")
    transfers_end(host, "web")
    for sent, lost, doubled, late in (pings, datagrams, tagged):
        assert sent and (lost, doubled) == (0, 0) and late <= REORDERED_MAX * len(done), (pings, datagrams, tagged)
    assert all(port.lost == 0 for port in outside.ports), "the network outside has lost frames itself"
    log = host.run("web", "dmesg")
    assert not re.search(r"igbvf.*(?:Link is Down|reset|Reset)", log), log
    assert not any(" lan" in line for line in handover.told(host, "faults")), handover.told(host, "faults")
