#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes the Linux test guest: guest.py --kernel build/third_party/linux-stock --init tests/guest/linux --programs FILE... --out build/guest

Writes OUT/vmlinuz (Debian's kernel as it is) and OUT/initrd.cpio.gz: busybox, the stock NIC modules, /init and small commands. The same
input gives the same bytes.
"""
import argparse
import gzip
import lzma
import os
import pathlib
import shutil
import stat
import sys

# igbvf, VLANs and drivers for whole functions for guests; igb only for the bare boot that guests are compared with.
MODULES = ("igbvf", "igb", "8021q", "nvme", "e1000e", "ahci", "sd_mod")

# What a module asks the kernel for by an alias when it is loaded; kernels from 6.14 have these built in.
PROVIDERS = {"crc_t10dif": "crct10dif_generic", "crc64_rocksoft": "crc64_rocksoft_generic"}

COMMANDS = {
    "load": 'name=$1; shift; while read -r m; do [ "$m" = "$name.ko" ] || insmod /modules/$m; done </modules/$name.list; insmod /modules/$name.ko "$@"',
    "lmping": 'exec traffic ping "$@"',
    "lmserve": "traffic serve </dev/null & usleep 300000",
    "lmget": 'exec traffic get "$@"',
    "lmput": 'exec traffic put "$@"',
    "ns": 'n=$1; shift; exec nsenter -t "$(cat /run/ns$n)" -n "$@"',
    "poweroff": "sync; exec busybox poweroff -f",
    "reboot": "sync; exec busybox reboot -f",
}

# The interactive shell prefers busybox's own commands to ours, and those would ask an init that is not there.
SHELL = "poweroff() { /bin/poweroff; }\nreboot() { /bin/reboot; }\n"


class Cpio:
    """A `newc` archive in memory: all owned by root, no times, inodes counted from 1."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0

    def add(self, name, mode, body=b"", device=(0, 0)):
        self.inode += 1
        name = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(body), 0, 0, device[0], device[1], len(name), 0)
        self.data += b"070701" + b"".join(b"%08x" % f for f in fields) + name
        self.pad()
        self.data += body
        self.pad()

    def pad(self):
        self.data += bytes(-len(self.data) % 4)

    def done(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def module_files(kernel):
    """Name -> path of every module of the package; names with `_` for `-`, as the kernel has them."""
    found = {}
    for path in (kernel / "lib/modules").rglob("*.ko*"):
        found[path.name.split(".ko")[0].replace("-", "_")] = path
    for path in (kernel / "usr/lib/modules").rglob("*.ko*"):
        found[path.name.split(".ko")[0].replace("-", "_")] = path
    return found


def module_body(path):
    body = path.read_bytes()
    return lzma.decompress(body) if path.suffix == ".xz" else body


def depends(body):
    """The `depends=` entry of the module's .modinfo: what must be loaded before it."""
    at = body.find(b"\0depends=")
    if at < 0:
        return []
    start = at + len(b"\0depends=")
    names = body[start:body.index(b"\0", start)].decode()
    return [name.replace("-", "_") for name in names.split(",") if name]


def load_order(name, bodies, files, order):
    """Appends name to order behind what it depends on."""
    if name in order:
        return
    if name not in files:
        sys.exit(f"guest: the kernel package has no module {name}")
    bodies[name] = module_body(files[name])
    for other in depends(bodies[name]) + [p for p in [PROVIDERS.get(name)] if p in files]:
        load_order(other, bodies, files, order)
    order.append(name)


def add_modules(cpio, kernel, names=MODULES):
    files, bodies, loaded = module_files(kernel), {}, []
    cpio.add("modules", stat.S_IFDIR | 0o755)
    for name in names:
        order = []
        load_order(name, bodies, files, order)
        cpio.add(f"modules/{name}.list", stat.S_IFREG | 0o644, "".join(f"{m}.ko\n" for m in order).encode())
        loaded += [m for m in order if m not in loaded]
    for name in loaded:
        cpio.add(f"modules/{name}.ko", stat.S_IFREG | 0o644, bodies[name])


def initrd(args):
    cpio = Cpio()
    for folder in ("bin", "dev", "proc", "sys", "run", "tmp"):
        cpio.add(folder, stat.S_IFDIR | 0o755)
    cpio.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    cpio.add("etc", stat.S_IFDIR | 0o755)
    cpio.add("etc/shrc", stat.S_IFREG | 0o644, SHELL.encode())
    cpio.add("init", stat.S_IFREG | 0o755, (args.init / "init").read_bytes())
    cpio.add("bin/busybox", stat.S_IFREG | 0o755, pathlib.Path(args.busybox).read_bytes())
    for applet in sorted(set(os.popen(f"{args.busybox} --list").read().split()) - set(COMMANDS) - {"busybox"}):
        cpio.add(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox")
    for name, text in COMMANDS.items():
        cpio.add(f"bin/{name}", stat.S_IFREG | 0o755, f"#!/bin/sh\n{text}\n".encode())
    for program in args.programs:
        cpio.add(f"bin/{program.name}", stat.S_IFREG | 0o755, program.read_bytes())
    add_modules(cpio, args.kernel)
    return gzip.compress(cpio.done(), compresslevel=6, mtime=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", type=pathlib.Path, required=True, help="the unpacked kernel package")
    parser.add_argument("--init", type=pathlib.Path, required=True, help="folder with the init script")
    parser.add_argument("--programs", type=pathlib.Path, nargs="+", required=True, help="static helpers")
    parser.add_argument("--busybox", default="/bin/busybox")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    kernels = [*args.kernel.glob("boot/vmlinuz-*"), *args.kernel.glob("usr/lib/modules/*/vmlinuz")]
    if not kernels:
        sys.exit(f"guest: no kernel in {args.kernel}")
    data = initrd(args)
    shutil.copyfile(kernels[0], args.out / "vmlinuz")
    (args.out / "initrd.cpio.gz").write_bytes(data)


if __name__ == "__main__":
    main()
