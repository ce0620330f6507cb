"""Hosts behind a bad link: a TUN device of this namespace, and the thread that answers pings there, late and not all.

They are 10.9.0.0/24 and fd09::/64. The thread knows which echoes it has answered, and after how long: so what is measured can be
compared with what has happened, however loaded the machine is.
"""

import fcntl
import heapq
import ipaddress
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time
from collections import defaultdict
from typing import Any

from support.hang import HANG_S

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000


def _wait_for_route(host: str) -> None:
    """Until the kernel can send there: an IPv6 address and its route are ready a moment after the interface is up."""
    deadline_s = time.monotonic() + HANG_S
    while True:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((host, 9))  # sends nothing
            except OSError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.01)
            else:
                return


def checksum(octets: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Distant:
    """The hosts. `how`: `loss` (0..1), `delay_ms` (from, to), `seed`; `lies`: lies follow each reply."""

    def __init__(self, how: dict[str, Any]) -> None:
        self._how = how
        self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self._tun, _TUNSETIFF, struct.pack("16sH", b"far0", _IFF_TUN | _IFF_NO_PI))
        for command in ("addr add 10.9.0.254/24 dev far0", "-6 addr add fd09::ffff/64 dev far0 nodad", "link set far0 up"):
            subprocess.run(["ip", *command.split()], check=True)
        _wait_for_route("fd09::1")
        self.begin_again()
        threading.Thread(target=self._serve, daemon=True).start()

    def begin_again(self) -> None:
        """With the same losses and delays as before, for another program."""
        self._rngs: dict[str, random.Random] = {}
        self._trips_us: dict[str, list[int | None]] = defaultdict(list)

    def ended(self) -> dict[str, list[int | None]]:
        """How long each echo of a host was kept, in microseconds, None if it was lost."""
        return dict(self._trips_us)

    def _serve(self) -> None:
        waiting: list[tuple[float, int, int, str, int, bytes]] = []
        drawn = 0
        while True:
            rest_s = max(waiting[0][0] - time.monotonic(), 0) if waiting else 1.0
            if select.select([self._tun], [], [], rest_s)[0]:
                packet = os.read(self._tun, 2048)
                read_ns = time.monotonic_ns()
                asked = parsed(packet)
                if asked is not None:
                    host, reply = asked
                    rng = self._rng(host)
                    trips = self._trips_us[host]
                    trips.append(None)
                    lost, delay_ms = rng.random() < self._how["loss"], rng.uniform(*self._how["delay_ms"])
                    if not lost:
                        drawn += 1
                        entry = (time.monotonic() + delay_ms / 1000, drawn, read_ns, host, len(trips) - 1, reply)
                        heapq.heappush(waiting, entry)
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, read_ns, host, place, reply = heapq.heappop(waiting)
                self._trips_us[host][place] = (time.monotonic_ns() - read_ns) // 1000
                os.write(self._tun, reply)
                if self._how.get("lies"):
                    for lie in lies(reply):
                        os.write(self._tun, lie)

    def _rng(self, host: str) -> random.Random:
        if host not in self._rngs:
            self._rngs[host] = random.Random(f"{self._how['seed']} {host}")
        return self._rngs[host]


def parsed(packet: bytes) -> tuple[str, bytes] | None:
    """The host that an echo request is for, and the packet of its reply; None for all else."""
    if packet[0] >> 4 == 4 and packet[9] == 1 and packet[20] == 8:
        reply = made_v4(packet[16:20], packet[12:16], b"\x00\x00\x00\x00" + packet[24:])
        return str(ipaddress.ip_address(packet[16:20])), reply
    if packet[0] >> 4 == 6 and packet[6] == 58 and packet[40] == 128:
        reply = made_v6(packet[24:40], packet[8:24], b"\x81\x00\x00\x00" + packet[44:])
        return str(ipaddress.ip_address(packet[24:40])), reply
    return None


def made_v4(source: bytes, to: bytes, message: bytes) -> bytes:
    """An IPv4 packet with this ICMP message, whose checksum is 0 as yet."""
    message = message[:2] + checksum(message).to_bytes(2) + message[4:]
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0, source, to)
    return header[:10] + checksum(header).to_bytes(2) + header[12:] + message


def made_v6(source: bytes, to: bytes, message: bytes) -> bytes:
    """An IPv6 packet with this ICMPv6 message, whose checksum is 0 as yet."""
    summed = checksum(source + to + struct.pack(">II", len(message), 58) + message)
    message = message[:2] + summed.to_bytes(2) + message[4:]
    return struct.pack(">IHBB16s16s", 6 << 28, len(message), 58, 64, source, to) + message


def lies(reply: bytes) -> list[bytes]:
    """The reply once more, from another host, and with another token; cut short; for another program."""
    v4 = reply[0] >> 4 == 4
    make, source, to, message = (
        (made_v4, reply[12:16], reply[16:20], reply[20:]) if v4 else (made_v6, reply[8:24], reply[24:40], reply[40:])
    )
    plain = message[:2] + b"\0\0" + message[4:]
    elsewhere = source[:-1] + bytes([source[-1] ^ 0x40])
    token = plain[:12] + bytes([plain[12] ^ 1]) + plain[13:]
    return [make(source, to, plain), make(elsewhere, to, plain), make(source, to, token), make(source, to, plain[:16])]
