"""Interfaces of access concentrators, over real UDP: thousands of rows, of which some are configured."""

import pytest
import structlog

from support.devices import device_of
from towerops_agent.counters import Count, Counters
from towerops_agent.model import Interface
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.course.traits import AWAY
from towerops_agent.polling.interfaces import LOOK_SELDOM_POLLS
from towerops_agent.polling.reading import Poller
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire import ber
from towerops_agent.snmp.wire.ber import parse_oid
from towerops_lab.simulator.device import SimulatedDevice, table
from towerops_lab.simulator.server import serve

ROWS = 6000
FIRST = 2**31 + 5
UPLINK, SUBSCRIBERS = "ge-0/0/0", [f"<pppoe-user{n}>" for n in range(0, ROWS, 500)]
NAMES = ("1.3.6.1.2.1.31.1.1.1.1", "1.3.6.1.2.1.2.2.1.2")
A_LOOK = 2 * ROWS // 20 + 20
"""Requests that look for a name in both columns: a GETBULK brings 20 rows."""


def concentrator(names: list[str], uptime: int) -> SimulatedDevice:
    """Each row's counters are the number in its name and the sysUpTime, and larger than the row's before."""
    rows = [(parse_oid("1.3.6.1.2.1.1.3.0"), ber.TIME_TICKS, uptime)]
    for index, name in enumerate(names, FIRST):
        counter = owner(name) + uptime
        rows += [(parse_oid(f"1.3.6.1.2.1.31.1.1.1.{column}.{index}"), ber.COUNTER64, counter) for column in (6, 10)]
        rows += [
            (parse_oid(f"1.3.6.1.2.1.{column}.{index}"), ber.OCTET_STRING, name.encode()) for column in ("31.1.1.1.1", "2.2.1.2")
        ]
        rows += [(parse_oid(f"1.3.6.1.2.1.2.2.1.{column}.{index}"), ber.COUNTER32, 0) for column in (13, 14, 19, 20)]
    return SimulatedDevice(table(rows))


def owner(name: str) -> int:
    return 10_000_000 * int("".join(filter(str.isdigit, name)) or 0)


def names_at(shift: int, without: str = "") -> list[str]:
    """`shift`: how many sessions have come before the configured ones since the first poll."""
    names = [UPLINK, *(f"<pppoe-new{n}>" for n in range(ROWS, ROWS + shift)), *(f"<pppoe-user{n}>" for n in range(ROWS))]
    return [name for name in names if name != without]


@pytest.fixture
async def polled():
    """A function that polls a device with these rows, and returns each interface's counter, and how many requests it took."""
    counters, planner = Counters(), Planner()
    standing = [concentrator(names_at(0), 100_000)]
    configured = [UPLINK, *SUBSCRIBERS]

    def answer(datagram: bytes, uptime_s: float) -> bytes | list[bytes] | None:
        return standing[0].answer(datagram, uptime_s)

    async with serve(answer) as port, SnmpClient(counters) as client:
        places = {name: index for index, name in enumerate(names_at(0), FIRST)}
        interfaces = tuple(Interface(name, places[name], name) for name in configured)
        device = device_of("127.0.0.1", interfaces, port=port)
        poller = Poller(client, planner)

        async def poll(names: list[str] | None, uptime: int) -> tuple[dict[str, int | None], int]:
            if names is not None:
                standing[0] = concentrator(names, uptime)
            before = counters.get(Count.SNMP_REQUESTS, "sent")
            with structlog.testing.capture_logs():
                result = await poller.poll(device, 300.0)
            return dict(zip(configured, result.poll.values[::6], strict=True)), counters.get(Count.SNMP_REQUESTS, "sent") - before

        yield poll, device


async def test_sessions_of_a_concentrator_are_followed_among_6000_rows_in_the_same_poll(polled):
    """All have moved by 40 rows, and nothing says so; an octet counter has not fallen."""
    poll, _ = polled
    for shift, uptime in ((0, 100_000), (40, 106_000), (80, 112_000)):
        counted, requests = await poll(names_at(shift), uptime)
        assert counted == {name: owner(name) + uptime for name in counted}
        assert requests < 2 * A_LOOK


async def test_a_session_that_is_gone_is_looked_for_among_6000_rows_once_an_hour(polled):
    poll, device = polled
    gone = SUBSCRIBERS[3]
    await poll(names_at(0), 100_000)
    counted, requests = await poll(names_at(0, without=gone), 106_000)
    assert counted[gone] is None
    assert [name for name, value in counted.items() if value is None] == [gone]
    assert requests < 2 * A_LOOK
    total = 0
    for n in range(1, LOOK_SELDOM_POLLS):
        _, requests = await poll(None, 106_000 + n)
        total += requests
    assert total < LOOK_SELDOM_POLLS * 10
    assert device.traits.standings.count(AWAY) == 1
    counted, requests = await poll(names_at(7), 200_000)
    assert counted == {name: owner(name) + 200_000 for name in counted}
