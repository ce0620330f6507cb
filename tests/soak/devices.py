"""The devices of a soak: each at an address of its own, with values that the ledger knows, and faults that can be switched."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random
from typing import Any

from ledger import VALUES, Ledger, code

from towerops_agent.errors import MalformedMessage
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.message import PduType
from towerops_lab.simulator.device import SimulatedDevice, table

FIRST = IPv4Address("127.1.0.1")
PORT = 1161
SENSORS = tuple(f"1.3.6.1.4.1.99999.1.{i}.0" for i in (1, 2))
IN_OCTETS, OUT_OCTETS = (parse_oid(f"1.3.6.1.2.1.31.1.1.1.{column}.1") for column in (6, 10))


@dataclass(slots=True)
class Weather:
    """What happens to a device's answers. Shares from 0 to 1."""

    silent: bool = False
    loss: float = 0.0
    late: float = 0.0
    twice: float = 0.0
    garbled: float = 0.0


class Device(asyncio.DatagramProtocol):
    """One device. `weather`: its faults."""

    def __init__(self, number: int, ledger: Ledger, rng: Random) -> None:
        self.weather = Weather()
        self._number = number
        self._ledger = ledger
        self._rng = rng
        self._answer = 0
        self._read: set[int] = set()
        # Without sysUpTime: after a device's restart the first answer of a poll is asked for again, which no count says.
        rows: list[Any] = [(parse_oid(oid), ber.COUNTER64, lambda _, i=i: self._value(i)) for i, oid in enumerate(SENSORS)]
        rows += [(IN_OCTETS, ber.COUNTER64, lambda _: self._value(2)), (OUT_OCTETS, ber.COUNTER64, lambda _: self._out())]
        rows += [(parse_oid(f"1.3.6.1.2.1.2.2.1.{i}.1"), ber.COUNTER32, lambda _: self._answer) for i in (13, 14, 19, 20)]
        self._simulated = SimulatedDevice(table(rows))

    def _value(self, value: int) -> int:
        self._read.add(value)
        return code(self._number, self._answer, value)

    def _out(self) -> int:
        return code(self._number, self._answer, 3)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, datagram: bytes, peer: tuple[str, int]) -> None:
        weather, rng = self.weather, self._rng
        if weather.silent or rng.random() < weather.loss:
            return
        try:
            is_read = decode_message(datagram).pdu.type == PduType.GET
        except MalformedMessage:
            return
        if is_read:
            self._answer = self._ledger.begin(self._number)
        self._read.clear()
        answer = self._simulated.answer(datagram, 0.0)
        values = set(self._read) if is_read else set()
        if answer is None:
            return
        if len(values) < VALUES:  # what is asked beside the values has no fault
            self._send(answer, peer, self._answer, values)
        elif rng.random() < weather.garbled:
            self._transport.sendto(b"\xff" + rng.randbytes(40), peer)
        elif rng.random() < weather.late:
            asyncio.get_running_loop().call_later(rng.uniform(0.95, 3.0), self._send, answer, peer, self._answer, values)
        else:
            for _ in range(2 if rng.random() < weather.twice else 1):
                self._send(answer, peer, self._answer, values)

    def _send(self, answer: bytes, peer: tuple[str, int], number: int, values: set[int]) -> None:
        if values:
            self._ledger.sent(self._number, number, values, time.time())
        self._transport.sendto(answer, peer)


def configuration(devices: int, interval_s: int) -> dict[str, Any]:
    """What the API has the agent poll."""
    equipment = [
        {
            "id": f"d{n}",
            "name": f"Device {n}",
            "ip_address": str(FIRST + n),
            "snmp": {"version": "2c", "community": "public", "port": PORT},
            "poll_interval_seconds": interval_s,
            "sensors": [{"id": f"d{n}-{i}", "type": "counter", "oid": oid, "divisor": 1} for i, oid in enumerate(SENSORS)],
            "interfaces": [{"id": f"d{n}-2", "if_index": 1}],
        }
        for n in range(devices)
    ]
    return {"version": "1", "accepts": {"content_encodings": ["gzip"], "max_metrics": 1000}, "equipment": equipment}


@asynccontextmanager
async def answering(count: int, ledger: Ledger, rng: Random) -> AsyncIterator[list[Device]]:
    """So many devices, until the block ends."""
    loop = asyncio.get_running_loop()
    devices = [Device(n, ledger, rng) for n in range(count)]
    transports = []
    for n, device in enumerate(devices):
        transport, _ = await loop.create_datagram_endpoint(lambda device=device: device, local_addr=(str(FIRST + n), PORT))
        transports.append(transport)
    try:
        yield devices
    finally:
        for transport in transports:
            transport.close()
