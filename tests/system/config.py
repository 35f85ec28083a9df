# SPDX-License-Identifier: BSD-2-Clause
"""What is wrong is found before the firmware is left: one line, and the firmware goes on."""
import random
import re
import subprocess

from tests.system import bend, lib, texts

BOOT_SECONDS = 40
GOOD = """[global]
console = com1
[nic lan0]
pf = 00:05.0
vfs = 2
[guest web]
kernel = hello.elf
memory = 16M
vf = lan0/0 mac=02:00:00:00:00:01
[guest db]
kernel = hello.elf
memory = 16M
vf = lan0/1 mac=02:00:00:00:00:02
"""

# what: (text to replace, by what, what the line names)
CASES = {
    "an unknown key": ("vfs = 2", "vfss = 2", r"vfss\b[^\n]*\bvfs\b"),  # and the nearest known one
    "a bad number": ("vfs = 2", "vfs = two", "vfs"),
    "more VFs than the NIC has": ("vfs = 2", "vfs = 8", "vfs"),
    "a NIC that is not there": ("00:05.0", "00:07.0", "pf"),
    "a guest given twice": ("[guest db]", "[guest web]", "web"),
    "a VF given twice": ("lan0/1", "lan0/0", "vf"),
    "a VF that the NIC has not": ("lan0/1", "lan0/2", "vf"),
    "a multicast MAC": ("mac=02:00:00:00:00:02", "mac=03:00:00:00:00:02", "mac|vf"),
    "a MAC given twice": ("mac=02:00:00:00:00:02", "mac=02:00:00:00:00:01", "mac|vf"),
    "memory beyond the machine": ("memory = 16M\nvf = lan0/1", "memory = 64G\nvf = lan0/1", "memory"),
    "a missing kernel": ("kernel = hello.elf\nmemory = 16M\nvf = lan0/1", "kernel = absent.elf\nmemory = 16M\nvf = lan0/1", "kernel"),
}

texts_of = {}  # title: configuration that is refused


def image_with(build, name, text):
    """The image of GOOD with another configuration in it: mkimage itself would refuse some."""
    image = lib.make_image(build, name, GOOD)
    cfg = build / "system" / f"{name}-bad.cfg"
    cfg.write_bytes(text)
    subprocess.run(["mcopy", "-o", "-i", f"{image}@@1M", str(cfg), "::/lastmile.cfg"], check=True, capture_output=True)
    return image


def refused(context, name, text, named, **options):
    """Boots it: one line that names what is wrong, then the firmware again, and nothing started."""
    with lib.Host("amd", build=context.build, log=context.log(name), disk=image_with(context.build, "config", text), **options) as host:
        host.begin(BOOT_SECONDS)
        line = host.line(named, BOOT_SECONDS, fail=texts.LEAVES_FIRMWARE)
        host.expect(texts.FIRMWARE_AGAIN, 30)
        host.never(texts.LEAVES_FIRMWARE, start=0)
        said = re.findall(r"^lastmile: (?!warning: )[^\n]*", host.text, re.M)
        assert len(said) == 1, said
        return line


def refusal_test(name, title, text, refusal):
    """Of a configuration on the board's usual machine: all of them from one session of the firmware."""
    texts_of[title] = text

    @lib.test(name, on="configs", limit=BOOT_SECONDS)
    def case(host):
        bend.refused(host, title, refusal)


def changed(old, new):
    """GOOD, in its last place of `old`."""
    assert GOOD.count(old) >= 1
    return GOOD[::-1].replace(old[::-1], new[::-1], 1)[::-1].encode()


for what, (old, new, named) in CASES.items():
    refusal_test(f"system config: {what} is refused by file, line and key", what, changed(old, new), texts.REFUSED_AT + rf"[^\n]*(?:{named})")
refusal_test("system config: 1 MiB of random bytes is refused", "noise", random.Random(1).randbytes(1 << 20), texts.REFUSED_AT)


@lib.boot("configs", beside=True)
def config_boot(build):
    files = {f"{i}.cfg": text for i, text in enumerate(texts_of.values())}
    return bend.options(build, "configs", GOOD, {title: [f"config {file}"] for title, file in zip(texts_of, files)}, files)


@lib.test("system config: an unknown key is refused, and the firmware itself goes on", on=lib.NO_MACHINE, limit=BOOT_SECONDS)
def alone(context):
    refused(context, "alone", changed("vfs = 2", "vfss = 2"), texts.REFUSED_AT)


@lib.test("system config: a machine without SVM is refused", on=lib.NO_MACHINE, limit=BOOT_SECONDS)
def no_svm(context):
    refused(context, "no-svm", GOOD.encode(), texts.REFUSED + r"CPU: ", extra=("-cpu", "EPYC,+x2apic,-svm"))


@lib.test("system config: a machine without an IOMMU is refused when a guest is to have a VF", on=lib.NO_MACHINE, limit=BOOT_SECONDS)
def no_iommu(context):
    refused(context, "no-iommu", GOOD.encode(), texts.REFUSED + r"[^\n]*IOMMU", iommu=False)
