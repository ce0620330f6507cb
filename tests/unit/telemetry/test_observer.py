"""What the observer sees of the parts."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from towerops_agent.api.wire.outcomes import Availability, ClockSkew
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.counters import Counters
from towerops_agent.telemetry.marks import Marks, boot_clock_s
from towerops_agent.telemetry.observer import Observer

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


@pytest.mark.parametrize("lines", [("",), ("", "beside"), ("first", "second")])
async def test_it_leaves_no_mark_but_its_own(lines):
    """A delivery that hangs while nothing is pending is noticed by its own mark."""
    marks = Marks(("delivery",))
    marks.move("delivery", -3600.0)
    snapshot = await observer(marks, Pending(0, 0, None), lines=lines).take()
    assert snapshot.due_s["delivery"] < boot_clock_s() - 1800.0
    assert set(snapshot.due_s) == {"delivery", "status"}


async def test_an_agent_that_started_in_1970_runs_for_seconds_once_its_clock_is_set():
    clock_us = [3_600_000_000, NOW_US]
    watcher = observer(Marks(()), Pending(0, 0, None), lambda: clock_us[0])
    for _ in range(2):
        snapshot = await watcher.take()
        assert clock_us[0] - 3_600_000_000 < snapshot.started_us <= snapshot.written_us == clock_us.pop(0)
