# SPDX-License-Identifier: BSD-2-Clause
"""Hostile ACPI tables on a booted board. tests/boot/bend.c starts Lastmile over and over from one session of the firmware, each time with
the tables changed: what the system is not safe without is refused by name and the firmware goes on; the rest is ignored with a warning,
and in the end the guests run."""
from tests.system import bend, config, lib, texts

BAD_SUM = "8 ee"  # another revision: the checksum does not fit any more
SAFE = "what it is safe without"

# title: (what is bent, the warning, the refusal); no refusal: it goes on
CASES = {
    "an RSDP with a bad checksum": (["RSDP 9 ee"], r"no valid RSDP", r"XSDT"),
    "an XSDT with a bad checksum": (["XSDT " + BAD_SUM], r"table XSDT ignored: bad checksum", r"XSDT"),
    "an XSDT of length 0": (["XSDT 4 00 00 00 00"], r"table XSDT ignored: bad length", r"XSDT"),
    "an IVRS with a bad checksum": (["IVRS " + BAD_SUM], r"table IVRS ignored: bad checksum", r"IOMMU: no valid IVRS"),
    "an IVRS of length 0": (["IVRS 4 00 00 00 00"], r"table IVRS ignored: bad length", r"IOMMU: no valid IVRS"),
    "an IVRS longer than the memory": (["IVRS 4 ff ff ff 00"], r"table IVRS ignored: bad length", r"IOMMU: no valid IVRS"),
    "an IVRS with a block of length 0": (["IVRS 32 00 00", "IVRS sum"], r"table IVRS ignored: an entry's length", r"IOMMU: no valid IVRS"),
    "an IVRS with a block beyond its end": (["IVRS 32 ff ff", "IVRS sum"], r"table IVRS ignored: an entry's length", r"IOMMU: no valid IVRS"),
    "an IVRS with a unit over memory": (["IVRS 30 40", "IVRS 38 00 00 00 10 00 00 00 00", "IVRS sum"], r"table IVRS: the unit at 0x10000000", r"IOMMU: no valid IVRS"),
    "an XSDT that leads to itself": (["IVRS to XSDT", "XSDT sum"], r"", r"IOMMU: no valid IVRS"),
    "an XSDT that leads out of the memory": (["IVRS to fffffffff000", "XSDT sum"], r"ignored: not in memory", r"IOMMU: no valid IVRS"),
    "an MCFG with a bad checksum": (["MCFG " + BAD_SUM], r"table MCFG ignored: bad checksum", r"MCFG"),
    "an MCFG that points to memory": (["MCFG 2c 00 00 00 10", "MCFG sum"], r"table MCFG: the window at 0x10000000", r"MCFG"),
    "an FADT with a bad checksum": (["FACP " + BAD_SUM], r"table FACP ignored: bad checksum", r"FADT"),
    "an FADT of length 0": (["FACP 4 00 00 00 00"], r"table FACP ignored: bad length", r"FADT"),
    SAFE: (["FACP 8c 00 f0 ff ff ff ff 00 00", "FACP sum", "APIC " + BAD_SUM, "HPET to XSDT", "WAET to fffffffff000", "XSDT sum"], "", None),
}
NO_UNIT = r"IOMMU: no valid IVRS or DMAR"
UNBENT = "tables as they were"
CASES_VTD = {
    "a DMAR with a bad checksum": (["DMAR " + BAD_SUM], r"table DMAR ignored: bad checksum", NO_UNIT),
    "a DMAR of length 0": (["DMAR 4 00 00 00 00"], r"table DMAR ignored: bad length", NO_UNIT),
    "a DMAR longer than the memory": (["DMAR 4 ff ff ff 00"], r"table DMAR ignored: bad length", NO_UNIT),
    "a DMAR with a block of length 0": (["DMAR 32 00 00", "DMAR sum"], r"table DMAR ignored: an entry's length", NO_UNIT),
    "a DMAR with a block beyond its end": (["DMAR 32 ff ff", "DMAR sum"], r"table DMAR ignored: an entry's length", NO_UNIT),
    "a DMAR with a scope of length 0": (["DMAR 41 00", "DMAR sum"], r"table DMAR ignored: an entry's length", NO_UNIT),
    "a DMAR with a scope beyond its block": (["DMAR 41 ff", "DMAR sum"], r"table DMAR ignored: an entry's length", NO_UNIT),
    "a DMAR with a unit over memory": (["DMAR 38 00 00 00 10 00 00 00 00", "DMAR sum"], r"table DMAR: the unit at 0x10000000", NO_UNIT),
    "a DMAR that leads to the XSDT": (["DMAR to XSDT", "XSDT sum"], r"", NO_UNIT),
    "a DMAR without interrupt remapping": (["DMAR 25 00", "DMAR sum"], r"", r"interrupt remapping"),
    UNBENT: (["DMAR sum"], "", None),
}


@lib.boot("acpi", beside=True)
def acpi(build):
    return bent(build, "acpi", CASES)


@lib.boot("acpi-vtd", "vtd", beside=True)
def acpi_vtd(build):
    return bent(build, "acpi-vtd", CASES_VTD)


def bent(build, name, cases):
    return bend.options(build, name, config.GOOD, {title: lines for title, (lines, _, _) in cases.items()})


def refused_test(on, title, warning, refusal):
    @lib.test(f"system acpi: {title} is refused by name, and the firmware goes on", on=on, limit=120)
    def refused(host):
        said = bend.refused(host, title, refusal)
        lib.find(rf"^lastmile: warning: [^\n]*{warning}" if warning else "", said)


for name, table in (("acpi", CASES), ("acpi-vtd", CASES_VTD)):
    for case, (_, must_warn, must_refuse) in table.items():
        if must_refuse:
            refused_test(name, case, must_warn, must_refuse)


@lib.test("system acpi: tables that it is safe without are ignored by name, and the guests run", on="acpi", limit=180)
def goes_on(host):
    start = bend.begin(host, SAFE)
    host.line(texts.LEAVES_FIRMWARE, 60, fail="bend: it returned|" + bend.LOST)
    said = host.text[start:]
    lib.find(r"^lastmile: warning: ACPI: table APIC ignored: bad checksum", said)
    lib.find(r"^lastmile: warning: ACPI: [^\n]*cannot be powered off", said)
    assert said.count("ignored: not in memory") == 2, said  # the DSDT and the WAET
    guests_run(host, start)


@lib.test("system acpi: after all bent DMARs the board vtd starts as ever", on="acpi-vtd", limit=180)
def goes_on_vtd(host):
    start = bend.begin(host, UNBENT)
    host.line(texts.LEAVES_FIRMWARE, 60, fail="bend: it returned|" + bend.LOST)
    assert "table DMAR" not in host.text[start:]
    guests_run(host, start)


def guests_run(host, start):
    for guest in ("web", "db"):
        host.line(texts.of(texts.PREFIX, guest) + "hello", 120, start=start, fail=texts.PANIC)
