# SPDX-License-Identifier: BSD-2-Clause
"""A network outside of the machine: a switch that learns, with a port for each of the board's uplinks (QEMU's -netdev stream), and a station
on it that answers ARP and echo requests, and sends numbered ones."""
import collections
import os
import selectors
import socket
import struct
import tempfile
import threading
import time

BROADCAST = b"\xff" * 6
ARP, IPV4, RARP, VLAN = 0x0806, 0x0800, 0x8035, 0x8100
ICMP_REPLY, ICMP_REQUEST = 0, 8
QUEUE = 4096  # frames that wait for a port; beyond them the oldest are lost, and counted


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Station:
    """Has an Ethernet and an IP address. give: what takes the frames that it sends."""
    MAC = bytes.fromhex("060000000099")

    def __init__(self, address, give):
        self.ip, self.give, self.known = socket.inet_aton(address), give, {}
        self.came, self.highest = collections.Counter(), -1  # numbers of echo replies
        self.late = 0

    def arp(self, op, mac, ip):
        to = BROADCAST if op == 1 else mac
        self.give(to + self.MAC + struct.pack(">HHHBBH", ARP, 1, IPV4, 6, 4, op) + self.MAC + self.ip + mac + ip)

    def take(self, frame):
        if frame[:6] not in (self.MAC, BROADCAST) or len(frame) < 42:
            return
        kind = struct.unpack(">H", frame[12:14])[0]
        if kind == ARP and frame[38:42] == self.ip:
            self.known[frame[28:32]] = frame[22:28]
            if frame[21] == 1:
                self.arp(2, frame[22:28], frame[28:32])
        elif kind == IPV4 and frame[23] == 1 and frame[30:34] == self.ip:
            self.icmp(frame)

    def icmp(self, frame):
        length = struct.unpack(">H", frame[16:18])[0]
        message = frame[34:14 + length]
        if message[0] == ICMP_REQUEST:
            self.send(frame[6:12], frame[26:30], ICMP_REPLY, message[4:])
        elif message[0] == ICMP_REPLY:
            number = struct.unpack(">I", message[8:12])[0]
            self.came[number] += 1
            self.late += number < self.highest
            self.highest = max(self.highest, number)

    def send(self, mac, ip, kind, rest):
        message = bytes([kind, 0, 0, 0]) + rest
        message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0) + self.ip + ip
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        self.give(mac + self.MAC + struct.pack(">H", IPV4) + head + message)

    def ping(self, address, number):
        """One echo request with that number in it; before its first one the address is asked for."""
        ip = socket.inet_aton(address)
        if ip not in self.known:
            self.arp(1, b"\0" * 6, ip)
        else:
            self.send(self.known[ip], ip, ICMP_REQUEST, struct.pack(">HHI", 0x4c4d, number & 0xffff, number) + b"\0" * 48)
        return ip in self.known


class Port:
    def __init__(self, number, listener):
        self.number, self.listener, self.stream = number, listener, None
        self.incoming, self.outgoing = b"", collections.deque()
        self.lost = 0


class Switch(threading.Thread):
    """`ports` uplinks; arguments(i, "n0") is QEMU's -netdev for one of them. Ends with stop(), or with the program."""

    def __init__(self, ports, station):
        super().__init__(daemon=True)
        self.folder = tempfile.TemporaryDirectory(prefix="lastmile-")
        self.selector = selectors.DefaultSelector()
        self.wake = socket.socketpair()
        self.selector.register(self.wake[0], selectors.EVENT_READ)
        self.ports = [self.listen(i) for i in range(ports)]
        self.where, self.moves = {}, collections.Counter()
        self.announced = collections.Counter()  # (station, VLAN or None)
        self.mutex, self.running = threading.Lock(), True
        self.station = Station(station, lambda frame: self.forward(None, frame))
        self.start()

    def path(self, i):
        return os.path.join(self.folder.name, str(i))

    def listen(self, i):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path(i))
        listener.listen(1)
        port = Port(i, listener)
        self.selector.register(listener, selectors.EVENT_READ, port)
        return port

    def arguments(self, i, name):
        return f"stream,id={name},server=off,addr.type=unix,addr.path={self.path(i)}"

    def stop(self):
        self.running = False
        self.wake[1].send(b"x")
        self.join()
        self.folder.cleanup()

    def learn(self, source, port):
        if source[0] & 1 or self.where.get(source, self) is port:
            return
        self.moves[source] += source in self.where
        self.where[source] = port

    def forward(self, port, frame):
        """port: None for the station."""
        self.learn(frame[6:12], port)
        tagged = frame[12:14] == VLAN.to_bytes(2, "big")
        if frame[16:18] == RARP.to_bytes(2, "big") if tagged else frame[12:14] == RARP.to_bytes(2, "big"):
            self.announced[frame[6:12], int.from_bytes(frame[14:16], "big") & 0xfff if tagged else None] += 1
        to = self.where.get(frame[:6], self)
        for one in [*self.ports, None] if to is self else [to]:
            if one is port:
                continue
            if one is None:
                self.station.take(frame)
            elif one.stream:
                if len(one.outgoing) == QUEUE:
                    one.lost += 1
                    one.outgoing.popleft()
                one.outgoing.append(struct.pack(">I", len(frame)) + frame)

    def receive(self, port):
        try:
            data = port.stream.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(port.stream)
            port.stream = None
            return
        port.incoming += data
        at = 0
        while len(port.incoming) - at >= 4:
            end = at + 4 + struct.unpack_from(">I", port.incoming, at)[0]
            if end > len(port.incoming):
                break
            self.forward(port, port.incoming[at + 4:end])
            at = end
        port.incoming = port.incoming[at:]

    def transmit(self, port):
        while port.stream and port.outgoing:
            try:
                sent = port.stream.send(port.outgoing[0])
            except BlockingIOError:
                break
            except OSError:
                port.outgoing.clear()
                break
            if sent < len(port.outgoing[0]):
                port.outgoing[0] = port.outgoing[0][sent:]
                break
            port.outgoing.popleft()
        if port.stream:
            self.selector.modify(port.stream, selectors.EVENT_READ | (selectors.EVENT_WRITE if port.outgoing else 0), port)

    def ping(self, address, number):
        with self.mutex:
            asked = self.station.ping(address, number)
        self.wake[1].send(b"x")
        return asked

    def run(self):
        while self.running:
            for key, events in self.selector.select(1):
                port = key.data
                if port is None:
                    self.wake[0].recv(4096)
                elif key.fileobj is port.listener:
                    port.stream = port.listener.accept()[0]
                    port.stream.setblocking(False)
                    self.selector.register(port.stream, selectors.EVENT_READ, port)
                elif events & selectors.EVENT_READ:
                    with self.mutex:
                        self.receive(port)
            with self.mutex:
                for port in self.ports:
                    self.transmit(port)


class Pinger(threading.Thread):
    """Echo requests from the station, `rate` a second, until result() is asked for."""

    def __init__(self, switch, address, rate):
        super().__init__(daemon=True)
        self.switch, self.address, self.rate = switch, address, rate
        self.sent, self.running = 0, True
        self.start()

    def run(self):
        while self.running:
            self.sent += self.switch.ping(self.address, self.sent)
            time.sleep(1 / self.rate)

    def result(self, seconds):
        """(sent, lost, doubled, late), once all replies are in or that time is over."""
        self.running = False
        self.join()
        end, station = time.monotonic() + seconds, self.switch.station
        while len(station.came) < self.sent and time.monotonic() < end:
            time.sleep(0.1)
        with self.switch.mutex:
            got = dict(station.came)
            late, station.late, station.highest = station.late, 0, -1
            station.came.clear()
        return self.sent, self.sent - len(got), sum(n - 1 for n in got.values()), late
