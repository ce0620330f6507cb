"""What the observer sees of the parts, and the mark that it leaves for a delivery that has nothing to do."""

from types import SimpleNamespace
from typing import Any

import pytest

from towerops_agent.api.wire.outcomes import Availability, ClockSkew
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.counters import Counters
from towerops_agent.telemetry.observer import Marks, Observer, boot_clock_s

NOW_US = 1_800_000_000_000_000


def observer(marks: Marks, seen: Pending) -> Observer:
    """An observer of an agent without devices, whose buffer has this pending."""

    async def pending(_: str = "") -> Pending:
        return seen

    parts: dict[str, Any] = {
        "sync": SimpleNamespace(
            availability=Availability(), clock_skew=ClockSkew(), refusals=(), version="1", has_config=True, last=None
        ),
        "fleet": SimpleNamespace(devices={}, polled=[], latest_s=0.0),
        "buffer": SimpleNamespace(pending=pending, in_memory_because=""),
        "courier": SimpleNamespace(availability=Availability(), backlog=None, delivers=True, lines=("",)),
        "dealings": {"configuration": Availability(), "metrics": Availability(), "heartbeat": Availability()},
    }
    return Observer(**parts, counters=Counters(), marks=marks, database_octets=lambda: 4096, now_us=lambda: NOW_US)


@pytest.mark.parametrize(("polls", "moves"), [(0, True), (1, False)])
async def test_a_delivery_with_nothing_to_deliver_does_not_stand_still_and_one_with_polls_may(polls, moves):
    """A site whose devices are all down delivers nothing for hours, and is healthy; polls that wait are for delivery to move."""
    marks = Marks(("delivery",))
    marks.move("delivery", -3600.0)
    snapshot = await observer(marks, Pending(polls, polls, NOW_US if polls else None)).take()
    assert (snapshot.due_s["delivery"] > boot_clock_s() - 1800.0) == moves
