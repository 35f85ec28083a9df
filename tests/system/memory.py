# SPDX-License-Identifier: BSD-2-Clause
"""What lies where in a machine that runs Lastmile, found from outside: from QEMU's view of the address space, the processors' page tables
(AMD APM 2, 5.3), and the IOMMU's registers and tables (AMD 48882 rev. 3.08, 2.2 and 3.4). The hypervisor is not asked."""
import collections
import mmap
import pathlib
import re
import subprocess

PAGE = 4096
PIECE = 1 << 20
ADDRESS = 0x000ffffffffff000       # of a table, in every format here
PRESENT, USER, LARGE = 1, 4, 0x80  # x86 entries
ACCESSED_DIRTY = 0x60
STACKS = 0xffffd00000000000        # kernel/mm/layout.h
IMAGE = 0xffffffff80000000

MOVING, STILL = 0, (1 << 64) - 1

# ranges: [start, end) in the machine's memory. still: the bits of each quadword that do not change once everything runs.
Thing = collections.namedtuple("Thing", "name ranges still")


class Picture:
    """The machine's RAM below `size` at one moment, in a file."""

    def __init__(self, host, path, size):
        self.path = pathlib.Path(path)
        host.qmp("pmemsave", val=0, size=size, filename=str(path))
        with open(path, "rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bytes.close()
        self.path.unlink()

    def word(self, at):
        return int.from_bytes(self.bytes[at:at + 8], "little")

    def entries(self, table):
        return [self.word(table + 8 * i) for i in range(PAGE // 8)]

    def used(self, ranges):
        """The pages in these ranges that hold anything but zeros."""
        return [page for start, end in ranges for page in range(start, end, PAGE) if self.bytes[page:page + PAGE].strip(b"\0")]

    def find(self, pattern, start, end):
        """Where a pattern is between two addresses, or None. Piece by piece: a search in the mapping itself is slow."""
        for at in range(start, end, PIECE):
            found = self.bytes[at:min(at + PIECE + len(pattern), end)].find(pattern)
            if found >= 0:
                return at + found
        return None


def monitor(host, line):
    return host.qmp("human-monitor-command", **{"command-line": line}).replace("\r", "")


def regions(host):
    """[(start, end, kind, name)] of the address space that the processors see; kind: ram, i/o, rom, romd."""
    view = next(view for view in monitor(host, "info mtree -f").split("FlatView #") if 'AS "memory"' in view)
    return [(int(m[1], 16), int(m[2], 16) + 1, m[3], m[4]) for m in re.finditer(r"^  (\w+)-(\w+) \(prio -?\d+, ([\w/]+)\): (\S+)", view, re.M)]


def segments(elf):
    """[(virtual address, bytes in the file, size, writable, executable)] of what an ELF image loads."""
    listing = subprocess.run(["readelf", "-lW", str(elf)], capture_output=True, text=True, check=True).stdout
    data, found = pathlib.Path(elf).read_bytes(), []
    for m in re.finditer(r"^\s*LOAD\s+(0x\w+) (0x\w+) 0x\w+ (0x\w+) (0x\w+) (...)", listing, re.M):
        offset, virtual, held, size = (int(m[i], 16) for i in range(1, 5))
        found.append((virtual, data[offset:offset + held], size, "W" in m[5], "E" in m[5]))
    return found


def merge(ranges):
    merged = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def inside(ranges, start, end):
    return any(low <= start and end <= high for low, high in ranges)


def without(ranges, taken):
    """What of the ranges is not in any of `taken`."""
    left = []
    for start, end in merge(ranges):
        for low, high in merge(taken):
            if start < high and low < end:
                left += [(start, low)] if start < low else []
                start = max(start, high)
        left += [(start, end)] if start < end else []
    return left


# --- the hypervisor ---

def walk_x86(picture, table, level=4, virtual=0):
    """(virtual address, address, size) of every leaf, and (None, address, PAGE) of every table."""
    yield None, table, PAGE
    size = PAGE << 9 * (level - 1)
    for i, entry in enumerate(picture.entries(table)):
        at = virtual + i * size
        if level == 4 and i >= 256:
            at += 0xffff << 48
        if not entry & PRESENT:
            continue
        if level == 1 or entry & LARGE:
            yield at, entry & ADDRESS & -size, size
        else:
            yield from walk_x86(picture, entry & ADDRESS, level - 1, at)


def hypervisor(host, picture, hv):
    """The things of the hypervisor's own address space. One of the processors is in it most of the time; its tables are known by what
    they map where hv.elf is linked."""
    text = segments(hv)[0][1][:PAGE]
    for root in {int(value, 16) & ADDRESS for value in re.findall(r"CR3=(\w+)", monitor(host, "info registers -a"))}:
        leaves = list(walk_x86(picture, root)) if root + PAGE <= len(picture.bytes) else []
        image = {virtual: (at, at + size) for virtual, at, size in leaves if virtual is not None and virtual >= IMAGE}
        if IMAGE in image and picture.bytes[image[IMAGE][0]:image[IMAGE][0] + len(text)] == text:
            break
    else:
        return None
    things = []
    for virtual, _, size, writable, executable in segments(hv):
        name = "data" if writable else "text" if executable else "rodata"
        ranges = [place for at, place in image.items() if virtual <= at < virtual + size]
        things.append(Thing(f"hypervisor-{name}", merge(ranges), MOVING if writable else STILL))
    things.append(Thing("hypervisor-stacks", merge((at, at + size) for virtual, at, size in leaves if virtual and STACKS <= virtual < IMAGE), MOVING))
    things.append(Thing("hypervisor-tables", merge((at, at + size) for virtual, at, size in leaves if virtual is None), STILL))
    return things


# --- the IOMMU and what it lets each function reach ---

VALID, LEAF = 3, 0  # device table entry: V and TV; next level of a page table entry
INT_TABLE = 0x000fffffffffffc0


def walk_amdvi(picture, table, level):
    """(address, size) of every leaf, and (address, 0) of every table."""
    yield table, 0
    for entry in picture.entries(table):
        below = entry >> 9 & 7
        if entry & PRESENT and below == LEAF:
            yield entry & ADDRESS, PAGE << 9 * (level - 1)
        elif entry & PRESENT:
            yield from walk_amdvi(picture, entry & ADDRESS, below)


class Iommu:
    def __init__(self, host, picture):
        base = next(start for start, _, _, name in regions(host) if name == "amdvi-mmio")
        words = re.findall(r"0x(\w{16})", monitor(host, f"xp /3gx {base:#x}"))
        devices, commands, events = (int(word, 16) & ADDRESS for word in words)
        self.picture, self.devices = picture, devices
        self.things = [Thing("iommu-devices", [(devices, devices + (int(words[0], 16) % 512 + 1) * PAGE)], STILL),
                       Thing("iommu-rings", [(at, at + PAGE) for at in (commands, events)], MOVING)]

    def tables(self, device):
        """The page tables that a requester id goes through, and its table of interrupts."""
        entry = [self.picture.word(self.devices + 32 * device + 8 * i) for i in range(4)]
        assert entry[0] & VALID == VALID, f"the device table's entry {device:#x} is open"
        leaves = list(walk_amdvi(self.picture, entry[0] & ADDRESS, entry[0] >> 9 & 7))
        return leaves, entry[2] & INT_TABLE

    def reach(self, device):
        """The ranges of memory that a requester id reaches."""
        return merge((at, at + size) for at, size in self.tables(device)[0] if size)

    def of(self, name, device):
        """The things of one owner: the memory that its function reaches, and the tables that say so."""
        leaves, interrupts = self.tables(device)
        return [Thing(name, self.reach(device), MOVING),
                Thing(f"iommu-tables-of-{name}", merge((at, at + PAGE) for at, size in leaves if not size), STILL),
                Thing(f"interrupts-of-{name}", [(interrupts & -PAGE, (interrupts & -PAGE) + PAGE)], MOVING)]


def nested_tables(picture, name, block, pages):
    """The nested page tables of a guest, from the leaf of the block of memory where it begins up to the root: entries for it are the
    only ones that have the user bit (AMD APM 2, 15.25.5), no NX and nothing above the address. pages: where to look for them."""
    found, wanted = [], [block]
    while wanted:
        pattern = (wanted.pop() >> 8).to_bytes(7, "little")
        for page in pages:
            at = picture.bytes[page:page + PAGE].find(pattern)
            if at % 8 == 1 and picture.bytes[page + at - 1] & (PRESENT | USER) == PRESENT | USER and page not in found:
                found.append(page)
                wanted.append(page)
    return Thing(f"nested-tables-of-{name}", merge((at, at + PAGE) for at in found), STILL & ~ACCESSED_DIRTY)
