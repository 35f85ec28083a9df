#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Includes look down only: kernel/lib -> kernel -> iommu -> vm -> kernel/main.c. A vendor's headers stay in its folder, <efi.h> in boot/,
and drivers/ and the guests share nothing with the hypervisor but vm/abi."""
import pathlib
import re

import lib

VENDORS = ("vm/svm", "vm/vmx", "iommu/amdvi", "iommu/vtd")
FREESTANDING = ("stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdalign.h", "limits.h")
SHARED = "boot/bootinfo.h"
# What each folder may include from the root, beside itself; the longest prefix of a file's name decides.
MAY = {
    "kernel/lib": (),
    "kernel/lib/wait.h": ("kernel/cpu/time.h",),  # a bounded wait needs a clock
    "kernel": ("kernel", SHARED),
    "kernel/main.c": ("kernel", "iommu", "vm", SHARED),
    "iommu": ("kernel", SHARED),
    "vm": ("kernel", "iommu", SHARED),
    "vm/abi": (),
    "boot": ("kernel/mm/layout.h", "kernel/lib", "kernel/cpu/regs.h", "kernel/cpu/x86.h", "kernel/pci/regs.h", "vm/abi"),  # headers alone: it links nothing of theirs
    "drivers": ("vm/abi",),
    "tests/guest": ("vm/abi",),
}


def inside(path, folder):
    return path == folder or path.startswith(folder + "/")


def folder_of(path):
    return max((f for f in MAY if inside(path, f)), key=len)


def check(path, include, quoted):
    folder = folder_of(path)
    vendor = next((v for v in VENDORS if inside(include, v)), None)
    if not quoted:
        if include.startswith("efi") and folder != "boot":
            return "EFI headers belong to boot/ only"
        if folder.startswith(lib.TCB) and include not in FREESTANDING:
            return f"the hypervisor has no <{include}>"
        return None
    if vendor and not inside(path, vendor):
        return f"{include} is {vendor}'s own"
    root = include.split("/")[0]
    if not (lib.ROOT / root).is_dir() or "/" not in include:
        return None  # beside the file, or of a library
    own = folder if (lib.ROOT / folder).is_dir() else str(pathlib.PurePath(folder).parent)
    if inside(include, own) or any(inside(include, allowed) for allowed in MAY[folder]):
        return None
    return f"{folder} may not include {include}"


def main():
    findings = []
    for path in lib.files(("boot", *lib.TCB, "drivers", "tests/guest"), ".c", ".h", ".S"):
        if inside(lib.name(path), "tests/guest/linux"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            why = match and check(lib.name(path), match[2], match[1] == '"')
            if why:
                findings.append(f"{lib.name(path)}:{number}: {why}")
    lib.finish(findings)


main()
