# SPDX-License-Identifier: BSD-2-Clause
"""The VF of a hostile guest is aimed at everything in the machine that is not the guest's: the hypervisor's image, stacks and tables, the
IOMMU's tables and rings, the I/O domain, the other guests and their page tables, all registers, and addresses where nothing is. Where these
lie is found from outside; what came of it is told by the guest, by the machine's memory before and after, and by QEMU's trace of the
IOMMU. On a machine without an IOMMU the same guest reaches all it is aimed at."""
import re

from tests.system import hostile, kit, lib, memory, texts

ATTACKER = "dma"
OWN_MEMORY = 16 << 20  # of the attacker: below it, addresses mean its own memory
SECRET = bytes.fromhex("5ec2e7a77ac40000")[::-1] * 2  # a part of what it writes
PF = 5 << 3
AIMS = 3   # at each thing
PIECE = 128
LOG = r"\n(?:\[ *\d+\.\d{6}\] [^\n]*\n)+"  # what cuts a line of the guest that has the focus in two, with the newlines around it


def cut(text):
    """A pattern for what such a guest says."""
    return f"(?:{LOG})?".join(re.escape(letter) for letter in text)


ASKS, WORKS = cut("dmaattack: what and where"), cut("own traffic works")


def requester_id(vf):
    return PF + 0x80 + 2 * vf


OWNERS = {"iodomain": PF, "ping": requester_id(0), "echo": requester_id(1), ATTACKER: requester_id(hostile.VF_DMA)}


def things_there(host, picture):
    """Everything that has a name, and {requester id: the ranges it may reach}."""
    iommu = memory.Iommu(host, picture)
    reach = {device: iommu.reach(device) for device in OWNERS.values()}
    given = [place for ranges in reach.values() for place in ranges]
    pages = picture.used(memory.without([(0, len(picture.bytes))], given))
    things = memory.hypervisor(host, picture, host.build / "hv.elf") + iommu.things
    for name, device in OWNERS.items():
        things += iommu.of(name, device) + [memory.nested_tables(picture, name, reach[device][0][0], pages)]
    places = memory.regions(host)
    known = [place for thing in things for place in thing.ranges]
    rest = [place for place in memory.merge((page, page + memory.PAGE) for page in pages) if place[0] >= OWN_MEMORY]
    things.append(memory.Thing("elsewhere", memory.without(rest, known), memory.MOVING))
    for start, end, kind, name in places:
        if kind != "ram" and start >= len(picture.bytes):
            things.append(memory.Thing(f"registers-{name}", [(start & -memory.PAGE, end)], memory.MOVING))
    nowhere = [len(picture.bytes), 1 << 32, 1 << 40, 1 << 47]
    things.append(memory.Thing("nowhere", [(at, at + memory.PAGE) for at in nowhere], memory.MOVING))
    return things, reach


def aims(picture, thing):
    """Some addresses in it, in memory where there is something, so that to read it would show."""
    pages = [page for start, end in thing.ranges for page in range(start, end, memory.PAGE) if page >= OWN_MEMORY]
    picked = []
    for i in {(len(pages) - 1) * k // (AIMS - 1) for k in range(AIMS)} if pages else ():
        page = next(iter(picture.used((page, page + memory.PAGE) for page in pages[i:i + 64])), pages[i])
        data = picture.bytes[page:page + memory.PAGE]
        offset = next((at for at in range(0, len(data), PIECE) if any(data[at:at + PIECE])), 0)
        picked.append(page + offset)
    return sorted(set(picked))


def aim(host, targets):
    """Gives the attacker {name: addresses} line by line, and waits until it has tried them all."""
    for name, addresses in targets.items():
        for i in range(0, len(addresses), 8):
            host.send(f"{name} {' '.join(hex(a) for a in addresses[i:i + 8])}\n")
            host.line(ASKS, 60)


def outcomes(said, name, address):
    """(read, write) of one attack; the ring's outcome is in the trace and in the memory."""
    said = re.sub(LOG, "", said)
    return tuple(lib.find(rf"dmaattack: {name} {what} {address:x} (LEAKED|zeros|nothing|taken)", said)[1] for what in ("read", "write"))


def translations(trace):
    """[(requester id, address asked for, address given or 0)] of QEMU's trace."""
    found = re.findall(r"devid: (\w+):(\w+)\.(\w+) gpa 0x(\w+) hpa 0x(\w+)", trace)
    return [(int(b, 16) << 8 | int(d, 16) << 3 | int(f, 16), int(gpa, 16), int(hpa, 16)) for b, d, f, gpa, hpa in found]


def check_translations(trace, reach, targets):
    """Nobody got an address that is not its own; every attack came to the IOMMU, and was refused."""
    refused = set()
    for device, asked, given in translations(trace):
        if given:
            assert memory.inside(reach.get(device, []), given, given + 1), f"{device:#x} reached {given:#x} by {asked:#x}"
        elif device == OWNERS[ATTACKER]:
            refused.add(asked)
    for name, addresses in targets.items():
        # What is written to the range of interrupts is one: the IOMMU looks it up in the device's own table.
        missed = [hex(a) for a in addresses if a not in refused and name != "registers-apic-msi"]
        assert not missed, f"{name}: {missed} did not come to the IOMMU"


def check_reach(things, reach):
    """The attacker's VF reaches as much as its guest has, and no function reaches what another one does or what has another owner."""
    own = reach[OWNERS[ATTACKER]]
    assert sum(end - start for start, end in own) == OWN_MEMORY, own
    taken = [(thing.name, place) for thing in things if thing.name not in OWNERS for place in thing.ranges]
    taken += [(name, place) for name, device in OWNERS.items() for place in reach[device]]
    taken.sort(key=lambda one: one[1])
    for (name, (_, end)), (other, (start, _)) in zip(taken, taken[1:]):
        assert start >= end or not {name, other} & set(OWNERS), f"{name} and {other} share {start:#x}"


def check_memory(before, after, things, own):
    for thing in things:
        for start, end in thing.ranges if thing.still else ():
            if before.bytes[start:end] == after.bytes[start:end]:
                continue
            changed = [hex(at) for at in range(start, end, 8) if (before.word(at) ^ after.word(at)) & thing.still]
            assert not changed, f"{thing.name} has changed at {changed[:8]}"
    for start, end in memory.without([(0, len(after.bytes))], own):
        at = after.find(SECRET, start, end)
        assert at is None, f"what {ATTACKER} wrote is at {at:#x}"


@lib.test("system attack amd: a guest's VF cannot read or write a byte outside that guest", on="attack-amd", limit=400)
def outside(host):
    trace = kit.trace(host.build, "attack-amd")
    host.expect(texts.of(texts.STOPPED, "attacker"), 60, start=0)  # its function goes back, which changes its device's entry
    start = len(host.text)
    hostile.set_off(host, ATTACKER, WORKS, ASKS)
    top = next(end for first, end, kind, _ in memory.regions(host) if kind == "ram" and first == 1 << 20)
    with memory.Picture(host, host.file("before.bin"), top) as before:
        things, reach = things_there(host, before)
        targets = {thing.name: aims(before, thing) for thing in things if thing.name != ATTACKER}
        traced = trace.stat().st_size
        aim(host, targets)
        with memory.Picture(host, host.file("after.bin"), top) as after:
            check_memory(before, after, things, reach[OWNERS[ATTACKER]])
    host.focus(ATTACKER)
    host.send("\n")
    host.line(WORKS, 60)
    for name, addresses in targets.items():
        for address in addresses:
            assert outcomes(host.text[start:], name, address)[0] != "LEAKED", f"{name}: {address:#x} was read"
    check_translations(trace.read_text()[traced:], reach, targets)
    check_reach(things, reach)
    host.focus(texts.HYPERVISOR)
    host.line(r"bystander: \d+ pings, 0 lost, 0 words", 60, fail=texts.PANIC)


@lib.boot("no-iommu", beside=True)
def no_iommu(build):
    return {"linux": (build / "guest/dmaattack.elf", None, "wait=1 pf=1"), "iommu": False}


@lib.test("system attack: the same on a machine without an IOMMU reaches all it is aimed at", on="no-iommu", limit=60)
def control(host):
    address = 64 << 20
    host.line(texts.GUEST_WAITS, 30)
    host.send("x")
    host.line(ASKS, 30)
    aim(host, {"firmware": [0xf0000], "memory": [address]})
    assert outcomes(host.spoken(), "firmware", 0xf0000)[0] == "LEAKED"
    assert outcomes(host.spoken(), "memory", address)[1] == "taken"
    with memory.Picture(host, host.file("control.bin"), 2 * address) as picture:
        assert picture.find(SECRET, address, address + memory.PAGE) is not None
