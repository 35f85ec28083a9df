#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is linked where: the hypervisor links no library and leaves nothing undefined; none of the driver's code is in it; no image has a
segment that can be both written and executed; and the gates of the hypervisor's IDT lead where they should."""
import re
import struct
import subprocess

import lib

# Names that only a C library, lwIP or a driver would bring.
FOREIGN = re.compile(r"^(_?malloc|_?free|printf|fprintf|sprintf|_?sbrk|_impure\w*|__errno|fopen|lwip_\w+|netif_\w+|pbuf_\w+|tcp_\w+|udp_\w+|"
                     r"etharp_\w+|igb_\w+|igbvf_\w+)$")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def symbols(image):
    return [line.split() for line in output("nm", str(image)).splitlines()]


def writable_code(image):
    for line in output("readelf", "-lW", str(image)).splitlines():
        match = re.match(r"\s*(LOAD|GNU_STACK)\s.*\s([R ][W ][E ])\s+0x", line)
        if match and "W" in match[2] and "E" in match[2]:
            yield f"{image.name}: a {match[1]} segment can be written and executed"


def pe_sections(image):
    """Sections of a PE image that are both (characteristics 0x80000000 write, 0x20000000 execute)."""
    for match in re.finditer(r"^\s*\d+ (\S+).*\n\s+(.*)$", output("objdump", "-h", str(image)), re.M):
        if "CODE" in match[2] and "READONLY" not in match[2]:
            yield f"{image.name}: section {match[1]} can be written and executed"


def gates(image):
    """The IDT, which the assembler makes of constants (SDM 3A figure 6-8): a gate leads to its stub of 16 bytes."""
    at = {fields[-1]: int(fields[0], 16) for fields in symbols(image) if len(fields) == 3}
    rodata = re.search(r"\.rodata\s+PROGBITS\s+(\w+) (\w+) ", output("readelf", "-SW", str(image)))
    offset = at["idt"] - int(rodata[1], 16) + int(rodata[2], 16)
    table = struct.iter_unpack("<HHBBHLL", image.read_bytes()[offset : offset + 256 * 16])
    for vector, (low, selector, stack, kind, middle, high, reserved) in enumerate(table):
        wanted = {2: 1, 8: 2, 18: 3}.get(vector, 0)
        if (high << 32 | middle << 16 | low, selector, stack, kind, reserved) != (at["trap_stubs"] + 16 * vector, 8, wanted, 0x8E, 0):
            yield f"{image.name}: the gate of vector {vector} is wrong"


def main():
    hv = lib.BUILD / "hv.elf"
    findings = []
    for fields in symbols(hv):
        if fields[0] in ("U", "w"):
            findings.append(f"hv.elf: {fields[1]} is undefined")
        elif FOREIGN.match(fields[-1]):
            findings.append(f"hv.elf: {fields[-1]} is not the hypervisor's")
    for image in [hv, lib.BUILD / "iodom.elf", *sorted((lib.BUILD / "guest").glob("*.elf"))]:
        findings += writable_code(image)
    findings += gates(hv)
    findings += pe_sections(lib.BUILD / "BOOTX64.EFI")
    for line in output("readelf", "-SW", str(hv)).splitlines():
        if re.search(r"\.(init_array|ctors|fini_array|interp|dynamic)\b", line):
            findings.append(f"hv.elf: has a section {line.split()[1]}")
    lib.finish(findings)


main()
