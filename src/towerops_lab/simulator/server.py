"""Serve a simulated device over UDP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from towerops_lab.simulator.device import SimulatedDevice

Answers = Callable[[bytes, float], bytes | list[bytes] | None]
"""A datagram and the device's uptime in seconds -> its answer: no datagram, one, or several."""


class _Endpoint(asyncio.DatagramProtocol):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's promise
        self._started_at = asyncio.get_running_loop().time()

    def datagram_received(self, datagram: bytes, peer: tuple[str, int]) -> None:
        answer = self._answers(datagram, asyncio.get_running_loop().time() - self._started_at)
        for octets in [answer] if isinstance(answer, bytes) else answer or []:
            self._transport.sendto(octets, peer)


@asynccontextmanager
async def serve(device: SimulatedDevice | Answers, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Answer for `device` at this address until the block ends; the block gets the port (a free one for 0)."""
    answers = device.answer if isinstance(device, SimulatedDevice) else device
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Endpoint(answers), local_addr=(host, port))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
