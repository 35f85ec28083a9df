#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a bootable disk image: a GPT with one EFI system partition that holds all that lastmile.cfg names.

    EFI/BOOT/BOOTX64.EFI            what the firmware starts
    lastmile.cfg hv.elf iodom.elf   in the root, and beside them the guests' files under the names that the file gives them

A file is looked for in the configuration's folder, then in DIR, then in DIR/guest. Needs no root rights: the file system is written with
mtools. The image is sparse and as large as its contents.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

MIB = 1 << 20
START = MIB                # of the partition
TAIL = MIB                 # behind it, for the second partition table
LEAST = 40 * MIB           # FAT32 has no fewer than 65,525 clusters
CLUSTERS = ((256 * MIB, 1), (8192 * MIB, 8), (1 << 62, 32))  # (up to this size, sectors for each cluster)


class Failure(Exception):
    pass


def run(*command):
    env = dict(os.environ, MTOOLS_SKIP_CHECK="1", PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    try:
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed (make setup installs it)") from None
    if done.returncode:
        raise Failure(f"{command[0]} failed: {done.stdout.decode(errors='replace').strip()}")


def named_files(cfg):
    """(line, key, name) of each kernel and initrd, and whether there is a [nic] section. What is wrong in it the image says at boot."""
    found, nic, section = [], False, ""
    with open(cfg, encoding="utf-8", errors="surrogateescape") as text:
        for number, line in enumerate(text, 1):
            header = re.match(r"\s*\[\s*(\w+)", line)
            if header:
                section = header.group(1)
                nic |= section == "nic"
            entry = re.match(r"\s*(kernel|initrd)\s*[=:]\s*(.*)", line)
            if entry and section == "guest":
                value = re.split(r"\s;", " " + entry.group(2))[0].strip()
                if value:
                    found.append((number, entry.group(1), value))
    return found, nic


def find(name, places):
    for place in places:
        path = os.path.join(place, name)
        if os.path.isfile(path):
            return path
    return None


def contents(args):
    """{name in the image: path on this machine}."""
    given = dict(item for item in args.file)
    folder = os.path.dirname(os.path.abspath(args.cfg))
    places = [folder, args.build, os.path.join(args.build, "guest")]
    named, nic = named_files(args.cfg)
    files = {"lastmile.cfg": args.cfg}
    for target, name in (("EFI/BOOT/BOOTX64.EFI", "BOOTX64.EFI"), ("hv.elf", "hv.elf"), ("iodom.elf", "iodom.elf")):
        path = given.pop(name, None) or find(name, [args.build])
        if path:
            files[target] = path
        elif name != "iodom.elf" or nic:
            raise Failure(f"{name}: not found in {args.build} (make builds it)")
    for line, key, name in named:
        if name.startswith("/") or ".." in name.split("/") or "\\" in name:
            raise Failure(f"{args.cfg}:{line}: {key}: {name} is outside the configuration's folder")
        path = given.get(name) or find(name, places)
        if not path:
            raise Failure(f"{args.cfg}:{line}: {key}: {name}: not found in " + ", ".join(places))
        files[name] = path
    files.update(given)
    for name, path in files.items():
        if not os.path.isfile(path):
            raise Failure(f"{name}: no such file: {path}")
    return files


def folders(names):
    found = set()
    for name in names:
        while os.path.dirname(name):
            name = os.path.dirname(name)
            found.add(name)
    return sorted(found)


def write(out, files):
    size = sum(os.path.getsize(path) + 64 * 1024 for path in files.values())
    size = max(LEAST, (size + size // 64 + 4 * MIB + MIB - 1) // MIB * MIB)
    cluster = next(sectors for limit, sectors in CLUSTERS if size <= limit)
    with open(out, "wb") as image:
        image.truncate(START + size + TAIL)
    run("sgdisk", "-o", "-n", f"1:{START // 512}:{(START + size) // 512 - 1}", "-t", "1:ef00", "-c", "1:LASTMILE", out)
    esp = f"{out}@@{START}"
    run("mformat", "-i", esp, "-F", "-c", str(cluster), "-T", str(size // 512), "-h", "64", "-s", "32", "-v", "LASTMILE", "::")
    for folder in folders(files):
        run("mmd", "-i", esp, "::/" + folder)
    for name, path in files.items():
        run("mcopy", "-i", esp, path, "::/" + name)


def name_and_path(text):
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise argparse.ArgumentTypeError(f"{text}: NAME=PATH is needed")
    return name, path


def main():
    parser = argparse.ArgumentParser(description="Makes a bootable disk image of a lastmile.cfg and all that it names.")
    parser.add_argument("--cfg", required=True, help="the configuration; becomes lastmile.cfg")
    parser.add_argument("--out", required=True, help="the image to write")
    parser.add_argument("--build", required=True, help="where BOOTX64.EFI, hv.elf, iodom.elf and guest/ are")
    parser.add_argument("--file", action="append", default=[], type=name_and_path, metavar="NAME=PATH",
                        help="take this file for NAME, or put it there as well; may be repeated")
    args = parser.parse_args()
    temporary = None
    try:
        if not os.path.isfile(args.cfg):
            raise Failure(f"{args.cfg}: no such configuration")
        files = contents(args)
        os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(args.out)), suffix=".img")
        os.close(handle)
        write(temporary, files)
        os.chmod(temporary, 0o644)
        os.replace(temporary, args.out)
        temporary = None
    except (Failure, OSError) as failure:
        print(f"mkimage: {failure}", file=sys.stderr)
        return 1
    finally:
        if temporary:
            os.unlink(temporary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
