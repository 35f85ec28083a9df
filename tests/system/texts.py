# SPDX-License-Identifier: BSD-2-Clause
"""What Lastmile prints that tests wait for: the one place to change when a text does. {guest} stands for a guest's name.
A text with something to be read in it is a whole line: the first half of one may come some time before the other."""

# boot/
STARTS = r"Lastmile \S"
REFUSED = r"lastmile: "                      # one line, before the firmware is left
REFUSED_AT = r"lastmile: lastmile\.cfg:\d+: " # of the configuration; the key follows
FIRMWARE_AGAIN = r"BdsDxe|UEFI Interactive Shell|Boot Manager|Select Language"
LEAVES_FIRMWARE = r"lastmile: leaving the firmware"

# kernel/console: after Ctrl-A three times. Guests' lines without an operator.
HYPERVISOR = "hypervisor"
OPERATOR = "lastmile"
FOCUS = r"\*\*\* (?P<name>[\w-]+): console "
PREFIX = r"\({guest}\) "

# The hypervisor's log
FIRST_LOG = r"\[ *\d+\.\d+\] "
PANIC = r"panic|PANIC"
NIC_UP = r": lan0 is up"
HAS_VF = r"{guest}: has lan0/{vf}"
STOPS = r"\[{guest}\] (?:stops|is stopped): (?P<why>[^\n]*)(?=\n)"
STOPPED = r"\[{guest}\] is stopped: (?P<why>[^\n]*)(?=\n)"
STARTED = r"\[{guest}\] started"
RESTARTED = r"\[{guest}\] restarted"
STAYS_DOWN = r"\[{guest}\] crashed \d+ times"
NOT_STARTED = r"\[{guest}\] not started: (?P<why>[^\n]*)(?=\n)"
REGISTERS = r"\[{guest}\] vCPU \d+ at cs:rip "
LINES_DROPPED = r"\[{guest}\] \(\d+ lines dropped\)"
MEMORY = r"memory: hypervisor (\d+) KiB, I/O domain (\d+) KiB"

# tests/guest
GUEST_READY = r"guest: ready at ([\d.]+)"
GUEST_WAITS = r"guest: waits for a key"
GUEST_NIC = r"guest: nic eth0 mac (?P<mac>[0-9a-f:]+) link (?P<link>\w+) driver (?P<driver>\w+)"


def of(text, guest, **more):
    """A text about a guest."""
    for key, value in {"guest": guest, **more}.items():
        text = text.replace("{%s}" % key, str(value))
    return text
