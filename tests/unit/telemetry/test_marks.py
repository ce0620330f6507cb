"""Each long-lived loop is noticed when it stops, and no other is; those of an idle agent stay in time. In virtual time."""

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

import pytest

from support import virtual_time
from support.engine import Engine
from towerops_agent.api.client import ANSWER_WITHIN_S, CONFIG_WITHIN_S
from towerops_agent.api.wire.outcomes import Accepted, Availability, ClockSkew, ConfigFetched, NotModified, Rejected
from towerops_agent.buffer.format.batch import Pending
from towerops_agent.buffer.upkeep import keep_clean
from towerops_agent.config.document.accepts import Accepts
from towerops_agent.config.document.text import ConfigText, config_text
from towerops_agent.config.sync import ConfigSync
from towerops_agent.counters import Counters
from towerops_agent.delivery.courier import Courier
from towerops_agent.delivery.heartbeat import HeartbeatLoop
from towerops_agent.destinations.couriers import Couriers
from towerops_agent.discovery.auto import AutoDiscovery
from towerops_agent.group.course.wire import Seat
from towerops_agent.group.group import Group
from towerops_agent.group.seal import Seal
from towerops_agent.model import Secret
from towerops_agent.polling.course.plan import Planner
from towerops_agent.scheduling.echoes import Echoes
from towerops_agent.scheduling.fleet import Fleet
from towerops_agent.site.document.destination import Destination
from towerops_agent.telemetry.marks import DATABASE_WITHIN_S, Marks, boot_clock_s
from towerops_agent.telemetry.metrics_page import MetricsPage
from towerops_agent.telemetry.observer import Observer
from towerops_agent.telemetry.systemd import feed_watchdog
from towerops_agent.telemetry.views.health import SLACK_S, standing_still

HOUR_S = 3600.0
BEFORE_S = 700.0
LOOK_S = 5.0
NOW_US = 1_800_000_000_000_000


class Outside:
    """All that the loops ask: the buffer, the API, a receiver. What is named in `hangs` never returns; each call is counted."""

    def __init__(self) -> None:
        self.hangs: set[str] = set()
        self.calls: dict[str, int] = {}
        self.pending_polls = 0
        self.arrived = asyncio.Event()
        self.token_rotations = 0
        self.ahead_s = 0.0
        self.config: ConfigText | None = None
        self.config_takes_s = 0.0

    async def _called(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        if name in self.hangs:
            await asyncio.Event().wait()

    def arrive(self) -> None:
        self.pending_polls += 1
        self.arrived.set()

    # The buffer

    async def wait_for_pending(self) -> None:
        await self._called("wait_for_pending")
        await self.arrived.wait()

    async def pending(self, line: str = "") -> Pending:
        return Pending(self.pending_polls, self.pending_polls, None)

    async def part_backlog(self, line: str = "") -> None:
        await self._called("part_backlog")

    async def next_batch(self, *_about: object) -> None:
        await self._called("next_batch")

    async def ask(self, _job: object) -> set[int]:
        return set()

    async def line_up(self, _lines: object) -> None:
        pass

    async def get_meta(self, _key: str) -> None:
        pass

    async def put_meta(self, _key: str, _value: bytes) -> None:
        await self._called("put_meta")

    async def clean_up(self, moved: Callable[[float], None]) -> None:
        moved(0.0)
        await self._called("clean_up")

    # The API, and a receiver

    def reread_token(self) -> None:
        pass

    async def get_config(self, _intake: object, etag: object) -> ConfigFetched[ConfigText] | NotModified | Rejected:
        await self._called("get_config")
        await asyncio.sleep(self.config_takes_s)
        if self.config is None:
            return NotModified(None)
        return Rejected(431, "too large") if etag else ConfigFetched(self.config, "etag")

    async def take_config(self, _config: object) -> None:
        await asyncio.sleep(self.config_takes_s)

    async def post_heartbeat(self, _heartbeat: object) -> Accepted:
        await self._called("post_heartbeat")
        return Accepted()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        pass


class IdleAgent:
    """The loops of an agent without devices, as agent.py has them, beside one another."""

    def __init__(self) -> None:
        self.outside: Any = Outside()
        self.marks = marks = Marks()
        counters = Counters()
        courier = Courier(
            *(self.outside, self.outside, counters),
            accepts=Accepts,
            moved=marks.mover("delivery", ANSWER_WITHIN_S),
            **self.clocks(),
        )
        self.couriers = Couriers(
            *(self.outside, counters),
            loop="destinations",
            sleeper=lambda loop: marks.sleeper(loop, ANSWER_WITHIN_S),
            moved=lambda loop: marks.mover(loop, ANSWER_WITHIN_S),
            forget=marks.forget,
            beside=("",),
            client=lambda _destination: self.outside,
        )
        fleet = Fleet(None, counters, lambda _poll: None, now_us=lambda: NOW_US, moved=marks.mover("polling", 0.0))  # type: ignore[arg-type]
        echoes = Echoes(None, None, counters, lambda _poll: None, now_us=lambda: NOW_US, moved=marks.mover("pings", 0.0))  # type: ignore[arg-type]
        sync = ConfigSync(
            *(self.outside, counters),
            apply=self.outside.take_config,
            keep=self.outside.take_config,
            kept=self.nothing,
            sleep=marks.sleeper("config", CONFIG_WITHIN_S),
            moved=marks.mover("config", CONFIG_WITHIN_S),
        )
        observer = Observer(
            sync=SimpleNamespace(availability=Availability(), clock_skew=ClockSkew(), refusals=(), refused=0, version="1"),  # type: ignore[arg-type]
            fleet=SimpleNamespace(devices={}, polled=[], latest_s=0.0, ahead_us=0),  # type: ignore[arg-type]
            buffer=SimpleNamespace(
                pending=self.outside.pending, put_meta=self.outside.put_meta, in_memory_because="", salvaging=""
            ),  # type: ignore[arg-type]
            courier=courier,
            dealings={},
            counters=counters,
            marks=marks,
            database_octets=lambda: 4096,
            now_us=lambda: NOW_US,
        )
        heartbeat = HeartbeatLoop(self.outside, counters, "poller", sleep=marks.sleeper("heartbeat", ANSWER_WITHIN_S))
        discovery = AutoDiscovery(
            *(None, self.outside, counters),  # type: ignore[arg-type]
            fleet=lambda: fleet,
            profiles=self.nothing,
            sleep=marks.sleeper("discovery", 60.0),
        )
        group = Group(
            Seat("g", "poller"),
            Seal("g", lambda: [Secret("the token")]),
            Engine().bus_of("poller"),  # type: ignore[arg-type]
            Planner(),
            counters,
            condition=lambda: (0, True),
            refresh=lambda: None,
            reread_token=lambda: None,
            moved=marks.mover("group", 0.0),
        )
        page = MetricsPage(("127.0.0.1", 0), self.nothing, counters, sleep=marks.sleeper("metrics", 0.0))  # type: ignore[arg-type]
        self.layouts_lost = asyncio.Event()
        wait_for_layouts = marks.waiter("layouts", CONFIG_WITHIN_S)
        cleanup_moved = marks.mover("cleanup", DATABASE_WITHIN_S)
        self.loops = {
            "config": sync.run,
            "polling": fleet.run,
            "pings": echoes.run,
            "delivery": courier.run,
            "destinations": self.couriers.run,
            "heartbeat": heartbeat.run,
            "discovery": discovery.run,
            "group": group.run,
            "status": observer.run,
            "cleanup": lambda: keep_clean(self.outside, cleanup_moved),
            "layouts": lambda: wait_for_layouts(self.layouts_lost),
            "metrics": page.run,
            "watchdog": lambda: feed_watchdog(marks),
        }

    @staticmethod
    def clocks() -> Any:
        return {"monotonic_s": asyncio.get_running_loop().time}

    @staticmethod
    async def nothing(*_about: object) -> None:
        pass


def stuck(
    harm: Callable[[IdleAgent, dict[str, asyncio.Task[None]]], None], patch: pytest.MonkeyPatch, for_s: float
) -> list[set[str]]:
    """Which loops are stuck, at each look after `harm`, which comes when all have run for a while."""

    async def main() -> list[set[str]]:
        patch.setattr("towerops_agent.telemetry.marks.boot_clock_s", asyncio.get_running_loop().time)
        patch.setattr("towerops_agent.telemetry.systemd.boot_clock_s", asyncio.get_running_loop().time)
        patch.setenv("WATCHDOG_USEC", "120000000")
        patch.delenv("NOTIFY_SOCKET", raising=False)
        agent = IdleAgent()
        await agent.couriers.use([Destination("p", "http://127.0.0.1:9/")])
        await asyncio.sleep(HOUR_S)  # as if the database had been opened for so long
        agent.marks.begin()
        tasks = {name: asyncio.create_task(run()) for name, run in agent.loops.items()}  # type: ignore[arg-type]
        seen: list[set[str]] = []
        for is_harmed, part_s in ((False, BEFORE_S), (True, for_s)):
            if is_harmed:
                harm(agent, tasks)
            for _ in range(round(part_s / LOOK_S)):
                await asyncio.sleep(LOOK_S)
                seen.append(set(standing_still(agent.marks.due_s, asyncio.get_running_loop().time())))
                assert is_harmed or not seen[-1]
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())
        return seen

    return virtual_time.run(main())


NAMES = [
    *("config", "polling", "pings", "delivery", "destinations", "heartbeat", "discovery", "group", "status", "cleanup"),
    *("layouts", "metrics", "watchdog"),
]


def test_no_loop_of_an_idle_agent_is_ever_stuck(monkeypatch):
    assert not any(stuck(lambda _agent, _tasks: None, monkeypatch, 3 * HOUR_S))


def test_a_configuration_of_which_each_step_takes_long_is_not_a_loop_that_is_stuck(monkeypatch):
    """10,000 devices over a slow uplink, and then onto a slow card. A restart would begin it again, for good."""
    agents: list[IdleAgent] = []

    def slow(agent: IdleAgent, _tasks: object) -> None:
        agents.append(agent)
        agent.outside.config = config_text(b'{"equipment": []}')
        agent.outside.config_takes_s = CONFIG_WITHIN_S - 1.0

    assert not any(stuck(slow, monkeypatch, 3 * HOUR_S))
    assert agents[0].outside.calls["get_config"] > 4


@pytest.mark.parametrize("name", NAMES)
def test_a_loop_that_stops_is_noticed_and_no_other_is_blamed(name, monkeypatch):
    def stop(_agent: IdleAgent, tasks: dict[str, asyncio.Task[None]]) -> None:
        tasks[name].cancel()

    seen = stuck(stop, monkeypatch, 1500.0)
    # The destinations' loop ends those of each destination with itself.
    assert seen[-1] == ({name, "delivery to p"} if name == "destinations" else {name})


@pytest.mark.parametrize(
    ("call", "loop"),
    [
        ("get_config", "config"),
        ("post_heartbeat", "heartbeat"),
        ("clean_up", "cleanup"),
        ("part_backlog", "delivery"),
        ("next_batch", "delivery to p"),
    ],
)
def test_a_loop_that_waits_for_good_for_an_answer_is_noticed(call, loop, monkeypatch):
    """Whatever each of them waits for has an end of its own; this is for the day on which it has not."""

    def hang(agent: IdleAgent, _tasks: object) -> None:
        agent.outside.hangs.add(call)
        if loop == "delivery":
            agent.outside.arrive()

    assert stuck(hang, monkeypatch, 1500.0)[-1] == {loop}


def test_delivery_with_nothing_to_deliver_looks_again_each_minute(monkeypatch):
    """So what it has missed is not waited for for good."""
    agents: list[IdleAgent] = []
    seen = stuck(lambda agent, _tasks: agents.append(agent), monkeypatch, HOUR_S)
    assert not any(seen)
    assert agents[0].outside.calls["wait_for_pending"] == 1 + (BEFORE_S + HOUR_S) // 60


def test_what_was_before_the_loops_began_does_not_count(monkeypatch):
    monkeypatch.setattr("towerops_agent.telemetry.marks.boot_clock_s", lambda: now_s)
    now_s = 1000.0
    marks = Marks(("polling",))
    marks.mover("config", CONFIG_WITHIN_S)
    now_s += HOUR_S
    assert set(standing_still(marks.due_s, now_s)) == {"polling", "config"}
    marks.begin()
    assert not standing_still(marks.due_s, now_s + SLACK_S)
    assert set(standing_still(marks.due_s, now_s + CONFIG_WITHIN_S + SLACK_S)) == {"polling"}
    assert set(standing_still(marks.due_s, now_s + CONFIG_WITHIN_S + SLACK_S + 1)) == {"polling", "config"}


def test_a_loop_that_sleeps_is_not_stuck_after_the_machine_was_suspended(monkeypatch):
    """It has as much left to sleep as before, so its mark is to be as far away."""
    marks = Marks(("polling",))
    marks.move("polling", 300.0)
    before_s, read = boot_clock_s(), time.clock_gettime

    def after_suspend(clock: int) -> float:
        return read(clock) + (8 * HOUR_S if clock in (time.CLOCK_BOOTTIME, time.CLOCK_REALTIME) else 0.0)

    monkeypatch.setattr(time, "clock_gettime", after_suspend)
    assert boot_clock_s() - before_s < HOUR_S
    assert not standing_still(marks.due_s, boot_clock_s())
    assert boot_clock_s() == pytest.approx(read(time.CLOCK_MONOTONIC), abs=HOUR_S)  # by which asyncio sleeps
