"""What the network reports about a datagram that a device does not answer: ICMP errors, which a connected socket receives.

The engine's socket is shared by all devices and receives no ICMP errors. Linux reports all of them (IP_RECVERR), other systems
only the refused port. I/O: one UDP socket a question. Source: ip(7), RFC 792, RFC 1122 §4.1.3.3.
"""

import asyncio
import socket
import sys
from typing import Final

from towerops_agent.snmp.wire.exchange import Peer

_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
"""linux/in.h and linux/in6.h; Python names them from 3.14 on."""


async def icmp_error(peer: Peer, datagram: bytes, within_s: float) -> int | None:
    """The errno that sending `datagram` to `peer` led to, such as ECONNREFUSED; None if nothing was reported within this time."""
    loop = asyncio.get_running_loop()
    six = len(peer) == 4
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        if sys.platform == "linux":
            level, option = (socket.IPPROTO_IPV6, _IPV6_RECVERR) if six else (socket.IPPROTO_IP, _IP_RECVERR)
            sock.setsockopt(level, option, 1)
        told = asyncio.Event()
        try:
            sock.connect(peer)
            sock.send(datagram)
            loop.add_reader(sock, told.set)
            async with asyncio.timeout(within_s):
                await told.wait()
            sock.recv(0xFFFF)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError as error:
            return error.errno
        finally:
            loop.remove_reader(sock)
    return None
