# SPDX-License-Identifier: BSD-2-Clause
"""A guest with all that a VF can have, moved while it uses it: four vCPUs, two VFs, long frames, a VLAN that it has chosen and one that is
configured, a group that it is in, segmentation and checksums by the NIC. COMBINED_MOVES says how often it is moved (4)."""
import os

from tests.system import handover, iodomain, lib
from tests.system.migrate import REORDERED_MAX, add_vlan, numbers, order, report, transfers, transfers_end, until_clean

MOVES = int(os.environ.get("COMBINED_MOVES") or 4)
GUARD = 2       # seconds for which streams go on at least, beside SECONDS a move
SECONDS = 2
GROUP = "239.1.2.3"
MTU = 9000
CHOSEN, CONFIGURED = 5, 7  # VLANs
NETS = {"eth0": "10.0.2", "chosen": "10.0.5", "configured": "10.0.7"}
NUMBER = {"web": 101, "db": 102}  # in each
ROUTE = (("lan0/1", "lan0/3"), ("lan0/2", "lan0/5"), ("lan0/3", "lan0/1"), ("lan0/5", "lan0/2"))

# name: (where db says it to web, how often a second, bytes)
STREAMS = {"long": ("eth0", 10, 8000), "chosen": ("chosen", 40, 64), "configured": ("configured", 40, 64)}
CASTS = 20  # a second, to the group, in the chosen VLAN
WINDOW = 131072  # bytes of a transfer under way: with the datagrams of a second less than a ring holds, as long as a busy host keeps a guest waiting


def set_up(host):
    """MTU and VLANs."""
    for guest, number in NUMBER.items():
        host.run(guest, f"ip link set eth0 mtu {MTU} && echo 4096 65536 {WINDOW} >/proc/sys/net/ipv4/tcp_rmem")
        add_vlan(host, guest, CHOSEN, f"{NETS['chosen']}.{number}")
    add_vlan(host, "web", CONFIGURED, f"{NETS['configured']}.{NUMBER['web']}")


def begin(host, seconds):
    """All streams, in the background."""
    for name, (net, rate, size) in STREAMS.items():
        host.run("db", f"rm -f /tmp/{name}; traffic number {NETS[net]}.101 {rate * seconds} {rate} {size} >/tmp/{name} 2>&1 &")
    count = CASTS * seconds
    host.run("db", f"rm -f /tmp/group; traffic listen {GROUP} {count} {NETS['chosen']}.102 >/tmp/group 2>&1 &")
    host.run("web", f"sleep 1; traffic cast {GROUP} {count} {CASTS} {NETS['chosen']}.101 >/tmp/cast 2>&1 &")


def end(host, seconds):
    """{stream: (sent, lost, doubled, late)}"""
    return {name: numbers(host, "db", seconds, f"/tmp/{name}") for name in (*STREAMS, "group")}


def one_move(host, source, to):
    """A busy host may not let all of a guest's processors come to a stand in time; then it goes on where it is, and is tried again."""
    for _ in range(3):
        until_clean(host, to)
        one = order(host, f"move {source} {to}")
        if one.get("step") != "freeze":
            break
    return one


def moves_test(on, prefix):
    @lib.test(f"system migrate: {prefix}{MOVES} moves of a guest with two VFs, four vCPUs, long frames, VLANs and a group, nothing lost", on=on,
              limit=120 + 12 * MOVES)
    def moves(host):
        set_up(host)
        faults = handover.told(host, "faults")
        begin(host, GUARD)
        transfers(host, "db", "web")
        before = end(host, 60)
        transfers_end(host, "db")
        assert all(one[1:3] == (0, 0) for one in before.values()), f"lost without any move: {before}"
        begin(host, GUARD + SECONDS * MOVES)
        transfers(host, "db", "web")
        links = iodomain.link_state(host)
        done = []
        for i in range(MOVES):
            source, to = ROUTE[i % len(ROUTE)]
            one = one_move(host, source, to)
            assert (one["result"], one["lost"], one["duplicated"]) == ("done", "0", "0"), one
            done.append(one)
        streams = end(host, 60 + 8 * MOVES)
        transfers_end(host, "db")
        report(done)
        print(f"migrate: sent, lost, doubled, late: {streams}")
        for name, (sent, lost, doubled, late) in streams.items():
            assert sent and (lost, doubled) == (0, 0) and late <= REORDERED_MAX * MOVES, (name, streams)
        assert iodomain.link_state(host) == links, f"the guests' logs: {links} before, {iodomain.link_state(host)} after"
        assert handover.told(host, "faults") == faults


moves_test("migrate", "")
moves_test("vtd", "behind VT-d, ")
