# SPDX-License-Identifier: BSD-2-Clause
"""A stock guest is moved to a VF of another NIC and back: both uplinks are on one network outside of the machine, with others on it: a station,
and a second guest behind a third NIC."""
import re

from tests.system import guests, lib
from tests.system.guests import ADDRESS
from tests.system.switch import Switch

SLOTS = (5, 7, 9)  # apart: VFs have the ids from 16 slots on
STATION = "10.0.2.9"
NICS = "\n".join(f"[nic lan{i}]\npf = 00:{slot:02x}.0\nvfs = 4\nip = 10.0.2.{200 + i}/24" for i, slot in enumerate(SLOTS))

outside = None  # the Switch


def cfg_text():
    text = (lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text()
    text = re.sub(r"\[nic lan0\][^[]*", NICS + "\n\n", text)
    return text.replace("lan0/1 mac", "lan2/0 mac")


@lib.boot("uplinks")
def machine(_build):
    global outside
    outside = Switch(len(SLOTS), STATION)
    extra = []
    for i, slot in enumerate(SLOTS):
        extra += ["-netdev", outside.arguments(i, f"n{i}"), "-device", f"igb,netdev=n{i},bus=pcie.0,addr={slot:#x}"]
    return {"cfg": cfg_text(), "nic": False, "extra": extra, "ready": guests.ready}


@lib.test("system migrate: guests on two NICs reach each other and a station outside", on="uplinks", limit=120)
def reach(host):
    assert lib.ping_line(host.run("web", f"lmping {ADDRESS['db']} 100 5"), ADDRESS["db"])[:2] == (100, 0)
    for guest in ADDRESS:
        assert lib.ping_line(host.run(guest, f"lmping {STATION} 50 5"), STATION)[:2] == (50, 0)
