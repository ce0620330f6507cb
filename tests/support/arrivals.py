"""Whether the kernel notes when datagrams arrive, which begins a moment after a socket has asked for it."""

import asyncio
import socket
import struct
import time

from towerops_agent.snmp.arrival import ask_for_times


async def kept_times() -> None:
    """Once the kernel notes when datagrams arrive, also at a socket that did not ask for it at the time: the client did."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind(("127.0.0.1", 0))
            own.sendto(b"", own.getsockname())
            await asyncio.sleep(0.01)
            assert ask_for_times(own)
            before_ns = time.time_ns()
            _, ((_, _, timespec),), _, _ = own.recvmsg(1, 256)
            seconds, nanoseconds = struct.unpack("=qq", timespec)
            if seconds * 1_000_000_000 + nanoseconds < before_ns:
                return
