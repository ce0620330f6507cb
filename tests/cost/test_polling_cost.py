"""A guard against slow decay: how much is done for one poll of 308 values, in counts that no machine's speed changes.

The bounds leave a third or more of room over what was counted when they were written (behind each). A change that is worth its
cost may raise one, and says so in docs/decisions/0011-performance.md.
"""

import gc
import tracemalloc

import pytest

from cost.calls import Calls
from cost.device308 import METRICS, VALUES, answering_elsewhere, device308, equipment308
from support.devices import LAYOUT
from towerops_agent.counters import Count, Counters
from towerops_agent.polling.course import plan
from towerops_agent.polling.course.device import make_device
from towerops_agent.polling.course.plan import Planner
from towerops_agent.polling.reading import Poller
from towerops_agent.snmp.client import SnmpClient
from towerops_agent.snmp.wire import exchange
from towerops_agent.snmp.wire.message import decode_usual

LEARNING_POLLS = 6
"""After these the device is asked for as much at once as fits."""

REQUESTS = 7
"""Six for the values, and one more for the names of the interfaces."""
DEVICES = 200


@pytest.fixture
async def polled():
    """A poller, a device that it knows, and what it counts."""
    counters, planner = Counters(), Planner()
    with answering_elsewhere() as port:
        async with SnmpClient(counters) as client:
            poller, device = Poller(client, planner), device308(planner, port)
            for _ in range(LEARNING_POLLS):
                await poller.poll(device, 30.0)
            yield poller, device, counters


async def test_a_known_device_of_308_values_is_asked_seven_times(polled):
    poller, device, counters = polled
    before = counters.get(Count.SNMP_REQUESTS, "sent")
    result = await poller.poll(device, 30.0)
    assert len(result.poll.values) == VALUES
    assert result.poll.metric_count == METRICS
    assert counters.get(Count.SNMP_REQUESTS, "sent") - before == REQUESTS


async def test_each_answer_of_a_known_device_is_read_as_a_usual_one(polled, monkeypatch):
    """Else it would be read by decode_message, at twice the cost."""
    poller, device, _ = polled
    read = []
    monkeypatch.setattr(exchange, "decode_usual", lambda *given: read.append(decode_usual(*given)) or read[-1])
    monkeypatch.setattr(exchange, "decode_message", lambda datagram: pytest.fail("not a usual one"))
    await poller.poll(device, 30.0)
    assert len(read) == REQUESTS


async def test_a_poll_makes_few_calls(polled):
    """What it costs in Python follows from these more than from anything else."""
    poller, device, _ = polled
    with Calls() as calls:
        await poller.poll(device, 30.0)
    assert calls.python < 1.4 * VALUES  # 0.98
    assert calls.c.total() < 6.1 * VALUES  # 4.5


async def test_a_request_makes_few_system_calls(polled):
    """One that sends it, less than two that read (the last one finds nothing), one that looks what has happened: up to four are
    under way at once. Ids come by the hundred."""
    poller, device, _ = polled
    with Calls() as calls:
        await poller.poll(device, 30.0)
    assert calls.c["sendto"] == REQUESTS
    assert calls.c["urandom"] <= 1
    assert calls.c["recvmsg"] <= 2 * REQUESTS  # 10 to 12
    assert calls.c["poll"] <= REQUESTS  # 3 to 5, of epoll; 14 one by one


async def test_devices_of_a_kind_that_are_first_polled_one_after_another_need_the_plans_of_one(monkeypatch):
    """Those of their values, and those that ask the names of their interfaces: each takes milliseconds, and a kilobyte for each
    interface."""
    made: list[object] = []
    real = vars(plan)["lay_out"]
    monkeypatch.setattr(plan, "lay_out", lambda *some, **more: (made.append(some), real(*some, **more))[1])
    planner = Planner()
    with answering_elsewhere() as port:
        async with SnmpClient(Counters()) as client:
            poller = Poller(client, planner)
            results = [await poller.poll(device308(planner, port), 30.0) for _ in range(5)]
    assert [len(result.poll.values) for result in results] == [VALUES] * 5
    assert len(made) < 12  # 8, as of one device; 40 if each makes its own


def test_a_device_keeps_little_memory():
    """None of it is per value: devices of a kind share their plan and the names of their interfaces."""
    planner = Planner()
    kept = [make_device(equipment308(0), LAYOUT, b"digest", planner)]
    equipment = [equipment308(n) for n in range(1, DEVICES + 1)]
    gc.collect()
    tracemalloc.start()
    try:
        kept += [make_device(each, LAYOUT, b"digest", planner) for each in equipment]
        gc.collect()
        octets = tracemalloc.get_traced_memory()[0] / DEVICES
    finally:
        tracemalloc.stop()
    assert len({id(device.plan) for device in kept}) == 1
    assert octets < 1900  # 1,101 to 1,405
