"""ICMP errors about the datagrams that a socket has sent, and what they mean: read from the queue that Linux keeps of them.

Linux queues them at the socket, if asked to (IP_RECVERR), with the address that the datagram was for. Other systems do not, if a
socket is shared by all devices. Called by client.py.
I/O: reads the queue. Source: ip(7), RFC 792, RFC 1812 §5.2.7, RFC 4443 §3.1.
"""

import errno
import socket
import struct
import sys
from typing import Final

from towerops_agent.reasons import Reason
from towerops_agent.snmp.wire.exchange import Peer

RECVERR: Final = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR of linux/in.h and linux/in6.h; Python names them from 3.14 on. To be set on a
socket of that family, so that ICMP errors are queued there."""

_EXTENDED_ERROR: Final = struct.Struct("=IBBB")
"""The start of struct sock_extended_err (linux/errqueue.h): errno, origin, ICMP type and code."""

_MOST_AT_ONCE: Final = 64

Meaning = tuple[Reason, str]
"""Why a device can't be reached, and the detail."""

_MEANINGS: Final[dict[int, Meaning]] = {
    errno.ECONNREFUSED: (Reason.REFUSED, "ICMP: port unreachable"),
    errno.EHOSTUNREACH: (Reason.UNREACHABLE, "there is no such host (ICMP: host unreachable, or nobody answers ARP)"),
    errno.EHOSTDOWN: (Reason.UNREACHABLE, "there is no such host (ICMP: host unknown)"),
    errno.ENETUNREACH: (Reason.UNREACHABLE, "there is no route to its network (ICMP: network unreachable)"),
    errno.EACCES: (Reason.UNREACHABLE, "a firewall on the way forbids it (ICMP: administratively prohibited)"),
}

NO_WAY_THERE: Final = frozenset(_MEANINGS[number][1] for number in (errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH))
"""The details that a reply to a ping refutes: they are remembered for a while, and the device may be back since."""

_PROHIBITED: Final = frozenset(((2, 3, 9), (2, 3, 10), (2, 3, 13), (3, 1, 1), (3, 1, 5), (3, 1, 6)))
"""Origin (2: ICMP, 3: ICMPv6), type and code of a filter on the way."""


def read_errors(sock: socket.socket) -> list[tuple[Peer, str, Meaning | None]]:
    """Queued errors, some at a time: the address that the datagram was for, the errno's name, and what it means, if anything."""
    errors: list[tuple[Peer, str, Meaning | None]] = []
    while sys.platform == "linux" and len(errors) < _MOST_AT_ONCE:
        try:
            _, ancillary, _, peer = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
        except OSError:  # BlockingIOError: there are no more
            break
        for level, kind, data in ancillary:
            if (level, kind) in RECVERR.values() and len(data) >= _EXTENDED_ERROR.size:
                number, *whence = _EXTENDED_ERROR.unpack_from(data)
                meaning = _MEANINGS[errno.EACCES] if tuple(whence) in _PROHIBITED else _MEANINGS.get(number)
                errors.append((peer, errno.errorcode.get(number, str(number)), meaning))
    return errors
