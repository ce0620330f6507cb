"""A socket that sends echo requests and receives the replies, one for all devices of an address family.

It is an unprivileged one if net.ipv4.ping_group_range allows the process's group (which counts for IPv6 too), else a raw one, for
which it takes CAP_NET_RAW. A raw socket receives all ICMP of the machine: the kernel keeps all but echo replies from it, and
those to other programs are left out here.
I/O: sockets. Source: icmp(7), raw(7), RFC 3542 §3.2; linux/icmp.h, linux/icmpv6.h.
"""

import errno
import os
import socket
import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from towerops_agent.ping.wire.echo import Echo, decode_reply, encode_request, without_ip_header
from towerops_agent.reasons import Stray, Unsent
from towerops_agent.snmp.arrival import ANCILLARY_OCTETS, TIMES, TIMESPEC, ask_for_times
from towerops_agent.snmp.wire.exchange import Peer

RECEIVE_BUFFER_OCTETS: Final = 1 << 20

GROUP_RANGE: Final = Path("/proc/sys/net/ipv4/ping_group_range")

_MESSAGE_OCTETS: Final = 2048

_SOL_RAW: Final = 255
_ICMP_FILTER: Final = 1  # of both families
_ALL_BUT_REPLIES: Final = struct.pack("=I", ~(1 << 0) & 0xFFFFFFFF)
_ALL_BUT_V6_REPLIES: Final = struct.pack("=8I", *(0xFFFFFFFF ^ (word == 129 // 32) << 129 % 32 for word in range(8)))

_UNSENT: Final = {
    errno.ENETUNREACH: Unsent.NO_ROUTE,
    errno.EHOSTUNREACH: Unsent.NO_ROUTE,
    errno.EADDRNOTAVAIL: Unsent.NO_ROUTE,
    errno.EINVAL: Unsent.NO_ROUTE,  # as `ip route add blackhole` has it
    errno.ENETDOWN: Unsent.NO_ROUTE,
    errno.EAFNOSUPPORT: Unsent.NO_ROUTE,
    errno.EPERM: Unsent.FORBIDDEN,
    errno.EACCES: Unsent.FORBIDDEN,
    errno.EAGAIN: Unsent.NO_BUFFERS,
    errno.ENOBUFS: Unsent.NO_BUFFERS,
    errno.ENOMEM: Unsent.NO_BUFFERS,
}


class Kind(StrEnum):
    """How the kernel lets this process ping, in the operator's words."""

    UNPRIVILEGED = "unprivileged socket"
    RAW = "raw socket"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An echo reply. `arrived_ns`: when the kernel received it, on the wall clock; None if it does not say."""

    echo: Echo
    source: Peer
    arrived_ns: int | None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Why an echo request has not gone out, and the system's message."""

    reason: Unsent
    detail: str = ""

    @classmethod
    def of(cls, error: OSError) -> Self:
        """What an error of sending means."""
        return cls(_UNSENT.get(error.errno or 0, Unsent.OS_ERROR), error.strerror or str(error))


class PingSocket:
    """One open socket; not blocking. Raises OSError if it can't be opened: PermissionError if the process may not ping."""

    def __init__(self, family: int) -> None:
        """`family`: AF_INET or AF_INET6."""
        self.is_v6 = family == socket.AF_INET6
        self._identifier = 0  # the kernel chooses it
        self.kind = Kind.UNPRIVILEGED
        self.socket = self._open(family)
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
            self.has_kernel_times = ask_for_times(self.socket)
        except BaseException:
            self.socket.close()
            raise

    def _open(self, family: int) -> socket.socket:
        protocol = socket.IPPROTO_ICMPV6 if self.is_v6 else socket.IPPROTO_ICMP
        try:
            return socket.socket(family, socket.SOCK_DGRAM, protocol)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EPROTONOSUPPORT):
                raise
        opened = socket.socket(family, socket.SOCK_RAW, protocol)
        try:
            if self.is_v6:
                opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP_FILTER, _ALL_BUT_V6_REPLIES)
            else:
                opened.setsockopt(_SOL_RAW, _ICMP_FILTER, _ALL_BUT_REPLIES)
        except BaseException:
            opened.close()
            raise
        self.kind = Kind.RAW
        self._identifier = int.from_bytes(os.urandom(2))
        return opened

    def send(self, echo: Echo, peer: Peer) -> NotSent | None:
        """None if the echo request has gone out; else why not."""
        message = encode_request(echo, is_v6=self.is_v6, identifier=self._identifier)
        address = (peer[0], 0, *peer[2:])
        try:
            self.socket.sendto(message, address)
        except OSError as error:
            return NotSent.of(error)
        return None

    def receive(self) -> Arrival | Stray | None:
        """The next reply, or why it does not count; None if it is another program's. Raises BlockingIOError at the end."""
        packet, ancillary, _, source = self.socket.recvmsg(_MESSAGE_OCTETS, ANCILLARY_OCTETS)
        is_raw = self.kind is Kind.RAW
        found = decode_reply(without_ip_header(packet) if is_raw and not self.is_v6 else packet, is_v6=self.is_v6)
        if found is None:
            return Stray.MALFORMED
        identifier, echo = found
        if is_raw and identifier != self._identifier:
            return None
        arrived_ns = None
        for level, kind, data in ancillary:
            if (level, kind) == TIMES and len(data) == TIMESPEC.size:
                seconds, nanoseconds = TIMESPEC.unpack(data)
                arrived_ns = seconds * 1_000_000_000 + nanoseconds
        return Arrival(echo, source, arrived_ns)

    def close(self) -> None:
        """Close it."""
        self.socket.close()
