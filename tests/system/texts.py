# SPDX-License-Identifier: BSD-2-Clause
"""What Lastmile prints that tests wait for: the one place to change when a text does."""

HYPERVISOR = "lastmile"

# After Ctrl-A three times; `name` is whose console it is now.
FOCUS = r"console (?:of|is|:|->|to)?\s*'?\(?(?P<name>[\w-]+)'?\)?"

FIRST_LINE = r"lastmile"                              # of BOOTX64.EFI
PANIC = r"panic"
REFUSED = r"^lastmile: (?P<file>[^:\n]+):(?P<line>\d+): (?P<rest>[^\n]*)$"  # before the firmware is left
NIC_UP = r"lan0.*(?:link|ready|up)"
GUEST_STOPPED = r"{name}.*(?:stopped|restart|crash|triple fault|shutdown)"
GUEST_RESTARTED = r"{name}.*restart"
GUEST_NOT_STARTED = r"{name}.*(?:not started|cannot|refused)"
MEMORY = r"memory: hypervisor (\d+) KiB, I/O domain (\d+) KiB"

# tests/guest/linux
GUEST_READY = r"guest: ready at ([\d.]+)"
GUEST_NIC = r"guest: nic eth0 mac ([0-9a-f:]+) link (\w+) driver (\w+)"
