# SPDX-License-Identifier: BSD-2-Clause
"""Two unmodified Debian guests, each with a VF: links, pings, transfers, the uplink, both consoles. Once with the kernel of this release,
once with one guest on the kernel of the backports."""
import re

from tests.system import lib, texts

ADDRESS = {"web": "10.0.2.101", "db": "10.0.2.102"}
MAC = {"web": "02:00:00:00:00:01", "db": "02:00:00:00:00:02"}
UPLINK = "10.0.2.2"
BOOT_SECONDS = 240


def ready(host):
    """Both guests have come up with link; each serves."""
    host.expect(texts.STARTS, 60)
    host.line(texts.NIC_UP, 120, fail=texts.PANIC)
    start = len(host.text)
    for guest in ADDRESS:
        host.line(texts.of(texts.PREFIX, guest) + texts.GUEST_READY, BOOT_SECONDS, start=start, fail=texts.PANIC)
    for guest in ADDRESS:
        host.run(guest, "lmserve")


def demo_text(**processors):
    """The demonstration's configuration with other processors: guest=(vcpus, cpus)."""
    text = (lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text()
    for guest, (vcpus, cpus) in processors.items():
        head, section = text.split(f"[guest {guest}]")
        section = re.sub(r"^cpus .*$", f"cpus = {cpus}", section, count=1, flags=re.M)
        section = re.sub(r"^vcpus .*$", f"vcpus = {vcpus}", section, count=1, flags=re.M)
        text = f"{head}[guest {guest}]{section}"
    return text


def two_vfs(text):
    """The demonstration's configuration with a second VF for `db`, all of whose frames are of VLAN 7, and with two VFs more than that has."""
    text = text.replace("vfs  = 4", "vfs  = 6").replace("lm.ip=10.0.2.102/24", "lm.ip=10.0.2.102/24 lm.ip1=10.0.7.102/24")
    return re.sub("(vf *= lan0/1 .*)", r"\1\nvf      = lan0/2 mac=02:00:00:00:00:12 vlan=7", text)


@lib.boot("demo")
def demo(build):
    return {"cfg": "tests/guest/demo/lastmile.cfg", "ready": ready}


@lib.boot("demo-backports")
def demo_backports(build):
    lib.make("guest-backports", build)
    text = (lib.ROOT / "tests/guest/demo/lastmile.cfg").read_text()
    web, db = text.split("[guest db]")
    db = db.replace("vmlinuz", "vmlinuz-new").replace("initrd.cpio.gz", "initrd-new.cpio.gz")
    files = (f"vmlinuz-new={build}/guest/backports/vmlinuz", f"initrd-new.cpio.gz={build}/guest/backports/initrd.cpio.gz")
    return {"cfg": f"{web}[guest db]{db}", "files": files, "ready": ready}


def other(guest):
    return "db" if guest == "web" else "web"


def traffic_tests(on, prefix):
    """What holds for two guests whatever their kernels are."""

    @lib.test(f"system guests: {prefix}each stock guest has the VF, MAC and processors that its section names", on=on, limit=60)
    def nics(host):
        for index, guest in enumerate(ADDRESS):
            host.never(texts.PANIC, start=0)
            nic = lib.find(texts.of(texts.PREFIX, guest) + texts.GUEST_NIC, host.text)
            assert (nic["mac"], nic["link"], nic["driver"]) == (MAC[guest], "up", "igbvf"), nic[0]
            lib.find(texts.of(texts.HAS_VF, guest, vf=index), host.text)
        assert host.run("db", "nproc").split()[-1] == "4"
        assert host.run("web", "nproc").split()[-1] == "1"

    @lib.test(f"system guests: {prefix}1,000 pings each way through the VFs, none lost", on=on, limit=240)
    def pings(host):
        for guest in ADDRESS:
            peer = ADDRESS[other(guest)]
            output = host.run(guest, f"lmping {peer} 1000 1", 120)
            assert lib.ping_line(output, peer)[:2] == (1000, 0), output

    @lib.test(f"system guests: {prefix}100 MB by TCP each way arrive as they were sent", on=on, limit=400)
    def transfers(host):
        for what in ("get", "put"):
            output = host.run("web", f"lm{what} {ADDRESS['db']} 100", 180)
            assert lib.transfer_line(output, what, ADDRESS["db"])[0:3:2] == (100 << 20, "ok"), output


traffic_tests("demo", "")
traffic_tests("demo-backports", "one of them on the kernel of the backports: ")


@lib.test("system guests: both reach the uplink", on="demo", limit=60)
def uplink(host):
    for guest in ADDRESS:
        assert lib.ping_line(host.run(guest, f"lmping {UPLINK} 20"), UPLINK)[:2] == (20, 0)


@lib.test("system guests: clocks of guest and host agree", on="demo", limit=60)
def clock(host):
    import time
    for guest in ADDRESS:
        told = int(host.run(guest, "date +%s").split()[-1])
        assert abs(told - time.time()) < 5, f"{guest}: {told}, here {time.time():.0f}"


@lib.test("system iodomain: the stack on the PF answers pings and echoes TCP", on="demo", limit=90)
def iodomain(host):
    address = lib.find(r"lan0[^\n]*?\b(10\.0\.2\.\d+)", host.text)[1]
    assert lib.ping_line(host.run("web", f"lmping {address} 50 5"), address)[:2] == (50, 0)
    assert "through-the-pf" in host.run("web", f"echo through-the-pf | timeout 10 nc {address} 7 | head -n 1")


@lib.test("system guests: a guest that reboots comes back with its VF", on="demo", limit=240)
def reboot(host):
    host.focus("web")
    host.send("reboot\n")
    host.focus(texts.HYPERVISOR)
    host.line(texts.of(texts.PREFIX, "web") + texts.GUEST_READY, 200, fail=texts.PANIC)
    output = host.run("web", f"lmping {ADDRESS['db']} 50 5")
    assert lib.ping_line(output, ADDRESS["db"])[:2] == (50, 0)


@lib.test("system guests: a guest that powers off leaves the other undisturbed", on="demo", limit=120)
def poweroff(host):
    host.run("db", f"lmping {UPLINK} 600 10 >/tmp/ping 2>&1 &")
    host.focus("web")
    host.send("poweroff\n")
    host.line(texts.of(texts.STOPS, "web"), 60)
    assert lib.ping_line(host.run("db", "wait; cat /tmp/ping", 60), UPLINK)[:2] == (600, 0)
