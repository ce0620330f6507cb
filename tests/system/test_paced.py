"""A device that answers one request in half a second and drops the others, over real UDP: all that it has arrives."""

import asyncio
from pathlib import Path

from support.agent import TOKEN, environment, running
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.message import decode_message
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

GAP_S = 0.5
SENSORS = [f"1.3.6.1.4.1.99999.1.{n}" for n in range(1, 200)]


class Limited:
    """Answers a request GAP_S after the last answer at the earliest. `sizes`: how many OIDs each answered one had.

    `enough`: set once so many OIDs were answered since `count`.
    """

    def __init__(self) -> None:
        values = {parse_oid(oid): (ber.INTEGER, n) for n, oid in enumerate(SENSORS)}
        self._device = SimulatedDevice({parse_oid("1.3.6.1.2.1.1.3.0"): (ber.TIME_TICKS, 100), **values})
        self._answered_at = -GAP_S
        self.sizes: list[int] = []
        self.dropped = 0
        self.enough = asyncio.Event()
        self._wanted = 0

    def count(self, wanted: int) -> None:
        self._wanted = sum(self.sizes) + wanted

    def answer(self, datagram: bytes, uptime_s: float) -> bytes | None:
        now = asyncio.get_running_loop().time()
        if now - self._answered_at < GAP_S:
            self.dropped += 1
            return None
        self._answered_at = now
        self.sizes.append(len(decode_message(datagram).pdu.names))
        if sum(self.sizes) >= self._wanted > 0:
            self.enough.set()
        answer = self._device.answer(datagram, uptime_s)
        return answer if isinstance(answer, bytes) else None


async def test_its_pace_is_learned_and_all_of_it_arrives_in_large_requests(tmp_path: Path):
    limited = Limited()
    async with serve(limited.answer) as port:
        device = {
            "id": "d",
            "name": "Paced",
            "ip_address": "127.0.0.1",
            "snmp": {"version": "2c", "community": "public", "port": port},
            "poll_interval_seconds": 10,
            "sensors": [{"id": oid, "type": "test", "oid": oid} for oid in SENSORS],
        }
        sandbox = Sandbox({"version": "1", "equipment": [device]}, TOKEN)
        env = environment("", tmp_path / "agent.db")
        async with sandbox.serve() as url, running(env={**env, "TOWEROPS_API_URL": url}) as agent:
            await agent.logged("device drops requests that come too soon")
            before, dropped = len(limited.sizes), limited.dropped
            limited.count(2 * len(SENSORS))
            await limited.enough.wait()
            assert await agent.stop() == 0
    (line,) = [line for line in agent.lines if "too soon" in line]
    gap_s = float(line.partition("gap_s=")[2].split()[0])
    assert GAP_S * 0.9 <= gap_s <= GAP_S * 1.5
    assert "answers in part" not in agent.log
    assert "missing" not in agent.log
    assert max(limited.sizes) == 48
    assert limited.dropped - dropped <= (len(limited.sizes) - before) / 2
    assert all(sandbox.store.readings(oid) for oid in SENSORS)
