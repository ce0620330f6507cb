"""A device that answers one request in half a second and drops the others, over real UDP: all that it has arrives.

What its pace is taken for is looked at in virtual time: the datagrams are real, and no second depends on the machine.
"""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from support import asking, devices, virtual_time
from support.agent import TOKEN, environment, running
from towerops_agent.polling.course.plan import Planner, make_plan
from towerops_agent.polling.course.traits import LARGEST_VARBINDS
from towerops_agent.polling.reading import Poller
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_agent.snmp.wire.codec import decode_message
from towerops_lab.sandbox.server import Sandbox
from towerops_lab.simulator.device import SimulatedDevice
from towerops_lab.simulator.server import serve

GAP_S = 0.5
SENSORS = [f"1.3.6.1.4.1.99999.1.{n}" for n in range(1, 200)]
LARGE = make_plan(list(map(parse_oid, SENSORS)), (), b"", LARGEST_VARBINDS)
"""As few requests as there can be."""


class Limited:
    """Answers a request `gap_s` after the last answer at the earliest. `sizes`: how many OIDs each answered one had.

    `enough`: set once so many OIDs were answered since `count`.
    """

    def __init__(self, gap_s: float = GAP_S) -> None:
        values = {parse_oid(oid): (ber.INTEGER, n) for n, oid in enumerate(SENSORS)}
        self._device = SimulatedDevice({parse_oid("1.3.6.1.2.1.1.3.0"): (ber.TIME_TICKS, 100), **values})
        self._gap_s = gap_s
        self._answered_at = -gap_s
        self.sizes: list[int] = []
        self.dropped = 0
        self.enough = asyncio.Event()
        self._wanted = 0

    def count(self, wanted: int) -> None:
        self._wanted = sum(self.sizes) + wanted

    def answer(self, datagram: bytes, uptime_s: float) -> bytes | None:
        now = asyncio.get_running_loop().time()
        if now - self._answered_at < self._gap_s:
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
            limited.count(2 * len(SENSORS))
            await limited.enough.wait()
            assert await agent.stop() == 0
    assert agent.log.count("device drops requests that come too soon") == 1
    assert "answers in part" not in agent.log
    assert "missing" not in agent.log
    assert max(limited.sizes) == max(len(ask.columns) for ask in LARGE.asks)
    assert all(sandbox.store.readings(oid) for oid in SENSORS)


@pytest.mark.parametrize("gap_s", [GAP_S, 0.8, 1.3, 3.0])
def test_the_pace_that_is_learned_is_the_device_s(gap_s: float):
    """As the log says it, and as the requests of the polls after that keep it: large ones, and hardly one in vain."""
    limited = Limited(gap_s)

    async def polls() -> tuple[int, int]:
        async with serve(limited.answer) as port, asking.open_client() as (client, _):
            poller, device = Poller(client, Planner()), devices.device(port=port, sensors=SENSORS)
            for n in range(1, 9):
                assert (await poller.poll(device, 50)).missing == {}
                if n == 5:
                    before = len(limited.sizes), limited.dropped
                await asyncio.sleep(1000 + n * 60 - asyncio.get_running_loop().time())
        return len(limited.sizes) - before[0], limited.dropped - before[1]

    with capture_logs() as logs:
        answered, dropped = virtual_time.run(polls())
    (line,) = [line for line in logs if "too soon" in line["event"]]
    assert line["gap_s"] == pytest.approx(gap_s, rel=0.2)
    assert answered == 3 * len(LARGE.asks)
    assert dropped <= 2, "one request in 32 asks whether it is faster by now, and is repeated"
