"""An SnmpClient in memory, for virtual time: devices by host, each answering after a time of its own, or never."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from towerops_agent.snmp.session import Take
from towerops_agent.snmp.wire.codec import decode_message
from towerops_agent.snmp.wire.exchange import Answer, NoReply, Peer, Reply
from towerops_agent.snmp.wire.message import Community, Request
from towerops_lab.simulator.device import SimulatedDevice

REQUEST_ID = 0x01020304


class FakeClient:
    """Takes SnmpClient's place.

    `devices`: by host; a host without a device is silent. `rtt_s`: by host, how long an answer takes, and without an entry
    10 ms. `asked`: how many datagrams went to each host. `in_flight`: how many requests are under way, by host.
    """

    def __init__(self, devices: dict[str, SimulatedDevice] | None = None) -> None:
        self.devices = dict(devices or {})
        self.rtt_s: dict[str, float] = {}
        self.asked: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight = 0
        self.requests: list[tuple[str, Request, tuple[float, ...]]] = []
        self.resolver: Callable[[str], str] = lambda host: host
        self.resolved: list[str] = []
        self.wall_us = 1_000

    async def resolve(self, host: str, port: int) -> list[Peer]:
        self.resolved.append(host)
        return [(address, port) for address in self.resolver(host).split()]

    async def ask(
        self,
        peer: Peer,
        security: Community,
        request: Request,
        timeouts_s: Sequence[float],
        *,
        over_tcp: bool = False,
        from_any: bool = False,
    ) -> Answer:
        host = peer[0]
        self.requests.append((host, request, tuple(timeouts_s)))
        self.in_flight[host] += 1
        self.most_in_flight = max(self.most_in_flight, sum(self.in_flight.values()))
        try:
            return await self.reply(host, security, request, timeouts_s)
        finally:
            self.in_flight[host] -= 1

    async def ask_together(
        self,
        peer: Peer,
        security: Community,
        requests: Sequence[Request],
        timeouts_s: Sequence[float],
        take: Take,
        *,
        from_any: bool = False,
    ) -> None:
        while requests:
            waits_s = timeouts_s if len(requests) == 1 else timeouts_s[:1]
            asked = (self.ask(peer, security, request, waits_s, from_any=from_any) for request in requests)
            requests = take(list(await asyncio.gather(*asked)))

    async def reply(self, host: str, security: Community, request: Request, timeouts_s: Sequence[float]) -> Answer:
        """What the device answers, after the time that it takes; for a test to override."""
        rtt_s = self.rtt_s.get(host, 0.01)
        for timeout_s in timeouts_s:
            self.asked[host] += 1
            device = self.devices.get(host)
            octets = device.answer(security.wrap(request.pdu(REQUEST_ID)), 100.0) if device else None
            if octets is not None and rtt_s <= timeout_s:
                await asyncio.sleep(rtt_s)
                return Reply(decode_message(octets).pdu, rtt_s, self.wall_us)
            await asyncio.sleep(timeout_s)
        return NoReply("timeout", len(timeouts_s))
