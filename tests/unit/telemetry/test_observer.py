"""What the observer sees of the parts, and the mark that it leaves for a delivery that has nothing to do."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from support import virtual_time
from towerops_agent.api.wire.outcomes import Availability, ClockSkew
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.counters import Counters
from towerops_agent.telemetry.observer import Marks, Observer, boot_clock_s

NOW_US = 1_800_000_000_000_000


def observer(
    marks: Marks, seen: Pending, now_us: Callable[[], int] = lambda: NOW_US, *, lines: tuple[str, ...] = ("",)
) -> Observer:
    """An observer of an agent without devices, whose buffer has this pending in each of these lines."""

    async def pending(line: str = "") -> Pending:
        return seen if line in lines else Pending(0, 0, None)

    async def put_meta(_key: str, _value: bytes) -> None:
        pass

    parts: dict[str, Any] = {
        "sync": SimpleNamespace(
            availability=Availability(), clock_skew=ClockSkew(), refusals=(), version="1", has_config=True, last=None
        ),
        "fleet": SimpleNamespace(devices={}, polled=[], latest_s=0.0),
        "buffer": SimpleNamespace(pending=pending, put_meta=put_meta, in_memory_because=""),
        "courier": SimpleNamespace(availability=Availability(), backlog=None, delivers=True, lines=lines),
        "dealings": {"configuration": Availability(), "metrics": Availability(), "heartbeat": Availability()},
    }
    return Observer(**parts, counters=Counters(), marks=marks, database_octets=lambda: 4096, now_us=now_us)


@pytest.mark.parametrize(("polls", "moves"), [(0, True), (1, False)])
async def test_a_delivery_with_nothing_to_deliver_does_not_stand_still_and_one_with_polls_may(polls, moves):
    """A site whose devices are all down delivers nothing for hours, and is healthy; polls that wait are for delivery to move."""
    marks = Marks(("delivery",))
    marks.move("delivery", -3600.0)
    snapshot = await observer(marks, Pending(polls, polls, NOW_US if polls else None)).take()
    assert (snapshot.due_s["delivery"] > boot_clock_s() - 1800.0) == moves


@pytest.mark.parametrize("lines", [("",), ("", "beside"), ("first", "second")])
@pytest.mark.parametrize(("polls", "moves"), [(0, True), (1, False)])
def test_it_looks_for_that_more_often_than_it_writes(polls, moves, lines):
    """Health gives a loop a minute."""
    marks = Marks(("delivery",))

    async def main() -> None:
        running = asyncio.create_task(observer(marks, Pending(polls, polls, NOW_US if polls else None), lines=lines).run())
        await asyncio.sleep(1.0)
        marks.move("delivery", -3600.0)
        await asyncio.sleep(30.0)
        running.cancel()

    virtual_time.run(main())
    assert (marks.due_s["delivery"] > boot_clock_s() - 1800.0) == moves


async def test_an_agent_that_started_in_1970_runs_for_seconds_once_its_clock_is_set():
    clock_us = [3_600_000_000, NOW_US]
    watcher = observer(Marks(()), Pending(0, 0, None), lambda: clock_us[0])
    for _ in range(2):
        snapshot = await watcher.take()
        assert clock_us[0] - 3_600_000_000 < snapshot.started_us <= snapshot.written_us == clock_us.pop(0)
