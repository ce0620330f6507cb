"""When a datagram arrived, by the kernel: Linux notes it for each one, if a socket asks for that.

Datagrams may then be read late, or some at a time, and still have their own times. Used by client.py here, and to ping.
I/O: options of sockets. Source: socket(7), asm-generic/socket.h.
"""

import socket
import struct
import sys
from typing import Final

TIMES: Final = (socket.SOL_SOCKET, 64)
"""SO_TIMESTAMPNS_NEW, from Linux 5.1 on, for which Python has no name: the option, and the message that it adds to datagrams."""

TIMESPEC: Final = struct.Struct("=qq")
"""That message: seconds and nanoseconds of the wall clock."""

ANCILLARY_OCTETS: Final = socket.CMSG_SPACE(TIMESPEC.size)


def ask_for_times(sock: socket.socket) -> bool:
    """Whether the kernel notes when datagrams arrive at `sock`; if it can't, the time at which they are read counts.

    It begins a moment after the first socket of the machine has asked for it (net_enable_timestamp in Linux's net/core/dev.c
    leaves that to a worker); until then its time is that of the reading as well.
    """
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(*TIMES, 1)
    except OSError:  # an older kernel
        return False
    return True


def keep_times() -> socket.socket | None:
    """A socket that has the kernel note times of arrival, so that it does once the first request is sent; None if it can't."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            keeper = socket.socket(family, socket.SOCK_DGRAM)
        except OSError:  # this machine lacks the family
            continue
        if ask_for_times(keeper):
            return keeper
        keeper.close()
    return None
