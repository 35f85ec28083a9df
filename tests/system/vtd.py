# SPDX-License-Identifier: BSD-2-Clause
"""The other IOMMU: the same guests behind VT-d, which records what it blocks; the log says whose it was."""
import re

from tests.system import dma, guests, hostile, lib

TARGETS = {"hypervisor": [0x4000000], "nowhere": [1 << 40]}


@lib.boot("vtd", "vtd")
def vtd(build):
    text = guests.two_vfs((lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text())
    return {"cfg": text + hostile.section(dma.ATTACKER), "ready": guests.ready}


guests.traffic_tests("vtd", "behind VT-d, ")


@lib.test("system vtd: a guest's VF is blocked outside that guest, and the log names device and guest", on="vtd", limit=300)
def faults(host):
    start = len(host.text)
    hostile.set_off(host, dma.ATTACKER, "own traffic works", dma.ASKS)
    hostile.while_pinging(host, lambda: (host.focus(dma.ATTACKER), dma.aim(host, TARGETS)))
    host.focus(dma.ATTACKER)
    host.send("\n")
    host.line("own traffic works", 60)
    said = re.sub(r"(\r?\n\[ *[\d.]+\] [^\r\n]*)+\r?\n", "", host.text[start:])  # the log may cut a guest's line in two
    name = f"{dma.requester_id(hostile.VF_DMA) >> 3:02x}.{dma.requester_id(hostile.VF_DMA) & 7}"
    for thing, addresses in TARGETS.items():
        for address in addresses:
            assert dma.outcomes(said, thing, address)[0] != "LEAKED", hex(address)
    lib.find(rf"IOMMU: no (read|write) permission: (read|write) at 0x\w+ \([\w ]+\) by lan0/{hostile.VF_DMA} 00:{name} of {dma.ATTACKER}", host.text[start:])
