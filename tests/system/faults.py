# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of a VF whose guest has it reach for what is not the guest's: the record that names it, each on_fault policy, and how the
operator gives it back. On the board whose IOMMU records."""
import re

from tests.system import dma, guests, hostile, lib, texts

NOT_ITS_OWN = 1 << 30  # memory of the hypervisor or of a guest
GUESTS = {"held": (2, "quarantine"), "logged": (3, "log"), "stopped": (4, "stop")}  # VF and policy of each attacker
RECORD = r"no (?:read|write) permission: (?:read|write) at 0x[0-9a-f]+ \((?:hypervisor|other guest)\) by lan0/{vf} 00:{name} of {guest}"
HELD = r"lan0/{vf}: of {guest}: in quarantine after \d+ faults within a second; `vf lan0/{vf} restore` gives it back"
STOCK = "stock"  # a Linux guest, whose own driver must see what has become of its VF


def name_of(vf):
    return f"{dma.requester_id(vf) >> 3:02x}.{dma.requester_id(vf) & 7}"


def of(text, guest, vf):
    return texts.of(text, guest, vf=vf, name=name_of(vf).replace(".", r"\."))


@lib.boot("faults", "vtd", beside=True)
def faults_boot(build):
    text = (lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text().replace("vfs  = 4", "vfs  = 6")
    for guest, (vf, policy) in GUESTS.items():
        text += (f"\n[guest {guest}]\nkernel = dmaattack.elf\ncmdline = wait=1\nmemory = 16M\nvcpus = 1\ncpus = 1-3\n"
                 f"on_crash = restart\nvf = lan0/{vf} mac=02:00:00:00:01:0{vf}\non_fault = {policy}\n")
    text += (f"\n[guest {STOCK}]\nkernel = vmlinuz\ninitrd = initrd.cpio.gz\nmemory = 256M\ncpus = 1-3\nvf = lan0/5 mac=02:00:00:00:01:05\n"
             f"cmdline = console=ttyS0 quiet iomem=relaxed lm.name={STOCK} lm.ip=10.0.2.105/24\n")
    return {"cfg": text, "ready": guests.ready}


def aim(host, guest, outcome):
    """The guest aims at foreign memory again and again until that has come of it."""
    host.focus(guest)
    start = len(host.text)
    for turn in range(20):
        at = len(host.text)
        host.send(" ".join(["ram"] + [hex(NOT_ITS_OWN + 4096 * (12 * turn + i)) for i in range(12)]) + "\n")
        host.line(f"{dma.ASKS}|{outcome}", 60, start=at)
        host.settle()
        if re.search(outcome, host.text[start:]):
            return start
    raise AssertionError(f"/{outcome}/ did not come of it")


def operator(host, command, answer):
    host.focus(texts.OPERATOR)
    start = len(host.text)
    host.send(command + "\n")
    return host.line(answer, 10, start=start)


def give_back(host, vf):
    operator(host, "vf", rf"^held .* lan0/{vf} ")
    operator(host, f"vf lan0/{vf} restore", f"vf lan0/{vf} restore")  # it says nothing more
    operator(host, "vf", rf"^used .* lan0/{vf} ")


@lib.test("system fault: a VF that its guest aims at the hypervisor is quarantined and named, and nobody else loses a ping", on="faults",
          limit=200)
def quarantine(host):
    guest, vf = "held", GUESTS["held"][0]
    hostile.set_off(host, guest, "own traffic works", dma.ASKS)
    start = len(host.text)

    def attack():
        aim(host, guest, of(HELD, guest, vf))
    hostile.while_pinging(host, attack)
    lib.find("IOMMU: " + of(RECORD, guest, vf), host.text[start:])
    operator(host, "faults", of(RECORD, guest, vf))


@lib.test("system fault: a VF in quarantine gets no link from the PF's driver, and works again when the operator has given it back",
          on="faults", limit=120)
def restore(host):
    guest, vf = "held", GUESTS["held"][0]
    host.focus(guest)
    host.send("again\n")
    host.line("own traffic fails still", 60)
    give_back(host, vf)
    host.focus(guest)
    start = len(host.text)
    host.send("again\n")
    host.line("own traffic works again", 60, start=start)
    operator(host, f"vf lan0/{vf} restore", f"lan0/{vf}: not in quarantine")


@lib.test("system fault: on_fault = log only logs", on="faults", limit=120)
def logged(host):
    guest, vf = "logged", GUESTS["logged"][0]
    hostile.set_off(host, guest, "own traffic works", dma.ASKS)
    start = aim(host, guest, "(?:IOMMU: " + of(RECORD, guest, vf) + r"[\s\S]*){8}")
    host.send("again\n")
    host.line("own traffic works again", 60, start=start)
    host.never(of(HELD, guest, vf), start=start)


@lib.test("system fault: on_fault = stop stops the guest and says why, whatever on_crash is", on="faults", limit=120)
def stopped(host):
    guest, vf = "stopped", GUESTS["stopped"][0]
    hostile.set_off(host, guest, "own traffic works", dma.ASKS)
    aim(host, guest, rf"\[{guest}\] is stopped: lan0/{vf}: \d+ faults within a second \(on_fault = stop\)")


@lib.test("system fault: a stock guest sees the link of its quarantined VF go down, and come back", on="faults", limit=300)
def stock(host):
    # The console may have been turned to it, or past it, when it said so.
    host.line(rf"^(?:\({STOCK}\) )?" + texts.GUEST_READY, guests.BOOT_SECONDS, start=0)
    host.run(STOCK, f"lmping {guests.ADDRESS['web']} 20 5")
    start = len(host.text)
    host.run(STOCK, "bar=$(head -n 1 /sys/class/net/eth0/device/resource | cut -d' ' -f1); "
                    f"devmem $((bar + 0x3800)) 32 {NOT_ITS_OWN}; "
                    "for i in $(seq 100); do devmem $((bar + 0x3818)) 32 $((i % 200)); usleep 20000; done")
    host.line(of(HELD, STOCK, 5), 30, start=start)
    host.run(STOCK, "while [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do usleep 100000; done", 60)
    give_back(host, 5)
    host.run(STOCK, "until [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do usleep 100000; done", 90)
    output = host.run(STOCK, f"lmping {guests.ADDRESS['web']} 100 5")
    assert lib.ping_line(output, guests.ADDRESS["web"])[:2] == (100, 0), output
