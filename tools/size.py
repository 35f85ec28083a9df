#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Lines of code (without blank and comment lines) for each folder and for the trusted computing base, bytes of each image, and the memory
taken at run time as the last boot's log said."""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TCB = ("kernel", "iommu", "vm")
FOLDERS = ("boot", *TCB, "drivers", "tests", "tools", "linker")
C_LIKE = (".c", ".h", ".S", ".ld", ".asl")
SCRIPTS = (".py", ".sh", ".mk")
TCB_TARGET = 9000  # with one back end at each seam, as one machine uses them
SECOND = ("iommu/vtd", "vm/vmx")  # back ends that the board `amd` does not use
MOVES = ("vm/migrate",)  # moving and saving of guests
MEMORY = re.compile(r"memory: hypervisor (\d+) KiB, I/O domain (\d+) KiB")
MEMORY_TARGETS = (16 << 10, 32 << 10)  # KiB


def lines_of_code(path):
    text = path.read_text(errors="replace")
    if path.suffix in C_LIKE:
        # A comment keeps its line breaks, so that code on both sides of it still counts as two lines; strings may hold `//`.
        text = re.sub(r'("(?:\\.|[^"\\\n])*")|/\*.*?\*/|//[^\n]*', lambda m: m[1] or "\n" * m[0].count("\n"), text, flags=re.S)
    elif path.suffix in SCRIPTS:
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    else:
        return 0
    return sum(1 for line in text.splitlines() if line.strip())


def count(folder):
    return sum(lines_of_code(path) for path in sorted((ROOT / folder).rglob("*")) if path.is_file())


def print_lines():
    counts = {folder: count(folder) for folder in FOLDERS}
    tcb = sum(counts[folder] for folder in TCB)
    print("lines of code (no blank lines, no comments)")
    for folder in FOLDERS:
        print(f"  {folder:18} {counts[folder]:8,}")
        if folder in TCB:
            for below in sorted(p for p in (ROOT / folder).iterdir() if p.is_dir()):
                print(f"    {below.name:16} {count(f'{folder}/{below.name}'):8,}")
    one = tcb - sum(count(folder) for folder in SECOND)
    print(f"  {'TCB':18} {tcb:8,}  (kernel + iommu + vm)")
    print(f"    {'as a board uses':16} {one:8,}  (without {', '.join(SECOND)}; target: under {TCB_TARGET:,})")
    print(f"    {'... without moves':16} {one - sum(count(folder) for folder in MOVES):8,}  (without {', '.join(MOVES)} too)")


def sections(image):
    """(code, read-only and data, zeroed) bytes by size(1)."""
    done = subprocess.run(["size", "-A", str(image)], capture_output=True, text=True, check=False)
    total = {"text": 0, "data": 0, "bss": 0}
    for name, size in re.findall(r"^\.(\S+)\s+(\d+)\s+\d+$", done.stdout, re.M):
        if not re.match(r"debug|comment|note", name):
            total["text" if name.startswith("text") else "bss" if name.startswith("bss") else "data"] += int(size)
    return total["text"], total["data"], total["bss"]


def print_images(build):
    print("images                  file bytes       code       data       zeroed")
    for image in [build / "BOOTX64.EFI", build / "hv.elf", build / "iodom.elf", *sorted((build / "guest").glob("*.elf"))]:
        if image.exists():
            text, data, bss = sections(image)
            print(f"  {image.name:18} {image.stat().st_size:13,} {text:10,} {data:10,} {bss:12,}")


def print_memory(build):
    """What the demonstration's last boot said."""
    log = build / "log/boot-demo.log"
    found = MEMORY.findall(log.read_text(errors="replace")) if log.exists() else []
    if not found:
        print("memory at run time: no boot has been logged yet; `make test T=system` makes one")
        return
    hypervisor, iodomain = (int(n) for n in found[-1])
    print("memory at run time")
    print(f"  hypervisor         {hypervisor:8,} KiB  (target: under {MEMORY_TARGETS[0]:,} KiB)")
    print(f"  I/O domain         {iodomain:8,} KiB  (target: under {MEMORY_TARGETS[1]:,} KiB)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    build = parser.parse_args().build
    print_lines()
    print_images(build)
    print_memory(build)


if __name__ == "__main__":
    sys.exit(main())
