"""Events are on the disk with the polls, cost nothing while nothing changes, and are kept two days."""

import sqlite3
import threading
from contextlib import closing

import pytest

from support.hang import HANG_S
from towerops_agent.buffer import events, schema
from towerops_agent.buffer.format.event import Event, EventKind
from towerops_agent.buffer.reader import DatabaseReader
from towerops_agent.buffer.store import Store
from unit.buffer.samples import HOUR_US, LAYOUT, T0_US, poll


def event(number: int) -> Event:
    return Event(T0_US + number, EventKind.STATE, f"eq-{number}", "down", "timeout")


def kept(bench) -> list[Event]:
    with DatabaseReader(bench.path) as reader:
        return reader.events()


async def test_events_are_written_with_the_polls(bench):
    async with bench.buffer(commit_window_s=3600) as buffer:
        buffer.note(event(1))
        buffer.note(event(2))
        assert kept(bench) == []
        buffer.add(poll(await buffer.register(LAYOUT)))
        await buffer.flush()
        assert kept(bench) == [event(1), event(2)]


async def test_if_nothing_is_polled_they_are_written_by_themselves_and_at_the_stop(bench, monkeypatch):
    monkeypatch.setattr("towerops_agent.buffer.writer.EVENTS_WITHIN_S", 0.0)
    written = threading.Event()
    add_polls = Store.add_polls

    def note(store, rows, noted):
        add_polls(store, rows, noted)
        written.set()

    monkeypatch.setattr(Store, "add_polls", note)
    async with bench.buffer() as buffer:
        buffer.note(event(1))
        assert written.wait(HANG_S)
        assert kept(bench) == [event(1)]
        monkeypatch.setattr("towerops_agent.buffer.writer.EVENTS_WITHIN_S", 3600.0)
        buffer.note(event(2))
    assert kept(bench) == [event(1), event(2)]


async def test_events_that_could_not_be_written_wait_for_the_next_try(bench, monkeypatch):
    async with bench.buffer(commit_window_s=3600) as buffer:
        layout = await buffer.register(LAYOUT)

        def fail(store, rows, noted):
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(Store, "add_polls", fail)
            buffer.note(event(1))
            buffer.add(poll(layout))
            await buffer.ask(lambda store: None)
            buffer.note(event(2))
        assert kept(bench) == []
        await buffer.flush()
        assert kept(bench) == [event(1), event(2)]


async def test_only_the_latest_are_kept(bench, monkeypatch):
    monkeypatch.setattr(events, "KEPT", 3)
    async with bench.buffer() as buffer:
        for number in range(5):
            buffer.note(event(number))
    assert kept(bench) == [event(2), event(3), event(4)]


async def after_two_days(bench, buffer, *noted: Event) -> None:
    for one in noted:
        buffer.note(one)
    await buffer.flush()
    for _ in range(49):
        bench.now_us += HOUR_US
        await buffer.ask(lambda store: store.keep_clock())
    await buffer.clean_up()


def state(subject: str, what: str, why: str = "") -> Event:
    return Event(T0_US, EventKind.STATE, subject, what, why)


def started(number: int) -> Event:
    return Event(T0_US + number, EventKind.AGENT, "", "started")


async def test_after_two_days_they_are_removed(bench):
    old = [started(0), Event(T0_US, EventKind.API, "metrics", "works"), Event(T0_US, EventKind.RESTART, "eq-1")]
    async with bench.buffer() as buffer:
        await after_two_days(bench, buffer, *old)
        buffer.note(event(2))
        await buffer.flush()
        await buffer.clean_up()
    assert kept(bench) == [event(2)]


async def test_the_last_state_of_a_device_stays_for_as_long_as_it_lasts(bench):
    """But not up, which needs no event, and not what was before the agent's start, which says nothing of what followed."""
    stays = [state("b", "degraded", "genErr"), state("c", "down", "timeout"), state("e", "up", "no value of it is kept")]
    old = [
        state("z", "down"),
        started(1),
        state("a", "down"),
        state("a", "up"),
        state("b", "down"),
        *stays,
        state("d", "unknown"),
    ]
    async with bench.buffer() as buffer:
        await after_two_days(bench, buffer, *old)
        assert kept(bench) == stays
        await after_two_days(bench, buffer, state("c", "up"))
        assert kept(bench) == [stays[0], stays[2]]
        await after_two_days(bench, buffer, started(2))
        assert kept(bench) == [], "the agent was started since"


async def test_a_damaged_one_is_left_out(bench):
    async with bench.buffer() as buffer:
        for number in range(3):
            buffer.note(event(number))
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute("UPDATE events SET what = 'up' WHERE id = 2")
    assert kept(bench) == [event(0), event(2)]


@pytest.mark.parametrize("lost", ["polls", "events"])
async def test_a_corrupt_database_leaves_its_events_to_the_next(bench, lost):
    async with bench.buffer() as buffer:
        buffer.note(event(1))
        buffer.add(poll(await buffer.register(LAYOUT)))
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute(f"DROP TABLE {lost}")
    connection.close()
    async with bench.buffer() as buffer:
        buffer.note(event(2))
        await buffer.clean_up()
        await buffer.clean_up()
    found = kept(bench)
    assert found[-1] == event(2)
    assert (event(1) in found) == (lost == "polls")


async def test_a_database_without_the_table_gets_it(bench):
    async with bench.buffer() as buffer:
        buffer.add(poll(await buffer.register(LAYOUT)))
        await buffer.flush()
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.executescript(f"DROP TABLE events; PRAGMA user_version = 6; PRAGMA application_id = {schema.APPLICATION + 6}")
    connection.close()
    async with bench.buffer() as buffer:
        buffer.note(event(1))
        assert (await buffer.pending()).polls == 1
    assert kept(bench) == [event(1)]
