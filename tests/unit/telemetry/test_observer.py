"""What the observer sees of the parts."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from support import virtual_time
from towerops_agent.api.wire.outcomes import Availability, Certificate, ClockSkew
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.counters import Count, Counters
from towerops_agent.model import DeviceState, State
from towerops_agent.telemetry.marks import Marks, boot_clock_s
from towerops_agent.telemetry.observer import WARN_EACH_S, Observer
from towerops_agent.telemetry.views.status import render

NOW_US = 1_800_000_000_000_000


def observer(
    marks: Marks,
    seen: Pending,
    now_us: Callable[[], int] = lambda: NOW_US,
    *,
    lines: tuple[str, ...] = ("",),
    counters: Counters | None = None,
    states: tuple[State, ...] = (),
    ahead_s: float | None = None,
    certificates: Sequence[Certificate] = (),
) -> Observer:
    """An observer of an agent with devices in these states, whose buffer has this pending in each of these lines."""

    async def pending(line: str = "") -> Pending:
        return seen if line in lines else Pending(0, 0, None)

    async def put_meta(_key: str, _value: bytes) -> None:
        pass

    skew = ClockSkew()
    skew.measured(ahead_s)
    polled = [SimpleNamespace(state=DeviceState(state, "timeout", NOW_US)) for state in states]
    parts: dict[str, Any] = {
        "sync": SimpleNamespace(
            availability=Availability(), clock_skew=skew, refusals=(), refused=0, version="1", has_config=True, last=None
        ),
        "fleet": SimpleNamespace(devices={}, polled=polled, latest_s=0.0, ahead_us=0),
        "buffer": SimpleNamespace(pending=pending, put_meta=put_meta, in_memory_because="", salvaging=""),
        "courier": SimpleNamespace(availability=Availability(), backlog=None, delivers=True, lines=lines),
        "dealings": {"configuration": Availability(), "metrics": Availability(), "heartbeat": Availability()},
    }
    return Observer(
        **parts,
        counters=counters or Counters(),
        marks=marks,
        database_octets=lambda: 4096,
        now_us=now_us,
        certificates=lambda: list(certificates),
    )


async def test_certificates_near_their_end_are_logged_once_a_day_and_shown():
    """An operator hears of it before nothing can be delivered any more."""
    now_s = NOW_US / 1e6
    certificates = (
        Certificate("API", False, now_s + 5 * 86_400, now_s - 9 * 86_400),
        Certificate("API", True, now_s - 86_400, now_s - 15 * 86_400),
        Certificate("destination prom", False, now_s + 90 * 86_400, now_s + 76 * 86_400),
        Certificate("destination daily", False, now_s + 28_800, now_s + 7_200),
    )
    watching = observer(Marks(()), Pending(0, 0, None), certificates=certificates)
    with capture_logs() as logs:
        for passed_s in (0.0, WARN_EACH_S - 1, WARN_EACH_S):
            watching.warn_of_certificates(passed_s)
    assert [(line["of"], line["own"]) for line in logs] == [("API", False), ("API", True)] * 2
    ends = [
        "the certificate of API expires in 5 d, at 2027-01-20 08:00:00 UTC: renew it at the server",
        "the agent's own certificate for API has expired, at 2027-01-14 08:00:00 UTC: renew it, and send SIGHUP",
    ]
    assert watching.vitals().expiring == tuple(ends)
    shown = render(await watching.take(), NOW_US)
    assert all(line in shown for line in ends)
    assert "prom" not in shown
    assert "daily" not in shown


def test_of_servers_that_answer_by_turns_the_one_whose_certificate_ends_is_logged_once_a_day():
    """Two behind one name, of which one was not renewed: else a line each time that it answers again."""
    now_s, day_s = NOW_US / 1e6, 86_400
    old, renewed = (Certificate("API", False, now_s + days * day_s, now_s + (days - 14) * day_s) for days in (5, 90))
    seen = [old]
    watching = observer(Marks(()), Pending(0, 0, None), certificates=seen)
    with capture_logs() as logs:
        for turn in range(4):
            seen[:] = [(old, renewed)[turn % 2]]
            watching.warn_of_certificates(15.0 * turn)
    assert len(logs) == 1


@pytest.mark.parametrize("lines", [("",), ("", "beside"), ("first", "second")])
async def test_it_leaves_no_mark_but_its_own(lines):
    """A delivery that hangs while nothing is pending is noticed by its own mark."""
    marks = Marks(("delivery",))
    marks.move("delivery", -3600.0)
    await observer(marks, Pending(0, 0, None), lines=lines).take()
    assert marks.due_s["delivery"] < boot_clock_s() - 1800.0
    assert set(marks.due_s) == {"delivery", "status"}


def test_a_loop_that_fails_each_time_it_starts_again_is_a_remark_until_five_minutes_after(monkeypatch):
    """It moves, and does nothing: by its mark it is healthy."""
    counters = Counters()
    seen: list[Mapping[str, int]] = []

    async def main() -> None:
        monkeypatch.setattr("towerops_agent.telemetry.observer.time", SimpleNamespace(monotonic=asyncio.get_running_loop().time))
        watcher = observer(Marks(()), Pending(0, 0, None), counters=counters)
        running = asyncio.create_task(watcher.run())
        for minute in range(20):
            if minute in (5, 6, 7):
                counters.add(Count.BUGS, "delivery", 12)
            seen.append(watcher.vitals().bugs)
            await asyncio.sleep(60.0)
        running.cancel()

    virtual_time.run(main())
    assert seen[:5] == [{}] * 5
    assert [bugs.get("delivery") for bugs in seen[5:10]] == [12, 24, 36, 36, 36]
    assert seen[14:] == [{}] * 6


def test_health_is_judged_by_the_devices_and_the_clock_too():
    for states, ahead_s, off_s in (((), None, 0.0), ((), 20.0, 0.0), ((State.DOWN, State.UP), -31.0, -31.0)):
        seen = observer(Marks(()), Pending(0, 0, None), states=states, ahead_s=ahead_s).vitals()
        assert (seen.states["down"], seen.clock_off_s) == (len(states) // 2, off_s)


async def test_an_agent_that_started_in_1970_runs_for_seconds_once_its_clock_is_set():
    clock_us = [3_600_000_000, NOW_US]
    watcher = observer(Marks(()), Pending(0, 0, None), lambda: clock_us[0])
    for _ in range(2):
        snapshot = await watcher.take()
        assert clock_us[0] - 3_600_000_000 < snapshot.started_us <= snapshot.written_us == clock_us.pop(0)
