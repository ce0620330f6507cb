"""A guard against slow decay: what a device's day takes while it is shown, in octets that no machine's speed changes."""

import tracemalloc

from support.recorded import END_US, MINUTE_US, TOKEN
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.counters import Counters
from towerops_agent.model import INTERFACE_COLUMNS, Layout, Poll
from towerops_agent.page.site import Site

INTERFACES = 120
MINUTES = 600


async def record(path) -> None:
    """Ten hours of a large switch, each interface with traffic of its own."""
    now_us = END_US - MINUTES * MINUTE_US
    async with Buffer(path, Counters(), clock_us=lambda: now_us, monotonic_us=lambda: now_us) as buffer:
        layout = await buffer.register(Layout("switch", (), tuple(f"port {n}" for n in range(INTERFACES))))
        for minute in range(MINUTES):
            values: list[int] = []
            for n in range(INTERFACES):
                octets = (1 << 40) + minute * (n + 1) * 7_500_000 + (minute * n * 7919) % 99_991
                values += (octets, octets // 7, 0, 0, 0, 0)
            buffer.add(Poll(layout, now_us, tuple(values), ((INTERFACES, 1_000),), INTERFACES))
            now_us += MINUTE_US
            if minute % 100 == 99:
                await buffer.flush()


async def test_a_device_with_many_interfaces_is_shown_in_a_part_of_the_memory_that_its_readings_take(tmp_path):
    """As numbers they take 40 octets each, and as much again while rates are made of them: a day may not fit the machine."""
    await record(tmp_path / "agent.db")
    site = Site(tmp_path / "agent.db", lambda: TOKEN, lambda: END_US)
    tracemalloc.start()
    try:
        (view,) = site.device("switch")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(view.charts) == INTERFACES
    readings = INTERFACES * len(INTERFACE_COLUMNS) * MINUTES
    assert peak < 30 * readings  # 21; 64 if all of them are in the open at once
