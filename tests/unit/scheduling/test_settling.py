"""Polls of an unsure time wait in a real database until the time is known, over a restart of the agent too."""

import asyncio
from dataclasses import dataclass, field
from math import inf

import pytest

from towerops_agent.api.wire.outcomes import Unavailable
from towerops_agent.buffer.buffer import Buffer
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.counters import Counters
from towerops_agent.model import Layout, Poll
from towerops_agent.scheduling.settling import Settling
from towerops_agent.scheduling.timetable import Dating

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
LAYOUT = Layout("eq-1", (("s-1", 1.0),), ())


@dataclass
class Machine:
    """A machine whose wall clock is `off_us` ahead of the true time, which goes on only as a test has it."""

    off_us: int = -5 * HOUR_US
    true_us: int = NOW_US
    booted_us: int = NOW_US - 60 * SECOND_US
    is_synced: bool | None = False
    counters: Counters = field(default_factory=Counters)

    def wall_us(self) -> int:
        return self.true_us + self.off_us

    def buffer(self, path) -> Buffer:
        return Buffer(path, self.counters, clock_us=self.wall_us, monotonic_us=lambda: self.true_us - self.booted_us)

    def reboot(self, off_us: int) -> None:
        """An hour later, with the clock as far off as this."""
        self.true_us += HOUR_US
        self.booted_us, self.off_us = self.true_us, off_us
        self.true_us += 20 * SECOND_US


class Run:
    """One run of the agent, as far as the time is concerned. `began_us`: when its polls truly began."""

    def __init__(self, machine: Machine, buffer: Buffer, patience_s: float = inf) -> None:
        self._machine = machine
        self.dating = Dating(
            buffer.add,
            machine.counters,
            wall_us=machine.wall_us,
            steady_us=lambda: machine.true_us - machine.booted_us,
            is_synced=lambda: machine.is_synced,
            on_unset=lambda: None,
            on_set=lambda _polls: None,
        )
        self.settling = Settling(self.dating, buffer, now_us=machine.wall_us, patience_s=patience_s)
        self.began_us: list[int] = []

    def poll(self, layout: int) -> None:
        self.began_us.append(self._machine.true_us)
        began = self._machine.wall_us()
        self._machine.true_us += 2 * SECOND_US
        self.dating.take(Poll(layout, began, (7,), ((1, 2 * SECOND_US),), 1))
        self._machine.true_us += 58 * SECOND_US


@pytest.fixture
def machine():
    return Machine()


def shown_us(path) -> list[int]:
    """When the polls began, as `history` and the page show it."""
    with DatabaseReader(path) as reader:
        return [stored.poll.started_at_us for stored in reader.polls("eq-1", NOW_US - HOUR_US)]


async def delivered_us(buffer: Buffer) -> list[int]:
    taken = await buffer.take_batch(1_000)
    return [] if taken is None else [stored.poll.started_at_us for stored in taken[1]]


async def test_nothing_is_delivered_before_the_api_has_answered_and_then_all_has_its_time(tmp_path, machine):
    async with machine.buffer(tmp_path / "a.db") as buffer:
        run = Run(machine, buffer)
        await run.settling.begin()
        loop = asyncio.create_task(run.settling.run())
        layout = await buffer.register(LAYOUT)
        for _ in range(3):
            run.poll(layout)
        assert not run.settling.dated.is_set()
        run.dating.heard(machine.off_us / 1e6)
        await run.settling.dated.wait()
        run.poll(layout)
        assert await delivered_us(buffer) == run.began_us
        loop.cancel()
    assert shown_us(tmp_path / "a.db") == run.began_us


async def test_what_a_restarted_agent_stored_before_is_moved_too_and_packed_polls_are(tmp_path, machine):
    began_us = []
    for _ in range(2):
        async with machine.buffer(tmp_path / "a.db") as buffer:
            run = Run(machine, buffer)
            await run.settling.begin()
            layout = await buffer.register(LAYOUT)
            for _ in range(40):
                run.poll(layout)
            await buffer.flush()
            await buffer.clean_up()
            began_us += run.began_us
    async with machine.buffer(tmp_path / "a.db") as buffer:
        assert await buffer.ask(lambda store: store.connection.execute("SELECT count(*) FROM packs").fetchone()[0]) > 0
        run = Run(machine, buffer)
        await run.settling.begin()
        run.dating.heard(machine.off_us / 1e6)
        await run.settling.settle()
        assert await delivered_us(buffer) == began_us
        await run.settling.settle()
    assert shown_us(tmp_path / "a.db") == began_us, "once"


async def test_polls_of_an_earlier_start_of_the_machine_stay_as_they_are(tmp_path, machine):
    """Nobody knows how far off they are: it had another clock, though with the same wrong time in the end."""
    async with machine.buffer(tmp_path / "a.db") as buffer:
        run = Run(machine, buffer)
        await run.settling.begin()
        layout = await buffer.register(LAYOUT)
        for _ in range(3):
            run.poll(layout)
    earlier = [at + machine.off_us for at in run.began_us]
    wall_at_boot = machine.booted_us + machine.off_us
    machine.reboot(wall_at_boot - (machine.true_us + HOUR_US))
    async with machine.buffer(tmp_path / "a.db") as buffer:
        run = Run(machine, buffer)
        await run.settling.begin()
        run.poll(await buffer.register(LAYOUT))
        machine.off_us, machine.is_synced = 0, True
        await run.settling.settle()
        assert await delivered_us(buffer) == earlier + run.began_us


async def test_a_clock_that_is_right_holds_up_nothing(tmp_path, machine):
    machine.is_synced = True
    async with machine.buffer(tmp_path / "a.db") as buffer:
        run = Run(machine, buffer)
        await run.settling.begin()
        assert run.settling.dated.is_set()


async def test_who_would_deliver_waits_for_an_answer_or_hears_why_there_is_none(tmp_path, machine):
    async with machine.buffer(tmp_path / "a.db") as buffer:
        run = Run(machine, buffer)
        await run.settling.begin()
        waiting = asyncio.create_task(run.settling.over())
        run.settling.unheard(Unavailable("no connection"))
        assert await waiting == Unavailable("no connection")
        run.dating.heard(None)
        waiting = asyncio.create_task(run.settling.over())
        await run.settling.settle()
        assert await waiting is None


async def test_a_stop_before_any_answer_waits_for_none(tmp_path, machine):
    async with machine.buffer(tmp_path / "a.db") as buffer:
        run = Run(machine, buffer)
        await run.settling.begin()
        run.settling.stop()
        why = await run.settling.over()
        assert why is not None
        assert "has not answered yet" in why.reason


async def test_who_waits_for_an_api_that_is_away_believes_the_clock_in_the_end(tmp_path, machine):
    """Else destinations beside it would get nothing on a machine without NTP, and in a day all would be lost."""
    async with machine.buffer(tmp_path / "a.db") as buffer:
        run = Run(machine, buffer, patience_s=0.0)
        await run.settling.begin()
        layout = await buffer.register(LAYOUT)
        run.poll(layout)
        run.settling.unheard(Unavailable("no connection"))
        loop = asyncio.create_task(run.settling.run())
        await run.settling.dated.wait()
        run.dating.heard(machine.off_us / 1e6)
        run.poll(layout)
        first, second = run.began_us
        assert await delivered_us(buffer) == [first + machine.off_us, second]
        loop.cancel()
